//! Character classes of the dialect: Perl, POSIX and Unicode sets, and case folding.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// A set of characters. Ranges are given as code points; surrogates never match anything and are left out.
#[derive(Debug, Clone)]
pub(super) struct Set(ClassUnicode);

impl Default for Set {
    fn default() -> Self {
        Set(ClassUnicode::empty())
    }
}

impl Set {
    pub(super) fn push(&mut self, lo: u32, hi: u32) {
        for (lo, hi) in [(lo, hi.min(0xD7FF)), (lo.max(0xE000), hi)] {
            if let (Some(lo), Some(hi)) = (char::from_u32(lo), char::from_u32(hi))
                && lo <= hi
            {
                self.0.push(ClassUnicodeRange::new(lo, hi));
            }
        }
    }

    pub(super) fn of(ranges: &[(u32, u32)]) -> Set {
        let mut set = Set::default();
        for &(lo, hi) in ranges {
            set.push(lo, hi);
        }
        set
    }

    pub(super) fn union(&mut self, other: &Set) {
        self.0.union(&other.0);
    }

    pub(super) fn fold_case(&mut self) {
        // Fails only when the tables are compiled out; they are not (a test folds a class).
        let _ = self.0.try_case_fold_simple();
    }

    pub(super) fn negate(&mut self) {
        self.0.negate();
    }

    pub(super) fn into_class(self) -> Class {
        Class::Unicode(self.0)
    }
}

/// `\d \s \w` and their negations, folded first and negated then; `None` for other letters.
pub(super) fn perl(letter: char, fold: bool) -> Option<Set> {
    let ranges: &[(u32, u32)] = match letter.to_ascii_lowercase() {
        'd' => &[(0x30, 0x39)],
        's' => &[(0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20)],
        'w' => &[(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)],
        _ => return None,
    };
    Some(finish(Set::of(ranges), fold, letter.is_ascii_uppercase()))
}

/// `[:name:]` and `[:^name:]`, given without the brackets and colons.
pub(super) fn posix(name: &str, fold: bool) -> Option<Set> {
    let (name, negated) = match name.strip_prefix('^') {
        Some(rest) => (rest, true),
        None => (name, false),
    };
    let ranges: &[(u32, u32)] = match name {
        "alnum" => &[(0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)],
        "alpha" => &[(0x41, 0x5A), (0x61, 0x7A)],
        "ascii" => &[(0, 0x7F)],
        "blank" => &[(0x09, 0x09), (0x20, 0x20)],
        "cntrl" => &[(0, 0x1F), (0x7F, 0x7F)],
        "digit" => &[(0x30, 0x39)],
        "graph" => &[(0x21, 0x7E)],
        "lower" => &[(0x61, 0x7A)],
        "print" => &[(0x20, 0x7E)],
        "punct" => &[(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)],
        "space" => &[(0x09, 0x0D), (0x20, 0x20)],
        "upper" => &[(0x41, 0x5A)],
        "word" => &[(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)],
        "xdigit" => &[(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)],
        _ => return None,
    };
    Some(finish(Set::of(ranges), fold, negated))
}

/// A Unicode category or script by name, as in `\p{name}`; a leading `^` negates.
pub(super) fn unicode(name: &str, negated: bool, fold: bool) -> Option<Set> {
    let (name, negated) = match name.strip_prefix('^') {
        Some(rest) => (rest, !negated),
        None => (name, negated),
    };
    let plain: String =
        name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).map(|c| c.to_ascii_lowercase()).collect();
    if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let set = match plain.as_str() {
        "any" => Set::of(&[(0, 0x10FFFF)]),
        "ascii" => Set::of(&[(0, 0x7F)]),
        "cs" | "surrogate" => Set::default(),
        _ => {
            // Go knows no other properties.
            let of = |property: &str| regex_syntax::parse(&format!("\\p{{{property}={plain}}}"));
            let hir = of("gc").or_else(|_| of("sc")).ok()?;
            let mut set = Set::default();
            match hir.kind() {
                HirKind::Class(Class::Unicode(class)) => set.0 = class.clone(),
                // A property of a single character, which the parser turns into a literal.
                HirKind::Literal(literal) => {
                    for c in String::from_utf8_lossy(&literal.0).chars() {
                        set.push(u32::from(c), u32::from(c));
                    }
                }
                _ => return None,
            }
            set
        }
    };
    Some(finish(set, fold, negated))
}

fn finish(mut set: Set, fold: bool, negated: bool) -> Set {
    if fold {
        set.fold_case();
    }
    if negated {
        set.negate();
    }
    set
}
