//! The order of the layers. Reading the two lists is reading the rule: the first block wins. (spec: url-scan §4)
//!
//! In hardened mode the listed differences are asked after the reference's own layers, so that a URL which the reference
//! blocks keeps the reference's label; but they are asked before name resolution, so that nothing leaves the machine for a
//! URL which only they block.

use std::time::Instant;

use super::scan::Scan;
use super::{Lookup, Outcome, Pending, Pipeline, addresses, domains, entropy, hardened, secrets, shape};
use crate::policy::verdict::{Class, Label, UrlVerdict};

/// What a layer before name resolution says.
pub(super) enum Step {
    /// No objection.
    Pass,
    /// Blocked.
    Block(UrlVerdict),
    /// The host's addresses are needed.
    Lookup,
}

impl From<Option<UrlVerdict>> for Step {
    fn from(block: Option<UrlVerdict>) -> Self {
        block.map_or(Self::Pass, Self::Block)
    }
}

type Before = fn(&Pipeline, &mut Scan<'_>) -> Step;
type After = fn(&Pipeline, &Pending<'_>, Instant) -> Option<UrlVerdict>;

/// Layers 2 to 12; the first layer is the parser. No name is resolved before the last of them asks for it.
const BEFORE: [Before; 11] = [
    shape::scheme,
    shape::crlf,
    shape::traversal,
    domains::allowlist,
    domains::blocklist,
    addresses::core_literal,
    secrets::core,
    secrets::configured,
    entropy::path_and_query,
    entropy::subdomain,
    addresses::literal_or_lookup,
];

/// Layers 13 to 15. A slot of the rate limit is taken even when a later layer blocks.
const AFTER: [After; 3] = [rate_limit, length, data_budget];

/// Layer 1.
pub(super) fn parser() -> UrlVerdict {
    UrlVerdict::block(Label::Parser, "invalid URL")
}

pub(super) fn before_lookup<'u>(pipeline: &Pipeline, scan: &mut Scan<'u>, now: Instant) -> Outcome<'u> {
    let mut needs_lookup = false;
    for layer in BEFORE {
        match layer(pipeline, scan) {
            Step::Pass => {}
            Step::Lookup => needs_lookup = true,
            Step::Block(mut verdict) => {
                verdict.warn_matches = std::mem::take(&mut scan.warn_matches);
                return Outcome::Done(verdict);
            }
        }
    }
    let difference = difference(pipeline, scan);
    let pending = Pending {
        is_folded: pipeline.is_hardened() && hardened::is_folded(scan),
        host: std::mem::take(&mut scan.host),
        url_len: scan.raw.len(),
        warn_matches: std::mem::take(&mut scan.warn_matches),
    };
    match difference {
        None => {
            if let Some(passed) = &pipeline.passed {
                passed.note(scan.raw, &pending, needs_lookup);
            }
            lookup_or_limits(pipeline, pending, needs_lookup, now)
        }
        Some(block) => {
            let verdict = limits(pipeline, pending, now);
            Outcome::Done(if verdict.allowed {
                UrlVerdict { warn_matches: verdict.warn_matches, ..block }
            } else {
                verdict
            })
        }
    }
}

/// The first listed difference that blocks.
fn difference(pipeline: &Pipeline, scan: &Scan<'_>) -> Option<UrlVerdict> {
    // What is too long is refused in any case, and costs most to look at.
    let differs = pipeline.is_hardened() && scan.raw.len() <= pipeline.settings.max_url_length;
    if differs { hardened::check(pipeline, scan) } else { None }
}

/// What the layers about secrets say of a URL, and the listed differences about them, but for how random its parts look.
pub(super) fn secrets_in(pipeline: &Pipeline, url: &[u8]) -> Option<UrlVerdict> {
    let mut scan = Scan::new(url).ok()?;
    for layer in [secrets::core, secrets::configured] {
        if let Step::Block(verdict) = layer(pipeline, &mut scan) {
            return Some(verdict);
        }
    }
    hardened::secrets(pipeline, &scan)
}

/// What follows once no layer up to the look-up has objected.
pub(super) fn lookup_or_limits<'u>(
    pipeline: &Pipeline,
    pending: Pending<'u>,
    needs_lookup: bool,
    now: Instant,
) -> Outcome<'u> {
    if needs_lookup { Outcome::NeedsDns(pending) } else { Outcome::Done(limits(pipeline, pending, now)) }
}

pub(super) fn after_lookup(
    pipeline: &Pipeline,
    pending: Pending<'_>,
    lookup: Lookup<'_>,
    now: Instant,
) -> UrlVerdict {
    match addresses::resolved(pipeline, &pending, lookup) {
        Some(verdict) => UrlVerdict { warn_matches: pending.warn_matches, ..verdict },
        None => limits(pipeline, pending, now),
    }
}

fn limits(pipeline: &Pipeline, pending: Pending<'_>, now: Instant) -> UrlVerdict {
    for layer in AFTER {
        if let Some(verdict) = layer(pipeline, &pending, now) {
            return UrlVerdict { warn_matches: pending.warn_matches, ..verdict };
        }
    }
    UrlVerdict::allow(pending.warn_matches)
}

/// What layer 13 hid of a URL that it stopped, where that stop does not count: a difference that blocks, and layers 14 and 15.
pub(super) fn behind_rate_limit(pipeline: &Pipeline, url: &[u8], now: Instant) -> Option<UrlVerdict> {
    let pending = match pipeline.passed.as_ref().and_then(|passed| passed.recall(url)) {
        Some((pending, _)) => pending,
        None => {
            let mut scan = Scan::new(url).ok()?;
            if let Some(block) = difference(pipeline, &scan) {
                return Some(block);
            }
            Pending {
                is_folded: false,
                host: std::mem::take(&mut scan.host),
                url_len: scan.raw.len(),
                warn_matches: Vec::new(),
            }
        }
    };
    let [_, behind @ ..] = AFTER;
    behind.iter().find_map(|layer| layer(pipeline, &pending, now)).map(|block| block.with_difference("D-700"))
}

/// Layer 13. (spec: url-scan §16)
fn rate_limit(pipeline: &Pipeline, pending: &Pending<'_>, now: Instant) -> Option<UrlVerdict> {
    (!pipeline.rate.take(limit_host(pipeline, pending), now)).then(|| {
        let reason = format!("rate limit exceeded for {}", pending.host);
        about_dots(
            pipeline,
            pending,
            UrlVerdict::block(Label::RateLimit, reason).with_class(Class::Protective),
        )
    })
}

/// Layer 14. (spec: url-scan §17)
fn length(pipeline: &Pipeline, pending: &Pending<'_>, _: Instant) -> Option<UrlVerdict> {
    let most = pipeline.settings.max_url_length;
    (pending.url_len > most).then(|| {
        UrlVerdict::block(Label::Length, format!("URL length {} exceeds maximum {most}", pending.url_len))
    })
}

/// Layer 15. (spec: url-scan §18)
fn data_budget(pipeline: &Pipeline, pending: &Pending<'_>, now: Instant) -> Option<UrlVerdict> {
    (!pipeline.budget.has_left(limit_host(pipeline, pending), now)).then(|| {
        let reason = format!("data budget exceeded for {}", pending.host);
        about_dots(pipeline, pending, UrlVerdict::block(Label::DataBudget, reason))
    })
}

/// The host whose limits count: in hardened mode a trailing dot does not make another one.
fn limit_host<'p>(pipeline: &Pipeline, pending: &'p Pending<'_>) -> &'p str {
    match pending.host.strip_suffix('.') {
        Some(stripped) if pipeline.is_hardened() => stripped,
        _ => &pending.host,
    }
}

fn about_dots(pipeline: &Pipeline, pending: &Pending<'_>, verdict: UrlVerdict) -> UrlVerdict {
    if pipeline.is_hardened() && pending.host.ends_with('.') {
        return verdict.with_difference(hardened::TRAILING_DOT);
    }
    verdict
}
