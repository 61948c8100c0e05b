//! What must be present for a rule to match: short windows of byte sets, and cheap checks around them.
//!
//! A pattern's intermediate form is split into branches without alternation. A branch is a row of byte sets with gaps
//! where its length varies. Somewhere in that row the rarest four neighbouring sets are the branch's *window*: every
//! match holds it, so the search for windows finds a candidate for every match. Around a window everything that can be
//! said at fixed distances, and across one gap on each side, is checked before a regex engine is asked. The checks are
//! necessary conditions only; the rule's own regex has the last word, so a mistake here could cost a match but never
//! invent one, and the comparison with the plain scanner looks for exactly that.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(in super::super) struct Set(pub(super) [u64; 4]);

impl Set {
    pub(super) const ALL: Set = Set([u64::MAX; 4]);

    pub(super) fn one(b: u8) -> Set {
        let mut s = Set::default();
        s.add(b);
        s
    }

    pub(super) fn add(&mut self, b: u8) {
        self.0[usize::from(b >> 6)] |= 1 << (b & 63);
    }

    #[inline]
    pub(in super::super) fn has(&self, b: u8) -> bool {
        self.0[usize::from(b >> 6)] >> (b & 63) & 1 == 1
    }

    pub(in super::super) fn union(&self, other: &Set) -> Set {
        Set(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    fn is_subset(&self, of: impl Fn(u8) -> bool) -> bool {
        (0..=255u8).all(|b| !self.has(b) || of(b))
    }

    /// The bytes of the set, ascending.
    pub(in super::super) fn bytes(&self) -> impl Iterator<Item = u8> {
        self.0.iter().zip((0u8..=255).step_by(64)).flat_map(|(&word, first)| {
            std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)))
                .take_while(|&word| word != 0)
                .map(move |word| first + word.trailing_zeros() as u8)
        })
    }

    /// Share of text bytes that are in the set, in parts of 2^16, by the table of typical frequencies.
    pub(super) fn weight(&self) -> u64 {
        const TABLE: [u32; 256] = {
            let mut table = [0; 256];
            let mut b = 0;
            while b < 256 {
                table[b] = frequency(b as u8) as u32;
                b += 1;
            }
            table
        };
        self.bytes().map(|b| u64::from(TABLE[usize::from(b)])).sum()
    }
}

/// Typical frequency of a byte in prose, code and JSON, in parts of 2^16 (rounded, never 0).
pub(super) const fn frequency(b: u8) -> u64 {
    match b {
        b' ' => 10000,
        b'e' => 5200,
        b't' => 3900,
        b'a' | b'i' | b'n' | b'o' | b's' | b'r' => 3300,
        b'l' | b'd' | b'c' | b'u' | b'h' => 1800,
        b'p' | b'm' | b'f' | b'g' => 1300,
        b'y' | b'b' | b'w' | b'v' => 800,
        b'k' | b'x' => 400,
        b'j' | b'q' | b'z' => 120,
        b'A'..=b'Z' => 200,
        b'0' | b'1' => 450,
        b'2'..=b'9' => 250,
        b'_' => 500,
        b'-' => 450,
        b'.' | b',' => 600,
        b'"' | b'\\' => 700,
        b'=' | b'(' | b')' | b':' | b'/' => 350,
        0x21..=0x7e => 120,
        0x80..=0xff => 10,
        _ => 2,
    }
}

pub(in super::super) fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// One element of a branch.
#[derive(Debug, Clone)]
enum Slot {
    Byte(Set),
    /// At least `min` bytes; all of them in `set` if it is known.
    Gap {
        set: Option<Set>,
        min: usize,
    },
    Look(Look),
}

/// Condition on what lies beyond one end of the fixed stretch around a window.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Beyond {
    /// Anything.
    Any,
    /// The end of the text, or a byte that is not a word character.
    Boundary,
    /// The end of the text.
    Edge,
    /// This many bytes of the set.
    Run(Set, usize),
    /// Bytes of the first set, then one of the second; or, with `true`, the end of the text instead of the latter.
    Bridge(Set, Set, bool),
}

/// One way to match: its window and the checks around it.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    /// Four neighbouring sets; the last may be the full one.
    pub(super) window: [Set; 4],
    /// The four sets after the window; full ones where nothing is known.
    pub(super) tail: [Set; 4],
    /// Bytes between the start of the match and the window, if that is fixed.
    pub(super) start: Option<usize>,
    /// Checks at fixed distances from the window, rarest first.
    pub(super) checks: Vec<(isize, Set)>,
    /// First and last distance of the fixed stretch.
    pub(super) from: isize,
    pub(super) to: isize,
    pub(super) before: Beyond,
    pub(super) after: Beyond,
    /// Length of the stretch of ASCII characters around the window in every match, the start of the text counting as
    /// one; 0 when the window itself may hold others.
    pub(super) stretch: usize,
    /// Whether an equals sign is one of them.
    pub(super) equals: bool,
    /// Length of the longest stretch of ASCII characters that every match holds.
    pub(super) longest: usize,
}

/// Longest branch list of a rule; a rule with more is searched with its own engine alone.
const MAX_BRANCHES: usize = 48;
/// Copies of a repeated set that are written out.
const MAX_COPIES: usize = 110;
/// A window commoner than this (in parts of 2^64, as a product of four weights) is not worth searching.
const MAX_WEIGHT: u128 = 1 << 58;
/// Windows up to so many times as common as a pattern's rarest are weighed by their tails.
const ABOUT_AS_RARE: u128 = 4;

/// The branches of a pattern; `None` when some match might hold no window.
pub(super) fn branches(hir: &Hir) -> Option<Vec<Branch>> {
    let rows = rows(hir)?;
    rows.iter().map(|row| branch(row)).collect()
}

/// Length of the longest stretch of ASCII characters that every match of a row holds.
fn longest(row: &[Slot]) -> usize {
    let (mut longest, mut now) = (0, 0);
    for slot in row {
        match slot {
            Slot::Byte(set) if set.is_subset(|b| b.is_ascii()) => now += 1,
            Slot::Gap { set: Some(set), min } if set.is_subset(|b| b.is_ascii()) => now += min,
            Slot::Look(_) => {}
            _ => now = 0,
        }
        longest = longest.max(now);
    }
    longest
}

/// Neighbouring bytes that every match of a branch holds.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Stretch {
    pub(in super::super) sets: Vec<Set>,
    /// What stands before the first of them is no word character.
    pub(in super::super) bounded: bool,
}

/// The stretches of each branch of a pattern, of which every match of the branch holds all; `None` when there are too many
/// branches. Of what is repeated, up to `most` bytes are written out.
pub(in super::super) fn stretches(hir: &Hir, most: usize) -> Option<Vec<Vec<Stretch>>> {
    Some(rows(hir)?.iter().map(|row| stretches_of(row, most)).collect())
}

fn stretches_of(row: &[Slot], most: usize) -> Vec<Stretch> {
    let (mut all, mut now) = (Vec::new(), Stretch::default());
    for slot in row {
        match slot {
            Slot::Byte(set) => {
                now.bounded &= !now.sets.is_empty() || set.is_subset(is_word);
                now.sets.push(*set);
            }
            Slot::Look(look) => now.bounded |= now.sets.is_empty() && *look == Look::WordAscii,
            Slot::Gap { set, min } => {
                let copies = set.map(|set| vec![set; (*min).min(most)]).unwrap_or_default();
                now.bounded &= !now.sets.is_empty();
                now.sets.extend_from_slice(&copies);
                all.push(std::mem::replace(&mut now, Stretch { sets: copies, bounded: false }));
            }
        }
    }
    all.push(now);
    all.retain(|stretch| !stretch.sets.is_empty());
    all
}

fn rows(hir: &Hir) -> Option<Vec<Vec<Slot>>> {
    let one = |slot: Slot| Some(vec![vec![slot]]);
    match hir.kind() {
        HirKind::Empty => Some(vec![Vec::new()]),
        HirKind::Literal(literal) => Some(vec![literal.0.iter().map(|&b| Slot::Byte(Set::one(b))).collect()]),
        HirKind::Class(class) => match byte_set(class) {
            Some(set) => one(Slot::Byte(set)),
            // Either one of its ASCII characters, or two to four bytes that are not ASCII.
            None => {
                let mut high = Set::default();
                (0x80..=0xff).for_each(|b| high.add(b));
                let wide = vec![Slot::Byte(high), Slot::Gap { set: None, min: 1 }];
                Some(vec![vec![Slot::Byte(ascii_part(class))], wide])
            }
        },
        HirKind::Look(look) => one(Slot::Look(*look)),
        HirKind::Capture(capture) => rows(&capture.sub),
        HirKind::Concat(subs) => {
            let mut all = vec![Vec::new()];
            for sub in subs {
                let next = rows(sub)?;
                if all.len() * next.len() > MAX_BRANCHES {
                    return None;
                }
                all = all.iter().flat_map(|a| next.iter().map(move |n| [a.as_slice(), n].concat())).collect();
            }
            Some(all)
        }
        HirKind::Alternation(subs) => {
            let mut all = Vec::new();
            for sub in subs {
                all.extend(rows(sub)?);
            }
            (all.len() <= MAX_BRANCHES).then_some(all)
        }
        HirKind::Repetition(rep) => {
            let min = rep.min as usize;
            if let HirKind::Class(class) = rep.sub.kind()
                && let Some(set) = byte_set(class)
            {
                let copies = vec![Slot::Byte(set); min.min(MAX_COPIES)];
                if rep.max == Some(rep.min) && min <= MAX_COPIES {
                    return Some(vec![copies]);
                }
                // Seen from either side, the nearest `min` bytes are there; they may be the same bytes, so nothing can
                // be said across the gap unless there are none.
                let gap = Slot::Gap { set: (min == 0).then_some(set), min: 0 };
                return Some(vec![[copies.as_slice(), &[gap], &copies].concat()]);
            }
            let subs = rows(&rep.sub)?;
            if rep.min == rep.max.unwrap_or(0)
                && (1..=4).contains(&min)
                && subs.len().pow(rep.min) <= MAX_BRANCHES
            {
                let copies = vec![(*rep.sub).clone(); min];
                return rows(&Hir::concat(copies));
            }
            if rep.max == Some(1) {
                return Some([vec![Vec::new()], subs].concat());
            }
            let length = rep.sub.properties().minimum_len().unwrap_or(0) * min;
            let set = union_of(&subs);
            if let Some(set) = set
                && (1..=MAX_COPIES).contains(&length)
            {
                let copies = vec![Slot::Byte(set); length];
                let gap = Slot::Gap { set: None, min: 0 };
                return Some(vec![[copies.as_slice(), &[gap], &copies].concat()]);
            }
            one(Slot::Gap { set, min: length })
        }
    }
}

/// Every byte that a match of the rows can hold; `None` when that is not known.
fn union_of(rows: &[Vec<Slot>]) -> Option<Set> {
    let mut all = Set::default();
    for slot in rows.iter().flatten() {
        match slot {
            Slot::Byte(set) | Slot::Gap { set: Some(set), .. } => all = all.union(set),
            Slot::Gap { set: None, .. } => return None,
            Slot::Look(_) => {}
        }
    }
    Some(all)
}

/// A class as single bytes. Classes with non-ASCII characters are not, but for the two that only case folding adds:
/// they never occur in a normalised text.
fn byte_set(class: &Class) -> Option<Set> {
    let mut set = Set::default();
    match class {
        Class::Unicode(class) => {
            for range in class.ranges() {
                let (lo, hi) = (u32::from(range.start()), u32::from(range.end()));
                if lo == hi && matches!(lo, 0x17F | 0x212A) {
                    continue;
                }
                if hi > 0x7f {
                    return None;
                }
                (lo..=hi).for_each(|b| set.add(b as u8));
            }
        }
        Class::Bytes(class) => {
            class.ranges().iter().for_each(|r| (r.start()..=r.end()).for_each(|b| set.add(b)));
        }
    }
    Some(set)
}

/// The ASCII characters of a class.
fn ascii_part(class: &Class) -> Set {
    let mut set = Set::default();
    if let Class::Unicode(class) = class {
        for range in class.ranges() {
            let (lo, hi) = (u32::from(range.start()), u32::from(range.end()).min(0x7f));
            (lo..=hi).for_each(|b| set.add(b as u8));
        }
    }
    set
}

fn branch(row: &[Slot]) -> Option<Branch> {
    // Byte slots with looks left out, as stretches between gaps.
    let bytes: Vec<Option<Set>> = row
        .iter()
        .map(|slot| match slot {
            Slot::Byte(set) => Some(*set),
            _ => None,
        })
        .collect();
    let windows: Vec<_> = (0..row.len())
        .filter_map(|i| Some((i, weight(&window_at(&bytes, row, i)?))))
        .filter(|&(_, weight)| weight <= MAX_WEIGHT)
        .collect();
    let rarest = windows.iter().map(|&(_, weight)| weight).min()?;
    // Of windows that are about as rare, the one with the rarest tail.
    let (at, _) = windows
        .into_iter()
        .filter(|&(_, weight)| weight <= rarest * ABOUT_AS_RARE)
        .min_by_key(|&(i, window)| window * (weight(&tail_at(&bytes, i)) >> 32))?;
    let window = window_at(&bytes, row, at)?;
    let mut first = at;
    while first > 0 && bytes[first - 1].is_some() {
        first -= 1;
    }
    let mut end = at;
    while end < row.len() && bytes[end].is_some() {
        end += 1;
    }
    let mut checks = Vec::with_capacity((end - first).saturating_sub(4));
    let distances = (first..end).filter_map(|i| bytes[i].map(|set| (i as isize - at as isize, set)));
    // The window itself is known to be there.
    checks.extend(distances.filter(|(distance, _)| !(0..4).contains(distance)));
    // In a run of one class, the far end is likelier to lie beyond what the text has of it.
    checks.sort_by_cached_key(|(distance, set)| (set.weight(), std::cmp::Reverse(distance.abs())));
    let start = if row[..first].iter().all(|s| matches!(s, Slot::Look(_))) { Some(at - first) } else { None };
    let before = beyond(row[..first].iter().rev(), bytes[first], true);
    let after = beyond(row[end..].iter(), bytes[end - 1], false);
    let (from, to) = (first as isize - at as isize, end as isize - at as isize);
    let (stretch, equals) = stretch(row, at);
    let tail = tail_at(&bytes, at);
    let longest = longest(row);
    Some(Branch { window, tail, start, checks, from, to, before, after, stretch, equals, longest })
}

/// See [`Branch::stretch`] and [`Branch::equals`].
fn stretch(row: &[Slot], window: usize) -> (usize, bool) {
    let ascii = |set: &Set| set.is_subset(|b| b.is_ascii());
    let mut equals = false;
    let mut length = |slots: &mut dyn Iterator<Item = &Slot>| {
        let mut length = 0;
        for slot in slots {
            length += match slot {
                Slot::Byte(set) if ascii(set) => {
                    equals |= *set == Set::one(b'=');
                    1
                }
                Slot::Gap { set: Some(set), min } if ascii(set) => *min,
                Slot::Look(Look::Start | Look::StartLF) => 1,
                Slot::Look(_) => 0,
                _ => break,
            };
        }
        length
    };
    match length(&mut row[window..].iter()) {
        // Three neighbouring characters are what a window is at least.
        0..3 => (0, false),
        after => {
            let before = length(&mut row[..window].iter().rev());
            (after + before, equals)
        }
    }
}

/// Whether all matches are of ASCII characters.
pub(super) fn is_ascii(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => literal.0.is_ascii(),
        HirKind::Class(class) => byte_set(class).is_some_and(|set| set.is_subset(|b| b.is_ascii())),
        HirKind::Capture(capture) => is_ascii(&capture.sub),
        HirKind::Repetition(repetition) => is_ascii(&repetition.sub),
        HirKind::Concat(subs) | HirKind::Alternation(subs) => subs.iter().all(is_ascii),
    }
}

/// The window that starts at a slot: three or four neighbouring byte slots.
fn window_at(bytes: &[Option<Set>], row: &[Slot], i: usize) -> Option<[Set; 4]> {
    if !matches!(row[i], Slot::Byte(_)) {
        return None;
    }
    let get = |j: usize| bytes.get(j).copied().flatten();
    Some([get(i)?, get(i + 1)?, get(i + 2)?, get(i + 3).unwrap_or(Set::ALL)])
}

/// The four sets after the window that starts at a slot, up to the first gap.
fn tail_at(bytes: &[Option<Set>], i: usize) -> [Set; 4] {
    let mut tail = [Set::ALL; 4];
    let known = bytes[i..].iter().map_while(|slot| *slot).skip(4);
    tail.iter_mut().zip(known).for_each(|(set, known)| *set = known);
    tail
}

/// How common four neighbouring sets are, in parts of 2^64.
fn weight(sets: &[Set; 4]) -> u128 {
    let mut before = None;
    let weight = |set: &Set| {
        // A character of which there are two is likely one of a row of them.
        let repeated = before.replace(*set) == Some(*set) && set.bytes().count() == 1;
        if repeated { 1 << 15 } else { u128::from(set.weight().clamp(1, 65536)) }
    };
    sets.iter().map(weight).product()
}

/// What can be said beyond one end of a stretch, walking away from it.
fn beyond<'s>(mut slots: impl Iterator<Item = &'s Slot>, neighbour: Option<Set>, backwards: bool) -> Beyond {
    let edge = |look: &Look| match (backwards, look) {
        (true, Look::Start) => true,
        (false, Look::End) => true,
        // LF never occurs in a normalised text.
        (true, Look::StartLF) | (false, Look::EndLF) => true,
        _ => false,
    };
    match slots.next() {
        Some(Slot::Look(Look::WordAscii)) if neighbour.is_some_and(|s| s.is_subset(is_word)) => {
            Beyond::Boundary
        }
        Some(Slot::Look(look)) if edge(look) => Beyond::Edge,
        Some(Slot::Look(_)) => match slots.next() {
            Some(Slot::Gap { set: Some(set), min: 0 }) => bridge(set, slots, edge),
            _ => Beyond::Any,
        },
        Some(Slot::Gap { set: Some(set), min: 0 }) => bridge(set, slots, edge),
        Some(Slot::Gap { set: Some(set), min }) => Beyond::Run(*set, *min),
        _ => Beyond::Any,
    }
}

fn bridge<'s>(gap: &Set, mut slots: impl Iterator<Item = &'s Slot>, edge: impl Fn(&Look) -> bool) -> Beyond {
    match slots.next() {
        Some(Slot::Byte(set)) => Beyond::Bridge(*gap, *set, false),
        Some(Slot::Look(look)) if edge(look) => Beyond::Bridge(*gap, Set::default(), true),
        _ => Beyond::Any,
    }
}

impl Branch {
    /// Whether everything that is known holds for a window at `at`.
    #[inline]
    pub(super) fn holds(&self, text: &[u8], at: usize) -> bool {
        self.holds_where(text, at, |_| false)
    }

    /// The same for a text or for some part of it that stands between characters which belong to no word: its ends may be
    /// anywhere.
    pub(super) fn holds_in_part(&self, text: &[u8], at: usize) -> bool {
        self.holds_where(text, at, |beyond| matches!(beyond, Beyond::Edge | Beyond::Bridge(_, _, true)))
    }

    #[inline]
    fn holds_where(&self, text: &[u8], at: usize, is_met: impl Fn(&Beyond) -> bool) -> bool {
        let at = at as isize;
        if self.before == Beyond::Boundary {
            // In runs of digits and letters this is what fails.
            let before = text.get((at + self.from).wrapping_sub(1) as usize);
            if before.is_some_and(|&b| is_word(b)) {
                return false;
            }
        }
        for &(distance, set) in &self.checks {
            match text.get((at + distance) as usize) {
                Some(&b) if at + distance >= 0 && set.has(b) => {}
                _ => return false,
            }
        }
        // The window is in the text and every check held, so the stretch lies within the text.
        let (before, after) = (&text[..(at + self.from) as usize], &text[(at + self.to) as usize..]);
        (is_met(&self.before) || self.before.holds(before.iter().rev().copied()))
            && (is_met(&self.after) || self.after.holds(after.iter().copied()))
    }

    /// Allows tabs and line ends wherever it allows a space. No normalised text holds any.
    pub(super) fn take_lines_for_spaces(&mut self) {
        let take = |set: &mut Set| {
            if set.has(b' ') {
                b"\t\n\r".iter().for_each(|&b| set.add(b));
            }
        };
        self.window.iter_mut().chain(&mut self.tail).for_each(take);
        self.checks.iter_mut().for_each(|(_, set)| take(set));
        for beyond in [&mut self.before, &mut self.after] {
            match beyond {
                Beyond::Run(set, _) => take(set),
                Beyond::Bridge(gap, then, _) => [gap, then].into_iter().for_each(take),
                Beyond::Any | Beyond::Boundary | Beyond::Edge => {}
            }
        }
    }

    /// Whether a window never stands behind a character of a word.
    pub(super) fn begins_at_boundary(&self) -> bool {
        self.before == Beyond::Boundary && self.from == 0
    }

    /// Whether it looks for the start or end of the text.
    pub(super) fn looks_at_edges(&self) -> bool {
        let looks = |beyond: &Beyond| matches!(beyond, Beyond::Edge | Beyond::Bridge(_, _, true));
        looks(&self.before) || looks(&self.after)
    }

    /// The same for a text of which only a part is at hand: what lies beyond that holds.
    pub(super) fn may_hold(&self, part: &[u8], at: usize) -> bool {
        let at = at as isize;
        for &(distance, set) in &self.checks {
            match part.get((at + distance) as usize) {
                Some(&b) if !set.has(b) => return false,
                _ => {}
            }
        }
        let (from, to) = ((at + self.from).max(0) as usize, ((at + self.to) as usize).min(part.len()));
        self.before.may_hold(part[..from].iter().rev().copied())
            && self.after.may_hold(part[to..].iter().copied())
    }
}

impl Beyond {
    /// Like [`Beyond::holds`] where only the nearest bytes are known.
    fn may_hold(&self, mut bytes: impl Iterator<Item = u8>) -> bool {
        match self {
            Beyond::Any => true,
            Beyond::Boundary => bytes.next().is_none_or(|b| !is_word(b)),
            Beyond::Edge => bytes.next().is_none(),
            Beyond::Run(set, n) => bytes.take(*n).all(|b| set.has(b)),
            Beyond::Bridge(gap, then, _) => {
                bytes.take(64).find(|&b| then.has(b) || !gap.has(b)).is_none_or(|b| then.has(b))
            }
        }
    }

    fn holds(&self, mut bytes: impl Iterator<Item = u8>) -> bool {
        match self {
            Beyond::Any => true,
            Beyond::Boundary => bytes.next().is_none_or(|b| !is_word(b)),
            Beyond::Edge => bytes.next().is_none(),
            Beyond::Run(set, n) => {
                let mut left = *n;
                while left > 0 {
                    match bytes.next() {
                        Some(b) if set.has(b) => left -= 1,
                        _ => return false,
                    }
                }
                true
            }
            Beyond::Bridge(gap, then, edge) => {
                // A gap longer than this is left to the regex.
                for _ in 0..64 {
                    match bytes.next() {
                        None => return *edge,
                        Some(b) if then.has(b) => return true,
                        Some(b) if gap.has(b) => {}
                        Some(_) => return false,
                    }
                }
                true
            }
        }
    }
}
