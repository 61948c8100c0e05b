//! What happens to one request inside the tunnel, in the specification's order. spec: tls-and-request-bodies §8.
//!
//! [`run`] is that list: every step is one call, and a step that refuses ends it with its answer. Steps 7 (A2A)
//! and 14 (envelope) belong to sections that `run` does not start with, so there is nothing of theirs between the
//! others.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderName};
use http::{Method, StatusCode, Version};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncWrite};

use super::grpc::Caller;
use super::request::{Inner, InnerBody};
use super::{Tunnel, forward, grpc, respond, websocket};
use crate::Strictness;
use crate::events::{Context, Event};
use crate::policy::body::{Action, BodyFinding, Outcome, Transport};
use crate::policy::cross_request::{BODY_PREFIX, Payload};
use crate::policy::headers::{HeaderFinding, HeaderVerdict};
use crate::policy::session::{self, Signal};
use crate::policy::verdict::{Class, Label};
use crate::server::answer::{self, Answer};
use crate::server::cross_request::CROSS_REQUEST;
use crate::server::deliver;
use crate::server::exchange::{self, Exchange};
use crate::server::inspect::{self, Inspected};
use crate::server::peek::Peeked;
use crate::server::report;
use crate::server::scrub;
use crate::server::session::SESSION_DENY;
use crate::server::wire::Framing;

/// Score of a body or header finding that is only reported.
const FINDING_SCORE: f64 = 0.8;
/// Tells a gRPC server how it may compress messages, which could then not be scanned.
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// One request under way.
pub(super) struct Case<'t> {
    pub tunnel: &'t Arc<Tunnel>,
    /// The CONNECT's exchange with the method and URL of this request.
    pub exchange: Exchange,
    /// The URL of this request as it is judged: its bytes, where the exchange has text for the log.
    judged: Vec<u8>,
    pub method: Method,
    pub headers: HeaderMap,
    /// What is forwarded as the body.
    pub body: CaseBody,
    /// The request line's target for the origin.
    pub target: Vec<u8>,
    pub host: http::HeaderValue,
    pub framing: Framing,
    /// It is a gRPC call whose client takes trailers for its end.
    pub called: bool,
}

/// The body of a request at its stages.
pub(super) enum CaseBody {
    /// None was sent.
    Empty,
    /// Read and judged, with the trailers that came behind it.
    Held(Bytes, Option<HeaderMap>),
    /// Not to be judged.
    Unread(InnerBody),
}

/// Handles a request that arrived on a connection of type `C`.
pub(super) async fn handle<C>(tunnel: &Arc<Tunnel>, request: Inner) -> Answer
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let hardened = tunnel.exchange.shared.fixed.strictness == Strictness::Hardened;
    let caller = hardened.then(|| Caller::of(request.version, &request.headers)).flatten();
    let called = caller.is_some() && request.version == Version::HTTP_2;
    match (run::<C>(tunnel, request, called).await, caller) {
        (Err(refusal), Some(caller)) => caller.tell(refusal),
        (Ok(answer) | Err(answer), _) => answer,
    }
}

async fn run<C>(tunnel: &Arc<Tunnel>, mut request: Inner, called: bool) -> Result<Answer, Answer>
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    scrub::strip_envelope(&mut request.headers); //                      1
    kill_switch(tunnel, &request)?; //                                   2
    authority(tunnel, &request)?; //                                     3
    hierarchical(tunnel, &request)?;
    let (mut case, takeover) = Case::new(tunnel, request, called); //            5
    case.airlock()?; //                                                  4
    case.url().await?; //                                                6
    let upgrade = websocket::wanted(&case, takeover.is_some());
    case.accept_only_plain(); //                                         8
    case.body().await?; //                                               9
    case.header_dlp(upgrade.is_some())?; //                             10
    case.across_requests().await?; //                                   11
    case.session()?; //                                                 12
    case.clean_up(upgrade.as_ref()); //                                 13
    let response = forward::send(&mut case, upgrade.is_some()).await?; // 15
    if response.status() == StatusCode::SWITCHING_PROTOCOLS && case.hardened() {
        return match (&upgrade, takeover) {
            (Some(upgrade), Some(takeover)) => Ok(websocket::accept::<C>(&case, response, takeover, upgrade)),
            _ => {
                deliver::record_error(&case.exchange, deliver::UNASKED_SWITCH);
                Err(answer::text(StatusCode::BAD_GATEWAY, "upstream error"))
            }
        };
    }
    respond::deliver(&case, response).await //                          16
}

/// Step 2. No exemption by path; the metric's label is bounded where the reference's is the raw path (D-704).
fn kill_switch(tunnel: &Tunnel, request: &Inner) -> Result<(), Answer> {
    let shared = &tunnel.exchange.shared;
    if shared.kill_switch.denies_inner(tunnel.ends.1.ip().to_canonical()).is_none() {
        return Ok(());
    }
    let path = match shared.fixed.strictness {
        Strictness::Reference => String::from_utf8_lossy(&request.url.path).into_owned(),
        Strictness::Hardened => "/".to_owned(),
    };
    shared.events.metrics().kill_switch_denied("intercept", &path);
    Err(answer::text(StatusCode::SERVICE_UNAVAILABLE, "kill switch active"))
}

/// Step 3: the request has to be for the host and port that CONNECT named.
fn authority(tunnel: &Tunnel, request: &Inner) -> Result<(), Answer> {
    let sent = String::from_utf8_lossy(&request.authority);
    let (host, port) = split(&sent);
    let host_alone = match (tunnel.exchange.shared.fixed.strictness, host) {
        // A bracketed IPv6 address without port is as good as one with it (§20 O10).
        (Strictness::Hardened, host) => {
            host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
        }
        (Strictness::Reference, host) => host,
    };
    if equal_fold(host_alone, &tunnel.host) && port == tunnel.port {
        return Ok(());
    }
    let exchange = &tunnel.exchange;
    let reason = format!("authority mismatch: {sent} vs {}:{}", tunnel.host, tunnel.port);
    let shown =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let target = request.url.request_uri();
    let url = format!("https://{shown}:{port}{}", String::from_utf8_lossy(&target));
    exchange.record(&Event::Blocked {
        ctx: Context { method: request.method.as_str(), url: &url, target: "", ..exchange.context() },
        scanner: "tls_authority_mismatch",
        reason: &reason,
    });
    exchange.shared.events.metrics().tls_request_blocked("authority_mismatch");
    Err(answer::text(StatusCode::FORBIDDEN, "authority mismatch: blocked"))
}

/// D-521: a target such as `a:b` is no path. Behind the CONNECT's authority it would be judged as another URL than the origin
/// is asked for.
fn hierarchical(tunnel: &Tunnel, request: &Inner) -> Result<(), Answer> {
    if request.url.opaque.is_empty() || tunnel.exchange.shared.fixed.strictness == Strictness::Reference {
        return Ok(());
    }
    Err(answer::text(StatusCode::BAD_REQUEST, "400 Bad Request"))
}

/// Host and port as Go's `net.SplitHostPort` sees them; what does not split is a host at port 443.
pub(super) fn split(authority: &str) -> (&str, &str) {
    let whole = (authority, "443");
    let Some((host, port)) = authority.rsplit_once(':') else { return whole };
    if let Some(inside) = host.strip_prefix('[') {
        return match inside.strip_suffix(']') {
            Some(host) if !host.contains(['[', ']']) && !port.contains(']') => (host, port),
            _ => whole,
        };
    }
    if host.contains([':', '[', ']']) || port.contains(['[', ']']) { whole } else { (host, port) }
}

fn equal_fold(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!a.is_ascii() && a.to_lowercase() == b.to_lowercase())
}

impl<'t> Case<'t> {
    /// Step 5: the URL under which everything else is judged and logged names the CONNECT's host and port, always.
    fn new(
        tunnel: &'t Arc<Tunnel>,
        request: Inner,
        called: bool,
    ) -> (Self, Option<crate::server::wire::Takeover>) {
        let connect = request.method == Method::CONNECT;
        let target = if connect { tunnel.authority().into_bytes() } else { request.url.request_uri() };
        let path = if connect { &[][..] } else { &target };
        let judged = [b"https://", tunnel.authority().as_bytes(), path].concat();
        let mut exchange = tunnel.exchange.clone();
        exchange.method = request.method.as_str().into();
        exchange.url = exchange::lossy(&judged).into();
        exchange.target = "".into();
        exchange.began = Instant::now();
        exchange.findings = Arc::default();
        // An HTTP/2 request is taken to have a body even when it ended with its header: its headers are judged like one's.
        let bodyless = request.version != Version::HTTP_2 && request.framing == Framing::None;
        let case = Self {
            tunnel,
            exchange,
            judged,
            method: request.method,
            headers: request.headers,
            body: if bodyless { CaseBody::Empty } else { CaseBody::Unread(request.body) },
            target,
            host: request.host,
            framing: if request.ended { Framing::None } else { request.framing },
            called,
        };
        (case, request.takeover)
    }

    pub(super) fn hardened(&self) -> bool {
        self.exchange.shared.fixed.strictness == Strictness::Hardened
    }

    fn enforces(&self) -> bool {
        self.exchange.policy.config.enforces()
    }

    /// Step 4: what a quarantined session may still do.
    fn airlock(&self) -> Result<(), Answer> {
        match self.exchange.airlock("connect", "CONNECT tunnel") {
            Some(refusal) => {
                self.exchange.shared.events.metrics().tls_request_blocked("airlock");
                Err(refusal)
            }
            None => Ok(()),
        }
    }

    /// Step 12: a level that denies everything.
    fn session(&self) -> Result<(), Answer> {
        let Some(level) = self.exchange.session_denied() else { return Ok(()) };
        self.exchange.shared.events.metrics().tls_request_blocked(SESSION_DENY);
        let text = format!("blocked: session escalation level {}", level.as_str());
        Err(answer::text(StatusCode::FORBIDDEN, &text))
    }

    /// Step 6: the URL pipeline. A rate limit is not enforced here, only at CONNECT (§20 O2).
    async fn url(&self) -> Result<(), Answer> {
        let exchange = &self.exchange;
        let mut verdict = exchange.scan_target(&self.judged).await;
        exchange.report_warnings(&verdict, "intercept");
        if verdict.label == Label::RateLimit {
            match exchange.policy.url.behind_rate_limit(&self.judged, Instant::now()) {
                Some(stricter) => verdict = stricter,
                None => return Ok(()),
            }
        }
        if verdict.allowed {
            return Ok(());
        }
        let (scanner, config) = (verdict.label.as_str(), &exchange.policy.config);
        let ctx = exchange.context_of(&verdict);
        let evidence = |signal| {
            if verdict.class != Class::Infrastructure {
                exchange.signal(signal);
            }
        };
        let signal = if verdict.class == Class::ConfigMismatch { Signal::NearMiss } else { Signal::Block };
        if !self.enforces() {
            if exchange.upgrade(session::Action::Warn, scanner) != session::Action::Block {
                evidence(Signal::NearMiss);
                exchange.record(&Event::Anomaly {
                    ctx,
                    scanner,
                    reason: &verdict.reason,
                    score: verdict.score,
                });
                return Ok(());
            }
            evidence(signal);
            let reason = format!("{} (escalated)", verdict.reason);
            exchange.record(&Event::Blocked { ctx, scanner, reason: &reason });
            exchange.shared.events.metrics().tls_request_blocked("url_scan");
            return Err(answer::text(StatusCode::FORBIDDEN, &format!("blocked: {reason}")));
        }
        evidence(signal);
        exchange.record(&Event::Blocked { ctx, scanner, reason: &verdict.reason });
        exchange.shared.events.metrics().tls_request_blocked("url_scan");
        let refusal = answer::text(StatusCode::FORBIDDEN, &format!("blocked: {}", verdict.reason));
        let hint = verdict.hint_in(exchange.shared.fixed.strictness);
        let hint = Some(hint).filter(|hint| config.explains_blocks() && !hint.is_empty());
        Err(answer::with_hint(refusal, hint))
    }

    /// Step 8: an origin is not told about codings that could not be scanned.
    fn accept_only_plain(&mut self) {
        self.headers.remove(ACCEPT_ENCODING);
        if self.hardened() {
            self.headers.remove(GRPC_ACCEPT_ENCODING);
        }
    }

    /// Step 9: the body is read and judged, and held for sending. Trailers are judged with it.
    async fn body(&mut self) -> Result<(), Answer> {
        let (body, carries) = match std::mem::replace(&mut self.body, CaseBody::Empty) {
            CaseBody::Unread(body) => (body, true),
            other => {
                self.body = other;
                return Ok(());
            }
        };
        let policy = &self.exchange.policy.body;
        let offload = &self.exchange.shared.offload;
        let room = &self.tunnel.room;
        match inspect::inspect(policy, offload, room, &self.headers, &self.tunnel.host, body, carries).await {
            Inspected::Streamed(_) if self.framing == Framing::None => {}
            Inspected::Streamed(body) => self.body = CaseBody::Unread(body),
            Inspected::Refused(finding) => self.body_finding(&finding)?,
            Inspected::NoRoom(why) => return Err(report::no_room(&self.exchange, why)),
            Inspected::Buffered { body, trailers, verdict } => {
                report::warnings(&self.exchange, &verdict.warnings, "intercept");
                if let Some(finding) = &verdict.finding {
                    self.body_finding(finding)?;
                }
                if let Some(trailers) = &trailers {
                    let verdict = self.exchange.policy.headers.scan_trailers(trailers);
                    self.header_verdict(&verdict)?;
                }
                self.body = if body.is_empty() && trailers.is_none() && self.framing == Framing::None {
                    CaseBody::Empty
                } else {
                    CaseBody::Held(body, trailers)
                };
            }
        }
        Ok(())
    }

    fn body_finding(&self, finding: &BodyFinding) -> Result<(), Answer> {
        let exchange = &self.exchange;
        let action = finding.action(exchange.policy.body.action());
        let scanner = finding.label.as_str();
        let exempt = scanner == "body_dlp"
            && !finding.matches.is_empty()
            && exchange.policy.adaptive_exempt.matches(&self.tunnel.host.to_lowercase());
        let upgraded = !exempt
            && action == Action::Warn
            && exchange.upgrade(session::Action::Warn, scanner) == session::Action::Block;
        let action = if upgraded { Action::Block } else { action };
        let outcome = finding.outcome(Transport::Intercept, action, upgraded, self.enforces());
        exchange.findings.mark();
        if !exempt && matches!(outcome, Outcome::Block { .. }) {
            exchange.signal(Signal::Block);
        }
        let ctx = Context { difference: finding.difference.unwrap_or_default(), ..exchange.context() };
        match outcome {
            Outcome::Forward => {
                exchange.record(&Event::Anomaly {
                    ctx,
                    scanner,
                    reason: &finding.reason,
                    score: FINDING_SCORE,
                });
                Ok(())
            }
            Outcome::Block { escalated } => {
                let reason = format!("{}{}", finding.reason, if escalated { " (escalated)" } else { "" });
                exchange.record(&Event::Blocked { ctx, scanner, reason: &reason });
                exchange.shared.events.metrics().tls_request_blocked(scanner);
                Err(answer::text(StatusCode::FORBIDDEN, &format!("blocked: {reason}")))
            }
        }
    }

    /// Step 10: the headers as they came, before anything is removed from them.
    fn header_dlp(&self, upgrades: bool) -> Result<(), Answer> {
        let policy = &self.exchange.policy.headers;
        if policy.enabled() {
            self.header_verdict(&policy.scan_request(&self.exchange.method, &self.headers))?;
        }
        if upgrades { self.header_verdict(&websocket::scan_headers(self)) } else { Ok(()) }
    }

    fn header_verdict(&self, verdict: &HeaderVerdict) -> Result<(), Answer> {
        const SCANNER: &str = "header_dlp";
        report::warnings(&self.exchange, &verdict.warnings, "intercept");
        let Some(finding) = &verdict.finding else { return Ok(()) };
        let exchange = &self.exchange;
        exchange.findings.mark();
        let reason = HeaderFinding::REASON;
        let ctx = Context { difference: finding.difference.unwrap_or_default(), ..exchange.context() };
        if !finding.blocks(self.enforces()) {
            exchange.record(&Event::Anomaly { ctx, scanner: SCANNER, reason, score: FINDING_SCORE });
            return Ok(());
        }
        exchange.record(&Event::Blocked { ctx, scanner: SCANNER, reason });
        exchange.shared.events.metrics().tls_request_blocked(SCANNER);
        Err(answer::text(StatusCode::FORBIDDEN, &format!("blocked: {reason}")))
    }

    /// Step 11: what this request completes together with earlier ones. A body that was not judged is read as far as it counts.
    async fn across_requests(&mut self) -> Result<(), Answer> {
        if !self.exchange.looks_across_requests() {
            return Ok(());
        }
        let query_at = self.target.iter().position(|b| *b == b'?');
        let mut payload = Payload::of_query(query_at.map_or(&[], |at| &self.target[at + 1..]));
        match std::mem::replace(&mut self.body, CaseBody::Empty) {
            CaseBody::Unread(body) => {
                let mut peeked = Peeked::new(body);
                payload.add_body(&peeked.peek(BODY_PREFIX).await);
                self.body = CaseBody::Unread(peeked.boxed());
            }
            CaseBody::Held(body, trailers) => {
                payload.add_body(&body);
                self.body = CaseBody::Held(body, trailers);
            }
            CaseBody::Empty => {}
        }
        let exchange = self.exchange.detached();
        let Some(reason) = exchange.admit(&self.tunnel.host, payload, "intercept").await else {
            return Ok(());
        };
        exchange.shared.events.metrics().tls_request_blocked(CROSS_REQUEST);
        Err(answer::text(StatusCode::FORBIDDEN, &format!("blocked: {reason}")))
    }

    /// Step 13: what concerns this connection or says who asked does not leave.
    fn clean_up(&mut self, upgrade: Option<&websocket::Upgrade>) {
        // A gRPC server answers only clients that say they take trailers.
        let trailers =
            self.hardened() && grpc::is_grpc(&self.headers) && self.headers.contains_key(http::header::TE);
        // What is streamed through keeps its announced trailers; held ones are announced when they are sent.
        let announced = match &self.body {
            CaseBody::Unread(_) => self.headers.remove(http::header::TRAILER),
            _ => None,
        };
        scrub::strip_hop_by_hop(&mut self.headers);
        if let Some(announced) = announced {
            self.headers.insert(http::header::TRAILER, announced);
        }
        scrub::strip_identity(&mut self.headers);
        if trailers {
            self.headers.insert(http::header::TE, http::HeaderValue::from_static("trailers"));
        }
        if let Some(upgrade) = upgrade {
            upgrade.dress(&mut self.headers);
        }
        let query_at = self.target.iter().position(|b| *b == b'?');
        if let Some(at) = query_at
            && let Some(query) = scrub::without_agent(&self.target[at + 1..])
        {
            self.target.truncate(at);
            if !query.is_empty() {
                self.target.push(b'?');
                self.target.extend_from_slice(&query);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{equal_fold, split};

    #[test]
    fn authorities_split_as_go_splits_them() {
        let cases = [
            ("example.com", ("example.com", "443")),
            ("example.com:8443", ("example.com", "8443")),
            ("example.com:", ("example.com", "")),
            ("[2001:db8::1]:443", ("2001:db8::1", "443")),
            ("[2001:db8::1]", ("[2001:db8::1]", "443")),
            ("2001:db8::1", ("2001:db8::1", "443")),
            ("a:b:c", ("a:b:c", "443")),
            ("[a]b:1", ("[a]b:1", "443")),
            ("", ("", "443")),
            (":443", ("", "443")),
        ];
        for (authority, want) in cases {
            assert_eq!(split(authority), want, "{authority}");
        }
    }

    #[test]
    fn hosts_are_compared_without_regard_to_case() {
        for (a, b, same) in [("A.test", "a.TEST", true), ("a.test", "a.test.", false), ("É.x", "é.x", true)]
        {
            assert_eq!(equal_fold(a, b), same, "{a} {b}");
        }
    }
}
