//! What every match of an expression has: literals, a length, digits, a run of token characters.

use regex_syntax::hir::{Hir, HirKind};

use super::{is_small_class, is_within};

/// Most literals that one rule is reduced to, and the shortest one that is worth looking for.
const MOST_LITERALS: usize = 40;
const SHORTEST_LITERAL: usize = 3;

/// Letters, digits, `_`, `-` and `=`.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0usize;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'_' | b'-' | b'=');
        byte += 1;
    }
    table
};

fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Runs of token characters, and digits, of a text; or the least of both in every match of an expression.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    len: usize,
    /// ASCII characters that occur, in lower case.
    bytes: u128,
    digits: usize,
    /// Nothing but token characters.
    is_run: bool,
    /// Lengths of the run at the start, at the end, and of the longest.
    first: usize,
    last: usize,
    longest: usize,
}

const EMPTY: Counts = Counts { len: 0, bytes: 0, digits: 0, is_run: true, first: 0, last: 0, longest: 0 };

impl Counts {
    pub(super) fn of(text: impl Iterator<Item = u8>) -> Self {
        let (mut len, mut digits, mut run, mut longest, mut bytes) = (0, 0, 0, 0, 0u128);
        let mut first = None;
        for byte in text {
            len += 1;
            bytes |= 1u128.checked_shl(u32::from(byte.to_ascii_lowercase())).unwrap_or(0);
            digits += usize::from(byte.is_ascii_digit());
            if is_token(byte) {
                run += 1;
            } else {
                first.get_or_insert(run);
                longest = longest.max(run);
                run = 0;
            }
        }
        Self {
            len,
            bytes,
            digits,
            is_run: first.is_none(),
            first: first.unwrap_or(run),
            last: run,
            longest: longest.max(run),
        }
    }

    fn run(len: usize, digits: usize) -> Self {
        Self { len, bytes: 0, digits, is_run: true, first: len, last: len, longest: len }
    }

    fn other(len: usize) -> Self {
        Self { len, ..Self::default() }
    }

    /// The counts of this text followed by another.
    pub(super) fn then(&self, next: &Self) -> Self {
        Self {
            len: self.len + next.len,
            bytes: self.bytes | next.bytes,
            digits: self.digits + next.digits,
            is_run: self.is_run && next.is_run,
            first: if self.is_run { self.len + next.first } else { self.first },
            last: if next.is_run { self.last + next.len } else { next.last },
            longest: self.longest.max(next.longest).max(self.last + next.first),
        }
    }

    fn or(&self, other: &Self) -> Self {
        Self {
            len: self.len.min(other.len),
            bytes: self.bytes & other.bytes,
            digits: self.digits.min(other.digits),
            is_run: self.is_run && other.is_run,
            first: self.first.min(other.first),
            last: self.last.min(other.last),
            longest: self.longest.min(other.longest),
        }
    }

    /// An upper bound for every join of up to `N` of `parts`.
    pub(super) fn bound<'c, const N: usize>(parts: impl Iterator<Item = &'c Self> + Clone) -> Self {
        let top = |of: fn(&Self) -> usize| {
            let mut best = [0usize; N];
            for value in parts.clone().map(of) {
                let (least, _) = best.iter().enumerate().min_by_key(|(_, kept)| **kept).unwrap_or((0, &0));
                best[least] = best[least].max(value);
            }
            best.iter().sum::<usize>()
        };
        let most = |of: fn(&Self) -> usize| parts.clone().map(of).max().unwrap_or(0);
        let whole = top(|part| if part.is_run { part.len } else { 0 });
        let run = most(|part| part.last) + whole + most(|part| part.first);
        Self {
            len: top(|part| part.len),
            bytes: parts.clone().fold(0, |all, part| all | part.bytes),
            digits: top(|part| part.digits),
            is_run: true,
            first: run,
            last: run,
            longest: run.max(most(|part| part.longest)),
        }
    }
}

/// The least that a match of a rule has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Bytes.
    pub(super) min_len: usize,
    bytes: u128,
    digits: usize,
    longest: usize,
}

impl Shape {
    pub(super) fn of(hir: &Hir) -> Self {
        let least = least(hir);
        let min_len = hir.properties().minimum_len().unwrap_or(0);
        Self { min_len, bytes: least.bytes, digits: least.digits, longest: least.longest }
    }

    /// Whether a text with these counts can hold a match.
    pub(super) fn allows(&self, counts: &Counts) -> bool {
        counts.len >= self.min_len
            && counts.bytes & self.bytes == self.bytes
            && counts.digits >= self.digits
            && counts.longest >= self.longest
    }
}

fn least(hir: &Hir) -> Counts {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => EMPTY,
        HirKind::Literal(literal) => Counts::of(literal.0.iter().copied()),
        HirKind::Class(class) => {
            let only = is_small_class(class).filter(|folded| folded.len() == 1);
            let counts = if is_within(hir, |byte| byte.is_ascii_digit()) {
                Counts::run(1, 1)
            } else if is_within(hir, is_token) {
                Counts::run(1, 0)
            } else {
                Counts::other(hir.properties().minimum_len().unwrap_or(0))
            };
            Counts { bytes: only.map_or(0, |folded| 1 << folded[0]), ..counts }
        }
        HirKind::Capture(capture) => least(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(least).fold(EMPTY, |sum, part| sum.then(&part)),
        HirKind::Alternation(branches) => branches.iter().map(least).reduce(|a, b| a.or(&b)).unwrap_or(EMPTY),
        HirKind::Repetition(repetition) => {
            let once = least(&repetition.sub);
            let times = repetition.min as usize;
            if once.is_run {
                // However often it occurs, nothing but token characters stands there.
                let bytes = if times == 0 { 0 } else { once.bytes };
                Counts { bytes, ..Counts::run(once.len * times, once.digits * times) }
            } else if times == 0 {
                Counts::other(0)
            } else {
                Counts {
                    len: once.len * times,
                    digits: once.digits * times,
                    longest: if times > 1 { once.longest.max(once.last + once.first) } else { once.longest },
                    ..once
                }
            }
        }
    }
}

/// Lower-case literals one of which, ignoring ASCII case, is in every match; `None` when there are no good ones.
pub(super) fn required_literals(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let literals = required(hir)?;
    (shortest(&literals) >= SHORTEST_LITERAL).then_some(literals)
}

fn shortest(literals: &[Vec<u8>]) -> usize {
    literals.iter().map(Vec::len).min().unwrap_or(0)
}

/// The better of two sets: longer literals, then fewer.
fn better(a: Option<Vec<Vec<u8>>>, b: Option<Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    match (a, b) {
        (Some(a), Some(b)) => {
            let rank = |set: &[Vec<u8>]| (shortest(set).min(6), usize::MAX - set.len());
            Some(if rank(&b) > rank(&a) { b } else { a })
        }
        (a, b) => a.or(b),
    }
}

fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => None,
        HirKind::Literal(_) | HirKind::Class(_) => exact(hir),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Repetition(_) => None,
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(required(branch)?);
            }
            (all.len() <= MOST_LITERALS).then_some(all)
        }
        HirKind::Concat(parts) => {
            let mut best = None;
            let mut run: Vec<Vec<u8>> = vec![Vec::new()];
            for part in parts {
                let extended = exact(part).and_then(|next| product(&run, &next));
                match extended {
                    Some(longer) => run = longer,
                    None => {
                        best = better(best, useful(std::mem::replace(&mut run, vec![Vec::new()])));
                        match exact(part) {
                            Some(alone) => run = alone,
                            None => best = better(best, required(part)),
                        }
                    }
                }
            }
            better(best, useful(run))
        }
    }
}

fn useful(literals: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    (shortest(&literals) > 0).then_some(literals)
}

/// All texts that an expression can stand for, in lower case, when they are few.
fn exact(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![Vec::new()]),
        HirKind::Literal(literal) => Some(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => {
            let bytes = is_small_class(class)?;
            (bytes.len() <= 16).then(|| bytes.into_iter().map(|byte| vec![byte]).collect())
        }
        HirKind::Capture(capture) => exact(&capture.sub),
        HirKind::Repetition(repetition) => {
            let once = || exact(&repetition.sub);
            if (repetition.min, repetition.max) == (0, Some(1)) {
                return Some([once()?, vec![Vec::new()]].concat());
            }
            if repetition.max != Some(repetition.min) || repetition.min > 8 {
                return None;
            }
            let once = once()?;
            (0..repetition.min).try_fold(vec![Vec::new()], |all, _| product(&all, &once))
        }
        HirKind::Concat(parts) => {
            parts.iter().try_fold(vec![Vec::new()], |all, part| product(&all, &exact(part)?))
        }
        HirKind::Alternation(branches) => {
            let mut all: Vec<Vec<u8>> = Vec::new();
            for branch in branches {
                all.extend(exact(branch)?);
            }
            (all.len() <= MOST_LITERALS).then_some(all)
        }
    }
}

fn product(heads: &[Vec<u8>], tails: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if heads.len() * tails.len() > MOST_LITERALS {
        return None;
    }
    Some(
        heads
            .iter()
            .flat_map(|head| tails.iter().map(move |tail| [head.as_slice(), tail].concat()))
            .collect(),
    )
}
