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
        let is_noise = decode_short(text).is_some_and(|d| self.0.is_short_noise(&d));
        let base64 = !is_noise && consists_of(text, &BASE64);
        text.len() >= 2 && self.0.encoded_as(text, 0, base64)
    }
}

/// Up to 13 base64 digits decoded: up to nine bytes, with zeros after them. `None` for any other text.
pub(super) fn decode_short(text: &[u8]) -> Option<[u8; 9]> {
    if !(1..14).contains(&text.len()) {
        return None;
    }
    let mut bits = 0u128;
    for &b in text {
        bits = bits << 6 | u128::from(decode::base64_value(b)?);
    }
    let mut decoded = [0; 9];
    let length = text.len() * 6 / 8;
    let bytes = (bits << (128 - 6 * text.len())).to_be_bytes();
    decoded[..length].copy_from_slice(&bytes[..length]);
    Some(decoded)
}

impl Search<'_> {
    /// Whether nine bytes, fewer than any match has characters, are too few even if some become several characters, and are
    /// not encoded themselves.
    pub(super) fn is_short_noise(&self, decoded: &[u8; 9]) -> bool {
        const HIGH: u128 = 0x80_8080_8080_8080_8080 << 56;
        let mut padded = [0; 16];
        padded[..9].copy_from_slice(decoded);
        let bytes = u128::from_be_bytes(padded);
        let (high, second) = (bytes & HIGH, bytes << 1 & HIGH);
        // No byte that begins a character stands before one that goes on with it.
        if high & second & (high & !second) << 8 == 0 {
            return high != 0 && decoded.len() < self.s.kernel.min_chars();
        }
        let follows = |at: usize| decoded.get(at).is_some_and(|b| b & 0xC0 == 0x80);
        let most = (0..9).map(|at| match decoded[at] {
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
