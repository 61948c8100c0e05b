//! Folding bytes and expressions. Both foldings keep the length of the text and map word characters to word characters,
//! so positions, gaps and word boundaries mean the same before and after.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Repetition};

use crate::dlp::vector::translate;

/// Case, digits that stand for letters, and vowels: the folding of passes 1, 3, 4 and 5 at once.
pub(super) const fn full(b: u8) -> u8 {
    let lower = if b.is_ascii_uppercase() { b | 0x20 } else { b };
    match lower {
        b'e' | b'i' | b'o' | b'u' | b'0' | b'1' | b'3' | b'4' => b'a',
        b'5' => b's',
        b'7' => b't',
        other => other,
    }
}

/// [`full`] by comparisons alone, which a compiler makes for many bytes at once.
const fn blend(b: u8) -> u8 {
    let lower = b | ((b.wrapping_sub(b'A') < 26) as u8) << 5;
    // E and U differ in one bit; 0, 1, 4 and 5 in two, and 5 is set right below.
    let vowel =
        (lower & 0xef == b'e') | (lower == b'i') | (lower == b'o') | (lower & 0xfa == b'0') | (lower == b'3');
    let folded = if vowel { b'a' } else { lower };
    let folded = if b == b'5' { b's' } else { folded };
    if b == b'7' { b't' } else { folded }
}

/// Digits alone: enough for rules that have no vowel-folded variant, and it keeps case.
pub(super) const fn digits(b: u8) -> u8 {
    match b {
        b'0' => b'o',
        b'1' => b'i',
        b'3' => b'e',
        b'4' => b'a',
        b'5' => b's',
        b'7' => b't',
        other => other,
    }
}

/// What pass 3 reads `@` and `$` as.
pub(super) const fn sign(b: u8) -> u8 {
    match b {
        b'@' => b'a',
        b'$' => b's',
        other => other,
    }
}

/// A folding as a table.
pub(super) const fn table(fold: Folding) -> [u8; 256] {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = match fold {
            Folding::Full => full(b as u8),
            Folding::Digits => digits(b as u8),
        };
        b += 1;
    }
    table
}

/// Which folding an atom is verified in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folding {
    Full,
    Digits,
}

/// Folds a text into `out`, which it replaces. True when the text has `@` or `$`.
pub(super) fn into(text: &[u8], out: &mut Vec<u8>) -> bool {
    const ASCII: [u8; 128] = {
        let (mut table, mut b) = ([0; 128], 0);
        while b < table.len() {
            table[b] = full(b as u8);
            b += 1;
        }
        table
    };
    if !translate(&ASCII, text, out) {
        out.clear();
        out.extend(text.iter().map(|&b| blend(b)));
    }
    memchr::memchr2(b'@', b'$', text).is_some()
}

/// The folded expression: whatever matches the expression matches this one after folding.
pub(super) fn expression(hir: &Hir, folding: Folding) -> Hir {
    let fold = match folding {
        Folding::Full => full,
        Folding::Digits => digits,
    };
    map(hir, fold)
}

fn map(hir: &Hir, fold: fn(u8) -> u8) -> Hir {
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Look(look) => Hir::look(*look),
        HirKind::Literal(literal) => Hir::literal(literal.0.iter().map(|&b| fold(b)).collect::<Vec<u8>>()),
        HirKind::Class(Class::Unicode(class)) => Hir::class(Class::Unicode(map_class(class, fold))),
        // Expressions are Unicode throughout; a class of bytes is kept as it is and widened to all bytes.
        HirKind::Class(Class::Bytes(_)) => Hir::dot(regex_syntax::hir::Dot::AnyByte),
        HirKind::Repetition(repetition) => {
            Hir::repetition(Repetition { sub: Box::new(map(&repetition.sub, fold)), ..repetition.clone() })
        }
        HirKind::Capture(capture) => map(&capture.sub, fold),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(|h| map(h, fold)).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(|h| map(h, fold)).collect()),
    }
}

fn map_class(class: &ClassUnicode, fold: fn(u8) -> u8) -> ClassUnicode {
    let mut ranges = Vec::new();
    for range in class.ranges() {
        let (start, end) = (range.start() as u32, range.end() as u32);
        for c in start..=end.min(0x7f) {
            let c = char::from(fold(c as u8));
            ranges.push(ClassUnicodeRange::new(c, c));
        }
        // The long s and the Kelvin sign are never left in a normalised text; case folding puts them into expressions.
        let absent = |c: char| matches!(c, '\u{17f}' | '\u{212a}');
        if end > 0x7f && !(start == end && absent(range.start())) {
            let start = range.start().max('\u{80}');
            ranges.push(ClassUnicodeRange::new(start, range.end()));
        }
    }
    ClassUnicode::new(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foldings_keep_word_characters_and_agree_with_every_pass() {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        for b in 0..=255u8 {
            assert_eq!(word(b), word(full(b)), "{b}");
            assert_eq!(word(b), word(digits(b)), "{b}");
            assert_eq!(full(digits(b)), full(b), "{b}");
            let vowel =
                u8::try_from(super::super::super::rule::fold_vowel(char::from(b)) as u32).unwrap_or(b);
            assert_eq!(full(vowel), full(b), "{b}");
            assert_eq!(full(b.to_ascii_lowercase()), full(b), "{b}");
            assert_eq!(blend(b), full(b), "{b}");
        }
    }

    #[test]
    fn texts_of_every_length_are_folded_byte_by_byte() {
        let text: Vec<u8> = (0..=255u8).chain(0..=255).collect();
        let mut folded = Vec::new();
        for start in [0, 1, 100] {
            for end in start..text.len() {
                into(&text[start..end], &mut folded);
                let twin: Vec<u8> = text[start..end].iter().map(|&b| full(b)).collect();
                assert_eq!(folded, twin, "{start}..{end}");
            }
        }
    }
}
