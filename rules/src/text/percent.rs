//! Percent-decoding as the reference does it: whole string or nothing, `+` is a space, and again until it settles.

use std::borrow::Cow;

/// Rounds of [`percent_decode_all`] (spec: dlp §8.2).
const MAX_ROUNDS: usize = 500;

fn hex(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

/// The byte that an escape at the start of `text` stands for.
fn escaped(text: &[u8]) -> Option<u8> {
    match text {
        [b'%', high, low, ..] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

/// One round: `+` becomes a space, `%hh` its byte. `None` when some `%` is not followed by two hex digits; borrowed
/// when there is nothing to decode.
pub fn percent_decode_once(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(first) = memchr::memchr2(b'%', b'+', text) else {
        return Some(Cow::Borrowed(text));
    };
    // In prose and code the first one is mostly none.
    if memchr::memchr(b'%', &text[first..]).is_some_and(|at| escaped(&text[first + at..]).is_none()) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(&text[..first]);
    decode_onto(&text[first..], &mut out).then_some(Cow::Owned(out))
}

/// Rounds of [`percent_decode_once`] until one fails or changes nothing, at most 500; the last good text
/// (spec: dlp §8.2, url-scan §10.1). Borrowed when nothing was decoded.
pub fn percent_decode_all(text: &[u8]) -> Cow<'_, [u8]> {
    match percent_decode_once(text) {
        Some(Cow::Owned(mut out)) => {
            settle(&mut out, 0);
            Cow::Owned(out)
        }
        _ => Cow::Borrowed(text),
    }
}

/// Appends [`percent_decode_all`] of `text` to `out`.
pub fn percent_decode_all_onto(text: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    if decode_onto(text, out) {
        settle(out, start);
    } else {
        out.truncate(start);
        out.extend_from_slice(text);
    }
}

/// The rounds after the first, on everything from `start` on, in place.
fn settle(text: &mut Vec<u8>, start: usize) {
    for _ in 1..MAX_ROUNDS {
        let Some(first) = memchr::memchr2(b'%', b'+', &text[start..]) else { return };
        if !memchr::memchr_iter(b'%', &text[start..]).all(|at| escaped(&text[start + at..]).is_some()) {
            return;
        }
        let (mut from, mut to) = (start + first, start + first);
        while from < text.len() {
            // Every `%` was seen to be a good escape.
            let escaped = escaped(&text[from..]);
            text[to] = escaped.unwrap_or(b' ');
            (from, to) = (from + if escaped.is_some() { 3 } else { 1 }, to + 1);
            let same = memchr::memchr2(b'%', b'+', &text[from..]).unwrap_or(text.len() - from);
            text.copy_within(from..from + same, to);
            (from, to) = (from + same, to + same);
        }
        text.truncate(to);
    }
}

/// One round, appended to `out`; false when it fails.
fn decode_onto(text: &[u8], out: &mut Vec<u8>) -> bool {
    let mut copied = 0;
    for at in memchr::memchr2_iter(b'%', b'+', text) {
        out.extend_from_slice(&text[copied..at]);
        if text[at] == b'+' {
            out.push(b' ');
            copied = at + 1;
            continue;
        }
        let Some(byte) = escaped(&text[at..]) else { return false };
        out.push(byte);
        copied = at + 3;
    }
    out.extend_from_slice(&text[copied..]);
    true
}

/// Like [`percent_decode_all`], but a `%` without two hex digits stays as it is and disables nothing, and `+` stays
/// `+`. Every round shortens the text, so the number of rounds is bounded by its length; `max_rounds` bounds the work.
pub fn percent_decode_lenient(text: &[u8], max_rounds: usize) -> Cow<'_, [u8]> {
    let mut current = Cow::Borrowed(text);
    for _ in 0..max_rounds {
        let mut out = Vec::new();
        let mut copied = 0;
        for i in memchr::memchr_iter(b'%', &current) {
            if i < copied {
                continue;
            }
            let digit = |at: usize| current.get(at).copied().and_then(hex);
            if let (Some(high), Some(low)) = (digit(i + 1), digit(i + 2)) {
                out.extend_from_slice(&current[copied..i]);
                out.push(high << 4 | low);
                copied = i + 3;
            }
        }
        if copied == 0 {
            break;
        }
        out.extend_from_slice(&current[copied..]);
        current = Cow::Owned(out);
    }
    current
}
