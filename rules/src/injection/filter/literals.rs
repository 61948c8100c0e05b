//! The search for all atoms' literals at once: one over the folded text, and others over the text itself for literals
//! whose exact spelling is known and for those that are not ASCII.
//!
//! A literal is represented by its rarest window of a few bytes.

use aho_corasick::packed;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind, Span, StartKind};

use super::atoms::{Atom, share};
use super::fold::{full, sign};
use crate::dlp::vector::Needles;
use crate::order::sorted;

/// Bytes by which a window's rarity is judged; also what a SIMD searcher looks at first.
const WINDOW: usize = 4;
/// Longest window, bytes.
const LONGEST: usize = 8;

/// What a window stands for.
#[derive(Debug, Clone, Copy)]
struct Target {
    atom: usize,
    /// Bytes from the start of the literal to the window.
    offset: usize,
}

/// The search over one form of the text.
struct Index {
    /// None without windows.
    engine: Option<Engine>,
    targets: Vec<Vec<Target>>,
}

/// The folded text holds so many vowels that a general SIMD searcher would stop at every other word for nothing: there it
/// is our own, which knows how frequent they are, or else a dense automaton, which costs the same for every byte. The
/// other texts hardly ever hold a first byte.
enum Engine {
    Packed(packed::Searcher),
    Needles(Needles, Vec<Vec<u8>>),
    Automaton(AhoCorasick),
}

impl Engine {
    fn automaton(windows: &[Vec<u8>]) -> Option<Self> {
        AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .start_kind(StartKind::Unanchored)
            .prefilter(false)
            .build(windows)
            .ok()
            .map(Self::Automaton)
    }

    fn dense(windows: &[Vec<u8>]) -> Option<Self> {
        if !Needles::are_quick() {
            return Self::automaton(windows);
        }
        // Of the folded bytes the most frequent is a third of the text.
        let weight = |b: u8| match b {
            0x80.. => 10,
            b if full(b) != b => 0,
            b'!'..=b'?' | b'['..=b'`' | b'{'..=b'~' => 100,
            ..=0x1f => 10,
            b => (share(b) * 65536.0) as u64,
        };
        Some(Self::Needles(Needles::new(windows, weight), windows.to_vec()))
    }

    fn packed(windows: &[Vec<u8>]) -> Option<Self> {
        let mut builder = packed::Config::new().match_kind(packed::MatchKind::LeftmostFirst).builder();
        builder.extend(windows);
        // There is none without SIMD.
        builder.build().map(Self::Packed).or_else(|| Self::automaton(windows))
    }

    /// Calls `hit` with window and place.
    fn search(&self, text: &[u8], mut hit: impl FnMut(usize, usize)) {
        match self {
            Self::Packed(searcher) => {
                let mut start = 0;
                while let Some(found) = searcher.find_in(text, Span { start, end: text.len() }) {
                    hit(found.pattern().as_usize(), found.start());
                    start = found.start() + 1;
                }
            }
            Self::Needles(needles, windows) => needles.each(text, |window, place| {
                if text[place..].starts_with(&windows[window]) {
                    hit(window, place);
                }
            }),
            Self::Automaton(automaton) => {
                // Building with these kinds has made sure that such a search exists.
                if let Ok(all) = automaton.try_find_overlapping_iter(text) {
                    all.for_each(|found| hit(found.pattern().as_usize(), found.start()));
                }
            }
        }
    }
}

impl Index {
    fn new(entries: Vec<(Vec<u8>, Target)>, dense: bool) -> Self {
        let entries = sorted(entries, |a, b| a.0.cmp(&b.0));
        let mut windows: Vec<(Vec<u8>, Vec<Target>)> = Vec::new();
        for (window, target) in entries {
            match windows.last_mut() {
                // At one place only one window is reported, so a window that another one begins with stands for both.
                Some((shorter, targets)) if window.starts_with(shorter) => targets.push(target),
                _ => windows.push((window, vec![target])),
            }
        }
        let (windows, targets): (Vec<_>, Vec<_>) = windows.into_iter().unzip();
        let engine = if dense { Engine::dense(&windows) } else { Engine::packed(&windows) };
        Self { engine: engine.filter(|_| !windows.is_empty()), targets }
    }

    /// Calls `hit` for every place at which a literal may begin. `text` begins at `base` of the whole text.
    fn search(&self, text: &[u8], base: usize, hit: &mut impl FnMut(usize, usize)) {
        let Some(engine) = &self.engine else { return };
        engine.search(text, |window, place| {
            for target in &self.targets[window] {
                if let Some(begin) = (base + place).checked_sub(target.offset) {
                    hit(target.atom, begin);
                }
            }
        });
    }
}

/// Every atom's literals.
pub(super) struct Literals {
    folded: Index,
    ascii: Index,
    other: Index,
}

impl Literals {
    pub fn new(atoms: &[Atom]) -> Self {
        let (mut folded, mut ascii, mut other) = (Vec::new(), Vec::new(), Vec::new());
        for (number, atom) in atoms.iter().enumerate() {
            for literal in &atom.literals {
                let (offset, window) = window(literal);
                let entry = (window, Target { atom: number, offset });
                // Most texts hold nothing but ASCII and need no search for the rest.
                if !entry.0.is_ascii() {
                    other.push(entry);
                } else if atom.exact {
                    ascii.push(entry);
                } else {
                    folded.push(entry);
                }
            }
        }
        Self {
            folded: Index::new(folded, true),
            ascii: Index::new(ascii, false),
            other: Index::new(other, false),
        }
    }

    /// Calls `hit` with atom and place for every literal of the text, whose folded form is `folded`. With `signs` the
    /// surroundings of each `@` and `$` are looked at a second time with these read as letters.
    pub fn search(&self, text: &str, folded: &[u8], signs: bool, hit: &mut impl FnMut(usize, usize)) {
        let bytes = text.as_bytes();
        self.ascii.search(bytes, 0, hit);
        if !text.is_ascii() {
            self.other.search(bytes, 0, hit);
        }
        self.folded.search(folded, 0, hit);
        if signs {
            self.search_signs(bytes, hit);
        }
    }

    /// Only windows that hold a sign are new. Places that are close to each other are searched as one.
    fn search_signs(&self, bytes: &[u8], hit: &mut impl FnMut(usize, usize)) {
        let around = |at: usize| (at.saturating_sub(LONGEST - 1), (at + LONGEST).min(bytes.len()));
        let mut places = memchr::memchr2_iter(b'@', b'$', bytes).map(around).peekable();
        let mut read = Vec::new();
        while let Some((start, mut end)) = places.next() {
            while let Some((_, later)) = places.next_if(|(next, _)| *next <= end) {
                end = later;
            }
            read.clear();
            read.extend(bytes[start..end].iter().map(|&b| full(sign(b))));
            self.folded.search(&read, start, hit);
        }
    }
}

/// The window of a literal whose first bytes are rarest; of one that is not ASCII a part without any ASCII, which is the
/// same in every form of the text.
fn window(literal: &[u8]) -> (usize, Vec<u8>) {
    if let Some(at) = literal.iter().position(|b| !b.is_ascii()) {
        let run = literal[at..].iter().take_while(|b| !b.is_ascii()).take(LONGEST);
        return (at, run.copied().collect());
    }
    let width = WINDOW.min(literal.len());
    let cost = |at: usize| literal[at..at + width].iter().map(|&b| share(b)).product::<f64>();
    let at = (0..=literal.len() - width).min_by(|&a, &b| cost(a).total_cmp(&cost(b))).unwrap_or_default();
    (at, literal[at..literal.len().min(at + LONGEST)].to_vec())
}
