//! Text that is written as numbers: what a `Buffer` or an `Uint8Array` of JavaScript becomes in JSON, and lists of character codes.
//!
//! Only rows of printable ASCII.

use std::ops::Range;

/// Shorter rows spell no credential.
const SHORTEST: usize = 12;
/// Longer rows of hardly anything but letters are measurements, and so are more letters than that beside each other in any row:
/// texts have spaces, keys have digits.
const LONGEST_WORD: usize = 64;

/// Most characters between two numbers of a text.
const MAX_BETWEEN: usize = 12;
/// Numbers of a row that something beside it may have made two shorter.
const NEARLY: usize = SHORTEST - 2;

/// The rows of some numbers that come one after the other.
#[derive(Debug, Default)]
pub struct Codes {
    /// Rows that were long enough, each with a line feed, and the one under way once it is.
    text: Vec<u8>,
    row: usize,
    /// The codes of a row that is not yet: most numbers are in none, and cost no more than a comparison.
    first: [u8; SHORTEST],
    count: usize,
}

impl Codes {
    /// The next number, as written: a valid one of JSON.
    ///
    /// What numbers come is not to be foreseen, so that no branch hangs on it.
    #[inline]
    pub fn number(&mut self, written: &[u8]) {
        let zero = u32::from(b'0');
        // A sign is below the digits: with one, the difference at last is out of range.
        let (code, is_whole) = match *written {
            [tens, ones] => (10 * u32::from(tens) + u32::from(ones), true),
            [hundreds, tens, ones] => {
                let code = 100 * u32::from(hundreds) + 10 * u32::from(tens) + u32::from(ones);
                (code.wrapping_sub(100 * zero), tens.is_ascii_digit())
            }
            _ => (0, false),
        };
        let code = code.wrapping_sub(11 * zero);
        let is_printable = is_whole & (code.wrapping_sub(u32::from(b' ')) <= u32::from(b'~' - b' '));
        match self.first.get_mut(self.count) {
            Some(next) => {
                *next = code as u8;
                self.count = (self.count + 1) * usize::from(is_printable);
            }
            None if is_printable => self.push(code as u8),
            None => self.end(),
        }
    }

    /// Something else than a number comes.
    #[inline]
    pub fn end(&mut self) {
        if self.count > 0 {
            self.end_row();
        }
    }

    #[inline]
    fn push(&mut self, code: u8) {
        if self.text.len() == self.row {
            self.text.extend(self.first);
        }
        self.text.push(code);
    }

    #[inline(never)]
    fn end_row(&mut self) {
        if std::mem::take(&mut self.count) < SHORTEST {
            return;
        }
        if self.text.len() == self.row {
            self.text.extend(self.first);
        }
        let row = self.text.split_off(self.row);
        let letters = row.iter().filter(|code| code.is_ascii_alphabetic()).count();
        if row.len() <= LONGEST_WORD || letters * 10 <= row.len() * 9 {
            for word in row.chunk_by(|a, b| a.is_ascii_alphabetic() == b.is_ascii_alphabetic()) {
                self.text.extend_from_slice(if word.len() > LONGEST_WORD { b"\n" } else { word });
            }
            self.text.push(b'\n');
        }
        self.row = self.text.len();
    }

    /// What the numbers spell: each row with a line feed behind it.
    #[must_use]
    pub fn spelled(mut self) -> Vec<u8> {
        self.end();
        self.text
    }
}

/// What the rows spell that lie in some of these places of a text, in order, or partly; and whether there are nearly as many numbers
/// in a row somewhere.
///
/// Between two numbers are up to [`MAX_BETWEEN`] blanks, commas, semicolons, brackets and quotes, and keys of objects.
pub(crate) fn spelled_by_codes(text: &[u8], places: impl Iterator<Item = Range<usize>>) -> (Vec<u8>, bool) {
    let (mut codes, mut nearly, mut done) = (Codes::default(), false, 0);
    for place in places {
        let (start, end) = (place.start.clamp(done, text.len()), place.end.min(text.len()));
        if end > done {
            let before = text[done..start].iter().rev().take_while(|byte| is_in_row(byte)).count();
            done = end + text[end..].iter().take_while(|byte| is_in_row(byte)).count();
            nearly |= rows_of(&text[start - before..done], &mut codes);
        }
    }
    (codes.spelled(), nearly)
}

fn is_between(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || b",;[](){}<>\"'".contains(byte)
}

fn is_in_row(byte: &u8) -> bool {
    byte.is_ascii_digit() || *byte == b':' || is_between(byte)
}

/// Whether there are [`NEARLY`] as many numbers in a row as one needs.
fn rows_of(text: &[u8], codes: &mut Codes) -> bool {
    let (mut nearly, mut end, mut at) = (false, 0, 0);
    while at < text.len() {
        if is_between(&text[at]) {
            at += 1;
            continue;
        }
        let word = &text[at..];
        let word = &word[..word.iter().position(is_between).unwrap_or(word.len())];
        // Typed arrays are objects.
        let is_key = at > 0 && matches!(text.get(at + word.len()..), Some([b'"', b':', ..]));
        if at - end > MAX_BETWEEN {
            codes.end();
        }
        // Behind a name or a path; neither fractions nor dates.
        let number = match word.iter().rposition(|byte| b"=:/".contains(byte)) {
            Some(at) if at == 0 || !word[at - 1].is_ascii_digit() => &word[at + 1..],
            _ => word,
        };
        if number.len() + 1 < word.len() {
            codes.end();
        }
        if !number.iter().all(u8::is_ascii_digit) {
            codes.end();
        } else if !is_key && !number.is_empty() {
            codes.number(number);
        }
        nearly |= codes.count >= NEARLY;
        at += word.len();
        end = at;
    }
    codes.end();
    nearly
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_printable_characters_are_read() {
        let numbers = |text: &str| {
            let mut codes = Codes::default();
            for word in text.split(' ') {
                match word {
                    "x" => codes.end(),
                    number => codes.number(number.as_bytes()),
                }
            }
            codes.end();
            String::from_utf8(codes.spelled()).expect("ASCII")
        };
        let twelve = "65 66 67 68 69 70 71 72 73 74 75 126";
        assert_eq!(numbers(twelve), "ABCDEFGHIJK~\n");
        assert_eq!(numbers("65 66 67 68 69 70 71 72 73 74 75"), "");
        let (half, spaces) = (["65"; LONGEST_WORD / 2 + 1].join(" "), ["32"; 20].join(" "));
        assert_eq!(numbers(&format!("{half} 45 {half}")), "");
        assert_eq!(numbers(&format!("{half} 45 {half} {spaces}")).len(), LONGEST_WORD + 24);
        let long = format!("{twelve} {half} {half} {spaces} {twelve}");
        assert_eq!(numbers(&long), format!("ABCDEFGHIJK~\n{}ABCDEFGHIJK~\n", " ".repeat(20)));
        for parted in ["x", "31", "127", "0", "-6", "-65", "6.5", "1.5", "1e2", "1E2", "165", "1065"] {
            assert_eq!(numbers(&format!("65 {parted} {twelve} {parted}")), "ABCDEFGHIJK~\n", "{parted}");
        }
    }

    #[test]
    fn rows_in_a_text_are_read_wherever_they_are_seen() {
        let code = |byte: &u8| byte.to_string();
        let row = |by: &str| b"hello, world".iter().map(code).collect::<Vec<_>>().join(by);
        let keys: Vec<String> =
            b"hello, world".iter().enumerate().map(|(at, code)| format!("\"{at}\":{code}")).collect();
        let rows = [
            row(","),
            row(", "),
            row("\",\""),
            row(",\r\n        "),
            keys.join(","),
            keys.join(",\n").replace(':', ": "),
        ];
        for row in rows {
            for (before, after) in [("bytes([", "])"), ("{\"d\":[", "]}"), ("", "")] {
                let text = format!("{before}{row}{after} and 1, 2, 3");
                let middle = text.len() / 2 - 4;
                for place in [0..text.len(), middle..middle + 1] {
                    let (spelled, nearly) = spelled_by_codes(text.as_bytes(), std::iter::once(place));
                    assert_eq!((&*spelled, nearly), (b"hello, world\n".as_slice(), true), "{text}");
                }
            }
        }
        for none in
            [row("."), row(":"), row("-"), row(&" ".repeat(13)), row(",")[4..].to_owned(), row(", x ")]
        {
            let (spelled, _) = spelled_by_codes(none.as_bytes(), std::iter::once(0..none.len()));
            assert_eq!(spelled, b"", "{none}");
        }
    }
}
