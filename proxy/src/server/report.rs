//! Findings in requests as events and counters, for every handler of the main listener. (spec: http-proxy §5.6)

use muselet_rules::dlp::Match;

use super::answer::{self, Answer};
use super::exchange::Exchange;
use super::identity::DEFAULT_PROFILE;
use super::room::NoRoom;
use crate::events::{BundleRule, Context, Event};
use crate::policy::body::{Action, BodyFinding};
use crate::policy::headers::HeaderFinding;
use crate::policy::session::Signal;

/// Matches of warn-mode rules: one event each. `transport` as in the metric.
pub(super) fn warnings(exchange: &Exchange, matches: &[Match], transport: &str) {
    for hit in matches {
        exchange.shared.events.metrics().dlp_warn(&hit.name, transport);
        exchange.record(&Event::DlpWarn {
            ctx: exchange.context(),
            pattern: &hit.name,
            severity: &hit.severity,
            transport,
        });
    }
}

/// Reports that there is no room for a body; the answer that says so. (D-630)
pub(super) fn no_room(exchange: &Exchange, why: NoRoom) -> Answer {
    exchange.record(&Event::Error { ctx: exchange.context(), error: &why.to_string() });
    answer::no_room()
}

/// Reports a secret in a header of a request to `host`; `true`: the request is refused.
pub(super) fn header_finding(exchange: &Exchange, host: &str, finding: &HeaderFinding) -> bool {
    let metrics = exchange.shared.events.metrics();
    let action = finding.action.as_str();
    // The reference labels this counter with the name of the agent, not with its profile. (spec: http-proxy §17)
    metrics.header_dlp_hit(action, &exchange.identity.agent);
    exchange.record(&Event::HeaderDlp {
        ctx: context(exchange, finding.difference),
        header: &finding.header,
        action,
        patterns: finding.patterns(),
        bundle_rules: bundle_rules(&finding.matches),
    });
    exchange.findings.mark();
    let blocks = finding.blocks(exchange.policy.config.enforces());
    // A blocked CONNECT is recorded as a refused request instead, which is the same evidence. (spec: http-proxy §6.2 C3)
    let recorded = blocks && &*exchange.method == "CONNECT";
    if !recorded && !exchange.policy.adaptive_exempt.matches(&host.to_lowercase()) {
        exchange.signal(if blocks { Signal::Block } else { Signal::NearMiss });
    }
    blocks
}

/// Reports what a body scan found.
pub(super) fn body_finding(exchange: &Exchange, finding: &BodyFinding, action: Action) {
    let metrics = exchange.shared.events.metrics();
    exchange.findings.mark();
    if !finding.matches.is_empty() {
        metrics.body_dlp_hit(action.as_str(), DEFAULT_PROFILE);
        exchange.record(&Event::BodyDlp {
            ctx: context(exchange, finding.difference),
            action: action.as_str(),
            match_count: finding.matches.len(),
            patterns: finding.patterns(),
            bundle_rules: bundle_rules(&finding.matches),
        });
    }
    if !finding.addresses.is_empty() {
        for address in &finding.addresses {
            metrics.address_finding(address.chain, address.verdict);
        }
        exchange.record(&Event::AddressProtection {
            ctx: context(exchange, finding.difference),
            action: action.as_str(),
            match_count: finding.addresses.len(),
            findings: finding.addresses.iter().map(|address| address.explanation.as_str()).collect(),
        });
    }
}

/// Reports a body that is refused whatever the configuration says.
pub(super) fn fail_closed(exchange: &Exchange, finding: &BodyFinding) {
    exchange.record(&Event::Blocked {
        ctx: context(exchange, finding.difference),
        scanner: finding.label.as_str(),
        reason: &finding.reason,
    });
}

fn context<'a>(exchange: &'a Exchange, difference: Option<&'a str>) -> Context<'a> {
    Context { difference: difference.unwrap_or(""), ..exchange.context() }
}

/// Matches of rules that came from a bundle.
pub(super) fn bundle_rules(matches: &[Match]) -> Vec<BundleRule<'_>> {
    matches
        .iter()
        .filter(|hit| !hit.bundle.is_empty())
        .map(|hit| BundleRule {
            rule_id: &hit.name,
            bundle: &hit.bundle,
            bundle_version: &hit.bundle_version,
        })
        .collect()
}
