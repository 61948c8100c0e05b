//! Credentials that only the name beside them tells, as `SecretAccessKey` does of forty letters: in JSON, forms and headers name
//! and value are strings of their own.
//!
//! difference D-824

use muselet_rules::dlp::{Match, Scanner};

/// Bytes of a value that may be a credential, and of the longest name.
const VALUE: std::ops::RangeInclusive<usize> = 16..=256;
const MAX_NAME: usize = 64;

/// Whether a value of so many bytes, with escapes of up to six for each, may be looked at.
pub(super) fn is_long_enough(length: usize) -> bool {
    (*VALUE.start()..=6 * *VALUE.end()).contains(&length)
}

/// Adds name and value as they would stand in a text, where the name says that the value is secret, and the value is one word.
pub(super) fn note(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let value = value.trim_ascii();
    let is_word = || !value.iter().any(u8::is_ascii_whitespace);
    if VALUE.contains(&value.len()) && name.len() <= MAX_NAME && says_secret(name) && is_word() {
        // The blank keeps a value from becoming one word with the next name.
        text.extend([name, b"=", value, b" \n"].into_iter().flatten());
    }
}

/// Whether a word of names of credentials is in a name. Records have many members: each name is gone over once.
fn says_secret(name: &[u8]) -> bool {
    let is_at = |(at, byte): (usize, &u8)| {
        let words: &[&[u8]] = match byte.to_ascii_lowercase() {
            b'a' => &[b"auth"],
            b'c' => &[b"cred"],
            b'k' => &[b"key"],
            b'p' => &[b"pass", b"pwd"],
            b's' => &[b"secret"],
            b't' => &[b"token"],
            _ => return false,
        };
        let starts =
            |word: &&[u8]| name[at..].get(..word.len()).is_some_and(|there| there.eq_ignore_ascii_case(word));
        words.iter().any(starts)
    };
    name.iter().enumerate().any(is_at)
}

/// What is found in such a text. Only what is critical counts: names and passwords of logins are ordinary.
pub(super) fn secrets_in(scanner: &Scanner, text: &[u8]) -> Vec<Match> {
    let mut found = if text.is_empty() { Vec::new() } else { scanner.scan_text(text).matches };
    found.retain(|hit| *hit.severity == *"critical");
    found
}
