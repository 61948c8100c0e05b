//! What the normalisation makes of each character, in tables that are made page by page at first use by the plain steps.

use std::sync::OnceLock;

use unicode_normalization::char::{canonical_combining_class, decompose_compatible};
use unicode_normalization::{IsNormalized, is_nfkc_quick};

use crate::dlp::vector::folded_entry;

use super::super::{is_control, is_exotic_space, is_invisible, is_nonspacing_mark, norm_dlp_str_by_steps};

/// Pages of the planes that have letters; beyond are three of compatibility characters and two of invisible ones.
const PLAIN_PAGES: usize = 0x200;
const PAGES: usize = PLAIN_PAGES + 5;

/// What becomes of one character: flags, four bits of its [`Sort`], and up to three bytes or the number of a text.
#[derive(Clone, Copy)]
pub(super) struct Entry(u32);

/// What an entry says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    /// Up to three bytes.
    Short,
    /// The character itself.
    Kept,
    /// A longer text, [`text`].
    Long,
    /// A syllable, which becomes its letters.
    Hangul,
    /// A mark that may compose with what stands before it, and goes where that is ASCII.
    Mark,
    /// A mark that composes with nothing: it goes.
    Drops,
    /// What is no such mark, but depends on what stands before it.
    Hard,
    /// It is removed before any other character is looked at.
    Gone,
    /// White space that the two normalisations treat in different ways.
    Space,
}

impl Entry {
    /// Flag: normalised once more, what it becomes may change.
    pub(super) const UNSETTLED: u32 = 1 << 31;
    /// Flag: it is, or becomes, a character without a glyph that stays.
    pub(super) const UNSEEN: u32 = 1 << 30;
    /// Flag: it is, or becomes, one that [`is_special`].
    pub(super) const SPECIAL: u32 = 1 << 29;
    /// Flag: it is removed.
    pub(super) const GONE: u32 = 1 << 28;
    const FLAGS: u32 = 15 << 28;
    const KEPT: u32 = 4;
    const OTHERS: [Sort; 8] =
        [Sort::Kept, Sort::Long, Sort::Hangul, Sort::Mark, Sort::Drops, Sort::Hard, Sort::Gone, Sort::Space];

    const fn of(sort: Sort) -> Entry {
        let flags = if matches!(sort, Sort::Gone) { Entry::GONE } else { 0 };
        Entry((sort as u32 + 3) << 24 | flags)
    }

    const fn short(bytes: &[u8], flags: u32) -> Entry {
        let mut entry = (bytes.len() as u32) << 24 | flags;
        let mut at = 0;
        while at < bytes.len() {
            entry |= (bytes[at] as u32) << (8 * at);
            at += 1;
        }
        Entry(entry)
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    #[inline(always)]
    fn code(self) -> u32 {
        self.0 >> 24 & 15
    }

    #[inline(always)]
    pub(super) fn sort(self) -> Sort {
        match self.code() {
            0..Entry::KEPT => Sort::Short,
            code => Entry::OTHERS[(code - Entry::KEPT) as usize & 7],
        }
    }

    #[inline(always)]
    pub(super) fn flags(self) -> u32 {
        self.0 & Entry::FLAGS
    }

    /// What a byte becomes.
    #[inline(always)]
    pub(super) fn short_bytes(self) -> ([u8; 4], usize) {
        (self.0.to_le_bytes(), (self.code() & 3) as usize)
    }

    /// What a character that is given as its bytes becomes, if that is short or itself.
    #[inline(always)]
    pub(super) fn bytes(self, character: [u8; 4], length: usize) -> Option<([u8; 4], usize)> {
        let code = self.code();
        let kept = code == Entry::KEPT;
        let bytes = if kept { u32::from_le_bytes(character) } else { self.0 };
        let length = if kept { length } else { code as usize };
        (code <= Entry::KEPT).then_some((bytes.to_le_bytes(), length))
    }
}

/// What becomes of a byte that is part of no character, and of a control character.
pub(super) const STRAY: Entry = Entry::short(b"\xEF\xBF\xBD", Entry::UNSEEN);
pub(super) const GONE: Entry = Entry::of(Sort::Gone);

// The vector kernel knows these numbers.
const _: () = assert!(
    Entry::KEPT == folded_entry::KEPT
        && Entry::FLAGS == folded_entry::FLAGS
        && Entry::of(Sort::Drops).0 >> folded_entry::CODE & 15 == folded_entry::NOTHING[0]
        && Entry::of(Sort::Gone).0 >> folded_entry::CODE & 15 == folded_entry::NOTHING[1]
);

/// What becomes of bytes that are ASCII or part of no character, without and with line ends.
static BYTES: [[Entry; 256]; 2] = [bytes(false), bytes(true)];

const fn bytes(lines: bool) -> [Entry; 256] {
    let mut entries = [Entry::short(&[], Entry::GONE); 256];
    let mut b = 0;
    while b < 256 {
        match b as u8 {
            0x20..=0x7e => entries[b] = Entry::short(&[b as u8], 0),
            b'\t' | b'\n' | b'\r' if lines => entries[b] = Entry::short(&[b as u8], 0),
            0x80.. => entries[b] = STRAY,
            _ => {}
        }
        b += 1;
    }
    entries
}

/// The entry of such a byte, which is short.
#[inline(always)]
pub(super) fn of_byte(byte: u8, lines: bool) -> Entry {
    BYTES[usize::from(lines)][usize::from(byte)]
}

struct Page {
    /// The bits of each [`Entry`].
    entries: [u32; 256],
    /// What long entries stand for.
    texts: Vec<Box<str>>,
}

static TABLES: [OnceLock<Box<Page>>; PAGES] = [const { OnceLock::new() }; PAGES];

/// The entry of a character that is not ASCII.
#[inline]
pub(super) fn entry(c: u32) -> Entry {
    page(c >> 8).map_or(Entry::of(Sort::Kept), |page| Entry(page.entries[(c & 0xff) as usize]))
}

/// The text of a character whose entry is long.
pub(super) fn text(c: u32) -> &'static str {
    page(c >> 8).map_or("", |page| {
        let index = page.entries[(c & 0xff) as usize] & 0xff_ffff;
        page.texts.get(index as usize).map_or("", |text| text)
    })
}

/// The bits of the entries of 256 characters; `None` where all of these stay.
#[inline]
pub(super) fn page_of(number: u32) -> Option<&'static [u32; 256]> {
    page(number).map(|page| &page.entries)
}

#[inline]
fn page(number: u32) -> Option<&'static Page> {
    let slot = match number as usize {
        plain @ 0..PLAIN_PAGES => plain,
        compatible @ 0x2F8..=0x2FA => PLAIN_PAGES + compatible - 0x2F8,
        unseen @ (0xE00 | 0xE01) => PLAIN_PAGES + 3 + unseen - 0xE00,
        // Ideographs, private characters and none.
        _ => return None,
    };
    Some(TABLES[slot].get_or_init(|| Page::new(number)))
}

impl Page {
    fn new(number: u32) -> Box<Page> {
        let mut page = Box::new(Page { entries: [Entry::of(Sort::Kept).bits(); 256], texts: Vec::new() });
        for low in 0..256 {
            let Some(c) = char::from_u32(number << 8 | low) else { continue };
            let entry = match sort_of(c) {
                Sort::Short => {
                    let folded = norm_dlp_str_by_steps(c.encode_utf8(&mut [0; 4]));
                    let flags = flags_of(&folded);
                    if folded.len() < 4 {
                        Entry::short(folded.as_bytes(), flags)
                    } else {
                        page.texts.push(folded.into());
                        Entry(Entry::of(Sort::Long).0 | flags | (page.texts.len() as u32 - 1))
                    }
                }
                Sort::Kept => Entry(Entry::of(Sort::Kept).0 | flags_of(c.encode_utf8(&mut [0; 4]))),
                sort => Entry::of(sort),
            };
            page.entries[low as usize] = entry.bits();
        }
        page
    }
}

fn flags_of(text: &str) -> u32 {
    let flag = |of: fn(char) -> bool, flag| if text.chars().any(of) { flag } else { 0 };
    flag(|c| !stays(c), Entry::UNSETTLED) | flag(is_unseen, Entry::UNSEEN) | flag(is_special, Entry::SPECIAL)
}

/// A letter that looks like another, and enclosing marks, which the search for instructions reads in its own way.
fn is_special(c: char) -> bool {
    matches!(c, '\u{131}' | '\u{1ABE}' | '\u{A670}'..='\u{A672}')
}

/// Characters without a glyph that the normalisation leaves in place.
pub(crate) fn is_unseen(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{2065}' | '\u{206A}'..='\u{206F}' | '\u{2800}' | '\u{FFFD}' | '\u{1160}')
        || matches!(c, '\u{488}'..='\u{489}' | '\u{20DD}'..='\u{20E4}' | '\u{1D173}'..='\u{1D17A}')
}

/// Whether a character stays as it is, whatever stands around it.
fn stays(c: char) -> bool {
    matches!(c, ' '..='~') || !c.is_ascii() && sort_of(c) == Sort::Kept
}

/// The sort of a character; [`Sort::Short`] for all that become some text.
fn sort_of(c: char) -> Sort {
    if is_control(c) || is_invisible(c) {
        return Sort::Gone;
    }
    if is_exotic_space(c) {
        return Sort::Space;
    }
    match c {
        // Vowels and final consonants compose with what stands before them into what is taken apart again.
        '\u{1161}'..='\u{1175}' | '\u{11A8}'..='\u{11C2}' => return Sort::Kept,
        '\u{AC00}'..='\u{D7A3}' => return Sort::Hangul,
        _ => {}
    }
    let mut first = None;
    let mut length = 0;
    decompose_compatible(c, |part| {
        length += 1;
        first.get_or_insert(part);
    });
    let first = first.unwrap_or(c);
    let composes = is_nfkc_quick(std::iter::once(first)) == IsNormalized::Maybe
        && !matches!(first, '\u{1161}'..='\u{1175}' | '\u{11A8}'..='\u{11C2}');
    if composes || canonical_combining_class(first) != 0 {
        let alone = length == 1 && first == c;
        return match is_nonspacing_mark(c) {
            true if alone && !composes => Sort::Drops,
            true => Sort::Mark,
            false => Sort::Hard,
        };
    }
    if norm_dlp_str_by_steps(c.encode_utf8(&mut [0; 4])).chars().eq(std::iter::once(c)) {
        Sort::Kept
    } else {
        Sort::Short
    }
}

/// The letters of a syllable, and their length.
#[inline]
pub(super) fn letters(syllable: u32) -> ([u8; 9], usize) {
    let number = syllable.wrapping_sub(0xAC00);
    let (first, vowel, last) = (0x1100 + number / 588, 0x1161 + number % 588 / 28, 0x11A7 + number % 28);
    let mut bytes = [0; 9];
    for (letter, place) in [first, vowel, last].into_iter().zip(bytes.chunks_exact_mut(3)) {
        place.copy_from_slice(&[0xE1, 0x80 | (letter >> 6 & 63) as u8, 0x80 | (letter & 63) as u8]);
    }
    (bytes, if number.is_multiple_of(28) { 6 } else { 9 })
}
