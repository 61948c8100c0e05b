//! Joins of the values of a query, decided together: there may be 6,175 of them. (spec: url-scan §10.4)
//!
//! What reading a join leads to is known for all joins at once when the automata start each value from every state that the
//! values before it can leave behind. Nearly always that shows that no rule can match any of them. Otherwise the rules that
//! are left are followed through the joins ([`super::track`]); only for rules too large for that are joins extended value by
//! value, and those in which a condition of a rule is met put together and searched.

use std::ops::{ControlFlow, Range};

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton, StateID};

use super::rows::{MOST_BYTES, State};
use super::seams::{NO_REST, Seams};
use super::shape::Counts;
use super::track::{MOST_JOINED, Tracked};
use super::{Screen, Set, WORDS, contains, insert, is_empty, numbers};
use crate::dlp::{RuleList, Scanner};
use crate::scratch::{Buffer, pooled};
use crate::text;

/// Values that take part in joins of two, three and four.
pub const MOST_VALUES: usize = 20;

pooled!(StateID);

/// Texts in order, one after the other in one buffer.
#[derive(Debug, Default, Clone)]
pub struct Values {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Values {
    /// Forgets all texts and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Adds what `write` appends to the buffer as one more text.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.text);
        self.ends.push(self.text.len());
    }

    /// Adds a part of `text` as one more text.
    pub fn push_part(&mut self, text: &[u8], part: Range<usize>) {
        append(&mut self.text, text, part);
        self.ends.push(self.text.len());
    }

    /// All texts, each with a space before it.
    #[must_use]
    pub fn spaced(&self) -> Vec<u8> {
        let mut spaced = Vec::with_capacity(self.text.len() + self.ends.len() + SHORT);
        let mut start = 0;
        for &end in &self.ends {
            spaced.push(b' ');
            append(&mut spaced, &self.text, std::mem::replace(&mut start, end)..end);
        }
        spaced
    }

    /// Number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All texts joined.
    #[must_use]
    pub fn joined(&self) -> &[u8] {
        &self.text
    }

    /// The texts.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator + Clone {
        (0..self.ends.len()).map(|at| self.get(at))
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[start..self.ends[at]]
    }
}

/// Parts of this many bytes are copied without a call.
const SHORT: usize = 16;

/// Appends a part of `text`.
#[inline]
fn append(out: &mut Vec<u8>, text: &[u8], part: Range<usize>) {
    match text[part.start..].first_chunk::<SHORT>() {
        Some(chunk) if part.len() <= SHORT => {
            let length = out.len() + part.len();
            out.extend_from_slice(chunk);
            out.truncate(length);
        }
        _ => out.extend_from_slice(&text[part]),
    }
}

/// What reading a value does to the rows, from no state.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    seen: State,
    end: State,
}

/// A value as a part of joins.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    /// At the start of a join or after a byte that ends no word; and after one that does.
    runs: [Run; 2],
    counts: Counts,
}

/// A join so far.
#[derive(Debug, Clone, Copy)]
struct Join {
    values: [u8; MOST_JOINED],
    len: usize,
    /// What it leaves for the next value, and its last byte.
    rest: usize,
    before: Option<u8>,
    seen: State,
    end: State,
    counts: Counts,
}

impl Screen {
    /// Whether a rule may match all values joined, or a join of two to four of the first [`MOST_VALUES`] in order, of which
    /// there are none with fewer than three values. `None` when that cannot be told without a look at each.
    #[must_use]
    pub fn joins(&self, scanner: &Scanner, values: &Values) -> Option<bool> {
        if self.is_blind {
            return None;
        }
        let apart = with_normalised(values, |values| self.normalised_joins(scanner, values));
        apart.or_else(|| {
            let seams = Seams::new(values)?;
            Some(self.may_match(scanner, values.joined()) || self.some_few_match(scanner, values, &seams))
        })
    }

    /// Gives those joins of two to four values, as they are, to `examine` in order, of two first, that a rule of the list may
    /// match, until it breaks. `None` when that cannot be told without a look at each.
    pub fn visit_joins<B>(
        &self,
        scanner: &Scanner,
        list: RuleList,
        values: &Values,
        examine: &mut impl FnMut(&[u8]) -> ControlFlow<B>,
    ) -> Option<ControlFlow<B>> {
        if self.is_blind {
            return None;
        }
        let mut visit = |seams: &Seams<'_>| {
            let rules = self.rules_in_joins(Some(list), seams);
            if is_empty(&rules) || values.len() < 3 {
                return ControlFlow::Continue(());
            }
            let few = Few::new(self, scanner, seams, &rules);
            let mut text = Buffer::new();
            for size in 2..=MOST_JOINED {
                let mut examine = |join: &[u8; MOST_JOINED]| {
                    text.clear();
                    join[..size].iter().for_each(|&at| text.extend_from_slice(values.get(usize::from(at))));
                    examine(&text)
                };
                // Nearly always the first one decides.
                let Some(first) = few.first(size) else { continue };
                examine(&first)?;
                few.all(size).iter().filter(|join| **join != first).try_for_each(&mut examine)?;
            }
            ControlFlow::Continue(())
        };
        let apart = with_normalised(values, |values| visit(&Seams::none(values)));
        apart.or_else(|| Seams::new(values).map(|seams| visit(&seams)))
    }

    /// [`Screen::joins`] of values that are normalised and stay so in joins.
    fn normalised_joins(&self, scanner: &Scanner, values: &Values) -> bool {
        let joined = values.joined();
        if joined.len() < self.shortest {
            return false;
        }
        let matches = |text: &[u8]| super::hits(scanner, text);
        // What no join of the values can hold, all of them joined cannot either, when they are few enough.
        let are_many = values.len() > MOST_VALUES;
        if are_many && matches(joined) {
            return true;
        }
        let seams = Seams::none(values);
        let rules = self.rules_in_joins(None, &seams);
        if is_empty(&rules) {
            return false;
        }
        if !are_many && matches(joined) {
            return true;
        }
        values.len() >= 3 && Few::new(self, scanner, &seams, &rules).any_matches()
    }

    /// Whether a rule matches a join of two to four values.
    fn some_few_match(&self, scanner: &Scanner, values: &Values, seams: &Seams<'_>) -> bool {
        let rules = self.rules_in_joins(None, seams);
        !is_empty(&rules) && values.len() >= 3 && Few::new(self, scanner, seams, &rules).any_matches()
    }

    /// The rules of a list, or of both, whose conditions are met in joins of the first values.
    fn rules_in_joins(&self, list: Option<RuleList>, seams: &Seams<'_>) -> Set {
        let mut rules = self.loose;
        self.add_joined_literals(seams, &mut rules);
        self.rows.add_complete(self.joined_rows(seams), &mut rules);
        for (word, core) in rules.iter_mut().zip(self.core) {
            *word &= match list {
                None => u64::MAX,
                Some(RuleList::Core) => core,
                Some(RuleList::Main) => !core,
            };
        }
        rules
    }

    fn run(&self, value: &[u8], mut before: Option<u8>) -> Run {
        let mut run = Run::default();
        for &byte in value {
            run.end = self.rows.step(run.end, self.rows.starts(before), byte);
            run.seen |= run.end;
            before = Some(byte);
        }
        run
    }

    /// The union of the rows' states in all joins of any number of the texts in order.
    fn joined_rows(&self, seams: &Seams<'_>) -> State {
        let (mut seen, mut before) = (State::default(), State::default());
        for value in seams.texts() {
            let mut state = before;
            let mut last = None;
            for &byte in value {
                state = self.rows.step(state, self.rows.starts(last), byte);
                seen |= state;
                last = Some(byte);
            }
            before |= state;
        }
        seen
    }

    /// Literals in any join of the texts in order: the automaton is run over each value from every state that a join before it
    /// can leave behind. Most runs fall together with the run from the start after a few bytes.
    fn add_joined_literals(&self, seams: &Seams<'_>, found: &mut Set) {
        let Some((dfa, start)) = &self.literals else { return };
        let (mut before, mut trail) = (Buffer::<StateID>::new(), Buffer::<StateID>::new());
        for value in seams.texts() {
            trail.clear();
            let mut state = *start;
            for &byte in value {
                state = dfa.next_state(Anchored::No, state, byte);
                self.note(dfa, state, found);
                trail.push(state);
            }
            let known = before.len();
            if state != *start && !before.contains(&state) {
                before.push(state);
            }
            for from in 0..known {
                let mut state = before[from];
                let mut fell_together = false;
                for (&byte, &usual) in value.iter().zip(trail.iter()) {
                    state = dfa.next_state(Anchored::No, state, byte);
                    if state == usual {
                        fell_together = true;
                        break;
                    }
                    self.note(dfa, state, found);
                }
                if !fell_together && !before.contains(&state) {
                    before.push(state);
                }
            }
        }
    }
}

/// Gives values to `work` as they are after normalisation. `None` when joins of them are not joins of these.
fn with_normalised<R>(values: &Values, work: impl FnOnce(&Values) -> R) -> Option<R> {
    if text::is_printable(values.joined()) {
        return Some(work(values));
    }
    if !text::are_apart(values.iter()) {
        return None;
    }
    let (mut normalised, mut buffer) = (Values::default(), Buffer::new());
    for value in values.iter() {
        let value = text::norm_dlp_quick(value, &mut buffer).unwrap_or(value);
        normalised.push_with(|out| out.extend_from_slice(value));
    }
    Some(work(&normalised))
}

/// The first values, and the rules that may match joins of them.
struct Few<'s> {
    screen: &'s Screen,
    scanner: &'s Scanner,
    seams: &'s Seams<'s>,
    /// Of the texts.
    parts: Vec<Part>,
    tracked: Vec<&'s Tracked>,
    /// Rules that have to be asked about each join.
    asked: Set,
}

impl<'s> Few<'s> {
    fn new(screen: &'s Screen, scanner: &'s Scanner, seams: &'s Seams<'s>, rules: &Set) -> Self {
        let part = |text: &[u8]| Part {
            runs: [None, Some(b'a')].map(|before| screen.run(text, before)),
            counts: Counts::of(text.iter().copied()),
        };
        let parts: Vec<Part> = seams.texts().map(part).collect();
        let counts = parts.iter().map(|part| &part.counts);
        // A rest at the end of a join is one more text.
        let bound = match seams.rests() {
            1 => Counts::bound::<MOST_JOINED>(counts),
            _ => Counts::bound::<{ MOST_JOINED + 1 }>(counts),
        };
        let (mut tracked, mut asked, mut seen) = (Vec::new(), [0; WORDS], [0; WORDS]);
        for number in numbers(rules).filter(|&number| screen.shapes[number].allows(&bound)) {
            let number = usize::from(screen.same[number]);
            if contains(&seen, number) {
                continue;
            }
            insert(&mut seen, number);
            match screen.tracked(scanner, number) {
                Some(rule) => tracked.push(rule),
                None => insert(&mut asked, number),
            }
        }
        Self { screen, scanner, seams, parts, tracked, asked }
    }

    fn any_matches(&self) -> bool {
        let mut text = Buffer::new();
        self.tracked.iter().any(|rule| rule.matches_any(self.seams))
            || self.each_asked(&mut |join| {
                text.clear();
                self.seams.join(join.iter().map(|&at| usize::from(at)), &mut text);
                super::hits(self.scanner, &text)
            })
    }

    /// The first join of as many values that a rule may match.
    fn first(&self, size: usize) -> Option<[u8; MOST_JOINED]> {
        let mut first = None;
        let mut note = |join: &[u8]| {
            let is_one = join.len() == size;
            if is_one {
                let found = padded(join);
                first = Some(first.map_or(found, |known: [u8; MOST_JOINED]| known.min(found)));
            }
            is_one
        };
        for rule in &self.tracked {
            rule.each(self.seams, size, &mut note);
        }
        self.each_asked(&mut note);
        first
    }

    /// All of them, in order.
    fn all(&self, size: usize) -> Vec<[u8; MOST_JOINED]> {
        let mut joins = Vec::new();
        let mut note = |join: &[u8]| {
            if join.len() == size {
                joins.push(padded(join));
            }
            false
        };
        for rule in &self.tracked {
            rule.each(self.seams, size, &mut note);
        }
        self.each_asked(&mut note);
        joins.sort_unstable();
        joins.dedup();
        joins
    }

    /// Calls `found` for each join in which the conditions of a rule are met that has to be asked, until it returns true.
    fn each_asked(&self, found: &mut impl FnMut(&[u8]) -> bool) -> bool {
        let (parts, seams) = (&self.parts, self.seams);
        !is_empty(&self.asked) && Search { screen: self.screen, seams, parts, rules: &self.asked }.any(found)
    }
}

fn padded(join: &[u8]) -> [u8; MOST_JOINED] {
    std::array::from_fn(|at| join.get(at).copied().unwrap_or_default())
}

/// A walk over all joins of two to four values, each as an extension of a shorter one.
struct Search<'s> {
    screen: &'s Screen,
    seams: &'s Seams<'s>,
    parts: &'s [Part],
    rules: &'s Set,
}

impl Search<'_> {
    /// Whether `matches` some join in which a rule's conditions are met.
    fn any(&self, matches: &mut impl FnMut(&[u8]) -> bool) -> bool {
        let start = Join {
            values: [0; MOST_JOINED],
            len: 0,
            rest: NO_REST,
            before: None,
            seen: State::default(),
            end: State::default(),
            counts: Counts::of(std::iter::empty()),
        };
        (0..self.seams.count()).any(|first| self.extend(&self.then(&start, first), matches))
    }

    fn extend(&self, join: &Join, matches: &mut impl FnMut(&[u8]) -> bool) -> bool {
        let last = usize::from(join.values[join.len - 1]);
        (last + 1..self.seams.count()).any(|next| {
            let longer = self.then(join, next);
            (self.meets(&longer) && matches(&longer.values[..longer.len]))
                || (longer.len < MOST_JOINED && self.extend(&longer, matches))
        })
    }

    fn then(&self, join: &Join, next: usize) -> Join {
        let step = self.seams.step(join.rest, next);
        let mut values = join.values;
        values[join.len] = next as u8;
        Join { values, len: join.len + 1, rest: step.rest, ..self.read(join, step.text) }
    }

    /// A join with one more text.
    fn read(&self, join: &Join, text: usize) -> Join {
        let (rows, part) = (&self.screen.rows, &self.parts[text]);
        let text = self.seams.text(text);
        let mut before = join.before;
        let run = &part.runs[usize::from(rows.starts(before) != rows.starts(None))];
        let (mut seen, mut end) = (join.seen | run.seen, join.end);
        // Rows that began earlier end within these bytes.
        for &byte in text.iter().take(MOST_BYTES) {
            end = rows.step(end, rows.starts(before), byte);
            seen |= end;
            before = Some(byte);
        }
        Join {
            before: text.last().copied().or(join.before),
            seen,
            end: if text.len() > MOST_BYTES { run.end } else { end },
            counts: join.counts.then(&part.counts),
            ..*join
        }
    }

    fn meets(&self, join: &Join) -> bool {
        let ended = self.seams.end(join.rest).map(|end| self.read(join, end));
        let join = ended.as_ref().unwrap_or(join);
        let mut complete = [0; WORDS];
        self.screen.rows.add_complete(join.seen, &mut complete);
        let waits = |number| contains(&self.screen.rowed, number) && !contains(&complete, number);
        numbers(self.rules).any(|number| !waits(number) && self.screen.shapes[number].allows(&join.counts))
    }
}
