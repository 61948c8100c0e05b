//! Hex digits in groups, as dumps and debuggers write bytes: `73 6b 2d`, `73:6b:2d`, `0x73, 0x6b`, `736b 2d61`, `["73","6b"]`.

use std::ops::Range;

use crate::decode::hex_value;

/// Fewer bytes are no credential.
const MIN_BYTES: usize = 10;
/// Longest text between two groups.
const MAX_BETWEEN: usize = 4;
/// Digits of the longest group. Longer ones are decoded by themselves.
const MAX_GROUP: usize = 16;

/// Gives the bytes of every row of groups that lies in some of these places, in order, or partly, to `found`.
///
/// A row has two and more groups of even length, with up to four characters that are neither letters nor digits between two of
/// them, and `0x` before a group at will. What begins escapes of other kinds ends a row, and
/// so does a slash, at which texts are cut. Only what is printable for [`MIN_BYTES`] in a row is given, and no row without a digit
/// above nine: columns of measurements are decimal.
pub(crate) fn each_row(
    text: &[u8],
    places: impl Iterator<Item = Range<usize>>,
    mut found: impl FnMut(&[u8]),
) {
    let mut done = 0;
    for place in places {
        let (start, end) = (place.start.clamp(done, text.len()), place.end.min(text.len()));
        if end > done {
            let before = reach(text[done..start].iter().rev());
            done = end + reach(text[end..].iter());
            rows_of(&text[start - before..done], &mut found);
        }
    }
}

/// How far rows may go, and then a word.
fn reach<'t>(bytes: impl Iterator<Item = &'t u8>) -> usize {
    let mut in_row = true;
    let goes_on = |byte: &&u8| {
        in_row &= byte.is_ascii_hexdigit()
            || matches!(byte, b'x' | b'X')
            || !byte.is_ascii_alphanumeric() && !parts_rows(byte);
        in_row || byte.is_ascii_alphanumeric()
    };
    bytes.take_while(goes_on).count()
}

fn parts_rows(byte: &u8) -> bool {
    !byte.is_ascii() || b"/=%\\".contains(byte)
}

fn rows_of(text: &[u8], found: &mut impl FnMut(&[u8])) {
    let mut row = Row::default();
    let (mut at, mut end) = (0, 0);
    while at < text.len() {
        if !text[at].is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let word = text[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let group = &text[at..at + word];
        let digits = group.strip_prefix(b"0x").or(group.strip_prefix(b"0X")).unwrap_or(group);
        let is_group = digits.len() <= MAX_GROUP
            && digits.len().is_multiple_of(2)
            && digits.iter().all(|&digit| hex_value(digit) < 16);
        let between = &text[end..at];
        if !is_group || between.len() > MAX_BETWEEN || between.iter().any(parts_rows) {
            row.end(found);
        }
        if is_group {
            row.bytes.extend(digits.chunks_exact(2).map(|pair| hex_value(pair[0]) << 4 | hex_value(pair[1])));
            row.groups += 1;
            row.is_decimal &= digits.iter().all(u8::is_ascii_digit);
        }
        at += word;
        end = at;
    }
    row.end(found);
}

struct Row {
    bytes: Vec<u8>,
    groups: usize,
    is_decimal: bool,
}

impl Default for Row {
    fn default() -> Self {
        Row { bytes: Vec::new(), groups: 0, is_decimal: true }
    }
}

impl Row {
    fn end(&mut self, found: &mut impl FnMut(&[u8])) {
        let mut printable = self.bytes.split(|byte| !matches!(byte, b' '..=b'~'));
        if self.groups > 1 && !self.is_decimal && printable.any(|part| part.len() >= MIN_BYTES) {
            found(&self.bytes);
        }
        self.bytes.clear();
        (self.groups, self.is_decimal) = (0, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_groups_are_read() {
        let rows = |text: &str| {
            let rows_at = |places: &[Range<usize>]| {
                let mut rows = Vec::new();
                let found = |row: &[u8]| rows.push(String::from_utf8_lossy(row).into_owned());
                each_row(text.as_bytes(), places.iter().cloned(), found);
                rows
            };
            let rows = rows_at(std::slice::from_ref(&(0..text.len())));
            let blocks: Vec<_> = (0..text.len()).step_by(8).map(|at| at..at + 16).collect();
            assert_eq!(rows_at(&blocks), rows, "{text}");
            if rows.len() == 1
                && let Some(inside) = text.find(" 6f").or(text.find("6f"))
            {
                assert_eq!(rows_at(std::slice::from_ref(&(inside..inside + 1))), rows, "{text}");
            }
            rows
        };
        let written = |between: &str, before: &str| {
            let bytes: Vec<String> =
                b"hello world".iter().map(|byte| format!("{before}{byte:02x}")).collect();
            bytes.join(between)
        };
        for between in [" ", ":", "-", ", ", "_", ".", "\",\"", "\", \"", "|"] {
            for before in ["", "0x"] {
                let text = format!("x {}; y", written(between, before));
                assert_eq!(rows(&text), ["hello world"], "{text}");
            }
        }
        assert_eq!(rows("6865 6c6c6f20 776f 726c64"), ["hello world"]);
        let two = format!("{} / {}", written(" ", ""), written(" ", ""));
        assert_eq!(rows(&two), ["hello world", "hello world"]);
        let none = [
            "68656c6c6f20776f726c64",
            "68 65 6c 6c 6f 20 77 6f 72",
            "68/65/6c/6c/6f/20/77/6f/72/6c/64",
            "=68=65=6c=6c=6f=20=77=6f=72=6c=64",
            "0b2f5c1e-8d1c-4a57-9f0e-3d0a6c1b7e21 2026-11-23 13:06:17",
            "12 34 56 78 90 12 34 56 78 90 12",
            "74, 70, 72, 76, 61, 62, 63, 64, 65, 66, 67, 68, 69",
            "",
        ];
        for text in none {
            assert_eq!(rows(text), [""; 0], "{text}");
        }
    }
}
