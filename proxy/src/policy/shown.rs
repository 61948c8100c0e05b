//! Values as their reader sees them: what a header, a form field or a parameter holds when it is shown in a page, in a mail or to a
//! model.
//!
//! difference D-823

use muselet_rules::text;

use super::body::mime;

/// Rounds of percent-decoding.
const ROUNDS: usize = 4;

/// The value percent-decoded, with tag characters, character references and quoted-printable escapes read, and without the highest bit of bytes that
/// are no text with it; `None` if there is nothing of these but percent-escapes, which every scan reads.
pub(super) fn shown(value: &[u8]) -> Option<Vec<u8>> {
    if value.is_ascii() && memchr::memchr3(b'%', b'&', b'=', value).is_none() {
        return None;
    }
    let decoded = text::percent_decode_lenient(value, ROUNDS);
    let spelled = text::spelled_in_tags(&decoded);
    let plain = spelled.as_deref().unwrap_or(&decoded);
    let read = text::without_references(plain);
    let unquoted = mime::unquoted(read.as_deref().unwrap_or(plain));
    let seven_bits = || (!text::is_utf8(value)).then(|| value.iter().map(|byte| byte & 0x7f).collect());
    unquoted.or(read).or(spelled).or_else(seven_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_shown() {
        let cases: &[(&[u8], Option<&str>)] = &[
            (b"&#65;KIA", Some("AKIA")),
            (b"%26%2365%3BKIA", Some("AKIA")),
            (b"=?utf-8?Q?=41=4B=49=41?=", Some("=?utf-8?Q?AKIA?=")),
            (b"\xc1\xcb\xc9A", Some("AKIA")),
            ("caf\u{e9}".as_bytes(), None),
            (b"%41KIA", None),
            (b"a=1&b=2; c", None),
        ];
        for (value, wanted) in cases {
            assert_eq!(shown(value).as_deref(), wanted.map(str::as_bytes), "{}", value.escape_ascii());
        }
    }
}
