//! Character references of XML and HTML: `&#65;`, `&#x41;`, and those names that hide something.
//!
//! `&amp;` and its kind occur in every page and stand between words: they are read only in a text that has other references, or one
//! of them beside a word as long as a credential. The other names here stand for what is invisible, for a space, or for punctuation
//! that credentials are written with.

/// Names without `&`, with their semicolon, and what a reader sees. [`reference`] knows their first letters.
const NAMED: &[(&[u8], char)] = &[
    (b"NoBreak;", '\u{2060}'),
    (b"ZeroWidthSpace;", '\u{200b}'),
    (b"amp;", '&'),
    (b"apos;", '\''),
    (b"colon;", ':'),
    (b"dash;", '-'),
    (b"equals;", '='),
    (b"gt;", '>'),
    (b"hyphen;", '-'),
    (b"lowbar;", '_'),
    (b"lrm;", '\u{200e}'),
    (b"lt;", '<'),
    (b"nbsp;", '\u{a0}'),
    (b"period;", '.'),
    (b"plus;", '+'),
    (b"quot;", '"'),
    (b"rlm;", '\u{200f}'),
    (b"shy;", '\u{ad}'),
    (b"sol;", '/'),
    (b"zwj;", '\u{200d}'),
    (b"zwnj;", '\u{200c}'),
];

/// Letters and digits of a word beside which `&quot;` and its kind are read.
const LONG_WORD: usize = 20;

/// Whether [`without_references`] finds any.
pub fn has_references(text: &[u8]) -> bool {
    memchr::memchr_iter(b'&', text).any(|start| match reference(&text[start..]) {
        Some(('"' | '\'' | '&' | '<' | '>', length)) if text[start + 1] != b'#' => {
            is_word(text[start + length..].iter()) || is_word(text[..start].iter().rev())
        }
        found => found.is_some(),
    })
}

fn is_word<'t>(bytes: impl Iterator<Item = &'t u8>) -> bool {
    let is_in_word = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_+/".contains(byte);
    bytes.take(LONG_WORD).take_while(is_in_word).count() == LONG_WORD
}

/// Whether a letter or digit is written as a reference. Punctuation and spaces are in many pages.
pub(super) fn hide_letters(text: &[u8]) -> bool {
    let is_letter = |(c, _): (char, usize)| c.is_alphanumeric();
    memchr::memchr_iter(b'&', text).any(|start| reference(&text[start..]).is_some_and(is_letter))
}

/// The text with each reference replaced by what it stands for; `None` if there are none.
pub fn without_references(text: &[u8]) -> Option<Vec<u8>> {
    if !has_references(text) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut copied = 0;
    for start in memchr::memchr_iter(b'&', text) {
        let Some((c, length)) = reference(&text[start..]) else { continue };
        out.extend_from_slice(&text[copied..start]);
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        copied = start + length;
    }
    out.extend_from_slice(&text[copied..]);
    Some(out)
}

/// The reference that `text` begins with, and its length. The semicolon of a number may be missing, as HTML allows.
fn reference(text: &[u8]) -> Option<(char, usize)> {
    let (digits, radix) = match text.get(1..)? {
        [b'#', b'x' | b'X', ..] => (&text[3..], 16),
        [b'#', ..] => (&text[2..], 10),
        [b'N' | b'Z' | b'a' | b'c'..=b'e' | b'g' | b'h' | b'l' | b'n' | b'p'..=b's' | b'z', ..] => {
            let name = &text[1..];
            let is_it = |(known, _): &&(&[u8], char)| known[0] == name[0] && name.starts_with(known);
            let (name, c) = NAMED.iter().find(is_it)?;
            return Some((*c, 1 + name.len()));
        }
        _ => return None,
    };
    let count = digits.iter().take_while(|&&byte| char::from(byte).is_digit(radix)).count();
    let digits = std::str::from_utf8(&digits[..count]).ok()?;
    let significant = digits.trim_start_matches('0');
    let c = char::from_u32(u32::from_str_radix(significant, radix).ok()?)?;
    let end = 2 + usize::from(radix == 16) + count;
    Some((c, end + usize::from(text.get(end) == Some(&b';'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_what_they_stand_for() {
        let cases: &[(&str, Option<&str>)] = &[
            ("&#65;KIA", Some("AKIA")),
            ("x&#x41;&#X0042;&#000067;y", Some("xABCy")),
            ("&#65KIA", Some("AKIA")),
            ("&#8364;", Some("\u{20ac}")),
            ("sk&hyphen;ant&shy;&nbsp;x", Some("sk-ant\u{ad}\u{a0}x")),
            ("&amp; &lt; &hyphen &shyness; &", None),
            ("&#; &#x; &# &#xD800; &#0; &#99999999999;", None),
            ("a &lt;b&gt; &quot;c&quot; &amp; &apos;d&apos;", None),
            ("&quot;k&quot;: &quot;abcdefghij0123456789&quot;", Some("\"k\": \"abcdefghij0123456789\"")),
            ("k =&gt; abcdefghij0123456789&lt;/a", Some("k => abcdefghij0123456789</a")),
            ("&#65;&amp;B", Some("A&B")),
            ("plain", None),
        ];
        for (text, wanted) in cases {
            let found = without_references(text.as_bytes());
            assert_eq!(found.as_deref(), wanted.map(str::as_bytes), "{text}");
            assert_eq!(has_references(text.as_bytes()), wanted.is_some(), "{text}");
        }
        for (name, c) in NAMED {
            let text = [b"&#33;&", *name].concat();
            assert_eq!(
                without_references(&text),
                Some(format!("!{c}").into_bytes()),
                "{}",
                name.escape_ascii()
            );
        }
    }
}
