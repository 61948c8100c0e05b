//! Text that hides in its encoding: UTF-16, and numeric character references of XML and HTML.
//!
//! The reference scans such bodies as they are. That finds plain ASCII in UTF-16, since NULs are dropped, but nothing else.
//! The hardened mode scans the decoded text in addition. Only numeric references are decoded: `&amp;` and its kind occur in
//! every page and hide no letter.
//!
//! differences D-813, D-814

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

/// The text with `&#65;` and `&#x41;` replaced by what they stand for; `None` if there are none.
pub(super) fn without_references(body: &[u8]) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let mut copied = 0;
    for start in memchr::memmem::find_iter(body, b"&#") {
        let Some((c, length)) = reference(&body[start..]) else { continue };
        let out = out.get_or_insert_with(|| Vec::with_capacity(body.len()));
        out.extend_from_slice(&body[copied..start]);
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        copied = start + length;
    }
    if let Some(out) = &mut out {
        out.extend_from_slice(&body[copied..]);
    }
    out
}

/// The reference that `text` begins with, and its length. The semicolon may be missing, as HTML allows.
fn reference(text: &[u8]) -> Option<(char, usize)> {
    let (digits, radix) = match text.get(2)? {
        b'x' | b'X' => (&text[3..], 16),
        _ => (&text[2..], 10),
    };
    let count = digits.iter().take_while(|&&byte| char::from(byte).is_digit(radix)).count();
    let digits = std::str::from_utf8(&digits[..count]).ok()?;
    let significant = digits.trim_start_matches('0');
    let c = char::from_u32(u32::from_str_radix(significant, radix).ok()?)?;
    let end = text.len() - text[2 + usize::from(radix == 16) + count..].len();
    Some((c, end + usize::from(text.get(end) == Some(&b';'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_numeric_references() {
        let cases: &[(&str, Option<&str>)] = &[
            ("&#65;KIA", Some("AKIA")),
            ("x&#x41;&#X0042;&#000067;y", Some("xABCy")),
            ("&#65KIA", Some("AKIA")),
            ("&#8364;", Some("\u{20ac}")),
            ("&amp; &lt;", None),
            ("&#; &#x; &# &#xD800; &#0; &#99999999999;", None),
            ("plain", None),
        ];
        for (text, wanted) in cases {
            let found = without_references(text.as_bytes());
            assert_eq!(found.as_deref(), wanted.map(str::as_bytes), "{text}");
        }
    }

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
