//! The inside of a JSON string: borrowed as written, decoded only where it has escapes or bytes that are not UTF-8.

use std::borrow::Cow;

/// The bytes between the quotes of a string that the parser found valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Str<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Str<'a> {
    /// `raw` is what stands between the quotes, `escaped` whether it holds a backslash.
    pub(super) fn new(raw: &'a [u8], escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// The bytes as written.
    #[inline]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether the string contains an escape.
    #[inline]
    pub fn is_escaped(&self) -> bool {
        self.escaped
    }

    /// The text meant: escapes decoded, lone surrogates and each invalid UTF-8 byte as U+FFFD.
    pub fn decode(&self) -> Cow<'a, str> {
        if !self.escaped
            && let Ok(text) = std::str::from_utf8(self.raw)
        {
            return Cow::Borrowed(text);
        }
        let mut text = Vec::with_capacity(self.raw.len());
        self.decode_into(&mut text);
        // Only UTF-8 is ever appended; the lossy form is the one that cannot fail.
        Cow::Owned(
            String::from_utf8(text)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        )
    }

    /// Appends the text meant to `out`, as UTF-8.
    pub fn decode_into(&self, out: &mut Vec<u8>) {
        let mut rest = self.raw;
        loop {
            let length = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
            push_utf8(&rest[..length], out);
            rest = &rest[length..];
            if rest.is_empty() {
                return;
            }
            rest = &rest[push_escape(rest, out)..];
        }
    }
}

/// Appends `bytes`; a byte that does not belong to valid UTF-8 becomes U+FFFD.
fn push_utf8(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            push_char(char::REPLACEMENT_CHARACTER, out);
        }
    }
}

fn push_char(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Decodes the escape that `text` begins with and gives its length in bytes.
pub(super) fn push_escape(text: &[u8], out: &mut Vec<u8>) -> usize {
    out.push(match text.get(1) {
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(b'r') => b'\r',
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'u') => return push_unicode_escape(text, out),
        Some(&byte) => byte,
        None => return text.len(),
    });
    2
}

/// The same for `\uXXXX`, of which two may make one character.
fn push_unicode_escape(text: &[u8], out: &mut Vec<u8>) -> usize {
    let unit = hex4(text);
    let (decoded, length) = match unit {
        0xD800..=0xDBFF if text.get(6..8) == Some(b"\\u") => match hex4(&text[6..]) {
            low @ 0xDC00..=0xDFFF => (char::from_u32(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)), 12),
            _ => (None, 6),
        },
        _ => (char::from_u32(unit), 6),
    };
    push_char(decoded.unwrap_or(char::REPLACEMENT_CHARACTER), out);
    length.min(text.len())
}

/// The code unit of the `\uXXXX` that `text` begins with.
fn hex4(text: &[u8]) -> u32 {
    text.iter().skip(2).take(4).fold(0, |unit, &byte| unit << 4 | char::from(byte).to_digit(16).unwrap_or(0))
}

/// Appends `text` between quotes with the fewest escapes: `"`, `\`, controls below U+0020, U+2028 and U+2029.
/// spec: tls-and-request-bodies §14.3 step 7
pub fn push_escaped(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || matches!(c, '"' | '\\' | '\u{2028}' | '\u{2029}')) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let mut chars = rest[at..].chars();
        match chars.next() {
            Some('"') => out.extend_from_slice(b"\\\""),
            Some('\\') => out.extend_from_slice(b"\\\\"),
            Some('\u{8}') => out.extend_from_slice(b"\\b"),
            Some('\u{c}') => out.extend_from_slice(b"\\f"),
            Some('\n') => out.extend_from_slice(b"\\n"),
            Some('\r') => out.extend_from_slice(b"\\r"),
            Some('\t') => out.extend_from_slice(b"\\t"),
            Some(other) => {
                let unit = u32::from(other);
                out.extend_from_slice(b"\\u");
                out.extend(
                    (0..4).rev().map(|digit| b"0123456789abcdef"[(unit >> (digit * 4) & 0xF) as usize]),
                );
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}
