//! One way to match, and whether it may at a place of a text.

use super::set::{Set, is_word};

/// Condition on what lies beyond one end of the fixed stretch around a window.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Beyond {
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
pub(in super::super) struct Branch {
    /// Four neighbouring sets; the last may be the full one.
    pub(in super::super) window: [Set; 4],
    /// The four sets after the window; full ones where nothing is known.
    pub(in super::super) tail: [Set; 4],
    /// Bytes between the start of the match and the window, if that is fixed.
    pub(in super::super) start: Option<usize>,
    /// Checks at fixed distances from the window, rarest first.
    pub(in super::super) checks: Vec<(isize, Set)>,
    /// First and last distance of the fixed stretch.
    pub(in super::super) from: isize,
    pub(in super::super) to: isize,
    pub(in super::super) before: Beyond,
    pub(in super::super) after: Beyond,
    /// Length of the stretch of ASCII characters around the window in every match, the start of the text counting as
    /// one; 0 when the window itself may hold others.
    pub(in super::super) stretch: usize,
    /// Whether an equals sign is one of them.
    pub(in super::super) equals: bool,
    /// Length of the longest stretch of ASCII characters that every match holds.
    pub(in super::super) longest: usize,
}

impl Branch {
    /// Whether everything that is known holds for a window at `at`.
    #[inline]
    pub(in super::super) fn holds(&self, text: &[u8], at: usize) -> bool {
        self.holds_where(text, at, |_| false)
    }

    /// The same for a text or for some part of it that stands between characters which belong to no word: its ends may be
    /// anywhere.
    pub(in super::super) fn holds_in_part(&self, text: &[u8], at: usize) -> bool {
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
        for (distance, set) in &self.checks {
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
    pub(in super::super) fn take_lines_for_spaces(&mut self) {
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
    pub(in super::super) fn begins_at_boundary(&self) -> bool {
        self.before == Beyond::Boundary && self.from == 0
    }

    /// Whether it looks for the start or end of the text.
    pub(in super::super) fn looks_at_edges(&self) -> bool {
        let looks = |beyond: &Beyond| matches!(beyond, Beyond::Edge | Beyond::Bridge(_, _, true));
        looks(&self.before) || looks(&self.after)
    }

    /// The same for a text of which only a part is at hand: what lies beyond that holds.
    pub(in super::super) fn may_hold(&self, part: &[u8], at: usize) -> bool {
        let at = at as isize;
        for (distance, set) in &self.checks {
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
