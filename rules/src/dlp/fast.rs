//! The fast scan: is there anything at all?
//!
//! Clean text is nearly all text, so the work goes into saying "clean" quickly and with certainty: every derived form of
//! the specification is either shown to hold nothing or searched with one pass for all rules (`kernel`). Forms are made
//! only where they differ from what was searched already, and encoded data is decoded only where a run of its alphabet
//! is long enough. When something may be there, the step-by-step scan decides what it is, with the same kernel.

use std::borrow::Cow;

use super::seed::{self, Between::AnyPunctuation, Between::Separators, MIN_PHRASE};
use super::{Encoding, Scanner};
use crate::decode;
use crate::scratch::Buffer;
use crate::text::{is_printable, norm_dlp_quick, norm_match, percent_decode_all};

mod decoded;
mod encoded;
pub(super) mod kernel;
pub(super) mod known;
mod overlap;
mod runs;
mod shape;
mod simd;
#[cfg(test)]
mod tests;
mod windows;

use decoded::{Possible, Stretches};
use encoded::RUN;
pub(super) use encoded::{Encoded, Survey, encoded_runs};
pub(super) use overlap::{cards_with_a_tail, keys_anywhere};
pub(crate) use runs::{Class, end_of_run};
pub(crate) use simd::{base64, class_masks, hex};

use kernel::Rules;

/// Bytes that a decodable piece of text consists of: both base64 alphabets, hex with its separators, percent signs.
const PIECE: Class = Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_:,\\%");
/// The same before line ends are removed: base64 and base32 ignore a CR.
const LINE_PIECE: Class =
    Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_:,\\%\r");
const BASE64: Class = Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/=\r\n");
const HEX: Class = Class::new(b"0123456789abcdefABCDEF:-, xX\\");
const BASE32: Class = Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=\r\n");

/// Shortest piece that is decoded, bytes (spec: dlp §8.6a).
pub(super) const MIN_PIECE: u32 = 10;
/// Shortest base64 of such a text.
const MIN_ENCODED_PHRASE: u32 = 60;
/// Decode steps that are undone.
const MAX_DEPTH: u32 = 3;

/// What the first look at a text shows. False says nothing.
pub(super) struct Seen {
    /// No scan of the specification finds anything.
    pub(super) clean: bool,
    /// There are no words of a seed phrase in a row, whatever stands between them.
    pub(super) no_words: bool,
}

/// Looks whether there is anything at all; `norm` is the normalised input.
pub(super) fn look(s: &Scanner, input: &[u8], norm: &str, digits: &Survey) -> Seen {
    let mut search = Search::new(s);
    let mut seen = Seen { clean: false, no_words: false };
    seen.clean = search.is_clean(input, norm, digits, &mut seen.no_words);
    seen
}

impl Search<'_> {
    fn is_clean(&mut self, input: &[u8], norm: &str, digits: &Survey, no_words: &mut bool) -> bool {
        let (s, search) = (self.s, self);
        if s.kernel.any(&search.rules, norm.as_bytes()) || !s.canaries.is_empty() {
            return false;
        }
        let bytes = norm.as_bytes();
        let percent = Percent::of(bytes);
        if percent == Percent::Pluses {
            search.spaced.clear();
            search.spaced.extend(bytes.iter().map(|&b| if b == b'+' { b' ' } else { b }));
        }
        if percent != Percent::Nothing && search.percent_decoded(bytes, percent) {
            return false;
        }
        if memchr::memchr(b'.', bytes).is_some() && search.without_dots(bytes) {
            return false;
        }
        // The percent-decoding step of this recursion was made above.
        if search.encoded(bytes, 0) || search.pieces(bytes, percent, digits) {
            return false;
        }
        if s.known.possible(bytes) {
            return false;
        }
        s.seed.is_none_or(|settings| search.no_phrase(input, norm, settings.min_words, no_words))
    }
}

/// What percent-decoding changes in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Percent {
    /// Nothing.
    Nothing,
    /// Each `+` becomes a space and nothing else changes, in the text and in every piece of it.
    Pluses,
    /// Anything.
    Escapes,
}

impl Percent {
    fn of(norm: &[u8]) -> Percent {
        if memchr::memchr2(b'%', b'+', norm).is_none() {
            Percent::Nothing
        } else if memchr::memchr(b'%', norm).is_none() && norm.is_ascii() {
            Percent::Pluses
        } else {
            Percent::Escapes
        }
    }
}

/// What the later passes of the step-by-step scan can find; false is certain.
pub(super) struct Later {
    /// In encoded form, as a whole or between delimiters.
    pub(super) encoded: bool,
    /// A seed phrase.
    pub(super) phrase: bool,
    /// A known secret.
    pub(super) known: bool,
}

/// Surveys a text that is not clean, so that the passes that find nothing need not be made.
pub(super) fn later(s: &Scanner, input: &[u8], norm: &str) -> Later {
    let mut search = Search::new(s);
    let bytes = norm.as_bytes();
    let percent = memchr::memchr2(b'%', b'+', bytes).map_or(Percent::Nothing, |_| Percent::Escapes);
    let encoded = search.encoded(bytes, 0)
        || (percent != Percent::Nothing && search.recurse(&percent_decode_all(bytes), 1))
        || search.pieces(bytes, percent, &Survey::new(s, bytes));
    let settings = s.seed.filter(|_| !encoded);
    let phrase = encoded
        || settings.is_some_and(|settings| !search.no_phrase(input, norm, settings.min_words, &mut false));
    Later { encoded, phrase, known: s.known.possible(bytes) }
}

/// Whether a byte belongs to runs of encoded text.
pub(super) fn is_run(b: u8) -> bool {
    RUN.has(b)
}

struct Search<'s> {
    s: &'s Scanner,
    rules: Rules<'s>,
    scratch: Buffer<u8>,
    masks: Buffer<u64>,
    /// Decoded base64, by depth.
    decoded: [Buffer<u8>; MAX_DEPTH as usize],
    stretches: Stretches,
    /// The text with spaces in place of each `+`, where that is all that percent-decoding does.
    spaced: Buffer<u8>,
    /// Where a rule may match in a piece of that text.
    places: Buffer<u64>,
}

fn is_delimiter(b: u8) -> bool {
    matches!(b, b'/' | b'?' | b'&' | b'=' | b' ' | b'\n' | b'\t')
}

/// The piece between delimiters that holds a byte, which is not one.
fn piece_around(text: &[u8], at: usize) -> std::ops::Range<usize> {
    let start = text[..at].iter().rposition(|&b| is_delimiter(b)).map_or(0, |before| before + 1);
    let end = text[at..].iter().position(|&b| is_delimiter(b)).map_or(text.len(), |length| at + length);
    start..end
}

fn consists_of(text: &[u8], class: &Class) -> bool {
    text.iter().all(|&b| class.has(b))
}

/// A look at texts that are too short to be decoded anywhere but as a whole.
pub(super) struct Short<'s>(Search<'s>);

impl<'s> Short<'s> {
    pub(super) fn new(s: &'s Scanner) -> Self {
        Self(Search::new(s))
    }

    /// Whether the text, which is its own normalisation, decodes to something that a rule matches.
    pub(super) fn decodes_to_a_match(&mut self, text: &[u8]) -> bool {
        self.0.encoded(text, 0)
    }
}

impl<'s> Search<'s> {
    fn new(s: &'s Scanner) -> Search<'s> {
        Search {
            s,
            rules: s.both_lists(),
            scratch: Buffer::new(),
            masks: Buffer::new(),
            decoded: std::array::from_fn(|_| Buffer::new()),
            stretches: Stretches::new(),
            spaced: Buffer::new(),
            places: Buffer::new(),
        }
    }
}

impl Search<'_> {
    /// What decoded bytes may hold.
    fn possible(&mut self, decoded: &[u8]) -> Possible {
        if !is_printable(decoded) {
            return self.stretches.possible(&self.s.kernel, decoded);
        }
        let rule = decoded.len() >= self.s.kernel.min_chars();
        Possible { rule, phrase: decoded.len() >= MIN_PHRASE }
    }

    /// Whether a rule matches the text after another normalisation.
    fn in_decoded(&mut self, decoded: &[u8]) -> bool {
        self.possible(decoded).rule && self.in_normalised(decoded)
    }

    fn in_normalised(&mut self, decoded: &[u8]) -> bool {
        let norm = norm_dlp_quick(decoded, &mut self.scratch).unwrap_or(decoded);
        self.s.kernel.any(&self.rules, norm)
    }

    /// Whether percent-decoding the whole text leads to a match.
    fn percent_decoded(&mut self, norm: &[u8], percent: Percent) -> bool {
        if percent == Percent::Pluses {
            let spaced = std::mem::replace(&mut self.spaced, Buffer::empty());
            let found =
                self.s.kernel.any_spaced(&self.rules, &spaced, &mut self.places).unwrap_or_else(|| {
                    // Every piece is looked at.
                    self.places.extend(memchr::memchr_iter(b'+', norm).map(|at| at as u64));
                    self.s.kernel.any(&self.rules, &spaced)
                });
            let found = found || self.recurse(&spaced, 1);
            self.spaced = spaced;
            return found;
        }
        let decoded = percent_decode_all(norm);
        matches!(decoded, Cow::Owned(_))
            && *decoded != *norm
            && (self.in_decoded(&decoded) || self.recurse(&decoded, 1))
    }

    fn without_dots(&mut self, norm: &[u8]) -> bool {
        let mut joined = Buffer::new();
        joined.reserve(norm.len());
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
        text.len() >= 2 && self.encoded_as(text, depth, consists_of(text, &BASE64))
    }

    /// The same; `base64` is false where that step is known to find nothing.
    fn encoded_as(&mut self, text: &[u8], depth: u32, base64: bool) -> bool {
        if base64 {
            // Most words decode to a few bytes of no meaning: a buffer that is used again, and a look at the length.
            let mut decoded = std::mem::replace(&mut self.decoded[depth as usize], Buffer::empty());
            let found = decode::base64_into(text, &mut decoded).is_some() && self.step(&decoded, depth);
            self.decoded[depth as usize] = decoded;
            if found {
                return true;
            }
        }
        if consists_of(text, &HEX)
            && let Some(decoded) = decode::hex(text)
            && self.step(&decoded, depth)
        {
            return true;
        }
        // What follows the padding is ignored and may be anything, so only the beginning tells.
        consists_of(&text[..text.len().min(3)], &BASE32)
            && decode::base32(text).is_some_and(|decoded| self.step(&decoded, depth))
    }

    fn step(&mut self, decoded: &[u8], depth: u32) -> bool {
        let possible = self.possible(decoded);
        (depth == 0 && possible.phrase && self.phrase_in(decoded))
            || (possible.rule && self.in_normalised(decoded))
            || self.recurse(decoded, depth + 1)
    }

    fn phrase_in(&self, decoded: &[u8]) -> bool {
        decoded.len() >= MIN_PHRASE
            && self.s.seed.is_some_and(|s| seed::possible(decoded, s.min_words, Separators))
    }

    /// Whether a piece between delimiters leads to a match (spec: dlp §8.6a).
    fn pieces(&mut self, norm: &[u8], percent: Percent, survey: &Survey) -> bool {
        let complete = |start: usize, end: usize| {
            (start == 0 || is_delimiter(norm[start - 1])) && norm.get(end).is_none_or(|&b| is_delimiter(b))
        };
        let mut masks = std::mem::replace(&mut self.masks, Buffer::empty());
        let spaced = std::mem::replace(&mut self.spaced, Buffer::empty());
        let found = runs::each(norm, &PIECE, MIN_PIECE, &mut masks, |start, end| {
            if !complete(start, end) {
                return false;
            }
            let piece = &norm[start..end];
            let base64 = survey.all_digits(start, end) && survey.base64(start, end);
            if self.encoded_as(piece, 0, base64) {
                return true;
            }
            match percent {
                Percent::Nothing => false,
                _ if !survey.percent(start, end) => false,
                // Rules were searched in the whole text, and no other decoder takes spaces.
                Percent::Pluses => {
                    consists_of(&spaced[start..end], &HEX) && self.recurse(&spaced[start..end], 1)
                }
                Percent::Escapes => self.percent_step(piece),
            }
        });
        self.masks = masks;
        let found = found
            || match percent {
                Percent::Nothing => false,
                Percent::Pluses => self.rule_in_pieces(norm, &spaced),
                Percent::Escapes => self.other_pieces(norm),
            };
        self.spaced = spaced;
        found
    }

    fn percent_step(&mut self, text: &[u8]) -> bool {
        let decoded = percent_decode_all(text);
        *decoded != *text && (self.in_decoded(&decoded) || self.recurse(&decoded, 1))
    }

    /// Pieces with a `+` in which rules may match although they do not match in the whole text.
    fn rule_in_pieces(&mut self, norm: &[u8], spaced: &[u8]) -> bool {
        let places = std::mem::replace(&mut self.places, Buffer::empty());
        let mut done = 0;
        let found = places.iter().any(|&at| {
            let at = at as usize;
            if at < done {
                return false;
            }
            let piece = piece_around(norm, at);
            done = piece.end;
            piece.len() >= MIN_PIECE as usize
                && memchr::memchr(b'+', &norm[piece.clone()]).is_some()
                && self.in_decoded(&spaced[piece])
        });
        self.places = places;
        found
    }

    /// Pieces with other characters change by percent-decoding alone.
    fn other_pieces(&mut self, norm: &[u8]) -> bool {
        let mut at = 0;
        while let Some(next) = memchr::memchr2(b'%', b'+', &norm[at..]) {
            let range = piece_around(norm, at + next);
            at = range.end;
            let piece = &norm[range];
            if piece.len() >= MIN_PIECE as usize && !consists_of(piece, &PIECE) && self.percent_step(piece) {
                return true;
            }
        }
        false
    }

    /// True when no candidate of the seed detector holds a phrase (spec: dlp §10). Whole texts and pieces that decode
    /// were looked at together with the rules; here is what differs because line ends are kept.
    fn no_phrase(&mut self, input: &[u8], norm: &str, min_words: usize, no_words: &mut bool) -> bool {
        let printable = is_printable(input);
        let kept;
        let text = if printable {
            norm.as_bytes()
        } else {
            kept = norm_match(input);
            kept.as_bytes()
        };
        // Words with separators between them are words with anything between them.
        *no_words = !seed::possible(text, min_words, AnyPunctuation);
        if !*no_words && seed::possible(text, min_words, Separators) {
            return false;
        }
        if printable && !self.spaced.is_empty() {
            if seed::possible(&self.spaced, min_words, Separators) {
                return false;
            }
        } else if memchr::memchr2(b'%', b'+', text).is_some()
            && seed::possible(&percent_decode_all(text), min_words, Separators)
        {
            return false;
        }
        if text.len() < MIN_PHRASE {
            return true;
        }
        let mut masks = std::mem::replace(&mut self.masks, Buffer::empty());
        let decodes_to_phrase = |piece: &[u8]| {
            let b64 = consists_of(piece, &BASE64).then(|| decode::base64(piece)).flatten().map(|d| d.bytes);
            let hex = consists_of(piece, &HEX).then(|| decode::hex(piece)).flatten();
            let b32 =
                consists_of(&piece[..piece.len().min(3)], &BASE32).then(|| decode::base32(piece)).flatten();
            [b64, hex, b32]
                .into_iter()
                .flatten()
                .any(|d| d.len() >= MIN_PHRASE && seed::possible(&d, min_words, Separators))
        };
        // Printable texts are their own normalisation: their pieces were looked at with the rules.
        let found = decodes_to_phrase(text.trim_ascii())
            || !printable
                && runs::each(text, &LINE_PIECE, MIN_ENCODED_PHRASE, &mut masks, |start, end| {
                    decodes_to_phrase(&text[start..end])
                });
        self.masks = masks;
        !found
    }
}

/// Whether any rule of either list matches a normalised text.
pub(super) fn any_rule(s: &Scanner, norm: &str) -> bool {
    s.kernel.any(&s.both_lists(), norm.as_bytes())
}
