//! Prompt injection in response text: rules, derived variants, six passes, redaction.
//!
//! Two tiers run in order: the *core* rules, which no configuration can remove, and the *standard* rules (built-in,
//! overridden, or written by the user). Each tier is searched in six views of the text (normalised, spaced, leet,
//! joined words, folded vowels, decoded payloads); the first view of the first tier that has a match decides, and all
//! matches of that view are reported. The rules themselves are data: `builtin/injection/*.yaml`.
//!
//! `plain` follows the specification step by step and is the oracle; `filter` stands in front of it and proves most texts
//! clean with one search, or names the few rules that are worth running. spec: response-scan §1-4

mod builtin;
mod encoded;
mod filter;
mod gate;
mod plain;
mod rule;
#[cfg(test)]
mod tests;
mod views;

use std::fmt;
use std::sync::{Arc, OnceLock};

pub use builtin::{builtin_examples, builtin_rules, core_rules};
pub use rule::{RuleSpec, merge};

use crate::Strictness;
use crate::text::{lossy, spelled_in_tags, with_hidden_letters};
use filter::{Filter, Suspects};

/// Everything a scan depends on besides the text.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The effective standard rules in evaluation order ([`merge`]); `None` when `response_scanning.enabled` is
    /// false: then only the core rules run. spec: response-scan §2.1, §2.6
    pub standard: Option<Vec<RuleSpec>>,
    /// Whether the listed differences apply.
    pub strictness: Strictness,
}

/// A rule that cannot be compiled. The text is Go's, after the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("response scanning pattern {name:?} has invalid regex: {message}")]
pub struct RuleError {
    /// The rule's name.
    pub name: String,
    /// What is wrong with its expression.
    pub message: String,
}

/// One occurrence of one rule. It does not hold the matched text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The rule's name. Repeats when the rule matches more than once.
    pub name: Arc<str>,
    /// Byte position in the searched view, which is not a position in the body. spec: response-scan §4.6
    pub offset: usize,
    /// The rule bundle the rule came from; empty otherwise.
    pub bundle: Arc<str>,
    /// Version of that bundle; empty otherwise.
    pub bundle_version: Arc<str>,
    /// Id of the listed difference without which there would be no match.
    pub difference: Option<&'static str>,
}

/// Which rules found something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// The eight rules that always run.
    Core,
    /// The configured rules.
    Standard,
}

/// What a scan found: the matches of one view of one tier, in rule order, then text order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanResult {
    /// Empty when the text is clean.
    pub matches: Vec<Match>,
    /// Tier and number of the pass (1-6) that matched; never shown to clients.
    pub origin: Option<(Tier, u8)>,
}

impl ScanResult {
    /// True when nothing matched.
    pub fn is_clean(&self) -> bool {
        self.matches.is_empty()
    }

    /// All rule names, repeats included, joined by `, ` as reasons print them.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.matches.iter().map(|m| &*m.name).collect();
        names.join(", ")
    }
}

/// Picks rules by name.
pub type Without<'a> = &'a dyn Fn(&str) -> bool;

/// The compiled rules. Cheap to share, safe to use from many threads.
pub struct Scanner {
    rules: plain::Rules,
    /// Built for the first text, so that a start of the program does not wait for it.
    filter: OnceLock<Filter>,
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner").finish_non_exhaustive()
    }
}

impl Scanner {
    /// Compiles the core rules and `settings.standard`.
    ///
    /// # Errors
    /// The first rule whose expression is not valid.
    pub fn new(settings: Settings) -> Result<Self, RuleError> {
        Ok(Self { rules: plain::Rules::new(settings)?, filter: OnceLock::new() })
    }

    /// Looks for instructions in `text`, which may be any bytes. Linear in its length. spec: response-scan §4.1
    pub fn scan(&self, text: &[u8]) -> ScanResult {
        self.scan_without(text, &|_| false)
    }

    /// The same without the rules whose names `without` picks: what they find hides nothing else.
    pub fn scan_without(&self, text: &[u8], without: Without<'_>) -> ScanResult {
        self.or_read(self.scan_as_sent(text, without), text, LETTERS, |text| self.scan_as_sent(text, without))
    }

    fn scan_as_sent(&self, text: &[u8], without: Without<'_>) -> ScanResult {
        let (suspects, gone) = self.suspects(text);
        let found = if suspects.any() {
            self.rules.scan(text, Some(&suspects), without)
        } else {
            ScanResult::default()
        };
        if gone { self.or_read(found, text, TAGS, |text| self.scan_as_sent(text, without)) } else { found }
    }

    /// `found`, or what `scan` finds in `text` as `reading` has it, where nothing was found.
    fn or_read(
        &self,
        found: ScanResult,
        text: &[u8],
        reading: Reading,
        scan: impl FnOnce(&[u8]) -> ScanResult,
    ) -> ScanResult {
        if !found.is_clean() || !self.rules.is_hardened() {
            return found;
        }
        let Some(read) = (reading.read)(text) else { return found };
        only_by(scan(&read), reading.difference)
    }

    /// Builds what the first scan would otherwise wait for: some milliseconds of work.
    pub fn warm(&self) {
        self.scan(b"");
    }

    /// The same without the filter: every rule on every view. Slow; what [`Scanner::scan`] is compared with.
    #[doc(hidden)]
    pub fn scan_plainly(&self, text: &[u8]) -> ScanResult {
        let as_sent = |text: &[u8]| self.rules.scan(text, None, &|_| false);
        let with_tags = |text: &[u8]| self.or_read(as_sent(text), text, TAGS, as_sent);
        self.or_read(with_tags(text), text, LETTERS, with_tags)
    }

    /// The rules that may match, over all texts that the passes read; and whether the text holds characters without a glyph.
    fn suspects(&self, text: &[u8]) -> (Suspects, bool) {
        let hardened = self.rules.is_hardened();
        let filter = self.filter.get_or_init(|| Filter::new(self.rules.all(), hardened));
        let (normalised, others) = views::normalised_noting(text);
        if !others.any() {
            return (filter.suspects(&normalised, None), false);
        }
        let text = &*lossy(text);
        let spaced = if others.spaced { views::spaced(text, &normalised) } else { None };
        let mut suspects = filter.suspects(&normalised, spaced.as_deref());
        if hardened && others.thorough {
            let thorough = views::thorough(text);
            if thorough != normalised {
                suspects.add(filter.suspects(&thorough, None));
            }
        }
        (suspects, others.spaced)
    }

    /// The text that the actions `strip` and `ask` deliver instead: the normalised text with every match of the tier
    /// that matched replaced by `[REDACTED: NAME]`. `None` when nothing could be replaced, which happens whenever the
    /// match was only visible in another view. spec: response-scan §4.8
    pub fn transformed(&self, text: &[u8], result: &ScanResult) -> Option<String> {
        self.rules.transformed(text, result)
    }
}

/// Another way to read a text.
struct Reading {
    /// The text read so, if that is another one.
    read: fn(&[u8]) -> Option<Vec<u8>>,
    difference: &'static str,
}

/// Escapes and character references that stand for letters are read as these.
const LETTERS: Reading = Reading { read: with_hidden_letters, difference: "D-211" };
/// Tag characters are read as what they spell.
const TAGS: Reading = Reading { read: spelled_in_tags, difference: "D-208" };

/// What was found in another text than the one that was sent, in which there is nothing to replace.
fn only_by(found: ScanResult, difference: &'static str) -> ScanResult {
    let matches = found.matches.into_iter();
    ScanResult {
        matches: matches.map(|m| Match { difference: Some(difference), ..m }).collect(),
        origin: None,
    }
}
