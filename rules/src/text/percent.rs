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

/// One round: `+` becomes a space, `%hh` its byte. `None` when some `%` is not followed by two hex digits; borrowed
/// when there is nothing to decode.
pub fn percent_decode_once(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(first) = memchr::memchr2(b'%', b'+', text) else {
        return Some(Cow::Borrowed(text));
    };
    let mut out = Vec::with_capacity(text.len());
    let (mut copied, mut at) = (0, first);
    loop {
        out.extend_from_slice(&text[copied..at]);
        if text[at] == b'%' {
            let high = text.get(at + 1).copied().and_then(hex)?;
            let low = text.get(at + 2).copied().and_then(hex)?;
            out.push(high << 4 | low);
            copied = at + 3;
        } else {
            out.push(b' ');
            copied = at + 1;
        }
        match memchr::memchr2(b'%', b'+', &text[copied..]) {
            Some(next) => at = copied + next,
            None => break,
        }
    }
    out.extend_from_slice(&text[copied..]);
    Some(Cow::Owned(out))
}

/// Rounds of [`percent_decode_once`] until one fails or changes nothing, at most 500; the last good text
/// (spec: dlp §8.2, url-scan §10.1). Borrowed when nothing was decoded.
pub fn percent_decode_all(text: &[u8]) -> Cow<'_, [u8]> {
    let mut current = Cow::Borrowed(text);
    for _ in 0..MAX_ROUNDS {
        match percent_decode_once(&current) {
            Some(Cow::Owned(next)) if *next != *current => current = Cow::Owned(next),
            _ => break,
        }
    }
    current
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
