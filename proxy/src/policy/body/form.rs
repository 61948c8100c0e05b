//! `application/x-www-form-urlencoded` as Go's `url.ParseQuery` reads it.
//!
//! spec: tls-and-request-bodies §13.6

use std::borrow::Cow;
use std::collections::HashSet;

use super::strings::Strings;

/// Items one form may have; one `&` more is an error.
const MAX_SEPARATORS: usize = 9_999;

/// The body is not a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidForm;

/// Collects every distinct name once and every value.
pub(super) fn extract<'a>(body: &'a [u8], into: &mut Strings<'a>) -> Result<(), InvalidForm> {
    if memchr::memchr_iter(b'&', body).count() > MAX_SEPARATORS {
        return Err(InvalidForm);
    }
    let mut names: HashSet<Cow<'a, [u8]>> = HashSet::new();
    for item in body.split(|&byte| byte == b'&').filter(|item| !item.is_empty()) {
        if item.contains(&b';') {
            return Err(InvalidForm);
        }
        let (name, value) = match memchr::memchr(b'=', item) {
            Some(at) => (&item[..at], &item[at + 1..]),
            None => (item, &item[item.len()..]),
        };
        let name = decode(name).ok_or(InvalidForm)?;
        let value = decode(value).ok_or(InvalidForm)?;
        into.note_named(&name, &value);
        if !names.contains(&name) {
            into.push(name.clone());
            names.insert(name);
        }
        into.push_piece(value);
    }
    Ok(())
}

/// `+` to space, `%XX` to its byte; `None` for a `%` without two hex digits.
pub(super) fn decode(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if memchr::memchr2(b'+', b'%', text).is_none() {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'%' => {
                decoded.push(hex_pair(text.get(at + 1..at + 3)?)?);
                at += 2;
            }
            b'+' => decoded.push(b' '),
            other => decoded.push(other),
        }
        at += 1;
    }
    Some(Cow::Owned(decoded))
}

/// The byte that two hex digits mean.
pub(super) fn hex_pair(digits: &[u8]) -> Option<u8> {
    let &[high, low] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    Some(digit(high)? << 4 | digit(low)?)
}
