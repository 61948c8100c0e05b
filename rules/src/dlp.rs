//! Text DLP: which secrets a text holds.
//!
//! A [`Scanner`] is compiled once from [`Settings`] (merged rules, known secrets, canaries, seed detection) and is then a
//! pure function of the text: no I/O, no clock, no failure, no size limit (spec: dlp §1, §8). The URL pipeline uses the
//! same rules piece by piece: [`Scanner::first_hit`], [`Scanner::seed_in`], [`Scanner::canary_hits`] and the secrets'
//! [`Secrets::find`].
//!
//! `plain` follows the specification step by step and is the oracle for the fast path.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use crate::scratch::Buffer;
use crate::text::{Again, Views};
use crate::{Strictness, goregex};

mod blocks;
mod canary;
mod compiled;
pub mod crossreq;
pub(crate) mod data;
mod derived;
mod fast;
mod hardened;
mod joined;
pub mod plain;
mod recent;
mod rules;
mod screen;
mod secrets;
mod seed;
#[cfg(test)]
mod tests;
mod validate;

pub use canary::{Canary, CanaryHit};
pub use compiled::Rule;
pub use data::Example;
pub use fast::Decodings;
pub use rules::{RuleSpec, builtin_examples, builtin_rules, core_examples, core_rules, merge, merge_profile};
pub use screen::{MOST_VALUES, Screen, Values};
pub use secrets::{FileSecretsError, FileWarning, Secret, SecretForm, Secrets};
pub use seed::SeedSettings;
pub use validate::Validator;

use blocks::{Noise, Noted, Told};
use canary::Canaries;
use compiled::RuleTable;
use fast::kernel::{Kernel, Rules};
use fast::known::Known;
use plain::Matcher;

/// The vector kernels that others than the scan use: for the normalisation, the decoders and the search for instructions.
pub(crate) mod vector {
    pub(crate) use super::fast::{
        Class, Marks, Needles, base64, class_masks, compresses, each_run, fold, folded_entry, hex, is_utf8,
        printable, printable_by_words, translate, unescape, without, without_replacements,
    };
}

/// Name of a BIP-39 finding.
pub const SEED_PHRASE: &str = "BIP-39 Seed Phrase";
/// Finding: a long text that normalisation makes several times as long (only in hardened strictness).
pub const EXPANDING: &str = "Expanding Characters";
/// Name of a finding of an environment secret.
pub const ENV_LEAK: &str = "Environment Variable Leak";
/// Name of a finding of a secret from the secrets file.
pub const FILE_LEAK: &str = "Known Secret Leak";
/// Length of the shortest seed phrase, bytes.
pub const SHORTEST_PHRASE: usize = seed::MIN_PHRASE;
/// Pieces that are put together at most: each is asked whether a match begins with it.
pub const MOST_PIECES: usize = 32;
/// Shortest piece that a match across pieces begins with, bytes.
const MIN_PIECE: usize = 4;
/// Severity of every finding that no rule table names.
pub const CRITICAL: &str = "critical";

/// How the matching text was derived from the scanned one (spec: dlp §1). After several steps: the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Encoding {
    /// The normalised text itself.
    #[default]
    Plain,
    /// Percent-decoded.
    Url,
    /// Every dot removed.
    Subdomain,
    /// Base64, either alphabet.
    Base64,
    /// Hex digits, plain or delimited.
    Hex,
    /// Base32.
    Base32,
    /// URL-safe base64 of a known secret, where it differs from the standard form.
    Base64Url,
    /// Any form of an environment secret.
    Env,
    /// A canary after removal of separators.
    Split,
}

impl Encoding {
    /// The label in results; empty for [`Encoding::Plain`].
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Plain => "",
            Encoding::Url => "url",
            Encoding::Subdomain => "subdomain",
            Encoding::Base64 => "base64",
            Encoding::Hex => "hex",
            Encoding::Base32 => "base32",
            Encoding::Base64Url => "base64url",
            Encoding::Env => "env",
            Encoding::Split => "split",
        }
    }
}

/// One finding. It never holds the matched text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The rule's name.
    pub name: Arc<str>,
    /// The rule's severity, verbatim.
    pub severity: Arc<str>,
    /// How the matching text was derived.
    pub encoded: Encoding,
    /// Origin of a rule from a rule bundle; empty otherwise.
    pub bundle: Arc<str>,
    /// Version of that bundle; empty otherwise.
    pub bundle_version: Arc<str>,
    /// True for rules with `action: warn`.
    pub warn: bool,
    /// The listed difference without which this finding would not exist (only in hardened strictness).
    pub difference: Option<&'static str>,
}

impl Match {
    /// Whether the rule asks for more than digits and separators in places that figures have by chance: its severity is above
    /// `medium`.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        !matches!(&*self.severity, "low" | "medium")
    }

    /// Whether it is a seed phrase with more than spaces between its words (D-109).
    #[must_use]
    pub fn is_punctuated_phrase(&self) -> bool {
        self.difference == Some(hardened::PUNCTUATED_SEED)
    }

    fn special(name: impl Into<Arc<str>>, encoded: Encoding) -> Match {
        Match {
            name: name.into(),
            severity: Arc::from(CRITICAL),
            encoded,
            bundle: Arc::from(""),
            bundle_version: Arc::from(""),
            warn: false,
            difference: None,
        }
    }
}

/// What a scan found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextResult {
    /// Enforcing matches, in the order of spec dlp §8.8.
    pub matches: Vec<Match>,
    /// Matches of rules with `action: warn`.
    pub informational: Vec<Match>,
}

impl TextResult {
    /// True when no enforcing match was found.
    pub fn clean(&self) -> bool {
        self.matches.is_empty()
    }
}

/// Everything a scanner is compiled from.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The merged rule list (see [`merge`]); the core rules are always added by the scanner.
    pub rules: Vec<RuleSpec>,
    /// Exact parity, or parity and the listed differences.
    pub strictness: Strictness,
    /// Canary tokens; empty when they are switched off.
    pub canaries: Vec<Canary>,
    /// Seed-phrase detection; `None` when it is switched off.
    pub seed: Option<SeedSettings>,
    /// Secrets collected from the environment.
    pub env_secrets: Secrets,
    /// Secrets from `dlp.secrets_file`.
    pub file_secrets: Secrets,
}

/// A rule that does not compile.
#[derive(Debug, Clone, thiserror::Error)]
#[error("DLP pattern {name:?} has invalid regex: {source}")]
pub struct Error {
    /// The rule's name.
    pub name: String,
    /// What is wrong with its expression.
    pub source: goregex::Error,
}

/// Which of the two rule lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleList {
    /// The eight rules that nothing switches off.
    Core,
    /// The merged list.
    Main,
}

/// A compiled scanner. Immutable; share it by reference or `Arc`.
#[derive(Debug)]
pub struct Scanner {
    core: RuleTable,
    main: RuleTable,
    canaries: Canaries,
    seed: Option<SeedSettings>,
    env: Secrets,
    file: Secrets,
    strictness: Strictness,
    kernel: Kernel,
    known: Known,
    /// How far the ends of a text have a part in matches, characters.
    reach: Option<usize>,
    /// How far a match goes across words.
    span: Option<usize>,
}

impl Scanner {
    /// Compiles every rule. Fails on the first one that is not valid.
    pub fn new(settings: Settings) -> Result<Scanner, Error> {
        let core = RuleTable::new(core_rules().to_vec())?;
        let main = RuleTable::new(settings.rules)?;
        let known = Known::new(&[&settings.env_secrets, &settings.file_secrets]);
        let reach = joined::reach(&core, &main);
        let span = blocks::span(&core, &main, &[&settings.env_secrets, &settings.file_secrets])
            .filter(|_| reach.is_some() && settings.canaries.is_empty());
        let canaries = Canaries::new(&settings.canaries);
        let values = match settings.strictness {
            Strictness::Reference => Known::default(),
            Strictness::Hardened => {
                Known::values(&[&settings.env_secrets, &settings.file_secrets], &canaries)
            }
        };
        Ok(Scanner {
            kernel: Kernel::new(&core, &main, &known, values),
            reach,
            span,
            known,
            core,
            main,
            canaries,
            seed: settings.seed,
            env: settings.env_secrets,
            file: settings.file_secrets,
            strictness: settings.strictness,
        })
    }

    /// Scans one text (spec: dlp §8).
    pub fn scan_text(&self, text: &[u8]) -> TextResult {
        if self.told_in_blocks(text) == Told::Nothing {
            return TextResult::default();
        }
        self.scan(text, false, None, None).map(|(found, _)| found).unwrap_or_default()
    }

    /// The same, and whether every search went to its end. `for_silence`: `None` if some match enforces, as far as a look at what
    /// there is tells, or if something may be found in a part of a text of ASCII that holds no `%` and is decoded by itself.
    /// `part`: the text is a block of a longer one, of which nothing but silence is asked.
    fn scan(
        &self,
        text: &[u8],
        for_silence: bool,
        part: Option<&mut Noted>,
        noise: Option<&Noise>,
    ) -> Option<(TextResult, bool)> {
        let mut buffer = Buffer::new();
        let mut overview = fast::Overview::new(text);
        let views = if overview.ascii { None } else { Views::new(text) };
        let norm = match &views {
            _ if overview.is_printable() => text,
            Some(views) => views.for_rules(&mut buffer),
            None if overview.keeps_lines() => {
                fast::without([b'\t', b'\n', b'\r'], text, &mut buffer);
                &buffer
            }
            None => crate::text::norm_dlp_quick(text, &mut buffer).unwrap_or(text),
        };
        if self.strictness == Strictness::Hardened
            && let Some(found) = hardened::expanding(text, norm, part.is_some())
        {
            return Some((TextResult { matches: vec![found], ..TextResult::default() }, false));
        }
        match &views {
            Some(views) => overview.settled = views.noted().settled,
            // Nothing else asks.
            None if overview.holds_dots(norm) => overview.note_settled(norm),
            None => {}
        }
        let is_part = part.is_some();
        let spent = Cell::new(0);
        let views = views.as_ref();
        overview.note_keys(norm);
        let digits = fast::Survey::new(norm);
        let again = Again::new(norm);
        let texts = fast::Texts { input: text, norm, views, again: &again };
        let seen = fast::look(self, &texts, &digits, &overview, for_silence);
        if for_silence && seen.noisy || is_part && !seen.clean {
            return None;
        }
        let mut result = match seen.clean {
            true => TextResult::default(),
            // A normalised text is UTF-8; were it not, the step-by-step scan would deal with it.
            false => match std::str::from_utf8(norm) {
                Ok(norm) => plain::name(self, text, norm, &seen.found),
                Err(_) => return Some((plain::scan_text(self, text), false)),
            },
        };
        let looked = hardened::Looked {
            digits: &digits,
            overview: &overview,
            views,
            again: &again,
            no_words: seen.no_words,
            no_secret: !seen.found.known,
            secret_without_dots: seen.found.known_without_dots,
            part: is_part.then_some(&spent),
            noise,
        };
        let complete =
            self.strictness == Strictness::Reference || hardened::add(self, text, norm, &looked, &mut result);
        if let Some(noted) = part {
            noted.spend(seen.checks_spent);
            noted.spend(spent.get());
            noted.characters(text, overview.ascii);
            if overview.holds_percents(norm) {
                noted.escapes(norm);
            }
        }
        Some((result, complete))
    }

    fn both_lists(&self) -> Rules<'_> {
        Rules { core: &self.core, main: &self.main }
    }

    /// Calls `hit` for every rule of a list that matches the normalised text, in list order, until it returns true. Its
    /// second argument says whether the rule's gate keeps it from matching in the reference; in reference strictness
    /// such rules do not match.
    fn for_each_hit<'s>(
        &'s self,
        list: RuleList,
        norm: &str,
        matcher: Matcher,
        mut hit: impl FnMut(&'s Rule, bool) -> bool,
    ) {
        if matcher == Matcher::Kernel {
            let hits = self.kernel.hits(&self.both_lists(), norm.as_bytes());
            return self.for_each_of(list, &hits, &|| Some(norm.into()), hit);
        }
        let table = match list {
            RuleList::Core => &self.core,
            RuleList::Main => &self.main,
        };
        table.for_each_match(norm, |rule, gated| {
            !(gated && self.strictness == Strictness::Reference) && hit(rule, gated)
        });
    }

    /// The same for rules that are known to match `norm`, by their numbers.
    fn for_each_of<'s, 'n>(
        &'s self,
        list: RuleList,
        hits: &[u16],
        norm: &dyn Fn() -> Option<Cow<'n, str>>,
        mut hit: impl FnMut(&'s Rule, bool) -> bool,
    ) {
        let mut lower = None;
        for &number in hits {
            let number = usize::from(number);
            let rule = match (list, number.checked_sub(self.kernel.core_rules())) {
                (RuleList::Core, None) => &self.core.rules[number],
                (RuleList::Main, Some(i)) => &self.main.rules[i],
                _ => continue,
            };
            let gated = rule.may_be_gated_wrongly() && {
                let lower = lower.get_or_insert_with(|| {
                    norm().map(|norm| crate::text::to_lower(&norm).into_owned()).unwrap_or_default()
                });
                rule.gated_out(lower)
            };
            if !(gated && self.strictness == Strictness::Reference) && hit(rule, gated) {
                return;
            }
        }
    }

    /// The strictness that the scanner was built for.
    pub fn strictness(&self) -> Strictness {
        self.strictness
    }

    /// The rules of a list, in evaluation order.
    pub fn rules(&self, list: RuleList) -> &[Rule] {
        match list {
            RuleList::Core => &self.core.rules,
            RuleList::Main => &self.main.rules,
        }
    }

    /// Normalises `text` (see [`crate::text::norm_dlp`]) and gives the first rule of the list that matches it and that
    /// `accept` takes. `accept` is called for matching rules in list order; the URL pipeline turns down exempted and
    /// warn-only rules there (spec: url-scan §11, §12.2). Its second argument says that the reference's gate would have
    /// skipped the rule (only in hardened strictness). Empty texts match nothing.
    pub fn first_hit<'s>(
        &'s self,
        list: RuleList,
        text: &[u8],
        mut accept: impl FnMut(&'s Rule, bool) -> bool,
    ) -> Option<&'s Rule> {
        if text.is_empty() {
            return None;
        }
        let mut buffer = Buffer::new();
        let norm = crate::text::norm_dlp_quick(text, &mut buffer).unwrap_or(text);
        // A normalised text is always UTF-8.
        let norm = std::str::from_utf8(norm).ok()?;
        let mut found = None;
        self.for_each_hit(list, norm, Matcher::Kernel, |rule, gated| {
            let take = accept(rule, gated);
            if take {
                found = Some(rule);
            }
            take
        });
        found
    }

    /// Whether `text`, as it is, holds a seed phrase under the settings; false when detection is off (spec: dlp §10).
    pub fn seed_in(&self, text: &str) -> bool {
        self.seed.is_some_and(|settings| seed::detect(text, settings))
    }

    /// Whether seed detection is on.
    pub fn detects_seeds(&self) -> bool {
        self.seed.is_some()
    }

    /// The environment's secrets.
    pub fn env_secrets(&self) -> &Secrets {
        &self.env
    }

    /// The secrets file's secrets.
    pub fn file_secrets(&self) -> &Secrets {
        &self.file
    }

    /// Whether a literal secret may be in `text` in any of its written forms; false is certain.
    pub fn may_hold_secret(&self, text: &[u8]) -> bool {
        self.known.possible(text)
    }

    /// Bytes of the shortest literal secret, or canary, that is looked for in other views of a text; `None` if there is none.
    pub fn shortest_secret(&self) -> Option<usize> {
        self.kernel.shortest_value()
    }

    /// Whether any rule of either list matches a normalised text, gates left aside.
    pub fn has_hit(&self, norm: &str) -> bool {
        self.kernel.any(&self.both_lists(), norm.as_bytes())
    }

    /// Whether the conditions of a rule may be met in a normalised text, or in a part of it between characters which belong to
    /// no word.
    fn conditions_met(&self, norm: &[u8]) -> bool {
        self.kernel.may_match_part(norm)
    }

    /// Asks texts what is encoded in them.
    #[must_use]
    pub fn decodings(&self) -> Decodings<'_> {
        Decodings::new(self)
    }

    /// Gives what the runs of base64, hex or base32 in `text` decode to, wherever they stand and up to three levels deep, to
    /// `look` until it returns something: only what a rule matches, normalised, or what may hold a seed phrase.
    pub fn look_into_runs<T>(&self, text: &[u8], mut look: impl FnMut(&[u8]) -> Option<T>) -> Option<T> {
        if !fast::may_hold_runs(text) && !fast::may_hold_groups(text) {
            return None;
        }
        let mut buffer = Buffer::new();
        let norm = crate::text::norm_dlp_quick(text, &mut buffer).unwrap_or(text);
        let mut seen = None;
        let survey = fast::Survey::new(norm);
        fast::encoded_runs(self, norm, &survey, |found| {
            if seen.is_none() {
                seen = match found {
                    fast::Encoded::Rules(norm, _) => look(norm.as_bytes()),
                    fast::Encoded::Phrase(decoded, _) => look(decoded),
                };
            }
        });
        if seen.is_none() {
            survey.each_row_of_hex(|bytes| seen = seen.take().or_else(|| look(bytes)));
        }
        if seen.is_none() && text.iter().any(|&b| crate::text::parts_lines(b)) {
            let spaced: Vec<u8> = crate::text::lines_spaced(text).collect();
            return self.look_into_runs(&spaced, look);
        }
        seen
    }

    /// What is found where pieces are put together in their order and begins with one of them: the first match, if it enforces. Rules
    /// with a check, of low severity and about the edges of a text are left out, and so are pieces of three bytes and less: others
    /// make such matches by chance, as the name of a language and a checksum do (`sk`, 32 hex digits), or words in small letters
    /// (`asia` and what follows it). Nothing of more than [`MOST_PIECES`].
    pub fn scan_pieces(&self, pieces: &[&[u8]]) -> Option<Match> {
        let rules = || self.core.rules.iter().chain(&self.main.rules);
        let by_chance = |rule: &Rule| {
            let spec = rule.spec();
            spec.validator.is_some() || *spec.severity == *"low" || rule.looks_at_edges()
        };
        let counts = |m: &Match| !rules().any(|rule| by_chance(rule) && *rule.spec().name == *m.name);
        let found =
            |text: &[u8]| -> Vec<Match> { self.scan_text(text).matches.into_iter().filter(counts).collect() };
        if !(2..=MOST_PIECES).contains(&pieces.len()) {
            return None;
        }
        // What stands before a part of encoded text shifts it, and some rules look at what stands behind a match.
        let mut near = Vec::new();
        for (from, piece) in pieces.iter().enumerate() {
            let row = |from: usize| &pieces[from..pieces.len().min(from + 3)];
            // The roles of a chat come in turns.
            if piece.len() < MIN_PIECE || (1..=from.min(2)).any(|by| row(from - by) == row(from)) {
                continue;
            }
            for length in 2..=row(from).len() {
                row(from)[..length].iter().for_each(|piece| near.extend_from_slice(piece));
                near.push(b' ');
            }
        }
        if found(&near).is_empty() && found(&pieces.concat()).is_empty() {
            return None;
        }
        // Row by row: behind the one that holds it there may be more of the same name.
        let begins_one = |from: usize| {
            (from + 2..=pieces.len()).find_map(|end| {
                let row = pieces[from..end].concat();
                let here = found(&row);
                let later = if here.is_empty() { Vec::new() } else { found(&row[1..]) };
                let begins = |m: &Match| later.iter().all(|other| other.name != m.name);
                here.into_iter().find(|m| begins(m) && self.matches_as_written(m, &row))
            })
        };
        (0..pieces.len()).filter(|&from| pieces[from].len() >= MIN_PIECE).find_map(begins_one)
    }

    /// Whether pieces that come one after the other, each a word, are a seed phrase. Nothing of more than [`MOST_PIECES`].
    #[must_use]
    pub fn phrase_in_pieces(&self, pieces: &[&[u8]]) -> Option<Match> {
        let settings = self.seed.filter(|_| pieces.len() <= MOST_PIECES)?;
        let is_word = |piece: &&[u8]| piece.iter().all(u8::is_ascii_alphabetic);
        let mut rows = pieces.split(|piece| !is_word(piece));
        let is_phrase =
            |row: &[&[u8]]| row.len() >= settings.min_words && self.holds_phrase(&row.join(b" ".as_slice()));
        rows.any(is_phrase).then(|| Match::special(SEED_PHRASE, Encoding::Plain))
    }

    /// Whether what was found in a text that is not encoded is also found with letters in the case of the rule.
    fn matches_as_written(&self, found: &Match, text: &[u8]) -> bool {
        let mut rules = self.core.rules.iter().chain(&self.main.rules).map(Rule::spec);
        let is_written = |rule: &RuleSpec| {
            crate::goregex::compile(&rule.regex)
                .is_ok_and(|regex| regex.is_match(&crate::text::norm_dlp(text)))
        };
        found.encoded != Encoding::Plain || rules.find(|rule| rule.name == found.name).is_none_or(is_written)
    }

    /// Whether `text` holds a seed phrase, whatever stands between its words; false when detection is off.
    #[must_use]
    pub fn holds_phrase(&self, text: &[u8]) -> bool {
        let Some(settings) = self.seed.filter(|_| text.len() >= seed::MIN_FOLDED) else { return false };
        let mut checks = seed::Checks::limited();
        let may_be = |norm: &[u8]| seed::possible(norm, settings.min_words, seed::Between::AnyPunctuation);
        // Letters of other widths, and such as are not seen.
        if text.is_ascii() && !may_be(text) {
            return false;
        }
        let mut buffer = Buffer::new();
        let norm = crate::text::norm_match_quick(text, &mut buffer).unwrap_or(text);
        (may_be(norm) || seed::holds_disguised_letter(text))
            && seed::detect_punctuated(norm, settings, &mut checks)
    }

    /// Whether `text` may hold a seed phrase; false is certain.
    #[must_use]
    pub fn may_hold_phrase(&self, text: &[u8]) -> bool {
        self.seed.is_some_and(|settings| seed::possible(text, settings.min_words, seed::Between::Separators))
    }

    /// Whether fewer than `most` runs of ASCII letters in `text` are words of seed phrases, in any case.
    #[must_use]
    pub fn has_few_seed_words(text: &[u8], most: usize) -> bool {
        seed::has_few_words(text, most)
    }

    /// Whether there are canary tokens.
    pub fn has_canaries(&self) -> bool {
        !self.canaries.is_empty()
    }

    /// Every canary found in `text`, normalised here, in the order of the searches (spec: dlp §8.7). The URL pipeline
    /// takes the first (spec: url-scan §12.5).
    pub fn canary_hits(&self, text: &[u8]) -> Vec<CanaryHit> {
        self.canaries.search(&crate::text::norm_dlp(text))
    }
}
