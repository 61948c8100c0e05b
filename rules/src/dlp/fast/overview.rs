//! What a text as it was sent consists of, in one sweep.
//!
//! The views of a scan differ from the text by characters that are removed, folded or replaced. What no view can hold is told
//! from the text's own bytes: a long run in a view comes from a run of bytes that belong to it, vanish, or may become anything.

use std::ops::Range;

use super::super::hardened::MAX_KEYS;
use super::super::seed;
use super::overlap::keys_anywhere;
use super::runs::{self, Class};
use super::simd::{self, Blocks, Eight, Row, class_masks};
use crate::scratch::Buffer;
use crate::text;

/// Letters in a wallet key.
const KEY: usize = 51;
/// No character becomes more letters than four thirds of its bytes.
const MIN_KEY: u32 = (KEY as u32 * 3).div_ceil(4);
/// The same for pieces that decode to a seed phrase.
const MIN_PIECE: u32 = (super::MIN_ENCODED_PHRASE * 3).div_ceil(4);

/// What a text consists of.
pub(in super::super) struct Overview {
    /// Letters, one word for each 64 bytes.
    letters: Buffer<u64>,
    /// What the normalisation for seed phrases may change: everything but printable ASCII, tabs and line ends.
    others: Buffer<u64>,
    /// Only ASCII.
    pub(in super::super) ascii: bool,
    /// The normalisation for seed phrases changes it.
    mixed: bool,
    /// Tabs and line ends.
    pub(in super::super) lines: bool,
    /// Some view, other than those that undo escapes, may hold a wallet key.
    pub(in super::super) keys: bool,
    /// The normalised text may hold one, and what it becomes when some of its characters are replaced by others.
    pub(in super::super) plain_keys: bool,
    /// Some piece before line ends are removed may be long enough for an encoded phrase.
    pub(super) pieces: bool,
    /// The characters themselves; where the text is not ASCII, they may be there nevertheless.
    dots: bool,
    percents: bool,
    pluses: bool,
    /// The normalised text is its own normalisation, and stays so when ASCII characters are taken out of it.
    pub(in super::super) settled: bool,
}

static SETS: Eight = Eight::new(
    [
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        b"",
        // Letters of wallet keys, and what views are without.
        b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz.\t\n\r",
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_:,\\%\r",
        b"\t\n\r",
        b".",
        b"%",
        b"+",
    ],
    1 << OTHERS | 1 << KEYS | 1 << PIECES,
    CONTROLS,
);
const LETTERS: usize = 0;
const OTHERS: usize = 1;
const KEYS: usize = 2;
const PIECES: usize = 3;
/// Other ASCII than printable characters, tabs and line ends.
const CONTROLS: &[u8] = b"\0\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f";

impl Overview {
    pub(in super::super) fn new(input: &[u8]) -> Overview {
        let (mut letters, mut others) = (Buffer::new(), Buffer::new());
        letters.resize(input.len() / 64 + 1, 0);
        others.resize(input.len() / 64 + 1, 0);
        let sweep = Sweep {
            letters: &mut letters,
            others: &mut others,
            blocks: 0,
            any: [0; 8],
            wide: false,
            keys: LongRun::new(),
            pieces: LongRun::new(),
        };
        let Sweep { any, wide, keys, pieces, .. } = simd::eight(&SETS, input, sweep);
        let [_, others_there, _, _, lines, dots, percents, pluses] = any.map(|any| any != 0);
        let ascii = !wide;
        let holds_letters = |part: Range<usize>| holds_key_letters(&input[part]);
        let keys = !keys.found.is_empty() && (!ascii || keys.parts(input.len()).any(holds_letters));
        Overview {
            letters,
            others,
            ascii,
            mixed: others_there,
            lines,
            keys,
            plain_keys: keys,
            pieces: !pieces.found.is_empty(),
            dots: dots || !ascii,
            percents: percents || !ascii,
            pluses: pluses || !ascii,
            settled: ascii,
        }
    }

    /// One that rules out only what the specification does.
    #[cfg(test)]
    pub(in super::super) fn of_nothing(input: &[u8]) -> Overview {
        Overview {
            ascii: false,
            mixed: true,
            keys: true,
            plain_keys: true,
            pieces: true,
            dots: true,
            percents: true,
            pluses: true,
            settled: false,
            ..Overview::new(input)
        }
    }

    /// The text is its own normalisation.
    pub(in super::super) fn is_printable(&self) -> bool {
        !self.mixed && !self.lines
    }

    /// What the normalisation for seed phrases may change, one word for each 64 bytes; nothing where it changes nothing.
    pub(super) fn others(&self) -> &[u64] {
        if self.mixed { &self.others } else { &[] }
    }

    /// The normalisation for seed phrases leaves the text as it is.
    pub(in super::super) fn keeps_lines(&self) -> bool {
        !self.mixed
    }

    /// Notes whether normalising the normalised text again changes it.
    pub(in super::super) fn note_settled(&mut self, norm: &[u8]) {
        self.settled = self.ascii || text::is_settled(norm, |_| false);
    }

    /// Notes whether the normalised text holds a wallet key.
    pub(in super::super) fn note_keys(&mut self, norm: &[u8]) {
        self.plain_keys = self.keys && keys_anywhere(norm, MAX_KEYS) != Some(false);
    }

    pub(in super::super) fn holds_dots(&self, norm: &[u8]) -> bool {
        self.dots && memchr::memchr(b'.', norm).is_some()
    }

    pub(in super::super) fn holds_percents(&self, norm: &[u8]) -> bool {
        self.percents && memchr::memchr(b'%', norm).is_some()
    }

    pub(super) fn holds_pluses(&self, norm: &[u8]) -> bool {
        self.pluses && memchr::memchr(b'+', norm).is_some()
    }

    /// Whether the text, normalised for seed phrases, may hold words of one with anything but letters between them: false
    /// is certain.
    pub(super) fn may_hold_words(&self, input: &[u8], min_words: usize) -> bool {
        input.len() >= seed::MIN_FOLDED && seed::may_hold(input, &self.letters, self.others(), min_words)
    }
}

/// Whether some view of a text of ASCII alone, none of them keeping control characters, may hold as many letters of wallet keys in a row as a key has.
fn holds_key_letters(input: &[u8]) -> bool {
    const LETTER: Class = Class::new(b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz");
    const KEPT: Class = Class::new(b" !\"#$%&'()*+,-/0:;<=>?@IOl[\\]^_`{|}~");
    let mut kept = Buffer::new();
    class_masks(&KEPT.low, &KEPT.high, input, &mut kept);
    kept.iter_mut().for_each(|mask| *mask = !*mask);
    runs::each_in(&kept, KEY as u32, |start, end| {
        let run = &input[start..end.min(input.len())];
        // The first one of a key is one of these.
        memchr::memchr3(b'5', b'K', b'L', run)
            .is_some_and(|first| run[first..].iter().filter(|&&b| LETTER.has(b)).count() >= KEY)
    })
}

/// What is gathered in the sweep.
struct Sweep<'m> {
    letters: &'m mut [u64],
    others: &'m mut [u64],
    blocks: usize,
    /// Whether there is any of a set, and anything that is not ASCII.
    any: Row,
    wide: bool,
    keys: LongRun<MIN_KEY>,
    pieces: LongRun<MIN_PIECE>,
}

impl Blocks for Sweep<'_> {
    #[inline(always)]
    fn blocks(&mut self, rows: &[Row], wide: bool) {
        let (mut any, mut covered) = ([0; 8], [0; 8]);
        for row in rows {
            any.iter_mut().zip(row).for_each(|(any, set)| *any |= set);
            covered.iter_mut().zip(row).for_each(|(covered, &set)| *covered |= covers(set));
        }
        let masks = self.letters[self.blocks..].iter_mut().zip(&mut self.others[self.blocks..]);
        for ((letters, others), row) in masks.zip(rows) {
            (*letters, *others) = (row[LETTERS], row[OTHERS]);
        }
        self.keys.add(self.blocks, rows.iter().map(|row| row[KEYS]), covered[KEYS] != 0);
        // Of these it is asked only whether there are any.
        if self.pieces.found.is_empty() {
            self.pieces.add(self.blocks, rows.iter().map(|row| row[PIECES]), covered[PIECES] != 0);
        }
        self.blocks += rows.len();
        self.any.iter_mut().zip(any).for_each(|(all, any)| *all |= any);
        self.wide |= wide;
    }
}

/// Has bits for words of which one of the four parts has all bits. That many in a word, or across two, cover one of these.
#[inline(always)]
fn covers(word: u64) -> u64 {
    const LOW: u64 = 0x0001_0001_0001_0001;
    (!word).wrapping_sub(LOW) & word & LOW << 15
}

/// Whether so many neighbouring bits are set in a word, or across it and the one before it.
#[inline(never)]
fn holds_run(before: u64, word: u64, least: u32) -> bool {
    // All of a word are enough by themselves.
    before.leading_ones() + word.trailing_ones() >= least || runs::has(word, least)
}

/// Looks for as many neighbouring bits (31 to 64) in one word after the other.
struct LongRun<const LEAST: u32> {
    /// The last word, and whether it has all bits of some part.
    before: u64,
    covered: bool,
    /// Neighbouring words that hold such bits, or their end; from some on with those between them.
    found: Vec<Range<usize>>,
}

/// As many parts of a text with long runs are told apart.
const MOST_PARTS: usize = 8;

impl<const LEAST: u32> LongRun<LEAST> {
    fn new() -> Self {
        LongRun { before: 0, covered: false, found: Vec::new() }
    }

    /// Adds a few words, of which `some` may cover a part.
    #[inline(always)]
    fn add(&mut self, first: usize, mut words: impl DoubleEndedIterator<Item = u64>, some: bool) {
        if some || self.covered {
            self.look(first, words);
        } else if let Some(last) = words.next_back() {
            self.before = last;
        }
    }

    fn look(&mut self, first: usize, words: impl Iterator<Item = u64>) {
        for (block, word) in (first..).zip(words) {
            let covered = covers(word) != 0;
            if (covered || self.covered) && holds_run(self.before, word, LEAST) {
                self.note(block);
            }
            (self.before, self.covered) = (word, covered);
        }
    }

    #[cold]
    fn note(&mut self, block: usize) {
        let all = self.found.len() == MOST_PARTS;
        match self.found.last_mut() {
            Some(last) if all || last.end == block => last.end = block + 1,
            _ => self.found.push(block..block + 1),
        }
    }

    /// The parts of a text of some length that hold all such runs.
    fn parts(&self, length: usize) -> impl Iterator<Item = Range<usize>> {
        self.found.iter().map(move |found| found.start.saturating_sub(1) * 64..length.min(found.end * 64))
    }
}
