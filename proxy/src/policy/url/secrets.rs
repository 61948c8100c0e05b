//! The two layers that look for secrets: the credential shapes that nothing switches off, and everything configured.
//! (spec: url-scan §11, §12)

use std::borrow::Cow;
use std::ops::ControlFlow;

use muselet_rules::dlp::{Encoding, Rule, RuleList, SEED_PHRASE, SHORTEST_PHRASE, Scanner, SecretForm};
use muselet_rules::text;

use super::layers::Step;
use super::quick::{self, Quick};
use super::views;
use super::{Pipeline, Scan};
use crate::policy::verdict::{Label, UrlVerdict, WarnMatch};

/// Shortest path segment whose decodings are examined for seed phrases, in bytes.
const MIN_SEED_SEGMENT: usize = 20;

/// Reasons for the literal secrets of each list.
pub(super) const ENV_LEAK: &str = "environment variable leak detected";
pub(super) const FILE_LEAK: &str = "known secret leak detected";

/// Layer 8.
pub(super) fn core(pipeline: &Pipeline, scan: &mut Scan<'_>) -> Step {
    if let Some(quick) = pipeline.quick() {
        scan.cleared = quick.clear(&pipeline.dlp, scan);
        if scan.cleared.rules {
            return Step::Pass;
        }
    }
    let found = visit(pipeline, scan, RuleList::Core, &mut |text| match pipeline.dlp.first_hit(
        RuleList::Core,
        text,
        |_, gated| !gated,
    ) {
        Some(rule) => ControlFlow::Break(rule),
        None => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Break(rule) => {
            Step::Block(UrlVerdict::block(Label::CoreDlp, reason("core DLP match", rule)))
        }
        ControlFlow::Continue(()) => Step::Pass,
    }
}

/// Gives every text that a list of rules examines to `examine` until it breaks. Of the subsequences only those are made that a rule
/// may match.
pub(super) fn visit<B>(
    pipeline: &Pipeline,
    scan: &Scan<'_>,
    list: RuleList,
    examine: &mut impl FnMut(&[u8]) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let views = if list == RuleList::Core { &views::CORE } else { &views::CONFIGURED };
    views::visit(scan, views, examine)?;
    let quick = pipeline.quick().and_then(|quick| quick.visit_joins(&pipeline.dlp, list, scan, examine));
    quick.unwrap_or_else(|| views::visit(scan, &views::LAST, examine))
}

pub(super) fn reason(what: &str, rule: &Rule) -> String {
    format!("{what}: {} ({})", rule.spec().name, rule.spec().severity)
}

/// Layer 9, in the order of url-scan §12.6.
pub(super) fn configured(pipeline: &Pipeline, scan: &mut Scan<'_>) -> Step {
    patterns(pipeline, scan)
        .or_else(|| seed_phrase(pipeline, scan))
        .or_else(|| literal_secrets(pipeline, scan))
        .map(|reason| UrlVerdict::block(Label::Dlp, reason))
        .into()
}

/// Rules on every view; warn-only ones are noted and passed over. (spec: url-scan §12.2)
fn patterns(pipeline: &Pipeline, scan: &mut Scan<'_>) -> Option<Cow<'static, str>> {
    if scan.cleared.rules {
        return None;
    }
    let mut warned: Vec<WarnMatch> = Vec::new();
    let host: Cow<'_, str> = text::lossy(scan.url.host_name());
    let found = visit(pipeline, scan, RuleList::Main, &mut |text| {
        let accept = |rule: &Rule, gated: bool| {
            let spec = rule.spec();
            if gated || pipeline.is_exempt(rule, &host) {
                return false;
            }
            if spec.warn && !warned.iter().any(|warned| warned.pattern_name == spec.name) {
                warned.push(WarnMatch { pattern_name: spec.name.clone(), severity: spec.severity.clone() });
            }
            !spec.warn
        };
        if !pipeline.may_match(text) {
            return ControlFlow::Continue(());
        }
        match pipeline.dlp.first_hit(RuleList::Main, text, accept) {
            Some(rule) => ControlFlow::Break(rule),
            None => ControlFlow::Continue(()),
        }
    });
    scan.warn_matches = warned;
    match found {
        ControlFlow::Break(rule) => Some(reason("DLP match", rule).into()),
        ControlFlow::Continue(()) => None,
    }
}

/// Seed phrases in their own list of texts. (spec: url-scan §12.3)
fn seed_phrase(pipeline: &Pipeline, scan: &mut Scan<'_>) -> Option<Cow<'static, str>> {
    let dlp = &pipeline.dlp;
    scan.cleared.phrases = pipeline.quick.is_some() && Quick::has_no_seed_phrase(scan);
    if !dlp.detects_seeds() || scan.cleared.phrases {
        return None;
    }
    let is_quick = pipeline.quick.is_some();
    let has = |bytes: &[u8]| (!is_quick || dlp.may_hold_phrase(bytes)) && dlp.seed_in(&text::lossy(bytes));
    let shortest = if is_quick && scan.cleared.decodings { SHORTEST_PHRASE } else { 0 };
    seed_texts(scan, shortest, &has).then(|| seed_reason().into())
}

pub(super) fn seed_reason() -> String {
    format!("DLP match: {SEED_PHRASE} (critical)")
}

/// Whether some text holds a phrase. When a shortest length is given, decodings hold none.
fn seed_texts(scan: &Scan<'_>, shortest: usize, has: &impl Fn(&[u8]) -> bool) -> bool {
    let url = &scan.url;
    let spaced = |bytes: &[u8], separator: u8| {
        let replace = |&byte: &u8| if byte == separator { b' ' } else { byte };
        bytes.contains(&separator) && has(&bytes.iter().map(replace).collect::<Vec<u8>>())
    };
    let decoded_value = |value: Cow<'_, [u8]>| {
        let value = text::percent_decode_all(&value);
        has(&value) || shortest == 0 && views::decodings(&value).any(|decoded| has(&decoded))
    };
    let decoded_segment = |segment: &[u8]| {
        segment.len() >= MIN_SEED_SEGMENT
            && views::decodings(&text::percent_decode_all(segment)).any(|decoded| has(&decoded))
    };
    let is_long = scan.has_piece_of(shortest);
    has(&url.path)
        || has(scan.query())
        || is_long && views::pairs(&url.raw_query).any(|(_, value)| decoded_value(value))
        // A leading space separates nothing, so it does not matter which piece the first value comes from. (§12.3 item 4)
        || url.raw_query.contains(&b'&') && has(&scan.values().spaced())
        || shortest == 0 && views::segments(&url.path).any(decoded_segment)
        || spaced(url.host_name(), b'.')
        || spaced(&url.path, b'/')
}

/// Environment secrets, then the file's, and canaries after each list that is not empty. (spec: url-scan §12.4, §12.5)
fn literal_secrets(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<Cow<'static, str>> {
    let dlp = &pipeline.dlp;
    let lists = [(dlp.env_secrets(), ENV_LEAK), (dlp.file_secrets(), FILE_LEAK)];
    if lists.iter().all(|(secrets, _)| secrets.is_empty()) {
        return None;
    }
    let canonical = scan.canonical();
    let has_no_secret = |text: &[u8]| pipeline.quick.is_some() && !dlp.may_hold_secret(text);
    if quick::is_settled_text(canonical) && !dlp.has_canaries() && has_no_secret(canonical) {
        return None;
    }
    let stripped = text::strip_controls(canonical);
    let decoded = if text::is_printable(canonical) {
        Cow::Borrowed(scan.decoded_canonical())
    } else {
        text::percent_decode_all(stripped.as_bytes())
    };
    let decoded = text::strip_controls(&decoded);
    let has_none = has_no_secret(stripped.as_bytes()) && has_no_secret(decoded.as_bytes());
    for (secrets, reason) in lists {
        if secrets.is_empty() {
            continue;
        }
        if !has_none && let Some(form) = secrets.find(&[stripped.as_bytes(), decoded.as_bytes()]) {
            return Some(with_form(reason, form));
        }
        if let Some(reason) = canary(dlp, canonical) {
            return Some(reason.into());
        }
    }
    None
}

pub(super) fn with_form(reason: &'static str, form: SecretForm) -> Cow<'static, str> {
    match form.reason_suffix() {
        "" => Cow::Borrowed(reason),
        suffix => Cow::Owned(format!("{reason}{suffix}")),
    }
}

/// The first canary in `text`.
pub(super) fn canary(dlp: &Scanner, text: &[u8]) -> Option<String> {
    if !dlp.has_canaries() {
        return None;
    }
    let hits = dlp.canary_hits(text);
    let hit = hits.first()?;
    let suffix = match hit.encoded {
        Encoding::Plain => String::new(),
        encoded => format!(" [{}]", encoded.as_str()),
    };
    Some(format!("DLP match: {} (critical){suffix}", hit.finding))
}
