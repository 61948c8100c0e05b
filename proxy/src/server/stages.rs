//! The stages that handlers share: what a verdict does to a request, whoever asked for it. A handler says how it words and
//! counts a refusal. (spec: http-proxy §5.1 F7 and F13, §6.2 C5, §7.3, §8.1)

use std::borrow::Cow;

use http::{HeaderMap, StatusCode};

use super::answer::{self, Answer};
use super::exchange::Exchange;
use super::report;
use crate::events::Event;
use crate::policy::headers::HeaderVerdict;
use crate::policy::session::Action;
use crate::policy::url::GoUrl;
use crate::policy::verdict::UrlVerdict;

/// A request that its URL verdict refuses; the event is written.
pub(super) struct UrlRefusal<'v> {
    pub status: StatusCode,
    /// The scanner's label.
    pub scanner: &'static str,
    pub reason: Cow<'v, str>,
    /// For the client, where the configuration explains refusals.
    pub hint: Option<&'v str>,
}

impl UrlRefusal<'_> {
    /// As plain text: `prefix` and the reason.
    pub(super) fn text(&self, prefix: &str) -> Answer {
        answer::with_hint(answer::text(self.status, &format!("{prefix}{}", self.reason)), self.hint)
    }
}

impl Exchange {
    /// Applies a URL verdict. Without enforcement a refusal is only reported, unless the session's level raises it.
    pub(super) fn refuse_url<'v>(&self, verdict: &'v UrlVerdict) -> Option<UrlRefusal<'v>> {
        if verdict.allowed {
            return None;
        }
        let config = &self.policy.config;
        let scanner = verdict.label.as_str();
        let ctx = self.context_of(verdict);
        self.findings.mark();
        let mut reason = Cow::Borrowed(&*verdict.reason);
        if !config.enforces() {
            if self.upgrade(Action::Warn, scanner) != Action::Block {
                self.record(&Event::Anomaly { ctx, scanner, reason: &reason, score: verdict.score });
                return None;
            }
            reason = Cow::Owned(format!("{reason} (escalated)"));
        }
        self.record(&Event::Blocked { ctx, scanner, reason: &reason });
        let explains = config.enforces() && config.explains_blocks();
        let hint = explains.then(|| verdict.hint_in(self.shared.fixed.strictness));
        Some(UrlRefusal { status: answer::block_status(verdict), scanner, reason, hint })
    }

    /// Header DLP of a request to `host`; `true`: it is refused, and counted. `transport` as in the metric.
    pub(super) fn refuses_headers(&self, host: &str, headers: &HeaderMap, transport: &str) -> bool {
        self.refuses_header(host, self.policy.headers.scan_request(&self.method, headers), transport)
    }

    /// The same for the user-info of a URL, which becomes a header.
    pub(super) fn refuses_user_info(&self, host: &str, url: &GoUrl<'_>, transport: &str) -> bool {
        let Some(user) = &url.user else { return false };
        self.refuses_header(host, self.policy.headers.scan_user_info(user), transport)
    }

    fn refuses_header(&self, host: &str, verdict: HeaderVerdict, transport: &str) -> bool {
        report::warnings(self, &verdict.warnings, transport);
        let Some(finding) = verdict.finding else { return false };
        if !report::header_finding(self, host, &finding) {
            return false;
        }
        // The reference labels this counter with the name of the agent, not with its profile. (spec: http-proxy §17)
        let metrics = self.shared.events.metrics();
        metrics.request_blocked(host, "header_dlp", &self.identity.agent, self.elapsed());
        true
    }
}
