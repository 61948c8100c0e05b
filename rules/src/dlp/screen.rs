//! A quick, conservative answer to "could any rule match this short text?", for texts of the size of a URL.
//!
//! Every rule is reduced to conditions that each of its matches meets: one of a few literals (ignoring case), a least
//! length, a least number of digits, a least run of token characters. One automaton finds all literals at once, and one
//! count settles the rules that have none; only rules whose conditions hold are asked. "No" is certain; "yes" means that
//! the rules have to be evaluated in order, as the specification says. The URL pipeline examines thousands of joined
//! values for one query, so [`Screen::joins`] answers for all of them together. (spec: url-scan §10.4, §12.2)

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::{Rule, RuleList, Scanner};
use crate::text;

mod shape;
#[cfg(test)]
mod tests;

use shape::{Counts, Shape};

/// Rules by number: core rules first. More rules than this are asked on every text.
const MOST_RULES: usize = 512;

type Set = [u64; MOST_RULES / 64];

fn insert(set: &mut Set, number: usize) -> bool {
    let bit = 1 << (number % 64);
    let word = &mut set[number / 64];
    let is_new = *word & bit == 0;
    *word |= bit;
    is_new
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
    literals: Option<DFA>,
    /// Rule of each literal.
    owners: Vec<u16>,
    shapes: Vec<Shape>,
    /// Rules without literals.
    without: Set,
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
            without: [0; MOST_RULES / 64],
            shortest: usize::MAX,
            is_blind: rules.len() > MOST_RULES,
        };
        if screen.is_blind {
            return screen;
        }
        let mut literals: Vec<Vec<u8>> = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            let shape = Shape::of(rule.hir());
            screen.shortest = screen.shortest.min(shape.min_len);
            match shape::required_literals(rule.hir()) {
                Some(required) => {
                    screen.owners.extend(std::iter::repeat_n(number as u16, required.len()));
                    literals.extend(required);
                }
                None => drop(insert(&mut screen.without, number)),
            }
            screen.shapes.push(shape);
        }
        let built =
            DFA::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(&literals);
        match built {
            Ok(dfa) => screen.literals = Some(dfa),
            Err(_) => screen.is_blind = true,
        }
        screen
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
            return self.printable_may_match(scanner, text);
        }
        let mut buffer = Vec::new();
        let normalised = text::norm_dlp_quick(text, &mut buffer).unwrap_or(text);
        if normalised.is_ascii() {
            return self.printable_may_match(scanner, normalised);
        }
        // Two characters beyond ASCII match a case-insensitive ASCII letter, which the literals do not know.
        normalised.len() >= self.shortest && hits(scanner, normalised)
    }

    fn printable_may_match(&self, scanner: &Scanner, text: &[u8]) -> bool {
        if text.len() < self.shortest {
            return false;
        }
        if text.len() > LONG {
            return hits(scanner, text);
        }
        let mut candidates = self.without;
        self.add_literals(text, &mut candidates);
        if candidates.iter().all(|&word| word == 0) {
            return false;
        }
        let counts = Counts::of(text);
        numbers(&candidates).any(|number| self.shapes[number].allows(&counts)) && hits(scanner, text)
    }

    fn add_literals(&self, text: &[u8], found: &mut Set) {
        let Some(dfa) = &self.literals else { return };
        let Ok(mut state) = dfa.start_state(Anchored::No) else { return };
        for &byte in text {
            state = dfa.next_state(Anchored::No, state, byte);
            if dfa.is_special(state) && dfa.is_match(state) {
                for index in 0..dfa.match_len(state) {
                    let literal = dfa.match_pattern(state, index).as_usize();
                    insert(found, usize::from(self.owners[literal]));
                }
            }
        }
    }

    /// Whether no rule can match `text`, which is printable ASCII, or any part of it, by their conditions alone.
    #[must_use]
    pub fn settles(&self, text: &[u8]) -> bool {
        if self.is_blind {
            return false;
        }
        let mut candidates = self.without;
        self.add_literals(text, &mut candidates);
        let counts = Counts::of(text);
        numbers(&candidates).all(|number| !self.shapes[number].allows(&counts))
    }

    /// Whether a rule may match some join of two to four of `values` in order. The values are given in order, without
    /// those that take no part.
    #[must_use]
    pub fn joins(&self, scanner: &Scanner, values: &[&[u8]]) -> bool {
        if self.is_blind || !values.iter().all(|value| text::is_printable(value)) {
            return true;
        }
        let mut candidates = self.without;
        self.add_joined_literals(values, &mut candidates);
        let parts: Vec<Counts> = values.iter().map(|value| Counts::of(value)).collect();
        let rules: Vec<usize> = numbers(&candidates)
            .filter(|&number| self.shapes[number].allows(&Counts::bound(&parts)))
            .collect();
        if rules.is_empty() {
            return false;
        }
        // Joins of pairs, threes and fours, each as an extension of a shorter one.
        let mut stack: Vec<(usize, Counts)> = Vec::new();
        let mut joined = Vec::new();
        for first in 0..parts.len() {
            stack.clear();
            stack.push((first, parts[first]));
            if self.extend(scanner, values, &parts, &rules, &mut stack, &mut joined) {
                return true;
            }
        }
        false
    }

    fn extend(
        &self,
        scanner: &Scanner,
        values: &[&[u8]],
        parts: &[Counts],
        rules: &[usize],
        stack: &mut Vec<(usize, Counts)>,
        joined: &mut Vec<u8>,
    ) -> bool {
        let Some(&(last, counts)) = stack.last() else { return false };
        for next in last + 1..parts.len() {
            let counts = counts.then(&parts[next]);
            stack.push((next, counts));
            if rules.iter().any(|&number| self.shapes[number].allows(&counts)) {
                joined.clear();
                for &(at, _) in stack.iter() {
                    joined.extend_from_slice(values[at]);
                }
                if hits(scanner, joined) {
                    return true;
                }
            }
            if stack.len() < 4 && self.extend(scanner, values, parts, rules, stack, joined) {
                return true;
            }
            stack.pop();
        }
        false
    }

    /// Literals in any join of up to four values: the automaton is run over each value from every state that a join
    /// before it can leave behind. Most runs fall together with the run from the start after a few bytes.
    fn add_joined_literals(&self, values: &[&[u8]], found: &mut Set) {
        let Some(dfa) = &self.literals else { return };
        let Ok(start) = dfa.start_state(Anchored::No) else { return };
        let mut note = |state| {
            if dfa.is_special(state) && dfa.is_match(state) {
                for index in 0..dfa.match_len(state) {
                    insert(found, usize::from(self.owners[dfa.match_pattern(state, index).as_usize()]));
                }
            }
        };
        // States after a join of 1, 2 and 3 values that ends before the current one.
        let mut before: [Vec<_>; 3] = Default::default();
        let mut trail = Vec::new();
        for value in values {
            trail.clear();
            let mut state = start;
            for &byte in *value {
                state = dfa.next_state(Anchored::No, state, byte);
                note(state);
                trail.push(state);
            }
            let end = state;
            let mut after: [Vec<_>; 3] = [vec![end], Vec::new(), Vec::new()];
            for (count, states) in before.iter().enumerate() {
                for &from in states {
                    let mut state = from;
                    let mut fell_together = false;
                    for (at, &byte) in value.iter().enumerate() {
                        state = dfa.next_state(Anchored::No, state, byte);
                        if state == trail[at] {
                            fell_together = true;
                            break;
                        }
                        note(state);
                    }
                    let state = if fell_together { end } else { state };
                    if let Some(later) = after.get_mut(count + 1)
                        && !later.contains(&state)
                    {
                        later.push(state);
                    }
                }
            }
            for (known, new) in before.iter_mut().zip(after) {
                for state in new {
                    if !known.contains(&state) {
                        known.push(state);
                    }
                }
            }
        }
    }
}

/// Texts longer than this go straight to the scanner's own search, which has a higher fixed cost.
const LONG: usize = 512;

/// Asks the rules; a text that is not UTF-8 is not normalised, and nothing is known about it.
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
