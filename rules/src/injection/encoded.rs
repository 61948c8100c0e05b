//! Pass 6: base64 and hex payloads, nested up to five deep. spec: response-scan §4.4
//!
//! The reference tries five decoders one after another; four of them can only give the same bytes, so each distinct
//! result is looked at once. What the whole-text step has looked at is not looked at again as a segment.

use crate::decode::{base64, hex_plain, is_base64_digit};
use crate::dlp::vector::{Class, each_run};
use crate::scratch::Buffer;

/// Nesting that is still seen.
const DEPTH: u8 = 5;
/// Shortest segment, its padding included.
const SEGMENT: usize = 16;
/// Shortest run that makes the pass look at a text at all.
const RUN: usize = 8;
/// Padding characters that belong to a segment.
const PADDING: usize = 2;

/// Whether a normalised text can hold a payload at all.
pub(super) fn is_candidate(text: &str) -> bool {
    text.as_bytes().split(|&b| !is_base64_digit(b) && b != b'=').any(|run| run.len() >= RUN)
}

/// Calls `check` with every payload in the order of the specification, until it gives something.
pub(super) fn search<T>(text: &[u8], check: &mut impl FnMut(&[u8]) -> Option<T>) -> Option<T> {
    at_depth(text, 0, check)
}

fn at_depth<T>(text: &[u8], depth: u8, check: &mut impl FnMut(&[u8]) -> Option<T>) -> Option<T> {
    if depth >= DEPTH {
        return None;
    }
    let whole: Option<Vec<u8>> = text
        .iter()
        .copied()
        .filter(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
        .map(|b| (is_base64_digit(b) || b == b'=').then_some(b))
        .collect();
    if let Some(whole) = &whole {
        for payload in decodings(whole) {
            if let Some(found) = check(&payload).or_else(|| at_depth(&payload, depth + 1, check)) {
                return Some(found);
            }
        }
    }
    let mut found = None;
    segments(text, |segment| {
        if whole.as_deref() == Some(segment) || !may_be_text(segment) {
            return false;
        }
        let payloads = decodings(segment).into_iter().filter(|p| is_text(p));
        found = { payloads }.find_map(|p| check(&p).or_else(|| at_depth(&p, depth + 1, check)));
        found.is_some()
    });
    found
}

/// The distinct non-empty results of the five decoders.
fn decodings(text: &[u8]) -> Vec<Vec<u8>> {
    let base64 = base64(text).map(|decoded| decoded.bytes);
    base64.into_iter().chain(hex_plain(text)).collect()
}

/// Calls `each` with maximal runs of the alphabet with their padding, where long enough, until it returns true.
fn segments(text: &[u8], mut each: impl FnMut(&[u8]) -> bool) {
    const ALPHABET: Class = Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_");
    each_run(text, &ALPHABET, (SEGMENT - PADDING) as u32, &mut Buffer::new(), |start, end| {
        let padding = text[end..].iter().take(PADDING).take_while(|&&b| b == b'=').count();
        end + padding - start >= SEGMENT && each(&text[start..end + padding])
    });
}

/// Characters of a segment whose decoding tells most binary payloads from text.
const SAMPLE: usize = 64;

/// Whether some decoding of a segment can be UTF-8, judged by its first bytes.
fn may_be_text(segment: &[u8]) -> bool {
    let sample = &segment[..segment.len().min(SAMPLE) & !3];
    let broken = |bytes: &[u8]| std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_some());
    segment.len() <= SAMPLE || decodings(sample).iter().any(|bytes| !broken(bytes))
}

/// UTF-8 of which at least four fifths are printable.
fn is_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (mut total, mut printable) = (0usize, 0usize);
    for c in text.chars() {
        total += 1;
        printable += usize::from(is_printable(c));
    }
    printable * 5 >= total * 4
}

/// Letters, marks, numbers, punctuation, symbols, U+0020, tab, LF, CR.
fn is_printable(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | ' '..='~' => true,
        '\0'..='\u{9f}' | '\u{ad}' => false,
        c => printable_class()
            .binary_search_by(|&(lo, hi)| {
                if hi < c {
                    std::cmp::Ordering::Less
                } else if lo > c {
                    std::cmp::Ordering::Greater
                } else {
                    std::cmp::Ordering::Equal
                }
            })
            .is_ok(),
    }
}

fn printable_class() -> &'static [(char, char)] {
    static CLASS: std::sync::OnceLock<Vec<(char, char)>> = std::sync::OnceLock::new();
    CLASS.get_or_init(|| match regex_syntax::parse(r"[\pL\pM\pN\pP\pS]").map(|hir| hir.into_kind()) {
        Ok(regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class))) => {
            class.ranges().iter().map(|r| (r.start(), r.end())).collect()
        }
        // Not reached: the properties are part of the tables compiled in (a test looks at it).
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_keep_up_to_two_padding_characters_and_need_sixteen_bytes() {
        let table: [(&str, &[&str]); 5] = [
            ("abcdefghijklmn==", &["abcdefghijklmn=="]),
            ("abcdefghijklm==", &[]),
            ("x=abcdefghijklmnop===&y", &["abcdefghijklmnop=="]),
            ("aaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbb", &["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"]),
            ("", &[]),
        ];
        for (text, want) in table {
            let mut got = Vec::new();
            segments(text.as_bytes(), |segment| {
                got.push(String::from_utf8_lossy(segment).into_owned());
                false
            });
            assert_eq!(got, want, "{text:?}");
        }
    }

    #[test]
    fn printable_means_visible_in_any_script() {
        for c in ['é', '中', '\u{301}', '٣', '—', '€'] {
            assert!(is_printable(c), "{c:?}");
        }
        for c in ['\u{a0}', '\u{200b}', '\u{e000}', '\u{0}', '\u{85}'] {
            assert!(!is_printable(c), "{c:?}");
        }
    }
}
