//! The listed differences of hardened mode: what the reference lets through and this does not. (spec: url-scan §25)
//!
//! They are asked after the reference's own layers have passed, so that whatever the reference blocks keeps its label, and
//! before name resolution. Each one only adds blocks, and its verdict carries its id; `tests/conformance/differences.yaml`
//! says for each why ordinary traffic does not notice.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::ControlFlow;

use muselet_rules::dlp::{Rule, RuleList};
use muselet_rules::text;
use unicode_normalization::UnicodeNormalization as _;

use super::parse::decode_leniently;
use super::quick::{self, DEPTH};
use super::{Pipeline, Scan, addresses, entropy, secrets, views};
use crate::policy::address;
use crate::policy::difference;
use crate::policy::shown::shown;
use crate::policy::verdict::{Label, UrlVerdict};

/// Id of the difference about the letter case of host names.
pub(super) const HOST_CASE: &str = "D-401";
/// Id of the difference about limits and trailing dots.
pub(super) const TRAILING_DOT: &str = "D-416";

/// Id of the difference about a credential in path and query.
const PIECES: &str = difference::PIECES;
/// Shortest piece of a credential in a path, bytes.
const MIN_PIECE: usize = 4;
/// Values that it may go on in.
const MAX_PIECES: usize = 8;

/// Shortest label of a host that is decoded by itself, bytes.
const MIN_LABEL: usize = 16;
/// Shortest host whose labels are decoded together, bytes: a key of 20 bytes is 27 digits of base64, and behind it
/// stands a domain.
const MIN_LABELS: usize = 30;
/// Hosts of fewer bytes are not looked at where they are small letters alone.
const LONG_HOST: usize = 40;
/// Labels that encoded data may begin with: a name has room for no more than twice as many of this length.
const MAX_LABELS: usize = 16;

/// Most rounds of lenient percent-decoding.
pub(super) const ROUNDS: usize = 16;

type Check = fn(&Pipeline, &Scan<'_>) -> Option<UrlVerdict>;

/// All differences that a URL alone decides, by id.
const CHECKS: [(&str, Check); 20] = [
    (HOST_CASE, folded_host),
    ("D-405", several_colons),
    ("D-402", unspecified_address),
    ("D-403", special_address),
    ("D-423", local_service),
    ("D-404", disguised_address),
    ("D-414", gated_rules),
    ("D-406", path_decoded_again),
    ("D-407", dropped_pieces),
    ("D-408", many_pieces),
    ("D-409", lenient_escapes),
    ("D-410", nested_encodings),
    ("D-411", invalid_bytes),
    ("D-412", bare_host),
    ("D-413", canaries_always),
    ("D-418", encoded_runs),
    ("D-420", escapes),
    ("D-421", as_shown),
    ("D-422", phrases),
    (PIECES, pieces),
];

/// The first difference that blocks.
pub(super) fn check(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    each(pipeline, scan).next()
}

/// The first difference about a secret.
pub(super) fn secrets(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    each(pipeline, scan).find(|verdict| matches!(verdict.label, Label::CoreDlp | Label::Dlp))
}

fn each(pipeline: &Pipeline, scan: &Scan<'_>) -> impl Iterator<Item = UrlVerdict> {
    let found = |(id, check): &(&'static str, Check)| Some(check(pipeline, scan)?.with_difference(id));
    CHECKS
        .iter()
        .filter_map(found)
        .chain(std::iter::once_with(|| literal_secrets_everywhere(pipeline, scan)).flatten())
}

/// Whether lower-casing turned a host name that is not ASCII into one that is: `gİthub.com` into `github.com`.
pub(super) fn is_folded(scan: &Scan<'_>) -> bool {
    scan.host.is_ascii() && !scan.url.host_name().is_ascii()
}

fn folded_host(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    if !is_folded(scan) {
        return None;
    }
    if pipeline.settings.strict && !pipeline.api_allowlist.is_empty() {
        let reason = format!("domain not in allowlist: {}", text::lossy(scan.url.host_name()));
        return Some(UrlVerdict::block(Label::Allowlist, reason));
    }
    // The rules again, this time without anybody's exemption.
    let found = secrets::visit(pipeline, scan, RuleList::Main, &mut |text| {
        to_break(pipeline.dlp.first_hit(RuleList::Main, text, |rule, gated| !gated && !rule.spec().warn))
    });
    found.break_value().map(|rule| UrlVerdict::block(Label::Dlp, secrets::reason("DLP match", rule)))
}

fn several_colons(_: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    let is_wrong = !scan.url.host.starts_with(b"[") && scan.url.host_name().contains(&b':');
    is_wrong.then(super::layers::parser)
}

fn unspecified_address(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    literal(pipeline, scan, "D-402")
}

fn special_address(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    literal(pipeline, scan, "D-403")
}

fn local_service(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    literal(pipeline, scan, "D-423")
}

fn literal(pipeline: &Pipeline, scan: &Scan<'_>, difference: &str) -> Option<UrlVerdict> {
    let literal = address::parse_literal_with_zone(&scan.host)?;
    (address_difference(pipeline, literal) == Some(difference)).then(|| literal_block(pipeline, scan))
}

fn literal_block(pipeline: &Pipeline, scan: &Scan<'_>) -> UrlVerdict {
    let host = &*scan.host;
    if pipeline.checks_addresses() {
        let shown = host.split('%').next().unwrap_or(host);
        UrlVerdict::block(Label::Ssrf, format!("SSRF blocked: {host} resolves to internal IP {shown}"))
    } else {
        UrlVerdict::block(Label::CoreSsrf, addresses::core_reason(host))
    }
}

/// The difference by which an address is internal that the reference takes for a public one.
pub(super) fn address_difference(pipeline: &Pipeline, address: IpAddr) -> Option<&'static str> {
    let ranges = if pipeline.checks_addresses() { &pipeline.internal_ranges } else { &pipeline.core_ranges };
    address::beyond_ranges(address, ranges, &pipeline.ip_allowlist)
}

/// Spellings that an HTTP client, or the system's resolver, maps to an address although they are names here.
fn disguised_address(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    if pipeline.checks_addresses() || address::parse_literal_with_zone(&scan.host).is_some() {
        return None;
    }
    let mapped: Cow<'_, str> = if scan.host.is_ascii() {
        Cow::Borrowed(&scan.host)
    } else {
        Cow::Owned(scan.host.nfkc().map(|c| if c == '\u{3002}' { '.' } else { c }).collect())
    };
    let literal = address::reduce(address::parse_loosely(mapped.trim_end_matches('.'))?);
    let is_internal = pipeline.core_ranges.contains(literal) && !pipeline.ip_allowlist.contains(literal);
    is_internal.then(|| UrlVerdict::block(Label::CoreSsrf, addresses::core_reason(&scan.host)))
}

/// The first core rule, or else configured rule, that matches `text`; with rules that the reference's prefix gate skips.
fn examine(pipeline: &Pipeline, scan: &Scan<'_>, text: &[u8]) -> Option<UrlVerdict> {
    if text.is_empty() || !pipeline.may_match(text) {
        return None;
    }
    if let Some(rule) = pipeline.dlp.first_hit(RuleList::Core, text, |_, _| true) {
        return Some(UrlVerdict::block(Label::CoreDlp, secrets::reason("core DLP match", rule)));
    }
    let host = text::lossy(scan.url.host_name());
    let accept = |rule: &Rule, _| !rule.spec().warn && !pipeline.is_exempt(rule, &host);
    let rule = pipeline.dlp.first_hit(RuleList::Main, text, accept)?;
    Some(UrlVerdict::block(Label::Dlp, secrets::reason("DLP match", rule)))
}

fn to_break<T>(found: Option<T>) -> ControlFlow<T> {
    found.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// Rules that the reference skips because a literal that it takes for required is absent.
fn gated_rules(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    if scan.cleared.rules || !pipeline.dlp.rules(RuleList::Main).iter().any(Rule::may_be_gated_wrongly) {
        return None;
    }
    let host = text::lossy(scan.url.host_name());
    let found = secrets::visit(pipeline, scan, RuleList::Main, &mut |text| {
        let accept = |rule: &Rule, gated| gated && !rule.spec().warn && !pipeline.is_exempt(rule, &host);
        to_break(pipeline.dlp.first_hit(RuleList::Main, text, accept))
    });
    found.break_value().map(|rule| UrlVerdict::block(Label::Dlp, secrets::reason("DLP match", rule)))
}

/// The path, decoded until it settles, also where the reference decodes it once.
fn path_decoded_again(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    let decoded = scan.lenient_path();
    if *decoded == *scan.url.path {
        return None;
    }
    examine(pipeline, scan, decoded)
        .or_else(|| text::strip_noise(decoded).and_then(|stripped| examine(pipeline, scan, &stripped)))
}

/// Pieces of the query that the reference's reader drops: with a raw `;`, or with a bad escape.
fn dropped_pieces(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    let query = &*scan.url.raw_query;
    memchr::memchr2(b';', b'%', query)?;
    // A query that is decoded as a whole without a hitch has no bad escape.
    if quick::has_no_escape(scan.query()) && memchr::memchr(b';', query).is_none() {
        return None;
    }
    let is_dropped = |piece: &&[u8]| piece.contains(&b';') || !super::parse::has_valid_escapes(piece);
    for piece in query.split(|&byte| byte == b'&').filter(is_dropped) {
        let value = &piece[memchr::memchr(b'=', piece).map_or(0, |at| at + 1)..];
        let parts = std::iter::once(value).chain(value.split(|&byte| byte == b';'));
        for part in parts {
            let decoded = text::percent_decode_lenient(part, ROUNDS);
            let found = examine(pipeline, scan, &decoded)
                .or_else(|| views::decodings(&decoded).find_map(|decoded| examine(pipeline, scan, &decoded)))
                .or_else(|| {
                    text::strip_noise(&decoded).and_then(|stripped| examine(pipeline, scan, &stripped))
                });
            if found.is_some() {
                return found;
            }
        }
        // Whole pieces hold separators, which make them look more random than their parts are.
        for part in piece.split(|&byte| byte == b';') {
            let (key, value) = match memchr::memchr(b'=', part) {
                Some(at) => (&part[..at], &part[at + 1..]),
                None => (&part[..0], part),
            };
            let found = entropy::query_text(pipeline, key, &decode_leniently(value));
            if found.is_some() {
                return found;
            }
        }
    }
    None
}

/// All pairs, also where there are too many for the reference's reader.
fn many_pieces(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    let query = &*scan.url.raw_query;
    if !views::has_too_many_pieces(query) {
        return None;
    }
    super::parse::query_pairs(query).find_map(|(key, value)| {
        [&key, &value]
            .into_iter()
            .find_map(|part| {
                let part = text::percent_decode_all(part);
                examine(pipeline, scan, &part)
                    .or_else(|| views::decodings(&part).find_map(|decoded| examine(pipeline, scan, &decoded)))
            })
            .or_else(|| entropy::query_text(pipeline, &key, &value))
    })
}

/// Whole query, and each value with its decodings, with bad escapes left as they are and `+` kept.
fn lenient_escapes(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    let query = &*scan.url.raw_query;
    memchr::memchr2(b'%', b'+', query)?;
    let decoded = scan.lenient_query();
    // The usual query reads the same either way, and has been examined with all its parts.
    if scan.cleared.rules
        && decoded == scan.query()
        && memchr::memchr(b';', query).is_none()
        && !views::has_too_many_pieces(query)
    {
        return None;
    }
    let mut quick = pipeline.quick.as_ref().map(|_| pipeline.dlp.decodings());
    let is_known = scan.cleared.rules && !views::has_too_many_pieces(query);
    examine(pipeline, scan, decoded).or_else(|| {
        super::parse::query_pieces(query).find_map(|(_, value)| {
            if is_known && quick::has_no_escape(value) {
                return None;
            }
            let value = text::percent_decode_lenient(value, ROUNDS);
            if quick.as_mut().is_some_and(|quick| !quick.may_hold(&value)) {
                return None;
            }
            views::decodings(&value).find_map(|decoded| examine(pipeline, scan, &decoded))
        })
    })
}

/// Encodings inside encodings, in path segments and query values; and one level of them under the core rules too.
fn nested_encodings(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    if scan.cleared.rules {
        return None;
    }
    let find = |text: &[u8]| examine(pipeline, scan, text);
    let segments = views::segments(&scan.url.path).filter(|segment| segment.len() >= views::MIN_SEGMENT);
    segments.map(Cow::Borrowed).find_map(|segment| unwrap(&segment, DEPTH, &find)).or_else(|| {
        views::pairs(&scan.url.raw_query)
            .flat_map(|(key, value)| [key, value])
            .find_map(|part| unwrap(&text::percent_decode_all(&part), DEPTH, &find))
    })
}

/// What is found in the decodings of a text, and in theirs.
fn unwrap(text: &[u8], depth: usize, find: &dyn Fn(&[u8]) -> Option<UrlVerdict>) -> Option<UrlVerdict> {
    if depth == 0 {
        return None;
    }
    views::decodings(text).find_map(|decoded| find(&decoded).or_else(|| unwrap(&decoded, depth - 1, find)))
}

/// The decoded query and path without bytes that are not UTF-8.
fn invalid_bytes(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    if memchr::memchr(b'%', &scan.url.raw_query).is_none()
        && scan.url.raw_query.is_ascii()
        && scan.url.path.is_ascii()
    {
        return None;
    }
    [scan.lenient_query(), scan.lenient_path()]
        .into_iter()
        .filter(|text| std::str::from_utf8(text).is_err())
        .find_map(|text| {
            let valid: Vec<u8> = text.utf8_chunks().flat_map(|chunk| chunk.valid().bytes()).collect();
            examine(pipeline, scan, &valid)
        })
}

/// The host as it was written, also without dots: escapes hide what it looks like in the canonical string.
fn bare_host(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    let host = scan.url.host_name();
    if host.is_ascii() { None } else { examine(pipeline, scan, host) }
}

/// Canary tokens, also when there is no literal secret, and in what is behind escapes and several encodings.
fn canaries_always(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    if !pipeline.dlp.has_canaries() {
        return None;
    }
    let find = |text: &[u8]| canary(pipeline, text);
    let parts = views::segments(&scan.url.path)
        .map(Cow::Borrowed)
        .chain(views::pairs(&scan.url.raw_query).flat_map(|(key, value)| [key, value]));
    find(scan.canonical())
        .or_else(|| find(&scan.lenient_canonical()))
        .or_else(|| find(scan.values().joined()))
        .or_else(|| {
            let mut parts = parts.map(|part| text::percent_decode_lenient(&part, ROUNDS).into_owned());
            parts.find_map(|part| find(&part).or_else(|| unwrap(&part, DEPTH, &find)))
        })
}

fn canary(pipeline: &Pipeline, text: &[u8]) -> Option<UrlVerdict> {
    secrets::canary(&pipeline.dlp, text).map(|reason| UrlVerdict::block(Label::Dlp, reason))
}

/// Encoded data in quotes, behind a name, in JSON or cut in two between parameters, as it is found in bodies, and in the host.
fn encoded_runs(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    // A slash is a digit of base64, and ends a segment.
    let segments = views::segments(scan.lenient_path());
    let joined = if scan.url.raw_query.contains(&b'&') { scan.values().joined() } else { b"" };
    segments
        .chain([scan.lenient_query(), joined])
        .find_map(|text| in_runs(pipeline, scan, text))
        .or_else(|| encoded_labels(pipeline, scan))
}

/// Encoded data in labels of the host, each by itself and from each one on without dots: looking up the name sends it.
fn encoded_labels(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    let host = scan.url.host_name();
    // Encoded data has digits, or capital letters, or is long.
    let is_other = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    let is_plain = || host.len() < LONG_HOST && !host.iter().any(is_other);
    let mut rest = host;
    for _ in 0..MAX_LABELS {
        if rest.len() < MIN_LABEL {
            break;
        }
        let end = memchr::memchr(b'.', rest);
        let label = &rest[..end.unwrap_or(rest.len())];
        let (alone, together) = (label.len() >= MIN_LABEL, rest.len() >= MIN_LABELS);
        if (alone || together) && is_plain() {
            break;
        }
        let found = if alone { in_runs(pipeline, scan, label) } else { None };
        let found = found.or_else(|| together.then(|| labels_together(pipeline, scan, rest)).flatten());
        if found.is_some() {
            return found;
        }
        rest = &rest[end? + 1..];
    }
    None
}

fn labels_together(pipeline: &Pipeline, scan: &Scan<'_>, labels: &[u8]) -> Option<UrlVerdict> {
    let joined: Vec<u8> = labels.iter().copied().filter(|&byte| byte != b'.').collect();
    // What follows hex digits would make something else of them.
    let is_hex = |label: &&[u8]| label.iter().all(u8::is_ascii_hexdigit);
    let hex: usize = labels.split(|&byte| byte == b'.').take_while(is_hex).map(<[u8]>::len).sum();
    [joined.len(), hex & !1].into_iter().find_map(|end| in_runs(pipeline, scan, &joined[..end]))
}

fn in_runs(pipeline: &Pipeline, scan: &Scan<'_>, text: &[u8]) -> Option<UrlVerdict> {
    pipeline.dlp.look_into_runs(text, |decoded| {
        examine(pipeline, scan, decoded)
            .or_else(|| literal_in(pipeline, decoded))
            .or_else(|| phrase(pipeline, decoded))
    })
}

fn phrase(pipeline: &Pipeline, text: &[u8]) -> Option<UrlVerdict> {
    let has_phrase = pipeline.dlp.detects_seeds() && pipeline.dlp.seed_in(&text::lossy(text))
        || pipeline.dlp.holds_phrase(text);
    has_phrase.then(|| UrlVerdict::block(Label::Dlp, secrets::seed_reason()))
}

/// A seed phrase wherever it stands, in names of parameters for instance, and whatever is between its words.
fn phrases(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    if !pipeline.dlp.detects_seeds() || scan.cleared.phrases {
        return None;
    }
    phrase(pipeline, scan.query()).or_else(|| phrase(pipeline, scan.lenient_path()))
}

/// Path and query with tag characters, character references and quoted-printable escapes read.
fn as_shown(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    // Without percent signs there are neither tag characters nor numbers of references, which `#` begins.
    let raw = scan.raw;
    let escaped = |at: usize| raw.get(at + 3) == Some(&b'=') && raw.get(at + 6) == Some(&b'=');
    if raw.is_ascii()
        && memchr::memchr2(b'%', b';', raw).is_none()
        && !memchr::memchr_iter(b'=', raw).any(escaped)
    {
        return None;
    }
    [scan.lenient_query(), scan.lenient_path()].into_iter().flat_map(shown).find_map(|text| {
        examine(pipeline, scan, &text)
            .or_else(|| in_runs(pipeline, scan, &text))
            .or_else(|| literal_in(pipeline, &text))
            .or_else(|| phrase(pipeline, &text))
    })
}

/// A credential that begins with the last segment of the path that is not empty and goes on in the query.
fn pieces(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    if scan.url.raw_query.is_empty() {
        return None;
    }
    let last = views::segments(&scan.url.path).filter(|segment| !segment.is_empty()).last()?;
    let in_path = last.split(|&byte| byte == b';').map(value_of).filter(|value| !value.is_empty());
    let in_query = scan.url.raw_query.split(|&byte| matches!(byte, b'&' | b';')).map(value_of);
    let mut values = in_path.chain(in_query.filter(|value| !value.is_empty()).take(MAX_PIECES));
    let (first, second) = (values.next()?, values.next()?);
    // No part of a credential is a word, unless what ends a word comes next.
    let goes_on = |second: &[u8]| second.first().is_some_and(|byte| b"-_.".contains(byte));
    let decoded = |value| text::percent_decode_lenient(value, ROUNDS);
    if first.len() < MIN_PIECE
        || first.iter().all(u8::is_ascii_lowercase) && !goes_on(second) && !goes_on(&decoded(second))
    {
        return None;
    }
    let pieces: Vec<Cow<'_, [u8]>> = [first, second].into_iter().chain(values).map(decoded).collect();
    let joined = pieces.concat();
    let dlp = &pipeline.dlp;
    if let Some(verdict) = literal_in(pipeline, &joined) {
        return Some(verdict);
    }
    // Rules alone, without encodings, and not where they are exempt.
    examine(pipeline, scan, &joined)?;
    let pieces: Vec<&[u8]> = pieces.iter().map(|piece| &**piece).collect();
    let found = dlp.scan_pieces(&pieces)?;
    Some(UrlVerdict::block(Label::Dlp, format!("DLP match: {} ({})", found.name, found.severity)))
}

/// Known secrets and canaries in a text that was decoded, or put together.
fn literal_in(pipeline: &Pipeline, text: &[u8]) -> Option<UrlVerdict> {
    let dlp = &pipeline.dlp;
    let known = || {
        [(dlp.env_secrets(), secrets::ENV_LEAK), (dlp.file_secrets(), secrets::FILE_LEAK)]
            .into_iter()
            .find_map(|(secrets, reason)| Some(secrets::with_form(reason, secrets.find(&[text])?)))
    };
    let found = if dlp.may_hold_secret(text) { known() } else { None };
    found.map(|reason| UrlVerdict::block(Label::Dlp, reason)).or_else(|| canary(pipeline, text))
}

/// The part of a piece of a query, or of a segment, that a credential goes on in: its value, or what it has instead of one.
fn value_of(piece: &[u8]) -> &[u8] {
    match views::key_and_value(piece) {
        [key, b""] => key,
        [_, value] => value,
    }
}

/// Path and query with the escapes of programming languages read, as in JSON that stands in a parameter, and with `%u0041`, as
/// JavaScript's `escape` writes.
fn escapes(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    memchr::memchr2(b'%', b'\\', scan.raw)?;
    let read = |text: &[u8]| text::unescaped_percent(text).or_else(|| text::unescaped(text));
    let texts = [scan.lenient_query(), scan.lenient_path()].into_iter().filter_map(read);
    texts.into_iter().find_map(|text| {
        examine(pipeline, scan, &text)
            .or_else(|| literal_in(pipeline, &text))
            .or_else(|| phrase(pipeline, &text))
    })
}

/// Literal secrets in leniently decoded text (the reference gives up at a bad escape, and takes `+` for a space), and in
/// folded and joined text and without dots (the reference looks at the whole URL only).
fn literal_secrets_everywhere(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    let dlp = &pipeline.dlp;
    let lists = [(dlp.env_secrets(), secrets::ENV_LEAK), (dlp.file_secrets(), secrets::FILE_LEAK)];
    if lists.iter().all(|(secrets, _)| secrets.is_empty()) {
        return None;
    }
    let canonical = scan.canonical();
    let has_no_secret = |text: &[u8]| pipeline.quick.is_some() && !dlp.may_hold_secret(text);
    // Names of files, versions and the like are shorter than a secret.
    let shortest = dlp.shortest_secret().unwrap_or(usize::MAX);
    let is_parted = |part: &[u8]| part.len() > shortest && part.contains(&b'.');
    let has_parted =
        |whole: &[u8]| is_parted(whole) && whole.split(|byte| b"/&=".contains(byte)).any(is_parted);
    let holds_dots = has_parted(&scan.url.path) || has_parted(&scan.url.raw_query);
    let without_dots = |text: &[u8]| -> Vec<u8> { text.iter().copied().filter(|&b| b != b'.').collect() };
    if quick::is_settled_text(canonical)
        && !scan.url.raw_query.contains(&b'&')
        && (!holds_dots || has_no_secret(&without_dots(canonical)))
    {
        return None;
    }
    let lenient = scan.lenient_canonical();
    // What is printable is its own normalised form.
    let normalised = if text::is_printable(&lenient) { Cow::Borrowed("") } else { text::norm_dlp(&lenient) };
    let joined = if scan.url.raw_query.contains(&b'&') { scan.values().joined() } else { b"" };
    let dotless = if holds_dots { without_dots(&lenient) } else { Vec::new() };
    let texts: [(&str, &[u8]); 4] =
        [("D-409", &lenient), ("D-415", normalised.as_bytes()), ("D-415", joined), ("D-415", &dotless)];
    let differs =
        |(_, text): &&(&str, &[u8])| !text.is_empty() && **text != *canonical && !has_no_secret(text);
    texts.iter().filter(differs).find_map(|(id, text)| {
        lists.iter().find_map(|(secrets, reason)| {
            let reason = secrets::with_form(reason, secrets.find(&[text])?);
            Some(UrlVerdict::block(Label::Dlp, reason).with_difference(id))
        })
    })
}
