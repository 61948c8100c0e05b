//! The fast scan: is there anything at all?
//!
//! Clean text is nearly all text, so the work goes into saying "clean" quickly and with certainty: every derived form of
//! the specification is either shown to hold nothing or searched with one pass for all rules (`kernel`). Forms are made
//! only where they differ from what was searched already, and encoded data is decoded only where a run of its alphabet
//! is long enough. When something may be there, the step-by-step scan decides what it is, with the same kernel.

use super::seed::{self, Between::Separators};
use super::{Encoding, Scanner, Validator};
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

pub(crate) use runs::end_of_run;
pub(crate) use simd::class_masks;

use kernel::Rules;
use runs::Class;

/// Bytes that a decodable piece of text consists of: both base64 alphabets, hex with its separators, percent signs.
const PIECE: Class = Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_:,\\%");
/// The same before line ends are removed: base64 and base32 ignore a CR.
const LINE_PIECE: Class =
    Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_:,\\%\r");
const BASE64: Class = Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/=\r\n");
const HEX: Class = Class::new(b"0123456789abcdefABCDEF:-, xX\\");
const BASE32: Class = Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=\r\n");

/// Shortest piece that is decoded, bytes (spec: dlp §8.6a).
const MIN_PIECE: u32 = 10;
/// Shortest text that holds a seed phrase: twelve words of three letters.
const MIN_PHRASE: usize = 47;
/// Shortest base64 of such a text.
const MIN_ENCODED_PHRASE: u32 = 60;
/// Decode steps that are undone.
const MAX_DEPTH: u32 = 3;

/// True when no scan of the specification finds anything in the text. False says nothing.
pub(super) fn is_clean(s: &Scanner, input: &[u8]) -> bool {
    let mut buffer = Vec::new();
    let norm = norm_dlp_quick(input, &mut buffer).unwrap_or(input);
    // A normalised text is UTF-8; were it not, the step-by-step scan would deal with it.
    let Ok(norm) = std::str::from_utf8(norm) else { return false };
    let mut search = Search::new(s);
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
    let percent = memchr::memchr2(b'%', b'+', bytes).is_some();
    let encoded = search.encoded(bytes, 0)
        || (percent && search.recurse(&percent_decode_all(bytes), 1))
        || search.pieces(bytes, percent);
    let phrase = encoded || s.seed.is_some_and(|settings| !search.no_phrase(input, norm, settings.min_words));
    Later { encoded, phrase, known: s.known.possible(bytes) }
}

struct Search<'s> {
    s: &'s Scanner,
    rules: Rules<'s>,
    scratch: Vec<u8>,
    masks: Vec<u64>,
    /// Decoded base64, by depth.
    decoded: [Vec<u8>; MAX_DEPTH as usize],
}

fn is_delimiter(b: u8) -> bool {
    matches!(b, b'/' | b'?' | b'&' | b'=' | b' ' | b'\n' | b'\t')
}

fn consists_of(text: &[u8], class: &Class) -> bool {
    text.iter().all(|&b| class.has(b))
}

impl<'s> Search<'s> {
    fn new(s: &'s Scanner) -> Search<'s> {
        Search {
            s,
            rules: s.both_lists(),
            scratch: Vec::new(),
            masks: Vec::new(),
            decoded: Default::default(),
        }
    }
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
        if consists_of(text, &BASE64) {
            // Most words decode to a few bytes of no meaning: a buffer that is used again, and a look at the length.
            let mut decoded = std::mem::take(&mut self.decoded[depth as usize]);
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
        (depth == 0 && self.phrase_in(decoded))
            || self.in_decoded(decoded)
            || self.recurse(decoded, depth + 1)
    }

    fn phrase_in(&self, decoded: &[u8]) -> bool {
        decoded.len() >= MIN_PHRASE
            && self.s.seed.is_some_and(|s| seed::possible(decoded, s.min_words, Separators))
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
        if seed::possible(text, min_words, Separators) {
            return false;
        }
        if memchr::memchr2(b'%', b'+', text).is_some()
            && seed::possible(&percent_decode_all(text), min_words, Separators)
        {
            return false;
        }
        if text.len() < MIN_PHRASE {
            return true;
        }
        let mut masks = std::mem::take(&mut self.masks);
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
    s.kernel.any(&s.both_lists(), norm)
}

/// A run that decodes to something of interest.
pub(super) enum Encoded<'d> {
    /// The normalised decoded text, which a rule matches.
    Rules(&'d str, Encoding),
    /// The decoded text, which may hold a seed phrase.
    Phrase(&'d [u8], Encoding),
}

/// Runs of a base64 alphabet of this length are decoded wherever they stand.
const MIN_RUN: u32 = 16;
/// Both base64 alphabets, and what counts as one run of them.
const RUN: Class = Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/");

/// Decodes every run of base64, hex or base32 letters, whatever stands around it, one level deep and from there as the
/// specification does with whole texts.
pub(super) fn encoded_runs(s: &Scanner, text: &[u8], mut found: impl FnMut(Encoded<'_>)) {
    let mut search = Search::new(s);
    let mut masks = Vec::new();
    runs::each(text, &RUN, MIN_RUN, &mut masks, |start, end| {
        search.run(&text[start..end], 0, &mut found);
        false
    });
}

impl Search<'_> {
    fn run(&mut self, run: &[u8], depth: u32, found: &mut dyn FnMut(Encoded<'_>)) {
        let take =
            |search: &mut Self, decoded: &[u8], encoded: Encoding, found: &mut dyn FnMut(Encoded<'_>)| {
                if search.phrase_in(decoded) {
                    found(Encoded::Phrase(decoded, encoded));
                }
                if search.in_decoded(decoded) {
                    found(Encoded::Rules(&crate::text::norm_dlp(decoded), encoded));
                }
                if depth + 1 < MAX_DEPTH && decoded.len() >= MIN_RUN as usize && consists_of(decoded, &RUN) {
                    search.run(decoded, depth + 1, found);
                }
            };
        // A run cut off by other text may have a length that no base64 has: the last character is then not part of it.
        let whole = &run[..run.len() - usize::from(run.len() % 4 == 1)];
        let mut decoded = std::mem::take(&mut self.decoded[depth as usize]);
        if decode::base64_into(whole, &mut decoded).is_some() {
            take(self, &decoded, Encoding::Base64, found);
        }
        self.decoded[depth as usize] = decoded;
        if run.iter().all(u8::is_ascii_hexdigit)
            && let Some(decoded) = decode::hex_plain(&run[..run.len() & !1])
        {
            take(self, &decoded, Encoding::Hex, found);
        }
        if run.iter().all(|b| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'2'..=b'7')) {
            // Without its padding, down to a length that base32 has.
            let mut upper = run.to_ascii_uppercase();
            upper.truncate(upper.len() - [0, 1, 0, 1, 0, 0, 1, 0][upper.len() % 8]);
            upper.resize(upper.len().next_multiple_of(8), b'=');
            if let Some(decoded) = decode::base32(&upper) {
                take(self, &decoded, Encoding::Base32, found);
            }
        }
    }
}

/// Whether a valid wallet key starts anywhere in a run of base58 letters; at most `most` starts are tried.
pub(super) fn keys_anywhere(text: &[u8], most: usize) -> bool {
    const BASE58: Class = Class::new(b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz");
    let mut left = most;
    runs::each(text, &BASE58, 51, &mut Vec::new(), |start, end| {
        for at in start..end - 50 {
            let len = match (text[at], text[at + 1]) {
                // Keys of the main network begin so.
                (b'5', b'H' | b'J' | b'K') => 51,
                (b'K' | b'L', _) => 52,
                _ => continue,
            };
            if left == 0 {
                return true;
            }
            left -= 1;
            let key = text.get(at..at + len).filter(|_| at + len <= end);
            if key.and_then(|k| std::str::from_utf8(k).ok()).is_some_and(|k| Validator::Wif.check(k)) {
                left = usize::MAX;
                return true;
            }
        }
        false
    }) && left == usize::MAX
}

/// Whether a valid card number stands before a separate group of up to four digits, as in number and code.
pub(super) fn cards_with_a_tail(text: &[u8]) -> bool {
    const CARD: Class = Class::new(b"0123456789 -");
    runs::each(text, &CARD, 17, &mut Vec::new(), |start, end| {
        let run = &text[start..end];
        let digit = |i: usize| run.get(i).is_some_and(u8::is_ascii_digit);
        if start > 0 && shape::is_word(text[start - 1]) && digit(0) {
            return false;
        }
        (0..run.len()).filter(|&i| digit(i) && (i == 0 || !digit(i - 1))).any(|first| {
            let mut at = first;
            let mut digits = 0;
            // Groups with single separators; a boundary after 15 to 19 digits that is followed by a short group.
            while digits < 19 {
                let group = (at..at + 20).take_while(|&i| digit(i)).count();
                if group == 0 || (digits == 0 && group < 4) {
                    return false;
                }
                digits += group;
                at += group;
                let tail = (at + 1..at + 6).take_while(|&i| digit(i)).count();
                if (15..=19).contains(&digits)
                    && (3..=4).contains(&tail)
                    && at + 1 + tail >= run.trim_ascii_end().len()
                    && std::str::from_utf8(&run[first..at]).is_ok_and(|card| Validator::Luhn.check(card))
                {
                    return true;
                }
                at += 1;
            }
            false
        })
    })
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
