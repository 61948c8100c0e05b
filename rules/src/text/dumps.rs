//! What programs that show the bytes of a file print: `hexdump -C`, `xxd`, `od -t x1`.
//!
//! Each line begins with an offset and may end with the same bytes as text, so that what goes on in the next line stands nowhere in one
//! piece.

use crate::decode::hex_value;

/// Bytes on a line of the programs that print text beside them.
const MAX_BYTES: usize = 32;
/// Digits of an offset.
const OFFSET: std::ops::RangeInclusive<usize> = 6..=16;

/// Gives the bytes of each dump of several lines to `found`.
pub(crate) fn each_dump(text: &[u8], mut found: impl FnMut(&[u8])) {
    let (mut bytes, mut lines) = (Vec::new(), 0);
    let mut line = Vec::new();
    for written in text.split(|&byte| byte == b'\n').chain([b"".as_slice()]) {
        line.clear();
        if read_line(written, &mut line) {
            bytes.extend_from_slice(&line);
            lines += 1;
            continue;
        }
        if lines > 1 {
            found(&bytes);
        }
        bytes.clear();
        lines = 0;
    }
}

/// Whether a line is one of a dump, whose bytes are then appended.
fn read_line(line: &[u8], bytes: &mut Vec<u8>) -> bool {
    let line = line.trim_ascii_start();
    let offset = line.iter().take_while(|&&byte| hex_value(byte) < 16).count();
    if !OFFSET.contains(&offset) {
        return false;
    }
    let rest = &line[offset..];
    let rest = rest.strip_prefix(b":").unwrap_or(rest);
    // What follows a bar is text; without one, what follows two spaces.
    let has_bar = memchr::memchr(b'|', rest);
    let mut rest = &rest[..has_bar.unwrap_or(rest.len())];
    while let Some((b' ' | b'\t', after)) = rest.split_first() {
        let group = after.trim_ascii_start();
        let spaces = rest.len() - group.len();
        if spaces > 1 && has_bar.is_none() && !bytes.is_empty() {
            break;
        }
        let digits = group.iter().take_while(|&&byte| hex_value(byte) < 16).count();
        let (pairs, _) = group[..digits].as_chunks::<2>();
        if digits % 2 == 1 || digits == 0 || bytes.len() + pairs.len() > MAX_BYTES {
            break;
        }
        bytes.extend(pairs.iter().map(|[high, low]| hex_value(*high) << 4 | hex_value(*low)));
        rest = &group[digits..];
    }
    !bytes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_are_read() {
        let dumps = |text: &str| {
            let mut all = Vec::new();
            each_dump(text.as_bytes(), |dump| all.push(String::from_utf8_lossy(dump).into_owned()));
            all
        };
        let hexdump = "\
00000000  74 68 65 20 71 75 69 63  6b 20 62 72 6f 77 6e 20  |the quick brown |
00000010  66 6f 78 0a                                       |fox.|
00000014
";
        assert_eq!(dumps(hexdump), ["the quick brown fox\n"]);
        let xxd = "\
see
00000000: 7468 6520 7175 6963 6b20 6272 6f77 6e20  the quick brown 
00000010: 666f 780a                                fox.
and
";
        assert_eq!(dumps(xxd), ["the quick brown fox\n"]);
        // Text that looks like bytes.
        let beside = "00000000: 6162 6364  abcd\n00000004: 6566  ef\n";
        assert_eq!(dumps(beside), ["abcdef"]);
        let od = "0000000 74 68 65 20 71 75 69 63 6b 20 62 72 6f 77 6e 20\r\n0000020 66 6f 78\r\n";
        assert_eq!(dumps(od), ["the quick brown fox"]);
        assert_eq!(dumps(&format!("{od}\n{xxd}")).len(), 2);
        for none in ["", "00000000  61 62  |ab|", "2026-11-23 10:00 ab\n2026-11-23 10:00 cd", "a b\nc d"] {
            assert_eq!(dumps(none), [""; 0], "{none}");
        }
    }
}
