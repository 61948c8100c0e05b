//! The content type of a body that came without one, by the WHATWG sniffing table in the form that Go's server uses.
//!
//! A client that relies on the type of an untyped response must see the same one as behind the reference. Only the first 512
//! bytes count. (spec: http-proxy §1.5 rule 4)

/// Bytes looked at.
const WINDOW: usize = 512;

/// Prefixes that decide alone, in order.
const EXACT: &[(&[u8], &str)] = &[
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"\x00\x00\x02\x00", "image/x-icon"),
    (b"BM", "image/bmp"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x89PNG\x0D\x0A\x1A\x0A", "image/png"),
    (b"\xFF\xD8\xFF", "image/jpeg"),
    (b".snd", "audio/basic"),
    (b"ID3", "audio/mpeg"),
    (b"OggS\x00", "application/ogg"),
    (b"MThd\x00\x00\x00\x06", "audio/midi"),
    (b"\x1A\x45\xDF\xA3", "video/webm"),
    (b"\x00\x01\x00\x00", "font/ttf"),
    (b"OTTO", "font/otf"),
    (b"ttcf", "font/collection"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\x1F\x8B\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1A\x07\x00", "application/x-rar-compressed"),
    (b"Rar!\x1A\x07\x01\x00", "application/x-rar-compressed"),
    (b"\x00\x61\x73\x6D", "application/wasm"),
];

/// Tags that make HTML of a text when a space or `>` follows. Upper case; compared ignoring case.
const HTML_TAGS: &[&[u8]] = &[
    b"<!DOCTYPE HTML",
    b"<HTML",
    b"<HEAD",
    b"<SCRIPT",
    b"<IFRAME",
    b"<H1",
    b"<DIV",
    b"<FONT",
    b"<TABLE",
    b"<A",
    b"<STYLE",
    b"<TITLE",
    b"<B",
    b"<BODY",
    b"<BR",
    b"<P",
    b"<!--",
];

/// The type to announce for `body`.
#[must_use]
pub fn content_type(body: &[u8]) -> &'static str {
    let data = &body[..body.len().min(WINDOW)];
    let start = data.iter().position(|b| !is_space(*b)).unwrap_or(data.len());
    let text = &data[start..];
    if HTML_TAGS.iter().any(|tag| is_tag(text, tag)) {
        return "text/html; charset=utf-8";
    }
    if text.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    match data {
        [0xFE, 0xFF, _, _, ..] => return "text/plain; charset=utf-16be",
        [0xFF, 0xFE, _, _, ..] => return "text/plain; charset=utf-16le",
        [0xEF, 0xBB, 0xBF, _, ..] => return "text/plain; charset=utf-8",
        _ => {}
    }
    if let Some((_, kind)) = EXACT.iter().find(|(prefix, _)| data.starts_with(prefix)) {
        return kind;
    }
    match data {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', b'V', b'P', ..] => return "image/webp",
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F', ..] => return "audio/aiff",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => return "video/avi",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => return "audio/wave",
        _ => {}
    }
    if data.len() > 35 && data[34..].starts_with(b"LP") {
        return "application/vnd.ms-fontobject";
    }
    if is_mp4(data) {
        return "video/mp4";
    }
    if text.iter().any(|b| matches!(b, 0x00..=0x08 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F)) {
        return "application/octet-stream";
    }
    "text/plain; charset=utf-8"
}

fn is_space(b: u8) -> bool {
    matches!(b, b'\t' | b'\n' | b'\x0C' | b'\r' | b' ')
}

fn is_tag(text: &[u8], tag: &[u8]) -> bool {
    text.len() > tag.len()
        && text[..tag.len()].eq_ignore_ascii_case(tag)
        && matches!(text[tag.len()], b' ' | b'>')
}

fn is_mp4(data: &[u8]) -> bool {
    if data.len() < 12 || &data[4..8] != b"ftyp" {
        return false;
    }
    let size = u32::from_be_bytes([data[0], data[1], data[2], data[3]]) as usize;
    if data.len() < size || !size.is_multiple_of(4) {
        return false;
    }
    // Bytes 12–15 are the version of the brand, not a brand.
    (8..size).step_by(4).filter(|at| *at != 12).any(|at| data.get(at..at + 3) == Some(b"mp4"))
}

#[cfg(test)]
mod tests {
    use super::content_type;

    #[test]
    fn types_follow_the_table() {
        let cases: &[(&[u8], &str)] = &[
            (b"", "text/plain; charset=utf-8"),
            (b"just words", "text/plain; charset=utf-8"),
            (b"\x00\x01\x02", "application/octet-stream"),
            (b"  <html><body>", "text/html; charset=utf-8"),
            (b"<p>x", "text/html; charset=utf-8"),
            (b"<px", "text/plain; charset=utf-8"),
            (b"<!--x", "text/plain; charset=utf-8"),
            (b"<!-- x", "text/html; charset=utf-8"),
            (b"\n<?xml version=\"1.0\"?>", "text/xml; charset=utf-8"),
            (b"%PDF-1.7", "application/pdf"),
            (b"GIF89a...", "image/gif"),
            (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
            (b"\x00\x00\x00\x14ftypmp42\x00\x00\x00\x00mp42", "video/mp4"),
            (b"{\"a\":1}", "text/plain; charset=utf-8"),
            (b"\xff\xfea\x00", "text/plain; charset=utf-16le"),
            (b"\x80\x81", "text/plain; charset=utf-8"),
        ];
        for (body, want) in cases {
            assert_eq!(content_type(body), *want, "{body:?}");
        }
    }
}
