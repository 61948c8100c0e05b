//! Strings of a binary format that stand with their length before them, as in compiled Python.
//!
//! Without the bytes between them such strings come together as one text that nobody wrote, and names that follow each other
//! look like a credential. They are fields of their own, as the members of a JSON object are. A field is told by its length
//! alone: a byte that is no text, the length, so many printable characters, and then no more text. Bytes
//! that are merely strewn over a credential have no such lengths between them.

/// Stands for what lies between two fields; no normalisation changes or removes it.
const BETWEEN: &str = "\u{241E}";
/// Longer strings have a length that is itself a printable character: text that follows a stray byte could begin with it.
const LENGTHS: std::ops::RangeInclusive<u8> = 2..=0x1f;
/// What follows a string (its kind, a number) may begin with so many bytes that are printable.
const TAG: usize = 2;

/// The text with a sign that no credential holds before each field. `None` where there is no field.
pub(crate) fn fields_apart(text: &[u8]) -> Option<Vec<u8>> {
    let mut apart = Vec::new();
    let (mut copied, mut at) = (0, 0);
    for chunk in text.utf8_chunks() {
        at += chunk.valid().len() + chunk.invalid().len();
        if chunk.invalid().is_empty() || !begins_field(&text[at..]) {
            continue;
        }
        // The stray byte before the length, and the length.
        apart.extend_from_slice(&text[copied..at - 1]);
        apart.extend_from_slice(BETWEEN.as_bytes());
        copied = at + 1;
    }
    if copied == 0 {
        return None;
    }
    apart.extend_from_slice(&text[copied..]);
    Some(apart)
}

/// Whether a text begins with a length and so many printable characters, and goes on with what is no text.
fn begins_field(text: &[u8]) -> bool {
    let Some((&length, rest)) = text.split_first().filter(|(length, _)| LENGTHS.contains(length)) else {
        return false;
    };
    let is_printable = |b: &&u8| matches!(b, b' '..=b'~');
    let length = usize::from(length);
    let printable = rest.iter().take(length + TAG + 1).take_while(is_printable).count();
    printable < rest.len() && (length..=length + TAG).contains(&printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_told_by_its_length() {
        let cases: [(&[u8], Option<&str>); 10] = [
            (b"Canvas\xda\x08TreeNode\xda\x06normalrg\x00", Some("Canvas\u{241E}TreeNode\u{241E}normalrg\0")),
            (b"\xe3\x00\xda\x03abc\xa9\x02", Some("\u{241E}abc")),
            (b"abc\xda\x04defgh ijk\x00", None),
            (b"abc\xda\x04de\x01f\x00", None),
            (b"abc\xda\x03def", None),
            (b"abc\xda\x03defghi\x00", None),
            (b"abc\xda\x01d\xda\x01e\x00", None),
            (b"abc\xdadefghijkl\x00", None),
            (b"abc\x04defg\x00", None),
            ("abc\u{e9}\x04defg\0".as_bytes(), None),
        ];
        for (text, want) in cases {
            let apart = fields_apart(text).map(|apart| String::from_utf8_lossy(&apart).into_owned());
            match (apart.as_deref(), want) {
                (Some(apart), Some(want)) => assert!(apart.contains(want), "{text:?}: {apart:?}"),
                (apart, want) => assert_eq!(apart, want, "{text:?}"),
            }
        }
    }

    #[test]
    fn the_sign_between_fields_stays() {
        assert_eq!(crate::text::norm_dlp_str(BETWEEN), BETWEEN);
        assert!(!BETWEEN.contains(crate::text::is_unseen));
    }
}
