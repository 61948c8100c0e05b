//! BIP-39 seed phrases (spec: dlp §10).

use crate::text::{lossy, lower_simple};

mod checks;
mod search;
mod words;

pub(super) use checks::Checks;
pub(super) use search::{Between, MIN_FOLDED, has_few_words, holds_disguised_letter, may_hold, possible};
use words::pack_word;

/// Shortest text that holds a seed phrase, bytes: twelve words of three letters.
pub(super) const MIN_PHRASE: usize = 47;

/// Phrase lengths, in the order in which they are tried.
const LENGTHS: [usize; 5] = [12, 15, 18, 21, MAX_LENGTH];
const MAX_LENGTH: usize = 24;

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
    if word.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    index_any_case(word.as_bytes())
}

/// Index of a word in the list, whatever the case of its letters.
fn index_any_case(word: &[u8]) -> Option<u16> {
    if !(3..=8).contains(&word.len()) || !word.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    words::index(pack_word(word, word.len()))
}

/// Whether the text holds a phrase.
pub(super) fn detect(text: &str, settings: SeedSettings) -> bool {
    detect_within(text, settings, &mut Checks::unlimited())
}

/// The same with a limit to what it costs.
pub(super) fn detect_within(text: &str, settings: SeedSettings, checks: &mut Checks) -> bool {
    let mut tokens: Vec<Option<u16>> = Vec::new();
    // Names of members come many times in a row.
    let (mut last, mut index) = ("", None);
    for piece in text.split(separates) {
        if piece.is_ascii() {
            let word = piece.trim();
            if !word.is_empty() {
                if word != last {
                    (last, index) = (word, index_any_case(word.as_bytes()));
                }
                tokens.push(index);
            }
            continue;
        }
        let lower: String = piece.chars().map(lower_simple).collect();
        let word = lower.trim();
        if !word.is_empty() {
            tokens.push(word_index(word));
        }
    }
    checks.phrase_in(&tokens, settings)
}

fn separates(c: char) -> bool {
    matches!(c, '-' | '\t' | '\n' | '\x0c' | '\r' | ' ' | ',' | '|' | ';' | ':')
}

/// [`detect_within`] of a text without disguised letters, which looks only at rows of words and at what touches them.
pub(super) fn detect_in_rows(text: &[u8], settings: SeedSettings, checks: &mut Checks) -> bool {
    // With more characters at it, it is no word.
    const LONGEST: usize = 9;
    let touching = |b: &&u8| !separates(char::from(**b));
    search::each_row(text, settings.min_words, |start, end| {
        let before = text[..start].iter().rev().take(LONGEST).take_while(touching).count();
        let after = text[end..].iter().take(LONGEST).take_while(touching).count();
        detect_within(&lossy(&text[start - before..end + after]), settings, checks)
    })
}

/// Like [`detect`], but the words are the runs of ASCII letters, with up to eight other characters between two.
pub(super) fn detect_punctuated(text: &[u8], settings: SeedSettings, checks: &mut Checks) -> bool {
    let mut tokens: Vec<Option<u16>> = Vec::new();
    // Other words end every sequence.
    search::each_row(text, settings.min_words, |start, end| {
        tokens.clear();
        let mut at = start;
        while at < end {
            let gap = text[at..end].iter().take_while(|b| !b.is_ascii_alphabetic()).count();
            if gap > 8 {
                tokens.push(None);
            }
            at += gap;
            let len = text[at..end].iter().take_while(|b| b.is_ascii_alphabetic()).count();
            if len > 0 {
                tokens.push(index_any_case(&text[at..at + len]));
            }
            at += len;
        }
        drop_word_list(&mut tokens);
        checks.phrase_that(&tokens, settings, |words| !has_refrain(words))
    })
}

/// Whether words come again, as in names of members (`"input_token"`, `"output_token"`) and in lists of these: more than one of
/// each twelve. Of random phrases not one in a thousand is such. One word again and again before the last is the phrase of many
/// examples.
fn has_refrain(words: &[Option<u16>]) -> bool {
    let again = |at: &usize| words[..*at].contains(&words[*at]);
    (0..words.len()).filter(again).count() > words.len() / LENGTHS[0]
        && words.iter().take(words.len() - 1).any(|word| *word != words[0])
}

/// Takes out stretches of the word list itself: four words that follow each other there are source code, not a phrase.
fn drop_word_list(tokens: &mut [Option<u16>]) {
    let follows = |a: Option<u16>, b: Option<u16>| matches!((a, b), (Some(a), Some(b)) if b == a + 1);
    let listed: Vec<usize> = (0..tokens.len().saturating_sub(3))
        .filter(|&i| (i..i + 3).all(|j| follows(tokens[j], tokens[j + 1])))
        .collect();
    for start in listed {
        tokens[start..start + 4].fill(None);
    }
}
