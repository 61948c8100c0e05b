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
/// Parts of 64 bits that hold the longest phrase, which ends within the first byte of the last one.
const PARTS: usize = (MAX_LENGTH * WORD).div_ceil(64);
const _: () = assert!(MAX_LENGTH * WORD % 64 == 8);

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
            // The words from the place before.
            let mut before = None;
            for start in 0..=run.len() - shortest {
                let words = &run[start..run.len().min(start + MAX_LENGTH)];
                if start > 0 && words.len() == MAX_LENGTH {
                    let last = run[start - 1];
                    if same < start {
                        same = run[start..]
                            .iter()
                            .position(|&word| word != last)
                            .map_or(run.len(), |n| start + n);
                    }
                    if same >= start + MAX_LENGTH {
                        // The same words again.
                        before = None;
                        continue;
                    }
                }
                let packed = match (before, words) {
                    (Some(before), [.., last]) if words.len() == MAX_LENGTH => next(before, *last),
                    _ => pack(words),
                };
                before = (words.len() == MAX_LENGTH).then_some(packed);
                let digest = digest(packed, words.len());
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

/// The words' bits in a row, from the highest one on. The last part has only the eighth of it that the longest phrase needs.
type Packed = [u64; PARTS];

fn pack(words: &[Option<u16>]) -> Packed {
    let mut packed = [0; PARTS];
    for (at, word) in words.iter().enumerate() {
        let (part, bit) = (at * WORD / 64, at * WORD % 64);
        let bits = u128::from(word.unwrap_or(0)) << (128 - WORD - bit);
        packed[part] |= (bits >> 64) as u64;
        if let Some(next) = packed.get_mut(part + 1) {
            *next |= bits as u64;
        }
    }
    packed
}

/// The bits of as many words as the longest phrase has, from those of the words that begin one place before.
fn next(before: Packed, last: Option<u16>) -> Packed {
    let mut packed = [0; PARTS];
    for (part, bits) in packed.iter_mut().enumerate() {
        let following = before.get(part + 1).copied().unwrap_or(0);
        *bits = before[part] << WORD | following >> (64 - WORD);
    }
    let end = MAX_LENGTH * WORD;
    let bits = u128::from(last.unwrap_or(0)) << (128 - WORD - (end - WORD) % 64);
    packed[(end - WORD) / 64] |= (bits >> 64) as u64;
    packed[end / 64] |= bits as u64;
    packed
}

/// A number that tells sequences apart, never 0.
fn digest(packed: Packed, words: usize) -> u64 {
    let [parts @ .., end] = packed;
    let mut digest = words as u64;
    for part in parts.into_iter().chain([end >> 56]) {
        digest = (digest ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        digest ^= digest >> 29;
    }
    digest | 1 << 63
}

/// Checksum of the first words.
fn holds(packed: &Packed, length: usize) -> bool {
    let (entropy, bits) = (length / 3 * 4, length / 3);
    let mut bytes = [0; 8 * PARTS];
    for (bytes, part) in bytes.chunks_exact_mut(8).zip(packed) {
        bytes.copy_from_slice(&part.to_be_bytes());
    }
    let hash = Sha256::digest(&bytes[..entropy]);
    hash[0] >> (8 - bits) == bytes[entropy] >> (8 - bits)
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

    #[test]
    fn words_one_place_on_are_packed_as_by_themselves() {
        let words: Vec<Option<u16>> = (0..200u16).map(|at| Some(at.wrapping_mul(40503) % 2048)).collect();
        for both in words.windows(MAX_LENGTH + 1) {
            let (before, after) = (&both[..MAX_LENGTH], &both[1..]);
            assert_eq!(next(pack(before), both[MAX_LENGTH]), pack(after));
        }
        let bits: String = words[..MAX_LENGTH].iter().map(|word| format!("{:011b}", word.unwrap())).collect();
        let packed: String = pack(&words[..MAX_LENGTH]).iter().map(|part| format!("{part:064b}")).collect();
        assert_eq!(packed[..bits.len()], bits);
    }
}
