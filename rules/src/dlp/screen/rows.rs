//! Rules without a literal as rows of byte sets, all followed at once by a few words of bits.
//!
//! Every match of such a rule holds a row: neighbouring bytes, each in a set of its own (three digits, a hyphen, two digits…).
//! A bit of a state says that a row's sets up to that place match the bytes just read. States can be joined: what a text
//! can lead to after any of several beginnings is the union of their states.

use std::ops::{BitAnd, BitOr, BitOrAssign};

use super::super::compiled::Rule;
use super::super::fast::shape::{Set as Bytes, Stretch, is_word, stretches};
use super::{Set, insert};

/// Longest row, in bytes.
pub(super) const MOST_BYTES: usize = 52;
/// A row as rare as this (in bits) need not be longer, nor one that has nearly all the rarity of a longer one.
const RARE: f64 = 32.0;
const NEARLY_ALL: f64 = 0.97;

const LANES: usize = 4;

/// Which rows are under way: a bit for each place of each row. No row lies in two lanes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State([u64; LANES]);

impl State {
    #[inline]
    fn map(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self(std::array::from_fn(|lane| of(self.0[lane], other.0[lane])))
    }
}

impl BitOr for State {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        self.map(other, |a, b| a | b)
    }
}

impl BitOrAssign for State {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl BitAnd for State {
    type Output = Self;

    #[inline]
    fn bitand(self, other: Self) -> Self {
        self.map(other, |a, b| a & b)
    }
}

/// A row's last place.
#[derive(Debug)]
struct End {
    lane: usize,
    bit: u64,
    rule: u16,
}

#[derive(Debug)]
pub(super) struct Rows {
    /// The places that a byte can stand at.
    places: Box<[State; 256]>,
    /// First places; of rows that begin anywhere, and of all rows.
    anywhere: State,
    first: State,
    /// All places but the last ones.
    inner: State,
    ends: Vec<End>,
    /// Places taken in each lane.
    taken: [usize; LANES],
}

impl Rows {
    pub(super) fn new() -> Self {
        Self {
            places: Box::new([State::default(); 256]),
            anywhere: State::default(),
            first: State::default(),
            inner: State([u64::MAX; LANES]),
            ends: Vec::new(),
            taken: [0; LANES],
        }
    }

    /// Takes a rule in, unless some match of it holds no row or there is no room left.
    pub(super) fn add(&mut self, rule: &Rule, number: u16) -> bool {
        let Some(branches) = stretches(rule.hir(), MOST_BYTES) else { return false };
        let Some(rows) = branches.iter().map(|all| row(all)).collect::<Option<Vec<Stretch>>>() else {
            return false;
        };
        let rows = merged(rows);
        let mut taken = self.taken;
        let room = |taken: &mut [usize; LANES], row: &Stretch| {
            let lane = taken.iter().position(|taken| taken + row.sets.len() <= 64)?;
            taken[lane] += row.sets.len();
            Some((lane, taken[lane] - row.sets.len()))
        };
        let Some(places) = rows.iter().map(|row| room(&mut taken, row)).collect::<Option<Vec<_>>>() else {
            return false;
        };
        self.taken = taken;
        for (row, (lane, start)) in rows.iter().zip(places) {
            self.first.0[lane] |= 1 << start;
            self.anywhere.0[lane] |= u64::from(!row.bounded) << start;
            for (at, set) in row.sets.iter().enumerate() {
                for byte in set.bytes() {
                    self.places[usize::from(byte)].0[lane] |= 1 << (start + at);
                }
            }
            let bit = 1 << (start + row.sets.len() - 1);
            self.inner.0[lane] &= !bit;
            self.ends.push(End { lane, bit, rule: number });
        }
        true
    }

    /// The state after one more byte. `starts` is what [`Rows::starts`] says of the byte before it.
    #[inline]
    pub(super) fn step(&self, state: State, starts: State, byte: u8) -> State {
        let state = state & self.inner;
        state.map(starts, |state, starts| state << 1 | starts) & self.places[usize::from(byte)]
    }

    /// The rows that can begin after a byte, or at the start of a text.
    #[inline]
    pub(super) fn starts(&self, before: Option<u8>) -> State {
        if before.is_some_and(is_word) { self.anywhere } else { self.first }
    }

    /// Adds the rules of which a row is complete in one of the states whose union this is.
    pub(super) fn add_complete(&self, states: State, rules: &mut Set) {
        for end in self.ends.iter().filter(|end| states.0[end.lane] & end.bit != 0) {
            insert(rules, usize::from(end.rule));
        }
    }
}

/// How rare a byte of a set is in URLs, in bits.
fn rarity(set: &Bytes) -> f64 {
    let share = |byte: u8| match byte {
        b'0'..=b'9' => 0.25 / 10.0,
        b'a'..=b'z' => 0.6 / 26.0,
        // The two cases of a letter are one.
        b'A'..=b'Z' if set.has(byte.to_ascii_lowercase()) => 0.0,
        b'A'..=b'Z' => 0.1 / 26.0,
        0x21..=0x7e => 0.03,
        _ => 0.001,
    };
    -set.bytes().map(share).sum::<f64>().clamp(1e-6, 1.0).log2()
}

/// The shortest part of a branch's stretches that is rare enough.
fn row(stretches: &[Stretch]) -> Option<Stretch> {
    let rarities: Vec<Vec<f64>> =
        stretches.iter().map(|stretch| stretch.sets.iter().map(rarity).collect()).collect();
    let parts = |length: usize| {
        stretches.iter().zip(&rarities).flat_map(move |(stretch, rarities)| {
            rarities.windows(length).enumerate().map(move |(at, bits)| {
                let bounded = at == 0 && stretch.bounded;
                let bits = bits.iter().sum::<f64>() + if bounded { 1.0 } else { 0.0 };
                (bits, &stretch.sets[at..at + length], bounded)
            })
        })
    };
    let rarest = |length: usize| parts(length).max_by(|a, b| a.0.total_cmp(&b.0));
    let rows: Vec<_> = (1..=MOST_BYTES).filter_map(rarest).collect();
    let most = rows.iter().map(|(bits, ..)| *bits).fold(0.0, f64::max);
    let row = rows.into_iter().find(|(bits, ..)| *bits >= RARE.min(most * NEARLY_ALL));
    row.map(|(_, sets, bounded)| Stretch { sets: sets.to_vec(), bounded })
}

/// Rows that differ in one place alone are one.
fn merged(rows: Vec<Stretch>) -> Vec<Stretch> {
    let mut merged: Vec<Stretch> = Vec::new();
    for row in rows {
        let near = |other: &&mut Stretch| {
            other.bounded == row.bounded
                && other.sets.len() == row.sets.len()
                && other.sets.iter().zip(&row.sets).filter(|(a, b)| a != b).count() <= 1
        };
        match merged.iter_mut().find(near) {
            Some(other) => other.sets.iter_mut().zip(&row.sets).for_each(|(a, b)| *a = a.union(b)),
            None => merged.push(row),
        }
    }
    merged
}
