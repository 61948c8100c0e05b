//! The search for windows: sixteen buckets of four byte sets, tested on every position at once.
//!
//! Each bucket keeps, for each of the four places, the low and high nibbles that any of its windows allows there. A
//! position is a candidate for a bucket when all eight nibbles are allowed. Nibble products admit more than the windows
//! themselves, so windows go greedily where they add the fewest expected candidates. `simd` evaluates the tables 32
//! or 64 positions at a time; the code here is its scalar twin. With tables by bytes (AVX-512 VBMI) a place admits little
//! beside what some window of the bucket allows there, so there are fewer candidates; the owners are the same.

use super::shape::{Set, frequency};
use super::simd;
use crate::order::sorted;

pub(super) const BUCKETS: usize = 16;

/// Characters of words.
static WORD: [bool; 256] = {
    let mut word = [false; 256];
    let mut b = 0;
    while b < 128 {
        word[b] = (b as u8).is_ascii_alphanumeric() || b as u8 == b'_';
        b += 1;
    }
    word
};

/// Entries of a table that is small enough for one vector register.
pub(super) const ENTRIES: usize = 64;

/// The entry of a byte in such a table: of ASCII it is that of the other case too, or of a control character.
pub(super) const fn entry(b: u8) -> u8 {
    b & 0x1F | (b & 0x40) >> 1
}

/// The tables by entries for tables by bytes.
fn entries(bytes: &[[[u8; 128]; 2]; 8]) -> [[[u8; ENTRIES]; 2]; 8] {
    bytes.map(|place| {
        place.map(|half| {
            let mut all = [0; ENTRIES];
            for (b, buckets) in (0..).zip(half) {
                all[usize::from(entry(b))] |= buckets;
            }
            all
        })
    })
}

/// Nibble tables: `[place][nibble]` is the set of buckets, for the low and the high nibble.
#[derive(Debug, Clone)]
pub(in super::super) struct Tables {
    pub(super) low: [[u16; 16]; 4],
    pub(super) high: [[u16; 16]; 4],
    /// `[place][half][byte & 127]`: the buckets, eight to a half, that allow the byte or its upper twin. The places after
    /// the fourth are those of the tails.
    pub(super) bytes: [[[u8; 128]; 2]; 8],
    /// The same for what [`entry`] makes of bytes: less is told apart, but a look costs half as much.
    pub(super) entries: [[[u8; ENTRIES]; 2]; 8],
    /// `[half][byte]`: the buckets that allow the ASCII character before the window; others are allowed by all.
    pub(super) before: [[u8; 128]; 2],
    /// Buckets with a window whose last place may lie beyond the text.
    short: u16,
    /// Only the first eight buckets have windows.
    pub(super) is_half: bool,
}

/// Windows assigned to buckets, each with the number that its owner gave it.
#[derive(Debug, Clone)]
pub(in super::super) struct Windows {
    pub(super) tables: Tables,
    /// The same with a `+` wherever there may be a space.
    spaced: Tables,
    /// The windows of each bucket, with their owners' numbers.
    members: Vec<Vec<([Set; 4], Vec<u32>)>>,
    /// Owners of the windows by number, where there are few enough windows for `exact`.
    owners: Vec<Vec<u32>>,
    /// Buckets all of whose owners want no word character before the window.
    at_boundary: u16,
    /// `[place][byte]`: the windows, by number, that allow the byte there. One more for a place beyond the text.
    exact: Vec<[u128; 4]>,
}

#[derive(Clone, Copy, Default)]
struct Nibbles {
    low: [u16; 4],
    high: [u16; 4],
}

impl Nibbles {
    fn of(window: &[Set; 4]) -> Nibbles {
        let mut n = Nibbles::default();
        for (place, set) in window.iter().enumerate() {
            for b in set.bytes() {
                n.low[place] |= 1 << (b & 15);
                n.high[place] |= 1 << (b >> 4);
            }
        }
        n
    }

    fn union(&self, other: &Nibbles) -> Nibbles {
        Nibbles {
            low: std::array::from_fn(|i| self.low[i] | other.low[i]),
            high: std::array::from_fn(|i| self.high[i] | other.high[i]),
        }
    }

    /// Expected share of candidate positions.
    fn cost(&self, by_nibble: &[[f64; 16]; 16]) -> f64 {
        let places = self.low.iter().zip(&self.high);
        places
            .map(|(&low, &high)| {
                let rows = bits(high).map(|h| bits(low).map(|l| by_nibble[h][l]).sum::<f64>());
                rows.sum::<f64>()
            })
            .product()
    }
}

/// The numbers of the bits that are set, ascending.
fn bits(word: u16) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)))
        .take_while(|&word| word != 0)
        .map(|word| word.trailing_zeros() as usize)
}

/// What a bucket allows in the places of its windows and of their tails.
#[derive(Clone, Copy, Default)]
struct Places {
    nibbles: Nibbles,
    tail: [Set; 4],
}

/// All frequencies together.
const TOTAL: u64 = {
    let (mut total, mut b) = (0, 0);
    while b < 256 {
        total += frequency(b as u8);
        b += 1;
    }
    total
};

impl Places {
    fn union(&self, other: &Places) -> Places {
        let tail = std::array::from_fn(|i| self.tail[i].union(&other.tail[i]));
        Places { nibbles: self.nibbles.union(&other.nibbles), tail }
    }

    /// Expected cost of looking at tails, and at what those leave of the positions: each of these costs `candidate` times as much.
    fn cost(&self, by_nibble: &[[f64; 16]; 16], candidate: f64) -> f64 {
        let share = |set: &Set| match *set {
            Set::ALL => 1.0,
            set => set.weight() as f64 / TOTAL as f64,
        };
        let tail: f64 = self.tail.iter().map(share).product();
        self.nibbles.cost(by_nibble) * (1.0 + candidate * tail)
    }
}

impl Windows {
    /// Plans for windows with what follows each, its tail, and its owner. The tails only save candidates: where they lie
    /// within the text and are not there, a candidate may be left out.
    pub(super) fn plan(windows: &[([Set; 4], [Set; 4], u32)]) -> Windows {
        Windows::plan_apart(windows, |_| false)
    }

    /// The same where some owners want no word character before the window, as in rules for numbers: those keep to buckets
    /// of their own, because most of their candidates lie within words.
    pub(super) fn plan_apart(
        windows: &[([Set; 4], [Set; 4], u32)],
        at_boundary: impl Fn(u32) -> bool,
    ) -> Windows {
        Windows::plan_for(windows, at_boundary, frequency, 2.0)
    }

    /// The same for texts in which bytes are as frequent as `weight` says, and for candidates that cost more or less than the tails
    /// of a position.
    pub(super) fn plan_for(
        windows: &[([Set; 4], [Set; 4], u32)],
        at_boundary: impl Fn(u32) -> bool,
        weight: impl Fn(u8) -> u64,
        candidate: f64,
    ) -> Windows {
        let total: u64 = (0..=255u8).map(&weight).sum();
        let by_nibble: [[f64; 16]; 16] = std::array::from_fn(|h| {
            std::array::from_fn(|l| weight((h << 4 | l) as u8) as f64 / total as f64)
        });
        let mut distinct: Vec<([Set; 4], Places, Vec<u32>)> = Vec::new();
        for (window, tail, owner) in windows {
            let places = Places { nibbles: Nibbles::of(window), tail: *tail };
            match distinct.iter_mut().find(|(w, _, _)| w == window) {
                Some((_, all, owners)) => {
                    *all = all.union(&places);
                    owners.push(*owner);
                }
                None => distinct.push((*window, places, vec![*owner])),
            }
        }
        let (mut exact, mut owners) = (Vec::new(), Vec::new());
        if distinct.len() <= 128 {
            let allow = |place: usize, b: u8| {
                let all = distinct.iter().enumerate();
                all.fold(0u128, |m, (i, (w, _, _))| m | u128::from(w[place].has(b)) << i)
            };
            exact = (0..=255u8).map(|b| std::array::from_fn(|place| allow(place, b))).collect();
            let short = distinct.iter().enumerate();
            let short = short.fold(0u128, |m, (i, (w, _, _))| m | u128::from(w[3] == Set::ALL) << i);
            exact.push([0, 0, 0, short]);
            owners = distinct.iter().map(|(_, _, owners)| owners.clone()).collect();
        }
        // The costly ones first: they shape the buckets, the others fit in.
        let distinct: Vec<_> = distinct.into_iter().map(|w| (w.1.cost(&by_nibble, candidate), w)).collect();
        let distinct = sorted(distinct, |a, b| b.0.total_cmp(&a.0));
        let mut buckets = [(Places::default(), 0.0); BUCKETS];
        let mut members: Vec<Vec<([Set; 4], Vec<u32>)>> = vec![Vec::new(); BUCKETS];
        // Few windows can have a bucket each in half the search.
        let few = distinct.len() <= BUCKETS / 2;
        let buckets_used = if few { BUCKETS / 2 } else { BUCKETS };
        let mut short = 0;
        let (mut apart, mut together) = (0u16, 0u16);
        for (_, (window, places, owners)) in distinct {
            let added = |(have, cost): &(Places, f64)| have.union(&places).cost(&by_nibble, candidate) - cost;
            let costs = buckets.map(|b| added(&b));
            let (own, other) = match owners.iter().all(|&owner| at_boundary(owner)) {
                true => (&mut apart, together),
                false => (&mut together, apart),
            };
            let free = (0..buckets_used).filter(|bucket| other >> bucket & 1 == 0);
            let best = free.min_by(|&a, &b| costs[a].total_cmp(&costs[b])).unwrap_or(0);
            *own |= 1 << best;
            let joined = buckets[best].0.union(&places);
            buckets[best] = (joined, joined.cost(&by_nibble, candidate));
            members[best].push((window, owners));
            if window[3] == Set::ALL {
                short |= 1 << best;
            }
        }
        let table = |pick: fn(&Nibbles) -> &[u16; 4], place: usize, nibble: usize| {
            (0..BUCKETS).fold(0u16, |m, b| m | (pick(&buckets[b].0.nibbles)[place] >> nibble & 1) << b)
        };
        let mut bytes = [[[0u8; 128]; 2]; 8];
        for (bucket, windows) in members.iter().enumerate() {
            let tail = buckets[bucket].0.tail;
            for (place, set) in windows.iter().flat_map(|(w, _)| w.iter().chain(&tail).enumerate()) {
                for b in set.bytes() {
                    bytes[place][bucket / 8][usize::from(b & 127)] |= 1 << (bucket % 8);
                }
            }
        }
        let at_boundary = apart & !together;
        let before = std::array::from_fn(|half| {
            let within_words = !(at_boundary >> (8 * half)) as u8;
            std::array::from_fn(|b| if WORD[b] { within_words } else { u8::MAX })
        });
        let tables = Tables {
            entries: entries(&bytes),
            bytes,
            before,
            low: std::array::from_fn(|p| std::array::from_fn(|n| table(|x| &x.low, p, n))),
            high: std::array::from_fn(|p| std::array::from_fn(|n| table(|x| &x.high, p, n))),
            short,
            is_half: few,
        };
        Windows { spaced: tables.spaced(), tables, members, owners, at_boundary, exact }
    }

    /// Whether the owners of a candidate are looked up by its bytes, not one by one.
    pub(super) fn are_exact(&self) -> bool {
        !self.exact.is_empty()
    }

    /// Calls `owner(number)` for every owner of a window of these buckets that is at the position, until it returns true;
    /// returns whether it did.
    #[inline]
    pub(super) fn owners(
        &self,
        text: &[u8],
        at: usize,
        mut buckets: u16,
        mut owner: impl FnMut(u32) -> bool,
    ) -> bool {
        if let Some(beyond) = self.exact.last() {
            let allowed = |place: usize| match text.get(at + place) {
                Some(&b) => self.exact[usize::from(b)][place],
                None => beyond[place],
            };
            let mut windows = allowed(0) & allowed(1) & allowed(2) & allowed(3);
            while windows != 0 {
                let window = windows.trailing_zeros() as usize;
                windows &= windows - 1;
                if self.owners[window].iter().any(|&number| owner(number)) {
                    return true;
                }
            }
            return false;
        }
        while buckets != 0 {
            let bucket = buckets.trailing_zeros() as usize;
            buckets &= buckets - 1;
            for (window, owners) in &self.members[bucket] {
                // The first place is the likeliest to differ in a bucket's other windows; the last may lie outside.
                let here = text.get(at..at + 3).is_some_and(|b| (0..3).all(|i| window[i].has(b[i])))
                    && text.get(at + 3).map_or(window[3] == Set::ALL, |&b| window[3].has(b));
                if here && owners.iter().any(|&number| owner(number)) {
                    return true;
                }
            }
        }
        false
    }

    /// Calls `candidate(position, buckets)` for every candidate in ascending order, until it returns true.
    #[inline]
    pub(super) fn search(&self, text: &[u8], candidate: impl FnMut(usize, u16) -> bool) -> bool {
        self.search_by(&self.tables, text, candidate)
    }

    /// The same for the candidates of a text and of the one with a space for each `+`, at once.
    pub(super) fn search_spaced(&self, text: &[u8], candidate: impl FnMut(usize, u16) -> bool) -> bool {
        self.search_by(&self.spaced, text, candidate)
    }

    #[inline]
    fn search_by(&self, tables: &Tables, text: &[u8], mut candidate: impl FnMut(usize, u16) -> bool) -> bool {
        let mut candidate = |at: usize, buckets: u16| {
            let within_word = buckets & !self.at_boundary == 0 && at > 0 && WORD[usize::from(text[at - 1])];
            !within_word && candidate(at, buckets)
        };
        let from = match simd::windows(tables, text, &mut candidate) {
            Ok(done) => done,
            Err(simd::Stopped) => return true,
        };
        (from..text.len()).any(|at| {
            let buckets = tables.with_tail(text, at, tables.at(text, at));
            buckets != 0 && candidate(at, buckets)
        })
    }
}

impl Tables {
    fn spaced(&self) -> Tables {
        let mut spaced = self.clone();
        for (low, high) in spaced.low.iter_mut().zip(&mut spaced.high) {
            low[usize::from(b'+' & 15)] |= low[usize::from(b' ' & 15)];
            high[usize::from(b'+' >> 4)] |= high[usize::from(b' ' >> 4)];
        }
        for half in spaced.bytes.iter_mut().flatten() {
            half[usize::from(b'+')] |= half[usize::from(b' ')];
        }
        spaced.entries = entries(&spaced.bytes);
        spaced
    }

    /// The buckets for which a position is a candidate.
    #[inline]
    pub(super) fn at(&self, text: &[u8], at: usize) -> u16 {
        let mut buckets = u16::MAX;
        for place in 0..4 {
            buckets &= match text.get(at + place) {
                Some(&b) => self.low[place][usize::from(b & 15)] & self.high[place][usize::from(b >> 4)],
                None if place == 3 => self.short,
                None => 0,
            };
        }
        buckets
    }

    /// Those of the buckets that allow what follows the window, as far as the text goes.
    #[inline]
    pub(super) fn with_tail(&self, text: &[u8], at: usize, mut buckets: u16) -> u16 {
        let tail = text.get(at + 4..).unwrap_or_default();
        for (&b, [low, high]) in tail.iter().zip(&self.bytes[4..]) {
            let b = usize::from(b & 127);
            buckets &= u16::from(high[b]) << 8 | u16::from(low[b]);
        }
        buckets
    }
}
