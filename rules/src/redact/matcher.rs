//! What to replace in one string: all matches of all enabled patterns, the strongest of overlapping ones.
//!
//! Every pattern runs over every string; a `RegexSet` first says which of them can match at all, since most strings of a
//! body match none.

use std::collections::HashMap;
use std::ops::Range;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::classes::CLASSES;
use super::{CompileError, Dictionary, Limits, Settings};
use crate::order::sorted;

/// Upper bound of one compiled pattern in bytes. Counted shapes such as 128 hex digits need more than the default.
const SIZE_LIMIT: usize = 64 << 20;

/// A compiled profile.
pub struct Redactor {
    profile: String,
    limits: Limits,
    patterns: Vec<Pattern>,
    any: RegexSet,
}

struct Pattern {
    class: String,
    priority: i64,
    regex: Regex,
}

/// A part of a string that will be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit<'r> {
    pub class: &'r str,
    pub range: Range<usize>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor")
            .field("profile", &self.profile)
            .field("limits", &self.limits)
            .field("patterns", &self.patterns.len())
            .finish_non_exhaustive()
    }
}

impl Redactor {
    /// Compiles a profile.
    ///
    /// # Errors
    /// A class is unknown, a dictionary has no entries, or too many of them.
    pub fn new(settings: &Settings) -> Result<Self, CompileError> {
        let mut sources: Vec<(String, i64, String, &str)> = Vec::new();
        for class in &settings.classes {
            if !CLASSES.iter().any(|known| known.name == class) {
                return Err(CompileError::UnknownClass {
                    profile: settings.profile.clone(),
                    class: class.clone(),
                });
            }
        }
        for class in CLASSES.iter().filter(|known| settings.classes.iter().any(|name| name == known.name)) {
            sources.push((class.name.to_owned(), class.priority, ascii(class.pattern), ""));
        }
        for dictionary in &settings.dictionaries {
            let source = alternation(dictionary)
                .ok_or_else(|| CompileError::EmptyDictionary { name: dictionary.name.clone() })?;
            sources.push((dictionary.class.clone(), dictionary.priority, source, &dictionary.name));
        }
        // One class, one priority: the highest of everything that carries its name.
        let mut highest: HashMap<&str, i64> = HashMap::new();
        for (class, priority, ..) in &sources {
            let known = highest.entry(class).or_insert(*priority);
            *known = (*known).max(*priority);
        }
        let mut patterns = Vec::with_capacity(sources.len());
        for (class, _, source, dictionary) in &sources {
            let regex = RegexBuilder::new(source)
                .size_limit(SIZE_LIMIT)
                .build()
                .map_err(|_| CompileError::TooLarge { name: (*dictionary).to_owned() })?;
            patterns.push(Pattern {
                class: class.clone(),
                priority: highest.get(class.as_str()).copied().unwrap_or_default(),
                regex,
            });
        }
        let any = RegexSetBuilder::new(sources.iter().map(|(_, _, source, _)| source))
            .size_limit(SIZE_LIMIT)
            .build()
            .map_err(|_| CompileError::TooLarge { name: settings.profile.clone() })?;
        Ok(Self { profile: settings.profile.clone(), limits: settings.limits, patterns, any })
    }

    /// Name of the profile.
    pub fn profile(&self) -> &str {
        &self.profile
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether anything matches in `text`.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.any.is_match(text)
    }

    /// The parts to replace, in the order of the text, none overlapping.
    pub(super) fn hits(&self, text: &str) -> Vec<Hit<'_>> {
        let mut found: Vec<(i64, Hit<'_>)> = Vec::new();
        for index in &self.any.matches(text) {
            let pattern = &self.patterns[index];
            found.extend(pattern.regex.find_iter(text).map(|hit| {
                let hit = Hit { class: &pattern.class, range: hit.range() };
                (pattern.priority, hit)
            }));
        }
        found.retain(|(_, hit)| !hit.range.is_empty());
        // Stable: what is equal in all three keeps the order of evaluation.
        let found = sorted(found, |(p, a), (q, b)| {
            (q.cmp(p)).then(a.range.start.cmp(&b.range.start)).then(b.range.len().cmp(&a.range.len()))
        });
        let mut taken: std::collections::BTreeMap<usize, Hit<'_>> = std::collections::BTreeMap::new();
        for (_, hit) in found {
            let before = taken.range(..hit.range.end).next_back();
            if before.is_none_or(|(_, earlier)| earlier.range.end <= hit.range.start) {
                taken.insert(hit.range.start, hit);
            }
        }
        taken.into_values().collect()
    }
}

/// `\b` and `\d` with their ASCII meaning.
fn ascii(pattern: &str) -> String {
    pattern.replace(r"\b", r"(?-u:\b)").replace(r"\d", "[0-9]")
}

/// The entries as one expression, longest first; `None` if there are none.
fn alternation(dictionary: &Dictionary) -> Option<String> {
    let mut entries: Vec<&str> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for entry in dictionary.entries.iter().map(String::as_str) {
        if !entry.is_empty() && seen.insert(entry) {
            entries.push(entry);
        }
    }
    if entries.is_empty() {
        return None;
    }
    let entries = sorted(entries, |a, b| b.len().cmp(&a.len()));
    let flags = if dictionary.case_insensitive { "(?i)" } else { "" };
    let edge = if dictionary.word_boundary { r"(?-u:\b)" } else { "" };
    let body: Vec<String> = entries.into_iter().map(regex::escape).collect();
    Some(format!("{flags}{edge}(?:{}){edge}", body.join("|")))
}
