//! What values add to a join where characters lie across the places at which they meet: bytes of one character in two values,
//! or an accent behind its letter.
//!
//! A value leaves a rest: the bytes behind the last place that no later text can change. What the next value adds depends on
//! that rest, so it has a text for each one that can stand before it. Few rests occur in one query.

use std::borrow::Cow;

use super::joins::{MOST_VALUES, Values};
use crate::scratch::Buffer;
use crate::text;

/// More rests than this are not followed, nor are rests longer than this.
const MOST_RESTS: usize = 32;
const LONGEST_REST: usize = 64;

/// The first values of a query and the normalised texts that joins of them are made of.
#[derive(Debug)]
pub(super) struct Seams<'v> {
    texts: Cow<'v, Values>,
    /// Values, of which each is a part of joins.
    count: usize,
    /// For each value, what it adds after each rest; empty where the values are the texts.
    steps: Vec<Vec<Step>>,
    /// The texts that rests become at the end of a join.
    ends: Vec<Option<usize>>,
}

/// One more value of a join: the text that it adds, and the rest that it leaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) text: usize,
    pub(super) rest: usize,
}

/// Before the first value of a join, and after one that leaves nothing open.
pub(super) const NO_REST: usize = 0;

impl<'v> Seams<'v> {
    /// Of values that are normalised, as all joins of them are.
    pub(super) fn none(values: &'v Values) -> Self {
        let count = values.len().min(MOST_VALUES);
        Self { texts: Cow::Borrowed(values), count, steps: Vec::new(), ends: Vec::new() }
    }

    /// `None` when there are too many rests.
    pub(super) fn new(values: &Values) -> Option<Self> {
        let (mut texts, mut buffer) = (Values::default(), Buffer::new());
        let mut add = |text: &[u8]| {
            let text = text::norm_dlp_quick(text, &mut buffer).unwrap_or(text);
            texts.push_with(|out| out.extend_from_slice(text));
            texts.len() - 1
        };
        let mut rests: Vec<Vec<u8>> = vec![Vec::new()];
        let count = values.len().min(MOST_VALUES);
        let mut steps = Vec::with_capacity(count);
        for value in values.iter().take(count) {
            let mut after = Vec::with_capacity(rests.len());
            for before in 0..rests.len() {
                let whole = [&rests[before], value].concat();
                let (decided, rest) = whole.split_at(text::decided(&whole));
                let next = rests.iter().position(|known| known == rest).unwrap_or(rests.len());
                if next == rests.len() {
                    if next == MOST_RESTS || rest.len() > LONGEST_REST {
                        return None;
                    }
                    rests.push(rest.to_vec());
                }
                after.push(Step { text: add(decided), rest: next });
            }
            steps.push(after);
        }
        let ends = rests.iter().map(|rest| (!rest.is_empty()).then(|| add(rest))).collect();
        Some(Self { texts: Cow::Owned(texts), count, steps, ends })
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn rests(&self) -> usize {
        self.ends.len().max(1)
    }

    /// All texts, in such an order that those of each join are in order.
    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let count = if self.steps.is_empty() { self.count } else { self.texts.len() };
        self.texts.iter().take(count)
    }

    pub(super) fn text(&self, text: usize) -> &[u8] {
        self.texts.get(text)
    }

    /// What a value does after a rest that one of the values before it can leave.
    #[inline]
    pub(super) fn step(&self, rest: usize, value: usize) -> Step {
        let step = self.steps.get(value).and_then(|after| after.get(rest));
        step.copied().unwrap_or(Step { text: value, rest: NO_REST })
    }

    /// The text that a rest becomes at the end of a join, if it is any.
    #[inline]
    pub(super) fn end(&self, rest: usize) -> Option<usize> {
        self.ends.get(rest).copied().flatten()
    }

    /// Appends a join of values to `out`.
    pub(super) fn join(&self, values: impl IntoIterator<Item = usize>, out: &mut Vec<u8>) {
        let mut rest = NO_REST;
        for value in values {
            let step = self.step(rest, value);
            out.extend_from_slice(self.text(step.text));
            rest = step.rest;
        }
        if let Some(end) = self.end(rest) {
            out.extend_from_slice(self.text(end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dlp::screen::tests::pieces_of_characters;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: crate::dlp::screen::tests::cases(2000), ..ProptestConfig::default() })]

        #[test]
        fn joins_are_made_of_the_texts(values in prop::collection::vec(pieces_of_characters(), 1..6)) {
            let mut all = Values::default();
            values.iter().for_each(|value| all.push_with(|out| out.extend_from_slice(value)));
            let Some(seams) = Seams::new(&all) else { return Ok(()) };
            for chosen in 1usize..1 << values.len() {
                let join = || (0..values.len()).filter(|at| chosen >> at & 1 == 1);
                let raw: Vec<u8> = join().flat_map(|at| values[at].clone()).collect();
                let mut text = Vec::new();
                seams.join(join(), &mut text);
                prop_assert_eq!(String::from_utf8_lossy(&text), text::norm_dlp(&raw), "{:?}", values);
            }
        }
    }

    #[test]
    fn values_of_ordinary_ways_to_split_characters_are_followed() {
        let split = |value: usize| [b"\xA0".as_slice(), &[b'a' + value as u8; 13], b"\xC2"].concat();
        // The same text in GBK, cut between its bytes.
        let gbk = |value: usize| vec![0xB5, 0xC4, 0xCA + value as u8, 0xC7];
        let accents = |value: usize| ["\u{301}", &"y".repeat(value), "\u{e9}"].concat().into_bytes();
        let inner = |_: usize| b"\x80".to_vec();
        let parts = |value: usize| vec![[0xE3, 0x82, 0xA0][value % 3]];
        for value in [&split as &dyn Fn(usize) -> Vec<u8>, &gbk, &accents, &inner, &parts] {
            let mut values = Values::default();
            (0..MOST_VALUES).for_each(|at| values.push_with(|out| out.extend(value(at))));
            assert!(Seams::new(&values).is_some(), "{:?}", value(1));
        }
    }
}
