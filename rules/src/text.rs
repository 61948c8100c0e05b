//! Normalisation: what a text looks like to a rule.
//!
//! Rules never see a text as it was sent. `norm_dlp` removes what is invisible, folds look-alikes to ASCII and drops
//! accents (spec: dlp §7.2); `norm_match` is its gentler sister for seed phrases, which keeps line structure (§7.4).
//! The functions here follow the specification's steps one by one; the quick path is only for text that no step can
//! change. A normalised text is always valid UTF-8: invalid bytes become U+FFFD first, one each (§7.1).

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::OnceLock;

use unicode_normalization::UnicodeNormalization;

use crate::dlp::vector;
use crate::scratch::Buffer;

mod codes;
mod confusables;
mod dumps;
mod escapes;
mod fields;
mod groups;
mod parameters;
mod percent;
mod quick;
mod references;
#[cfg(test)]
mod tests;

pub use codes::Codes;
pub(crate) use codes::spelled_by_codes;
pub use confusables::confusable;
pub(crate) use dumps::each_dump;
pub use escapes::{unescaped, unescaped_percent};
pub(crate) use fields::fields_apart;
pub(crate) use groups::each_row as each_row_of_hex;
use quick::Kind;
pub(crate) use quick::{Alone, Noted, alone, decode as first_char, is_unseen};

pub use parameters::Parameters;
pub use percent::{percent_decode_all, percent_decode_all_onto, percent_decode_lenient, percent_decode_once};
pub use references::{has_references, without_references};

/// Whether a byte is a tab or part of a line end.
pub(crate) fn parts_lines(b: u8) -> bool {
    matches!(b, b'\t' | b'\n' | b'\r')
}

/// The bytes of a text, with a space for each tab and line end.
pub(crate) fn lines_spaced(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    text.iter().map(|&b| if parts_lines(b) { b' ' } else { b })
}

/// Whether a text is UTF-8.
#[must_use]
pub fn is_utf8(text: &[u8]) -> bool {
    vector::is_utf8(text)
}

/// UTF-8 with every byte that is not part of a valid sequence replaced by U+FFFD, one per *byte* (spec: dlp §7.1).
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        // Each byte of a maximal broken part counts alone: what follows the first one may only be continuation bytes,
        // which are invalid on their own as well.
        for _ in chunk.invalid() {
            out.push('\u{FFFD}');
        }
    }
    Cow::Owned(out)
}

/// The text with escapes of programming languages and character references read, where one of them stands for a letter or digit;
/// `None` if none does. What stands far from escapes may be left out.
pub(crate) fn with_hidden_letters(text: &[u8]) -> Option<Vec<u8>> {
    let unescaped = if escapes::hide_letters(text) { unescaped(text) } else { None };
    let written = unescaped.as_deref().unwrap_or(text);
    let read = if references::hide_letters(written) { without_references(written) } else { None };
    read.or(unescaped)
}

/// C0, DEL and C1 controls.
pub fn is_control(c: char) -> bool {
    matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}')
}

/// Characters without a glyph that step 1 of the normalisation removes (spec: dlp §7.2).
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{115F}'..='\u{1160}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}' | '\u{E0100}'..='\u{E01EF}')
}

/// White space other than U+0020 and the controls, which step 2 removes.
pub fn is_exotic_space(c: char) -> bool {
    matches!(
        c,
        '\u{A0}' | '\u{1680}' | '\u{180E}' | '\u{2000}'
            ..='\u{200A}' | '\u{2028}' | '\u{2029}' | '\u{202F}' | '\u{205F}' | '\u{3000}'
    )
}

/// Whether a character has general category Mn (non-spacing mark).
pub fn is_nonspacing_mark(c: char) -> bool {
    if (c as u32) < 0x300 {
        return false;
    }
    static MN: OnceLock<Vec<(char, char)>> = OnceLock::new();
    let table = MN.get_or_init(|| {
        let hir = regex_syntax::parse(r"\p{Mn}");
        match hir.as_ref().map(regex_syntax::hir::Hir::kind) {
            Ok(regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class))) => {
                class.ranges().iter().map(|r| (r.start(), r.end())).collect()
            }
            // Not reached: the property is part of the tables compiled in (a test looks at it).
            _ => Vec::new(),
        }
    });
    table
        .binary_search_by(|&(lo, hi)| {
            if c < lo {
                std::cmp::Ordering::Greater
            } else if c > hi {
                std::cmp::Ordering::Less
            } else {
                std::cmp::Ordering::Equal
            }
        })
        .is_ok()
}

/// The normalisation that every rule text goes through (spec: dlp §7.2). Not idempotent.
pub fn norm_dlp(text: &[u8]) -> Cow<'_, str> {
    let mut norm = Vec::new();
    let changed = norm_dlp_quick(text, &mut norm).is_some();
    as_text(text, changed.then_some(norm), norm_dlp_by_steps)
}

/// [`norm_dlp`] of a text that is known to be UTF-8.
pub fn norm_dlp_str(text: &str) -> Cow<'_, str> {
    norm_dlp(text.as_bytes())
}

/// The normalisation for seed phrases: like [`norm_dlp`], but tab, LF and CR stay and exotic spaces that NFKC left
/// become U+0020 (spec: dlp §7.4).
pub fn norm_match(text: &[u8]) -> Cow<'_, str> {
    let mut norm = Vec::new();
    let changed = norm_match_quick(text, &mut norm).is_some();
    as_text(text, changed.then_some(norm), norm_match_by_steps)
}

/// A normalised text as a string; by steps, should it not be UTF-8.
fn as_text<'t>(text: &'t [u8], norm: Option<Vec<u8>>, by_steps: fn(&[u8]) -> String) -> Cow<'t, str> {
    let norm = match norm {
        None => std::str::from_utf8(text).ok().map(Cow::Borrowed),
        Some(norm) => String::from_utf8(norm).ok().map(Cow::Owned),
    };
    norm.unwrap_or_else(|| Cow::Owned(by_steps(text)))
}

/// [`norm_dlp`] into a buffer that is used again. `None` when the text is its own normalisation; `buffer` holds nothing
/// then.
pub fn norm_dlp_quick<'b>(text: &[u8], buffer: &'b mut Vec<u8>) -> Option<&'b [u8]> {
    buffer.clear();
    if is_printable(text) {
        return None;
    }
    quick::normalise_into(Kind::Dlp, text, buffer);
    Some(buffer)
}

/// [`norm_dlp`] into a buffer, and what the result is like.
pub(crate) fn norm_dlp_noting(text: &[u8], out: &mut Vec<u8>) -> Noted {
    quick::normalise_into(Kind::Dlp, text, out)
}

/// Appends a text without the characters without a glyph that the normalisation leaves in place.
pub(crate) fn without_unseen(text: &[u8], out: &mut Vec<u8>) {
    quick::without_unseen(text, out);
}

/// Fewer tag characters in a row are let be: flags are written with five and an end.
const MIN_TAGS: usize = 8;

/// The text with tag characters, which have no glyph, as the ASCII characters that each of them stands for. None where there
/// is no run of eight of them. The result holds none.
pub fn spelled_in_tags(text: &[u8]) -> Option<Vec<u8>> {
    let tag = |at: usize| match text.get(at..at + 4) {
        Some(&[0xf3, 0xa0, page @ (0x80 | 0x81), low @ 0x80..=0xbf]) => Some((page & 1) << 6 | low & 0x3f),
        _ => None,
    };
    memchr::memmem::find(text, &[0xf3, 0xa0])?;
    let mut out = Vec::new();
    let (mut copied, mut from, mut longest) = (0, 0, 0);
    while let Some(at) = memchr::memmem::find(&text[from..], &[0xf3, 0xa0]).map(|at| from + at) {
        let tags = (at..).step_by(4).map_while(tag);
        let count = tags.clone().count();
        out.extend_from_slice(&text[copied..at]);
        out.extend(tags.filter(|c| matches!(c, 0x20..=0x7e)));
        longest = longest.max(count);
        copied = at + 4 * count;
        from = copied.max(at + 2);
    }
    out.extend_from_slice(&text[copied..]);
    if longest < MIN_TAGS {
        return None;
    }
    // What lay around them may come together as tag characters, and again where those are read: that was no text.
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&out[from..], &[0xf3, 0xa0]).map(|at| from + at) {
        if matches!(out.get(at + 2), Some(0x80 | 0x81)) {
            out[at] = b' ';
        }
        from = at + 1;
    }
    Some(out)
}

/// [`norm_match`] of a text, and what the result is like.
pub(crate) fn norm_match_noting(text: &[u8]) -> (Cow<'_, str>, Noted) {
    let settled = Noted { settled: true, ..Noted::default() };
    if is_printable_or_line(text) {
        return (as_text(text, None, norm_match_by_steps), settled);
    }
    let mut norm = Vec::new();
    let noted = quick::normalise_into(Kind::Match, text, &mut norm);
    (as_text(text, Some(norm), norm_match_by_steps), noted)
}

/// The same for [`norm_match`].
pub(crate) fn norm_match_quick<'b>(text: &[u8], buffer: &'b mut Vec<u8>) -> Option<&'b [u8]> {
    buffer.clear();
    if is_printable_or_line(text) {
        return None;
    }
    quick::normalise_into(Kind::Match, text, buffer);
    Some(buffer)
}

/// Both normalisations of a text that is not ASCII, from one pass over it.
pub(crate) struct Views {
    /// With tabs and line ends, and [`quick::GAP`] for other white space.
    both: Buffer<u8>,
    noted: quick::Noted,
}

impl Views {
    /// `None` where one cannot be told from the other.
    pub(crate) fn new(text: &[u8]) -> Option<Views> {
        let mut both = Buffer::new();
        let noted = quick::normalise_into(Kind::Both, text, &mut both);
        (!noted.torn).then_some(Views { both, noted })
    }

    pub(crate) fn noted(&self) -> quick::Noted {
        self.noted
    }

    /// [`norm_dlp`] of the text.
    pub(crate) fn for_rules<'t>(&'t self, buffer: &'t mut Vec<u8>) -> &'t [u8] {
        self.without([b'\n', b'\t', b'\r', quick::GAP], buffer)
    }

    /// The same of the text with spaces for tabs and line ends, in which these stand again.
    pub(crate) fn for_rules_with_lines<'t>(&'t self, buffer: &'t mut Vec<u8>) -> &'t [u8] {
        self.without([quick::GAP], buffer)
    }

    /// [`norm_match`] of the text.
    pub(crate) fn for_phrases<'t>(&'t self, buffer: &'t mut Vec<u8>) -> &'t [u8] {
        if memchr::memchr(quick::GAP, &self.both).is_none() {
            return &self.both;
        }
        buffer.clear();
        buffer.extend_from_slice(&self.both);
        buffer.iter_mut().filter(|b| **b == quick::GAP).for_each(|b| *b = b' ');
        buffer
    }

    fn without<'t, const N: usize>(&'t self, unwanted: [u8; N], buffer: &'t mut Vec<u8>) -> &'t [u8] {
        if unwanted.iter().all(|&byte| memchr::memchr(byte, &self.both).is_none()) {
            return &self.both;
        }
        buffer.clear();
        vector::without(unwanted, &self.both, buffer);
        buffer
    }
}

/// A normalised text, which is normalised once more where that is asked.
pub(crate) struct Again<'t> {
    norm: &'t [u8],
    made: OnceCell<(Buffer<u8>, Noted)>,
}

impl<'t> Again<'t> {
    pub(crate) fn new(norm: &'t [u8]) -> Again<'t> {
        Again { norm, made: OnceCell::new() }
    }

    /// [`norm_dlp`] of the text, and what that is like.
    pub(crate) fn get(&self) -> (&[u8], Noted) {
        let (again, noted) = self.made.get_or_init(|| {
            let mut again = Buffer::new();
            let noted = norm_dlp_noting(self.norm, &mut again);
            (again, noted)
        });
        (again, *noted)
    }

    /// Makes `out` [`norm_dlp`] of the text without its dots. False, and nothing is done, where that may not be the same as the
    /// other way round: what comes together may compose, and characters may become dots.
    pub(crate) fn without_dots(&self, out: &mut Vec<u8>) -> bool {
        let dots = |text: &[u8]| memchr::memchr_iter(b'.', text).count();
        let (again, noted) = self.get();
        let same = !noted.composed && dots(again) == dots(self.norm);
        if same {
            out.clear();
            vector::without([b'.'], again, out);
        }
        same
    }
}

/// Whether all ways to normalise a text give the same: with the vector kernel and without, and at once.
#[cfg(test)]
pub(crate) fn every_way_normalises_alike(text: &[u8]) -> bool {
    let kinds = [Kind::Dlp, Kind::Match, Kind::Both].into_iter().all(|kind| {
        let (mut vector, mut scalar) = (Vec::new(), Vec::new());
        let noted = quick::normalise_with(kind, text, &mut vector, true);
        noted == quick::normalise_with(kind, text, &mut scalar, false) && vector == scalar
    });
    let spaced: Vec<u8> =
        text.iter().map(|&b| if matches!(b, b'\t' | b'\n' | b'\r') { b' ' } else { b }).collect();
    kinds
        && Views::new(text).is_none_or(|views| {
            let norm = norm_dlp_by_steps(text);
            let noted = views.noted();
            views.for_rules(&mut Vec::new()) == norm.as_bytes()
                && views.for_phrases(&mut Vec::new()) == norm_match_by_steps(text).as_bytes()
                && {
                    let mut lines = views.for_rules_with_lines(&mut Vec::new()).to_vec();
                    lines.iter_mut().filter(|b| b"\t\n\r".contains(b)).for_each(|b| *b = b' ');
                    lines == norm_dlp_by_steps(&spaced).as_bytes()
                }
                && (!noted.settled || is_settled(norm.as_bytes(), |_| false))
                && (noted.unseen || !norm.contains(is_unseen))
                && without_dots_alike(&norm)
                && without_dots_alike(&norm.chars().flat_map(|c| [c, '.']).collect::<String>())
        })
}

#[cfg(test)]
fn without_dots_alike(norm: &str) -> bool {
    let mut again = Vec::new();
    !Again::new(norm.as_bytes()).without_dots(&mut again)
        || again == norm_dlp_by_steps(norm.replace('.', "").as_bytes()).as_bytes()
}

/// Whether the normalisation of any of these texts one after the other, in this order or with some left out, is the
/// normalisation of each one after the other.
pub(crate) fn are_apart<'t>(texts: impl Iterator<Item = &'t [u8]> + Clone) -> bool {
    texts.clone().all(quick::begins_anew)
        || texts.clone().all(quick::ends_solid) && texts.into_iter().all(quick::begins_anew_after_solid)
}

/// The length of a text without the end of it that what follows may belong to or change, and whose normalisation what stands
/// before it does not change.
pub(crate) fn decided(text: &[u8]) -> usize {
    quick::decided(text)
}

/// Whether a text that begins with a character that is not ASCII begins in the same way after another one, however often both are
/// normalised.
pub(crate) fn begins_anew_each_time(text: &[u8]) -> bool {
    quick::begins_anew_each_time(text)
}

/// Whether a text is printable ASCII throughout, which no normalisation changes.
pub fn is_printable(text: &[u8]) -> bool {
    text.chunks(64).all(|chunk| !chunk.iter().fold(false, |any, &b| any | (b.wrapping_sub(0x20) > 0x5e)))
}

/// Whether a text is printable ASCII, tabs and line ends throughout.
fn is_printable_or_line(text: &[u8]) -> bool {
    let other = |b: u8| b.wrapping_sub(0x20) > 0x5e && b != b'\t' && b != b'\n' && b != b'\r';
    text.chunks(64).all(|chunk| !chunk.iter().fold(false, |any, &b| any | other(b)))
}

/// Whether the normalisation for rules leaves a character that is not ASCII as it is, whatever stands around it.
pub(crate) fn is_kept(c: char) -> bool {
    quick::keeps(c)
}

/// The character of valid UTF-8 that begins with a byte that is not ASCII.
pub(crate) fn char_at(text: &[u8], at: usize) -> Option<char> {
    char::from_u32(quick::decode(text.get(at..).filter(|rest| !rest.is_empty())?)?.0)
}

/// Whether a normalised text is certainly its own normalisation and holds none of the characters that `also` names.
pub(crate) fn is_settled(norm: &[u8], also: impl Fn(char) -> bool) -> bool {
    let mut at = 0;
    loop {
        // By blocks: most texts have few other characters.
        let blocks = norm[at..].chunks(64).take_while(|block| block.is_ascii());
        at += blocks.map(<[u8]>::len).sum::<usize>();
        at += norm[at..].iter().take_while(|b| b.is_ascii()).count();
        // Letters of other scripts mostly stand together.
        while norm.get(at).is_some_and(|b| !b.is_ascii()) {
            match char_at(norm, at) {
                Some(c) if !also(c) && quick::keeps(c) => at += c.len_utf8(),
                _ => return false,
            }
        }
        if at == norm.len() {
            return true;
        }
    }
}

/// [`norm_dlp`] by the specification's steps: the oracle of the quick way, and what remains for hard texts.
pub(crate) fn norm_dlp_by_steps(text: &[u8]) -> String {
    norm_dlp_str_by_steps(&lossy(text))
}

fn norm_dlp_str_by_steps(text: &str) -> String {
    let stripped: String =
        text.chars().filter(|&c| !is_control(c) && !is_invisible(c) && !is_exotic_space(c)).collect();
    fold(&stripped)
}

/// [`norm_match`] by the specification's steps.
pub(crate) fn norm_match_by_steps(text: &[u8]) -> String {
    norm_match_str_by_steps(&lossy(text))
}

fn norm_match_str_by_steps(text: &str) -> String {
    let keep = |c: char| matches!(c, '\t' | '\n' | '\r') || !(is_control(c) || is_invisible(c));
    let stripped: String = text.chars().filter(|&c| keep(c)).collect();
    let folded = fold(&stripped);
    folded.chars().map(|c| if is_exotic_space(c) { ' ' } else { c }).collect()
}

/// Steps 3 to 5 of both normalisations: NFKC, look-alikes, NFD without marks.
fn fold(text: &str) -> String {
    text.nfkc().map(|c| confusable(c).unwrap_or(c)).nfd().filter(|&c| !is_nonspacing_mark(c)).collect()
}

/// Only step 1: controls and invisible characters removed, nothing folded (spec: url-scan §12.4, literal secrets).
pub fn strip_controls(text: &[u8]) -> Cow<'_, str> {
    let is_plain = is_printable(text);
    let text = lossy(text);
    if is_plain {
        return text;
    }
    if !text.chars().any(|c| is_control(c) || is_invisible(c)) {
        return text;
    }
    Cow::Owned(text.chars().filter(|&c| !is_control(c) && !is_invisible(c)).collect())
}

/// Noise stripping of URL texts: what [`is_noise`] is removed. `None` when there is nothing to remove.
pub fn strip_noise(text: &[u8]) -> Option<Vec<u8>> {
    has_noise(text).then(|| text.iter().copied().filter(|&b| !is_noise(b)).collect())
}

/// Whether a byte is noise in texts of URLs: `.`, `/`, white space, `+`, `,`, `;`, `|` (spec: url-scan §10.2).
pub const fn is_noise(b: u8) -> bool {
    matches!(b, b'.' | b'/' | b' ' | b'\t' | b'\n' | b'\r' | b'+' | b',' | b';' | b'|')
}

/// Whether there is any in a text.
pub fn has_noise(text: &[u8]) -> bool {
    const NOISE: vector::Class = vector::Class::new(b"./ \t\n\r+,;|");
    let mut masks = Buffer::new();
    vector::class_masks(&NOISE.low, &NOISE.high, text, &mut masks);
    masks.iter().any(|&mask| mask != 0)
}

/// The text with every `.` removed; `None` when it has none.
pub fn without_dots(text: &str) -> Option<String> {
    memchr::memchr(b'.', text.as_bytes())?;
    let mut joined = Vec::new();
    vector::without([b'.'], text.as_bytes(), &mut joined);
    // A text stays UTF-8 without one of its ASCII characters.
    String::from_utf8(joined).ok()
}

/// Lower-casing by simple mapping, one character for one (Go's meaning, which keeps the length in characters).
pub fn lower_simple(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    // The only character whose full mapping is longer than its simple one.
    if c == '\u{130}' {
        return 'i';
    }
    c.to_lowercase().next().unwrap_or(c)
}

/// A whole text through [`lower_simple`].
pub fn to_lower(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Cow::Owned(text.to_ascii_lowercase());
        }
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(lower_simple).collect())
}

/// Shannon entropy in bits per character, characters being code points; 0 for an empty text.
pub fn shannon_entropy(text: &str) -> f64 {
    let mut counts: std::collections::BTreeMap<char, u32> = std::collections::BTreeMap::new();
    let mut total = 0u32;
    for c in text.chars() {
        *counts.entry(c).or_insert(0) += 1;
        total += 1;
    }
    counts
        .values()
        .map(|&n| {
            let p = f64::from(n) / f64::from(total);
            -p * p.log2()
        })
        .sum()
}
