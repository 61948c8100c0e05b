//! Cross-request detection as the handlers use it: ask, report, refuse. (spec: http-proxy §11.7, §6.2 C9)

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;
use muselet_rules::dlp::Scanner;

use super::answer::{self, Answer};
use super::exchange::Exchange;
use super::identity::DEFAULT_PROFILE;
use super::report;
use super::shared::Shared;
use crate::Strictness;
use crate::events::{Context, Event};
use crate::policy::cross_request::{CrossRequest, Finding, Payload};
use crate::policy::session::{Action, Signal};

/// The counter label of refusals.
pub(super) const CROSS_REQUEST: &str = "cross_request";
/// Stands for the method in events.
const METHOD: &str = "CEE";

impl Exchange {
    /// Whether requests have to be admitted at all.
    pub(super) fn looks_across_requests(&self) -> bool {
        self.policy.cross_request.is_some()
    }

    /// Accounts for a request to `host` and reports what it completes; the reason if it is refused. `transport` as in the
    /// metric of warn-mode rules.
    pub(super) async fn admit(&self, host: &str, payload: Payload, transport: &str) -> Option<String> {
        let (rules, live, scanner) = self.trackers()?;
        if payload.is_empty() {
            return None;
        }
        let key = self.identity.session_key();
        let cost = live.cost(&key, &payload);
        let judge = {
            let host = host.to_owned();
            move || rules.admit(&live, &scanner, &key, &host, &payload, Instant::now())
        };
        let Ok(admission) = self.shared.offload.run(cost, judge).await else {
            return Some("cross-request scan aborted".to_owned());
        };
        report::warnings(self, &admission.warnings, transport);
        admission.findings.iter().filter_map(|finding| self.found(finding)).next_back()
    }

    /// The reason if the finding refuses the request.
    fn found(&self, finding: &Finding) -> Option<String> {
        let difference = match finding {
            Finding::Entropy { .. } => "",
            Finding::Fragments { rule, .. } => rule.difference.unwrap_or_default(),
        };
        self.count_finding(finding);
        self.signal(signal(finding));
        let ctx = Context { method: METHOD, difference, ..self.context() };
        let (scanner, reason) = (finding.scanner(), finding.detail());
        if finding.blocks() {
            self.record(&Event::Blocked { ctx, scanner, reason: &reason });
            return Some(finding.refusal());
        }
        self.record(&Event::Anomaly { ctx, scanner, reason: &reason, score: 0.0 });
        None
    }

    /// A tunnel is refused to a client whose budget is used up. (spec: http-proxy §6.2 C9)
    pub(super) fn tunnel_over_budget(&self) -> Option<Answer> {
        let (rules, live, _) = self.trackers()?;
        let finding = rules.exhausted(&live, &self.identity.session_key(), Instant::now())?;
        self.count_finding(&finding);
        self.signal(signal(&finding));
        let base = if finding.blocks() { Action::Block } else { Action::Warn };
        let (ctx, scanner, reason) = (self.context(), finding.scanner(), finding.detail());
        if self.upgrade(base, scanner) != Action::Block {
            self.record(&Event::Anomaly { ctx, scanner, reason: &reason, score: 0.0 });
            return None;
        }
        self.record(&Event::Blocked { ctx, scanner, reason: &reason });
        self.shared.events.metrics().tunnel_blocked(DEFAULT_PROFILE);
        Some(answer::text(StatusCode::FORBIDDEN, &format!("CONNECT blocked: {}", finding.refusal())))
    }

    /// The rules of this exchange's snapshot, the trackers in force, and the scanner that belongs to those.
    fn trackers(&self) -> Option<(Arc<CrossRequest>, Arc<CrossRequest>, Arc<Scanner>)> {
        let rules = self.policy.cross_request.as_ref()?;
        let live = self.shared.policy.load();
        Some((Arc::clone(rules), live.cross_request.clone()?, Arc::clone(&live.dlp)))
    }

    /// The same exchange for a finding that leaves the score's decay alone, as the reference's do inside tunnels.
    /// (spec: tls-and-request-bodies §20 O13)
    pub(super) fn detached(&self) -> Self {
        let mut exchange = self.clone();
        if self.shared.fixed.strictness == Strictness::Reference {
            exchange.findings = Arc::default();
        }
        exchange
    }

    fn count_finding(&self, finding: &Finding) {
        let metrics = self.shared.events.metrics();
        match finding {
            Finding::Entropy { .. } => metrics.cross_request_entropy_exceeded(),
            Finding::Fragments { .. } => metrics.cross_request_dlp_match(),
        }
    }
}

fn signal(finding: &Finding) -> Signal {
    match finding {
        Finding::Entropy { .. } => Signal::EntropyBudget,
        Finding::Fragments { .. } => Signal::Fragment,
    }
}

/// Forgets what a session has sent; `true` if there was anything. (spec: http-proxy §13, reset and terminate)
pub(super) fn forget(shared: &Shared, key: &str) -> bool {
    shared.policy.load().cross_request.as_ref().is_some_and(|trackers| trackers.forget(key))
}
