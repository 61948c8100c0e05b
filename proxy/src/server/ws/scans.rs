//! What is asked about a complete message, reported, and made of the answer: a message to pass on or the words to close with. (spec:
//! http-proxy §8.3, response-scan §6.11, dlp §8.9, §12.5)
//!
//! In hardened mode a message of the client is also scanned alone, like a body of no type (D-522), and text of the server where two
//! messages meet as well (D-525).

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use muselet_rules::dlp::{Match, TextResult};

use super::context;
use crate::Strictness;
use crate::events::{BundleRule, Context, Direction, Event};
use crate::policy::body;
use crate::policy::cross_request::Payload;
use crate::policy::response::{Head, MessageVerdict, Transport};
use crate::policy::session::{Action, Signal};
use crate::server::cross_request::CROSS_REQUEST;
use crate::server::exchange::Exchange;
use crate::server::{deliver, report};

/// How much of what the client said before is scanned together with a new message.
const TAIL: usize = 4096;
/// The difference under which messages are scanned like bodies.
const LIKE_A_BODY: &str = "D-522";
/// The difference under which an injection in two messages of a server is found.
const ACROSS_MESSAGES: &str = "D-525";
/// How much of two messages is scanned where they meet, of each.
const SEAM: usize = 512;

/// A message that is not passed on: both peers get a close frame 1008 with this reason. It has been reported.
#[derive(Debug)]
pub(super) struct Refusal {
    pub close: Cow<'static, str>,
}

impl Refusal {
    fn new(close: impl Into<Cow<'static, str>>) -> Self {
        Self { close: close.into() }
    }
}

/// What one kind of traffic ended with.
pub(super) type Tail = Vec<u8>;

/// The scans of one direction of a conversation.
#[derive(Clone, Copy)]
pub(super) struct Scans<'a> {
    pub exchange: &'a Exchange,
    /// Of the origin, without port.
    pub host: &'a str,
    pub direction: Direction,
}

impl Scans<'_> {
    pub(super) fn is_from_client(&self) -> bool {
        self.direction == Direction::ClientToServer
    }

    /// Whether text is scanned.
    pub(super) fn scans(&self) -> bool {
        self.exchange.policy.config.websocket_proxy.scans_text_frames()
    }

    /// Whether everything else that the client sends is scanned, too.
    pub(super) fn scans_all_kinds(&self) -> bool {
        self.is_from_client() && self.scans() && self.exchange.shared.fixed.strictness == Strictness::Hardened
    }

    /// Redaction, as of a request body: JSON if it is JSON, something that cannot be redacted if not.
    pub(super) async fn redact(&self, message: Bytes) -> Result<Bytes, Refusal> {
        if !self.exchange.policy.body.redacts() {
            return Ok(message);
        }
        let (policy, host) = (Arc::clone(&self.exchange.policy.body), self.host.to_owned());
        let body = message.clone();
        let scan = move || {
            let mut headers = HeaderMap::new();
            if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok() {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            policy.scan(&body, &headers, &host)
        };
        let verdict = self.offload(message.len(), scan).await?;
        report::warnings(self.exchange, &verdict.warnings, "websocket");
        if let Some(finding) = verdict.finding {
            if finding.fail_closed {
                return Err(self.unredactable(finding.reason));
            }
            self.hit("body_dlp");
            let action = self.exchange.upgrade(
                match finding.action(self.exchange.policy.body.action()) {
                    body::Action::Block => Action::Block,
                    body::Action::Warn => Action::Warn,
                },
                "body_dlp",
            );
            if action == Action::Block {
                self.report_blocked("body_dlp", &finding.reason, finding.difference.unwrap_or_default());
                self.exchange.signal(Signal::Block);
                return Err(Refusal::new("DLP violation"));
            }
            self.report_scan("warn", finding.patterns(), report::bundle_rules(&finding.matches), "");
            self.exchange.signal(Signal::NearMiss);
        }
        Ok(verdict.replacement.map_or(message, Bytes::from))
    }

    pub(super) fn unredactable(&self, reason: String) -> Refusal {
        self.report_blocked("redaction", &reason, "");
        self.hit("redaction");
        self.exchange.signal(Signal::Block);
        Refusal::new(reason)
    }

    /// Secrets and false addresses, also when they come in pieces.
    pub(super) async fn secrets(
        &self,
        tail: &mut Tail,
        message: &Bytes,
        difference: Option<&'static str>,
    ) -> Result<(), Refusal> {
        let joined = Bytes::from([tail.as_slice(), message].concat());
        let spans = !tail.is_empty();
        tail.clear();
        tail.extend_from_slice(&joined[joined.len().saturating_sub(TAIL)..]);
        let policy = &self.exchange.policy;
        let found = self.scan(&joined).await?;
        report::warnings(self.exchange, &found.informational, "websocket");
        if !found.clean() {
            if spans && policy.body.redacts() && self.scan(message).await?.clean() {
                self.unredactable(
                    "redaction blocked request: websocket cross-message secret cannot be redacted".to_owned(),
                );
                return Err(Refusal::new("cross-message secret cannot be redacted"));
            }
            let difference = difference.unwrap_or_else(|| self::difference(&found.matches));
            self.secret_found(&found.matches, difference)?;
        } else if self.scans_all_kinds() {
            let (policy, text) = (Arc::clone(&policy.body), message.clone());
            let found = self.offload(message.len(), move || policy.secrets_in(&text)).await?;
            if let Some(matches) = found {
                self.secret_found(&matches, LIKE_A_BODY)?;
            }
        }
        let findings = policy.body.addresses(&joined);
        let Some(action) = findings.iter().map(|finding| finding.action).max() else { return Ok(()) };
        for finding in &findings {
            self.exchange.shared.events.metrics().address_finding(finding.chain, finding.verdict);
        }
        self.hit("address_protection");
        if action == body::Action::Block {
            let reason = format!("address poisoning detected: {}", findings[0].explanation);
            self.report_blocked("address_protection", &reason, "");
            self.exchange.signal(Signal::Block);
            return Err(Refusal::new("address poisoning detected"));
        }
        let explanations = findings.iter().map(|finding| &*finding.explanation).collect();
        self.report_scan("address_protection", explanations, Vec::new(), "");
        self.exchange.signal(Signal::NearMiss);
        Ok(())
    }

    fn secret_found(&self, matches: &[Match], difference: &'static str) -> Result<(), Refusal> {
        let exchange = self.exchange;
        self.hit("dlp");
        let enforces = exchange.policy.config.enforces();
        let escalated = !enforces && exchange.upgrade(Action::Warn, "dlp") == Action::Block;
        if !enforces && !escalated {
            let patterns = matches.iter().map(|hit| &*hit.name).collect();
            self.report_scan("audit", patterns, report::bundle_rules(matches), difference);
            exchange.signal(Signal::NearMiss);
            return Ok(());
        }
        let first = matches.first().map_or("", |hit| &*hit.name);
        let suffix = if escalated { " (escalated)" } else { "" };
        self.report_blocked("dlp", &format!("DLP match: {first}{suffix}"), difference);
        exchange.signal(Signal::Block);
        Err(Refusal::new("DLP violation"))
    }

    /// What a message completes together with earlier requests; binary ones only count against the entropy budget.
    pub(super) async fn across(&self, message: &Bytes, text: bool) -> Result<(), Refusal> {
        let exchange = self.exchange;
        if !exchange.looks_across_requests() {
            return Ok(());
        }
        let payload = Payload::of_message(message, text);
        if exchange.admit(self.host, payload, "websocket").await.is_none() {
            return Ok(());
        }
        self.hit(CROSS_REQUEST);
        Err(Refusal::new("cross-request exfiltration detected"))
    }

    async fn scan(&self, text: &Bytes) -> Result<TextResult, Refusal> {
        let (dlp, text) = (Arc::clone(&self.exchange.policy.dlp), text.clone());
        self.offload(text.len(), move || dlp.scan_text(&text)).await
    }

    /// Injection in what the server says. In hardened mode also where two messages meet (D-525): the first has been passed on,
    /// the second is not.
    pub(super) async fn injection(&self, tail: &mut Tail, message: Bytes) -> Result<Bytes, Refusal> {
        let verdict = self.judge(message.clone()).await?;
        if verdict != MessageVerdict::Pass || self.exchange.shared.fixed.strictness == Strictness::Reference {
            tail.clear();
            return self.carry_out(message, verdict, "");
        }
        let verdict = if tail.is_empty() {
            MessageVerdict::Pass
        } else {
            // A cut makes no beginning of a line.
            let cut: &[u8] = if tail.len() < SEAM { b"" } else { b"." };
            self.judge([cut, tail, &message[..message.len().min(SEAM)]].concat().into()).await?
        };
        if verdict == MessageVerdict::Pass {
            tail.extend_from_slice(&message[message.len().saturating_sub(SEAM)..]);
            tail.drain(..tail.len().saturating_sub(SEAM));
            return Ok(message);
        }
        tail.clear();
        let verdict = match verdict {
            // What is to be cut out has been passed on in part.
            MessageVerdict::Replace(_, matches) => {
                let names: Vec<&str> = matches.iter().map(|hit| &*hit.name).collect();
                let reason = format!("injection detected (strip failed): {}", names.join(", "));
                MessageVerdict::Close(reason, matches)
            }
            verdict => verdict,
        };
        self.carry_out(message, verdict, ACROSS_MESSAGES)
    }

    async fn judge(&self, text: Bytes) -> Result<MessageVerdict, Refusal> {
        let exchange = self.exchange;
        let judge = {
            let (policy, host) = (Arc::clone(&exchange.policy.response), self.host.to_owned());
            let (target, escalation, text) = (Arc::clone(&exchange.url), exchange.escalation(), text.clone());
            move || {
                let headers = HeaderMap::new();
                let head = Head {
                    transport: Transport::WebSocket,
                    host: &host,
                    target: &target,
                    headers: &headers,
                    escalation,
                };
                let mut notes = Vec::new();
                let verdict = policy.judge_message(&head, &String::from_utf8_lossy(&text), &mut notes);
                (verdict, notes)
            }
        };
        let (verdict, notes) = self.offload(text.len(), judge).await?;
        deliver::record_notes(exchange, Transport::WebSocket, self.host, &notes);
        Ok(verdict)
    }

    /// Reports a verdict; what is to be passed on. `difference`: the one without which there would be no finding, if it is not the
    /// matches'.
    fn carry_out(
        &self,
        message: Bytes,
        verdict: MessageVerdict,
        difference: &'static str,
    ) -> Result<Bytes, Refusal> {
        let exchange = self.exchange;
        let (matches, outcome) = match verdict {
            MessageVerdict::Pass => return Ok(message),
            MessageVerdict::Warn(matches) => (matches, Ok(None)),
            MessageVerdict::Replace(text, matches) => (matches, Ok(Some(text))),
            MessageVerdict::Close(reason, matches) => (matches, Err(reason)),
        };
        self.hit("injection");
        if exchange.policy.response.is_exempt(self.host) {
            exchange.shared.events.metrics().response_scan_exempt("exempt_domain", "websocket");
        }
        let difference = match matches.iter().all(|hit| hit.difference.is_some()) {
            true if difference.is_empty() => {
                matches.iter().find_map(|hit| hit.difference).unwrap_or_default()
            }
            _ => difference,
        };
        let patterns: Vec<&str> = matches.iter().map(|hit| &*hit.name).collect();
        match outcome {
            Ok(None) => {
                self.report_scan("warn", patterns, Vec::new(), difference);
                Ok(message)
            }
            Ok(Some(text)) => {
                self.report_scan("strip", patterns, Vec::new(), difference);
                exchange.signal(Signal::Strip);
                Ok(text.into())
            }
            Err(reason) => {
                self.report_blocked("response_scan", &reason, difference);
                Err(Refusal::new("injection detected"))
            }
        }
    }

    /// Media that the server sends.
    pub(super) async fn media(&self, message: Bytes) -> Result<Bytes, Refusal> {
        let (policy, bytes) = (Arc::clone(&self.exchange.policy.response), message.clone());
        let judged = self.offload(message.len(), move || policy.judge_binary(bytes)).await?;
        deliver::record_notes(self.exchange, Transport::WebSocket, self.host, &judged.notes);
        judged.message.map_err(|reason| {
            self.hit("media_policy");
            self.report_blocked("media_policy", &reason, "");
            Refusal::new("media blocked")
        })
    }

    /// Runs a scan where it disturbs nobody. One that does not come back refuses the message.
    async fn offload<T: Send + 'static>(
        &self,
        bytes: usize,
        scan: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.exchange.shared.offload.run(bytes, scan).await.map_err(|_| {
            deliver::record_error(self.exchange, "websocket: scan aborted");
            Refusal::new("scan aborted")
        })
    }

    fn hit(&self, scanner: &str) {
        self.exchange.shared.events.metrics().ws_scan_hit(scanner);
    }

    /// Reports that the conversation ends here.
    pub(super) fn report_blocked(&self, scanner: &str, reason: &str, difference: &str) {
        if scanner == "ws_protocol" {
            self.hit(scanner);
        }
        self.exchange.record(&Event::WsBlocked {
            ctx: Context { difference, ..context(self.exchange) },
            direction: self.direction,
            scanner,
            reason,
        });
    }

    fn report_scan(
        &self,
        action: &str,
        patterns: Vec<&str>,
        bundle_rules: Vec<BundleRule<'_>>,
        difference: &str,
    ) {
        self.exchange.record(&Event::WsScan {
            ctx: Context { difference, ..context(self.exchange) },
            direction: self.direction,
            action,
            match_count: patterns.len(),
            patterns,
            bundle_rules,
        });
    }
}

/// The difference without which there would be no finding, or nothing.
pub(super) fn difference(matches: &[Match]) -> &'static str {
    if matches.iter().any(|hit| hit.difference.is_none()) {
        return "";
    }
    matches.iter().find_map(|hit| hit.difference).unwrap_or_default()
}
