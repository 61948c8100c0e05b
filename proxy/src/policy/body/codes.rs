//! Text that is written as numbers: what a `Buffer` or an `Uint8Array` of JavaScript becomes in JSON, and lists of character codes.
//!
//! Only rows of printable ASCII. What parts the numbers (arrays, names of members) is left out, because typed arrays are objects.
//!
//! difference D-821

use super::strings::Strings;

/// Shorter rows spell no credential.
const SHORTEST: usize = 12;
/// Longer rows of hardly anything but letters are measurements, and so are more letters than that beside each other in any row:
/// texts have spaces, keys have digits.
const LONGEST_WORD: usize = 64;

/// The rows of one body.
#[derive(Default)]
pub(super) struct Codes {
    /// Rows that were long enough, each with a line feed, and the one under way once it is.
    text: Vec<u8>,
    row: usize,
    /// The codes of a row that is not yet: most numbers are in none, and cost no more than a comparison.
    first: [u8; SHORTEST],
    count: usize,
}

impl Codes {
    /// The next number, as written: valid in JSON.
    ///
    /// What numbers come is not to be foreseen, so that no branch hangs on it.
    #[inline]
    pub(super) fn number(&mut self, written: &[u8]) {
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
    pub(super) fn end(&mut self) {
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

    /// Adds what there was.
    pub(super) fn give(mut self, strings: &mut Strings<'_>) {
        self.end();
        if !self.text.is_empty() {
            strings.push_spelled(self.text);
        }
    }
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
            String::from_utf8(codes.text).expect("ASCII")
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
}
