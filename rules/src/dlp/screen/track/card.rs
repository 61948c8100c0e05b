//! Card numbers: groups of digits with a space or hyphen between them, read as successive longest candidates, of which each
//! one is checked and, valid or not, left behind. (spec: dlp §6.5)

use super::super::super::fast::shape::is_word;
use super::super::super::validate::{LONGEST_CARD, SHORTEST_CARD, is_issued};
use super::Track;

/// Digits of a number.
const DIGITS: std::ops::RangeInclusive<u8> = SHORTEST_CARD as u8..=LONGEST_CARD as u8;
const MOST: u8 = *DIGITS.end();
/// The first group has this many digits or more.
const FIRST: u8 = 4;
/// Most groups of a number, and one more.
const MOST_GROUPS: usize = 17;

/// What every valid number begins with, and its length and edges.
pub(super) const VALID: &str =
    r"\b(?:4\d\d\d|5[1-5]\d\d|3[47]\d\d|65\d\d|2[2-7]\d\d|35[2-8]\d|6011|64[4-9]\d)(?:[ -]?\d){11,15}\b";

/// A group of digits.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    /// The first four digits, as a number.
    first: u16,
    /// Digits; more than the most counts as one more.
    len: u8,
    /// Check sums modulo 10: with the last digit as it is, and with the last digit doubled.
    sums: [u8; 2],
}

impl Group {
    fn one(digit: u8) -> Self {
        let doubled = if digit > 4 { 2 * digit - 9 } else { 2 * digit };
        Self { len: 1, first: u16::from(digit), sums: [digit, doubled] }
    }

    #[inline]
    fn then(&self, next: &Self) -> Self {
        const POWERS: [u16; 5] = [1, 10, 100, 1000, 10_000];
        let missing = FIRST.saturating_sub(self.len).min(next.len);
        let cut = next.len.min(FIRST) - missing;
        let first =
            self.first * POWERS[usize::from(missing)] + next.first / POWERS[usize::from(cut.min(FIRST))];
        let is_odd = usize::from(next.len % 2);
        Self {
            len: (self.len + next.len).min(MOST + 1),
            first: if missing == 0 { self.first } else { first },
            sums: [0, 1].map(|at| (next.sums[at] + self.sums[at ^ is_odd]) % 10),
        }
    }
}

/// What a text is made of here.
#[derive(Debug, Clone, Copy)]
enum Token {
    Digits(Group),
    /// Characters of a word that are not all digits.
    Word,
    /// A single space or hyphen.
    Link,
    /// Anything else.
    Gap,
}

/// What the text so far ends in.
#[derive(Debug, Clone, Copy)]
enum Last {
    /// Nothing that what follows could belong to.
    Nothing,
    Link,
    Digits(Group),
    Word,
}

/// A text so far.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    /// Complete groups from the start of the next candidate on, of which the first has digits enough; all of them have no more
    /// digits than a number.
    groups: [Group; MOST_GROUPS],
    count: usize,
    digits: u8,
    last: Last,
}

const CLEAN: Chain = Chain {
    groups: [Group { len: 0, first: 0, sums: [0; 2] }; MOST_GROUPS],
    count: 0,
    digits: 0,
    last: Last::Nothing,
};

/// A valid number was read.
struct Found;

impl Chain {
    fn push(&mut self, token: &Token) -> Result<(), Found> {
        self.last = match (token, self.last) {
            (Token::Digits(next), Last::Digits(group)) => Last::Digits(group.then(next)),
            (Token::Digits(next), Last::Nothing | Last::Link) => Last::Digits(*next),
            (Token::Digits(_) | Token::Word, _) => {
                self.settle()?;
                Last::Word
            }
            (Token::Link, Last::Digits(group)) => {
                self.add(&group)?;
                Last::Link
            }
            (Token::Link | Token::Gap, last) => {
                if let Last::Digits(group) = last {
                    self.add(&group)?;
                }
                self.settle()?;
                Last::Nothing
            }
        };
        Ok(())
    }

    /// One more complete group.
    fn add(&mut self, group: &Group) -> Result<(), Found> {
        if group.len > MOST {
            return self.settle();
        }
        while self.digits + group.len > MOST {
            self.candidate()?;
        }
        if self.count > 0 || group.len >= FIRST {
            self.groups[self.count] = *group;
            self.count += 1;
            self.digits += group.len;
        }
        Ok(())
    }

    /// No more groups follow.
    fn settle(&mut self) -> Result<(), Found> {
        while self.count > 0 {
            self.candidate()?;
        }
        Ok(())
    }

    /// Decides the first group: the longest number that begins with it is a candidate and is left behind, or there is none and
    /// only the group is.
    fn candidate(&mut self) -> Result<(), Found> {
        let groups = &self.groups[..self.count];
        let (mut number, mut candidate, mut end) = (Group::default(), None, 1);
        for (at, group) in groups.iter().enumerate() {
            number = if at == 0 { *group } else { number.then(group) };
            if DIGITS.contains(&number.len) {
                (candidate, end) = (Some(number), at + 1);
            }
        }
        if candidate
            .is_some_and(|number| number.sums[0] == 0 && is_issued(number.first.into(), number.len.into()))
        {
            return Err(Found);
        }
        while self.groups[..self.count].get(end).is_some_and(|group| group.len < FIRST) {
            end += 1;
        }
        self.groups.copy_within(end..self.count, 0);
        self.count -= end;
        self.digits = self.groups[..self.count].iter().map(|group| group.len).sum();
        Ok(())
    }

    /// From which token of a value on, of which the token `at` is the next, what was read has a part in what follows. The value's
    /// first token may belong to what stands before it.
    fn begins(&self, at: usize) -> Option<usize> {
        let begins = match (self.count, self.last) {
            (0, Last::Nothing | Last::Link) => at,
            // The group before the link.
            (1, Last::Link) => at.checked_sub(2)?,
            _ => return None,
        };
        (begins > 0).then_some(begins)
    }
}

/// Groups, and where they end the next one begins: what a value is, and what it leads to.
#[derive(Debug)]
struct Part {
    tokens: Vec<Token>,
    /// For each token, once it is known, what the value leads to from there when nothing before has a part in it.
    from: Vec<Option<Outcome>>,
}

/// The number of a state; `None` when the value holds a card number.
type Outcome = Option<u32>;

fn tokens(value: &[u8]) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for &byte in value {
        let next = match byte {
            b'0'..=b'9' => Token::Digits(Group::one(byte - b'0')),
            b' ' | b'-' => Token::Link,
            byte if is_word(byte) => Token::Word,
            _ => Token::Gap,
        };
        match (tokens.last_mut(), next) {
            (Some(Token::Digits(group)), Token::Digits(digit)) => *group = group.then(&digit),
            (Some(last @ (Token::Digits(_) | Token::Word)), Token::Digits(_) | Token::Word) => {
                *last = Token::Word
            }
            (Some(last @ (Token::Link | Token::Gap)), Token::Link | Token::Gap) => *last = Token::Gap,
            _ => tokens.push(next),
        }
    }
    tokens
}

/// The search for card numbers.
pub(super) struct Cards {
    parts: Vec<Part>,
    outcomes: Vec<Chain>,
}

impl Cards {
    pub(super) fn new(values: &[&[u8]]) -> Self {
        let part = |value: &[u8]| {
            let tokens = tokens(value);
            Part { from: vec![None; tokens.len()], tokens }
        };
        Self { parts: values.iter().map(|value| part(value)).collect(), outcomes: Vec::new() }
    }

    /// What a value leads to from a token on, when nothing before has a part in it.
    fn from(&mut self, value: usize, token: usize) -> Outcome {
        let part = &mut self.parts[value];
        let (mut chain, mut passed) = (CLEAN, Vec::new());
        let mut outcome = None;
        for at in token..part.tokens.len() {
            if let Some(begins) = chain.begins(at) {
                if let Some(known) = part.from[begins] {
                    outcome = Some(known);
                    break;
                }
                passed.push(begins);
            }
            if chain.push(&part.tokens[at]).is_err() {
                outcome = Some(None);
                break;
            }
        }
        let outcome = outcome.unwrap_or_else(|| {
            self.outcomes.push(chain);
            Some(self.outcomes.len() as u32 - 1)
        });
        passed.into_iter().for_each(|at| part.from[at] = Some(outcome));
        outcome
    }
}

/// Values of fewer tokens are read.
const FEW: usize = 4;

impl Track for Cards {
    type State = Chain;

    fn start(&self) -> Chain {
        CLEAN
    }

    fn then(&mut self, state: &Chain, value: usize) -> Option<Chain> {
        let mut chain = state.clone();
        let count = self.parts[value].tokens.len();
        for at in 0..count {
            if count > FEW
                && let Some(begins) = chain.begins(at)
            {
                return self.from(value, begins).map(|number| self.outcomes[number as usize].clone());
            }
            chain.push(&self.parts[value].tokens[at]).ok()?;
        }
        Some(chain)
    }

    fn ends(&self, state: &Chain) -> bool {
        match state.last {
            Last::Digits(_) => state.clone().push(&Token::Gap).is_err(),
            _ => state.count > 0 && state.clone().settle().is_err(),
        }
    }
}
