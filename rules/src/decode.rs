//! Base64, hex and base32 as the reference decodes them (spec: dlp §8.2, url-scan §10.3).
//!
//! Each decoder takes a whole string and either decodes all of it or fails. The quirks are deliberate: CR and LF inside
//! base64 and base32 are ignored, trailing bits may be non-zero, delimited hex tolerates separators anywhere, base32
//! ignores a few bytes after its padding. A result of zero bytes counts as failure.

use crate::dlp::{Encoding, vector};
use crate::scratch::Buffer;

#[cfg(test)]
mod tests;

/// Value of a base64 character in either alphabet; 64 and above: not one.
const B64: [u8; 256] = {
    let mut t = [0xff_u8; 256];
    let mut i = 0;
    while i < 26 {
        t[b'A' as usize + i] = i as u8;
        t[b'a' as usize + i] = i as u8 + 26;
        i += 1;
    }
    let mut i = 0;
    while i < 10 {
        t[b'0' as usize + i] = i as u8 + 52;
        i += 1;
    }
    t[b'+' as usize] = 62;
    t[b'/' as usize] = 63;
    t[b'-' as usize] = 62;
    t[b'_' as usize] = 63;
    t
};

/// A successful base64 decoding and how many of the four variants (standard or URL-safe alphabet, padded or not) it
/// succeeds in. All of them give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base64 {
    /// The decoded bytes, never empty.
    pub bytes: Vec<u8>,
    /// Number of variants that accept the text: a text without `+ / - _` decodes in both alphabets.
    pub variants: u8,
}

/// The value of a base64 digit of either alphabet.
pub(crate) const fn base64_value(b: u8) -> Option<u8> {
    match base64_value_or_more(b) {
        value @ 0..64 => Some(value),
        _ => None,
    }
}

/// The same; 64 or more for any other byte.
pub(crate) const fn base64_value_or_more(b: u8) -> u8 {
    B64[b as usize]
}

/// Base64 in any of the four variants.
pub fn base64(text: &[u8]) -> Option<Base64> {
    let mut bytes = Vec::new();
    base64_into(text, &mut bytes).map(|variants| Base64 { bytes, variants })
}

/// [`base64()`] into a buffer that is used again; returns the number of variants.
pub fn base64_into(text: &[u8], out: &mut Vec<u8>) -> Option<u8> {
    out.clear();
    // Most texts are no base64; those cost no memory.
    let beginning = &text[..text.len().min(16)];
    if stops_early(beginning, |byte| B64[usize::from(byte)] < 64) {
        return None;
    }
    if memchr::memchr2(b'\r', b'\n', text).is_some() {
        // Without them, groups can be decoded many at a time.
        let mut plain = Buffer::new();
        vector::without([b'\n', b'\r'], text, &mut plain);
        return base64_into(&plain, out);
    }
    // Whole groups of plain digits first.
    let (grouped, rest) = text.split_at(vector::base64(text, out));
    if stops_early(rest, |byte| B64[usize::from(byte)] < 64) {
        return None;
    }
    let (mut acc, mut have) = (0u32, 0u8);
    let mut digits = grouped.len();
    let mut standard = memchr::memchr2(b'-', b'_', grouped).is_none();
    let mut url = memchr::memchr2(b'+', b'/', grouped).is_none();
    let mut chars = rest.iter().copied();
    let mut padding = 0usize;
    for b in chars.by_ref() {
        if b == b'=' {
            padding = 1;
            break;
        }
        let v = B64[b as usize];
        if v > 63 {
            return None;
        }
        match b {
            b'+' | b'/' => url = false,
            b'-' | b'_' => standard = false,
            _ => {}
        }
        acc = acc << 6 | u32::from(v);
        have += 1;
        digits += 1;
        if have == 4 {
            out.extend_from_slice(&acc.to_be_bytes()[1..]);
            (acc, have) = (0, 0);
        }
    }
    if padding == 1 {
        // Whatever follows the first `=` must be the rest of the padding.
        for b in chars {
            if b != b'=' {
                return None;
            }
            padding += 1;
        }
        if !matches!((digits % 4, padding), (2, 2) | (3, 1)) {
            return None;
        }
    }
    match have {
        1 => return None,
        2 => out.push((acc >> 4) as u8),
        3 => out.extend_from_slice(&[(acc >> 10) as u8, (acc >> 2) as u8]),
        _ => {}
    }
    let alphabets = u8::from(standard) + u8::from(url);
    if out.is_empty() || alphabets == 0 {
        return None;
    }
    // Without padding characters, a multiple of four satisfies the padded and the unpadded reading.
    let paddings = if padding == 0 && digits.is_multiple_of(4) { 2 } else { 1 };
    Some(alphabets * paddings)
}

/// Decodes base64 digits of either alphabet, or of both, and nothing else. A single digit at the end is left out.
pub(crate) fn base64_digits_into(digits: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let grouped = vector::base64(digits, out);
    let rest = &digits[grouped..digits.len().min(grouped + 3)];
    let bits = rest.iter().fold(0u32, |bits, &b| bits << 6 | u32::from(B64[usize::from(b)] & 63));
    let bytes = (bits << (32 - 6 * rest.len() as u32).min(31)).to_be_bytes();
    out.extend_from_slice(&bytes[..rest.len() * 6 / 8]);
}

/// Whether base64 digits are all of the standard or all of the URL-safe alphabet.
pub(crate) fn is_one_alphabet(digits: &[u8]) -> bool {
    memchr::memchr2(b'-', b'_', digits).is_none() || memchr::memchr2(b'+', b'/', digits).is_none()
}

/// Whether a byte that is neither a digit nor a line end comes before any padding.
fn stops_early(text: &[u8], is_digit: impl Fn(u8) -> bool) -> bool {
    let first = text.iter().find(|&&byte| !(is_digit(byte) || matches!(byte, b'\r' | b'\n')));
    first.is_some_and(|&byte| byte != b'=')
}

/// Whether a byte is a digit of either base64 alphabet.
#[inline]
pub(crate) fn is_base64_digit(b: u8) -> bool {
    static DIGITS: [bool; 256] = {
        let mut digits = [false; 256];
        let mut b = 0;
        while b < 256 {
            digits[b] = (b as u8).is_ascii_alphanumeric() || matches!(b as u8, b'+' | b'/' | b'-' | b'_');
            b += 1;
        }
        digits
    };
    DIGITS[usize::from(b)]
}

/// Value of a hex digit; 16 and above: not one.
pub(crate) fn hex_value(b: u8) -> u8 {
    const VALUES: [u8; 256] = {
        let mut t = [0xff_u8; 256];
        let mut i = 0;
        while i < 16 {
            t[b"0123456789abcdef"[i] as usize] = i as u8;
            t[b"0123456789ABCDEF"[i] as usize] = i as u8;
            i += 1;
        }
        t
    };
    VALUES[usize::from(b)]
}

/// Plain hex: an even number of digits and nothing else.
pub fn hex_plain(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    hex_plain_into(text, &mut out).then_some(out)
}

/// [`hex_plain`] into a buffer that is used again.
pub(crate) fn hex_plain_into(text: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    !text.is_empty()
        && text.len().is_multiple_of(2)
        && hex_value(text[0]) < 16
        && vector::hex(text, out) == text.len()
}

/// Hex with separators or prefixes: every `\x` `\X` `0x` `0X` and then every `:`, space, `-`, `,` removed.
pub fn hex_delimited(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    hex_delimited_into(text, &mut out).then_some(out)
}

/// [`hex_delimited`] into a buffer that is used again.
pub(crate) fn hex_delimited_into(text: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    if text.len() < 4 {
        return false;
    }
    match memchr::memchr3(b'\\', b'x', b'X', text) {
        None => hex_separated_into(text, out),
        Some(_) => hex_prefixed_into(text, out),
    }
}

/// Without prefixes: all digits in a row first, with no branch on what a byte is.
fn hex_separated_into(text: &[u8], out: &mut Vec<u8>) -> bool {
    out.resize(text.len(), 0);
    let (mut digits, mut others) = (0, 0);
    for &b in text {
        let value = hex_value(b);
        out[digits] = value;
        digits += usize::from(value < 16);
        others += usize::from(matches!(b, b':' | b' ' | b'-' | b','));
    }
    let is_hex = digits + others == text.len() && digits > 0 && digits.is_multiple_of(2);
    for at in 0..digits / 2 {
        out[at] = out[2 * at] << 4 | out[2 * at + 1];
    }
    out.truncate(digits / 2);
    is_hex
}

fn hex_prefixed_into(text: &[u8], out: &mut Vec<u8>) -> bool {
    let mut half = None;
    let mut rest = text;
    while let Some((&b, after)) = rest.split_first() {
        rest = after;
        if matches!(b, b'\\' | b'0') && matches!(rest.first(), Some(b'x' | b'X')) {
            rest = &rest[1..];
            continue;
        }
        match (b, hex_value(b), half) {
            (b':' | b' ' | b'-' | b',', ..) => {}
            (_, 16.., _) => return false,
            (_, high, None) => half = Some(high),
            (_, low, Some(high)) => {
                out.push(high << 4 | low);
                half = None;
            }
        }
    }
    half.is_none() && !out.is_empty()
}

/// Hex, plain or else delimited.
pub fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    hex_into(text, &mut out).then_some(out)
}

/// [`hex()`] into a buffer that is used again.
pub(crate) fn hex_into(text: &[u8], out: &mut Vec<u8>) -> bool {
    hex_plain_into(text, out) || hex_delimited_into(text, out)
}

/// Base32, standard alphabet, upper case, padded.
pub fn base32(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    base32_into(text, &mut out).then_some(out)
}

/// [`base32`] into a buffer that is used again.
pub(crate) fn base32_into(text: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    // Most texts fail at once.
    let digit = |b: &u8| base32_value(*b).is_some() || matches!(b, b'=' | b'\r' | b'\n');
    if !text.iter().take(8).all(digit) {
        return false;
    }
    match memchr::memchr3(b'\r', b'\n', b'=', text) {
        None if !text.len().is_multiple_of(8) => return false,
        Some(at) if memchr::memchr2(b'\r', b'\n', &text[at..]).is_some() => {
            let mut plain = Buffer::new();
            vector::without([b'\n', b'\r'], text, &mut plain);
            return base32_into(&plain, out);
        }
        _ => {}
    }
    out.reserve(text.len() / 8 * 5 + 5);
    let mut rest = text;
    while !rest.is_empty() {
        let mut group = [0u8; 8];
        let mut n = 0;
        let mut ended = false;
        while n < 8 {
            let Some((&b, tail)) = rest.split_first() else { return false };
            rest = tail;
            if b == b'=' && n >= 2 && rest.len() < 8 {
                // The last group: filled up to 8 with `=`; what follows the filling is ignored.
                let fill = 8 - n - 1;
                if rest.len() < fill || rest[..fill].iter().any(|&b| b != b'=') || !matches!(n, 2 | 4 | 5 | 7)
                {
                    return false;
                }
                ended = true;
                break;
            }
            let Some(value) = base32_value(b) else { return false };
            group[n] = value;
            n += 1;
        }
        let acc = group.iter().fold(0u64, |acc, &v| acc << 5 | u64::from(v));
        out.extend_from_slice(&acc.to_be_bytes()[3..3 + n * 5 / 8]);
        if ended {
            break;
        }
    }
    !out.is_empty()
}

/// Base32 without padding, in any case, into a buffer that is used again. The text consists of its letters and digits;
/// left-over bits are dropped.
pub(crate) fn base32_letters(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.reserve(text.len() / 8 * 5 + 5);
    for group in text.chunks(8) {
        let acc = group.iter().fold(0u64, |acc, &b| acc << 5 | u64::from(B32[usize::from(b)] & 31));
        let bytes = (acc << (5 * (8 - group.len()))).to_be_bytes();
        out.extend_from_slice(&bytes[3..3 + group.len() * 5 / 8]);
    }
}

/// Value of a base32 character of any case; 32 and above: not one.
const B32: [u8; 256] = {
    let mut t = [0xff_u8; 256];
    let mut i = 0;
    while i < 26 {
        t[b'A' as usize + i] = i as u8;
        t[b'a' as usize + i] = i as u8;
        i += 1;
    }
    let mut i = 0;
    while i < 6 {
        t[b'2' as usize + i] = i as u8 + 26;
        i += 1;
    }
    t
};

fn base32_value(b: u8) -> Option<u8> {
    match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'2'..=b'7' => Some(b - b'2' + 26),
        _ => None,
    }
}

/// Every single-level decoding of a string: hex, then base64 (once: all variants give the same bytes), then base32.
pub fn decode_all(text: &[u8]) -> Vec<(Vec<u8>, Encoding)> {
    let mut out = Vec::new();
    if let Some(d) = hex(text) {
        out.push((d, Encoding::Hex));
    }
    if let Some(d) = base64(text) {
        out.push((d.bytes, Encoding::Base64));
    }
    if let Some(d) = base32(text) {
        out.push((d, Encoding::Base32));
    }
    out
}
