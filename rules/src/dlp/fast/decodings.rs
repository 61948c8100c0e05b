//! What is encoded in texts that are asked one after the other, as the parts of a URL are.

use super::*;

/// Whether undoing up to three encodings of whole texts may lead to a match of a rule or to a seed phrase: false is certain.
/// The texts are decoded as they are, one after the other.
pub struct Decodings<'s>(Search<'s>);

impl<'s> Decodings<'s> {
    pub(in super::super) fn new(s: &'s Scanner) -> Self {
        Decodings(Search::new(s))
    }

    /// Asks it of one text.
    pub fn may_hold(&mut self, text: &[u8]) -> bool {
        let is_noise = decode_short(text).is_some_and(|decoded| self.0.is_short_noise(decoded));
        let base64 = !is_noise && consists_of(text, &BASE64);
        text.len() >= 2 && self.0.encoded_as(text, 0, base64)
    }
}

/// Up to 13 base64 digits decoded: up to nine bytes, the first in the upper end, with zeros after them. `None` for any other
/// text.
pub(super) fn decode_short(text: &[u8]) -> Option<u128> {
    if !(1..14).contains(&text.len()) {
        return None;
    }
    let mut values = 0;
    let mut bits_of = |digits: &[u8]| {
        digits.iter().fold(0u64, |bits, &b| {
            let value = decode::base64_value_or_more(b);
            values |= value;
            bits << 6 | u64::from(value)
        })
    };
    let (first, last) = match text.split_first_chunk::<8>() {
        Some((first, last)) => (bits_of(first) << 16, last),
        None => (0, text),
    };
    let bits = u128::from(first) << 64 | u128::from(bits_of(last)) << (128 - 6 * text.len());
    let length = text.len() * 6 / 8;
    (values < 64).then_some(bits & !(u128::MAX >> (8 * length)))
}

impl Search<'_> {
    /// Whether nine bytes, fewer than any match has characters, are too few even if some become several characters, and are
    /// not encoded themselves.
    pub(super) fn is_short_noise(&self, decoded: u128) -> bool {
        const LENGTH: usize = 9;
        const HIGH: u128 = 0x80_8080_8080_8080_8080 << 56;
        let (high, second) = (decoded & HIGH, decoded << 1 & HIGH);
        // No byte that begins a character stands before one that goes on with it.
        if high & second & (high & !second) << 8 == 0 {
            return high != 0 && LENGTH < self.s.kernel.min_chars();
        }
        let decoded = &decoded.to_be_bytes()[..LENGTH];
        let follows = |at: usize| decoded.get(at).is_some_and(|b| b & 0xC0 == 0x80);
        let most = (0..LENGTH).map(|at| match decoded[at] {
            0xC2..=0xDF if follows(at + 1) => 3,
            0xE0..=0xF4 if follows(at + 1) && follows(at + 2) => 18,
            _ => 1,
        });
        !decoded.is_ascii() && most.sum::<usize>() < self.s.kernel.min_chars()
    }
}

impl std::fmt::Debug for Decodings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decodings(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::decode_short;
    use crate::decode;

    #[test]
    fn short_texts_decode_as_all_do() {
        let digits = b"A/z9xQmy47bT+0Wk";
        for len in 0..20 {
            for from in 0..16 {
                let mut text: Vec<u8> = (0..len).map(|at| digits[(from + at * 5 + at * at) % 16]).collect();
                let expected = decode::base64(&text).map(|decoded| decoded.bytes);
                let decoded = decode_short(&text).map(|bits| bits.to_be_bytes()[..len * 6 / 8].to_vec());
                // A single digit too many makes base64 fail, and is left out here.
                if len % 4 != 1 && len < 14 {
                    assert_eq!(decoded.filter(|bytes| !bytes.is_empty()), expected, "{text:?}");
                } else {
                    assert!(len == 0 || len >= 14 || decoded.is_some(), "{text:?}");
                }
                if let Some(last) = text.last_mut() {
                    *last = b'.';
                    assert_eq!(decode_short(&text), None, "{text:?}");
                }
            }
        }
    }
}
