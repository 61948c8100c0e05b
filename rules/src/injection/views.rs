//! The forms of a text that the passes search. spec: response-scan §3

use std::borrow::Cow;

use super::rule::fold_vowel;
use crate::text::{
    confusable, is_control, is_exotic_space, is_invisible, is_kept, norm_match, norm_match_noting,
};

/// Controls and characters without a glyph: deleted in the normalised form, a space in the spaced form.
pub(super) fn is_hidden(c: char) -> bool {
    !matches!(c, '\t' | '\n' | '\r') && (is_control(c) || is_invisible(c))
}

/// The normalised form N, §3.1.
pub(super) fn normalised(text: &[u8]) -> Cow<'_, str> {
    norm_match(text)
}

/// Forms of a text that may differ from the normalised form; false is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Others {
    pub(super) spaced: bool,
    pub(super) thorough: bool,
}

impl Others {
    pub(super) fn any(self) -> bool {
        self.spaced || self.thorough
    }
}

/// The normalised form, and what other forms there may be.
pub(super) fn normalised_noting(text: &[u8]) -> (Cow<'_, str>, Others) {
    let (normalised, noted) = norm_match_noting(text);
    // Stray bytes become a character that no form changes.
    let other = |c: char| !c.is_ascii() && c != char::REPLACEMENT_CHARACTER && !is_read_alike(c);
    let thorough = !noted.settled || noted.unseen && normalised.contains(other) || noted.special;
    (normalised, Others { spaced: noted.gone, thorough })
}

/// The spaced form NS, §3.2; `None` when it equals the normalised form, which is given.
pub(super) fn spaced(text: &str, normalised: &str) -> Option<String> {
    if !text.contains(is_hidden) {
        return None;
    }
    let spaced: String = text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect();
    let spaced = norm_match(spaced.as_bytes()).into_owned();
    (spaced != normalised).then_some(spaced)
}

/// The normalised form without the gaps of §13 O-5: more invisible characters, enclosing marks, and look-alikes that only
/// appear once their accents are gone (D-202). What the normalised form does to the characters that are left is the same, and
/// the rest is done to each alone.
pub(super) fn thorough(text: &str) -> Cow<'_, str> {
    let seen = match text.contains(is_missed_invisible) {
        true => Cow::Owned(text.replace(is_missed_invisible, "")),
        false => Cow::Borrowed(text),
    };
    let normalised = norm_match(seen.as_bytes());
    let other = |c: char| !c.is_ascii() && !is_read_alike(c);
    if !normalised.contains(other) {
        return Cow::Owned(normalised.into_owned());
    }
    let mut out = String::with_capacity(normalised.len());
    let mut rest = &*normalised;
    while let Some(at) = rest.find(other) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let mut chars = from.chars();
        let c = chars.next().map(ascii).filter(|&c| !is_enclosing_mark(c) && !is_missed_invisible(c));
        out.extend(c.map(|c| if is_exotic_space(c) { ' ' } else { c }).filter(|&c| !is_hidden(c)));
        rest = chars.as_str();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Whether the thorough form has a normalised character as it is; false says nothing.
fn is_read_alike(c: char) -> bool {
    is_kept(c) && c != '\u{131}' && !is_enclosing_mark(c) && !is_missed_invisible(c)
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
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    use super::*;
    use crate::text::is_nonspacing_mark;

    /// The thorough form by its definition.
    fn thorough_by_steps(text: &str) -> String {
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

    fn has_the_forms_of_its_definition(text: &str) {
        let (form, others) = normalised_noting(text.as_bytes());
        assert_eq!(thorough(text), thorough_by_steps(text), "{text:?}");
        if !others.spaced {
            assert_eq!(spaced(text, &form), None, "{text:?}");
        }
        if !others.thorough {
            assert_eq!(thorough(text), form, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn every_form_is_the_one_of_its_definition(
            text in "(\\PC|[a-e \x00\x0b\u{300}\u{308}\u{327}\u{345}\u{ad}\u{200b}\u{1100}\u{1161}\u{11a8}\u{3099}\u{302e}\u{1d165}\u{1d15e}\u{16ff0}\u{9c7}\u{9be}\u{ffc2}\u{ff9e}\u{ff76}\u{ac00}\u{e01}\u{e48}\u{94d}\u{941}\u{915}\u{11b0}\u{305}\u{131}\u{61c}\u{ffa0}\u{20dd}\u{a670}\u{3000}\u{2028}\u{fb01}\u{a8}Øøеёиαό]){0,24}"
        ) {
            has_the_forms_of_its_definition(&text);
        }
    }

    #[test]
    fn every_character_has_the_forms_of_its_definition() {
        for c in '\0'..=char::MAX {
            has_the_forms_of_its_definition(c.encode_utf8(&mut [0; 4]));
        }
    }

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
