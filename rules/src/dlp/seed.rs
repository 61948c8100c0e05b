//! BIP-39 seed phrases (spec: dlp §10).

use std::sync::OnceLock;

use super::fast::{Class, class_masks};
use crate::text::lower_simple;

mod checks;

pub(super) use checks::Checks;

/// Shortest text that holds a seed phrase, bytes: twelve words of three letters.
pub(super) const MIN_PHRASE: usize = 47;

/// The word list of the standard, English, sorted.
const WORDS: &str = include_str!("../../builtin/bip39-english.txt");
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
    index_any_case(word)
}

/// Index of a word in the list, whatever the case of its letters.
fn index_any_case(word: &str) -> Option<u16> {
    if !(3..=8).contains(&word.len()) || !word.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let packed = word.bytes().fold(0, |acc, b| acc << 8 | u64::from(b | 0x20));
    find(packed_words(), packed).map(|place| packed_words().index[place])
}

/// Texts up to this length are too short for vectors to pay, bytes.
const SHORT: usize = 256;

/// Whether fewer than `most` runs of letters are words of the list.
pub(super) fn has_few_words(text: &[u8], most: usize) -> bool {
    if text.len() <= SHORT {
        let (mut runs, mut length) = (0, 0);
        for &b in text {
            runs += usize::from(KIND[usize::from(b)] == 1 && length == 2);
            length = if KIND[usize::from(b)] == 1 { length + 1 } else { 0 };
        }
        if runs < most {
            return true;
        }
    }
    let (words, mut letters) = (packed_words(), crate::scratch::Buffer::new());
    class_masks(&LETTERS.low, &LETTERS.high, text, &mut letters);
    let (mut count, mut last) = (0, 0);
    for (block, &here) in letters.iter().enumerate() {
        let next = letters.get(block + 1).copied().unwrap_or(0);
        let wide = u128::from(next) << 64 | u128::from(here);
        let (two, before) = (wide & wide >> 1, here << 1 | last >> 63);
        let four = two & two >> 2;
        let (three, nine) = (two & wide >> 2, four & four >> 4 & wide >> 8);
        // Runs of three to eight letters.
        let mut starts = here & !before & three as u64 & !(nine as u64);
        last = here;
        while starts != 0 {
            let start = block * 64 + starts.trailing_zeros() as usize;
            starts &= starts - 1;
            let run = text[start..].iter().take_while(|b| b.is_ascii_alphabetic());
            let packed = run.fold(0, |packed, b| packed << 8 | u64::from(b | 0x20));
            count += usize::from(find(words, packed).is_some());
            if count >= most {
                return false;
            }
        }
    }
    true
}

/// Whether the text holds a phrase.
pub(super) fn detect(text: &str, settings: SeedSettings) -> bool {
    detect_within(text, settings, &mut Checks::unlimited())
}

/// The same with a limit to what it costs.
pub(super) fn detect_within(text: &str, settings: SeedSettings, checks: &mut Checks) -> bool {
    let separator = |c: char| matches!(c, '-' | '\t' | '\n' | '\x0c' | '\r' | ' ' | ',' | '|' | ';' | ':');
    let mut tokens: Vec<Option<u16>> = Vec::new();
    for piece in text.split(separator) {
        if piece.is_ascii() {
            let word = piece.trim();
            if !word.is_empty() {
                tokens.push(index_any_case(word));
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

/// Like [`detect`], but the words are the runs of ASCII letters, with up to eight other characters between two.
pub(super) fn detect_punctuated(text: &str, settings: SeedSettings, checks: &mut Checks) -> bool {
    let bytes = text.as_bytes();
    let mut tokens: Vec<Option<u16>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let gap = bytes[at..].iter().take_while(|b| !b.is_ascii_alphabetic()).count();
        if gap > 8 {
            tokens.push(None);
        }
        at += gap;
        let len = bytes[at..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
        if len > 0 {
            tokens.push(index_any_case(&text[at..at + len]));
        }
        at += len;
    }
    drop_word_list(&mut tokens);
    checks.phrase_in(&tokens, settings)
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

/// The list as a hash table.
struct Packed {
    /// Words of up to eight bytes, packed big-endian; 0 is an empty place.
    words: [u64; TABLE],
    /// Their indices in the list.
    index: [u16; TABLE],
}

/// Where a packed word is in the table.
#[inline]
fn find(table: &Packed, packed: u64) -> Option<usize> {
    let mut place = place(packed);
    while table.words[place] != 0 {
        if table.words[place] == packed {
            return Some(place);
        }
        place = (place + 1) % TABLE;
    }
    None
}

fn packed_words() -> &'static Packed {
    static PACKED: OnceLock<Box<Packed>> = OnceLock::new();
    PACKED.get_or_init(|| {
        let mut table = Box::new(Packed { words: [0; TABLE], index: [0; TABLE] });
        for (index, word) in (0..).zip(WORDS.lines()) {
            let packed = word.bytes().fold(0, |acc, b| acc << 8 | u64::from(b));
            let mut at = place(packed);
            while table.words[at] != 0 {
                at = (at + 1) % TABLE;
            }
            table.words[at] = packed;
            table.index[at] = index;
        }
        table
    })
}

const TABLE: usize = 8192;

fn place(packed: u64) -> usize {
    (packed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 51) as usize
}

/// What a byte is to the search: 0 may stand between two words, 1 is a letter, 2 is anything else. More than the
/// detector's separators are 0: a superset finds more only.
const KIND: [u8; 256] = {
    let mut kind = [0u8; 256];
    let mut b = 0x21;
    while b < 0x7f {
        kind[b] = match b as u8 {
            b'-' | b',' | b'|' | b';' | b':' => 0,
            b'a'..=b'z' | b'A'..=b'Z' => 1,
            _ => 2,
        };
        b += 1;
    }
    kind
};

/// What may stand between two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    /// The detector's separators (and what is no graphic character).
    Separators,
    /// Anything but letters.
    AnyPunctuation,
}

impl Between {
    #[inline]
    fn separates(self, b: u8) -> bool {
        match self {
            Between::Separators => KIND[usize::from(b)] == 0,
            Between::AnyPunctuation => KIND[usize::from(b)] != 1,
        }
    }
}

/// The word of the list around `at`, as its range; `at` must not be a separator.
fn word_around(text: &[u8], at: usize, words: &Packed, between: Between) -> Option<(usize, usize)> {
    let mut start = at;
    while start > 0 && !between.separates(text[start - 1]) {
        start -= 1;
        if at - start > 8 {
            return None;
        }
    }
    let mut packed = 0u64;
    let mut end = start;
    while let Some(&b) = text.get(end).filter(|&&b| !between.separates(b)) {
        if KIND[usize::from(b)] != 1 || end - start == 8 {
            return None;
        }
        packed = packed << 8 | u64::from(b | 0x20);
        end += 1;
    }
    find(words, packed).map(|_| (start, end))
}

/// Distance of the probes: a phrase of twelve words of three letters has 47 bytes and cannot slip between.
const STRIDE: usize = 40;

/// Letters as nibble tables: two upper halves for each case.
const LETTERS: Class = Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

/// Whether a text may hold a phrase: false is certain.
///
/// All words of the list have three to eight letters, so a run of letters of any other length ends every phrase. Prose
/// and code have one every few words; only stretches without one that are long enough for a phrase are looked at.
pub(super) fn possible(text: &[u8], min_words: usize, between: Between) -> bool {
    if text.len() >= MIN_PHRASE {
        let mut letters = crate::scratch::Buffer::new();
        class_masks(&LETTERS.low, &LETTERS.high, text, &mut letters);
        if may_be_in_stretches(text, &letters, min_words, between) {
            return true;
        }
    }
    // Two characters whose lower case is an ASCII letter could hide within a word.
    !text.is_ascii()
        && (memchr::memmem::find(text, "\u{212A}".as_bytes()).is_some()
            || memchr::memmem::find(text, "\u{130}".as_bytes()).is_some())
}

fn may_be_in_stretches(text: &[u8], letters: &[u64], min_words: usize, between: Between) -> bool {
    // No two set bits of a word without one of these in between are a phrase apart.
    const MIDDLE: u64 = ((1 << MIN_PHRASE) - 1) & !((1 << (64 - MIN_PHRASE)) - 1);
    let mut from = 0;
    let mut last = 0u64;
    // Runs of letters since `from`.
    let mut runs = 0;
    for (block, &here) in letters.iter().enumerate() {
        let next = letters.get(block + 1).copied().unwrap_or(0);
        let wide = u128::from(next) << 64 | u128::from(here);
        let starts = here & !(here << 1 | last >> 63);
        last = here;
        let two = wide & wide >> 1;
        let four = two & two >> 2;
        let nine = four & four >> 4 & wide >> 8;
        let three = two & wide >> 2;
        let barriers = starts & (nine as u64 | !(three as u64));
        if barriers == 0 {
            runs += starts.count_ones() as usize;
            continue;
        }
        let base = block * 64;
        let first = base + barriers.trailing_zeros() as usize;
        runs += (starts & ((barriers & barriers.wrapping_neg()) - 1)).count_ones() as usize;
        if runs >= min_words && may_be_in(&text[from..first], min_words, between) {
            return true;
        }
        from = first;
        if barriers & MIDDLE == 0 {
            let mut rest = barriers & (barriers - 1);
            while rest != 0 {
                let to = base + rest.trailing_zeros() as usize;
                rest &= rest - 1;
                if to - from >= MIN_PHRASE && may_be_in(&text[from..to], min_words, between) {
                    return true;
                }
                from = to;
            }
        }
        from = base + 63 - barriers.leading_zeros() as usize;
        runs = (starts >> (from - base)).count_ones() as usize;
    }
    runs >= min_words && may_be_in(&text[from..], min_words, between)
}

/// Looks at one word in forty bytes; only where that is on the list, at its neighbours.
fn may_be_in(text: &[u8], min_words: usize, between: Between) -> bool {
    let words = packed_words();
    let mut at = 0;
    // Nothing before this position belongs to a phrase that is still possible.
    let mut floor = 0;
    while let Some(letter) = text.get(at..).and_then(|t| t.iter().position(u8::is_ascii_alphabetic)) {
        at += letter;
        let Some((mut start, mut end)) = word_around(text, at, words, between) else {
            floor = at + 1;
            at += STRIDE;
            continue;
        };
        let mut count = 1;
        while count < min_words {
            let Some(before) = (floor..start).rev().find(|&i| !between.separates(text[i])) else { break };
            let Some((s, _)) = word_around(text, before, words, between) else { break };
            start = s;
            count += 1;
        }
        while count < min_words {
            let Some(after) = (end..text.len()).find(|&i| !between.separates(text[i])) else { break };
            match word_around(text, after, words, between) {
                Some((_, e)) => end = e,
                None => break,
            }
            count += 1;
        }
        if count >= min_words {
            return true;
        }
        floor = end;
        at = end + STRIDE;
    }
    false
}
