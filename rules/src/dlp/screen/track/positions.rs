//! An expression as positions: places of characters in it, and which place can follow which (Glushkov's construction).
//!
//! What a text leads to is a set of positions, and what it leads to from a union of sets is the union of what it leads to
//! from each. So all joins of a number of values can be read at once.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::super::super::fast::shape::is_word;
use super::super::seams::{NO_REST, Seams};
use super::{MOST_JOINED, Track};

/// Bit 0 is the place before a match.
type Bits = u128;
const BEFORE: Bits = 1;
const MOST: usize = 127;
/// Longest list of ways to begin, or to end, of a part of an expression.
const MOST_WAYS: usize = 512;

/// Conditions between two characters.
type Looks = u8;
const AT_START: Looks = 1;
const AT_END: Looks = 2;
const BOUNDARY: Looks = 4;
const NO_BOUNDARY: Looks = 8;

/// What the text so far ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Nothing,
    Word,
    Other,
}

const ENDS: [End; 3] = [End::Nothing, End::Word, End::Other];

impl End {
    fn of(c: char) -> Self {
        if is_word_char(c) { Self::Word } else { Self::Other }
    }

    /// The conditions that hold between this and the next character.
    #[inline]
    fn looks(self, next: Option<char>) -> Looks {
        let is_boundary = (self == Self::Word) != next.is_some_and(is_word_char);
        let edges =
            if self == Self::Nothing { AT_START } else { 0 } | if next.is_none() { AT_END } else { 0 };
        edges | if is_boundary { BOUNDARY } else { NO_BOUNDARY }
    }
}

fn is_word_char(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_word)
}

/// The positions of an expression. Texts have no line breaks.
#[derive(Debug)]
pub(super) struct Positions {
    /// Where an ASCII character can stand.
    ascii: Box<[Bits; 128]>,
    /// Where every other character can, and where some can.
    others: Bits,
    some: Vec<(Bits, Vec<(char, char)>)>,
    /// For each condition, what can follow a place.
    follow: Vec<(Looks, Vec<Bits>)>,
    /// Places at which a match can end, by condition.
    last: Vec<(Looks, Bits)>,
}

/// Ways to begin or to end.
type Ways = Vec<(Looks, usize)>;

/// A part of an expression.
struct Part {
    /// Conditions under which it matches nothing at all.
    empty: Vec<Looks>,
    first: Ways,
    last: Ways,
}

impl Part {
    fn nothing(looks: Looks) -> Self {
        Self { empty: vec![looks], first: Ways::new(), last: Ways::new() }
    }
}

fn add_all<T: PartialEq>(to: &mut Vec<T>, more: impl IntoIterator<Item = T>) -> Option<()> {
    for item in more {
        if !to.contains(&item) {
            to.push(item);
        }
    }
    (to.len() <= MOST_WAYS).then_some(())
}

impl Positions {
    /// `None` when the expression has too many positions, or conditions that are not known here.
    pub(super) fn new(hir: &Hir) -> Option<Self> {
        let mut this = Self {
            ascii: Box::new([0; 128]),
            others: 0,
            some: Vec::new(),
            follow: Vec::new(),
            last: Vec::new(),
        };
        let mut count = 1;
        let part = this.part(hir, &mut count)?;
        this.link(&[(0, 0)], &part.first);
        let ends = part.last.iter().copied().chain(part.empty.iter().map(|&looks| (looks, 0)));
        for (looks, place) in ends {
            match this.last.iter_mut().find(|(known, _)| *known == looks) {
                Some((_, places)) => *places |= 1 << place,
                None => this.last.push((looks, 1 << place)),
            }
        }
        Some(this)
    }

    fn link(&mut self, from: &[(Looks, usize)], to: &[(Looks, usize)]) {
        for &(before, from) in from {
            for &(after, to) in to {
                let looks = before | after;
                let at = self.follow.iter().position(|(known, _)| *known == looks).unwrap_or_else(|| {
                    self.follow.push((looks, vec![0; MOST + 1]));
                    self.follow.len() - 1
                });
                self.follow[at].1[from] |= 1 << to;
            }
        }
    }

    fn place(&mut self, count: &mut usize) -> Option<usize> {
        let place = *count;
        *count += 1;
        (place <= MOST).then_some(place)
    }

    fn class(&mut self, ranges: Vec<(char, char)>, count: &mut usize) -> Option<Part> {
        let place = self.place(count)?;
        for (byte, places) in (0u8..).zip(self.ascii.iter_mut()) {
            let c = char::from(byte);
            if ranges.iter().any(|&(from, to)| (from..=to).contains(&c)) {
                *places |= 1 << place;
            }
        }
        let wide = ranges.into_iter().filter(|(_, to)| !to.is_ascii());
        let wide: Vec<_> = wide.map(|(from, to)| (from.max('\u{80}'), to)).collect();
        if matches!(wide[..], [('\u{80}', char::MAX)]) {
            self.others |= 1 << place;
        } else if !wide.is_empty() {
            self.some.push((1 << place, wide));
        }
        Some(Part { empty: Vec::new(), first: vec![(0, place)], last: vec![(0, place)] })
    }

    fn part(&mut self, hir: &Hir, count: &mut usize) -> Option<Part> {
        match hir.kind() {
            HirKind::Empty => Some(Part::nothing(0)),
            HirKind::Look(look) => Some(Part::nothing(match look {
                Look::Start | Look::StartLF | Look::StartCRLF => AT_START,
                Look::End | Look::EndLF | Look::EndCRLF => AT_END,
                Look::WordAscii => BOUNDARY,
                Look::WordAsciiNegate => NO_BOUNDARY,
                _ => return None,
            })),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).ok()?;
                text.chars().try_fold(Part::nothing(0), |before, c| {
                    let next = self.class(vec![(c, c)], count)?;
                    self.then(before, next)
                })
            }
            HirKind::Class(Class::Unicode(class)) => {
                let ranges = class.ranges().iter().map(|range| (range.start(), range.end())).collect();
                self.class(ranges, count)
            }
            HirKind::Class(Class::Bytes(_)) => None,
            HirKind::Capture(capture) => self.part(&capture.sub, count),
            HirKind::Concat(parts) => parts.iter().try_fold(Part::nothing(0), |before, next| {
                let next = self.part(next, count)?;
                self.then(before, next)
            }),
            HirKind::Alternation(branches) => {
                let mut all = Part { empty: Vec::new(), first: Ways::new(), last: Ways::new() };
                for branch in branches {
                    let branch = self.part(branch, count)?;
                    add_all(&mut all.empty, branch.empty)?;
                    add_all(&mut all.first, branch.first)?;
                    add_all(&mut all.last, branch.last)?;
                }
                Some(all)
            }
            HirKind::Repetition(repetition) => {
                let mut all = Part::nothing(0);
                let (min, max) = (repetition.min, repetition.max);
                // Copies that must be there, then those that may; without an upper bound the last one may come again.
                for copy in 0..max.unwrap_or(min.max(1)) {
                    let mut next = self.part(&repetition.sub, count)?;
                    if max.is_none() && copy + 1 >= min {
                        self.link(&next.last.clone(), &next.first);
                    }
                    if copy >= min {
                        add_all(&mut next.empty, [0])?;
                    }
                    all = self.then(all, next)?;
                }
                Some(all)
            }
        }
    }

    fn then(&mut self, before: Part, next: Part) -> Option<Part> {
        self.link(&before.last, &next.first);
        let both = |looks: Looks, ways: &Ways| -> Ways {
            ways.iter().map(|&(others, place)| (looks | others, place)).collect()
        };
        let (mut first, mut last, mut empty) = (before.first, next.last, Vec::new());
        for &looks in &before.empty {
            add_all(&mut first, both(looks, &next.first))?;
            add_all(&mut empty, next.empty.iter().map(|others| looks | others))?;
        }
        for &looks in &next.empty {
            add_all(&mut last, both(looks, &before.last))?;
        }
        Some(Part { empty, first, last })
    }

    #[inline]
    fn places_of(&self, c: char) -> Bits {
        if let Some(places) = self.ascii.get(c as usize) {
            return *places;
        }
        let has = |ranges: &[(char, char)]| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
        let some = self.some.iter().filter(|(_, ranges)| has(ranges)).map(|(place, _)| place);
        some.fold(self.others, |all, place| all | place)
    }

    /// Where the next character can stand.
    #[inline]
    fn next(&self, places: Bits, looks: Looks, c: char) -> Bits {
        let mut next = 0;
        for (condition, follow) in &self.follow {
            if condition & !looks != 0 {
                continue;
            }
            let mut rest = places;
            while rest != 0 {
                next |= follow[rest.trailing_zeros() as usize];
                rest &= rest - 1;
            }
        }
        next & self.places_of(c)
    }

    #[inline]
    fn accepts(&self, places: Bits, looks: Looks) -> bool {
        self.last.iter().any(|(condition, last)| condition & !looks == 0 && last & places != 0)
    }
}

/// What a value leads to wherever it stands: the places after it of what begins behind its first character.
#[derive(Debug, Clone, Copy)]
struct Inner {
    places: Bits,
    matches: bool,
}

/// An expression in joins of values.
pub(super) struct Followed<'p> {
    positions: &'p Positions,
    values: Vec<(&'p str, Inner)>,
}

/// A text so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    places: Bits,
    end: End,
}

impl<'p> Followed<'p> {
    pub(super) fn new(positions: &'p Positions, values: &[&'p [u8]]) -> Self {
        let mut this = Self { positions, values: Vec::with_capacity(values.len()) };
        for value in values {
            let (value, inner) = match std::str::from_utf8(value) {
                Ok(value) => (value, this.inner(value)),
                // No normalised text is that; anything may match it.
                Err(_) => ("", Inner { places: 0, matches: true }),
            };
            this.values.push((value, inner));
        }
        this
    }

    fn inner(&self, value: &str) -> Inner {
        let mut chars = value.chars();
        let Some(first) = chars.next() else { return Inner { places: 0, matches: false } };
        let (mut places, mut end) = (0, End::of(first));
        for c in chars {
            let looks = end.looks(Some(c));
            if self.positions.accepts(places | BEFORE, looks) {
                return Inner { places: 0, matches: true };
            }
            places = self.positions.next(places | BEFORE, looks, c);
            end = End::of(c);
        }
        Inner { places, matches: false }
    }

    /// `None` when the expression matches whatever follows.
    fn read(&self, before: Places, value: usize) -> Option<Places> {
        let (text, inner) = &self.values[value];
        if inner.matches {
            return None;
        }
        let (mut places, mut end) = (before.places | BEFORE, before.end);
        for c in text.chars() {
            let looks = end.looks(Some(c));
            if self.positions.accepts(places, looks) {
                return None;
            }
            places = self.positions.next(places, looks, c);
            end = End::of(c);
            if places == 0 {
                break;
            }
        }
        if let Some(last) = text.chars().next_back() {
            end = End::of(last);
        }
        Some(Places { places: places & !BEFORE | inner.places, end })
    }

    fn accepts(&self, state: Places) -> bool {
        self.positions.accepts(state.places | BEFORE, state.end.looks(None))
    }

    /// Whether some join of two to four values matches: all joins of as many values are read at once.
    pub(super) fn matches_any(&self, seams: &Seams<'_>) -> bool {
        // What joins of as many values lead to, by the rest that they leave and what they end in.
        let mut joins = vec![[[None::<Bits>; ENDS.len()]; MOST_JOINED + 1]; seams.rests()];
        joins[NO_REST][0][0] = Some(0);
        for value in 0..seams.count() {
            for len in (1..=MOST_JOINED).rev() {
                for rest in 0..joins.len() {
                    let before = joins[rest][len - 1];
                    let step = seams.step(rest, value);
                    for (places, end) in before.into_iter().zip(ENDS) {
                        let Some(places) = places else { continue };
                        let Some(after) = self.read(Places { places, end }, step.text) else { return true };
                        if len > 1 && self.ends(&after, seams.end(step.rest)) {
                            return true;
                        }
                        *joins[step.rest][len][after.end as usize].get_or_insert(0) |= after.places;
                    }
                }
            }
        }
        false
    }

    /// Whether the expression matches a join that ends here, but for one more text.
    fn ends(&self, after: &Places, end: Option<usize>) -> bool {
        let after = end.map_or(Some(*after), |end| self.read(*after, end));
        after.is_none_or(|after| self.accepts(after))
    }
}

impl Track for Followed<'_> {
    type State = Places;

    fn start(&self) -> Places {
        Places { places: 0, end: End::Nothing }
    }

    fn then(&mut self, state: &Places, value: usize) -> Option<Places> {
        self.read(*state, value)
    }

    fn ends(&self, state: &Places) -> bool {
        self.accepts(*state)
    }
}
