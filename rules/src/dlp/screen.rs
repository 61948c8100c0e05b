//! A quick, conservative answer to "could any rule match this short text?", for texts of the size of a URL.
//!
//! Every rule is reduced to conditions that each of its matches meets: one of a few literals (ignoring case), a least
//! length, a least number of digits, a least run of token characters. One automaton finds all literals at once, and one
//! count settles the rules that have none; only rules whose conditions hold are asked. "No" is certain; "yes" means that
//! the rules have to be evaluated in order, as the specification says. The URL pipeline examines thousands of joined
//! values for one query, so [`Screen::joins`] answers for all of them together. (spec: url-scan §10.4, §12.2)

use std::sync::OnceLock;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::{Rule, RuleList, Scanner};
use crate::scratch::Buffer;
use crate::text;

mod joins;
mod rows;
mod seams;
mod shape;
#[cfg(test)]
mod tests;
mod track;

pub use joins::{MOST_VALUES, Values};
use rows::{Rows, State};
use shape::{Counts, Shape};
use track::Tracked;

/// Rules by number: core rules first. More rules than this are asked on every text.
const MOST_RULES: usize = 512;

const WORDS: usize = MOST_RULES / 64;
type Set = [u64; WORDS];

fn insert(set: &mut Set, number: usize) {
    set[number / 64] |= 1 << (number % 64);
}

fn contains(set: &Set, number: usize) -> bool {
    set[number / 64] >> (number % 64) & 1 == 1
}

fn is_empty(set: &Set) -> bool {
    set.iter().all(|&word| word == 0)
}

fn numbers(set: &Set) -> impl Iterator<Item = usize> {
    set.iter().enumerate().flat_map(|(at, &word)| {
        std::iter::successors((word != 0).then_some(word), |word| {
            let rest = word & (word - 1);
            (rest != 0).then_some(rest)
        })
        .map(move |word| at * 64 + word.trailing_zeros() as usize)
    })
}

/// The conditions of all rules of a scanner.
#[derive(Debug)]
pub struct Screen {
    /// The search for literals, and the state in which it begins.
    literals: Option<(DFA, StateID)>,
    /// Rule of each literal.
    owners: Vec<u16>,
    shapes: Vec<Shape>,
    /// Rules without literals.
    rows: Rows,
    /// Those among them that are in `rows`, and those that are nowhere: nothing but their shapes tells of them.
    rowed: Set,
    loose: Set,
    /// The core list's.
    core: Set,
    /// For each rule, the first that has its expression and check.
    same: Vec<u16>,
    /// Made when they are first needed; `None` for rules that cannot be followed through joins.
    tracked: Vec<OnceLock<Option<Tracked>>>,
    /// Least length of any match.
    shortest: usize,
    /// Nothing can be screened: every text may match.
    is_blind: bool,
}

impl Screen {
    /// Reduces the rules of `scanner`; the screen is only of use with that scanner.
    #[must_use]
    pub fn new(scanner: &Scanner) -> Self {
        let core = scanner.rules(RuleList::Core);
        let rules: Vec<&Rule> = core.iter().chain(scanner.rules(RuleList::Main)).collect();
        let mut screen = Self {
            literals: None,
            owners: Vec::new(),
            shapes: Vec::new(),
            rows: Rows::new(),
            rowed: [0; WORDS],
            loose: [0; WORDS],
            core: [0; WORDS],
            same: Vec::new(),
            tracked: Vec::new(),
            shortest: usize::MAX,
            is_blind: rules.len() > MOST_RULES,
        };
        if screen.is_blind {
            return screen;
        }
        let mut literals: Vec<Vec<u8>> = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            let shape = Shape::of(rule.hir());
            if number < core.len() {
                insert(&mut screen.core, number);
            }
            screen.shortest = screen.shortest.min(shape.min_len);
            match shape::required_literals(rule.hir()) {
                Some(required) => {
                    screen.owners.extend(std::iter::repeat_n(number as u16, required.len()));
                    literals.extend(required);
                }
                None if screen.rows.add(rule, number as u16) => insert(&mut screen.rowed, number),
                None => insert(&mut screen.loose, number),
            }
            screen.shapes.push(shape);
            let is_same = |other: &&Rule| {
                let (spec, other) = (rule.spec(), other.spec());
                spec.regex == other.regex && spec.validator == other.validator
            };
            screen.same.push(rules.iter().position(is_same).unwrap_or(number) as u16);
            screen.tracked.push(OnceLock::new());
        }
        let built =
            DFA::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(&literals);
        screen.literals = built.ok().and_then(|dfa| {
            let start = dfa.start_state(Anchored::No).ok()?;
            Some((dfa, start))
        });
        screen.is_blind = screen.literals.is_none();
        screen
    }

    /// The rule of a number, as it is followed through joins.
    fn tracked(&self, scanner: &Scanner, number: usize) -> Option<&Tracked> {
        let core = scanner.rules(RuleList::Core);
        let rule = core.get(number).or_else(|| scanner.rules(RuleList::Main).get(number - core.len()))?;
        self.tracked.get(number)?.get_or_init(|| Tracked::new(rule)).as_ref()
    }

    /// Length of the shortest possible match of any rule, in bytes of normalised text.
    #[must_use]
    pub const fn shortest_match(&self) -> usize {
        if self.is_blind { 0 } else { self.shortest }
    }

    /// Whether a rule of either list may match the normalised form of `text`.
    #[must_use]
    pub fn may_match(&self, scanner: &Scanner, text: &[u8]) -> bool {
        if self.is_blind {
            return true;
        }
        if text.len() < self.shortest.min(MIN_EXPANDING) {
            return false;
        }
        if text::is_printable(text) {
            return self.normalised_may_match(scanner, text);
        }
        let mut buffer = Buffer::new();
        let normalised = text::norm_dlp_quick(text, &mut buffer).unwrap_or(text);
        self.normalised_may_match(scanner, normalised)
    }

    fn normalised_may_match(&self, scanner: &Scanner, text: &[u8]) -> bool {
        text.len() >= self.shortest
            && (text.len() > LONG || !self.settles_bytes(text.iter().copied()))
            && hits(scanner, text)
    }

    /// Whether no rule can match the normalised form of `text`, or of any part of it that stands between characters which
    /// belong to no word, by their conditions alone.
    #[must_use]
    pub fn settles(&self, scanner: &Scanner, text: &[u8]) -> bool {
        if text::is_printable(text) {
            return self.settles_normalised(scanner, text);
        }
        let mut buffer = Buffer::new();
        let normalised = text::norm_dlp_quick(text, &mut buffer).unwrap_or(text);
        self.settles_normalised(scanner, normalised)
    }

    /// [`Screen::settles`] of what is left of `text` without some ASCII characters.
    #[must_use]
    pub fn settles_without(&self, scanner: &Scanner, text: &[u8], left_out: impl Fn(u8) -> bool) -> bool {
        let mut rest = Buffer::new();
        rest.resize(text.len(), 0);
        let mut kept = 0;
        for &byte in text {
            rest[kept] = byte;
            kept += usize::from(!left_out(byte));
        }
        rest.truncate(kept);
        self.settles(scanner, &rest)
    }

    fn settles_normalised(&self, scanner: &Scanner, text: &[u8]) -> bool {
        if text.len() > LONG {
            return !self.is_blind && !scanner.conditions_met(text);
        }
        self.settles_bytes(text.iter().copied())
    }

    #[inline]
    fn settles_bytes(&self, bytes: impl Iterator<Item = u8> + Clone) -> bool {
        if self.is_blind {
            return false;
        }
        let candidates = self.candidates(bytes.clone());
        if is_empty(&candidates) {
            return true;
        }
        let counts = Counts::of(bytes);
        numbers(&candidates).all(|number| !self.shapes[number].allows(&counts))
    }

    /// The rules of which a literal or a row is in a text, and those that have neither.
    #[inline]
    fn candidates(&self, bytes: impl Iterator<Item = u8>) -> Set {
        let mut found = self.loose;
        let Some((dfa, start)) = &self.literals else { return found };
        let mut state = *start;
        let (mut rows, mut seen, mut before) = (State::default(), State::default(), None);
        for byte in bytes {
            state = dfa.next_state(Anchored::No, state, byte);
            self.note(dfa, state, &mut found);
            rows = self.rows.step(rows, self.rows.starts(before), byte);
            seen |= rows;
            before = Some(byte);
        }
        self.rows.add_complete(seen, &mut found);
        found
    }

    /// Adds the rules whose literals end in a state of the automaton.
    #[inline]
    fn note(&self, dfa: &DFA, state: StateID, found: &mut Set) {
        if dfa.is_special(state) && dfa.is_match(state) {
            for index in 0..dfa.match_len(state) {
                insert(found, usize::from(self.owners[dfa.match_pattern(state, index).as_usize()]));
            }
        }
    }
}

/// Texts longer than this go straight to the scanner's own search, which has a higher fixed cost.
const LONG: usize = 512;

/// Asks the rules of both lists; a text that is not UTF-8 is not normalised, and nothing is known about it.
fn hits(scanner: &Scanner, norm: &[u8]) -> bool {
    std::str::from_utf8(norm).map_or(true, |norm| scanner.has_hit(norm))
}

/// Shortest text that normalisation could make long enough for a match: one code point may become 18 letters.
const MIN_EXPANDING: usize = 3;

fn is_small_class(class: &Class) -> Option<Vec<u8>> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut add = |code: u32| {
        let folded = match code {
            0x17f => b's',
            0x212a => b'k',
            code => u8::try_from(code).ok().filter(u8::is_ascii)?.to_ascii_lowercase(),
        };
        if !bytes.contains(&folded) {
            bytes.push(folded);
        }
        Some(())
    };
    match class {
        Class::Unicode(class) => {
            for range in class.ranges() {
                let (start, end) = (u32::from(range.start()), u32::from(range.end()));
                if end - start > 64 {
                    return None;
                }
                (start..=end).try_for_each(&mut add)?;
            }
        }
        Class::Bytes(class) => {
            for range in class.ranges() {
                (range.start()..=range.end()).try_for_each(|byte| add(u32::from(byte)))?;
            }
        }
    }
    Some(bytes)
}

/// Whether every character of a class, with its foldings, is in `set`.
fn is_within(hir: &Hir, set: impl Fn(u8) -> bool) -> bool {
    match hir.kind() {
        HirKind::Class(class) => is_small_class(class).is_some_and(|bytes| bytes.into_iter().all(set)),
        HirKind::Literal(literal) => literal.0.iter().all(|byte| set(byte.to_ascii_lowercase())),
        _ => false,
    }
}
