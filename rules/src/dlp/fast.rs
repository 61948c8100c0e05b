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
use crate::text::{
    Again, Views, is_printable, norm_dlp_quick, norm_match_quick, parts_lines, percent_decode_all,
};

mod decoded;
mod decodings;
mod encoded;
pub(super) mod kernel;
pub(super) mod known;
mod needles;
mod overlap;
mod overview;
mod phrases;
mod pieces;
mod runs;
pub(super) mod shape;
mod simd;
#[cfg(test)]
mod tests;
mod windows;

use decoded::{Possible, Stretches};
pub use decodings::Decodings;
use decodings::decode_short;
use encoded::RUN;
pub(super) use encoded::{
    Encoded, Survey, encoded_runs, may_hold_groups, may_hold_runs, runs_at_line_ends, runs_beside_others,
};
pub(crate) use needles::Needles;
pub(super) use overlap::{cards_with_a_tail, keys_anywhere};
pub(super) use overview::Overview;
pub(crate) use runs::{Class, each as each_run, end_of_run};
pub(super) use simd::{LANES, words};
pub(crate) use simd::{
    Marks, base64, class_masks, compresses, fold, folded_entry, hex, is_utf8, printable, printable_by_words,
    translate, unescape, without, without_replacements,
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
    /// The same of the text without dots, in hardened strictness.
    pub(super) known_without_dots: bool,
}

/// A text as it was sent and normalised.
pub(super) struct Texts<'t> {
    pub(super) input: &'t [u8],
    pub(super) norm: &'t [u8],
    /// Other normalisations, where they were made together.
    pub(super) views: Option<&'t Views>,
    /// The normalised text, normalised once more.
    pub(super) again: &'t Again<'t>,
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
        let bytes = texts.norm;
        let (percent, decoded) = Percent::of(bytes, overview, self.for_silence);
        let pluses = matches!(percent, Percent::Pluses | Percent::Apart);
        let mut spaced = std::mem::replace(&mut self.spaced, Buffer::empty());
        let (plain, known, spaced_hits) = if pluses {
            space_pluses(bytes, &mut spaced);
            let places = &mut self.places;
            s.kernel.hits_and_spaced(&self.rules, bytes, &spaced, overview.plain_keys, &s.known, places)
        } else {
            let (hits, known) = s.kernel.hits_and_known(&self.rules, bytes, overview.plain_keys, &s.known);
            (hits, known, None)
        };
        if self.for_silence && plain.iter().any(|&number| self.enforces(number)) {
            self.only_phrases = true;
            return Found { forms: [plain, Hits::new(), Hits::new()], ..Found::default() };
        }
        let mut whole = false;
        let url = match percent {
            Percent::Nothing => Hits::new(),
            Percent::Pluses | Percent::Apart => {
                let told = spaced_hits.is_some();
                let hits = spaced_hits
                    .unwrap_or_else(|| s.kernel.hits_and_keys(&self.rules, &spaced, overview.plain_keys));
                if !told || !hits.is_empty() {
                    // Every piece is looked at.
                    self.places.clear();
                    self.places.extend(memchr::memchr_iter(b'+', bytes).map(|at| at as u64));
                }
                whole = self.recurse(&spaced, 1);
                hits
            }
            Percent::Escapes => decoded.map_or_else(Hits::new, |decoded| {
                whole = self.recurse(&decoded, 1);
                self.hits_in_decoded(&decoded)
            }),
        };
        self.spaced = spaced;
        let (dotless, known_without_dots) = match overview.holds_dots(bytes) {
            true => self.hits_without_dots(texts, overview),
            false => (Hits::new(), false),
        };
        let mut found = Found { forms: [plain, url, dotless], ..Found::default() };
        // The percent-decoding step of this recursion was made above. Seed phrases in the whole text are looked for below.
        let encoded = self.encoded(bytes, 0);
        found.whole = encoded || whole;
        self.only_phrases = found.forms.iter().flatten().any(|&number| self.enforces(number));
        self.pieces(bytes, percent, digits, encoded, &mut found.pieces);
        // Words may be parted by nothing but plus signs.
        let apart = percent == Percent::Apart;
        self.apart = apart && !(found.forms[1].is_empty() && !whole && found.pieces.is_empty());
        (found.known, found.known_without_dots) = (known, known_without_dots);
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

/// Makes `out` the text with a space for each `+`.
fn space_pluses(text: &[u8], out: &mut Vec<u8>) {
    static SPACED: [u8; 128] = {
        let mut spaced = [0; 128];
        let mut b = 0;
        while b < 128 {
            spaced[b] = if b == b'+' as usize { b' ' } else { b as u8 };
            b += 1;
        }
        spaced
    };
    if !translate(&SPACED, text, out) {
        out.clear();
        out.extend(text.iter().map(|&b| if b == b'+' { b' ' } else { b }));
    }
}

/// What is known of a run in each encoding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Silent {
    base64: Silence,
    hex: Silence,
    base32: Silence,
}

/// What is known of what a run decodes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Silence {
    #[default]
    Unknown,
    /// It holds neither a match nor a seed phrase, and what it decodes to as a whole holds no match.
    Itself,
    /// Nor does what is encoded in it.
    Throughout,
}

impl Silent {
    /// What is known of a run that is all of what was decoded, of which so much is known: its decodings were looked at, but not for
    /// seed phrases.
    fn within(run: &[u8], silence: Silence) -> Silent {
        let known =
            |was_decoded: bool| match was_decoded && silence == Silence::Itself && run.len() < MIN_PHRASE {
                true => Silence::Itself,
                false => Silence::Unknown,
            };
        Silent {
            base64: known(run.len() % 4 != 1),
            hex: known(run.len().is_multiple_of(2)),
            base32: known(run.len().is_multiple_of(8) && !run.iter().any(u8::is_ascii_lowercase)),
        }
    }
}

impl Silence {
    /// After it was looked at.
    fn of(possible: Possible, found: bool) -> Silence {
        match found {
            true => Silence::Unknown,
            false if possible.nested => Silence::Itself,
            false => Silence::Throughout,
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

#[inline(always)]
fn consists_of(text: &[u8], class: &Class) -> bool {
    // Most texts show at once that they do not.
    text.first().is_none_or(|&b| class.has(b)) && is_run_of(text, class)
}

fn is_run_of(text: &[u8], class: &Class) -> bool {
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
        let noise = noise || decode_short(text).is_some_and(|decoded| self.0.is_short_noise(decoded));
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

    /// And whether there may be a known secret or a canary, in hardened strictness.
    fn hits_without_dots(&mut self, texts: &Texts<'_>, overview: &Overview) -> (Hits, bool) {
        let kernel = &self.s.kernel;
        let mut joined = Buffer::new();
        without([b'.'], texts.norm, &mut joined);
        if overview.settled && !kernel.has_values() {
            return (kernel.hits_and_keys(&self.rules, &joined, overview.keys), false);
        }
        if overview.settled && self.s.canaries.is_empty() {
            return kernel.hits_and_known(&self.rules, &joined, overview.keys, &self.s.known);
        }
        let known = kernel.holds_value(&joined);
        if overview.settled {
            return (kernel.hits_and_keys(&self.rules, &joined, overview.keys), known);
        }
        if !self.possible(&joined).rule {
            return (Hits::new(), known);
        }
        let hits = match texts.again.without_dots(&mut joined) {
            true => self.s.kernel.hits(&self.rules, &joined),
            false => self.hits_in_decoded(&joined),
        };
        (hits, known)
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
        let noise = self.possible(&decoded).is_nothing();
        self.noise = decoded;
        noise
    }

    /// The base64 step of [`Search::encoded_as`] for a piece that consists of digits, of a length that base64 has, and what is then known
    /// of the run that it is.
    fn digits_step(&mut self, digits: &[u8]) -> (bool, Silence) {
        let mut decoded = std::mem::replace(&mut self.decoded[0], Buffer::empty());
        decode::base64_digits_into(digits, &mut decoded);
        let possible = self.possible(&decoded);
        let told = match possible.is_nothing() || !decode::is_one_alphabet(digits) {
            true => (false, Silence::Throughout),
            false => self.told_step(&decoded, possible, 0),
        };
        self.decoded[0] = decoded;
        told
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
        self.other_steps(text, depth).0
    }

    /// The hex and base32 steps, and what is then known of the text if it is a run.
    fn other_steps(&mut self, text: &[u8], depth: u32) -> (bool, Silent) {
        let mut silent = Silent::default();
        // What follows the padding is ignored and may be anything. Most other texts show what they are in a few characters.
        let base32 = text.iter().take(32).take_while(|&&b| b != b'=').all(|&b| BASE32.has(b));
        let hex = consists_of(text, &HEX);
        if !(hex || base32) {
            return (false, silent);
        }
        let mut decoded = std::mem::replace(&mut self.decoded[depth as usize], Buffer::empty());
        let mut found = false;
        if hex && decode::hex_into(text, &mut decoded) {
            let possible = self.possible(&decoded);
            (found, silent.hex) = self.told_step(&decoded, possible, depth);
        }
        if !found && base32 && decode::base32_into(text, &mut decoded) {
            let possible = self.possible(&decoded);
            (found, silent.base32) = self.told_step(&decoded, possible, depth);
        }
        self.decoded[depth as usize] = decoded;
        (found, silent)
    }

    fn told_step(&mut self, decoded: &[u8], possible: Possible, depth: u32) -> (bool, Silence) {
        let found = self.step_into(decoded, possible, depth);
        let holds_value = |search: &mut Self| {
            let norm = norm_dlp_quick(decoded, &mut search.scratch).unwrap_or(decoded);
            search.s.kernel.holds_value(norm)
        };
        let is_open =
            found || self.only_phrases || possible.rule && self.s.kernel.has_values() && holds_value(self);
        (found, Silence::of(possible, is_open))
    }

    fn step(&mut self, decoded: &[u8], depth: u32) -> bool {
        let possible = self.possible(decoded);
        self.step_into(decoded, possible, depth)
    }

    fn step_into(&mut self, decoded: &[u8], possible: Possible, depth: u32) -> bool {
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
        self.phrase_with(decoded, Separators)
    }

    fn punctuated_phrase_in(&self, decoded: &[u8]) -> bool {
        self.phrase_with(decoded, AnyPunctuation)
    }

    fn phrase_with(&self, decoded: &[u8], between: seed::Between) -> bool {
        decoded.len() >= MIN_PHRASE
            && self.s.seed.is_some_and(|s| seed::possible(decoded, s.min_words, between))
    }
}

/// The rules of both lists that match a normalised text; `keys` is false where it is known that it holds no wallet key.
pub(super) fn hits(s: &Scanner, norm: &[u8], keys: bool) -> Hits {
    s.kernel.hits_and_keys(&s.both_lists(), norm, keys)
}

/// The same for a text that is normalised but for its tabs and line ends, each of which stands for a space.
pub(super) fn hits_in_lines(s: &Scanner, text: &[u8], keys: bool) -> Hits {
    s.kernel.hits_in_lines(&s.both_lists(), text, keys)
}
