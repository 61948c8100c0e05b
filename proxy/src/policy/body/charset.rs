//! Text that hides in its encoding: UTF-16.
//!
//! The reference scans such bodies as they are. That finds plain ASCII in UTF-16, since NULs are dropped, but nothing else.
//! The hardened mode scans the decoded text in addition.
//!
//! difference D-813

/// The body decoded as UTF-16, in each byte order that a byte-order mark or the charset leaves open.
pub(super) fn utf16(body: &[u8], charset: &[u8]) -> Vec<Vec<u8>> {
    let charset = charset.to_ascii_lowercase();
    let orders: &[fn([u8; 2]) -> u16] = match (body, charset.as_slice()) {
        ([0xff, 0xfe, ..], _) | (_, b"utf-16le") => &[u16::from_le_bytes],
        ([0xfe, 0xff, ..], _) | (_, b"utf-16be") => &[u16::from_be_bytes],
        (_, b"utf-16" | b"ucs-2" | b"iso-10646-ucs-2" | b"unicode") => {
            &[u16::from_le_bytes, u16::from_be_bytes]
        }
        _ => &[],
    };
    let (units, _) = body.as_chunks::<2>();
    let decode = |order: &fn([u8; 2]) -> u16| {
        let text: String = char::decode_utf16(units.iter().map(|&unit| order(unit)))
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        text.into_bytes()
    };
    orders.iter().map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_utf16_by_mark_or_charset() {
        let encode = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(order).collect()
        };
        let le = encode("\u{feff}h\u{e9}", u16::to_le_bytes);
        let be = encode("\u{feff}h\u{e9}", u16::to_be_bytes);
        let plain = encode("h\u{e9}", u16::to_le_bytes);
        assert_eq!(utf16(&le, b""), ["\u{feff}h\u{e9}".as_bytes()]);
        assert_eq!(utf16(&be, b""), ["\u{feff}h\u{e9}".as_bytes()]);
        assert_eq!(utf16(&plain, b"UTF-16LE"), ["h\u{e9}".as_bytes()]);
        assert_eq!(utf16(&plain, b"utf-16").len(), 2);
        assert!(utf16(b"plain text", b"utf-8").is_empty());
    }
}
