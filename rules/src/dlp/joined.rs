//! Strings that are scanned each by itself and all together, as those of a request body are: whether any of these texts
//! holds anything, told with little more than one scan.
//!
//! The joined text holds every string, and line ends vanish in its normalised form. So what a rule finds in a string it
//! finds in the joined text as well, unless the string's own start or end has a part in it: a word boundary there, encoded
//! data that no longer stands alone, a number that its neighbour makes longer. Such a match begins or ends with the string
//! and reaches only so far into it ([`reach`]). Therefore two texts are scanned: the joined one, and one of the strings'
//! ends, cut where no match goes across, with `&` between them. That character is the end of a text to every rule that is
//! taken here, to every decoder and to the normalisation.
//!
//! What cannot be shown this way (a string that decodes as a whole, percent-decoding that another string disables) is
//! scanned by itself; rules that cannot be bounded switch all of this off. A property test compares the answer with the
//! scan of every text.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::blocks::{BLOCK, Noise, Noted, Told};
use super::compiled::{Rule, RuleTable};
use super::fast;
use super::recent::Recent;
use super::{Scanner, TextResult, builtin_rules, core_rules};
use crate::Strictness;
use crate::scratch::Buffer;
use crate::text::{self, is_kept, norm_dlp_quick, percent_decode_all};

/// What stands between two ends: see the head of this file.
const BETWEEN: u8 = b'&';
/// Shorter strings hold no piece that the scan would decode between delimiters.
const MIN_PIECE: usize = fast::MIN_PIECE as usize;
/// Strings of this length are worth a look at what they are.
const LONG: usize = 64;
/// Shortest text with a seed phrase.
const MIN_PHRASE: usize = super::seed::MIN_PHRASE;

/// How many characters a match that needs the start or the end of its text reaches into it at most, over all rules; `None`
/// when that is not known for some rule.
pub(super) fn reach(core: &RuleTable, main: &RuleTable) -> Option<usize> {
    let rules = core.rules.iter().chain(&main.rules);
    rules.map(reach_of).try_fold(0, |most, reach| Some(most.max(reach?)))
}

fn reach_of(rule: &Rule) -> Option<usize> {
    let hir = rule.regex().hir();
    let spec = rule.spec();
    let same = |known: &super::RuleSpec| known.regex == spec.regex && known.validator == spec.validator;
    if spec.validator.is_some() {
        // Of successive matches each depends on those before it. The built-in rules' do not go across a space between two
        // letters, which is where texts are cut.
        return longest(hir, false, |_| None)
            .filter(|_| builtin_rules().iter().chain(core_rules()).any(same));
    }
    if !looks_outside(hir) {
        return Some(0);
    }
    if rule.looks_at_edges() && !begins_like_a_parameter(hir) {
        return None;
    }
    longest(hir, true, |_| None)
}

/// Whether an assertion may look at what stands before or behind a match.
fn looks_outside(hir: &Hir) -> bool {
    let consumes = |parts: &[Hir]| parts.iter().any(|p| p.properties().minimum_len() > Some(0));
    match hir.kind() {
        _ if hir.properties().look_set().is_empty() => false,
        HirKind::Look(_) => true,
        HirKind::Concat(parts) => parts
            .iter()
            .enumerate()
            .any(|(i, part)| looks_outside(part) && !(consumes(&parts[..i]) && consumes(&parts[i + 1..]))),
        HirKind::Capture(group) => looks_outside(&group.sub),
        HirKind::Repetition(repetition) => looks_outside(&repetition.sub),
        HirKind::Alternation(parts) => parts.iter().any(looks_outside),
        _ => false,
    }
}

/// Whether the only assertion about an edge of the text is a start at the very beginning, for which an `&` does as well.
fn begins_like_a_parameter(hir: &Hir) -> bool {
    let HirKind::Concat(parts) = hir.kind() else { return false };
    let Some((first, rest)) = parts.split_first() else { return false };
    let HirKind::Alternation(choices) = first.kind() else { return false };
    let is_start = |hir: &Hir| matches!(hir.kind(), HirKind::Look(Look::Start | Look::StartLF));
    let is_ampersand = |hir: &Hir| match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().any(|r| (r.start()..=r.end()).contains(&char::from(BETWEEN)))
        }
        _ => false,
    };
    choices.iter().any(is_ampersand)
        && choices.iter().all(|c| is_start(c) || c.properties().look_set().is_empty())
        && !rest.iter().any(|part| part.properties().look_set().contains_anchor())
}

/// An upper bound of the characters of the shortest match that begins where some match begins: only at its end a match can
/// be made shorter (`last`). Stretches of nothing but spaces are not counted, and what is repeated without bound as `unbounded`
/// says.
pub(super) fn longest(
    hir: &Hir,
    last: bool,
    unbounded: impl Fn(&Hir) -> Option<usize> + Copy,
) -> Option<usize> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(0),
        HirKind::Literal(literal) => Some(literal.0.len()),
        HirKind::Class(_) => Some(1),
        HirKind::Repetition(repetition) => {
            let times = match (repetition.max, repetition.sub.kind()) {
                (Some(max), _) => max,
                (None, HirKind::Class(Class::Unicode(class)))
                    if class.ranges().iter().all(|r| r.end() <= ' ') =>
                {
                    0
                }
                (None, _) if last => repetition.min,
                (None, _) => return unbounded(&repetition.sub),
            };
            longest(&repetition.sub, false, unbounded)?.checked_mul(times as usize)
        }
        HirKind::Concat(parts) => parts.iter().enumerate().try_fold(0usize, |sum, (i, part)| {
            sum.checked_add(longest(part, last && i + 1 == parts.len(), unbounded)?)
        }),
        HirKind::Alternation(parts) => {
            parts.iter().try_fold(0, |most: usize, part| Some(most.max(longest(part, last, unbounded)?)))
        }
        HirKind::Capture(group) => longest(&group.sub, last, unbounded),
    }
}

impl Scanner {
    /// Whether a scan finds nothing (no match, no warning) in each of `strings`, in all of them joined with line feeds,
    /// which is `joined`, and in each of `apart`. True is certain; false says only that the texts have to be scanned one
    /// by one. Equal strings should be neighbours, as they are when `joined` is sorted.
    pub fn finds_nothing<'t>(
        &self,
        joined: &[u8],
        strings: impl Iterator<Item = &'t [u8]> + Clone,
        apart: impl Iterator<Item = &'t [u8]> + Clone,
    ) -> bool {
        let Some(reach) = self.reach else { return false };
        if !strings.clone().all(begins_alone) {
            return false;
        }
        let mut noted = Noted::default();
        // What is asked of each string is asked of all of them first: most texts hold neither.
        let (disabled, ascii, backslashes, percents) = match self.tell_in_blocks(joined, &mut noted) {
            Told::Nothing => {
                let noted = &noted;
                (noted.may_be_escaped(), noted.are_ascii(), noted.holds_backslashes(), noted.holds_percents())
            }
            Told::Unknown if self.is_silent_whole(joined, Some(&noted.noise)) => {
                let percents = becomes(joined, b'%', PERCENT_SIGNS);
                let disabled = percents && decoding_is_disabled(joined);
                (disabled, joined.is_ascii(), memchr::memchr(b'\\', joined).is_some(), percents)
            }
            Told::Something | Told::Unknown => return false,
        };
        // A match that is written in escapes reaches further than one that is not.
        let escapes = |text: &[u8]| match hides_escapes(text) {
            true => self.is_silent(text),
            false => text::unescaped(text).is_none_or(|text| {
                self.is_silent(&text)
                    && text::without_references(&text).is_none_or(|text| self.is_silent(&text))
            }),
        };
        let escaped = backslashes || percents && hides_escapes(joined);
        if self.strictness == Strictness::Hardened
            && !(apart.clone().all(escapes) && (!escaped || strings.clone().all(escapes)))
        {
            return false;
        }
        let mut ends = Ends { s: self, reach, text: Buffer::new(), whole: None, disabled };
        let mut last = None;
        let (mut noise, mut from) = (noted.noise.into_runs().peekable(), 0);
        for string in strings.clone() {
            while noise.next_if(|run| run.start < from).is_some() {}
            let known =
                noise.peek().filter(|run| run.start == from && is_run_of(string, &joined[(**run).clone()]));
            if last.replace(string) != Some(string) && !ends.add(string, false, known.is_some()) {
                return false;
            }
            from += string.len() + 1;
        }
        // Names come again in each record.
        let mut recent = Recent::new();
        let mut again = |string: &'t [u8]| {
            string.is_empty() || recent.of(string).is_some() || {
                recent.remember(string, ());
                false
            }
        };
        if !apart.clone().all(|string| again(string) || ends.add(string, true, false)) || !ends.flush() {
            return false;
        }
        if !ends.disabled {
            return true;
        }
        // A malformed escape in one string keeps the others from being decoded here, but not alone. What plus signs become was
        // looked at nevertheless; canary tokens are searched in more ways.
        let ascii = self.canaries.is_empty() && ascii && apart.clone().all(<[u8]>::is_ascii);
        let mut last = None;
        strings.chain(apart.filter(|string| string.len() < MIN_PHRASE)).all(|string| {
            last.replace(string) == Some(string)
                || ascii && memchr::memchr(b'%', string).is_none()
                || !is_decoded(string)
                || self.is_silent(string)
        })
    }

    fn is_silent(&self, text: &[u8]) -> bool {
        match self.told_in_blocks(text) {
            Told::Nothing => true,
            Told::Something => false,
            Told::Unknown => self.is_silent_whole(text, None),
        }
    }

    fn is_silent_whole(&self, text: &[u8], noise: Option<&Noise>) -> bool {
        self.scan(text, true, None, noise)
            .is_some_and(|(found, complete)| complete && found == TextResult::default())
    }
}

/// The text of the strings' ends.
struct Ends<'s> {
    s: &'s Scanner,
    reach: usize,
    text: Buffer<u8>,
    whole: Option<fast::Whole<'s>>,
    /// Some text was not percent-decoded to its end.
    disabled: bool,
}

impl<'s> Ends<'s> {
    fn whole(&mut self) -> &mut fast::Whole<'s> {
        self.whole.get_or_insert_with(|| fast::Whole::new(self.s))
    }

    /// Whether there is nothing in the ends so far, which are then forgotten: nothing goes across what is between them.
    fn flush(&mut self) -> bool {
        let silent = self.s.is_silent(&self.text);
        self.disabled |= silent && decoding_is_disabled(&self.text);
        self.text.clear();
        silent
    }

    /// Adds the ends of a string, or all of it where it is short, nowhere to be cut, or in no other text (`apart`). False when
    /// there is something in it. `noise`: it is known to be base64 that holds nothing.
    fn add(&mut self, string: &[u8], apart: bool, noise: bool) -> bool {
        if apart && string.len() >= MIN_PHRASE {
            return self.s.is_silent(string);
        }
        // Canary tokens are searched in more ways than those that are looked at here.
        let single = string.len() >= LONG && self.s.canaries.is_empty() && is_single_token(string);
        let whole = whole(string, single);
        // What is no base64 as a whole may hold long runs of it, but hardly ever is one.
        let noise = single && whole != Whole::Plain && (noise || self.whole().is_noise(string));
        let alone = match whole {
            // With line ends removed, at most six bytes.
            Whole::Piece if string.len() < MIN_PIECE => !self.whole().decodes_to_a_match(string, noise),
            Whole::Decodes if single => !self.whole().decodes_to_a_match(string, noise),
            Whole::Decodes => self.s.is_silent(string),
            Whole::Plain | Whole::Piece => true,
        };
        if !alone {
            return false;
        }
        let (head, tail) = match apart {
            false => cuts(string, self.reach, single),
            true => (string.len(), string.len()),
        };
        // What is cut within encoded data would be decoded neither there nor, where it begins or ends the string, in the
        // joined text.
        if single && head < tail && self.whole().encoded_around(string, [head, tail], noise) {
            return false;
        }
        let parts = if head < tail { [&string[..head], &string[tail..]] } else { [string, &[]] };
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            self.text.extend_from_slice(part);
            self.text.push(BETWEEN);
        }
        self.text.len() < BLOCK || self.flush()
    }
}

/// Whether a string is a run of base64 digits, with padding at most.
fn is_run_of(string: &[u8], digits: &[u8]) -> bool {
    string.strip_prefix(digits).is_some_and(|rest| matches!(rest, b"" | b"=" | b"=="))
}

/// Whether a string may decode as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// It does not.
    Plain,
    /// It may, and between two delimiters it is decoded in the same way.
    Piece,
    /// It may.
    Decodes,
}

/// May occur in base64, in hex, in base32, in a piece that is decoded between delimiters.
const BASE64: u8 = 1;
const HEX: u8 = 2;
const BASE32: u8 = 4;
const PIECE: u8 = 8;

const MEMBER: [u8; 256] = {
    let mut member = [0u8; 256];
    let mut b = 0;
    while b < 256 {
        member[b] = match b as u8 {
            b'A'..=b'F' => BASE64 | HEX | BASE32 | PIECE,
            b'G'..=b'W' | b'Y' | b'Z' => BASE64 | BASE32 | PIECE,
            b'X' => BASE64 | HEX | BASE32 | PIECE,
            b'a'..=b'f' | b'x' | b'0' | b'1' | b'8' | b'9' => BASE64 | HEX | PIECE,
            b'2'..=b'7' => BASE64 | HEX | BASE32 | PIECE,
            b'g'..=b'w' | b'y' | b'z' => BASE64 | PIECE,
            b'-' => BASE64 | HEX | PIECE,
            b'_' => BASE64 | PIECE,
            b'/' | b'=' => BASE64,
            b'+' => BASE64 | HEX,
            b':' | b',' | b'\\' => HEX | PIECE,
            b' ' => HEX,
            // Removed by the normalisation.
            0..=0x1f | 0x7f => BASE64 | HEX | BASE32,
            _ => 0,
        };
        b += 1;
    }
    member
};

/// Looks whether a string consists of nothing but one alphabet, whatever normalisation and percent-decoding make of it. Of a
/// long `single` token this may say that it decodes although it does not.
pub(super) fn whole(string: &[u8], single: bool) -> Whole {
    if single {
        let begins = string[..LONG].iter().fold(u8::MAX, |left, &b| left & MEMBER[usize::from(b)]);
        return match begins & (BASE64 | HEX | BASE32) {
            0 if !string[..LONG].contains(&b'=') => Whole::Plain,
            _ if memchr::memchr(b'+', string).is_none() && fast::is_piece(string) => Whole::Piece,
            _ => Whole::Decodes,
        };
    }
    let mut left = BASE64 | HEX | BASE32 | PIECE;
    // Spaces at both ends are trimmed, others are not.
    let (mut begun, mut spaced) = (false, false);
    let mut escaped = false;
    let mut at = 0;
    while let Some(&b) = string.get(at) {
        at += 1;
        match b {
            b' ' => {
                left &= !PIECE;
                spaced |= begun;
                continue;
            }
            // May stand for anything, more percent signs included.
            b'%' => {
                escaped = true;
                left &= !PIECE;
            }
            b'=' if left & BASE32 != 0 && !spaced => return Whole::Decodes,
            0x80.. => {
                let Some(c) = text::char_at(string, at - 1) else { return Whole::Plain };
                if is_kept(c) {
                    return Whole::Plain;
                }
                at += c.len_utf8() - 1;
                left &= !PIECE;
            }
            _ if escaped && b.is_ascii_alphanumeric() => {}
            _ => left &= MEMBER[usize::from(b)],
        }
        if spaced && !(b < b' ' || b == 0x7f) {
            left &= HEX;
        }
        if left & (BASE64 | HEX | BASE32) == 0 {
            return Whole::Plain;
        }
        begun |= (b'!'..=b'~').contains(&b);
    }
    if left & PIECE != 0 { Whole::Piece } else { Whole::Decodes }
}

/// Whether the normalisation treats the beginning of a string in the same way after another one: no mark that would join
/// a letter before it.
fn begins_alone(string: &[u8]) -> bool {
    let first = string.iter().position(|&b| !(b < b' ' || b == 0x7f)).unwrap_or(string.len());
    match string.get(first) {
        None | Some(..0x80) => true,
        Some(_) => text::begins_anew_each_time(&string[first..]),
    }
}

/// Whether a string is one word of printable ASCII that percent-decoding leaves in place but for plus signs: what is encoded
/// in it is encoded as it stands there.
fn is_single_token(string: &[u8]) -> bool {
    memchr::memchr2(b' ', b'%', string).is_none() && text::is_printable(string)
}

/// Where a string is cut: the end of its first part and the start of its last. A cut is where no match goes across, and the
/// scan finds pieces on both sides as they are in the string, and runs too but for cuts at a slash, which are made in a
/// `single` token only: no built-in rule with a validator takes that character.
fn cuts(string: &[u8], reach: usize, single: bool) -> (usize, usize) {
    let whole = (string.len(), string.len());
    if string.len() <= 2 * reach + MIN_PIECE {
        return whole;
    }
    let (skipped, count) = skip(string, reach + 1, |ends, from, to| &ends[from..to]);
    if single {
        return slashes(string, skipped, count, reach).unwrap_or(whole);
    }
    let Some(head) = cut(string, skipped..string.len(), count, reach) else { return whole };
    let (skipped, count) =
        skip(&string[head..], reach + 1, |rest, from, to| &rest[rest.len() - to..rest.len() - from]);
    let places = (head..string.len() - skipped).rev();
    cut(string, places, count, reach).map_or(whole, |tail| (head, tail))
}

/// The same for a single token, which is cut at slashes: `skipped` bytes from its start there are `count` letters and digits.
fn slashes(string: &[u8], skipped: usize, count: usize, reach: usize) -> Option<(usize, usize)> {
    let from = skipped + beyond(string[skipped..].iter().copied(), count, reach)?;
    let head = from + memchr::memchr(b'/', &string[from..])?;
    let rest = &string[head..];
    let (skipped, count) = skip(rest, reach + 1, |rest, from, to| &rest[rest.len() - to..rest.len() - from]);
    let rest = &rest[..rest.len() - skipped];
    let end = rest.len() - beyond(rest.iter().rev().copied(), count, reach)?;
    Some((head, head + memchr::memrchr(b'/', &rest[..end])?))
}

/// How many bytes it takes to have more than `reach` letters and digits, with the `count` that were there before.
fn beyond(mut bytes: impl Iterator<Item = u8>, mut count: usize, reach: usize) -> Option<usize> {
    if count > reach {
        return Some(0);
    }
    let enough = |b: u8| {
        count += usize::from(b.is_ascii_alphanumeric());
        count > reach
    };
    bytes.position(enough).map(|last| last + 1)
}

/// As many bytes from one end of a string hold as many letters and digits, nearly so many as wanted, if they are ASCII; nothing
/// otherwise. `part` gives those at two distances from that end.
fn skip(string: &[u8], letters: usize, part: impl Fn(&[u8], usize, usize) -> &[u8]) -> (usize, usize) {
    /// A few are looked at one by one more quickly.
    const FEW: usize = 16;
    let (mut done, mut left) = (0, letters);
    while left > FEW {
        if done + left > string.len() {
            return (0, 0);
        }
        let bytes = part(string, done, done + left);
        if !bytes.is_ascii() {
            return (0, 0);
        }
        done += left;
        // Few enough for a byte, which makes vectors of it.
        let counts =
            bytes.chunks(128).map(|part| part.iter().map(|b| u8::from(b.is_ascii_alphanumeric())).sum());
        left -= counts.map(|count: u8| usize::from(count)).sum::<usize>();
    }
    (done, letters - left)
}

/// The first of the places where a string can be cut after more than `reach` characters, of which there were `count` before.
fn cut(
    string: &[u8],
    mut places: impl Iterator<Item = usize>,
    mut count: usize,
    reach: usize,
) -> Option<usize> {
    // Letters of other scripts end runs of encoded data, but not what is percent-decoded together.
    let anywhere = || memchr::memchr2(b'%', b'+', string).is_none();
    let mut is_anywhere = None;
    let letter = |at: usize| string.get(at).is_some_and(u8::is_ascii_alphabetic);
    let other = |at: usize| text::char_at(string, at).is_some_and(is_kept);
    // Those count that stay what they are, whatever stands around them.
    places.find(|&at| match string[at] {
        b' ' => count > reach && at > 0 && letter(at - 1) && letter(at + 1),
        b if b.is_ascii_alphanumeric() => {
            count += 1;
            false
        }
        0xC0.. if other(at) => {
            count += 1;
            count > reach + 1 && *is_anywhere.get_or_insert_with(anywhere) && kept_before(string, at)
        }
        _ => false,
    })
}

/// Whether the character before a position is one of another script that stays what it is.
fn kept_before(string: &[u8], at: usize) -> bool {
    let start = string[..at].iter().rposition(|&b| b & 0xC0 != 0x80);
    start.is_some_and(|start| {
        string[start] >= 0xC0
            && text::char_at(string, start).is_some_and(|c| start + c.len_utf8() == at && is_kept(c))
    })
}

/// Whether there may be escapes of programming languages behind percent signs, or may be written with them; false is certain.
fn hides_escapes(text: &[u8]) -> bool {
    // What the normalisation removes may stand anywhere.
    let may_be = |at: usize, wanted: &[u8]| {
        text.get(at).is_some_and(|b| wanted.contains(b) || !matches!(b, b' '..=b'~'))
    };
    let hides = |at: usize| may_be(at + 1, b"u") || may_be(at + 1, b"25") && may_be(at + 2, b"5cC");
    memchr::memchr_iter(b'%', text).any(hides)
        || !text.is_ascii()
            && PERCENT_SIGNS.iter().any(|c| memchr::memmem::find(text, c.as_bytes()).is_some())
}

/// Whether the percent-decoding of a text ends before everything is decoded.
fn decoding_is_disabled(text: &[u8]) -> bool {
    if !becomes(text, b'%', PERCENT_SIGNS) {
        return false;
    }
    if is_malformed(text) {
        return true;
    }
    let mut buffer = Buffer::new();
    let norm = norm_dlp_quick(text, &mut buffer).unwrap_or(text);
    memchr::memchr(b'%', norm).is_some() && memchr::memchr2(b'%', b'+', &percent_decode_all(norm)).is_some()
}

/// The characters beside itself that a `%` in a normalised text comes from, and a `+`.
const PERCENT_SIGNS: &[&str] = &["\u{66A}", "\u{FE6A}", "\u{FF05}"];
const PLUS_SIGNS: &[&str] = &["\u{207A}", "\u{208A}", "\u{FB29}", "\u{FE62}", "\u{FF0B}"];

/// Whether a text may hold a character in its normalised form; false is certain.
fn becomes(text: &[u8], ascii: u8, others: &[&str]) -> bool {
    memchr::memchr(ascii, text).is_some()
        || !text.is_ascii() && others.iter().any(|c| memchr::memmem::find(text, c.as_bytes()).is_some())
}

/// Whether a text of ASCII holds an escape that is none, whatever the normalisation removes: percent-decoding does nothing then.
/// False says nothing.
fn is_malformed(text: &[u8]) -> bool {
    let is_other = |at: usize| matches!(text.get(at), Some(b' '..=b'~')) && !text[at].is_ascii_hexdigit();
    memchr::memchr_iter(b'%', text).any(|at| is_other(at + 1)) && text.is_ascii()
}

/// Whether percent-decoding changes a string.
fn is_decoded(string: &[u8]) -> bool {
    if !becomes(string, b'%', PERCENT_SIGNS) && !becomes(string, b'+', PLUS_SIGNS) || is_malformed(string) {
        return false;
    }
    let mut buffer = Buffer::new();
    let norm = norm_dlp_quick(string, &mut buffer).unwrap_or(string);
    memchr::memchr2(b'%', b'+', norm).is_some() && *percent_decode_all(norm) != *norm
}

#[cfg(test)]
pub(super) mod tests;
