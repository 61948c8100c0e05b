//! The short way through the secret layers: most URLs hold nothing that any rule, seed phrase or literal secret could be
//! found in, and for them this module says so without making the texts that the layers examine one by one.
//!
//! Every answer here is conservative. "Nothing can match" is certain, because the same texts are screened that the layers
//! examine (each in a buffer that is used again, or as a part of a longer text); anything else sends the URL through the
//! layers as the specification describes them. A property test compares the pipeline with and without this module.

use std::borrow::Cow;
use std::ops::ControlFlow;

use muselet_rules::dlp::{RuleList, Scanner, Screen};
use muselet_rules::text;

use super::Scan;
use super::views::{self, MIN_SEGMENT};

/// Deepest nesting of encodings that hardened mode unwraps, which is as deep as [`Scanner::decodings`] looks.
pub(super) const DEPTH: usize = 3;
/// Fewest words of a seed phrase, and the length of the shortest encoding of one: 12 words of three letters, in base64.
const SEED_WORDS: usize = 12;
const SEED_ENCODED: usize = 60;

/// What can be said about a scanner's rules and secrets without evaluating them.
#[derive(Debug)]
pub(super) struct Quick {
    screen: Screen,
    /// A text shorter than this decodes to nothing long enough to match.
    shortest_encoded: usize,
}

/// What a first look at a URL shows. False says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cleared {
    /// No rule can match any text that the rule layers examine.
    pub rules: bool,
    /// No part decodes to anything that a rule matches or a seed phrase may be in.
    pub decodings: bool,
    /// No text of the URL can hold a seed phrase.
    pub phrases: bool,
}

impl Quick {
    pub(super) fn new(dlp: &Scanner) -> Self {
        let screen = Screen::new(dlp);
        let shortest = screen.shortest_match();
        // Base64 keeps three quarters, and normalisation at most doubles what is left.
        Self { screen, shortest_encoded: shortest * 2 / 3 }
    }

    /// Whether a rule may match `text`.
    pub(super) fn may_match(&self, dlp: &Scanner, text: &[u8]) -> bool {
        self.screen.may_match(dlp, text)
    }

    /// The first look.
    pub(super) fn clear(&self, dlp: &Scanner, scan: &Scan<'_>) -> Cleared {
        let decodings = !self.some_part_decodes(dlp, scan);
        let rules = decodings
            && (self.is_settled(dlp, scan) || !self.some_part_matches(dlp, scan))
            && !self.some_join_matches(dlp, scan);
        Cleared { rules, decodings, phrases: false }
    }

    /// Whether the conditions of no rule are met anywhere but in joins and decodings. Paths, keys and values are parts of the
    /// canonical string, or of the query when it is decoded as a whole without a hitch.
    fn is_settled(&self, dlp: &Scanner, scan: &Scan<'_>) -> bool {
        let (url, query) = (&scan.url, scan.query());
        let is_in_canonical =
            |text: &Cow<'_, [u8]>| matches!(text, Cow::Borrowed(_)) && scan.is_written_canonically();
        self.screen.settles(dlp, scan.canonical())
            && self.screen.settles_without(dlp, url.host_name(), |byte| byte == b'.')
            && (is_in_canonical(&url.path) || self.screen.settles(dlp, &url.path))
            && self.settles_stripped(dlp, url.path.strip_prefix(b"/").unwrap_or(&url.path))
            && (url.raw_path.is_empty() || has_no_escape(&url.path))
            && has_no_escape(query)
            && (has_no_escape(&url.raw_query) || self.screen.settles(dlp, query))
            && self.settles_stripped(dlp, query)
    }

    /// The same for a text without noise, if there is any.
    fn settles_stripped(&self, dlp: &Scanner, text: &[u8]) -> bool {
        !text::has_noise(text) || self.screen.settles_without(dlp, text, text::is_noise)
    }

    /// Canonical string, path, whole query, raw path, host, keys and values, one by one.
    fn some_part_matches(&self, dlp: &Scanner, scan: &Scan<'_>) -> bool {
        let url = &scan.url;
        let without_dots =
            || url.host_name().iter().copied().filter(|&byte| byte != b'.').collect::<Vec<u8>>();
        self.may_match(dlp, scan.canonical())
            || self.matches(dlp, &url.path)
            || self.may_match(dlp, scan.query())
            || (!url.raw_path.is_empty() && self.may_match(dlp, &text::percent_decode_all(&url.raw_path)))
            || self.may_match(dlp, &without_dots())
            || views::pairs(&url.raw_query).any(|(key, value)| {
                [key, value].iter().any(|part| self.matches(dlp, &text::percent_decode_all(part)))
            })
    }

    /// A text, or the text without noise.
    fn matches(&self, dlp: &Scanner, text: &[u8]) -> bool {
        self.may_match(dlp, text)
            || text::strip_noise(text).is_some_and(|stripped| self.may_match(dlp, &stripped))
    }

    fn some_part_decodes(&self, dlp: &Scanner, scan: &Scan<'_>) -> bool {
        let mut decodings = None;
        let mut decodes = |text: &[u8]| {
            text.len() >= self.shortest_encoded
                && decodings.get_or_insert_with(|| dlp.decodings()).may_hold(text)
        };
        let mut decodes_in_any_form =
            |text: &[u8]| decodes(text) || (!has_no_escape(text) && decodes(&text::percent_decode_all(text)));
        let mut segments = views::segments(&scan.url.path).filter(|part| part.len() >= MIN_SEGMENT);
        if segments.any(&mut decodes_in_any_form) {
            return true;
        }
        let query = &*scan.url.raw_query;
        if query.len() < self.shortest_encoded {
            return false;
        }
        if memchr::memchr3(b'%', b'+', b';', query).is_some() {
            let mut parts = views::pairs(query).flat_map(|(key, value)| [key, value]);
            return parts.any(|part| decodes(&text::percent_decode_all(&part)));
        }
        // Nothing is decoded or left out.
        scan.raw_pairs().any(|[key, value]| decodes(key) || decodes(value))
    }

    /// Whether a rule may match the join of all values of a query, the same without noise, or a join of a few.
    fn some_join_matches(&self, dlp: &Scanner, scan: &Scan<'_>) -> bool {
        if memchr::memchr(b'&', &scan.url.raw_query).is_none() {
            return false;
        }
        let values = scan.values();
        let joined = values.joined();
        (!self.settles_stripped(dlp, joined)
            && text::strip_noise(joined).is_some_and(|stripped| self.may_match(dlp, &stripped)))
            || self.screen.joins(dlp, values).unwrap_or_else(|| {
                let mut examine = |text: &[u8]| match self.may_match(dlp, text) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                };
                examine(joined).is_break() || views::visit(scan, &views::LAST, &mut examine).is_break()
            })
    }

    /// Gives the joins of a few values that a rule of the list may match to `examine`, in order, until it breaks. `None` when
    /// each of them has to be looked at.
    pub(super) fn visit_joins<B>(
        &self,
        dlp: &Scanner,
        list: RuleList,
        scan: &Scan<'_>,
        examine: &mut impl FnMut(&[u8]) -> ControlFlow<B>,
    ) -> Option<ControlFlow<B>> {
        if memchr::memchr(b'&', &scan.url.raw_query).is_none() {
            return Some(ControlFlow::Continue(()));
        }
        self.screen.visit_joins(dlp, list, scan.values(), examine)
    }

    /// Whether the URL, in whatever way it is cut into words, holds too few of those for a seed phrase, and nothing that may be
    /// an encoded one. A word stands between characters that are not letters and that decoding does not change, so each one
    /// is seen in the fully decoded text.
    pub(super) fn has_no_seed_phrase(scan: &Scan<'_>) -> bool {
        let is_short = || {
            let ends = |byte: &u8| matches!(byte, b'/' | b'&' | b'?' | b'#');
            scan.canonical().split(ends).all(|part| part.len() < SEED_ENCODED)
        };
        let decoded = scan.decoded_canonical();
        (scan.cleared.decodings || is_short())
            // Letters beyond ASCII may become ASCII ones in lower case.
            && decoded.is_ascii()
            && memchr::memchr(b'%', decoded).is_none()
            && Scanner::has_few_seed_words(decoded, SEED_WORDS)
    }
}

/// Whether the text decodes to itself and has nothing to strip.
pub(super) fn is_settled_text(text: &[u8]) -> bool {
    text::is_printable(text) && has_no_escape(text)
}

/// Whether percent-decoding leaves a text as it is.
pub(super) fn has_no_escape(text: &[u8]) -> bool {
    memchr::memchr2(b'%', b'+', text).is_none()
}
