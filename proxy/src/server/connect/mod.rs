//! CONNECT: decide, dial, take the connection over, verify the name in the hello, relay or intercept. (spec: http-proxy §6)

mod relay;
pub mod sni;
mod splice;
mod target;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::answer::{self, Answer};
use super::exchange::Exchange;
use super::identity::DEFAULT_PROFILE;
use super::intercept;
use super::shared::Shared;
use super::wire::{Head, Request, Takeover};
use super::{report, scrub};
use crate::Strictness;
use crate::config::grammar::seconds;
use crate::events::{Event, SniCategory};
use crate::policy::headers::HeaderFinding;
use crate::policy::session::Tier;
use crate::policy::verdict::UrlVerdict;
use sni::{Category, Need};
use target::Target;

/// Time for the first bytes of a tunnel.
const SNI_TIMEOUT: Duration = Duration::from_secs(5);
/// Room for reading a TLS hello; most fit into one read.
const USUAL_HELLO: usize = 2048;
/// Score under which a session remembers a CONNECT that was refused for its headers.
const HEADER_SCORE: f64 = 0.9;
/// Score of the hint that a host speaks WebSocket.
const WEBSOCKET_HINT_SCORE: f64 = 0.2;

/// The stages of §6.2, in order. A stage that refuses returns the answer; the connection stays usable then.
pub(super) async fn serve(shared: &Arc<Shared>, client_ip: &Arc<str>, request: Request) -> Answer {
    let Request { mut head, body, takeover, .. } = request;
    drop(body);
    // C1: identity, scrub, target.
    scrub::strip_envelope(&mut head.headers);
    let mut exchange = Exchange::begin(shared, client_ip, &head.headers, b"");
    exchange.method = "CONNECT".into();
    let authority = if head.url.host.is_empty() { head.host.as_deref() } else { Some(&*head.url.host) };
    let Some(target) = authority.filter(|a| !a.is_empty()).map(Target::parse) else {
        return answer::text(StatusCode::BAD_REQUEST, "missing target host");
    };
    exchange.target = target.to_string().into();
    let url = target.url();
    if crate::policy::url::parse(url.as_bytes()).is_err() {
        return answer::text(StatusCode::FORBIDDEN, "CONNECT blocked: invalid URL");
    }
    // C2: URL scan. Its verdict is applied at C5.
    let verdict = exchange.scan_url(url.as_bytes()).await;
    exchange.report_warnings(&verdict, "connect");
    // C3: header DLP. A block wins over the URL verdict.
    if let Some(refusal) = header_dlp(&exchange, &target, &head) {
        return refusal;
    }
    // C4: session recording. What it says is applied at C6.
    let anomaly = exchange.record_session(&target.host, &verdict);
    // C5: URL verdict.
    if let Some(refusal) = exchange.refuse_url(&verdict) {
        exchange.shared.events.metrics().tunnel_blocked(DEFAULT_PROFILE);
        return refusal.text("CONNECT blocked: ");
    }
    // C6: session anomaly.
    if let Some(detail) = anomaly {
        return answer::text(StatusCode::FORBIDDEN, &detail);
    }
    // C7: a level that denies everything.
    if let Some(refusal) = session_level(&exchange) {
        return refusal;
    }
    if exchange.looks_across_requests() {
        // C9: a client that has used up its entropy budget elsewhere.
        if let Some(refusal) = exchange.tunnel_over_budget() {
            return refusal;
        }
        // C10: that may have raised the level.
        if let Some(refusal) = session_level(&exchange) {
            return refusal;
        }
    }
    // C11: the exchange counts as clean before anything is dialled.
    exchange.clean();
    // C12: a hint for the log, nothing else.
    hint_websocket(&exchange, &target);
    // C13: limit of simultaneous tunnels.
    let Ok(permit) = Arc::clone(&shared.tunnels).try_acquire_owned() else {
        return answer::text(StatusCode::SERVICE_UNAVAILABLE, "too many active tunnels");
    };
    // C14: airlock, for tunnels that nobody looks into.
    if !intercept::is_intercepted(&exchange.policy.config, &target.host) {
        let tier = exchange.tier();
        if tier >= Tier::Hard {
            exchange.airlock_denied(tier, "connect", "CONNECT");
            exchange.shared.events.metrics().tunnel_blocked(DEFAULT_PROFILE);
            return answer::text(StatusCode::FORBIDDEN, "airlock: CONNECT blocked during quarantine");
        }
    }
    // C15: dial.
    let limit = seconds(exchange.policy.config.forward_proxy.max_tunnel_seconds);
    let deadline = Instant::from_std(exchange.began) + limit;
    let upstream = match dial(&exchange, &target, deadline).await {
        Ok(stream) => stream,
        Err((answer, error)) => {
            exchange.record(&Event::Error { ctx: exchange.context(), error: &error });
            return answer;
        }
    };
    // C16: take over.
    let tunnel = Tunnel { exchange, target, upstream, deadline, permit };
    shared.tasks.spawn(tunnel.run(takeover));
    answer::empty(StatusCode::OK)
}

fn session_level(exchange: &Exchange) -> Option<Answer> {
    let level = exchange.session_denied()?;
    exchange.shared.events.metrics().tunnel_blocked(DEFAULT_PROFILE);
    let text = format!("CONNECT blocked: session escalation level {}", level.as_str());
    Some(answer::text(StatusCode::FORBIDDEN, &text))
}

fn header_dlp(exchange: &Exchange, target: &Target, head: &Head) -> Option<Answer> {
    let verdict = exchange.policy.headers.scan(&head.headers);
    report::warnings(exchange, &verdict.warnings, "connect");
    let finding = verdict.finding?;
    if !report::header_finding(exchange, &target.host, &finding) {
        return None;
    }
    // The session sees a refused request, unless its host is exempt.
    let exempt = exchange.policy.adaptive_exempt.matches(&target.host.to_lowercase());
    let seen = if exempt {
        UrlVerdict::allow(Vec::new())
    } else {
        UrlVerdict {
            allowed: false,
            reason: HeaderFinding::REASON.into(),
            score: HEADER_SCORE,
            ..UrlVerdict::allow(Vec::new())
        }
    };
    let _ = exchange.record_session(&target.host, &seen);
    let metrics = exchange.shared.events.metrics();
    metrics.tunnel_blocked(DEFAULT_PROFILE);
    // The reference labels this counter with the name of the agent, not with its profile. (spec: http-proxy §17)
    metrics.request_blocked(&target.host, "header_dlp", &exchange.identity.agent, exchange.elapsed());
    Some(answer::text(StatusCode::FORBIDDEN, "CONNECT blocked: header DLP match"))
}

fn hint_websocket(exchange: &Exchange, target: &Target) {
    let config = &exchange.policy.config;
    let hosts = &config.forward_proxy.redirect_websocket_hosts;
    if !config.websocket_proxy.enabled || !hosts.iter().any(|p| target::matches_below(p, &target.host)) {
        return;
    }
    exchange.shared.events.metrics().ws_redirect_hint();
    let reason = format!(
        "hint: {} supports WebSocket; consider using /ws endpoint for frame-level scanning",
        target.host
    );
    let ctx = exchange.context();
    exchange.record(&Event::Anomaly { ctx, scanner: "", reason: &reason, score: WEBSOCKET_HINT_SCORE });
}

async fn dial(
    exchange: &Exchange,
    target: &Target,
    deadline: Instant,
) -> Result<TcpStream, (Answer, String)> {
    let shared = &exchange.shared;
    // The live rules, not the snapshot's: a reload that closes a range closes it for dials at once. (spec: http-proxy §4)
    let policy = shared.policy.load_full();
    let dial = shared.upstream.dial(&policy.dial, &target.host, &target.port);
    let (shortage, error) = tokio::select! {
        dialled = timeout_at(deadline, dial) => match dialled {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => (error.is_shortage(), error.to_string()),
            Err(_) => (false, "context deadline exceeded".to_owned()),
        },
        () = shared.stop.cut.cancelled() => (false, "context canceled".to_owned()),
    };
    let usual = || answer::text(StatusCode::BAD_GATEWAY, "tunnel dial failed");
    Err((answer::unreached(shortage, usual), error))
}

/// A tunnel whose 200 is on its way.
struct Tunnel {
    exchange: Exchange,
    target: Target,
    upstream: TcpStream,
    deadline: Instant,
    /// Held as long as the tunnel lives.
    permit: OwnedSemaphorePermit,
}

impl Tunnel {
    async fn run(self, takeover: Takeover) {
        let Ok((mut client, early)) = takeover.complete::<TcpStream>().await else { return };
        let mut seen = early.to_vec();
        if self.exchange.policy.config.forward_proxy.verifies_sni()
            && !self.verify_name(&mut client, &mut seen).await
        {
            return;
        }
        if intercept::is_intercepted(&self.exchange.policy.config, &self.target.host) {
            // In a box of its own: a tunnel that is only relayed does not carry the room for this.
            return Box::pin(self.intercept(client, seen)).await;
        }
        relay::run(&self.exchange, &self.target.host, client, self.upstream, &seen, self.deadline).await;
    }

    /// Opens the tunnel up.
    async fn intercept(self, client: TcpStream, seen: Vec<u8>) {
        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        let ends = (client.local_addr().unwrap_or(none), client.peer_addr().unwrap_or(none));
        let tunnel = intercept::Tunnel {
            room: self.exchange.shared.room.part(),
            exchange: self.exchange,
            host: self.target.host,
            port: self.target.port,
            deadline: self.deadline,
            ends,
            dialled: intercept::Dialled::new(self.upstream),
            permit: self.permit,
        };
        let quarantine = tunnel.exchange.quarantine();
        tokio::select! {
            () = intercept::serve(tunnel, client, seen.into()) => {}
            () = quarantine.cancelled() => {}
        }
    }

    /// Reads the first bytes and compares names; `false`: close both ends.
    async fn verify_name(&self, client: &mut TcpStream, seen: &mut Vec<u8>) -> bool {
        let join = self.exchange.shared.fixed.strictness == Strictness::Hardened;
        let deadline = Instant::now() + SNI_TIMEOUT;
        while let Need::Bytes(_) = sni::need(seen, join) {
            seen.reserve(USUAL_HELLO);
            match timeout_at(deadline, client.read_buf(seen)).await {
                Ok(Ok(n)) if n > 0 => {}
                _ => break,
            }
        }
        let category = sni::classify(seen, &self.target.host, join);
        let exchange = &self.exchange;
        exchange.shared.events.metrics().sni(metric(&category), DEFAULT_PROFILE);
        if category.proceeds() {
            return true;
        }
        exchange.record(&Event::SniMismatch {
            ctx: exchange.context(),
            connect_host: &self.target.host,
            sni_host: category.sni(),
            category: category.as_str(),
        });
        false
    }
}

fn metric(category: &Category) -> SniCategory {
    match category {
        Category::Match => SniCategory::Match,
        Category::Mismatch { .. } => SniCategory::Mismatch,
        Category::NotTls => SniCategory::NotTls,
        Category::NoExtension => SniCategory::NoExtension,
        Category::MalformedTls => SniCategory::MalformedTls,
        Category::Timeout => SniCategory::Timeout,
    }
}
