//! The reverse proxy: everything that arrives on its listener goes to one origin, scanned in both directions.
//!
//! The operator chose the origin, so neither the URL pipeline nor the address check applies to it, and there are no sessions or
//! agents here. What is scanned is what a client could smuggle out (request target, headers, body) and what could reach it
//! (the response). Requests pass `scan`, are mapped by `outbound` and answered by `respond`. spec: http-proxy §9,
//! response-scan §6.8

mod outbound;
mod respond;
mod scan;
mod upgrade;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Serialize;
use tokio::time::Instant;

use super::answer::{self, Answer};
use super::exchange::Exchange;
use super::listener::{BindError, Server};
use super::scrub;
use super::shared::Shared;
use super::wire::{Limits, Request};
use crate::events::{Context, Event};
use crate::policy::dial::DialRules;
use crate::policy::url::{GoUrl, ParseError, parse};
use crate::upstream::proxies::Proxies;
use crate::upstream::{DialError, SendError, Upstream};

pub(super) use respond::refusal as response_refusal;

/// From the end of a request's head to the end of its answer; also what an origin may take.
const WRITE: Duration = Duration::from_secs(30);

/// What a client is told when the origin cannot be reached or answers with something that is no response.
const UNAVAILABLE: Refused<'static> =
    Refused { error: "upstream unavailable", blocked: false, block_reason: "", direction: "" };

/// Why the listener does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The origin's URL; a checked configuration holds a valid one.
    #[error("reverse_proxy.upstream: {0}")]
    Upstream(#[from] ParseError),
    /// The address.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// The bound listener with its origin.
#[derive(Debug)]
pub struct Reverse {
    server: Server,
    shared: Arc<Shared>,
    origin: Origin,
}

/// Where everything goes.
#[derive(Debug)]
struct Origin {
    url: GoUrl<'static>,
    /// Without port, for exemptions.
    host: String,
    /// Through the proxy of the environment, with its own pool: a connection that was opened without the address check must not serve anything else.
    way: Upstream,
    rules: DialRules,
}

/// The JSON of a refusal.
#[derive(Debug, Clone, Copy, Serialize)]
struct Refused<'a> {
    error: &'a str,
    blocked: bool,
    block_reason: &'a str,
    direction: &'a str,
}

impl Reverse {
    /// Binds the listener that `reverse_proxy` describes.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn bind(shared: &Arc<Shared>) -> Result<Self, StartError> {
        let policy = shared.policy.load_full();
        let section = &policy.config.reverse_proxy;
        let url = parse(section.upstream.as_bytes())?.into_owned();
        let proxy = section.upstream.parse().ok().and_then(|url| Proxies::from_environment().for_url(&url));
        let origin = Origin {
            host: String::from_utf8_lossy(url.host_name()).into_owned(),
            way: shared.upstream.apart().through(proxy),
            rules: DialRules::none(policy.config.muselet.strictness),
            url,
        };
        let limits = Limits { write: Some(WRITE), ..Limits::MAIN };
        let server = Server::bind_with(Arc::clone(shared), &section.listen, limits).await?;
        Ok(Self { server, shared: Arc::clone(shared), origin })
    }

    /// The address in fact.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> std::io::Result<std::net::SocketAddr> {
        self.server.local_addr()
    }

    /// Serves until the process is told to stop.
    pub async fn serve(self) {
        let (shared, origin) = (self.shared, Arc::new(self.origin));
        self.server
            .serve_with(move |client_ip, request| {
                let (shared, origin) = (Arc::clone(&shared), Arc::clone(&origin));
                async move {
                    let method = request.head.method.clone();
                    let answer = serve(&shared, &origin, &client_ip, request).await;
                    shared.events.metrics().reverse_request(method.as_str(), answer.status().as_u16());
                    answer
                }
            })
            .await;
    }
}

/// The stages of §9.1, in order.
async fn serve(shared: &Arc<Shared>, origin: &Arc<Origin>, client_ip: &Arc<str>, request: Request) -> Answer {
    let Request { mut head, body, takeover, .. } = request;
    if head.method == Method::CONNECT {
        // A tunnel to whatever the client names is what a reverse proxy is not.
        return answer::text(StatusCode::METHOD_NOT_ALLOWED, "CONNECT not supported");
    }
    // 1: scrub.
    scrub::strip_envelope(&mut head.headers);
    // 2: kill switch, whatever its source, without exemption.
    if shared.kill_switch.active().is_some() {
        let path = String::from_utf8_lossy(&head.url.path);
        shared.events.metrics().kill_switch_denied("reverse_proxy", &path);
        shared.next_request_id();
        return blocked(StatusCode::SERVICE_UNAVAILABLE, "kill switch active");
    }
    let mut exchange = Exchange::begin(shared, client_ip, &head.headers, b"");
    exchange.identity.agent = "".into();
    exchange.method = head.method.as_str().into();
    let target = head.url.request_uri();
    exchange.url = String::from_utf8_lossy(&target).into();
    let scan = scan::Scan { exchange: &exchange, host: &origin.host };
    // 3: DLP over the request target.
    if let Some(refusal) = scan.target(&target) {
        return refusal;
    }
    // 4: header DLP.
    if let Some(refusal) = scan.headers(&head.headers) {
        return refusal;
    }
    // 5: body scan.
    let body = match scan.body(&head, body).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    // 6: forward.
    let wants_upgrade = outbound::upgrade_of(&head.headers);
    let url = outbound::map(&origin.url, &head.url);
    exchange.url = String::from_utf8_lossy(&url.to_bytes()).into();
    let address = crate::upstream::http::Origin::of(&url);
    let outgoing = outbound::build(*head, &url, client_ip, body);
    let spare = if outgoing.repeatable() { outgoing.again() } else { None };
    let deadline = Instant::now() + WRITE;
    let sent = tokio::select! {
        sent = tokio::time::timeout_at(deadline, origin.way.send(&origin.rules, &address, outgoing, || spare)) => {
            sent.unwrap_or_else(|_| Err(SendError::Transport("context deadline exceeded".to_owned())))
        }
        () = shared.stop.cut.cancelled() => Err(SendError::Transport("context canceled".to_owned())),
    };
    match sent {
        Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            upgrade::serve(exchange, response, takeover, wants_upgrade.is_some(), deadline).await
        }
        Ok(response) => respond::deliver(exchange, &origin.host, response, deadline).await,
        Err(error) => {
            let answer = unavailable(&exchange, &plain(&error));
            answer::unreached(error.is_shortage(), || answer)
        }
    }
}

/// An answer to a refused request.
fn blocked(status: StatusCode, reason: &str) -> Answer {
    let refused =
        Refused { error: "blocked by pipelock", blocked: true, block_reason: reason, direction: "request" };
    answer::json(status, &refused)
}

/// The answer for an origin that gives none, and the event.
fn unavailable(exchange: &Exchange, error: &str) -> Answer {
    exchange.record(&Event::Error { ctx: Context { ..exchange.context() }, error });
    answer::json(StatusCode::BAD_GATEWAY, &UNAVAILABLE)
}

/// The text of a failure as a dialler without an address check words it.
fn plain(error: &SendError) -> String {
    match error {
        SendError::Dial(DialError::Lookup { failure, .. }) => format!("dial tcp: {failure}"),
        error => error.to_string(),
    }
}
