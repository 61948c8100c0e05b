//! `/ws`: both ends of a WebSocket end here, and whole messages are passed between them. (spec: http-proxy §8)
//!
//! The client is upgraded before the origin is tried, as the reference does it, so whatever is wrong with the origin reaches the
//! client as a close frame. [`frame`] knows bytes, [`message`] judges, [`relay`] acts.

mod frame;
mod handshake;
mod message;
mod origin;
mod relay;
mod scans;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{
    AUTHORIZATION, COOKIE, HeaderMap, HeaderName, ORIGIN, SEC_WEBSOCKET_PROTOCOL, USER_AGENT,
};
use muselet_rules::dlp::Match;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Answer};
use super::exchange::Exchange;
use super::fetch::target;
use super::shared::Shared;
use super::wire::{Request, Takeover};
use super::{report, scrub};
use crate::Strictness;
use crate::events::{Context, Direction, Event};
use crate::policy::Policy;
use crate::policy::headers::HeaderFinding;
use crate::policy::session::Tier;
use crate::policy::url::{GoUrl, parse};
use crate::policy::verdict::UrlVerdict;
use origin::{Io, X_API_KEY, X_GOOG_API_KEY};
use relay::Relay;

/// Time for writing the answer that upgrades the client.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Score under which a session remembers a handshake that was refused for its headers.
const HEADER_SCORE: f64 = 0.9;

/// Close codes. (RFC 6455 §7.4.1)
mod code {
    pub const NORMAL: u16 = 1000;
    pub const AWAY: u16 = 1001;
    pub const PROTOCOL: u16 = 1002;
    pub const INVALID: u16 = 1007;
    pub const POLICY: u16 = 1008;
    pub const SIZE: u16 = 1009;
    pub const ERROR: u16 = 1011;
    pub const LATER: u16 = 1013;
}

/// The headers that a handshake may bring to an origin, in the order in which they are scanned, with their names in findings.
pub(super) static SCANNED: [(HeaderName, &str); 7] = [
    (AUTHORIZATION, "Authorization"),
    (X_API_KEY, "X-Api-Key"),
    (X_GOOG_API_KEY, "X-Goog-Api-Key"),
    (COOKIE, "Cookie"),
    (ORIGIN, "Origin"),
    (SEC_WEBSOCKET_PROTOCOL, "Sec-WebSocket-Protocol"),
    (USER_AGENT, "User-Agent"),
];

/// From this one on they are scanned whatever is configured for others.
pub(super) const ALWAYS: usize = 4;

/// What the headers of a handshake carry.
pub(super) struct HeaderScan {
    /// Matches that only warn.
    pub warnings: Vec<Match>,
    /// The first header with a secret, and what it is.
    pub finding: Option<(&'static str, Vec<Match>)>,
}

/// Secrets in those of `headers` that are `named`; the first header with one decides.
pub(super) fn scan_headers(
    policy: &Policy,
    named: &[(HeaderName, &'static str)],
    headers: &HeaderMap,
) -> HeaderScan {
    let mut warnings = Vec::new();
    for (name, written) in named {
        let found = policy.headers.scan_one(name, headers);
        warnings.extend(found.warnings);
        if let Some(HeaderFinding { mut matches, difference, .. }) = found.finding {
            matches.iter_mut().for_each(|hit| hit.difference = hit.difference.or(difference));
            return HeaderScan { warnings, finding: Some((written, matches)) };
        }
    }
    HeaderScan { warnings, finding: None }
}

/// The stages of §8.1 up to the upgrade, in order. A stage that refuses returns the answer.
pub(super) async fn serve(shared: &Arc<Shared>, client_ip: &Arc<str>, request: Request) -> Answer {
    let Request { mut head, body, takeover, .. } = request;
    drop(body);
    // W1: switched off.
    if !shared.policy.load().config.websocket_proxy.enabled {
        return answer::text(StatusCode::NOT_FOUND, "WebSocket proxy not enabled");
    }
    // W2: target.
    let Some(target) = target::extract(&head.url.raw_query) else {
        return answer::text(StatusCode::BAD_REQUEST, "missing 'url' query parameter");
    };
    // W3: scheme.
    let url = match parse(&target) {
        Ok(url) if matches!(&*url.scheme, "ws" | "wss") => url.into_owned(),
        _ => return answer::text(StatusCode::BAD_REQUEST, "invalid URL: must be ws or wss"),
    };
    scrub::strip_envelope(&mut head.headers);
    let mut exchange = Exchange::begin(shared, client_ip, &head.headers, &head.url.raw_query);
    exchange.method = "WS".into();
    exchange.url = String::from_utf8_lossy(&target).into();
    exchange.tagged = true;
    let host = String::from_utf8_lossy(url.host_name()).into_owned();
    let mut opening = Opening { exchange, url, host, headers: HeaderMap::new() };
    // W4, W5: URL and session.
    if let Some(refusal) = opening.admit().await {
        return refusal;
    }
    // W6: limit of simultaneous connections.
    let Ok(permit) = opening.places().try_acquire_owned() else {
        return answer::text(StatusCode::SERVICE_UNAVAILABLE, "too many active WebSocket connections");
    };
    // W7: what the origin is to be told.
    opening.headers = origin::headers(&opening.exchange.policy.config, &opening.url, &head.headers);
    if let Some(refusal) = opening.header_dlp() {
        return refusal;
    }
    // W8: upgrade.
    match handshake::accept(&head) {
        Ok(answer) => {
            shared.tasks.spawn(opening.run(takeover, permit));
            answer
        }
        Err(bad) => {
            opening.failed(&format!("client upgrade: {bad}"));
            bad.answer()
        }
    }
}

/// A handshake under way.
struct Opening {
    exchange: Exchange,
    /// The `ws` or `wss` target.
    url: GoUrl<'static>,
    /// Its host without port.
    host: String,
    /// What the origin is told.
    headers: HeaderMap,
}

impl Opening {
    /// The URL scan and what the session has to say.
    async fn admit(&self) -> Option<Answer> {
        let exchange = &self.exchange;
        let scheme = if self.url.scheme == "wss" { "https" } else { "http" };
        let scanned = GoUrl {
            scheme: scheme.into(),
            user: None,
            fragment: b"".as_slice().into(),
            raw_fragment: b"".as_slice().into(),
            ..self.url.clone()
        };
        let verdict = exchange.scan_url(&scanned.to_bytes()).await;
        exchange.report_warnings(&verdict, "websocket");
        let anomaly = exchange.record_session(&self.host, &verdict);
        if let Some(refusal) = self.url_verdict(&verdict) {
            return Some(refusal);
        }
        if let Some(detail) = anomaly {
            return Some(answer::text(StatusCode::FORBIDDEN, &detail));
        }
        self.session_level()
    }

    fn url_verdict(&self, verdict: &UrlVerdict) -> Option<Answer> {
        let refusal = self.exchange.refuse_url(verdict)?;
        self.exchange.count_blocked(&self.host, refusal.scanner);
        Some(refusal.text("WebSocket blocked: "))
    }

    fn session_level(&self) -> Option<Answer> {
        let level = self.exchange.session_denied()?;
        let text = format!("WebSocket blocked: session escalation level {}", level.as_str());
        Some(answer::text(StatusCode::FORBIDDEN, &text))
    }

    /// As many places as the first handshake of the process found configured.
    fn places(&self) -> Arc<Semaphore> {
        let places = self.exchange.shared.websockets.get_or_init(|| {
            let most = self.exchange.policy.config.websocket_proxy.max_concurrent_connections;
            Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(0).min(Semaphore::MAX_PERMITS)))
        });
        Arc::clone(places)
    }

    /// Secrets in the headers for the origin; the first header with one decides.
    fn header_dlp(&self) -> Option<Answer> {
        let exchange = &self.exchange;
        let scanned = scan_headers(&exchange.policy, &SCANNED, &self.headers);
        report::warnings(exchange, &scanned.warnings, "websocket");
        let (written, matches) = scanned.finding?;
        exchange.findings.mark();
        let names: Vec<&str> = matches.iter().map(|hit| &*hit.name).collect();
        let reason = format!("DLP match in {written} header: {}", names.join(", "));
        let seen = UrlVerdict {
            allowed: false,
            reason: reason.clone().into(),
            score: HEADER_SCORE,
            ..UrlVerdict::allow(Vec::new())
        };
        let _ = exchange.record_session(&self.host, &seen);
        let difference = scans::difference(&matches);
        if !exchange.policy.config.enforces() {
            let ctx = Context { difference, ..exchange.context() };
            exchange.record(&Event::Anomaly { ctx, scanner: "dlp", reason: &reason, score: HEADER_SCORE });
            return self.session_level();
        }
        exchange.record(&Event::WsBlocked {
            ctx: Context { difference, ..context(exchange) },
            direction: Direction::ClientToServer,
            scanner: "dlp",
            reason: &reason,
        });
        let text = format!("WebSocket blocked: {reason}");
        Some(answer::text(StatusCode::FORBIDDEN, &text))
    }

    fn failed(&self, error: &str) {
        self.exchange.record(&Event::Error { ctx: self.exchange.context(), error });
    }

    /// W9 to W11, and the relay.
    async fn run(self, takeover: Takeover, permit: OwnedSemaphorePermit) {
        let upgraded = tokio::time::timeout(UPGRADE_TIMEOUT, takeover.complete::<TcpStream>()).await;
        let Ok(Ok((mut client, early))) = upgraded else { return };
        // W9: quarantine.
        let tier = self.exchange.tier();
        if tier >= Tier::Hard {
            let denied = Exchange { method: "GET".into(), ..self.exchange.clone() };
            denied.airlock_denied(tier, "websocket", "GET");
            return refuse(&mut client, code::POLICY, "airlock: WebSocket blocked during quarantine").await;
        }
        let quarantine = self.exchange.quarantine();
        let stop = self.exchange.shared.stop.clone();
        // W11: the origin.
        let opened = tokio::select! {
            opened = origin::open(&self.exchange, &self.url, &self.headers) => opened,
            () = quarantine.cancelled() => return,
            () = stop.drain.cancelled() => return,
            () = gone(&client) => return,
        };
        let (upstream, said) = match opened {
            Ok(opened) => opened,
            Err(failure) => {
                self.failed(&format!("upstream dial: {failure}"));
                let (code, reason) = match failure.is_shortage() {
                    true => (code::LATER, answer::NO_DESCRIPTORS),
                    false => (code::ERROR, "upstream dial failed"),
                };
                return refuse(&mut client, code, reason).await;
            }
        };
        self.exchange.clean();
        // The reference loses what comes in one packet with the end of a handshake (D-514).
        let lossless = self.exchange.shared.fixed.strictness == Strictness::Hardened;
        let (early, said) = if lossless { (early.to_vec(), said) } else { (Vec::new(), Vec::new()) };
        let conversation = Conversation {
            exchange: self.exchange,
            host: self.host,
            client: (Box::new(client), early),
            origin: (upstream, said),
            quarantine,
            deadline: None,
        };
        conversation.run().await;
        drop(permit);
    }
}

/// Two peers that have agreed on WebSocket.
pub(super) struct Conversation {
    pub exchange: Exchange,
    /// Of the origin, without port.
    pub host: String,
    /// Each peer's connection, and what it has said already.
    pub client: (Box<dyn Io>, Vec<u8>),
    pub origin: (Box<dyn Io>, Vec<u8>),
    pub quarantine: CancellationToken,
    /// Ends it before `max_connection_seconds` does.
    pub deadline: Option<Instant>,
}

impl Conversation {
    /// Relays until a peer leaves, or a rule, a limit, quarantine or the end of the process ends it.
    pub async fn run(self) {
        let stop = self.exchange.shared.stop.clone();
        let hardened = self.exchange.shared.fixed.strictness == Strictness::Hardened;
        let relay = Relay::new(self.exchange, self.host, self.deadline);
        let (client, early) = self.client;
        let (origin, said) = self.origin;
        tokio::select! {
            biased;
            () = relay.run(client, &early, origin, &said) => {}
            () = self.quarantine.cancelled() => relay.ended(true),
            // The reference's process ends without a word about what was open (D-507).
            () = stop.drain.cancelled() => if hardened { relay.ended(false) },
        }
    }
}

/// Waits until the client has left; for ever, if it speaks first.
async fn gone(client: &TcpStream) {
    if let Ok(1..) = client.peek(&mut [0]).await {
        std::future::pending().await
    }
}

/// Says why there will be no conversation.
async fn refuse(client: &mut TcpStream, code: u16, reason: &str) {
    let mut writer = frame::Writer::new(client, false);
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, writer.close(code, reason)).await;
}

/// The context of events about the conversation: they name it by its target.
fn context(exchange: &Exchange) -> Context<'_> {
    Context { target: &exchange.url, ..exchange.context() }
}
