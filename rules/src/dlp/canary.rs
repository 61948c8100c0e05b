//! Canary tokens: planted values that must never leave (spec: dlp §8.7, url-scan §12.5).

use std::fmt;
use std::sync::Arc;

use super::Encoding;
use crate::decode::decode_all;
use crate::text;

/// Shortest segment that is decoded, bytes.
const MIN_SEGMENT: usize = 8;

/// A token as configured.
#[derive(Clone, PartialEq, Eq)]
pub struct Canary {
    /// Name in findings.
    pub name: String,
    /// The planted value.
    pub value: String,
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Canary({:?}, ..)", self.name)
    }
}

/// A token that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryHit {
    /// Name of the finding: `Canary Token (NAME)`.
    pub finding: Arc<str>,
    /// How it was hidden.
    pub encoded: Encoding,
}

struct Needle {
    finding: Arc<str>,
    /// Normalised, lower-cased value.
    plain: String,
    /// The same without separators; may be empty, then it is not searched.
    canonical: String,
}

/// The prepared tokens.
#[derive(Default)]
pub(super) struct Canaries {
    needles: Vec<Needle>,
}

impl fmt::Debug for Canaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Canaries({})", self.needles.len())
    }
}

fn is_separator(c: char) -> bool {
    matches!(
        c,
        '.' | '/'
            | '\\'
            | '?'
            | '&'
            | '='
            | ' '
            | '\t'
            | '\n'
            | '\r'
            | ':'
            | ';'
            | ','
            | '-'
            | '_'
            | '@'
            | '%'
            | '+'
            | '#'
    )
}

pub(super) fn without_separators(text: &str) -> String {
    text.chars().filter(|&c| !is_separator(c)).collect()
}

fn contains(haystack: &str, needle: &str) -> bool {
    memchr::memmem::find(haystack.as_bytes(), needle.as_bytes()).is_some()
}

/// Hits in order, each (finding, label) once.
#[derive(Default)]
struct Hits(Vec<CanaryHit>);

impl Hits {
    fn add(&mut self, needle: &Needle, encoded: Encoding) {
        let hit = CanaryHit { finding: needle.finding.clone(), encoded };
        if !self.0.contains(&hit) {
            self.0.push(hit);
        }
    }
}

impl Canaries {
    pub(super) fn new(tokens: &[Canary]) -> Canaries {
        let needles = tokens.iter().filter_map(|token| {
            let plain = text::to_lower(&text::norm_dlp_str(token.value.trim())).into_owned();
            let canonical = without_separators(&plain);
            let finding = Arc::from(format!("Canary Token ({})", token.name.trim()));
            (!plain.is_empty()).then_some(Needle { finding, plain, canonical })
        });
        Canaries { needles: needles.collect() }
    }

    /// What is searched: normalised and in lower case.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.needles.iter().map(|needle| &*needle.plain)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// Findings whose canonical needle is in the text as it is (spec: dlp §16, Oddity 20).
    pub(super) fn bare(&self, c: &str) -> Vec<Arc<str>> {
        if self.needles.is_empty() {
            return Vec::new();
        }
        let lower = text::to_lower(c);
        let found = self
            .needles
            .iter()
            .filter(|n| n.canonical.len() >= MIN_SEGMENT && contains(&lower, &n.canonical));
        found.map(|n| n.finding.clone()).collect()
    }

    fn plain_in(&self, text: &str, encoded: Encoding, hits: &mut Hits) {
        let lower = text::to_lower(text);
        for needle in self.needles.iter().filter(|n| contains(&lower, &n.plain)) {
            hits.add(needle, encoded);
        }
    }

    fn canonical_in(&self, text: &str, hits: &mut Hits) {
        let lower = text::to_lower(text);
        for needle in
            self.needles.iter().filter(|n| !n.canonical.is_empty() && contains(&lower, &n.canonical))
        {
            hits.add(needle, Encoding::Split);
        }
    }

    /// All searches on a normalised text.
    pub(super) fn search(&self, c: &str) -> Vec<CanaryHit> {
        let mut hits = Hits::default();
        if self.needles.is_empty() {
            return hits.0;
        }
        self.plain_in(c, Encoding::Plain, &mut hits);
        let decoded = text::percent_decode_all(c.as_bytes());
        if *decoded != *c.as_bytes() {
            self.plain_in(&text::lossy(&decoded), Encoding::Url, &mut hits);
        }
        if let Some(joined) = text::without_dots(c) {
            self.plain_in(&joined, Encoding::Subdomain, &mut hits);
        }
        self.split_in(c, &mut hits);
        self.decoded_in(c, &mut hits);
        let delimiter = |ch: char| matches!(ch, '/' | '?' | '&' | '=' | ' ' | '\n' | '\t');
        for segment in c.split(delimiter).filter(|s| s.len() >= MIN_SEGMENT) {
            self.decoded_in(segment, &mut hits);
            self.split_in(segment, &mut hits);
        }
        hits.0
    }

    fn split_in(&self, text: &str, hits: &mut Hits) {
        let joined = without_separators(text);
        if !joined.is_empty() && joined != text {
            self.canonical_in(&joined, hits);
        }
    }

    fn decoded_in(&self, text: &str, hits: &mut Hits) {
        for (bytes, encoded) in decode_all(text.as_bytes()) {
            self.plain_in(&text::lossy(&bytes), encoded, hits);
        }
    }
}
