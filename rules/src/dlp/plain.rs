//! The specification's text scan, step by step (spec: dlp §8).
//!
//! Every derived form is made and every rule is run on it. Slow and obvious: this is what the fast scanner is compared
//! with, on recordings and on generated inputs.

use std::borrow::Cow;

use super::fast::Found;
use super::{ENV_LEAK, Encoding, FILE_LEAK, Match, Rule, RuleList, SEED_PHRASE, Scanner, TextResult, seed};
use crate::Strictness;
use crate::decode::{base32, base64, decode_all, hex, hex_plain};
use crate::text::{norm_dlp, norm_match, percent_decode_all, without_dots};

/// Decode steps that are undone.
const MAX_DEPTH: u32 = 3;
/// Shortest segment that the rules look into, bytes.
const MIN_SEGMENT: usize = 10;
/// Shortest segment that the seed detector looks into, bytes.
const MIN_SEED_SEGMENT: usize = 20;

/// How the rules are run on a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matcher {
    /// One after another: the oracle.
    EachRule,
    /// All at once.
    Kernel,
}

/// Makes every form and runs every rule on each: the oracle of [`Scanner::scan_text`].
pub fn scan_text(scanner: &Scanner, input: &[u8]) -> TextResult {
    scan(scanner, input, &norm_dlp(input), None)
}

/// The same where it is known what there is to be found.
pub(super) fn name(scanner: &Scanner, input: &[u8], norm: &str, found: &Found) -> TextResult {
    scan(scanner, input, norm, Some(found))
}

fn scan(s: &Scanner, input: &[u8], norm: &str, found: Option<&Found>) -> TextResult {
    let mut core = Vec::new();
    core_pass(Pass { s, list: RuleList::Core, found }, norm, &mut core);
    deduplicate(&mut core, s.strictness);
    let mut all = Vec::new();
    if !nothing_to_do(s) {
        main_pass(Pass { s, list: RuleList::Main, found }, input, norm, &mut all);
        deduplicate(&mut all, s.strictness);
    }
    if !core.is_empty() {
        core.append(&mut all);
        all = core;
        deduplicate(&mut all, s.strictness);
    }
    let (informational, matches) = all.into_iter().partition(|m| m.warn);
    TextResult { matches, informational }
}

fn nothing_to_do(s: &Scanner) -> bool {
    s.main.rules.is_empty()
        && s.canaries.is_empty()
        && s.env.is_empty()
        && s.file.is_empty()
        && s.seed.is_none()
}

/// Keeps the first match of each (name, label). In hardened strictness an enforcing match also stays beside a warning.
fn deduplicate(matches: &mut Vec<Match>, strictness: Strictness) {
    let mut seen = std::collections::HashSet::new();
    let mut enforced = std::collections::HashSet::new();
    matches.retain_mut(|m| {
        let key = (m.name.clone(), m.encoded);
        let first = seen.insert(key.clone());
        let first_enforcing = !m.warn && enforced.insert(key);
        if first_enforcing && !first && strictness == Strictness::Hardened {
            m.difference = m.difference.or(Some(super::hardened::WARN_MASKS));
            return true;
        }
        first
    });
}

/// A scanner, one of its rule lists, and what the fast scan found.
#[derive(Clone, Copy)]
struct Pass<'s> {
    s: &'s Scanner,
    list: RuleList,
    found: Option<&'s Found>,
}

impl Pass<'_> {
    /// Whether something may be found where the fast scan looked.
    fn may(&self, found: impl Fn(&Found) -> bool) -> bool {
        self.found.is_none_or(found)
    }
}

/// Adds one match for every rule that matches a normalised text.
fn apply(pass: Pass<'_>, norm: &str, encoded: Encoding, out: &mut Vec<Match>) {
    let matcher = if pass.found.is_some() { Matcher::Kernel } else { Matcher::EachRule };
    pass.s.for_each_hit(pass.list, norm, matcher, |rule, gated| {
        out.push(to_match(rule, gated, encoded));
        false
    });
}

fn to_match(rule: &Rule, gated: bool, encoded: Encoding) -> Match {
    Match { difference: gated.then_some(super::hardened::GATE), ..rule.to_match(encoded) }
}

fn core_pass(pass: Pass<'_>, norm: &str, out: &mut Vec<Match>) {
    apply_forms(pass, norm, out);
    if pass.may(|found| found.whole) {
        recurse(pass, norm.as_bytes(), 0, false, out);
    }
}

/// The text itself, URL-decoded, and without dots.
fn apply_forms<'n>(pass: Pass<'_>, norm: &'n str, out: &mut Vec<Match>) {
    let decoded =
        || Some(percent_decode_all(norm.as_bytes())).filter(|decoded| **decoded != *norm.as_bytes());
    let forms: [(Encoding, &dyn Fn() -> Option<Cow<'n, str>>); 3] = [
        (Encoding::Plain, &|| Some(norm.into())),
        (Encoding::Url, &|| decoded().map(|decoded| norm_dlp(&decoded).into_owned().into())),
        (Encoding::Subdomain, &|| {
            without_dots(norm).map(|joined| norm_dlp(joined.as_bytes()).into_owned().into())
        }),
    ];
    for (i, (encoded, form)) in forms.into_iter().enumerate() {
        if let Some(found) = pass.found {
            pass.s.for_each_of(pass.list, &found.forms[i], form, |rule, gated| {
                out.push(to_match(rule, gated, encoded));
                false
            });
        } else if let Some(form) = form() {
            apply(pass, &form, encoded, out);
        }
    }
}

/// Undoes up to three decode steps on the whole string (spec: dlp §8.5). All base64 variants that succeed give the same
/// bytes, and repeated matches are deduplicated later, so one is enough.
fn recurse(pass: Pass<'_>, text: &[u8], depth: u32, url_steps: bool, out: &mut Vec<Match>) {
    if depth >= MAX_DEPTH {
        return;
    }
    let mut step = |decoded: &[u8], encoded: Encoding| {
        apply(pass, &norm_dlp(decoded), encoded, out);
        recurse(pass, decoded, depth + 1, url_steps, out);
    };
    if let Some(decoded) = base64(text) {
        step(&decoded.bytes, Encoding::Base64);
    }
    if let Some(decoded) = hex(text) {
        step(&decoded, Encoding::Hex);
    }
    if let Some(decoded) = base32(text) {
        step(&decoded, Encoding::Base32);
    }
    if url_steps {
        let decoded = percent_decode_all(text);
        if *decoded != *text {
            step(&decoded, Encoding::Url);
        }
    }
}

fn main_pass(pass: Pass<'_>, input: &[u8], norm: &str, out: &mut Vec<Match>) {
    let s = pass.s;
    let mut checks = seed::Checks::of(s.strictness);
    if pass.may(|found| found.phrase)
        && let Some(encoded) = seed_in_text(s, input, &mut checks)
    {
        let difference = checks.exhausted().then_some(super::hardened::PUNCTUATED_SEED);
        out.push(Match { difference, ..Match::special(SEED_PHRASE, encoded) });
    }
    if !s.canaries.is_empty() {
        let again = norm_dlp(norm.as_bytes());
        out.extend(s.canaries.search(&again).into_iter().map(|h| Match::special(h.finding, h.encoded)));
    }
    apply_forms(pass, norm, out);
    // The first percent-decoding step of the recursion repeats the form above: same name, same label.
    if pass.may(|found| found.whole) {
        recurse(pass, norm.as_bytes(), 0, true, out);
    }
    if out.iter().all(|m| m.warn) {
        match pass.found {
            Some(found) => segments(pass, found.pieces.iter().map(|piece| &norm[piece.clone()]), out),
            None => segments(pass, split_segments(norm).filter(|p| p.len() >= MIN_SEGMENT), out),
        }
    }
    if !pass.may(|found| found.known) {
        return;
    }
    if s.env.find(&[norm.as_bytes()]).is_some() {
        out.push(Match::special(ENV_LEAK, Encoding::Env));
    }
    if let Some(form) = s.file.find(&[norm.as_bytes()]) {
        out.push(Match::special(FILE_LEAK, form.encoding()));
    }
}

fn split_segments(text: &str) -> impl Iterator<Item = &str> {
    text.split(['/', '?', '&', '=', ' ', '\n', '\t'])
}

/// Decodes the pieces between delimiters; the first piece with any match ends it (spec: dlp §8.6a).
fn segments<'t>(pass: Pass<'_>, pieces: impl Iterator<Item = &'t str>, out: &mut Vec<Match>) {
    let hardened = pass.s.strictness == Strictness::Hardened;
    let mut warned = false;
    for piece in pieces {
        let before = out.len();
        for (decoded, encoded) in decode_all(piece.as_bytes()) {
            apply(pass, &norm_dlp(&decoded), encoded, out);
            if out.len() > before {
                break;
            }
        }
        if out.len() == before {
            recurse(pass, piece.as_bytes(), 0, true, out);
        }
        if out.len() == before {
            continue;
        }
        if warned {
            for m in &mut out[before..] {
                m.difference = m.difference.or(Some(super::hardened::WARN_MASKS));
            }
        }
        // A piece that only warns ends the search in the reference.
        if !hardened || out[before..].iter().any(|m| !m.warn) {
            return;
        }
        warned = true;
    }
}

/// The seed detector's candidates, in order (spec: dlp §10). Decoded candidates are not normalised.
fn seed_in_text(s: &Scanner, input: &[u8], checks: &mut seed::Checks) -> Option<Encoding> {
    let settings = s.seed?;
    let text = norm_match(input);
    if seed::detect_within(&text, settings, checks) {
        return Some(Encoding::Plain);
    }
    let mut holds = |bytes: &[u8]| seed::detect_within(&crate::text::lossy(bytes), settings, checks);
    let decoded = percent_decode_all(text.as_bytes());
    if *decoded != *text.as_bytes() && holds(&decoded) {
        return Some(Encoding::Url);
    }
    let trimmed = text.trim().as_bytes();
    let whole = [
        (base64(trimmed).map(|d| d.bytes), Encoding::Base64),
        (hex_plain(trimmed), Encoding::Hex),
        (base32(trimmed), Encoding::Base32),
    ];
    if let Some((_, encoded)) = whole.iter().find(|(d, _)| d.as_deref().is_some_and(&mut holds)) {
        return Some(*encoded);
    }
    split_segments(&text)
        .filter(|p| p.len() >= MIN_SEED_SEGMENT)
        .flat_map(|p| decode_all(p.as_bytes()))
        .find(|(d, _)| holds(d))
        .map(|(_, encoded)| encoded)
}
