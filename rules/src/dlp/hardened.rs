//! What hardened strictness finds beyond the reference (spec: dlp §16).
//!
//! Each difference is another view of the text, searched with the same rules: what it adds is only ever stricter, is
//! named by its id, and has an entry in the list of differences. On clean text a view that does not differ from what was
//! searched already is never made. D-100 and D-101 change the step-by-step scan itself and live there.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use super::blocks::Noise;
use super::fast::{self, Encoded, Overview, Survey};
use super::validate::SHORTEST_CARD;
use super::{
    ENV_LEAK, EXPANDING, Encoding, FILE_LEAK, Match, RuleList, SEED_PHRASE, Scanner, Secrets, TextResult,
    Validator, derived, seed,
};
use crate::scratch::Buffer;
use crate::text::{self, Again, Views, is_unseen};

/// A rule is evaluated although the reference's literal gate, wrongly derived, rules it out (Oddity 1).
pub(super) const GATE: &str = "D-100";
/// A rule that only warns does not hide an enforcing one (Oddities 4 and 7).
pub(super) const WARN_MASKS: &str = "D-101";
/// Encoded runs are decoded wherever they stand, base32 also unpadded or in lower case (Oddities 2, 6 and 14).
const ENCODED_RUNS: &str = "D-102";
/// Tab and line ends separate words (Oddity 2).
const LINES: &str = "D-103";
/// Normalisation is repeated until it settles, and leaves no invisible character (Oddities 9 and 10).
const SETTLED: &str = "D-104";
/// A malformed escape does not disable percent-decoding, and `+` may be itself (Oddity 12).
const LENIENT_PERCENT: &str = "D-105";
/// A number that fails its check does not hide one that passes (Oddity 16).
const OVERLAPPING: &str = "D-106";
/// Known secrets are also found unnormalised, normalised and percent-encoded (Oddity 15).
const KNOWN_FORMS: &str = "D-107";
/// A canary without its separators is found alone (Oddity 20).
const BARE_CANARY: &str = "D-108";
/// Seed phrases may be quoted, numbered or punctuated (Oddity 21); a text of hundreds of word sequences whose checksums all
/// fail counts as one.
pub(super) const PUNCTUATED_SEED: &str = "D-109";
/// Rules with letters that normalisation removes also see the text as it was written (Oddity 11).
const UNNORMALISED: &str = "D-110";
/// A long text that is made to grow when it is normalised is a finding by itself: to search it would cost many times a search
/// of ordinary text.
const GROWING: &str = "D-111";
/// Tag characters are read as the letters that they stand for.
const TAGS: &str = "D-112";
/// Escapes of programming languages are read as the characters that they stand for.
const ESCAPES: &str = "D-113";
/// Hex digits in groups are read as the bytes that they stand for.
const GROUPS: &str = "D-114";
/// Numbers in a row are read as the characters whose codes they are.
const CODES: &str = "D-115";

/// Rounds after which a normalisation is taken as settled.
const MAX_ROUNDS: usize = 4;
/// Texts from this length on must not grow to more than so many times their length.
const MIN_GROWING: usize = 16 << 10;
const MAX_GROWTH: usize = 5;
/// Starts of wallet keys that are tried in one text.
pub(super) const MAX_KEYS: usize = 2048;

/// What is known of a text.
pub(super) struct Looked<'t> {
    /// The digits of the normalised text.
    pub(super) digits: &'t Survey<'t>,
    pub(super) overview: &'t Overview,
    pub(super) views: Option<&'t Views>,
    /// The normalised text, normalised once more.
    pub(super) again: &'t Again<'t>,
    /// There are no words of a seed phrase in a row, whatever stands between them. False says nothing.
    pub(super) no_words: bool,
    /// No known secret is in the normalised text. False says nothing.
    pub(super) no_secret: bool,
    /// There may be a known secret in it without dots.
    pub(super) secret_without_dots: bool,
    /// Of a block of a longer text, where other rounds of decoding may be made: what depends on the whole of it.
    pub(super) part: Option<&'t Cell<u32>>,
    /// Notes runs at line ends.
    pub(super) noise: Option<&'t Noise>,
}

/// Adds what the differences find. `norm` is the normalised input. False when a bound ended a search before its end.
pub(super) fn add(
    s: &Scanner,
    input: &[u8],
    norm: &[u8],
    looked: &Looked<'_>,
    result: &mut TextResult,
) -> bool {
    let overview = looked.overview;
    let _scan = derived::Scan::of(input.len());
    let mut extra = Extra { s, result, checks: seed::Checks::limited() };
    extra.encoded_runs(norm, looked.digits);
    let mut in_rows = overview.lines && extra.lines(input, looked);
    if !overview.keeps_lines() {
        fast::runs_beside_others(s, input, looked.part.is_some(), |found| extra.encoded(found));
    }
    if !overview.ascii {
        extra.settled(input, norm, looked);
        extra.unnormalised(input);
    }
    let percents = overview.holds_percents(norm);
    let lenient = match percents {
        true => text::percent_decode_lenient(norm, MAX_ROUNDS),
        false => norm.into(),
    };
    if let Cow::Owned(lenient) = &lenient {
        extra.lenient_percent(norm, lenient, looked.part.is_some());
        extra.escapes(lenient);
        extra.seeds(lenient);
    }
    if percents {
        extra.percent_escapes(&lenient);
    }
    let mut complete = extra.overlapping(norm, overview.plain_keys, &looked.digits.cards);
    if !overview.ascii {
        // A block may cut what they spell.
        complete &= !(extra.tags(input) && looked.part.is_some());
    }
    extra.escapes(input);
    if looked.digits.holds_groups() {
        in_rows |= extra.groups(looked.digits);
    }
    if looked.digits.holds_codes() {
        in_rows |= extra.codes(looked.digits);
    }
    // A text that was joined with it, or cut off, may lengthen a row, and so hide what is in it.
    complete &= !in_rows;
    // The text as it was sent holds no more of a secret that no normalisation changes.
    let no_other = overview.is_printable() || looked.no_secret && s.known.is_kept();
    let searched = (!no_other).then_some(input).filter(|&input| input != norm);
    let lenient = match &lenient {
        Cow::Borrowed(_) => (percents && !looked.no_secret).then_some(norm),
        Cow::Owned(lenient) => Some(&**lenient),
    };
    extra.known_secrets(searched.into_iter().chain(lenient).collect(), norm);
    if looked.secret_without_dots {
        let mut joined = Buffer::new();
        fast::without([b'.'], norm, &mut joined);
        extra.literals(&text::lossy(&joined), Encoding::Subdomain, KNOWN_FORMS);
    }
    extra.canaries(norm);
    if !looked.no_words {
        extra.seeds(input);
    }
    if let Some(spent) = looked.part {
        spent.set(spent.get().saturating_add(extra.checks.spent()));
    }
    complete
}

/// Whether a card number stands between two tabs or line ends, with or without its dots.
fn matches_in_a_line(rule: &super::Rule, input: &[u8]) -> bool {
    let lines = input.split(|&b| text::parts_lines(b));
    // Digits may be disguised.
    let is_long = |line: &&[u8]| line.len() >= SHORTEST_CARD;
    lines.filter(is_long).any(|line| {
        let norm = text::norm_dlp(line);
        let matches = |text: &str| {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            digits >= SHORTEST_CARD && rule.matches(text)
        };
        matches(&norm) || text::without_dots(&norm).is_some_and(|joined| matches(&joined))
    })
}

/// What is found in a text for its growth alone. Whole words in one character, as U+FDFA, make nearly half of such a text.
/// Of a `part` less is asked, since it shares text with others.
pub(super) fn expanding(text: &[u8], norm: &[u8], part: bool) -> Option<Match> {
    let most = MAX_GROWTH - usize::from(part);
    let grows = text.len() >= MIN_GROWING && norm.len() / most > text.len();
    grows.then(|| Match { difference: Some(GROWING), ..Match::special(EXPANDING, Encoding::Plain) })
}

/// A normalised text, normalised until it stays. It holds no character without a glyph where it is given `again`; else those go
/// first.
fn settle(norm: &[u8], settled: bool, again: Option<&Again<'_>>) -> Buffer<u8> {
    let (mut current, mut next) = (Buffer::new(), Buffer::new());
    let mut rounds = if settled { 0 } else { MAX_ROUNDS };
    match again {
        None => text::without_unseen(norm, &mut current),
        Some(_) if settled => current.extend_from_slice(norm),
        Some(again) => {
            let (again, noted) = again.get();
            current.extend_from_slice(again);
            rounds = if noted.settled || *again == *norm { 0 } else { rounds - 1 };
        }
    }
    for _ in 0..rounds {
        let noted = text::norm_dlp_noting(&current, &mut next);
        let stays = *next == *current;
        std::mem::swap(&mut *current, &mut *next);
        if stays || noted.settled {
            break;
        }
    }
    current
}

struct Extra<'s, 'r> {
    s: &'s Scanner,
    result: &'r mut TextResult,
    checks: seed::Checks,
}

impl Extra<'_, '_> {
    fn push(&mut self, m: Match, id: &'static str) {
        let list = if m.warn { &mut self.result.informational } else { &mut self.result.matches };
        if !list.iter().any(|have| have.name == m.name) {
            list.push(Match { difference: Some(id), ..m });
        }
    }

    /// Runs both rule lists on a normalised view.
    fn view(&mut self, view: &[u8], encoded: Encoding, id: &'static str) {
        let hits = fast::hits(self.s, view, true);
        let text = || std::str::from_utf8(view).ok().map(Cow::from);
        self.matching(&hits, &text, encoded, id, |_| true);
    }

    /// Takes those that `takes` wants of the rules that match a view.
    fn matching<'v>(
        &mut self,
        hits: &[u16],
        view: &dyn Fn() -> Option<Cow<'v, str>>,
        encoded: Encoding,
        id: &'static str,
        takes: impl Fn(&super::Rule) -> bool,
    ) {
        if hits.is_empty() {
            return;
        }
        for list in [RuleList::Core, RuleList::Main] {
            let mut found = Vec::new();
            self.s.for_each_of(list, hits, view, |rule, _| {
                if takes(rule) {
                    found.push(rule.to_match(encoded));
                }
                false
            });
            found.into_iter().for_each(|m| self.push(m, id));
        }
    }

    fn encoded_runs(&mut self, text: &[u8], digits: &Survey<'_>) {
        let s = self.s;
        fast::encoded_runs(s, text, digits, |found| self.encoded(found));
    }

    fn encoded(&mut self, found: Encoded<'_>) {
        match found {
            Encoded::Rules(norm, encoded) => {
                self.view(norm.as_bytes(), encoded, ENCODED_RUNS);
                self.literals(norm, encoded, ENCODED_RUNS);
            }
            Encoded::Phrase(decoded, encoded) => self.phrase(&text::lossy(decoded), encoded, ENCODED_RUNS),
        }
    }

    fn all_encoded_runs(&mut self, text: &[u8]) {
        let digits = Survey::new(text);
        self.encoded_runs(text, &digits);
    }

    /// Every tab and line end is a space. Rules that look for the start or end of the text are left out: what stands at
    /// the start of a line is ordinary there. Whether there are hex digits in groups.
    fn lines(&mut self, input: &[u8], looked: &Looked<'_>) -> bool {
        let overview = looked.overview;
        let (mut spaced, mut buffer, mut joined) = (Buffer::new(), Buffer::new(), Buffer::new());
        let norm = match looked.views {
            Some(views) => views.for_rules_with_lines(&mut buffer),
            None if overview.keeps_lines() => input,
            None => {
                spaced.extend(text::lines_spaced(input));
                text::norm_dlp_quick(&spaced, &mut buffer).unwrap_or(&spaced)
            }
        };
        // Other characters may be normalised in another way beside a space.
        let keys = if overview.keeps_lines() { overview.plain_keys } else { overview.keys };
        self.view_of_lines(input, norm, keys, Encoding::Plain);
        if overview.holds_dots(norm) {
            fast::without([b'.'], norm, &mut joined);
            self.view_of_lines(input, &joined, overview.keys, Encoding::Subdomain);
        }
        let s = self.s;
        let note = |run| looked.noise.into_iter().for_each(|noise| noise.add(Range::clone(&run)));
        if !fast::runs_at_line_ends(s, input, overview, note, |found| self.encoded(found)) {
            self.all_encoded_runs(norm);
        }
        let (groups, codes) = (looked.digits.holds_groups(), looked.digits.may_hold_codes_in_lines());
        if !(groups || codes) {
            return false;
        }
        let digits = Survey::new(norm);
        // Where line ends are removed, they are the digits of one number.
        let mut in_rows = codes && digits.holds_codes() && self.codes(&digits);
        if groups {
            in_rows |= self.groups(&digits);
            text::each_dump(input, |bytes| {
                in_rows = true;
                self.bytes_of_hex(bytes);
            });
        }
        in_rows
    }

    /// What a decoded text holds when it is scanned like any other.
    fn derived(&mut self, text: &[u8]) -> TextResult {
        match derived::Step::of(text.len()) {
            Some(_step) => self.s.scan_text(text),
            None => {
                let found = Match { difference: Some(GROWING), ..Match::special(EXPANDING, Encoding::Plain) };
                TextResult { matches: vec![found], ..TextResult::default() }
            }
        }
    }

    /// The same, each match under an id.
    fn push_derived(&mut self, text: &[u8], id: &'static str) {
        let found = self.derived(text);
        found.matches.into_iter().chain(found.informational).for_each(|m| self.push(m, id));
    }

    /// The rules that match a text that is normalised but for its tabs and line ends, each of which stands for a space. A card
    /// number stands within a line of the `input`: columns of short numbers are ordinary.
    fn view_of_lines(&mut self, input: &[u8], text: &[u8], keys: bool, encoded: Encoding) {
        let hits = fast::hits_in_lines(self.s, text, keys);
        let spaced = || String::from_utf8(text::lines_spaced(text).collect()).ok().map(Cow::from);
        let is_card = |rule: &super::Rule| rule.spec().validator == Some(Validator::Luhn);
        self.matching(&hits, &spaced, encoded, LINES, |rule| {
            !rule.looks_at_edges() && (!is_card(rule) || matches_in_a_line(rule, input))
        });
    }

    fn settled(&mut self, input: &[u8], norm: &[u8], looked: &Looked<'_>) {
        let noted = looked.views.map(|views| views.noted());
        let (settled, seen) = noted.map_or((false, false), |noted| (noted.settled, !noted.unseen));
        if settled && seen || !settled && text::is_settled(norm, is_unseen) {
            return;
        }
        let settled = settle(norm, settled, seen.then_some(looked.again));
        if *settled == *norm {
            return;
        }
        let hits = fast::hits(self.s, &settled, true);
        if hits.is_empty() {
            return;
        }
        // Fields of binary data are no text together.
        let apart = text::fields_apart(input).map(|apart| {
            let settled = settle(text::norm_dlp(&apart).as_bytes(), false, None);
            text::lossy(&settled).into_owned()
        });
        let text = || std::str::from_utf8(&settled).ok().map(Cow::from);
        self.matching(&hits, &text, Encoding::Plain, SETTLED, |rule| {
            apart.as_ref().is_none_or(|apart| rule.matches(apart))
        });
    }

    /// Whether tag characters spell anything.
    fn tags(&mut self, input: &[u8]) -> bool {
        let Some(spelled) = text::spelled_in_tags(input) else { return false };
        self.push_derived(&spelled, TAGS);
        true
    }

    /// As in JSON within a string, in code, or in JSON that is not known to be any.
    fn escapes(&mut self, input: &[u8]) {
        let Some(written) = text::unescaped(input) else { return };
        self.push_derived(&written, ESCAPES);
        // Their first character is written as an escape by some programs.
        if let Some(read) = text::without_references(&written) {
            self.push_derived(&read, ESCAPES);
        }
    }

    /// As JavaScript's `escape` writes.
    fn percent_escapes(&mut self, text: &[u8]) {
        let Some(written) = text::unescaped_percent(text) else { return };
        self.push_derived(&written, ESCAPES);
    }

    /// Whether there are any. Numbers in columns make digits, so rules about numbers are left out.
    fn groups(&mut self, digits: &Survey<'_>) -> bool {
        let mut any = false;
        digits.each_row_of_hex(|bytes| {
            any = true;
            self.bytes_of_hex(bytes);
        });
        any
    }

    fn bytes_of_hex(&mut self, bytes: &[u8]) {
        let mut buffer = Buffer::new();
        let norm = text::norm_dlp_quick(bytes, &mut buffer).unwrap_or(bytes);
        let hits = fast::hits(self.s, norm, true);
        let text = || std::str::from_utf8(norm).ok().map(Cow::from);
        let is_number = |validator| matches!(validator, Some(Validator::Luhn | Validator::Aba));
        self.matching(&hits, &text, Encoding::Hex, GROUPS, |rule| !is_number(rule.spec().validator));
        self.literals(&text::lossy(norm), Encoding::Hex, GROUPS);
        self.all_encoded_runs(norm);
        self.escapes(norm);
        self.phrase(&text::lossy(bytes), Encoding::Hex, GROUPS);
    }

    /// Whether there are any, or nearly. Measurements around fifty spell digits: only what is certain counts.
    fn codes(&mut self, digits: &Survey<'_>) -> bool {
        let (spelled, nearly) = digits.spelled_by_codes();
        if !spelled.is_empty() {
            let found = self.derived(&spelled).matches;
            found.into_iter().filter(Match::is_certain).for_each(|m| self.push(m, CODES));
        }
        nearly
    }

    /// A seed phrase, however its words are separated.
    fn phrase(&mut self, text: &str, encoded: Encoding, id: &'static str) {
        let Some(settings) = self.s.seed else { return };
        if seed::detect_within(text, settings, &mut self.checks)
            || seed::detect_punctuated(text.as_bytes(), settings, &mut self.checks)
        {
            self.push(Match::special(SEED_PHRASE, encoded), id);
        }
    }

    /// Only rules that hold other characters than ASCII: they cannot match a normalised text.
    fn unnormalised(&mut self, input: &[u8]) {
        let rules: Vec<Match> = {
            let mut rules = self.s.main.rules.iter().filter(|r| !r.spec().regex.is_ascii()).peekable();
            if rules.peek().is_none() {
                return;
            }
            let written = text::strip_controls(input);
            rules.filter(|r| r.matches(&written)).map(|r| r.to_match(Encoding::Plain)).collect()
        };
        rules.into_iter().for_each(|m| self.push(m, UNNORMALISED));
    }

    /// `always`: also where the text as the specification decodes it is the same.
    fn lenient_percent(&mut self, norm: &[u8], lenient: &[u8], always: bool) {
        let is_new = always || *lenient != *text::percent_decode_all(norm);
        let mut buffer = Buffer::new();
        let lenient = text::norm_dlp_quick(lenient, &mut buffer).unwrap_or(lenient);
        if is_new {
            self.view(lenient, Encoding::Url, LENIENT_PERCENT);
        }
        self.all_encoded_runs(lenient);
    }

    /// Validated rules at every start and, for cards, at every shorter end that a word boundary allows.
    fn overlapping(&mut self, norm: &[u8], keys: bool, cards: &Range<usize>) -> bool {
        let mut found = Vec::new();
        let mut complete = true;
        for rule in &self.s.main.rules {
            let hit = match rule.spec().validator {
                Some(Validator::Wif) if keys => {
                    let keys = fast::keys_anywhere(norm, MAX_KEYS);
                    complete &= keys.is_some();
                    keys == Some(true)
                }
                Some(Validator::Luhn) if !cards.is_empty() => fast::cards_with_a_tail(norm, cards.clone()),
                _ => false,
            };
            if hit && super::builtin_rules().iter().any(|b| b.regex == rule.spec().regex) {
                found.push(rule.to_match(Encoding::Plain));
            }
        }
        found.into_iter().for_each(|m| self.push(m, OVERLAPPING));
        complete
    }

    /// In other `texts` than the normalised one: as it was sent and percent-decoded.
    fn known_secrets(&mut self, mut texts: Vec<&[u8]>, norm: &[u8]) {
        if self.s.env.is_empty() && self.s.file.is_empty() {
            return;
        }
        texts.retain(|t| self.s.known.possible(t));
        if self.s.env.find(&texts).is_some() || self.s.env.folded_in(norm) {
            self.push(Match::special(ENV_LEAK, Encoding::Env), KNOWN_FORMS);
        }
        if self.s.file.find(&texts).is_some() || self.s.file.folded_in(norm) {
            self.push(Match::special(FILE_LEAK, Encoding::Plain), KNOWN_FORMS);
        }
    }

    /// Known secrets and canaries in a text that was decoded and normalised.
    fn literals(&mut self, norm: &str, encoded: Encoding, id: &'static str) {
        if !self.s.kernel.holds_value(norm.as_bytes()) {
            return;
        }
        let is_in = |secrets: &Secrets| {
            secrets.find(&[norm.as_bytes()]).is_some() || secrets.folded_in(norm.as_bytes())
        };
        if is_in(&self.s.env) {
            self.push(Match::special(ENV_LEAK, Encoding::Env), id);
        }
        if is_in(&self.s.file) {
            self.push(Match::special(FILE_LEAK, encoded), id);
        }
        for hit in self.s.canaries.search(norm) {
            self.push(Match::special(hit.finding, encoded), id);
        }
    }

    fn canaries(&mut self, norm: &[u8]) {
        if self.s.canaries.is_empty() {
            return;
        }
        let norm = &text::lossy(norm);
        for finding in self.s.canaries.bare(norm) {
            self.push(Match::special(finding, Encoding::Split), BARE_CANARY);
        }
    }

    /// Words may be separated by anything that is not a letter, a few characters at most.
    fn seeds(&mut self, input: &[u8]) {
        let Some(settings) = self.s.seed else { return };
        let mut norm = Buffer::new();
        let text = text::norm_match_quick(input, &mut norm).unwrap_or(input);
        let possible = seed::possible(text, settings.min_words, seed::Between::AnyPunctuation);
        if !(possible || seed::holds_disguised_letter(input)) {
            return;
        }
        if seed::detect_punctuated(text, settings, &mut self.checks) {
            self.push(Match::special(SEED_PHRASE, Encoding::Plain), PUNCTUATED_SEED);
        }
    }
}
