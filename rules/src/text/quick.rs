//! The normalisation in one pass.
//!
//! Steps 1 to 5 of the specification act on each character alone, but for one thing: composition (step 3) may join a
//! letter with the marks after it, and then a look-alike is not mapped (step 4). So every character's result is looked
//! up in a table (`characters`); a mark after an ASCII letter is dropped, as the steps would do in the end; and where a
//! mark that may compose follows anything else, the letter and its marks are composed (`segment`).

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfkc_quick};

use crate::dlp::vector::{compresses, fold, printable, printable_by_words, without_replacements};
use crate::scratch::Buffer;

mod characters;
mod segment;

pub(crate) use characters::is_unseen;
use characters::{Entry, Sort, entry, letters, text};
use segment::Segment;

/// Which of the two normalisations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// For rules: all white space but U+0020 goes.
    Dlp,
    /// For seed phrases: tab, LF and CR stay, other spaces become U+0020.
    Match,
    /// What both can be told from: tab, LF and CR stay, other spaces become [`GAP`].
    Both,
}

/// Stands for white space that goes or becomes U+0020.
pub(super) const GAP: u8 = 0;

/// What a normalised text is like.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    /// It is certainly its own normalisation, and stays so when any characters are taken out of it.
    pub(crate) settled: bool,
    /// It may hold characters without a glyph.
    pub(crate) unseen: bool,
    /// It may hold characters that the search for instructions reads in another way.
    pub(crate) special: bool,
    /// Characters may have been removed before any other step.
    pub(crate) gone: bool,
    /// What becomes of some character may depend on those beside it.
    pub(crate) composed: bool,
    /// Marks may compose across white space that one of the normalisations removes.
    pub(super) torn: bool,
}

/// Whether a character stays as it is, whatever stands around it.
pub(super) fn keeps(c: char) -> bool {
    !c.is_ascii() && entry(u32::from(c)).sort() == Sort::Kept
}

/// What becomes of a character that is not ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alone {
    /// It stays as it is.
    Stays,
    /// It becomes some other text, whatever stands around it.
    Changes,
    /// It goes.
    Goes,
    /// An accent: it goes where it follows an ASCII character.
    Mark,
    /// That depends on what stands around it.
    Unknown,
}

/// What the normalisation for rules makes of a character. Where it changes, what it becomes is appended.
pub(crate) fn alone(c: u32, out: &mut Vec<u8>) -> Alone {
    let entry = entry(c);
    match entry.sort() {
        Sort::Kept => Alone::Stays,
        Sort::Mark | Sort::Drops => Alone::Mark,
        Sort::Hard => Alone::Unknown,
        Sort::Gone | Sort::Space => Alone::Goes,
        Sort::Short => {
            let before = out.len();
            if let Some((bytes, length)) = entry.bytes([0; 4], 0) {
                push(out, bytes, length);
            }
            if out.len() == before { Alone::Goes } else { Alone::Changes }
        }
        Sort::Long => {
            out.extend_from_slice(text(c).as_bytes());
            Alone::Changes
        }
        Sort::Hangul => {
            let (bytes, length) = letters(c);
            push(out, bytes, length);
            Alone::Changes
        }
    }
}

/// Whether nothing at the start of a text belongs to, or changes, what stands before it.
pub(super) fn begins_anew(text: &[u8]) -> bool {
    begins(text, false)
}

/// The same where what stands before it ends in a [solid](ends_solid) character: accents go there, and stray bytes stay so.
pub(super) fn begins_anew_after_solid(text: &[u8]) -> bool {
    begins(text, true)
}

fn begins(text: &[u8], after_solid: bool) -> bool {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            0..0x20 | 0x7f => at += 1,
            0x20..0x80 => return true,
            // The rest of a character that the other text may begin.
            0x80..0xC0 => return after_solid,
            _ => {
                let Some((code, len)) = decode(&text[at..]) else { return true };
                match alone(code, &mut Vec::new()) {
                    Alone::Stays => return true,
                    Alone::Mark if after_solid => at += len,
                    Alone::Goes => at += len,
                    Alone::Changes => return char::from_u32(code).is_some_and(begins_with_a_starter),
                    Alone::Mark | Alone::Unknown => return false,
                }
            }
        }
    }
    true
}

/// Whether the character that a text begins with, which is not ASCII, neither composes with what stands before it nor goes, when
/// the text is normalised, freed from characters without a glyph and normalised again, however often.
pub(super) fn begins_anew_each_time(text: &[u8]) -> bool {
    // Letters with accents lose these in one round and become what they look like in the next.
    const MAX_ROUNDS: usize = 4;
    let mut becomes = Vec::new();
    let mut first = decode(text).map(|(code, _)| code);
    for _ in 0..MAX_ROUNDS {
        let Some(c) = first.and_then(char::from_u32).filter(|&c| !is_unseen(c)) else { return false };
        becomes.clear();
        match alone(u32::from(c), &mut becomes) {
            Alone::Stays => return true,
            Alone::Changes if begins_with_a_starter(c) => {}
            _ => return false,
        }
        match becomes.first() {
            Some(b' '..=b'~') => return true,
            Some(0x80..) => first = decode(&becomes).map(|(code, _)| code),
            _ => return false,
        }
    }
    false
}

/// Whether what a character is made of composes with nothing before it.
fn begins_with_a_starter(c: char) -> bool {
    std::iter::once(c).nfkd().next().is_some_and(|first| {
        unicode_normalization::char::canonical_combining_class(first) == 0
            && is_nfkc_quick(std::iter::once(first)) != IsNormalized::Maybe
    })
}

/// Whether the last character that is not removed is printable ASCII, or a byte that belongs to no character whatever follows:
/// nothing composes across that.
pub(super) fn ends_solid(text: &[u8]) -> bool {
    let kept = text.iter().rposition(|byte| !matches!(byte, 0..0x20 | 0x7f)).map_or(0, |last| last + 1);
    match text[..kept] {
        [] | [.., 0x20..0x80] => true,
        [.., 0xC0..=0xFF] => false,
        ref text => {
            // The byte is a later one of a character, if it is of any.
            let begins = (2..=4).filter_map(|len| Some(&text[text.len().checked_sub(len)?..]));
            kept == text.len() && begins.into_iter().all(|end| end[0] < 0xC0)
        }
    }
}

/// The length of a text without the end of it that what follows may belong to or change. What the end becomes does not depend on
/// what stands before it either.
pub(super) fn decided(text: &[u8]) -> usize {
    // Nothing composes across printable ASCII, or a byte that belongs to no character; the last of both, or what stands before
    // the last character that composes with nothing before it.
    let mut decided = text.iter().rposition(|b| matches!(b, b' '..=b'~')).map_or(0, |last| last + 1);
    let mut at = decided;
    while let Some(&byte) = text.get(at) {
        let rest = &text[at..];
        let (alone, len) = match decode(rest) {
            None if byte < 0x80 => (Alone::Goes, 1),
            Some((code, len)) => match alone(code, &mut Vec::new()) {
                Alone::Changes if !char::from_u32(code).is_some_and(begins_with_a_starter) => {
                    (Alone::Unknown, len)
                }
                alone => (alone, len),
            },
            // What follows may complete a character.
            None if byte >= 0xC2 && rest.len() < 4 && rest[1..].iter().all(|b| b & 0xC0 == 0x80) => break,
            None => {
                decided = at + 1;
                (Alone::Goes, 1)
            }
        };
        match alone {
            Alone::Stays | Alone::Changes => decided = at,
            Alone::Goes | Alone::Mark if decided == at => decided += len,
            Alone::Goes | Alone::Mark | Alone::Unknown => {}
        }
        at += len;
    }
    decided
}

/// Normalises into `out`, which is cleared first.
pub(super) fn normalise_into(kind: Kind, input: &[u8], out: &mut Vec<u8>) -> Noted {
    normalise_with(kind, input, out, true)
}

/// The same; `vector` is false in tests of what processors without the vector kernel do.
pub(super) fn normalise_with(kind: Kind, input: &[u8], out: &mut Vec<u8>, vector: bool) -> Noted {
    out.clear();
    out.reserve(input.len() + 16);
    let lines = kind != Kind::Dlp;
    let wide = vector && compresses();
    let mut segment = Segment::new();
    let mut at = 0;
    // Whether a mark now would follow an ASCII character or U+FFFD (or nothing), with which none composes.
    let mut solid = true;
    // Whether it would not, were there no white space.
    let mut apart = false;
    // Where the last character that was kept begins, in the text and in what was made of it, if it is not solid.
    let (mut base, mut base_out) = (0, 0);
    let (mut torn, mut composed) = (false, false);
    let mut flags = 0;
    // Characters before this place are taken one by one.
    let mut by_one = 0;
    while at < input.len() {
        let word = eight(input, at);
        if u64::from_le_bytes(word) & HIGH == 0 || wide && is_replacement(word) {
            let before = out.len();
            let printable = if vector { printable } else { printable_by_words };
            let length = printable(&input[at..], lines, out);
            let added = &out[before..];
            if memchr::memchr(REPLACEMENT[0], added).is_some() {
                flags |= characters::of_byte(REPLACEMENT[0], lines).flags();
            }
            if added.iter().rev().any(|b| matches!(b, b' '..=b'~' | 0x80..)) {
                (solid, apart) = (true, false);
            } else if !added.is_empty() {
                (solid, apart) = (true, apart || !solid);
            }
            flags |= if added.len() < length { Entry::GONE } else { 0 };
            at += length;
            continue;
        }
        if wide && at >= by_one && !(lines && word[0] < b' ') {
            let special = [characters::STRAY, characters::GONE].map(Entry::bits);
            let folded = fold(&input[at..], lines, special, characters::page_of, out);
            flags |= folded.flags;
            if let Some((from, place)) = folded.last {
                (base, base_out) = (at + from, place);
                (solid, apart) = (folded.solid, false);
            }
            if folded.lines {
                (solid, apart) = (true, apart || !solid);
            }
            at += folded.read;
            // Where few characters are short, taking sixteen at once does not pay.
            if folded.read < 24 {
                by_one = at + 256;
            }
            if folded.read > 0 {
                continue;
            }
        }
        let run = Run::of(kind, input, at, wide);
        if run.end > at {
            out.extend_from_slice(&run.out[..run.filled]);
            flags |= run.flags;
            if let Some((from, place)) = run.last {
                (base, base_out) = (from, out.len() - run.filled + place);
                (solid, apart) = (run.solid, false);
            }
            at = run.end;
            continue;
        }
        let [b0, b1, b2, b3, ..] = word;
        // U+FFFD is what its first byte alone becomes. Most of what is no text fails at its second byte.
        let replacement = is_replacement(word);
        let may_decode = b0 >= 0xC2 && b1 & 0xC0 == 0x80 && !replacement;
        let decoded = if may_decode { decode(&[b0, b1, b2, b3]) } else { None };
        let Some((c, len)) = decoded else {
            let entry = characters::of_byte(b0, lines);
            if let Some((bytes, length)) = entry.bytes([0; 4], 0) {
                push(out, bytes, length);
                let (kept, line) = (length > 0, b0 < b' ');
                apart = if kept { line & (apart | !solid) } else { apart };
                solid |= kept;
            }
            flags |= entry.flags();
            at += if replacement { REPLACEMENT.len() } else { 1 };
            continue;
        };
        let entry = entry(c);
        let from = out.len();
        if let Some((bytes, length)) = entry.bytes([b0, b1, b2, b3], len) {
            push(out, bytes, length);
            flags |= entry.flags();
            (base, base_out) = (at, from);
            (solid, apart) = (false, false);
            at += len;
            continue;
        }
        match entry.sort() {
            Sort::Long => out.extend_from_slice(text(c).as_bytes()),
            Sort::Hangul => {
                let (bytes, length) = letters(c);
                push(out, bytes, length);
            }
            Sort::Mark | Sort::Hard if !(solid && entry.sort() == Sort::Mark) => {
                (torn, composed) = (torn | apart, true);
                if solid {
                    (base, base_out) = (at, from);
                }
                out.truncate(base_out);
                let (end, seen) = segment.normalise(kind, input, base, at, out);
                flags |= seen;
                (base, base_out) = (at, out.len());
                (solid, apart) = (false, false);
                at = end;
                continue;
            }
            sort => {
                match (sort, kind) {
                    (Sort::Mark, _) => (torn, composed) = (torn | apart, true),
                    (Sort::Space, Kind::Match) => out.push(b' '),
                    (Sort::Space, Kind::Both) => out.push(GAP),
                    _ => {}
                }
                if sort == Sort::Space && lines {
                    (solid, apart) = (true, apart || !solid);
                }
                flags |= entry.flags();
                at += len;
                continue;
            }
        }
        flags |= entry.flags();
        (base, base_out) = (at, from);
        (solid, apart) = (false, false);
        at += len;
    }
    let has = |flag| flags & flag != 0;
    Noted {
        settled: !has(Entry::UNSETTLED),
        unseen: has(Entry::UNSEEN),
        special: has(Entry::SPECIAL),
        gone: has(Entry::GONE),
        composed,
        torn,
    }
}

/// Bytes that are made of one run.
const ROOM: usize = 256;

/// Characters and stray bytes that each become a short text whatever stands around them, as nearly all do.
struct Run {
    out: [u8; ROOM],
    filled: usize,
    /// Where the run ends.
    end: usize,
    /// Where the last character that was kept begins, in the text and in `out`.
    last: Option<(usize, usize)>,
    /// That one is ASCII or U+FFFD.
    solid: bool,
    flags: u32,
}

impl Run {
    /// Ends early where at least eight ASCII characters follow, or U+FFFD if `wide`, and before the last eight bytes.
    #[inline]
    fn of(kind: Kind, input: &[u8], mut at: usize, wide: bool) -> Run {
        let lines = kind != Kind::Dlp;
        let mut run = Run { out: [0; ROOM], filled: 0, end: at, last: None, solid: false, flags: 0 };
        let (mut filled, mut last, mut solid, mut flags) = (0, (usize::MAX, 0), false, 0);
        while let Some(&word) = input.get(at..).and_then(|rest| rest.first_chunk::<8>())
            && let Some(place) = run.out.get_mut(filled..).and_then(|rest| rest.first_chunk_mut::<9>())
        {
            let [b0, b1, b2, b3, ..] = word;
            // U+FFFD is what its first byte alone becomes.
            let replacement = is_replacement(word);
            // Bytes at random are told apart without a branch on each: most of what is no text fails at its second byte.
            let character = match !replacement & (b0 >= 0xC2) & (b1 & 0xC0 == 0x80) {
                true => decode(&[b0, b1, b2, b3]),
                false => None,
            };
            let Some((c, step)) = character else {
                let line = lines & matches!(b0, b'\t' | b'\n' | b'\r');
                if (u64::from_le_bytes(word) & HIGH == 0) | line | (wide & replacement) {
                    break;
                }
                let entry = characters::of_byte(b0, lines);
                let (bytes, length) = entry.short_bytes();
                place[..4].copy_from_slice(&bytes);
                // What is removed is as if it were not there.
                last = if length > 0 { (at, filled) } else { last };
                solid |= length > 0;
                filled += length;
                flags |= entry.flags();
                at += if replacement { REPLACEMENT.len() } else { 1 };
                continue;
            };
            let entry = entry(c);
            let length = match entry.bytes([b0, b1, b2, b3], step) {
                Some((bytes, length)) => {
                    place[..4].copy_from_slice(&bytes);
                    length
                }
                None if entry.sort() == Sort::Hangul => {
                    let length;
                    (*place, length) = letters(c);
                    length
                }
                // What stands before a space does not matter to what follows the character after it.
                None if entry.sort() == Sort::Space && matches!(input.get(at + step), Some(b'!'..=b'~')) => {
                    place[0] = if kind == Kind::Match { b' ' } else { GAP };
                    filled += usize::from(lines);
                    flags |= entry.flags();
                    at += step;
                    continue;
                }
                None => break,
            };
            (last, solid) = ((at, filled), false);
            filled += length;
            flags |= entry.flags();
            at += step;
        }
        (run.filled, run.end, run.solid, run.flags) = (filled, at, solid, flags);
        run.last = (last.0 != usize::MAX).then_some(last);
        run
    }
}

/// Appends a text without the characters without a glyph that the normalisation leaves in place.
pub(super) fn without_unseen(text: &[u8], out: &mut Vec<u8>) {
    // Nearly all of them, in binary data.
    let mut rest = Buffer::new();
    without_replacements(text, &mut rest);
    let text = &**rest;
    out.reserve(text.len() + 8);
    let mut at = 0;
    while at < text.len() {
        let ascii = text[at..].iter().take_while(|b| b.is_ascii()).count();
        out.extend_from_slice(&text[at..at + ascii]);
        at += ascii;
        let [b0, b1, b2, b3, ..] = eight(text, at);
        if at == text.len() {
            break;
        }
        let (c, length) = decode(&[b0, b1, b2, b3]).unwrap_or((0x80, 1));
        let unseen = entry(c).flags() & Entry::UNSEEN != 0 && char::from_u32(c).is_some_and(is_unseen);
        push(out, [b0, b1, b2, b3], if unseen { 0 } else { length });
        at += length;
    }
}

/// U+FFFD, which stands for bytes that belong to no character.
const REPLACEMENT: [u8; 3] = *b"\xEF\xBF\xBD";

/// The highest bit of each byte.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Eight bytes from a position on; zeros beyond the text's end.
#[inline(always)]
fn eight(text: &[u8], at: usize) -> [u8; 8] {
    let rest = text.get(at..).unwrap_or_default();
    rest.first_chunk().copied().unwrap_or_else(|| {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(rest).for_each(|(byte, &from)| *byte = from);
        bytes
    })
}

/// Whether a text begins with U+FFFD.
#[inline(always)]
fn is_replacement(word: [u8; 8]) -> bool {
    word[..3] == REPLACEMENT
}

/// Appends the first bytes of an array.
#[inline(always)]
fn push<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N], length: usize) {
    let end = out.len() + length;
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

/// The character at the start of `bytes` (which is not ASCII) and its length; `None` when the first byte is not part of
/// valid UTF-8.
#[inline(always)]
pub(crate) fn decode(bytes: &[u8]) -> Option<(u32, usize)> {
    let tail = |i: usize| bytes.get(i).filter(|&&b| b & 0xC0 == 0x80).map(|&b| u32::from(b & 0x3F));
    match bytes[0] {
        b @ 0xC2..=0xDF => Some((u32::from(b & 0x1F) << 6 | tail(1)?, 2)),
        b @ 0xE0..=0xEF => {
            let c = u32::from(b & 0x0F) << 12 | tail(1)? << 6 | tail(2)?;
            (c >= 0x800 && !(0xD800..0xE000).contains(&c)).then_some((c, 3))
        }
        b @ 0xF0..=0xF4 => {
            let c = u32::from(b & 0x07) << 18 | tail(1)? << 12 | tail(2)? << 6 | tail(3)?;
            (0x10000..0x110000).contains(&c).then_some((c, 4))
        }
        _ => None,
    }
}
