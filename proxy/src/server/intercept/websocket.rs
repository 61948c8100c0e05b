//! WebSocket inside the tunnel: the handshake goes through, then the conversation is one of those on `/ws`.
//!
//! The reference strips the upgrade (§20 O26), so a client that needs a WebSocket has to be let past interception altogether. With
//! `websocket_proxy.enabled` the upgrade is kept here (not in reference mode), the headers of the handshake are scanned like those
//! of `/ws`, and [`ws`] relays. Extensions are not offered, so nothing is compressed. spec: http-proxy §8.3

use std::sync::Arc;

use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};

use super::steps::Case;
use crate::events::Event;
use crate::policy::body::Action;
use crate::policy::headers::{HeaderFinding, HeaderVerdict, canonical};
use crate::server::answer::{self, Answer};
use crate::server::exchange::Exchange;
use crate::server::wire::Takeover;
use crate::server::wire::head::has_token;
use crate::server::{deliver, ws};
use crate::upstream::pool::IncomingBody;

/// What is logged where the upgrade goes the way of other hop-by-hop headers, which origins answer in many ways (D-621).
const STRIPPED: &str =
    "hint: the request for a WebSocket goes on as a plain one; websocket_proxy.enabled lets it through";
const HINT_SCORE: f64 = 0.2;

/// An upgrade that is let through.
pub(super) struct Upgrade {
    /// The client's key: 22 characters of its choice, which therefore stay here.
    asked: HeaderValue,
    /// The one that the origin gets.
    key: String,
}

/// Whether the request asks for a WebSocket and may have one.
pub(super) fn wanted(case: &Case<'_>, can_take_over: bool) -> Option<Upgrade> {
    let headers = &case.headers;
    let asks = case.method == Method::GET
        && has_token(headers, CONNECTION, b"upgrade")
        && has_token(headers, UPGRADE, b"websocket");
    if !asks || !case.hardened() {
        return None;
    }
    if !case.exchange.policy.config.websocket_proxy.enabled {
        let ctx = case.exchange.context();
        case.exchange.record(&Event::Anomaly { ctx, scanner: "", reason: STRIPPED, score: HINT_SCORE });
        return None;
    }
    let asked = headers.get(SEC_WEBSOCKET_KEY).filter(|_| can_take_over)?;
    Some(Upgrade { asked: asked.clone(), key: generate_key() })
}

impl Upgrade {
    /// Puts back what the removal of hop-by-hop headers took, without extensions and with a key of our own.
    pub(super) fn dress(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.remove(SEC_WEBSOCKET_EXTENSIONS);
        // Base64 is always a valid value.
        if let Ok(key) = HeaderValue::from_str(&self.key) {
            headers.insert(SEC_WEBSOCKET_KEY, key);
        }
    }
}

/// The headers that `/ws` scans whatever is configured for others.
pub(super) fn scan_headers(case: &Case<'_>) -> HeaderVerdict {
    let scanned = ws::scan_headers(&case.exchange.policy, &ws::SCANNED[ws::ALWAYS..], &case.headers);
    let finding = scanned.finding.map(|(written, matches)| HeaderFinding {
        header: canonical(written),
        action: Action::Block,
        matches,
        difference: Some("D-702"),
    });
    HeaderVerdict { finding, warnings: scanned.warnings }
}

/// Answers 101 and starts the relay on the connection of type `C`.
pub(super) fn accept<C>(
    case: &Case<'_>,
    mut response: Response<IncomingBody>,
    takeover: Takeover,
    upgrade: &Upgrade,
) -> Answer
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    let wrong = if response.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        Some("websocket: origin chose an extension that was not offered")
    } else if accepted != Some(derive_accept_key(upgrade.key.as_bytes()).as_bytes()) {
        Some("websocket: origin did not accept the key")
    } else {
        None
    };
    if let Some(wrong) = wrong {
        deliver::record_error(&case.exchange, wrong);
        return answer::text(StatusCode::BAD_GATEWAY, "upstream error");
    }
    let origin = hyper::upgrade::on(&mut response);
    let exchange = Exchange { method: "WS".into(), ..case.exchange.clone() };
    exchange.clean();
    let tunnel = Arc::clone(case.tunnel);
    let tasks = case.exchange.shared.tasks.clone();
    tasks.spawn(async move {
        let peers = async {
            let (client, early) = takeover.complete::<C>().await.ok()?;
            Some((client, early, origin.await.ok()?))
        };
        let Ok(Some((client, early, origin))) = timeout_at(tunnel.deadline, peers).await else { return };
        let quarantine = exchange.quarantine();
        ws::Conversation {
            exchange,
            host: tunnel.host.clone(),
            client: (Box::new(client), early.to_vec()),
            origin: (Box::new(TokioIo::new(origin)), Vec::new()),
            quarantine,
            deadline: Some(tunnel.deadline),
        }
        .run()
        .await;
    });
    let mut answer = answer::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Some(protocol) = response.headers().get(SEC_WEBSOCKET_PROTOCOL) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
    }
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(upgrade.asked.as_bytes())) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    answer
}
