//! The normalisation in one pass.
//!
//! Steps 1 to 5 of the specification act on each character alone, but for one thing: composition (step 3) may join a
//! letter with the marks after it, and then a look-alike is not mapped (step 4). So every character's result is looked
//! up in a table, made page by page at first use by the plain steps; a mark after an ASCII letter is dropped, as the
//! steps would do in the end; and where a mark follows anything else, the stretch around it goes through the plain steps.

use std::sync::OnceLock;

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfkc_quick};

use crate::dlp::vector::{class_masks, end_of_run, printable};

use super::{is_control, is_invisible, is_nonspacing_mark, norm_dlp_str_by_steps, norm_match_str_by_steps};

const PAGES: usize = 0x200;
/// Entry: the character stays as it is.
const KEEP: u16 = u16::MAX;
/// Entry: it depends on what stands before it.
const MARK: u16 = u16::MAX - 1;
/// Entry: a context-dependent character that is not a mark.
const HARD: u16 = u16::MAX - 2;

struct Page {
    entry: [u16; 256],
    /// What entries below [`HARD`] stand for.
    text: Vec<Box<str>>,
}

/// Which of the two normalisations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// For rules: all white space but U+0020 goes.
    Dlp,
    /// For seed phrases: tab, LF and CR stay, other spaces become U+0020.
    Match,
}

fn page(kind: Kind, code: u32) -> Option<&'static Page> {
    static TABLES: [[OnceLock<Box<Page>>; PAGES]; 2] = [const { [const { OnceLock::new() }; PAGES] }; 2];
    let number = code >> 8;
    let slot = TABLES[kind as usize].get(number as usize)?;
    Some(slot.get_or_init(|| {
        let mut page = Box::new(Page { entry: [HARD; 256], text: Vec::new() });
        for low in 0..256 {
            let Some(c) = char::from_u32(number << 8 | low) else { continue };
            page.entry[low as usize] = if !removed(c)
                && (is_nfkc_quick(std::iter::once(c)) == IsNormalized::Maybe
                    || unicode_normalization::char::canonical_combining_class(c) != 0)
            {
                if is_nonspacing_mark(c) { MARK } else { HARD }
            } else {
                let mut utf8 = [0; 4];
                let alone = c.encode_utf8(&mut utf8);
                let folded = match kind {
                    Kind::Dlp => norm_dlp_str_by_steps(alone),
                    Kind::Match => norm_match_str_by_steps(alone),
                };
                if folded.chars().eq(std::iter::once(c)) {
                    KEEP
                } else {
                    page.text.push(folded.into());
                    page.text.len() as u16 - 1
                }
            };
        }
        page
    }))
}

/// Whether a character stays as it is, whatever stands around it.
pub(super) fn keeps(c: char) -> bool {
    matches!(alone(u32::from(c)), Alone::Stays)
}

/// What becomes of a character that is not ASCII.
pub(crate) enum Alone {
    /// It stays as it is.
    Stays,
    /// It becomes this, whatever stands around it.
    Text(&'static str),
    /// An accent: it goes where it follows an ASCII character.
    Mark,
    /// That depends on what stands around it.
    Unknown,
}

/// What the normalisation for rules makes of a character.
pub(crate) fn alone(c: u32) -> Alone {
    let Some(page) = page(Kind::Dlp, c) else { return Alone::Unknown };
    match page.entry[(c & 0xff) as usize] {
        KEEP => Alone::Stays,
        MARK => Alone::Mark,
        HARD => Alone::Unknown,
        i => page.text.get(usize::from(i)).map_or(Alone::Unknown, |text| Alone::Text(text)),
    }
}

/// Whether nothing at the start of a text belongs to, or changes, what stands before it.
pub(super) fn begins_anew(text: &[u8]) -> bool {
    begins(text, false)
}

/// The same where what stands before it ends in a [solid](ends_solid) character: accents go there, and stray bytes stay so.
pub(super) fn begins_anew_after_solid(text: &[u8]) -> bool {
    begins(text, true)
}

fn begins(text: &[u8], after_solid: bool) -> bool {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            0..0x20 | 0x7f => at += 1,
            0x20..0x80 => return true,
            // The rest of a character that the other text may begin.
            0x80..0xC0 => return after_solid,
            _ => {
                let Some((code, len)) = decode(&text[at..]) else { return true };
                match alone(code) {
                    Alone::Stays => return true,
                    Alone::Mark if after_solid => at += len,
                    Alone::Text("") => at += len,
                    Alone::Text(_) => return char::from_u32(code).is_some_and(begins_with_a_starter),
                    Alone::Mark | Alone::Unknown => return false,
                }
            }
        }
    }
    true
}

/// Whether what a character is made of composes with nothing before it.
fn begins_with_a_starter(c: char) -> bool {
    std::iter::once(c).nfkd().next().is_some_and(|first| {
        unicode_normalization::char::canonical_combining_class(first) == 0
            && is_nfkc_quick(std::iter::once(first)) != IsNormalized::Maybe
    })
}

/// Whether the last character that is not removed is printable ASCII, or a byte that belongs to no character whatever follows:
/// nothing composes across that.
pub(super) fn ends_solid(text: &[u8]) -> bool {
    let kept = text.iter().rposition(|byte| !matches!(byte, 0..0x20 | 0x7f)).map_or(0, |last| last + 1);
    match text[..kept] {
        [] | [.., 0x20..0x80] => true,
        [.., 0xC0..=0xFF] => false,
        ref text => {
            // The byte is a later one of a character, if it is of any.
            let begins = (2..=4).filter_map(|len| Some(&text[text.len().checked_sub(len)?..]));
            kept == text.len() && begins.into_iter().all(|end| end[0] < 0xC0)
        }
    }
}

/// Whether step 1 removes a character before any other is looked at.
fn removed(c: char) -> bool {
    is_control(c) || is_invisible(c)
}

/// Normalises into `out`, which is cleared first.
pub(super) fn normalise_into(kind: Kind, input: &[u8], out: &mut Vec<u8>) {
    normalise_with(kind, input, out, true);
}

/// The same; `vector` is false in tests of what processors without the vector kernel do.
pub(super) fn normalise_with(kind: Kind, input: &[u8], out: &mut Vec<u8>, vector: bool) {
    out.clear();
    out.reserve(input.len() + 8);
    let mut masks = crate::scratch::Buffer::new();
    let mut at = 0;
    // Whether a mark now would follow an ASCII character or U+FFFD (or nothing).
    let mut after_ascii = true;
    // Where the last such character begins, in the text and in what was made of it.
    let (mut solid_in, mut solid_out) = (0, 0);
    while at < input.len() {
        let b = input[at];
        if b < 0x80 {
            let before = out.len();
            let ascii = if vector { printable(&input[at..], kind == Kind::Match, out) } else { None };
            if let Some(ascii) = ascii {
                let last = |text: &[u8]| text.iter().rposition(|b| matches!(b, b' '..=b'~'));
                if let (Some(i), Some(o)) = (last(&input[at..at + ascii]), last(&out[before..])) {
                    (solid_in, solid_out) = (at + i, before + o);
                }
                after_ascii |= out.len() > before;
                at += ascii;
                continue;
            }
            // Runs of printable ASCII, found by blocks.
            if masks.is_empty() {
                class_masks(&PRINTABLE_LOW, &PRINTABLE_HIGH, input, &mut masks);
            }
            let end = end_of_run(&masks, at);
            if end > at {
                out.extend_from_slice(&input[at..end]);
                at = end;
                after_ascii = true;
                (solid_in, solid_out) = (end - 1, out.len() - 1);
            } else {
                if kind == Kind::Match && matches!(b, b'\t' | b'\n' | b'\r') {
                    out.push(b);
                    after_ascii = true;
                }
                at += 1;
            }
            continue;
        }
        // Most of what is no text fails at its second byte.
        let follows = input.get(at + 1).is_some_and(|b| b & 0xC0 == 0x80);
        let Some((c, len)) = (if b >= 0xC2 && follows { decode(&input[at..]) } else { None }) else {
            (solid_in, solid_out) = (at, out.len());
            out.extend_from_slice("\u{FFFD}".as_bytes());
            after_ascii = true;
            at += 1;
            continue;
        };
        // Beyond the planes that have letters there are no tables.
        let page = page(kind, c);
        let entry = page.map_or(HARD, |page| page.entry[(c & 0xff) as usize]);
        match entry {
            KEEP => {
                out.extend_from_slice(&input[at..at + len]);
                after_ascii = false;
            }
            MARK if after_ascii && !out.is_empty() => {}
            MARK | HARD => {
                // Nothing composes across printable ASCII or U+FFFD: the stretch up to the next goes through the steps.
                let end = end_of_stretch(input, at);
                out.truncate(solid_out);
                let stretch = &crate::text::lossy(&input[solid_in..end]);
                let steps = match kind {
                    Kind::Dlp => norm_dlp_str_by_steps(stretch),
                    Kind::Match => norm_match_str_by_steps(stretch),
                };
                out.extend_from_slice(steps.as_bytes());
                (solid_in, solid_out) = (end, out.len());
                after_ascii = false;
                at = end;
                continue;
            }
            i => {
                if let Some(text) =
                    page.map(|page| &page.text[usize::from(i)]).filter(|text| !text.is_empty())
                {
                    out.extend_from_slice(text.as_bytes());
                    after_ascii = false;
                }
            }
        }
        at += len;
    }
}

/// The first position from `at` on of a printable ASCII character or of a byte that is not part of valid UTF-8.
fn end_of_stretch(input: &[u8], mut at: usize) -> usize {
    while let Some(&b) = input.get(at) {
        match b {
            0x20..=0x7e => break,
            0..=0x7f => at += 1,
            _ => match decode(&input[at..]) {
                Some((_, len)) => at += len,
                None => break,
            },
        }
    }
    at
}

/// U+0020 to U+007E as nibble tables: each upper half from 2 to 7 has a bit, and 0x7F lacks it.
const PRINTABLE_HIGH: [u8; 16] = [0, 0, 1, 2, 4, 8, 16, 32, 0, 0, 0, 0, 0, 0, 0, 0];
const PRINTABLE_LOW: [u8; 16] = [63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 31];

/// The character at the start of `bytes` (which is not ASCII) and its length; `None` when the first byte is not part of
/// valid UTF-8.
#[inline]
pub(crate) fn decode(bytes: &[u8]) -> Option<(u32, usize)> {
    let tail = |i: usize| bytes.get(i).filter(|&&b| b & 0xC0 == 0x80).map(|&b| u32::from(b & 0x3F));
    match bytes[0] {
        b @ 0xC2..=0xDF => Some((u32::from(b & 0x1F) << 6 | tail(1)?, 2)),
        b @ 0xE0..=0xEF => {
            let c = u32::from(b & 0x0F) << 12 | tail(1)? << 6 | tail(2)?;
            (c >= 0x800 && !(0xD800..0xE000).contains(&c)).then_some((c, 3))
        }
        b @ 0xF0..=0xF4 => {
            let c = u32::from(b & 0x07) << 18 | tail(1)? << 12 | tail(2)? << 6 | tail(3)?;
            (0x10000..0x110000).contains(&c).then_some((c, 4))
        }
        _ => None,
    }
}
