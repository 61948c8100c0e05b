//! Stages 3 to 5: what a request may not carry to the origin. Findings are events and counters of this listener, not evidence
//! against a session. spec: http-proxy §9.1, tls-and-request-bodies §13.12

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use muselet_rules::dlp::Match;

use super::blocked;
use crate::Strictness;
use crate::events::{BundleRule, Context, Event};
use crate::policy::body::{Action, BodyFinding, Label};
use crate::policy::headers::HeaderVerdict;
use crate::server::answer::Answer;
use crate::server::exchange::Exchange;
use crate::server::inspect::{Inspected, inspect};
use crate::server::peek::Peeked;
use crate::server::report;
use crate::server::sniff;
use crate::server::wire::{Framing, Head, RequestBody};
use crate::upstream::pool::OutgoingBody;

/// Bytes of a body that tell whether it is text.
const SNIFFED: usize = 512;

/// The difference under which a target is examined like the URL of a forward proxy.
const LIKE_A_URL: &str = "D-531";

/// One request's scans.
pub(super) struct Scan<'a> {
    pub exchange: &'a Exchange,
    /// Of the origin.
    pub host: &'a str,
}

impl Scan<'_> {
    /// The escaped path and query as one text; in hardened mode also as the URL of a forward proxy is examined (D-531).
    pub(super) fn target(&self, target: &[u8]) -> Option<Answer> {
        let policy = &self.exchange.policy;
        let found = policy.dlp.scan_text(target);
        report::warnings(self.exchange, &found.informational, "reverse");
        // Without an action in the configuration this one blocks.
        let action = match policy.config.request_body_scanning.action.as_str() {
            "" => Action::Block,
            _ => policy.body.action(),
        };
        if found.matches.is_empty() {
            let verdict = policy.url.secrets_in_target(target)?;
            self.record_named(action, vec![&*verdict.reason], Vec::new(), Some(LIKE_A_URL));
            return self.refuses(action, "url_dlp", || format!("URL DLP: {}", verdict.reason));
        }
        let difference = found.matches.iter().find_map(|hit| hit.difference);
        self.record(action, &found.matches, difference);
        self.refuses(action, "url_dlp", || format!("URL DLP: {}", names(&found.matches)))
    }

    /// Header DLP.
    pub(super) fn headers(&self, headers: &HeaderMap) -> Option<Answer> {
        self.header_verdict(self.exchange.policy.headers.scan_request(&self.exchange.method, headers))
    }

    fn header_verdict(&self, verdict: HeaderVerdict) -> Option<Answer> {
        report::warnings(self.exchange, &verdict.warnings, "reverse");
        let finding = verdict.finding?;
        self.exchange.record(&Event::HeaderDlp {
            ctx: self.context(finding.difference),
            header: &finding.header,
            action: finding.action.as_str(),
            patterns: finding.patterns(),
            bundle_rules: report::bundle_rules(&finding.matches),
        });
        let reason = || format!("header DLP: {}", names(&finding.matches));
        self.refuses(finding.action, "header_dlp", reason)
    }

    /// The body to forward, or the refusal.
    pub(super) async fn body(&self, head: &Head, body: RequestBody) -> Result<OutgoingBody, Answer> {
        if !body.is_declared() {
            return Ok(OutgoingBody::Empty);
        }
        let policy = &self.exchange.policy.body;
        let mut body = Peeked::new(body);
        // Media is not read, as uploads are often longer than what may be scanned.
        let hardened = self.exchange.shared.fixed.strictness == Strictness::Hardened;
        // Encoded it may be anything, and what other lines say of it; and trailers are known only behind it.
        let plain = !hardened
            || head.headers.get_all(CONTENT_TYPE).iter().count() == 1
                && !policy.is_encoded(&head.headers)
                && body.body().announced_trailers().is_empty();
        if plain && is_media(&head.headers) && !policy.redacts() {
            if !hardened || !is_text(&body.peek(SNIFFED).await) {
                return Ok(OutgoingBody::Client(Box::new(body)));
            }
        } else {
            body.body().gather(policy.limit());
        }
        let (offload, room) = (&self.exchange.shared.offload, &self.exchange.shared.room);
        let (body, trailers, verdict) =
            match inspect(policy, offload, room, &head.headers, self.host, body, true).await {
                Inspected::Streamed(body) => return Ok(OutgoingBody::Client(Box::new(body))),
                Inspected::Refused(finding) => return Err(self.closed(&finding)),
                Inspected::NoRoom(why) => return Err(report::no_room(self.exchange, why)),
                Inspected::Buffered { body, trailers, verdict } => (body, trailers, verdict),
            };
        report::warnings(self.exchange, &verdict.warnings, "reverse");
        if let Some(finding) = verdict.finding
            && let Some(refusal) = self.body_finding(&finding)
        {
            return Err(refusal);
        }
        if let Some(trailers) = &trailers
            && let Some(refusal) = self.header_verdict(self.exchange.policy.headers.scan_trailers(trailers))
        {
            return Err(refusal);
        }
        Ok(match (head.framing == Framing::Chunked, body.is_empty()) {
            (true, _) => OutgoingBody::Chunks(body, trailers.map(Box::new)),
            (false, true) => OutgoingBody::Empty,
            (false, false) => OutgoingBody::Full(body),
        })
    }

    fn body_finding(&self, finding: &BodyFinding) -> Option<Answer> {
        if finding.fail_closed {
            return Some(self.closed(finding));
        }
        let action = finding.action(self.exchange.policy.body.action());
        let difference = finding.difference;
        if !finding.matches.is_empty() || finding.addresses.is_empty() {
            self.record(action, &finding.matches, difference);
        }
        if !finding.addresses.is_empty() {
            let metrics = self.exchange.shared.events.metrics();
            for address in &finding.addresses {
                metrics.address_finding(address.chain, address.verdict);
            }
            self.exchange.record(&Event::AddressProtection {
                ctx: self.context(difference),
                action: action.as_str(),
                match_count: finding.addresses.len(),
                findings: finding.addresses.iter().map(|address| address.explanation.as_str()).collect(),
            });
        }
        self.refuses(action, "dlp", || match finding.label {
            Label::BodyDlp if finding.addresses.is_empty() => format!("DLP: {}", names(&finding.matches)),
            _ => finding.reason.clone(),
        })
    }

    /// A body that cannot be judged: refused whatever `action` and `enforce` say.
    fn closed(&self, finding: &BodyFinding) -> Answer {
        self.record(Action::Block, &[], finding.difference);
        let counter = if finding.label == Label::Redaction { "redaction" } else { "dlp" };
        self.refuse(counter, &finding.reason)
    }

    fn refuses(&self, action: Action, counter: &str, reason: impl FnOnce() -> String) -> Option<Answer> {
        let blocks = action == Action::Block && self.exchange.policy.config.enforces();
        blocks.then(|| self.refuse(counter, &reason()))
    }

    fn refuse(&self, counter: &str, reason: &str) -> Answer {
        self.exchange.shared.events.metrics().reverse_blocked("request", counter);
        blocked(StatusCode::FORBIDDEN, reason)
    }

    fn record(&self, action: Action, matches: &[Match], difference: Option<&'static str>) {
        let patterns = matches.iter().map(|hit| &*hit.name).collect();
        self.record_named(action, patterns, report::bundle_rules(matches), difference);
    }

    fn record_named(
        &self,
        action: Action,
        patterns: Vec<&str>,
        bundle_rules: Vec<BundleRule<'_>>,
        difference: Option<&'static str>,
    ) {
        self.exchange.record(&Event::BodyDlp {
            ctx: self.context(difference),
            action: action.as_str(),
            match_count: patterns.len(),
            patterns,
            bundle_rules,
        });
    }

    fn context(&self, difference: Option<&'static str>) -> Context<'_> {
        Context { difference: difference.unwrap_or(""), ..self.exchange.context() }
    }
}

fn names(matches: &[Match]) -> String {
    let names: Vec<&str> = matches.iter().map(|hit| &*hit.name).collect();
    names.join(", ")
}

/// Text that is said to be media is scanned like any other (D-526): no picture or sound begins like one.
fn is_text(beginning: &[u8]) -> bool {
    sniff::content_type(beginning).starts_with("text/")
}

fn is_media(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes().trim_ascii_start().to_ascii_lowercase();
        [b"image/".as_slice(), b"audio/", b"video/"].iter().any(|family| value.starts_with(family))
    })
}
