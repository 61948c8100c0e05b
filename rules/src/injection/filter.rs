//! A filter in front of the plain scan: one search that names every rule that *may* match, in any pass. Most texts name
//! none and are clean without a regular expression having run.
//!
//! Passes 1 to 5 read the same text with case, digits or vowels folded. Folding is done byte by byte and keeps what is a
//! word character a word character, so if a text matches an expression, the folded text matches the folded expression.
//! One folded copy and one set of folded expressions therefore stand for all of these passes:
//!
//! - every expression is cut into *atoms* (its alternatives), and of each atom the rarest literal set that every match
//!   must contain is searched for, all atoms together (`literals`);
//! - at a hit two lazily built automata look whether the atom matches around it, backwards and forwards (`verify`).
//!
//! `@` and `$` are read as letters by pass 3 alone and are no word characters elsewhere: a text that has them is looked
//! at in a second folding as well. Pass 2 has a text of its own. Payloads of pass 6 are texts like any other.
//! The filter may name a rule that then does not match, never the other way round; a property test compares it with the
//! plain scan. Its work is bounded: a rule whose candidates cost too much is named without further looks.

mod atoms;
mod fold;
mod literals;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Mutex;

use super::rule::{Family, Rule};
use super::{encoded, views};
use crate::text::lossy;
use atoms::Atom;
use literals::Literals;
use verify::{Look, Verifier};

/// Verification steps one rule may cost before it is named unseen: this many and half a step for each byte of text.
const STEPS: usize = 1 << 14;

/// The rules that may match, by number: the core rules first, then the standard ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Suspects {
    rules: Vec<bool>,
    /// Some decoded payload has a suspect.
    pub(super) payload: bool,
    any: bool,
}

impl Suspects {
    /// Whether anything at all may match.
    pub(super) fn any(&self) -> bool {
        self.any || self.payload
    }

    /// Whether the rule with this number may match.
    pub(super) fn has(&self, rule: usize) -> bool {
        self.rules.get(rule).copied().unwrap_or(true)
    }

    /// Joins the suspects of two texts.
    pub(super) fn add(&mut self, other: Self) {
        self.rules.iter_mut().zip(other.rules).for_each(|(mine, theirs)| *mine |= theirs);
        self.payload |= other.payload;
        self.any |= other.any;
    }

    fn name(&mut self, rule: usize) {
        self.rules[rule] = true;
        self.any = true;
    }
}

/// The compiled filter.
pub(super) struct Filter {
    literals: Literals,
    verifier: Verifier,
    /// For each atom the numbers of its rules.
    owners: Vec<Vec<usize>>,
    /// Rules without a literal that every match contains.
    always: Vec<usize>,
    rules: usize,
    thorough: bool,
    // Boxed, so that taking one moves a pointer.
    #[allow(clippy::vec_box)]
    pool: Mutex<Vec<Box<Scratch>>>,
}

/// Memory that scans reuse.
#[derive(Default)]
struct Scratch {
    folded: Vec<u8>,
    look: Look,
    steps: Vec<usize>,
}

/// Scratch sets that are kept between scans.
const KEPT: usize = 8;

impl Filter {
    /// Compiles the filter for rules in number order. `thorough`: for the hardened reading, which also runs the rules in
    /// normalised form.
    pub(super) fn new<'r>(rules: impl Iterator<Item = &'r Rule>, thorough: bool) -> Self {
        let mut always = Vec::new();
        let mut atoms: Vec<(Atom, Vec<usize>)> = Vec::new();
        let mut seen: Vec<(&str, usize)> = Vec::new();
        let mut count = 0;
        for (number, rule) in rules.enumerate() {
            count = number + 1;
            let source = rule.family.base.source();
            if let Some((_, twin)) = seen.iter().find(|(s, _)| *s == source) {
                if always.contains(twin) {
                    always.push(number);
                }
                let twins = atoms.iter_mut().filter(|(_, owners)| owners.contains(twin));
                twins.for_each(|(_, owners)| owners.push(number));
                continue;
            }
            seen.push((source, number));
            let families: Vec<&Family> =
                std::iter::once(&rule.family).chain(rule.normalised.as_ref().filter(|_| thorough)).collect();
            match atoms::of(&families) {
                Some(found) => atoms.extend(found.into_iter().map(|atom| (atom, vec![number]))),
                None => always.push(number),
            }
        }
        let (atoms, owners): (Vec<Atom>, Vec<Vec<usize>>) = atoms.into_iter().unzip();
        match Verifier::new(&atoms) {
            Some(verifier) => {
                let literals = Literals::new(&atoms);
                Self { literals, verifier, owners, always, rules: count, thorough, pool: Mutex::default() }
            }
            // Too large for the automata: every rule is run on every text.
            None => Self {
                literals: Literals::new(&[]),
                verifier: Verifier::none(),
                owners: Vec::new(),
                always: (0..count).collect(),
                rules: count,
                thorough,
                pool: Mutex::default(),
            },
        }
    }

    /// The suspects in the text whose normalised form is `normalised`. `spaced` is the text of pass 2, where it differs.
    pub(super) fn suspects(&self, normalised: &str, spaced: Option<&str>) -> Suspects {
        let mut suspects = Suspects { rules: vec![false; self.rules], ..Suspects::default() };
        let mut scratch = self.take();
        self.always.iter().for_each(|&rule| suspects.name(rule));
        self.search(normalised, &mut suspects, &mut scratch);
        if let Some(spaced) = spaced {
            self.search(spaced, &mut suspects, &mut scratch);
        }
        suspects.payload = self.payload(normalised, &mut scratch);
        self.give(scratch);
        suspects
    }

    /// Whether some payload has a suspect.
    fn payload(&self, normalised: &str, scratch: &mut Scratch) -> bool {
        let mut check = |payload: &[u8]| {
            if !self.always.is_empty() {
                return Some(());
            }
            let mut suspects = Suspects { rules: vec![false; self.rules], ..Suspects::default() };
            self.search(&views::normalised(payload), &mut suspects, scratch);
            if !suspects.any && self.thorough && !payload.is_ascii() {
                self.search(&views::thorough(&lossy(payload)), &mut suspects, scratch);
            }
            suspects.any.then_some(())
        };
        encoded::search(normalised.as_bytes(), &mut check).is_some()
    }

    /// Adds the suspects of passes 1, 3, 4 and 5 on one text.
    fn search(&self, text: &str, suspects: &mut Suspects, scratch: &mut Scratch) {
        let Scratch { folded, look, steps } = scratch;
        let signs = fold::into(text.as_bytes(), folded);
        steps.clear();
        steps.resize(self.owners.len(), STEPS + text.len() / 2);
        self.literals.search(text, folded, signs, &mut |atom, at| {
            let owners = &self.owners[atom];
            if owners.iter().all(|&rule| suspects.rules[rule]) {
                return;
            }
            if self.verifier.matches(atom, text.as_bytes(), at, signs, look, &mut steps[atom]) {
                owners.iter().for_each(|&rule| suspects.name(rule));
            }
        });
    }

    fn take(&self) -> Box<Scratch> {
        self.pool.lock().ok().and_then(|mut pool| pool.pop()).unwrap_or_default()
    }

    fn give(&self, mut scratch: Box<Scratch>) {
        // A body of many megabytes must not leave its copy behind.
        if scratch.folded.capacity() > 1 << 20 {
            scratch.folded = Vec::new();
        }
        if let Ok(mut pool) = self.pool.lock()
            && pool.len() < KEPT
        {
            pool.push(scratch);
        }
    }
}
