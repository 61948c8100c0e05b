//! What must be present for a rule to match: short windows of byte sets, and cheap checks around them.
//!
//! A pattern's intermediate form is split into branches without alternation. A branch is a row of byte sets with gaps
//! where its length varies. Somewhere in that row the rarest four neighbouring sets are the branch's *window*: every
//! match holds it, so the search for windows finds a candidate for every match. Around a window everything that can be
//! said at fixed distances, and across one gap on each side, is checked before a regex engine is asked. The checks are
//! necessary conditions only; the rule's own regex has the last word, so a mistake here could cost a match but never
//! invent one, and the comparison with the plain scanner looks for exactly that.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

mod branch;
mod set;

use branch::Beyond;
pub(super) use branch::Branch;
pub(super) use set::frequency;
pub(in super::super) use set::{Set, is_word};

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
