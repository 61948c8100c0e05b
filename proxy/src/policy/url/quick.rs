//! The short way through the secret layers: most URLs hold nothing that any rule, seed phrase or literal secret could be
//! found in, and for them this module says so without making the texts that the layers examine one by one.
//!
//! Every answer here is conservative. "Nothing can match" is certain, because the same texts are screened that the layers
//! examine (each in a buffer that is used again); anything else sends the URL through the layers as the specification
//! describes them. A property test compares the pipeline with and without this module.

use std::cell::RefCell;

use muselet_rules::dlp::{Scanner, Screen};
use muselet_rules::text;

use super::Scan;
use super::views::{self, MOST_VALUES};

/// Deepest nesting of encodings that hardened mode unwraps.
pub(super) const DEPTH: usize = 3;
/// Fewest words of a seed phrase, and the length of the shortest encoding of one: 12 words of three letters, in base64.
const SEED_WORDS: usize = 12;
const SEED_ENCODED: usize = 60;

thread_local! {
    /// Where texts are put together.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What can be said about a scanner's rules and secrets without evaluating them.
#[derive(Debug)]
pub(super) struct Quick {
    screen: Screen,
    depth: usize,
    /// A text shorter than this decodes to nothing long enough to match.
    shortest_encoded: usize,
}

impl Quick {
    pub(super) fn new(dlp: &Scanner, is_hardened: bool) -> Self {
        let screen = Screen::new(dlp);
        let shortest = screen.shortest_match();
        Self {
            screen,
            depth: if is_hardened { DEPTH } else { 1 },
            // Base64 keeps three quarters, and normalisation at most doubles what is left.
            shortest_encoded: shortest * 2 / 3,
        }
    }

    /// Whether a rule may match `text`.
    pub(super) fn may_match(&self, dlp: &Scanner, text: &[u8]) -> bool {
        self.screen.may_match(dlp, text)
    }

    /// Whether no rule can match any text that the rule layers examine.
    pub(super) fn no_rule_matches(&self, dlp: &Scanner, scan: &Scan<'_>) -> bool {
        let canonical = scan.canonical();
        let url = &scan.url;
        // A URL without escapes and with nothing to fold: all texts but the decodings and the joins are parts of two.
        let is_plain = text::is_printable(canonical)
            && memchr::memchr3(b'%', b'+', b';', canonical).is_none()
            && self.screen.settles(canonical)
            && !with_stripped(canonical, |stripped| !self.screen.settles(stripped));
        if !is_plain && self.some_part_matches(dlp, scan) {
            return false;
        }
        let mut encoded =
            url.path.split(|&byte| byte == b'/').filter(|part| part.len() >= views::MIN_SEGMENT);
        if encoded.any(|segment| self.some_decoding_matches(dlp, segment, self.depth)) {
            return false;
        }
        if url.raw_query.is_empty() {
            return true;
        }
        let some_pair_matches = views::pairs(&url.raw_query).any(|(key, value)| {
            [key, value].iter().any(|part| {
                let part = text::percent_decode_all(part);
                self.some_decoding_matches(dlp, &part, self.depth) || (!is_plain && self.matches(dlp, &part))
            })
        });
        !some_pair_matches && !self.some_join_matches(dlp, &url.raw_query)
    }

    /// Canonical string, path, whole query, raw path, host.
    fn some_part_matches(&self, dlp: &Scanner, scan: &Scan<'_>) -> bool {
        let url = &scan.url;
        self.may_match(dlp, scan.canonical())
            || self.matches(dlp, &url.path)
            || self.may_match(dlp, scan.query())
            || (!url.raw_path.is_empty() && self.may_match(dlp, &text::percent_decode_all(&url.raw_path)))
            || with_filtered(url.host_name(), |byte| byte != b'.', |joined| self.may_match(dlp, joined))
    }

    /// A text, or the text without noise.
    fn matches(&self, dlp: &Scanner, text: &[u8]) -> bool {
        self.may_match(dlp, text) || with_stripped(text, |stripped| self.may_match(dlp, stripped))
    }

    fn some_decoding_matches(&self, dlp: &Scanner, text: &[u8], depth: usize) -> bool {
        depth > 0
            && text.len() >= self.shortest_encoded
            && views::decodings(text).any(|decoded| {
                self.may_match(dlp, &decoded) || self.some_decoding_matches(dlp, &decoded, depth - 1)
            })
    }

    fn some_join_matches(&self, dlp: &Scanner, raw_query: &[u8]) -> bool {
        let Some(values) = views::ordered_values(raw_query) else { return false };
        let all = with_parts(values.iter().map(|value| &**value), |joined| self.matches(dlp, joined));
        if all || values.len() < 3 {
            return all;
        }
        let values: Vec<&[u8]> = values.iter().take(MOST_VALUES).map(|value| &**value).collect();
        self.screen.joins(dlp, &values)
    }

    /// Whether the URL holds too few words for a seed phrase, and nothing long enough to be an encoded one.
    pub(super) fn has_no_seed_phrase(scan: &Scan<'_>) -> bool {
        let canonical = scan.canonical();
        let (mut separators, mut part, mut longest) = (0, 0, 0);
        for &byte in canonical {
            part += 1;
            match byte {
                b'/' | b'&' | b'?' | b'#' => {
                    separators += 1;
                    longest = longest.max(part);
                    part = 0;
                }
                b'-' | b',' | b'|' | b';' | b':' | b'.' | b'+' | b'%' | 0..=b' ' | 0x7f..=0xff => {
                    separators += 1
                }
                _ => {}
            }
        }
        longest.max(part) < SEED_ENCODED && (separators + 1 < SEED_WORDS || has_few_seed_words(canonical))
    }
}

/// Whether a text is cut into fewer tokens than a seed phrase has words.
pub(super) fn has_too_few_tokens(text: &[u8]) -> bool {
    let separates =
        |byte: u8| matches!(byte, b'-' | b',' | b'|' | b';' | b':' | b'\t' | b'\n' | 0x0c | b'\r' | b' ');
    text.iter().filter(|&&byte| separates(byte)).count() + 1 < SEED_WORDS
}

/// Whether a URL, in whatever way it is cut into words, has too few words of seed phrases. A word stands between characters
/// that are not letters and that decoding does not change, so each one is seen in the fully decoded text.
fn has_few_seed_words(canonical: &[u8]) -> bool {
    let decoded = text::percent_decode_lenient(canonical, 500);
    // Letters beyond ASCII may become ASCII ones in lower case.
    decoded.is_ascii() && seed_words(&decoded) < SEED_WORDS
}

fn seed_words(text: &[u8]) -> usize {
    let mut buffer = [0u8; 8];
    let is_word = |word: &&[u8]| {
        let Some(lower) = buffer.get_mut(..word.len()) else { return false };
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        word.len() >= 3 && std::str::from_utf8(lower).is_ok_and(Scanner::is_seed_word)
    };
    text.split(|byte| !byte.is_ascii_alphabetic()).filter(is_word).count()
}

/// Whether the text decodes to itself and has nothing to strip.
pub(super) fn is_settled_text(text: &[u8]) -> bool {
    text::is_printable(text) && memchr::memchr2(b'%', b'+', text).is_none()
}

fn with_stripped(text: &[u8], test: impl FnOnce(&[u8]) -> bool) -> bool {
    let noise = |byte| matches!(byte, b'.' | b'/' | b' ' | b'\t' | b'\n' | b'\r' | b'+' | b',' | b';' | b'|');
    with_filtered(text, |byte| !noise(byte), test)
}

/// Tests `text` without the bytes that are not kept, if there are such bytes.
fn with_filtered(text: &[u8], keep: impl Fn(u8) -> bool, test: impl FnOnce(&[u8]) -> bool) -> bool {
    SCRATCH.with(|scratch| {
        // A test may itself come back here; it then gets a buffer of its own.
        let mut buffer =
            scratch.try_borrow_mut().map(|mut buffer| std::mem::take(&mut *buffer)).unwrap_or_default();
        buffer.clear();
        buffer.extend(text.iter().copied().filter(|&byte| keep(byte)));
        let result = buffer.len() != text.len() && test(&buffer);
        let _ = scratch.try_borrow_mut().map(|mut scratch| *scratch = buffer);
        result
    })
}

fn with_parts<'t>(parts: impl Iterator<Item = &'t [u8]>, test: impl FnOnce(&[u8]) -> bool) -> bool {
    SCRATCH.with(|scratch| {
        let mut buffer =
            scratch.try_borrow_mut().map(|mut buffer| std::mem::take(&mut *buffer)).unwrap_or_default();
        buffer.clear();
        parts.for_each(|part| buffer.extend_from_slice(part));
        let result = test(&buffer);
        let _ = scratch.try_borrow_mut().map(|mut scratch| *scratch = buffer);
        result
    })
}
