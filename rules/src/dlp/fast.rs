//! The fast scan: is there anything at all?
//!
//! Clean text is nearly all text, so the work goes into saying "clean" quickly and with certainty: every derived form of
//! the specification is either shown to hold nothing or searched with one pass for all rules (`kernel`). Forms are made
//! only where they differ from what was searched already, and encoded data is decoded only where a run of its alphabet
//! is long enough. When something may be there, the step-by-step scan decides what it is, with the same kernel.

use std::borrow::Cow;
use std::ops::Range;

use super::seed::{
    self,
    Between::{AnyPunctuation, Separators},
    Checks, MIN_PHRASE,
};
use super::{Encoding, Scanner, SeedSettings};
use crate::decode;
use crate::scratch::Buffer;
use crate::text::{Views, is_printable, norm_dlp_quick, norm_match_quick, percent_decode_all};

mod decoded;
mod encoded;
pub(super) mod kernel;
pub(super) mod known;
mod needles;
mod overlap;
mod overview;
mod runs;
pub(super) mod shape;
mod simd;
#[cfg(test)]
mod tests;
mod windows;

use decoded::{Possible, Stretches};
use encoded::RUN;
pub(super) use encoded::{Encoded, Survey, encoded_runs, may_hold_runs, runs_at_line_ends};
pub(crate) use needles::Needles;
pub(super) use overlap::{cards_with_a_tail, keys_anywhere};
pub(super) use overview::Overview;
pub(crate) use runs::{Class, each as each_run, end_of_run};
pub(super) use simd::{LANES, words};
pub(crate) use simd::{
    base64, class_masks, compresses, hex, printable, printable_by_words, translate, without,
    without_replacements,
};

use kernel::{Hits, Rules};

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

/// What the look at a text shows.
pub(super) struct Seen {
    /// No scan of the specification finds anything.
    pub(super) clean: bool,
    /// Looked for silence: some scan finds a match that enforces, or one of a part of the text may find something.
    pub(super) noisy: bool,
    /// There are no words of a seed phrase in a row, whatever stands between them. False says nothing.
    pub(super) no_words: bool,
    /// What was spent on checks of word sequences that are no phrase.
    pub(super) checks_spent: u32,
    /// Where there is something to be found.
    pub(super) found: Found,
}

/// Where the passes of the specification have to look. Nothing and false are certain.
#[derive(Default)]
pub(super) struct Found {
    /// Numbers of the rules that match: the text, the text percent-decoded, the text without dots.
    pub(super) forms: [Hits; 3],
    /// Something may be found by undoing decode steps on the whole text.
    pub(super) whole: bool,
    /// Pieces between delimiters that may lead to a match, in order. Not looked for where an enforcing rule matches: then
    /// pieces are not decoded.
    pub(super) pieces: Vec<Range<usize>>,
    /// There may be a seed phrase.
    pub(super) phrase: bool,
    /// There may be a known secret.
    pub(super) known: bool,
}

/// A text as it was sent and normalised.
pub(super) struct Texts<'t> {
    pub(super) input: &'t [u8],
    pub(super) norm: &'t str,
    /// Other normalisations, where they were made together.
    pub(super) views: Option<&'t Views>,
}

/// Looks what there is. `for_silence`: not further than to a match that enforces, but also at what plus signs become in parts of
/// the text that are decoded by themselves, where a malformed escape elsewhere keeps the text from being decoded.
pub(super) fn look(
    s: &Scanner,
    texts: &Texts<'_>,
    digits: &Survey<'_>,
    overview: &Overview,
    for_silence: bool,
) -> Seen {
    let mut no_words = false;
    let mut search = Search::new(s);
    search.for_silence = for_silence;
    let found = search.look(texts, digits, overview, &mut no_words);
    let clean = s.canaries.is_empty()
        && found.forms.iter().all(Vec::is_empty)
        && found.pieces.is_empty()
        && !(found.whole || found.phrase || found.known);
    let noisy = search.only_phrases || search.apart;
    Seen { clean, noisy, no_words, checks_spent: search.checks_spent, found }
}

impl Search<'_> {
    fn look(
        &mut self,
        texts: &Texts<'_>,
        digits: &Survey<'_>,
        overview: &Overview,
        no_words: &mut bool,
    ) -> Found {
        let s = self.s;
        let bytes = texts.norm.as_bytes();
        let (plain, known) = s.kernel.hits_and_known(&self.rules, bytes, overview.plain_keys, &s.known);
        if self.for_silence && plain.iter().any(|&number| self.enforces(number)) {
            self.only_phrases = true;
            return Found { forms: [plain, Hits::new(), Hits::new()], ..Found::default() };
        }
        let (percent, decoded) = Percent::of(bytes, overview, self.for_silence);
        let mut whole = false;
        let url = match percent {
            Percent::Nothing => Hits::new(),
            Percent::Pluses | Percent::Apart => {
                self.spaced.clear();
                self.spaced.extend(bytes.iter().map(|&b| if b == b'+' { b' ' } else { b }));
                let spaced = std::mem::replace(&mut self.spaced, Buffer::empty());
                let hits = s.kernel.spaced_hits(&self.rules, &spaced, &plain, &mut self.places);
                let told = hits.is_some();
                let hits =
                    hits.unwrap_or_else(|| s.kernel.hits_and_keys(&self.rules, &spaced, overview.plain_keys));
                if !told || !hits.is_empty() {
                    // Every piece is looked at.
                    self.places.clear();
                    self.places.extend(memchr::memchr_iter(b'+', bytes).map(|at| at as u64));
                }
                whole = self.recurse(&spaced, 1);
                self.spaced = spaced;
                hits
            }
            Percent::Escapes => decoded.map_or_else(Hits::new, |decoded| {
                whole = self.recurse(&decoded, 1);
                self.hits_in_decoded(&decoded)
            }),
        };
        let dotless = match overview.holds_dots(bytes) {
            true => self.hits_without_dots(bytes, overview),
            false => Hits::new(),
        };
        let mut found = Found { forms: [plain, url, dotless], ..Found::default() };
        // The percent-decoding step of this recursion was made above. Seed phrases in the whole text are looked for below.
        found.whole = self.encoded(bytes, 0) || whole;
        self.only_phrases = found.forms.iter().flatten().any(|&number| self.enforces(number));
        self.pieces(bytes, percent, digits, &mut found.pieces);
        // Words may be parted by nothing but plus signs.
        let apart = percent == Percent::Apart;
        self.apart = apart && !(found.forms[1].is_empty() && !whole && found.pieces.is_empty());
        found.known = known;
        found.phrase = self.saw_phrase
            || s.seed.is_some_and(|settings| !self.no_phrase(texts, overview, settings, no_words));
        self.apart |= apart && s.seed.is_some() && !*no_words;
        found
    }

    /// Whether a rule certainly enforces where it matches.
    fn enforces(&self, number: u16) -> bool {
        let rule = usize::from(number)
            .checked_sub(self.s.kernel.core_rules())
            .map(|number| &self.s.main.rules[number]);
        rule.is_some_and(|rule| !rule.spec().warn && !rule.may_be_gated_wrongly())
    }
}

/// What percent-decoding changes in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Percent {
    /// Nothing.
    Nothing,
    /// Each `+` becomes a space and nothing else changes, in the text and in every piece of it.
    Pluses,
    /// Nothing in the text, but each `+` in parts of it; pieces may change in any way.
    Apart,
    /// Anything.
    Escapes,
}

impl Percent {
    /// With the text decoded, where it holds escapes and that changes it.
    fn of(norm: &[u8], overview: &Overview, for_silence: bool) -> (Percent, Option<Vec<u8>>) {
        let pluses = overview.holds_pluses(norm);
        match overview.holds_percents(norm) {
            false if !pluses => return (Percent::Nothing, None),
            false if overview.ascii || norm.is_ascii() => return (Percent::Pluses, None),
            _ => {}
        }
        match percent_decode_all(norm) {
            Cow::Owned(decoded) if decoded != norm => (Percent::Escapes, Some(decoded)),
            _ if for_silence && pluses && overview.ascii => (Percent::Apart, None),
            _ => (Percent::Escapes, None),
        }
    }
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
    /// Decoded base64 that is looked at once.
    noise: Buffer<u8>,
    stretches: Stretches,
    /// The text with spaces in place of each `+`, where that is all that percent-decoding does.
    spaced: Buffer<u8>,
    /// Where a rule may match in a piece of that text.
    places: Buffer<u64>,
    /// Only seed phrases are looked for in pieces.
    only_phrases: bool,
    /// What there is beside a match that enforces does not matter, but what is in parts of the text does.
    for_silence: bool,
    /// Something may be found in one of these.
    apart: bool,
    /// Something decoded may hold a seed phrase.
    saw_phrase: bool,
    /// On word sequences that are no phrase.
    checks_spent: u32,
}

fn is_delimiter(b: u8) -> bool {
    matches!(b, b'/' | b'?' | b'&' | b'=' | b' ' | b'\n' | b'\t')
}

/// The piece between delimiters that holds a byte, which is not one.
fn piece_around(text: &[u8], at: usize) -> Range<usize> {
    let start = text[..at].iter().rposition(|&b| is_delimiter(b)).map_or(0, |before| before + 1);
    let end = text[at..].iter().position(|&b| is_delimiter(b)).map_or(text.len(), |length| at + length);
    start..end
}

/// Whether percent-decoding may change more than plus signs: the first `%` is followed by two hex digits.
fn begins_an_escape(text: &[u8]) -> bool {
    memchr::memchr(b'%', text).is_some_and(|at| {
        text.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Whether there is a `%` with two hex digits.
fn holds_an_escape(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text).any(|at| begins_an_escape(&text[at..]))
}

/// Whether a text is, as far as its characters tell, a piece that is decoded between delimiters.
pub(super) fn is_piece(text: &[u8]) -> bool {
    consists_of(text, &PIECE)
}

fn consists_of(text: &[u8], class: &Class) -> bool {
    // Most texts show at once that they do not.
    let (head, rest) = text.split_at(text.len().min(64));
    head.iter().all(|&b| class.has(b))
        && (rest.is_empty() || {
            let mut masks = Buffer::new();
            class_masks(&class.low, &class.high, rest, &mut masks);
            end_of_run(&masks, 0) >= rest.len()
        })
}

/// A look at what is decoded of a text otherwise than between delimiters.
pub(super) struct Whole<'s>(Search<'s>);

impl<'s> Whole<'s> {
    pub(super) fn new(s: &'s Scanner) -> Self {
        Self(Search::new(s))
    }

    /// Whether the text, which is its own normalisation and holds no `%`, decodes as a whole to something that a rule
    /// matches, or that may hold a seed phrase. `noise`: it [`Whole::is_noise`].
    pub(super) fn decodes_to_a_match(&mut self, text: &[u8], noise: bool) -> bool {
        // No other decoder takes the spaces that plus signs stand for.
        let spaced = || memchr::memchr(b'+', text).is_some() && text.iter().all(|&b| b == b'+' || HEX.has(b));
        let noise = noise || decode_short(text).is_some_and(|decoded| self.0.is_short_noise(&decoded));
        text.len() >= 2 && self.0.encoded_as(text, 0, !noise && consists_of(text, &BASE64))
            || spaced() && self.0.recurse(&percent_decode_all(text), 1)
    }

    /// Whether a text consists of base64 digits, and padding at most, that decode to nothing: true is certain.
    pub(super) fn is_noise(&mut self, text: &[u8]) -> bool {
        let padding = text.iter().rev().take(2).take_while(|&&b| b == b'=').count();
        let digits = &text[..text.len() - padding];
        consists_of(digits, &RUN) && self.0.is_noise(digits)
    }

    /// Whether something is in the runs of encoded text around some positions of a normalised text. `noise`: it
    /// [`Whole::is_noise`].
    pub(super) fn encoded_around(&mut self, text: &[u8], places: [usize; 2], noise: bool) -> bool {
        let mut masks = Buffer::new();
        class_masks(&RUN.low, &RUN.high, text, &mut masks);
        let mut done = 0;
        places.into_iter().any(|at| {
            if at < done || at >= text.len() || !is_run(text[at]) {
                return false;
            }
            done = end_of_run(&masks, at).min(text.len());
            self.0.encoded_run(&text[runs::start_of_run(&masks, at)..done], noise)
        })
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
            noise: Buffer::new(),
            stretches: Stretches::new(),
            spaced: Buffer::new(),
            places: Buffer::new(),
            only_phrases: false,
            for_silence: false,
            apart: false,
            saw_phrase: false,
            checks_spent: 0,
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
        Possible {
            rule,
            phrase: decoded.len() >= MIN_PHRASE,
            encoded: rule,
            nested: decoded.len() >= encoded::MIN_RUN as usize,
        }
    }

    /// Whether a rule matches the text after another normalisation.
    fn in_decoded(&mut self, decoded: &[u8]) -> bool {
        self.possible(decoded).rule && self.in_normalised(decoded)
    }

    fn in_normalised(&mut self, decoded: &[u8]) -> bool {
        let norm = norm_dlp_quick(decoded, &mut self.scratch).unwrap_or(decoded);
        self.s.kernel.any(&self.rules, norm)
    }

    /// The rules that match the text after another normalisation.
    fn hits_in_decoded(&mut self, decoded: &[u8]) -> Hits {
        if !self.possible(decoded).rule {
            return Hits::new();
        }
        let norm = norm_dlp_quick(decoded, &mut self.scratch).unwrap_or(decoded);
        self.s.kernel.hits(&self.rules, norm)
    }

    fn hits_without_dots(&mut self, norm: &[u8], overview: &Overview) -> Hits {
        let mut joined = Buffer::new();
        without(b'.', norm, &mut joined);
        match overview.settled {
            true => self.s.kernel.hits_and_keys(&self.rules, &joined, overview.keys),
            false => self.hits_in_decoded(&joined),
        }
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

    /// Whether what base64 digits decode to holds nothing, neither a match nor what can be decoded again: true is certain.
    fn is_noise(&mut self, digits: &[u8]) -> bool {
        let mut decoded = std::mem::replace(&mut self.noise, Buffer::empty());
        decode::base64_digits_into(digits, &mut decoded);
        let Possible { rule, phrase, encoded, nested } = self.possible(&decoded);
        let noise = !(rule || phrase || encoded || nested);
        self.noise = decoded;
        noise
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
        if depth == 0 && possible.phrase && self.phrase_in(decoded) {
            self.saw_phrase = true;
            return true;
        }
        if self.only_phrases {
            return false;
        }
        if possible.rule && self.in_normalised(decoded) {
            return true;
        }
        (possible.encoded || begins_an_escape(decoded)) && self.recurse(decoded, depth + 1)
    }

    fn phrase_in(&self, decoded: &[u8]) -> bool {
        decoded.len() >= MIN_PHRASE
            && self.s.seed.is_some_and(|s| seed::possible(decoded, s.min_words, Separators))
    }

    /// The pieces between delimiters that lead to a match (spec: dlp §8.6a).
    fn pieces(&mut self, norm: &[u8], percent: Percent, survey: &Survey<'_>, found: &mut Vec<Range<usize>>) {
        let complete = |start: usize, end: usize| {
            (start == 0 || is_delimiter(norm[start - 1])) && norm.get(end).is_none_or(|&b| is_delimiter(b))
        };
        let mut masks = std::mem::replace(&mut self.masks, Buffer::empty());
        let spaced = std::mem::replace(&mut self.spaced, Buffer::empty());
        let only_phrases = self.only_phrases;
        let percent = if only_phrases { Percent::Nothing } else { percent };
        class_masks(&PIECE.low, &PIECE.high, norm, &mut masks);
        let is_spaced_hex = |piece: Range<usize>| consists_of(&spaced[piece], &HEX);
        let mut look = |start: usize, end: usize| {
            if !complete(start, end) {
                return false;
            }
            let piece = &norm[start..end];
            let base64 = survey.all_digits(start, end)
                && survey.base64(start, end)
                && piece.len() % 4 != 1
                && !self.is_noise(piece);
            let leads = self.encoded_as(piece, 0, base64)
                || match percent {
                    Percent::Nothing => false,
                    _ if !survey.percent(start, end) => false,
                    // Rules were searched in the whole text, and no other decoder takes spaces.
                    Percent::Pluses => is_spaced_hex(start..end) && self.recurse(&spaced[start..end], 1),
                    Percent::Escapes => self.percent_step(piece),
                    Percent::Apart => {
                        is_spaced_hex(start..end) && self.recurse(&spaced[start..end], 1)
                            || self.percent_step(piece)
                    }
                };
            if leads {
                found.push(start..end);
            }
            leads && only_phrases
        };
        // Twice, so that each is a loop for runs of one length.
        if only_phrases {
            runs::each_in(&masks, MIN_ENCODED_PHRASE, look);
        } else {
            runs::each_in(&masks, MIN_PIECE, &mut look);
        }
        self.masks = masks;
        let in_order = found.len();
        match percent {
            Percent::Nothing => {}
            Percent::Pluses => self.rule_in_pieces(norm, &spaced, found),
            Percent::Escapes => self.other_pieces(norm, found),
            Percent::Apart => {
                self.rule_in_pieces(norm, &spaced, found);
                self.other_pieces(norm, found);
            }
        }
        if found.len() > in_order {
            found.sort_unstable_by_key(|piece| piece.start);
            found.dedup();
        }
        self.spaced = spaced;
    }

    fn percent_step(&mut self, text: &[u8]) -> bool {
        let decoded = percent_decode_all(text);
        *decoded != *text && (self.in_decoded(&decoded) || self.recurse(&decoded, 1))
    }

    /// Pieces with a `+` in which rules may match although they do not match in the whole text.
    fn rule_in_pieces(&mut self, norm: &[u8], spaced: &[u8], found: &mut Vec<Range<usize>>) {
        let places = std::mem::replace(&mut self.places, Buffer::empty());
        let mut done = 0;
        for at in places.iter().map(|&at| at as usize) {
            if at < done {
                continue;
            }
            let piece = piece_around(norm, at);
            done = piece.end;
            if piece.len() >= MIN_PIECE as usize
                && memchr::memchr(b'+', &norm[piece.clone()]).is_some()
                && self.in_decoded(&spaced[piece.clone()])
            {
                found.push(piece);
            }
        }
        self.places = places;
    }

    /// Pieces with other characters change by percent-decoding alone.
    fn other_pieces(&mut self, norm: &[u8], found: &mut Vec<Range<usize>>) {
        let mut at = 0;
        while let Some(next) = memchr::memchr2(b'%', b'+', &norm[at..]) {
            let range = piece_around(norm, at + next);
            at = range.end;
            let piece = &norm[range.clone()];
            if piece.len() >= MIN_PIECE as usize && !consists_of(piece, &PIECE) && self.percent_step(piece) {
                found.push(range);
            }
        }
    }

    /// True when no candidate of the seed detector holds a phrase (spec: dlp §10). Whole texts and pieces that decode
    /// were looked at together with the rules; here is what differs because line ends are kept.
    fn no_phrase(
        &mut self,
        &Texts { input, norm, views }: &Texts<'_>,
        overview: &Overview,
        settings: SeedSettings,
        no_words: &mut bool,
    ) -> bool {
        let min_words = settings.min_words;
        let mut kept = Buffer::new();
        let kept = views.map(|views| views.for_phrases(&mut kept));
        *no_words = match kept {
            Some(kept) => !seed::possible(kept, min_words, AnyPunctuation),
            None => !overview.may_hold_words(input, min_words),
        };
        // A space for each plus sign makes no words. Percent signs come out of both normalisations alike.
        let escapes = overview.holds_percents(norm.as_bytes());
        let whole = overview.pieces || may_decode(input);
        if *no_words && !escapes && !whole {
            return true;
        }
        let mut buffer = Buffer::new();
        let text = match kept {
            _ if overview.keeps_lines() => input,
            Some(kept) => kept,
            None => norm_match_quick(input, &mut buffer).unwrap_or(input),
        };
        let mut checks = Checks::of(self.s.strictness);
        // In a few megabytes of prose there are enough words in a row by chance.
        let mut holds = |text: &[u8]| {
            seed::possible(text, min_words, Separators)
                && (seed::holds_disguised_letter(text) || seed::detect_in_rows(text, settings, &mut checks))
        };
        // Words with separators between them are words with anything between them.
        if !*no_words && holds(text) {
            return false;
        }
        if (escapes || !*no_words)
            && let Cow::Owned(decoded) = percent_decode_all(text)
            && holds(&decoded)
        {
            return false;
        }
        self.checks_spent = checks.spent();
        if text.len() < MIN_PHRASE {
            return true;
        }
        let mut masks = std::mem::replace(&mut self.masks, Buffer::empty());
        let mut decoded = std::mem::replace(&mut self.noise, Buffer::empty());
        let mut decodes_to_phrase = |piece: &[u8]| {
            let holds = |d: &[u8]| d.len() >= MIN_PHRASE && seed::possible(d, min_words, Separators);
            let hex = || consists_of(piece, &HEX).then(|| decode::hex(piece)).flatten();
            let b32 = || {
                consists_of(&piece[..piece.len().min(3)], &BASE32).then(|| decode::base32(piece)).flatten()
            };
            (consists_of(piece, &BASE64)
                && decode::base64_into(piece, &mut decoded).is_some()
                && holds(&decoded))
                || hex().is_some_and(|d| holds(&d))
                || b32().is_some_and(|d| holds(&d))
        };
        // What the normalisation for rules leaves as it is was looked at with them: all of a printable text and, in one that
        // holds nothing but line ends and tabs beside, the pieces that do not touch one.
        let (printable, kept) = (overview.is_printable(), overview.keeps_lines());
        let trimmed = text.trim_ascii();
        let is_line = |at: usize| text.get(at).is_some_and(|b| matches!(b, b'\t' | b'\n' | b'\r'));
        let is_end = |at: usize| text.get(at).is_none_or(|&b| is_delimiter(b));
        let found = !(printable && trimmed.len() == text.len()) && decodes_to_phrase(trimmed)
            || !printable
                && overview.pieces
                && runs::each(text, &LINE_PIECE, MIN_ENCODED_PHRASE, &mut masks, |start, end| {
                    let before = start.wrapping_sub(1);
                    let changes = !kept
                        || is_end(before)
                            && is_end(end)
                            && (is_line(before)
                                || is_line(end)
                                || memchr::memchr(b'\r', &text[start..end]).is_some());
                    changes && decodes_to_phrase(&text[start..end])
                });
        self.masks = masks;
        self.noise = decoded;
        !found
    }
}

/// Whether a text, normalised for seed phrases, may be base64, hex or base32 as a whole. The normalisation leaves what stands
/// before the first character that it changes, and the white space that is no part of such a text is at its ends.
fn may_decode(input: &[u8]) -> bool {
    let head = &input[..input.len().min(256)];
    let kept =
        head.iter().position(|b| !matches!(b, b' '..=b'~' | b'\t' | b'\n' | b'\r')).unwrap_or(head.len());
    let head = head[..kept].trim_ascii();
    let all = |class: &Class| head.iter().all(|&b| class.has(b));
    all(&BASE64) || all(&HEX) || head.iter().take(3).all(|&b| BASE32.has(b))
}

/// The rules of both lists that match a normalised text; `keys` is false where it is known that it holds no wallet key.
pub(super) fn hits(s: &Scanner, norm: &[u8], keys: bool) -> Hits {
    s.kernel.hits_and_keys(&s.both_lists(), norm, keys)
}

/// The same for a text that is normalised but for its tabs and line ends, each of which stands for a space.
pub(super) fn hits_in_lines(s: &Scanner, text: &[u8], keys: bool) -> Hits {
    s.kernel.hits_in_lines(&s.both_lists(), text, keys)
}

/// Whether undoing up to three encodings of whole texts may lead to a match of a rule or to a seed phrase: false is certain.
/// The texts are decoded as they are, one after the other.
pub struct Decodings<'s>(Search<'s>);

impl<'s> Decodings<'s> {
    pub(super) fn new(s: &'s Scanner) -> Self {
        Decodings(Search::new(s))
    }

    /// Asks it of one text.
    pub fn may_hold(&mut self, text: &[u8]) -> bool {
        let is_noise = decode_short(text).is_some_and(|d| self.0.is_short_noise(&d));
        let base64 = !is_noise && consists_of(text, &BASE64);
        text.len() >= 2 && self.0.encoded_as(text, 0, base64)
    }
}

/// Up to 13 base64 digits decoded: up to nine bytes, with zeros after them. `None` for any other text.
fn decode_short(text: &[u8]) -> Option<[u8; 9]> {
    if !(1..14).contains(&text.len()) {
        return None;
    }
    let mut bits = 0u128;
    for &b in text {
        bits = bits << 6 | u128::from(decode::base64_value(b)?);
    }
    let mut decoded = [0; 9];
    let length = text.len() * 6 / 8;
    let bytes = (bits << (128 - 6 * text.len())).to_be_bytes();
    decoded[..length].copy_from_slice(&bytes[..length]);
    Some(decoded)
}

impl Search<'_> {
    /// Whether nine bytes, fewer than any match has characters, are too few even if some become several characters, and are
    /// not encoded themselves.
    fn is_short_noise(&self, decoded: &[u8; 9]) -> bool {
        const HIGH: u128 = 0x80_8080_8080_8080_8080 << 56;
        let mut padded = [0; 16];
        padded[..9].copy_from_slice(decoded);
        let bytes = u128::from_be_bytes(padded);
        let (high, second) = (bytes & HIGH, bytes << 1 & HIGH);
        // No byte that begins a character stands before one that goes on with it.
        if high & second & (high & !second) << 8 == 0 {
            return high != 0 && decoded.len() < self.s.kernel.min_chars();
        }
        let follows = |at: usize| decoded.get(at).is_some_and(|b| b & 0xC0 == 0x80);
        let most = (0..9).map(|at| match decoded[at] {
            0xC2..=0xDF if follows(at + 1) => 3,
            0xE0..=0xF4 if follows(at + 1) && follows(at + 2) => 18,
            _ => 1,
        });
        !decoded.is_ascii() && most.sum::<usize>() < self.s.kernel.min_chars()
    }
}

impl std::fmt::Debug for Decodings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decodings(..)")
    }
}
