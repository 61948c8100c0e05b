//! Checksums of word sequences, and how many of them one text is worth.
//!
//! Every place in a text of words of the list is checked in up to five lengths. A checksum of words put together at random
//! holds once in 16 to 256 times, so a text in which hundreds of different sequences all fail was made to cost time. In
//! hardened strictness such a text counts as one with a phrase.

use sha2::{Digest, Sha256};

use super::{LENGTHS, MAX_LENGTH, SeedSettings};
use crate::Strictness;

/// Checksums that would have held by chance, after which a text counts as made up, in parts of 256.
const LIMIT: u32 = 64 << 8;
/// Sequences that are remembered: repeated ones cost nothing.
const REMEMBERED: usize = 64;
/// Bits of a word.
const WORD: usize = 11;
/// Bytes of the longest phrase.
const BYTES: usize = (MAX_LENGTH * WORD).div_ceil(8);

/// The checks made for one text.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Checks {
    /// What is left of [`LIMIT`]; `None` for no limit.
    left: Option<u32>,
    exhausted: bool,
    /// Digests of sequences that failed, by their own low bits.
    failed: [u64; REMEMBERED],
}

impl Checks {
    /// As many as a scan makes.
    pub(in super::super) fn of(strictness: Strictness) -> Checks {
        match strictness {
            Strictness::Reference => Checks::unlimited(),
            Strictness::Hardened => Checks::limited(),
        }
    }

    pub(in super::super) fn unlimited() -> Checks {
        Checks { left: None, exhausted: false, failed: [0; REMEMBERED] }
    }

    pub(in super::super) fn limited() -> Checks {
        Checks { left: Some(LIMIT), ..Checks::unlimited() }
    }

    /// How much of the limit they took.
    pub(in super::super) fn spent(&self) -> u32 {
        self.left.map_or(0, |left| LIMIT - left)
    }

    /// Whether as many as were spent on several texts are more than are made for one.
    pub(in super::super) fn are_too_many(spent: u32) -> bool {
        spent >= LIMIT
    }

    /// Whether the answer was only that more checks than that are not made.
    pub(in super::super) fn exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether a sequence of words (as indices; `None` for other words) holds a phrase, or is not worth more checks.
    pub(super) fn phrase_in(&mut self, tokens: &[Option<u16>], settings: SeedSettings) -> bool {
        self.phrase_that(tokens, settings, |_| true)
    }

    /// The same of phrases of which `takes` is true.
    pub(super) fn phrase_that(
        &mut self,
        tokens: &[Option<u16>],
        settings: SeedSettings,
        takes: impl Fn(&[Option<u16>]) -> bool,
    ) -> bool {
        let lengths = || LENGTHS.into_iter().filter(|&length| length >= settings.min_words);
        let Some(shortest) = lengths().min() else { return false };
        for run in tokens.split(Option::is_none).filter(|run| run.len() >= shortest) {
            if !settings.verify_checksum {
                return true;
            }
            // Where the words that equal the one before the start end.
            let mut same = 0;
            for start in 0..=run.len() - shortest {
                let words = &run[start..run.len().min(start + MAX_LENGTH)];
                if start > 0 && words.len() == MAX_LENGTH {
                    let before = run[start - 1];
                    if same < start {
                        same = run[start..]
                            .iter()
                            .position(|&word| word != before)
                            .map_or(run.len(), |n| start + n);
                    }
                    if same >= start + MAX_LENGTH {
                        // The same words again.
                        continue;
                    }
                }
                let packed = pack(words);
                let digest = digest(&packed, words.len());
                let place = digest as usize % REMEMBERED;
                if self.failed[place] == digest {
                    continue;
                }
                self.failed[place] = digest;
                for length in lengths().filter(|&length| length <= words.len()) {
                    match holds(&packed, length) {
                        true if takes(&words[..length]) => return true,
                        true => self.failed[place] = 0,
                        false if self.spend(length) => return true,
                        false => {}
                    }
                }
            }
        }
        false
    }

    /// Takes one check off what is left; true when that was all.
    fn spend(&mut self, length: usize) -> bool {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(256 >> (length / 3));
            self.exhausted = *left == 0;
        }
        self.exhausted
    }
}

/// The words' bits in a row.
fn pack(words: &[Option<u16>]) -> [u8; BYTES] {
    let mut packed = [0; BYTES];
    let (mut bits, mut have, mut at) = (0u64, 0, 0);
    for word in words {
        bits = bits << WORD | u64::from(word.unwrap_or(0));
        have += WORD;
        while have >= 8 {
            have -= 8;
            packed[at] = (bits >> have) as u8;
            at += 1;
        }
    }
    if have > 0 {
        packed[at] = (bits << (8 - have)) as u8;
    }
    packed
}

/// A number that tells sequences apart, never 0.
fn digest(packed: &[u8; BYTES], words: usize) -> u64 {
    let mut digest = words as u64;
    for part in packed.chunks(8) {
        let part = part.iter().fold(0, |part, &b| part << 8 | u64::from(b));
        digest = (digest ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        digest ^= digest >> 29;
    }
    digest | 1 << 63
}

/// Checksum of the first words.
fn holds(packed: &[u8; BYTES], length: usize) -> bool {
    let (entropy, bits) = (length / 3 * 4, length / 3);
    let hash = Sha256::digest(&packed[..entropy]);
    hash[0] >> (8 - bits) == packed[entropy] >> (8 - bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_repeated_often_is_checked_as_often_as_in_the_longest_phrase() {
        for (word, other) in [(269, 7), (0, 2047), (5, 5)] {
            let tokens = |times: usize| -> Vec<Option<u16>> {
                [&[Some(other); 30][..], &vec![Some(word); times], &[Some(other); 3]].concat()
            };
            let settings = SeedSettings::default();
            let (mut few, mut many) = (Checks::limited(), Checks::limited());
            assert_eq!(few.phrase_in(&tokens(24), settings), many.phrase_in(&tokens(500), settings));
            assert_eq!(few, many);
        }
    }
}
