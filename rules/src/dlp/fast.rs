//! The fast scan: is there anything at all?
//!
//! Clean text is nearly all text, so the work goes into saying "clean" quickly and with certainty: every derived form of
//! the specification is either shown to hold nothing or searched with one pass for all rules (`kernel`). Forms are made
//! only where they differ from what was searched already, and encoded data is decoded only where a run of its alphabet
//! is long enough. When something may be there, the step-by-step scan decides what it is, with the same kernel.

use super::{Scanner, seed};
use crate::decode;
use crate::text::{is_printable, norm_dlp_quick, norm_match, percent_decode_all};

pub(super) mod kernel;
pub(super) mod known;
mod runs;
mod shape;
mod simd;
#[cfg(test)]
mod tests;
mod windows;

use kernel::Rules;
use runs::Class;

/// Bytes that a decodable piece of text consists of: both base64 alphabets, hex with its separators, percent signs.
const PIECE: Class = Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_:,\\%");
const BASE64: Class = Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/=\r\n");
const HEX: Class = Class::new(b"0123456789abcdefABCDEF:-, xX\\");
const BASE32: Class = Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=\r\n");

/// Shortest piece that is decoded, bytes (spec: dlp §8.6a).
const MIN_PIECE: u32 = 10;
/// Shortest text that holds a seed phrase: twelve words of three letters.
const MIN_PHRASE: usize = 47;
/// Decode steps that are undone.
const MAX_DEPTH: u32 = 3;

/// True when no scan of the specification finds anything in the text. False says nothing.
pub(super) fn is_clean(s: &Scanner, input: &[u8]) -> bool {
    let mut buffer = Vec::new();
    let norm = norm_dlp_quick(input, &mut buffer).unwrap_or(input);
    // A normalised text is UTF-8; were it not, the step-by-step scan would deal with it.
    let Ok(norm) = std::str::from_utf8(norm) else { return false };
    let mut search = Search { s, rules: s.both_lists(), scratch: Vec::new(), masks: Vec::new() };
    if s.kernel.any(&search.rules, norm) || !s.canaries.is_empty() {
        return false;
    }
    let bytes = norm.as_bytes();
    let percent = memchr::memchr2(b'%', b'+', bytes).is_some();
    if percent {
        let decoded = percent_decode_all(bytes);
        if *decoded != *bytes && (search.in_decoded(&decoded) || search.recurse(&decoded, 1)) {
            return false;
        }
    }
    if memchr::memchr(b'.', bytes).is_some() && search.without_dots(bytes) {
        return false;
    }
    // The percent-decoding step of this recursion was made above.
    if search.encoded(bytes, 0) || search.pieces(bytes, percent) {
        return false;
    }
    if s.known.possible(bytes) {
        return false;
    }
    s.seed.is_none_or(|settings| search.no_phrase(input, norm, settings.min_words))
}

struct Search<'s> {
    s: &'s Scanner,
    rules: Rules<'s>,
    scratch: Vec<u8>,
    masks: Vec<u64>,
}

fn is_delimiter(b: u8) -> bool {
    matches!(b, b'/' | b'?' | b'&' | b'=' | b' ' | b'\n' | b'\t')
}

fn consists_of(text: &[u8], class: &Class) -> bool {
    text.iter().all(|&b| class.has(b))
}

impl Search<'_> {
    /// Whether a rule matches the text after another normalisation.
    fn in_decoded(&mut self, decoded: &[u8]) -> bool {
        if most_chars(decoded, self.s.kernel.min_chars()) < self.s.kernel.min_chars() {
            return false;
        }
        let norm = norm_dlp_quick(decoded, &mut self.scratch).unwrap_or(decoded);
        std::str::from_utf8(norm).map_or(true, |norm| self.s.kernel.any(&self.rules, norm))
    }

    fn without_dots(&mut self, norm: &[u8]) -> bool {
        let mut joined = Vec::with_capacity(norm.len());
        let mut from = 0;
        for dot in memchr::memchr_iter(b'.', norm) {
            joined.extend_from_slice(&norm[from..dot]);
            from = dot + 1;
        }
        joined.extend_from_slice(&norm[from..]);
        self.in_decoded(&joined)
    }

    /// Whether undoing decode steps on the whole text leads to a match (spec: dlp §8.5).
    fn recurse(&mut self, text: &[u8], depth: u32) -> bool {
        if depth >= MAX_DEPTH {
            return false;
        }
        if self.encoded(text, depth) {
            return true;
        }
        if memchr::memchr2(b'%', b'+', text).is_none() {
            return false;
        }
        let decoded = percent_decode_all(text);
        *decoded != *text && (self.in_decoded(&decoded) || self.recurse(&decoded, depth + 1))
    }

    /// The base64, hex and base32 steps of [`Search::recurse`].
    fn encoded(&mut self, text: &[u8], depth: u32) -> bool {
        if text.len() < 2 {
            return false;
        }
        let mut step = |decoded: Vec<u8>| {
            (depth == 0 && self.phrase_in(&decoded))
                || self.in_decoded(&decoded)
                || self.recurse(&decoded, depth + 1)
        };
        if consists_of(text, &BASE64)
            && let Some(decoded) = decode::base64(text)
            && step(decoded.bytes)
        {
            return true;
        }
        if consists_of(text, &HEX)
            && let Some(decoded) = decode::hex(text)
            && step(decoded)
        {
            return true;
        }
        // What follows the padding is ignored and may be anything, so only the beginning tells.
        consists_of(&text[..text.len().min(3)], &BASE32) && decode::base32(text).is_some_and(step)
    }

    fn phrase_in(&self, decoded: &[u8]) -> bool {
        decoded.len() >= MIN_PHRASE && self.s.seed.is_some_and(|s| seed::possible(decoded, s.min_words))
    }

    /// Whether a piece between delimiters leads to a match (spec: dlp §8.6a).
    fn pieces(&mut self, norm: &[u8], percent: bool) -> bool {
        let complete = |start: usize, end: usize| {
            (start == 0 || is_delimiter(norm[start - 1])) && norm.get(end).is_none_or(|&b| is_delimiter(b))
        };
        let mut masks = std::mem::take(&mut self.masks);
        let found = runs::each(norm, &PIECE, MIN_PIECE, &mut masks, |start, end| {
            complete(start, end) && self.recurse(&norm[start..end], 0)
        });
        self.masks = masks;
        if found {
            return true;
        }
        // Pieces with other characters change by percent-decoding alone.
        let mut at = 0;
        while percent && let Some(next) = memchr::memchr2(b'%', b'+', &norm[at..]) {
            let found = at + next;
            let start = norm[at..found].iter().rposition(|&b| is_delimiter(b)).map_or(at, |i| at + i + 1);
            let end = norm[found..].iter().position(|&b| is_delimiter(b)).map_or(norm.len(), |i| found + i);
            let piece = &norm[start..end];
            if piece.len() >= MIN_PIECE as usize && !consists_of(piece, &PIECE) {
                let decoded = percent_decode_all(piece);
                if *decoded != *piece && (self.in_decoded(&decoded) || self.recurse(&decoded, 1)) {
                    return true;
                }
            }
            at = end;
        }
        false
    }

    /// True when no candidate of the seed detector holds a phrase (spec: dlp §10). Whole texts and pieces that decode
    /// were looked at together with the rules; here is what differs because line ends are kept.
    fn no_phrase(&mut self, input: &[u8], norm: &str, min_words: usize) -> bool {
        let printable = is_printable(input);
        let kept;
        let text = if printable {
            norm.as_bytes()
        } else {
            kept = norm_match(input);
            kept.as_bytes()
        };
        if seed::possible(text, min_words) {
            return false;
        }
        if memchr::memchr2(b'%', b'+', text).is_some() && seed::possible(&percent_decode_all(text), min_words)
        {
            return false;
        }
        if text.len() < MIN_PHRASE {
            return true;
        }
        let decodes_to_phrase = |piece: &[u8]| {
            let b64 = consists_of(piece, &BASE64).then(|| decode::base64(piece)).flatten().map(|d| d.bytes);
            let hex = consists_of(piece, &HEX).then(|| decode::hex(piece)).flatten();
            let b32 =
                consists_of(&piece[..piece.len().min(3)], &BASE32).then(|| decode::base32(piece)).flatten();
            [b64, hex, b32]
                .into_iter()
                .flatten()
                .any(|d| d.len() >= MIN_PHRASE && seed::possible(&d, min_words))
        };
        if decodes_to_phrase(text.trim_ascii()) {
            return false;
        }
        // Printable texts are their own normalisation: their pieces were looked at with the rules.
        printable
            || !text.split(|&b| is_delimiter(b)).any(|piece| piece.len() >= 60 && decodes_to_phrase(piece))
    }
}

/// An upper bound of the characters that a text can have after normalisation, as far as it matters whether that is less
/// than `enough`: single bytes give one, two-byte characters at most three, longer ones at most eighteen.
fn most_chars(text: &[u8], enough: usize) -> usize {
    if text.len() >= enough {
        return enough;
    }
    let follows = |i: usize| text.get(i).is_some_and(|b| b & 0xC0 == 0x80);
    (0..text.len())
        .map(|i| match text[i] {
            0xC2..=0xDF if follows(i + 1) => 3,
            0xE0..=0xF4 if follows(i + 1) && follows(i + 2) => 18,
            _ => 1,
        })
        .sum()
}
