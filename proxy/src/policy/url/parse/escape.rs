//! Percent-escapes as Go's `net/url` reads and writes them: which bytes are kept depends on the part of the URL.
//!
//! One table of 256 bit sets answers "is this byte kept in that part", so that encoding, decoding and the "is this already
//! the default encoding" test share a single source. (spec: url-scan §3.2, §3.5, §3.8)

use std::borrow::Cow;

use super::ParseError;

/// The part of a URL that a text belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Path, as a whole.
    Path,
    /// User name or password.
    UserInfo,
    /// Host, with port.
    Host,
    /// Zone of an IPv6 literal.
    Zone,
    /// Key or value of a query: `+` is a space.
    Query,
    /// Fragment.
    Fragment,
}

const PATH: u8 = 1;
const USER: u8 = 2;
const HOST: u8 = 4;
const FRAGMENT: u8 = 8;
const QUERY: u8 = 16;
/// Kept in a raw path by the validity test, beyond what the default encoding keeps.
const PATH_VALID: u8 = 32;
const FRAGMENT_VALID: u8 = 64;

const KEPT: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 0usize;
    while byte < 128 {
        let c = byte as u8;
        let mut bits = 0;
        if c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b'~') {
            bits |= PATH | USER | HOST | FRAGMENT | QUERY;
        }
        if matches!(c, b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@') {
            bits |= PATH;
        }
        if matches!(c, b'$' | b'&' | b'+' | b',' | b';' | b'=') {
            bits |= USER;
        }
        if matches!(
            c,
            b'!' | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'['
                | b']'
                | b'<'
                | b'>'
                | b'"'
        ) {
            bits |= HOST;
        }
        if matches!(
            c,
            b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' | b'!' | b'(' | b')' | b'*'
        ) {
            bits |= FRAGMENT;
        }
        if matches!(
            c,
            b'!' | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'['
                | b']'
                | b'%'
        ) {
            bits |= PATH_VALID | FRAGMENT_VALID;
        }
        if bits & PATH != 0 {
            bits |= PATH_VALID;
        }
        if bits & FRAGMENT != 0 {
            bits |= FRAGMENT_VALID;
        }
        table[byte] = bits;
        byte += 1;
    }
    table
};

impl Part {
    const fn bit(self) -> u8 {
        match self {
            Self::Path => PATH,
            Self::UserInfo => USER,
            Self::Host | Self::Zone => HOST,
            Self::Query => QUERY,
            Self::Fragment => FRAGMENT,
        }
    }

    /// Whether the encoder leaves `byte` as it is.
    #[must_use]
    pub const fn keeps(self, byte: u8) -> bool {
        KEPT[byte as usize] & self.bit() != 0
    }
}

/// Value of a hexadecimal digit.
const fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The byte that `text[at..]`, which starts with `%`, stands for; `None` when the two digits are missing or wrong.
fn escaped_byte(text: &[u8], at: usize) -> Option<u8> {
    let high = hex_value(*text.get(at + 1)?)?;
    let low = hex_value(*text.get(at + 2)?)?;
    Some(high << 4 | low)
}

fn bad_escape(text: &[u8], at: usize) -> ParseError {
    let end = text.len().min(at + 3);
    ParseError::Escape(String::from_utf8_lossy(&text[at..end]).into_owned())
}

/// Percent-decodes `text` once.
///
/// # Errors
/// A `%` without two hexadecimal digits; in hosts and zones also escapes and raw bytes that do not belong there.
pub fn decode(text: &[u8], part: Part) -> Result<Cow<'_, [u8]>, ParseError> {
    let host_like = matches!(part, Part::Host | Part::Zone);
    let other = if part == Part::Query { b'+' } else { b'%' };
    if !host_like && memchr::memchr2(b'%', other, text).is_none() {
        return Ok(Cow::Borrowed(text));
    }
    let mut changes = false;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'%' => {
                let value = escaped_byte(text, at).ok_or_else(|| bad_escape(text, at))?;
                let allowed = match part {
                    Part::Host => value >= 0x80 || value == b'%',
                    Part::Zone => value == b'%' || value == b' ' || part.keeps(value),
                    _ => true,
                };
                if !allowed {
                    return Err(bad_escape(text, at));
                }
                changes = true;
                at += 3;
            }
            b'+' => {
                changes |= part == Part::Query;
                at += 1;
            }
            byte => {
                if host_like && byte < 0x80 && !part.keeps(byte) {
                    return Err(ParseError::HostByte(byte));
                }
                at += 1;
            }
        }
    }
    if !changes {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    at = 0;
    while at < text.len() {
        match text[at] {
            b'%' => {
                // The first pass has checked every escape.
                out.push(escaped_byte(text, at).unwrap_or(b'%'));
                at += 3;
            }
            b'+' if part == Part::Query => {
                out.push(b' ');
                at += 1;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Ok(Cow::Owned(out))
}

/// Appends the default encoding of `text`: every byte that the part does not keep becomes `%XX` in upper case.
pub fn encode_into(out: &mut Vec<u8>, text: &[u8], part: Part) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let kept = text.iter().take_while(|&&byte| part.keeps(byte)).count();
    out.extend_from_slice(&text[..kept]);
    for &byte in &text[kept..] {
        if part.keeps(byte) {
            out.push(byte);
        } else if byte == b' ' && part == Part::Query {
            out.push(b'+');
        } else {
            out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// Whether `raw` is exactly the default encoding of what it decodes to. `raw` holds no bad escape.
pub(crate) fn is_default_encoding(raw: &[u8], part: Part) -> bool {
    if raw.chunks(64).all(|chunk| chunk.iter().fold(true, |all, &byte| all & part.keeps(byte))) {
        return true;
    }
    let mut at = 0;
    while at < raw.len() {
        let byte = raw[at];
        if byte == b'%' {
            let Some(value) = escaped_byte(raw, at) else { return false };
            let lower = |digit: u8| digit.is_ascii_lowercase();
            if part.keeps(value) || lower(raw[at + 1]) || lower(raw[at + 2]) {
                return false;
            }
            at += 3;
        } else {
            if !part.keeps(byte) {
                return false;
            }
            at += 1;
        }
    }
    true
}

/// Whether a raw path or fragment may be written as it stands.
pub(crate) fn is_valid_encoding(raw: &[u8], part: Part) -> bool {
    let bit = if part == Part::Fragment { FRAGMENT_VALID } else { PATH_VALID };
    raw.iter().all(|&byte| KEPT[usize::from(byte)] & bit != 0)
}
