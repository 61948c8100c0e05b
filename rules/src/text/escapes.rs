//! Characters that are written as escapes of programming languages: `\u0041`, `\x41`, `\u{41}`, `\U00000041`, `\101`; line ends, tabs
//! and quotes (`\n`, `\"`) before what may be a credential; beside such ones all of these and `\/`; and `%u0041`.
//!
//! A document inside a string of another one is escaped once more at each level, so any number of backslashes is as good as one.
//! Only what stands near an escape is read: ordinary texts have a few, and are searched as they are besides.

use std::ops::Range;

use crate::decode::is_base64_digit;

/// Levels of escapes that are undone.
const MAX_ROUNDS: usize = 4;
/// What is read before and behind an escape, bytes. Longer than what any credential is recognised by.
const NEAR: usize = 512;
/// Most by which more is read, so that no word is cut.
const WORD: usize = 128;
/// What is looked through at once for the beginning of an escape, bytes.
const BLOCK: usize = 256;
/// Digits of the shortest encoded credential, or of a token, before which the letter of an escape is not read as one of them.
const LONG: usize = 16;

/// The parts of a text with escapes in them, with what these stand for in their place; `None` if there are none.
pub fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    if !may_hold_escapes(text) {
        return None;
    }
    let mut current = once(text)?;
    for _ in 1..MAX_ROUNDS {
        match once(&current) {
            Some(next) => current = next,
            None => return Some(current),
        }
    }
    // Deeper ones stay unread: the result holds none, however often it is asked.
    current.retain(|&byte| byte != b'\\');
    Some(current)
}

/// [`unescaped`] of a text with `%u0041` in it, as JavaScript's `escape` writes; `None` if there is none.
pub fn unescaped_percent(text: &[u8]) -> Option<Vec<u8>> {
    let mut written: Option<Vec<u8>> = None;
    for at in memchr::memchr_iter(b'%', text) {
        if text.get(at + 1) == Some(&b'u')
            && text.get(at + 2..at + 6).is_some_and(|digits| number(digits).is_some())
        {
            written.get_or_insert_with(|| text.to_vec())[at] = b'\\';
        }
    }
    unescaped(&written?)
}

/// Whether a letter or digit is written as an escape. Punctuation and spaces are escaped by many programs.
pub(super) fn hide_letters(text: &[u8]) -> bool {
    let is_letter =
        |at: usize| escape(&text[at + 1..]).and_then(|(c, _)| c).is_some_and(|c| c.is_alphanumeric());
    holds_numbers(text) && memchr::memchr_iter(b'\\', text).any(is_letter)
}

/// False is certain. Code has a backslash in each line, and seldom one of these behind it.
fn may_hold_escapes(text: &[u8]) -> bool {
    holds_numbers(text)
        || memchr::memchr_iter(b'\\', text).any(|at| length_that_matters(&text[at + 1..]).is_some())
}

/// Whether characters may be written by their numbers. False is certain.
fn holds_numbers(text: &[u8]) -> bool {
    let Some(first) = memchr::memchr(b'\\', text) else { return false };
    let (text, next) = (&text[first..], &text[first + 1..]);
    let begins =
        |(&a, &b): (&u8, &u8)| (a == b'\\') & ((b | 0x20 == b'u') | (b == b'x') | (b & 0xfe == b'0'));
    // In blocks without a way out, so that they become vectors.
    let mut blocks = text.chunks(BLOCK).zip(next.chunks(BLOCK));
    blocks.any(|(text, next)| text.iter().zip(next).map(begins).fold(false, |any, one| any | one))
}

fn once(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut part = 0..0;
    while let Some(next) = part_with_escapes(text, part.end) {
        part = next;
        if !out.is_empty() {
            out.push(b' ');
        }
        replace(&text[part.clone()], &mut out);
    }
    (!part.is_empty()).then_some(out)
}

/// The next escapes that are near each other, and what is near them.
fn part_with_escapes(text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut part: Option<Range<usize>> = None;
    for at in memchr::memchr_iter(b'\\', &text[from..]).map(|at| from + at) {
        if part.as_ref().is_some_and(|part| at > part.end + NEAR) {
            break;
        }
        if let Some(length) = length_that_matters(&text[at + 1..]) {
            let start = part.map_or(at.saturating_sub(NEAR).max(from), |part| part.start);
            part = Some(start..(at + 1 + length + NEAR).min(text.len()));
        }
    }
    let part = part?;
    let is_word = |byte: &&u8| byte.is_ascii_alphanumeric();
    let before = text[from..part.start].iter().rev().take(WORD).take_while(is_word).count();
    let behind = text[part.end..].iter().take(WORD).take_while(is_word).count();
    Some(part.start - before..part.end + behind)
}

/// The length of an escape without its backslash, if it is one for which a text is read. Slashes, quotes and line ends are escaped
/// in most texts: of these only line ends whose letter would become a part of what follows, and quotes before a long word.
fn length_that_matters(text: &[u8]) -> Option<usize> {
    let (first, rest) = text.split_first()?;
    let word = || rest.iter().take(LONG).take_while(|&&b| is_base64_digit(b)).count();
    match first {
        b'/' => None,
        b'"' | b'\'' => (word() == LONG).then_some(1),
        b'n' | b'r' | b't' | b'b' | b'f' | b'v' => {
            let word = word();
            (word == LONG || word > 0 && begins_a_group(rest, word)).then_some(1)
        }
        _ => escape(text).map(|(_, length)| length),
    }
}

/// Whether a text that begins with a word of so many bytes begins like a number, a hex dump, an account number, or a word of a seed
/// phrase on a line of its own.
fn begins_a_group(text: &[u8], word: usize) -> bool {
    match text[..word] {
        [b'0', b'x' | b'X', ..] => true,
        [first, second, ..] if first.is_ascii_digit() => second.is_ascii_hexdigit(),
        [a, b, c, d, ..] if a.is_ascii_uppercase() => {
            b.is_ascii_uppercase() && c.is_ascii_digit() && d.is_ascii_digit()
        }
        _ => {
            text.get(word) == Some(&b'\\')
                && (3..=8).contains(&word)
                && text[..word].iter().all(u8::is_ascii_lowercase)
        }
    }
}

fn replace(text: &[u8], out: &mut Vec<u8>) {
    let mut copied = 0;
    for at in memchr::memchr_iter(b'\\', text) {
        // The second half of a pair has gone with the first.
        if at < copied {
            continue;
        }
        let Some((c, length)) = escape(&text[at + 1..]) else { continue };
        let before = &text[copied..at];
        let end = before.iter().rposition(|&byte| byte != b'\\').map_or(0, |last| last + 1);
        out.extend_from_slice(&before[..end]);
        if let Some(c) = c {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        copied = at + 1 + length;
    }
    out.extend_from_slice(&text[copied..]);
}

/// What the bytes behind a backslash stand for, and how many they are. Half a pair of surrogates stands for nothing.
fn escape(text: &[u8]) -> Option<(Option<char>, usize)> {
    match text {
        [b'/', ..] => Some((Some('/'), 1)),
        [b'n' | b'r', ..] => Some((Some('\n'), 1)),
        [b't', ..] => Some((Some('\t'), 1)),
        [b'b' | b'f' | b'v', ..] => Some((Some(' '), 1)),
        &[quote @ (b'"' | b'\''), ..] => Some((Some(char::from(quote)), 1)),
        [b'u' | b'x', b'{', rest @ ..] => {
            let end = rest.iter().take(7).position(|&byte| byte == b'}')?;
            Some((char::from_u32(number(&rest[..end])?), end + 3))
        }
        [b'u', rest @ ..] => {
            let unit = number(rest.get(..4)?)?;
            match (unit, low_half(&rest[4..])) {
                (0xd800..=0xdbff, Some((low, length))) => {
                    let c = char::from_u32(0x10000 + ((unit & 0x3ff) << 10 | low & 0x3ff));
                    Some((c, 5 + length))
                }
                _ => Some((char::from_u32(unit), 5)),
            }
        }
        [b'U', rest @ ..] => Some((char::from_u32(number(rest.get(..8)?)?), 9)),
        [b'x', rest @ ..] => Some((char::from_u32(number(rest.get(..2)?)?), 3)),
        // Of ASCII, all three digits.
        &[b'0' | b'1', second @ b'0'..=b'7', third @ b'0'..=b'7', ..] => {
            let digits = [text[0], second, third].map(|digit| digit - b'0');
            Some((Some(char::from(digits[0] << 6 | digits[1] << 3 | digits[2])), 3))
        }
        _ => None,
    }
}

/// The second half of a pair of surrogates, and its length with its backslashes.
fn low_half(text: &[u8]) -> Option<(u32, usize)> {
    let backslashes = text.iter().take(8).take_while(|&&byte| byte == b'\\').count();
    let rest = text[backslashes..].strip_prefix(b"u").filter(|_| backslashes > 0)?;
    let unit = number(rest.get(..4)?)?;
    (0xdc00..=0xdfff).contains(&unit).then_some((unit, backslashes + 5))
}

fn number(digits: &[u8]) -> Option<u32> {
    let add = |n: u32, &digit: &u8| n.checked_mul(16)?.checked_add(char::from(digit).to_digit(16)?);
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_of_all_kinds_are_read_at_any_depth() {
        let cases: &[(&str, Option<&str>)] = &[
            (r"\u0041KIA", Some("AKIA")),
            (r"a\\\\u0041\x42\u{43}\U00000044\x{45}b", Some("aABCDEb")),
            (r"\u005cu0041", Some("A")),
            (r"\u0061\/b\\/c", Some("a/b/c")),
            (r"a\/b", None),
            (r"\101\113I\\101 \040\1012", Some("AKIA  A2")),
            (r"\0 \10 \18a \201 \377 \108 s/(a)/\1b/", None),
            (r"a\u002fb", Some("a/b")),
            (r"\ud835\udc00\ud835\\udc01\ud835-\udc00", Some("\u{1d400}\u{1d401}-")),
            (r"\n\t\\ C:\users \u12 \u{} \u{1234567} \x4 \U0041", None),
            (r#"k:\n123-45-6789\"\tx"#, Some("k:\n123-45-6789\"\tx")),
            (r"k:\\nabcdefghijklmnop\r\n", Some("k:\nabcdefghijklmnop\n\n")),
            (r"dump\n41 42 43\tend", Some("dump\n41 42 43\tend")),
            (r"a\n0x41, 0x42", Some("a\n0x41, 0x42")),
            (r"to\nDE89 3704", Some("to\nDE89 3704")),
            (r"to\nNO9386011117947", Some("to\nNO9386011117947")),
            (r"\nabandon\nability\nable", Some("\nabandon\nability\nable")),
            (r#"{\"k\":\"abcdefghijklmnop\"}"#, Some(r#"{"k":"abcdefghijklmnop"}"#)),
            (r#"print(\"a\n\");\nprint \tshort \n1"#, None),
            ("plain", None),
            ("", None),
        ];
        for (text, wanted) in cases {
            let found = unescaped(text.as_bytes());
            assert_eq!(found.as_deref(), wanted.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn escapes_of_javascript_are_read() {
        let cases: &[(&str, Option<&str>)] = &[
            ("%u0041%u004BIA", Some("AKIA")),
            (r"%u0041\x42", Some("AB")),
            ("%uD835%uDC00", Some("\u{1d400}")),
            ("%u004 %U0041 %41 100%unit %", None),
            (r"\u0041", None),
        ];
        for (text, wanted) in cases {
            let found = unescaped_percent(text.as_bytes());
            assert_eq!(found.as_deref(), wanted.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn only_what_is_near_is_read_and_no_word_is_cut() {
        let far = "x ".repeat(600);
        let text = format!("{far}{}\\u0041{}\\x42{far}\\u0043", "y".repeat(600), "z ".repeat(400));
        let found = unescaped(text.as_bytes()).expect("escapes");
        let found = std::str::from_utf8(&found).expect("text");
        let (first, last) = found.split_at(found.len() - 2 * 256 - 1);
        assert!(
            first.starts_with(&"y".repeat(600)) && first.contains("yAz ") && first.contains(" Bx "),
            "{found}"
        );
        assert!(last.ends_with("x C"), "{found}");
        assert!(found.len() < text.len() - 1000, "{} of {}", found.len(), text.len());
    }

    proptest! {
        #[test]
        fn what_is_unescaped_is_shorter_and_holds_no_escape(
            parts in prop::collection::vec(r"\\|\\\\|u|x|/|005c|5c|d835|dc00|\{|\}|[a-f]|U", 0..40),
        ) {
            let text = parts.concat();
            if let Some(found) = unescaped(text.as_bytes()) {
                prop_assert!(found.len() < text.len());
                prop_assert_eq!(unescaped(&found), None, "{}", text);
            } else {
                prop_assert_eq!(once(text.as_bytes()), None, "{}", text);
            }
        }
    }
}
