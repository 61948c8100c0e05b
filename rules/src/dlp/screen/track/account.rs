//! Account numbers: whole words whose letters and digits, as one number, leave the remainder 1.

use super::super::super::fast::shape::is_word;
use super::super::super::validate::{account_countries, is_account_of};
use super::Track;

/// What every valid number looks like but for its length.
pub(super) fn valid() -> String {
    let mut countries: Vec<(&str, String)> = Vec::new();
    for (first, second) in account_countries().map(|country| country.split_at(1)) {
        match countries.last_mut() {
            Some((known, seconds)) if *known == first => seconds.push_str(second),
            _ => countries.push((first, second.to_owned())),
        }
    }
    let countries: Vec<String> =
        countries.iter().map(|(first, seconds)| format!("{first}[{seconds}]")).collect();
    format!(r"(?i)\b(?:{})\d\d[A-Z0-9]{{11,30}}\b", countries.join("|"))
}

/// Longest number, and what counts as longer.
const MOST: u8 = 34;

/// 10 to the power of an index, modulo 97.
const POWERS: [u16; 2 * MOST as usize + 1] = {
    let mut powers = [1; 2 * MOST as usize + 1];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10 % 97;
        at += 1;
    }
    powers
};

/// A part of a word.
#[derive(Debug, Clone, Copy)]
struct Word {
    /// Characters; more than the most is no number, and neither is a word with other characters than letters and digits.
    len: u8,
    /// The first four, in upper case.
    head: [u8; 4],
    /// Digits that the letters and digits stand for, and the remainder of their number.
    digits: u8,
    remainder: u16,
}

const EMPTY: Word = Word { len: 0, head: [0; 4], digits: 0, remainder: 0 };
const NO_NUMBER: Word = Word { len: MOST + 1, ..EMPTY };

impl Word {
    fn one(byte: u8) -> Self {
        let upper = byte.to_ascii_uppercase();
        let Some(value) = char::from(upper).to_digit(36) else { return NO_NUMBER };
        let digits = if value > 9 { 2 } else { 1 };
        Self { len: 1, head: [upper, 0, 0, 0], digits, remainder: value as u16 }
    }

    #[inline]
    fn then(&self, next: &Self) -> Self {
        let len = self.len + next.len;
        if len > MOST {
            return NO_NUMBER;
        }
        let own = usize::from(self.len);
        let head = std::array::from_fn(|at| if at < own { self.head[at] } else { next.head[at - own] });
        let remainder = (self.remainder * POWERS[usize::from(next.digits)] + next.remainder) % 97;
        Self { len, head, digits: self.digits + next.digits, remainder }
    }

    /// Whether it is a valid number. (spec: dlp §6)
    fn is_account(&self) -> bool {
        if !(15..=MOST).contains(&self.len) {
            return false;
        }
        let [a, b, c, d] = self.head;
        if !(a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_digit() && d.is_ascii_digit()) {
            return false;
        }
        let digit = |byte: u8| u32::from(byte - b'0');
        let letter = |byte: u8| u32::from(byte - b'A') + 10;
        let moved = (letter(a) * 10_000 + letter(b) * 100 + digit(c) * 10 + digit(d)) % 97;
        // The first four characters, six digits, count as the last.
        let power = |of: u8| u32::from(POWERS[usize::from(of)]);
        let rest = (u32::from(self.remainder) + 97 * 97 - moved * power(self.digits - 6)) % 97;
        (rest * power(6) + moved) % 97 == 1 && is_account_of([a, b], usize::from(self.len))
    }
}

/// A value: the part of a word that it begins with, the one that it ends with, and what stands between them.
#[derive(Debug)]
struct Part {
    head: Word,
    /// `None` when the value is a part of one word.
    tail: Option<Word>,
    /// Whether a word between them is a number.
    matches: bool,
}

impl Part {
    fn of(value: &[u8]) -> Self {
        let mut part = Self { head: EMPTY, tail: None, matches: false };
        for &byte in value {
            if is_word(byte) {
                let word = part.tail.as_mut().unwrap_or(&mut part.head);
                *word = word.then(&Word::one(byte));
            } else {
                part.matches |= part.tail.replace(EMPTY).is_some_and(|word| word.is_account());
            }
        }
        part
    }
}

/// The search for account numbers.
pub(super) struct Accounts(Vec<Part>);

impl Accounts {
    pub(super) fn new(values: &[&[u8]]) -> Self {
        Self(values.iter().map(|value| Part::of(value)).collect())
    }
}

/// The word that a join ends in.
pub(super) struct Last(Word);

impl Track for Accounts {
    type State = Last;

    fn start(&self) -> Last {
        Last(EMPTY)
    }

    #[inline]
    fn then(&mut self, state: &Last, value: usize) -> Option<Last> {
        let part = &self.0[value];
        let word = state.0.then(&part.head);
        match part.tail {
            None => Some(Last(word)),
            Some(tail) => (!part.matches && !word.is_account()).then_some(Last(tail)),
        }
    }

    #[inline]
    fn ends(&self, state: &Last) -> bool {
        state.0.is_account()
    }
}
