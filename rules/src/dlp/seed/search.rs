//! Whether there are words of the list in a row at all.
//!
//! All words of the list have three to eight letters, so a run of letters of any other length ends every phrase. Prose
//! and code have one every few words; only stretches without one that are long enough for a phrase are looked at.

use super::super::fast::{Class, LANES, class_masks, words};
use super::words::{index, pack_word};
use super::{LENGTHS, MAX_LENGTH, MIN_PHRASE};
use crate::scratch::Buffer;

/// Letters as nibble tables: two upper halves for each case.
const LETTERS: Class = Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

/// What may stand between two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Between {
    /// The detector's separators (and what is no graphic character).
    Separators,
    /// Anything but letters.
    AnyPunctuation,
}

/// Whether a text may hold a phrase: false is certain.
pub(in super::super) fn possible(text: &[u8], min_words: usize, between: Between) -> bool {
    // Noise holds disguised letters by chance.
    written_in_ascii(text, min_words, between)
        || holds_disguised_letter(text) && {
            let mut plain = Buffer::new();
            undisguise(text, &mut plain);
            written_in_ascii(&plain, min_words, between)
        }
}

fn written_in_ascii(text: &[u8], min_words: usize, between: Between) -> bool {
    // Words with separators between them are words with anything between them.
    rows::<true>(text, min_words, |start, end| {
        between == Between::AnyPunctuation || may_be_separated(&text[start..end], min_words)
    })
}

/// The two characters whose lower case is an ASCII letter, and that letter: they could hide within a word.
const DISGUISED: [(&str, u8); 2] = [("\u{212A}", b'k'), ("\u{130}", b'i')];

/// Whether a text holds one of these characters.
pub(in super::super) fn holds_disguised_letter(text: &[u8]) -> bool {
    !text.is_ascii() && DISGUISED.iter().any(|(c, _)| memchr::memmem::find(text, c.as_bytes()).is_some())
}

fn undisguise(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&b, after)) = rest.split_first() {
        let disguised =
            DISGUISED.iter().find_map(|(c, letter)| Some((rest.strip_prefix(c.as_bytes())?, *letter)));
        let (after, letter) = disguised.unwrap_or((after, b));
        out.push(letter);
        rest = after;
    }
}

/// Calls `row(start, end)` for as many words of the list in a row or more, with anything but letters between them, wherever
/// they are enough for a phrase, until it returns true; returns whether it did.
pub(super) fn each_row(text: &[u8], min_words: usize, row: impl FnMut(usize, usize) -> bool) -> bool {
    rows::<false>(text, min_words, row)
}

/// The same; with `BEGINNING` also for as many of the words of a row as there must be.
fn rows<const BEGINNING: bool>(
    text: &[u8],
    min_words: usize,
    mut row: impl FnMut(usize, usize) -> bool,
) -> bool {
    if text.len() < MIN_PHRASE {
        return false;
    }
    let mut letters = Buffer::new();
    class_masks(&LETTERS.low, &LETTERS.high, text, &mut letters);
    each_stretch(&letters, &[], text.len(), |Stretch { from, to, runs, .. }| {
        runs >= min_words && rows_in::<BEGINNING>(text, &letters, from, to, min_words, &mut row)
    })
}

/// Bytes that can become a phrase: no character becomes more of ASCII than four thirds of its bytes.
pub(in super::super) const MIN_FOLDED: usize = (MIN_PHRASE * 3).div_ceil(4);

/// Whether a text, normalised for seed phrases, holds enough words of the list with anything but letters between them.
/// `letters` are its letters, and `others` what the normalisation does not leave as it is.
pub(in super::super) fn may_hold(text: &[u8], letters: &[u64], others: &[u64], min_words: usize) -> bool {
    each_stretch(letters, others, text.len(), |Stretch { from, to, runs, mixed }| match mixed {
        false => runs >= min_words && rows_in::<true>(text, letters, from, to, min_words, &mut |_, _| true),
        // What begins and ends with a letter is normalised alike wherever it stands.
        true => {
            to - from >= MIN_FOLDED && {
                let (part, mut buffer) = (&text[from..to], Buffer::new());
                let norm = crate::text::norm_match_quick(part, &mut buffer).unwrap_or(part);
                possible(norm, min_words, Between::AnyPunctuation)
            }
        }
    })
}

/// A part of a text between runs of letters that no word of the list has.
struct Stretch {
    from: usize,
    to: usize,
    /// Its runs of letters.
    runs: usize,
    /// There is something in it that the normalisation does not leave as it is.
    mixed: bool,
}

/// Calls `look` for every stretch that is long enough for a phrase, until it returns true; returns whether it did.
#[inline]
fn each_stretch(
    letters: &[u64],
    others: &[u64],
    length: usize,
    mut look: impl FnMut(Stretch) -> bool,
) -> bool {
    // No two set bits of a word without one of these in between are a phrase apart.
    const MIDDLE: u64 = ((1 << MIN_PHRASE) - 1) & !((1 << (64 - MIN_PHRASE)) - 1);
    // Runs of letters in the shortest phrase.
    const MIN_RUNS: usize = LENGTHS[0];
    let mut from = 0;
    // Of the text since `from`: its runs of letters, and whether there is anything that the normalisation changes.
    let (mut runs, mut mixed) = (0, false);
    let mut found = [[0; LANES]; 2];
    for block in 0..letters.len() {
        if block % LANES == 0 {
            words(letters, others, block, &mut found);
        }
        let (starts, barriers) = (found[0][block % LANES], found[1][block % LANES]);
        let other = others.get(block).copied().unwrap_or(0);
        if barriers == 0 {
            runs += starts.count_ones() as usize;
            mixed |= other != 0;
            continue;
        }
        let base = block * 64;
        let first = barriers.trailing_zeros();
        let below = (1 << first) - 1;
        runs += (starts & below).count_ones() as usize;
        mixed |= other & below != 0;
        let to = base + first as usize;
        if (mixed || runs >= MIN_RUNS) && look(Stretch { from, to, runs, mixed }) {
            return true;
        }
        from = to;
        if other != 0 || barriers & MIDDLE == 0 {
            let mut rest = barriers & (barriers - 1);
            while rest != 0 {
                let to = base + rest.trailing_zeros() as usize;
                rest &= rest - 1;
                if to - from >= MIN_FOLDED {
                    let within = u64::MAX >> (64 - (to - from)) << (from - base);
                    let runs = (starts & within).count_ones() as usize;
                    if look(Stretch { from, to, runs, mixed: other & within != 0 }) {
                        return true;
                    }
                }
                from = to;
            }
        }
        from = base + 63 - barriers.leading_zeros() as usize;
        let above = u64::MAX << (from - base);
        runs = (starts & above).count_ones() as usize;
        mixed = other & above != 0;
    }
    look(Stretch { from, to: length, runs, mixed })
}

/// Runs whose places are remembered: more than a phrase has words.
const REMEMBERED: usize = 32;
const _: () = assert!(REMEMBERED > MAX_LENGTH);

/// Calls `row` for the rows of words, of those that begin in a part of a text. Looks at one of as many runs of letters as
/// there must be words; only where that is a word, at those around it. See [`rows`].
fn rows_in<const BEGINNING: bool>(
    text: &[u8],
    letters: &[u64],
    from: usize,
    to: usize,
    min_words: usize,
    row: &mut impl FnMut(usize, usize) -> bool,
) -> bool {
    let min_words = min_words.clamp(1, MAX_LENGTH);
    // Where the word at a position ends.
    let word = |start: usize| {
        let (block, shift) = (start / 64, start % 64);
        let next = letters.get(block + 1).copied().unwrap_or(0);
        let run = ((u128::from(next) << 64 | u128::from(letters[block])) >> shift) as u64;
        let length = run.trailing_ones() as usize;
        ((3..=8).contains(&length) && index(pack_word(&text[start..], length)).is_some())
            .then_some(start + length)
    };
    let mut places = [0; REMEMBERED];
    // Runs up to `known` were looked at or are of no use, and `wanted` is looked at next.
    let (mut known, mut wanted) = (0, min_words - 1);
    // The row that goes on.
    let mut open: Option<(usize, usize)> = None;
    let mut number = 0;
    let mut last = 0;
    for (block, &here) in letters.iter().enumerate().take(to.div_ceil(64)).skip(from / 64) {
        let mut starts = here & !(here << 1 | last >> 63);
        last = here;
        if block == from / 64 {
            starts &= u64::MAX << (from % 64);
        }
        if to - block * 64 < 64 {
            starts &= (1 << (to % 64)) - 1;
        }
        while starts != 0 {
            let start = block * 64 + starts.trailing_zeros() as usize;
            starts &= starts - 1;
            places[number % REMEMBERED] = start;
            number += 1;
            if let Some((first, end)) = open {
                if let Some(end) = word(start) {
                    open = Some((first, end));
                    continue;
                }
                if row(first, end) {
                    return true;
                }
                (open, known, wanted) = (None, number, number + min_words - 1);
            }
            if number <= wanted {
                continue;
            }
            let other = (known..=wanted).rev().find(|&run| word(places[run % REMEMBERED]).is_none());
            known = number;
            match other {
                Some(other) => wanted = other + min_words,
                None => {
                    let first = places[(number - min_words) % REMEMBERED];
                    open = word(start).map(|end| (first, end));
                    if BEGINNING && open.is_some_and(|(first, end)| row(first, end)) {
                        return true;
                    }
                }
            }
        }
    }
    open.is_some_and(|(first, end)| row(first, end))
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

#[inline]
fn separates(b: u8) -> bool {
    KIND[usize::from(b)] == 0
}

/// The word of the list around `at`, as its range; `at` must not be a separator.
fn word_around(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut start = at;
    while start > 0 && !separates(text[start - 1]) {
        start -= 1;
        if at - start > 8 {
            return None;
        }
    }
    let mut end = start;
    while let Some(&b) = text.get(end).filter(|&&b| !separates(b)) {
        if KIND[usize::from(b)] != 1 || end - start == 8 {
            return None;
        }
        end += 1;
    }
    if end - start < 3 {
        return None;
    }
    index(pack_word(&text[start..], end - start)).map(|_| (start, end))
}

/// Distance of the probes: a phrase of twelve words of three letters has 47 bytes and cannot slip between.
const STRIDE: usize = 40;

/// Whether there are so many words of the list with nothing but separators between them. Looks at one word in forty bytes;
/// only where that is on the list, at its neighbours.
fn may_be_separated(text: &[u8], min_words: usize) -> bool {
    let mut at = 0;
    // Nothing before this position belongs to a phrase that is still possible.
    let mut floor = 0;
    while let Some(letter) = text.get(at..).and_then(|t| t.iter().position(u8::is_ascii_alphabetic)) {
        at += letter;
        let Some((mut start, mut end)) = word_around(text, at) else {
            floor = at + 1;
            at += STRIDE;
            continue;
        };
        let mut count = 1;
        while count < min_words {
            let Some(before) = (floor..start).rev().find(|&i| !separates(text[i])) else { break };
            let Some((s, _)) = word_around(text, before) else { break };
            start = s;
            count += 1;
        }
        while count < min_words {
            let Some(after) = (end..text.len()).find(|&i| !separates(text[i])) else { break };
            match word_around(text, after) {
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

/// Texts up to this length are too short for vectors to pay, bytes.
const SHORT: usize = 256;

/// Whether fewer than `most` runs of letters are words of the list.
pub(in super::super) fn has_few_words(text: &[u8], most: usize) -> bool {
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
    let mut letters = Buffer::new();
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
            let bit = starts.trailing_zeros();
            starts &= starts - 1;
            let length = ((wide >> bit) as u64).trailing_ones() as usize;
            count += usize::from(index(pack_word(&text[block * 64 + bit as usize..], length)).is_some());
            if count >= most {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::index_any_case;
    use super::*;

    /// Rows by looking at one run of letters after the other.
    fn rows_one_by_one(text: &str, min_words: usize) -> Vec<(usize, usize)> {
        let (mut rows, mut row) = (Vec::new(), Vec::new());
        let mut end_row = |row: &mut Vec<(usize, usize)>| {
            if let (Some(first), Some(last)) = (row.first(), row.last())
                && row.len() >= min_words
            {
                rows.push((first.0, last.1));
            }
            row.clear();
        };
        let mut at = 0;
        while at < text.len() {
            let length = text.as_bytes()[at..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
            if index_any_case(&text.as_bytes()[at..at + length]).is_some() {
                row.push((at, at + length));
            } else if length > 0 {
                end_row(&mut row);
            }
            at += length.max(1);
        }
        end_row(&mut row);
        rows
    }

    fn text() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            40 => select(vec!["zoo", "wrong", "ABLE", "abandon", "Universe"]).prop_map(str::to_owned),
            1 => "[a-z]{1,12}",
        ];
        let gap = prop_oneof![20 => "[ ,.0-9\n]{1,4}", 1 => "[ ,.0-9\n]{60,200}"];
        proptest::collection::vec((word, gap), 0..90)
            .prop_map(|parts| parts.into_iter().flat_map(|(word, gap)| [word, gap]).collect())
    }

    proptest! {
        #[test]
        fn rows_are_those_of_neighbouring_words(text in text(), min_words in select(LENGTHS.to_vec())) {
            let mut rows = Vec::new();
            each_row(text.as_bytes(), min_words, |start, end| {
                rows.push((start, end));
                false
            });
            prop_assert_eq!(&rows, &rows_one_by_one(&text, min_words), "{:?}", text);
            prop_assert_eq!(possible(text.as_bytes(), min_words, Between::AnyPunctuation), !rows.is_empty());
        }
    }
}
