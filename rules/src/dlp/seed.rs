//! BIP-39 seed phrases (spec: dlp §10).

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::text::lower_simple;

/// The word list of the standard, English, sorted.
const WORDS: &str = include_str!("../../builtin/bip39-english.txt");
/// Phrase lengths, in the order in which they are tried.
const LENGTHS: [usize; 5] = [12, 15, 18, 21, 24];

/// Settings of the detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedSettings {
    /// Shortest phrase looked for: 12, 15, 18, 21 or 24 words.
    pub min_words: usize,
    /// Whether the checksum must hold.
    pub verify_checksum: bool,
}

impl Default for SeedSettings {
    fn default() -> Self {
        SeedSettings { min_words: 12, verify_checksum: true }
    }
}

/// Index of a lower-case word in the list.
pub(super) fn word_index(word: &str) -> Option<u16> {
    static LIST: OnceLock<Vec<&'static str>> = OnceLock::new();
    if !(3..=8).contains(&word.len()) {
        return None;
    }
    let list = LIST.get_or_init(|| WORDS.lines().collect());
    list.binary_search(&word).ok().map(|i| i as u16)
}

/// Whether the text holds a phrase.
pub(super) fn detect(text: &str, settings: SeedSettings) -> bool {
    let separator = |c: char| matches!(c, '-' | '\t' | '\n' | '\x0c' | '\r' | ' ' | ',' | '|' | ';' | ':');
    let mut tokens: Vec<Option<u16>> = Vec::new();
    for piece in text.split(separator) {
        let lower: String = piece.chars().map(lower_simple).collect();
        let word = lower.trim();
        if !word.is_empty() {
            tokens.push(word_index(word));
        }
    }
    detect_tokens(&tokens, settings)
}

/// Whether a sequence of words (as indices; `None` for other words) holds a phrase.
pub(super) fn detect_tokens(tokens: &[Option<u16>], settings: SeedSettings) -> bool {
    for run in tokens.split(Option::is_none) {
        for length in LENGTHS.into_iter().filter(|&l| l >= settings.min_words && l <= run.len()) {
            if !settings.verify_checksum || run.windows(length).any(checksum_holds) {
                return true;
            }
        }
    }
    false
}

/// Checksum of a phrase whose words are all in the list.
fn checksum_holds(phrase: &[Option<u16>]) -> bool {
    let mut bits = [0u8; 33];
    for (i, index) in phrase.iter().enumerate() {
        let index = index.unwrap_or(0);
        for bit in 0..11 {
            if index >> (10 - bit) & 1 == 1 {
                let at = i * 11 + bit;
                bits[at / 8] |= 0x80 >> (at % 8);
            }
        }
    }
    let entropy_bytes = phrase.len() / 3 * 4;
    let check_bits = phrase.len() / 3;
    let hash = Sha256::digest(&bits[..entropy_bytes]);
    hash[0] >> (8 - check_bits) == bits[entropy_bytes] >> (8 - check_bits)
}
