//! Long texts, told to hold nothing block by block.
//!
//! A scan goes over its text many times. Over a megabyte each pass would wait for memory, and each view of it would be another
//! megabyte; a block and its views stay in the cache. Blocks are cut at a space between two letters, which every view keeps:
//! nothing is normalised, decoded or joined across it. What a rule finds may go across, but not across many words
//! ([`span`]), so neighbouring blocks share that many. What depends on the whole text (how often it is percent-decoded, how
//! much it grows, how many word sequences are checked) is noted or bounded in each block; wherever that does not show that
//! the whole text holds nothing, it is scanned as a whole.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::compiled::{Rule, RuleTable};
use super::joined::{Whole, longest, whole};
use super::seed::Checks;
use super::{Scanner, Secrets, TextResult};
use crate::text::percent_decode_once;

/// Length of a block, bytes.
pub(super) const BLOCK: usize = 64 << 10;
/// Most that two blocks share, bytes.
const MAX_SHARED: usize = 4 << 10;
/// Longer words are not counted: a rule may take any number of letters between two spaces.
const WORD: usize = 32;
/// Letters and digits in the longest seed phrase with numbers between its words.
const PHRASE: usize = 24 * (8 + 8);
/// Matches that go across more are not expected between two blocks.
const MAX_SPAN: usize = 1 << 10;

/// What is told of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// There is nothing in it.
    Nothing,
    /// There is something in a block.
    Something,
    /// It is too short for blocks, or has to be looked at as a whole.
    Unknown,
}

/// Runs of a text at line ends whose base64 form holds nothing.
#[derive(Debug, Default)]
pub(super) struct Noise {
    /// In order.
    runs: RefCell<Vec<Range<usize>>>,
    /// Where the block begins that is looked at.
    from: Cell<usize>,
}

impl Noise {
    /// Notes a run of the block.
    pub(super) fn add(&self, run: Range<usize>) {
        let (start, end) = (self.from.get() + run.start, self.from.get() + run.end);
        let mut runs = self.runs.borrow_mut();
        // Neighbouring blocks share some.
        if runs.last().is_none_or(|last| last.end <= start) {
            runs.push(start..end);
        }
    }

    /// Of the runs in order.
    pub(super) fn into_runs(self) -> impl Iterator<Item = Range<usize>> {
        self.runs.into_inner().into_iter()
    }
}

/// What of a whole text depends on all of its blocks.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// Some escape is none, so that nothing is decoded.
    malformed: bool,
    /// What was decoded once can be decoded again.
    again: bool,
    /// On checks of word sequences.
    spent: u32,
    /// There is something else than ASCII.
    wide: bool,
    /// There are backslashes.
    backslashes: bool,
    /// There are percent signs.
    percents: bool,
    pub(super) noise: Noise,
}

impl Noted {
    /// Notes what characters there are in a block.
    pub(super) fn characters(&mut self, text: &[u8], ascii: bool) {
        self.wide |= !ascii;
        self.backslashes |= memchr::memchr(b'\\', text).is_some();
    }

    /// Whether all blocks are ASCII.
    pub(super) fn are_ascii(&self) -> bool {
        !self.wide
    }

    /// Whether there is a backslash in some block.
    pub(super) fn holds_backslashes(&self) -> bool {
        self.backslashes
    }

    /// Whether there is a percent sign in some block.
    pub(super) fn holds_percents(&self) -> bool {
        self.percents
    }

    /// Notes the escapes in a normalised block, in which there may be percent signs.
    pub(super) fn escapes(&mut self, norm: &[u8]) {
        self.percents = true;
        match percent_decode_once(norm) {
            None => self.malformed = true,
            Some(decoded) => self.again |= memchr::memchr2(b'%', b'+', &decoded).is_some(),
        }
    }

    pub(super) fn spend(&mut self, checks: u32) {
        self.spent = self.spent.saturating_add(checks);
    }

    /// Whether something may be left that would be decoded if it stood alone.
    pub(super) fn may_be_escaped(&self) -> bool {
        self.malformed || self.again
    }

    /// Whether the whole text holds something although no block does. A block may be decoded more often than the whole; where
    /// that is not decoded at all, nothing is missed.
    fn may_hold(&self) -> bool {
        self.again && !self.malformed || Checks::are_too_many(self.spent)
    }
}

/// Letters and digits of plain words across which a match goes at most, over all rules, secrets and seed phrases; `None` when
/// that is not known, or too many.
pub(super) fn span(core: &RuleTable, main: &RuleTable, secrets: &[&Secrets]) -> Option<usize> {
    let rules = core.rules.iter().chain(&main.rules).map(span_of);
    let literals = secrets.iter().flat_map(|list| list.iter()).flat_map(|secret| secret.needles());
    let mut all = rules.chain(literals.map(|(_, literal)| Some(literal.len())));
    all.try_fold(PHRASE, |most, span| Some(most.max(span?))).filter(|&span| span <= MAX_SPAN)
}

fn span_of(rule: &Rule) -> Option<usize> {
    match rule.spec().validator {
        // Those that are bounded at all (see `joined`) go across no space between letters.
        Some(_) => Some(0),
        None => longest(rule.regex().hir(), true, |sub| (!may_be_space(sub)).then_some(WORD)),
    }
}

/// Whether there may be a space in what an expression matches.
fn may_be_space(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&b' '),
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&' '))
        }
        HirKind::Class(Class::Bytes(_)) => true,
        HirKind::Repetition(repetition) => may_be_space(&repetition.sub),
        HirKind::Capture(group) => may_be_space(&group.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(may_be_space),
    }
}

impl Scanner {
    /// What is told of a text without looking at it as a whole.
    pub(super) fn told_in_blocks(&self, text: &[u8]) -> Told {
        self.tell_in_blocks(text, &mut Noted::default())
    }

    /// The same, with what was noted on the way.
    pub(super) fn tell_in_blocks(&self, text: &[u8], noted: &mut Noted) -> Told {
        if text.len() < 2 * BLOCK { Told::Unknown } else { self.tell(text, BLOCK, noted) }
    }

    fn tell(&self, text: &[u8], length: usize, noted: &mut Noted) -> Told {
        let Some(span) = self.span.filter(|_| whole(text, false) == Whole::Plain) else {
            return Told::Unknown;
        };
        let mut from = 0;
        while text.len() - from > length + length / 2
            && let Some(shared) = shared(text, from + length, span)
        {
            noted.noise.from.set(from);
            if !self.is_silent_part(&text[from..shared.end], noted) {
                return Told::Something;
            }
            from = shared.start;
        }
        noted.noise.from.set(from);
        match from {
            0 => Told::Unknown,
            _ if !self.is_silent_part(&text[from..], noted) => Told::Something,
            _ if noted.may_hold() => Told::Unknown,
            _ => Told::Nothing,
        }
    }

    fn is_silent_part(&self, text: &[u8], noted: &mut Noted) -> bool {
        let noise = std::mem::take(&mut noted.noise);
        let found = self.scan(text, true, Some(noted), Some(&noise));
        noted.noise = noise;
        found.is_some_and(|(found, complete)| complete && found == TextResult::default())
    }
}

/// Where one block ends and the next begins, both at a space between two letters: from `from` on, with words of more letters
/// than `span` between them and no escape, in ASCII. `None` where the rest is one block.
fn shared(text: &[u8], from: usize, span: usize) -> Option<Range<usize>> {
    let rest = &text[from..];
    let is_letter = |at: usize| rest.get(at).is_some_and(u8::is_ascii_alphabetic);
    let (mut start, mut letters, mut after) = (None, 0, 0);
    for at in memchr::memchr_iter(b' ', rest) {
        let word = &rest[after..at];
        after = at + 1;
        if word.iter().any(|&b| b == b'%' || !b.is_ascii()) {
            start = None;
        } else if word.len() <= WORD && word.iter().all(u8::is_ascii_alphabetic) {
            letters += word.len();
        }
        if at == 0 || !is_letter(at - 1) || !is_letter(at + 1) {
            continue;
        }
        match start {
            Some(start) if letters > span => return Some(from + start..from + at + 1),
            Some(start) if at - start < MAX_SHARED => {}
            _ => (start, letters) = (Some(at), 0),
        }
    }
    None
}

#[cfg(test)]
mod tests;
