//! The forms of a text that the passes search. spec: response-scan §3

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use super::rule::fold_vowel;
use super::runs::{by_runs, plain_prefix};
use crate::text::{
    confusable, is_control, is_exotic_space, is_invisible, is_nonspacing_mark, lossy, norm_match_str,
};

/// Controls and characters without a glyph: deleted in the normalised form, a space in the spaced form.
pub(super) fn is_hidden(c: char) -> bool {
    !matches!(c, '\t' | '\n' | '\r') && (is_control(c) || is_invisible(c))
}

/// The normalised form N, §3.1.
pub(super) fn normalised(text: &[u8]) -> Cow<'_, str> {
    by_runs(lossy(text), norm_match_str).0
}

/// The normalised form, and whether the text has anything for which the spaced or the thorough form could be another one.
pub(super) fn normalised_noting(text: &str) -> (Cow<'_, str>, bool) {
    by_runs(Cow::Borrowed(text), norm_match_str)
}

/// The spaced form NS, §3.2; `None` when it equals the normalised form, which is given.
pub(super) fn spaced(text: &str, normalised: &str) -> Option<String> {
    let mut spaced = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (plain, other) = rest.split_at(plain_prefix(rest.as_bytes()));
        spaced.push_str(plain);
        let mut others = other.chars();
        if let Some(c) = others.next() {
            spaced.push(if is_hidden(c) { ' ' } else { c });
        }
        rest = others.as_str();
    }
    if spaced == text {
        return None;
    }
    let spaced = by_runs(Cow::Owned(spaced), norm_match_str).0.into_owned();
    (spaced != normalised).then_some(spaced)
}

/// The normalised form without the gaps of §13 O-5: more invisible characters, enclosing marks, and look-alikes that only
/// appear once their accents are gone (D-202).
pub(super) fn thorough(text: &str) -> Cow<'_, str> {
    by_runs(Cow::Borrowed(text), |run| Cow::Owned(thorough_run(run))).0
}

pub(super) fn thorough_run(text: &str) -> String {
    text.chars()
        .filter(|&c| !is_hidden(c) && !is_missed_invisible(c))
        .nfkc()
        .map(ascii)
        .nfd()
        .filter(|&c| !is_nonspacing_mark(c) && !is_enclosing_mark(c))
        .map(ascii)
        .filter(|&c| !is_hidden(c) && !is_missed_invisible(c))
        .map(|c| if is_exotic_space(c) { ' ' } else { c })
        .collect()
}

/// Look-alikes, and the dotless i that the reference's map lacks.
fn ascii(c: char) -> char {
    match c {
        '\u{131}' => 'i',
        c => confusable(c).unwrap_or(c),
    }
}

/// Characters without a glyph that the reference leaves in place.
fn is_missed_invisible(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{2065}' | '\u{206A}'..='\u{206F}' | '\u{FFA0}' | '\u{1D173}'..='\u{1D17A}')
}

/// General category Me.
fn is_enclosing_mark(c: char) -> bool {
    matches!(c, '\u{488}'..='\u{489}' | '\u{1ABE}' | '\u{20DD}'..='\u{20E0}' | '\u{20E2}'..='\u{20E4}'
        | '\u{A670}'..='\u{A672}')
}

/// Leetspeak read as letters, §3.7; `None` when nothing changes.
pub(super) fn unleet(text: &str) -> Option<String> {
    let map = |c| match c {
        '0' => 'o',
        '1' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        c => c,
    };
    text.chars().any(|c| map(c) != c).then(|| text.chars().map(map).collect())
}

/// All vowels alike, §3.8; `None` when nothing changes.
pub(super) fn one_vowel(text: &str) -> Option<String> {
    text.chars().any(|c| fold_vowel(c) != c).then(|| text.chars().map(fold_vowel).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thorough_form_reads_what_the_normalised_form_misses() {
        let table = [
            "ign\u{3cc}re",
            "ignor\u{451}",
            "\u{131}gnore",
            "ig\u{20dd}nore",
            "ig\u{61c}nore",
            "ig\u{ffa0}nore",
        ];
        for text in table {
            assert_eq!(thorough(text), "ignore", "{text:?}");
            assert_ne!(normalised(text.as_bytes()), "ignore", "{text:?}");
        }
    }
}
