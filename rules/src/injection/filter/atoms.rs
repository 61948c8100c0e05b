//! From expressions to atoms: alternatives, each with the rarest set of literals that every match of it contains and the
//! place where such a literal stands in it.

use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Hir, HirKind};

use super::fold::{self, Folding};
use crate::goregex;
use crate::injection::rule::Family;

/// Shortest literal worth searching for, bytes.
const SHORTEST: usize = 3;
/// Most literals of one atom.
const MOST: usize = 96;
/// Longest part of a literal that is kept, bytes.
const LONGEST: usize = 16;

/// One alternative of one expression.
#[derive(Debug)]
pub(super) struct Atom {
    /// What must match, ending where a literal begins; folded.
    pub prefix: Hir,
    /// What must match from there on; folded.
    pub suffix: Hir,
    /// Literals, one of which stands at that place: in the fully folded text or, if `exact`, in the text itself.
    pub literals: Vec<Vec<u8>>,
    pub exact: bool,
    pub folding: Folding,
}

/// The atoms that stand for all variants of a rule's expressions; `None` when some alternative has no literals.
pub(super) fn of(families: &[&Family]) -> Option<Vec<Atom>> {
    let mut atoms = Vec::new();
    for family in families {
        let source = |e: &super::super::rule::Expression| goregex::parse(e.source()).ok();
        // Everything that the base expression matches, its optional-whitespace variant matches too.
        let wide = source(family.optional_whitespace().unwrap_or(&family.base))?;
        let folding = if family.vowel_folded().is_some() { Folding::Full } else { Folding::Digits };
        let mut expressions = vec![wide];
        if let Some(folded) = family.vowel_folded() {
            let (base, folded) = (source(&family.base)?, source(folded)?);
            // The same language after folding, unless the folding reached into a class or the like.
            if fold::expression(&base, folding) != fold::expression(&folded, folding) {
                expressions.push(folded);
            }
        }
        for expression in &expressions {
            for alternative in alternatives(expression) {
                atoms.push(atom(&alternative, folding)?);
            }
        }
    }
    Some(atoms)
}

/// The branches of an alternation that is the whole expression.
fn alternatives(hir: &Hir) -> Vec<Hir> {
    match hir.kind() {
        HirKind::Alternation(parts) => parts.iter().flat_map(alternatives).collect(),
        HirKind::Capture(capture) => alternatives(&capture.sub),
        _ => vec![hir.clone()],
    }
}

/// Cuts an alternative at the place before its rarest literals.
fn atom(hir: &Hir, folding: Folding) -> Option<Atom> {
    let pieces = pieces(hir);
    let joined = |range: &[Hir], folding| {
        Hir::concat(range.iter().map(|piece| fold::expression(piece, folding)).collect())
    };
    let mut best: Option<(f64, usize, Vec<Vec<u8>>, bool)> = None;
    for at in 0..pieces.len() {
        let mut offer = |folding, exact: bool| {
            let Some(literals) = literals(&joined(&pieces[at..], folding)) else { return };
            if exact && !literals.iter().flatten().all(|&b| stands_for_itself(b)) {
                return;
            }
            // A search in the text itself is one more search; it has to be worth it.
            let cost = literals.iter().map(|l| frequency(l, exact)).sum::<f64>();
            if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
                best = Some((cost, at, literals, exact));
            }
        };
        offer(Folding::Full, false);
        if folding == Folding::Digits {
            offer(Folding::Digits, true);
        }
    }
    let (_, at, literals, exact) = best?;
    Some(Atom {
        prefix: joined(&pieces[..at], folding),
        suffix: joined(&pieces[at..], folding),
        literals,
        exact,
        folding,
    })
}

/// The concatenation's parts, neighbouring characters taken together, so that a cut is never inside a word.
fn pieces(hir: &Hir) -> Vec<Hir> {
    let mut flat = Vec::new();
    flatten(hir, &mut flat);
    let mut pieces: Vec<Vec<Hir>> = Vec::new();
    let mut in_word = false;
    for part in flat {
        let is_character = match part.kind() {
            HirKind::Literal(_) => true,
            HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => {
                class.ranges().iter().all(|r| r.start() == r.end()) && class.ranges().len() <= 3
            }
            _ => false,
        };
        match pieces.last_mut() {
            Some(word) if in_word && is_character => word.push(part),
            _ => pieces.push(vec![part]),
        }
        in_word = is_character;
    }
    pieces.into_iter().map(Hir::concat).collect()
}

fn flatten(hir: &Hir, out: &mut Vec<Hir>) {
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().for_each(|part| flatten(part, out)),
        HirKind::Capture(capture) => flatten(&capture.sub, out),
        HirKind::Empty => {}
        _ => out.push(hir.clone()),
    }
}

/// The literals that a match of this expression begins with, if they are few and long enough.
fn literals(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let seq = Extractor::new()
        .kind(ExtractKind::Prefix)
        // Enough for `[_ -]`; white space is better left out than searched for in five spellings.
        .limit_class(4)
        .limit_repeat(4)
        .limit_literal_len(LONGEST)
        .limit_total(MOST)
        .extract(hir);
    let mut literals: Vec<Vec<u8>> = seq.literals()?.iter().map(|l| l.as_bytes().to_vec()).collect();
    if literals.is_empty() || literals.iter().any(|l| l.len() < SHORTEST) {
        return None;
    }
    literals.sort_unstable();
    // Sorted, so a literal follows its prefixes directly: the prefix alone is enough.
    literals.dedup_by(|longer, shorter| longer.starts_with(shorter));
    Some(literals)
}

/// Whether no other byte is read as this one by folding digits or by reading signs as letters.
fn stands_for_itself(b: u8) -> bool {
    !matches!(
        b,
        b'o' | b'i' | b'e' | b'a' | b's' | b't' | b'0' | b'1' | b'3' | b'4' | b'5' | b'7' | b'@' | b'$'
    )
}

/// A rough estimate of how often a literal occurs in a byte of English text, folded or as it is.
fn frequency(literal: &[u8], exact: bool) -> f64 {
    literal.iter().map(|&b| if exact { exact_share(b) } else { share(b) }).product()
}

fn exact_share(b: u8) -> f64 {
    if b.is_ascii_uppercase() { share(b | 0x20).min(0.07) * 0.04 } else { share(b) }
}

/// Share of a byte in fully folded English prose.
pub(super) fn share(b: u8) -> f64 {
    match b {
        b' ' => 0.16,
        b'a' => 0.31,
        b't' => 0.075,
        b'n' => 0.058,
        b's' => 0.055,
        b'h' => 0.045,
        b'r' => 0.05,
        b'd' => 0.033,
        b'l' => 0.035,
        b'c' => 0.026,
        b'm' => 0.021,
        b'w' | b'f' | b'g' | b'y' | b'p' => 0.018,
        b'b' => 0.013,
        b'v' => 0.009,
        b'k' => 0.006,
        b'.' | b',' | b'\n' => 0.01,
        b'j' | b'x' | b'q' | b'z' => 0.002,
        0x80.. => 0.01,
        _ => 0.003,
    }
}
