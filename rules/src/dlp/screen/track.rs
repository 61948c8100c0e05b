//! One rule on all joins of a few values, without putting the joins together.
//!
//! A track reads a join value by value: what a value does to it is worked out once for each state that values before it can
//! leave behind, so that a join costs a few steps however long its values are. Expressions are followed exactly, as sets of
//! positions ([`positions`]); card and account numbers and wallet keys have a track of their own that also does the sums.

use super::super::Validator;
use super::super::compiled::Rule;

mod account;
mod card;
mod positions;
#[cfg(test)]
mod tests;
mod wallet;

use super::seams::{NO_REST, Seams};
use positions::{Followed, Positions};

/// Most values of a join.
pub(super) const MOST_JOINED: usize = 4;

/// Reads joins text by text; a text stands for a value after what stands before it ([`Seams`]).
trait Track {
    /// What is left of a join that has not matched so far.
    type State;

    fn start(&self) -> Self::State;

    /// One more text; `None` when the rule matches whatever follows.
    fn then(&mut self, state: &Self::State, text: usize) -> Option<Self::State>;

    /// Whether the rule matches a join that ends here.
    fn ends(&self, state: &Self::State) -> bool;
}

/// A rule that can be followed through joins.
#[derive(Debug)]
pub(super) struct Tracked {
    positions: Positions,
    sums: Option<Sums>,
}

/// A check that is made on the way.
#[derive(Debug, Clone, Copy)]
enum Sums {
    Card,
    Account,
    Wallet,
}

impl Tracked {
    /// `None` for rules that have to be asked about each join.
    pub(super) fn new(rule: &Rule) -> Option<Self> {
        let sums = match rule.spec().validator {
            None => None,
            Some(validator) => Some(sums(rule, validator)?),
        };
        // What a number or key must look like, beyond the rule's expression.
        let strict = |pattern: &str| Positions::new(&crate::goregex::parse(pattern).ok()?);
        let positions = match sums {
            Some(Sums::Card) => strict(card::VALID)?,
            Some(Sums::Account) => strict(&account::valid())?,
            Some(Sums::Wallet) => strict(wallet::VALID)?,
            None => Positions::new(rule.hir())?,
        };
        Some(Self { positions, sums })
    }

    /// Whether the rule matches some join of two to four values, in order.
    pub(super) fn matches_any(&self, seams: &Seams<'_>) -> bool {
        let texts: Vec<&[u8]> = seams.texts().collect();
        Followed::new(&self.positions, &texts).matches_any(seams)
            && (self.sums.is_none() || self.each(seams, MOST_JOINED, &mut |_| true))
    }

    /// Calls `found` for each of those joins of at most so many values, by their places, until it returns true. Returns whether
    /// it did.
    pub(super) fn each(&self, seams: &Seams<'_>, most: usize, found: &mut impl FnMut(&[u8]) -> bool) -> bool {
        let texts: Vec<&[u8]> = seams.texts().collect();
        let joins = Joins { seams, most };
        match self.sums {
            Some(Sums::Card) => joins.walk(&mut card::Cards::new(&texts), found),
            Some(Sums::Account) => joins.walk(&mut account::Accounts::new(&texts), found),
            Some(Sums::Wallet) => joins.walk(&mut wallet::Wallets::new(&texts), found),
            None => joins.walk(&mut Followed::new(&self.positions, &texts), found),
        }
    }
}

/// Only the built-in expressions are known.
fn sums(rule: &Rule, validator: Validator) -> Option<Sums> {
    let spec = rule.spec();
    let is_builtin = |other: &&super::super::RuleSpec| other.validator == Some(validator);
    let builtin = super::super::builtin_rules().iter().find(is_builtin)?;
    if builtin.regex != spec.regex {
        return None;
    }
    match validator {
        Validator::Luhn => Some(Sums::Card),
        Validator::Mod97 => Some(Sums::Account),
        Validator::Wif => Some(Sums::Wallet),
        Validator::Aba => None,
    }
}

/// Joins of some values.
#[derive(Debug, Clone, Copy)]
struct Joins<'s> {
    seams: &'s Seams<'s>,
    most: usize,
}

impl Joins<'_> {
    fn walk<T: Track>(self, track: &mut T, found: &mut impl FnMut(&[u8]) -> bool) -> bool {
        let start = track.start();
        self.extend(track, (Some(&start), NO_REST), &mut [0; MOST_JOINED], 0, found)
    }

    /// Goes on from a join of `len` values and the rest that it leaves, of which the track is in a state or has found a match.
    fn extend<T: Track>(
        self,
        track: &mut T,
        (state, rest): (Option<&T::State>, usize),
        join: &mut [u8; MOST_JOINED],
        len: usize,
        found: &mut impl FnMut(&[u8]) -> bool,
    ) -> bool {
        let first = if len == 0 { 0 } else { usize::from(join[len - 1]) + 1 };
        for value in first..self.seams.count() {
            join[len] = value as u8;
            let step = self.seams.step(rest, value);
            let longer = state.and_then(|state| track.then(state, step.text));
            let ends = |state: &T::State| match self.seams.end(step.rest) {
                None => track.ends(state),
                Some(end) => track.then(state, end).is_none_or(|state| track.ends(&state)),
            };
            let matches = len > 0 && longer.as_ref().is_none_or(ends);
            if matches && found(&join[..=len]) {
                return true;
            }
            let longer = (longer.as_ref(), step.rest);
            if len + 1 < self.most && self.extend(track, longer, join, len + 1, found) {
                return true;
            }
        }
        false
    }
}
