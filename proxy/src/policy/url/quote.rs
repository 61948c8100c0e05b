//! Text in double quotes as the reference's `%q` writes it. (spec: url-scan §2.3)

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

/// Letters, marks, numbers, punctuation and symbols.
static PRINTABLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]$").ok());

fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    let mut buffer = [0; 4];
    PRINTABLE.as_ref().is_some_and(|class| class.is_match(c.encode_utf8(&mut buffer)))
}

/// Quotes `text`: quotes, backslashes, control characters, invalid bytes and unprintable code points are escaped.
#[must_use]
pub fn quote(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            push(&mut out, c);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

fn push(out: &mut String, c: char) {
    let code = u32::from(c);
    match c {
        '"' | '\\' => out.extend(['\\', c]),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if is_printable(c) => out.push(c),
        // Writing to a string cannot fail.
        c if code < 0x20 || c == '\x7f' => drop(write!(out, "\\x{code:02x}")),
        _ if code < 0x1_0000 => drop(write!(out, "\\u{code:04x}")),
        _ => drop(write!(out, "\\U{code:08x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quotes_as_the_reference_does() {
        let cases: [(&[u8], &str); 8] = [
            (b"", r#""""#),
            (b"a \"b\" \\", r#""a \"b\" \\""#),
            (b"\x07\x08\x0c\n\r\t\x0b", r#""\a\b\f\n\r\t\v""#),
            (b"\x00\x1f\x7f", r#""\x00\x1f\x7f""#),
            (b"\xff\xe4\xbd", r#""\xff\xe4\xbd""#),
            ("é你\u{fffd}".as_bytes(), "\"é你\u{fffd}\""),
            ("\u{a0}\u{200b}\u{85}".as_bytes(), r#""\u00a0\u200b\u0085""#),
            ("\u{e0001}\u{1f600}".as_bytes(), "\"\\U000e0001\u{1f600}\""),
        ];
        for (text, expected) in cases {
            assert_eq!(quote(text), expected, "{text:?}");
        }
    }
}
