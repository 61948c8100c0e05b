//! The escapes of JSON strings.

use std::ops::Range;

use super::class_masks;
use crate::scratch::Buffer;

/// What a JSON text holds that matters in strings, one bit a byte: bit `i` of word `n` is byte `64 * n + i`.
pub(crate) struct Marks {
    /// Quotes, control characters, and backslashes that begin an escape; but not `escapes` and the quotes in them.
    pub(crate) stops: Buffer<u64>,
    /// Backslashes that begin an escape of one character; none where there is no kernel.
    pub(crate) escapes: Buffer<u64>,
    /// There is nothing but ASCII.
    pub(crate) ascii: bool,
}

/// The bytes that end a plain stretch of a string, as nibble tables: one bit each for controls of either half, the quote and
/// the backslash.
const STOPS_LOW: [u8; 16] = [3, 3, 7, 3, 3, 3, 3, 3, 3, 3, 3, 3, 11, 3, 3, 3];
const STOPS_HIGH: [u8; 16] = [1, 2, 4, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

impl Marks {
    pub(crate) fn new(text: &[u8]) -> Marks {
        #[cfg(target_arch = "x86_64")]
        if super::wide::available() {
            let (mut stops, mut escapes) = (Buffer::new(), Buffer::new());
            // SAFETY: the kernels are available.
            let ascii = unsafe { x86::marks(text, &mut stops, &mut escapes) };
            return Marks { stops, escapes, ascii };
        }
        Marks::without_kernel(text)
    }

    /// The same without AVX-512.
    pub(crate) fn without_kernel(text: &[u8]) -> Marks {
        let mut stops = Buffer::new();
        class_masks(&STOPS_LOW, &STOPS_HIGH, text, &mut stops);
        Marks { stops, escapes: Buffer::empty(), ascii: text.is_ascii() }
    }

    /// Whether an escape that is no stop begins in a part of the text.
    pub(crate) fn escapes_in(&self, part: Range<usize>) -> bool {
        let (first, last) = (part.start / 64, part.end / 64);
        let Some(words) = self.escapes.get(first..=last) else { return false };
        let begins = u64::MAX << (part.start % 64);
        let ends = !(u64::MAX << (part.end % 64));
        match words {
            [word] => word & begins & ends != 0,
            [word, between @ .., end] => {
                word & begins | end & ends | between.iter().fold(0, |any, word| any | word) != 0
            }
            [] => false,
        }
    }
}

/// Appends a part of a text with the `escapes` of [`Marks`] that lie in it undone.
pub(crate) fn unescape(text: &[u8], part: Range<usize>, escapes: &[u64], out: &mut Vec<u8>) {
    #[cfg(target_arch = "x86_64")]
    if !escapes.is_empty() && super::wide::available() {
        // SAFETY: the kernels are available.
        return unsafe { x86::unescape(text, part, escapes, out) };
    }
    debug_assert!(escapes.is_empty());
    out.extend_from_slice(&text[part]);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::ops::Range;

    use super::super::wide::{load_at, table, write};

    /// What a backslash and the character behind it mean; 0 for what is no escape of one character.
    static MEANING: [u8; 128] = {
        let mut meaning = [0; 128];
        let pairs = [*b"\"\"", *b"\\\\", *b"//", *b"b\x08", *b"f\x0C", *b"n\n", *b"r\r", *b"t\t"];
        let mut i = 0;
        while i < pairs.len() {
            meaning[pairs[i][0] as usize] = pairs[i][1];
            i += 1;
        }
        meaning
    };

    /// Returns whether there is nothing but ASCII.
    ///
    /// # Safety
    /// The wide kernels must be available.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) unsafe fn marks(text: &[u8], stops: &mut Vec<u64>, escapes: &mut Vec<u64>) -> bool {
        const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
        let [quote, backslash, space] = [b'"', b'\\', b' '].map(|byte| _mm512_set1_epi8(byte as i8));
        let [low, up] = table(&MEANING);
        let blocks = text.len() / 64 + 1;
        stops.clear();
        escapes.clear();
        stops.reserve(blocks);
        escapes.reserve(blocks);
        // Whether the first byte of the next block is escaped.
        let mut next = 0;
        let mut wide = 0;
        for at in (0..blocks).map(|block| block * 64) {
            let (bytes, within) = load_at(text, at);
            wide |= _mm512_movepi8_mask(bytes);
            let (behind, follows) = load_at(text, at + 1);
            let quotes = _mm512_cmpeq_epi8_mask(bytes, quote);
            let backslashes = _mm512_cmpeq_epi8_mask(bytes, backslash);
            let controls = _mm512_mask_cmplt_epu8_mask(within, bytes, space);
            let meanings = _mm512_permutex2var_epi8(low, behind, up);
            let known = _mm512_test_epi8_mask(meanings, meanings) & !_mm512_movepi8_mask(behind) & follows;
            // Every other backslash of a row begins an escape. The difference has bits at its odd places if the row begins at one,
            // else at its even places, as far as the byte behind it (simdjson does the same).
            let first = backslashes & !next;
            let begun = (first << 1 | ODD).wrapping_sub(first) ^ ODD;
            let escape = begun & backslashes;
            let escaped = begun ^ (backslashes | next);
            // Not by `escape`, which would make each block wait for the one before it.
            next = match backslashes.leading_ones() {
                64 => next,
                row => u64::from(row & 1),
            };
            stops.push(quotes & !escaped | controls | escape & !known);
            escapes.push(escape & known);
        }
        wide == 0
    }

    /// # Safety
    /// The wide kernels must be available.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,popcnt")]
    pub(super) unsafe fn unescape(text: &[u8], part: Range<usize>, escapes: &[u64], out: &mut Vec<u8>) {
        let [low, up] = table(&MEANING);
        out.reserve(part.len() + 64);
        let mut length = out.len();
        let to = out.as_mut_ptr();
        // Whether the first byte of the next block is escaped.
        let mut next = 0;
        for at in part.clone().step_by(64) {
            let (bytes, within) = load_at(&text[..part.end], at);
            let word = |block: usize| u128::from(escapes.get(block).copied().unwrap_or(0));
            let escape = (word(at / 64 + 1) << 64 | word(at / 64)) >> (at % 64);
            let escape = escape as u64 & within;
            let meant = _mm512_mask2_permutex2var_epi8(low, bytes, escape << 1 | next, up);
            next = escape >> 63;
            // SAFETY: no block adds more than it has, so there is room for one more; what is counted is initialised.
            length += unsafe { write(meant, within & !escape, to.add(length)) };
        }
        // SAFETY: as many bytes were initialised, within what was reserved.
        unsafe { out.set_len(length) };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::json::Parser;

    proptest! {
        /// Events, and what strings mean, are the same with the kernel and without.
        #[test]
        fn strings_are_read_alike_with_the_kernel(
            pieces in prop::collection::vec(
                prop_oneof![
                    4 => "[ -~]{0,90}",
                    4 => r#"(\\\\["\\/bfnrt]){1,8}"#,
                    2 => r#"(\\\\){1,140}"#,
                    1 => r#"\\\\u[0-9a-fA-F]{3,4}"#,
                    1 => r#"\\\\[a-zé\\x00]"#,
                    1 => "é{1,9}",
                    2 => r#"["\\\\]"#,
                    2 => r#"",""#,
                ],
                0..12,
            ),
        ) {
            let text = format!("[\"{}\"]", pieces.concat());
            let read = |mut parser: Parser<'_>| {
                let mut events = Vec::new();
                loop {
                    let event = parser.next();
                    let mut meant = Vec::new();
                    if let Ok(Some(crate::json::Event::String(string))) = event {
                        parser.unescape_into(string, &mut meant);
                        prop_assert_eq!(&*string.decode(), &*String::from_utf8_lossy(&meant));
                    }
                    let goes_on = matches!(event, Ok(Some(_)));
                    events.push((format!("{event:?}"), meant));
                    if !goes_on {
                        return Ok(events);
                    }
                }
            };
            let with = read(Parser::new(text.as_bytes()))?;
            let without = read(Parser::without_kernel(text.as_bytes()))?;
            prop_assert_eq!(with, without, "{:?}", text);
            prop_assert_eq!(Parser::new(text.as_bytes()).is_ascii(), text.is_ascii(), "{:?}", text);
        }
    }
}
