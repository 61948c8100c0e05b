//! WebSocket inside the tunnel: the handshake goes through, then every message is judged.
//!
//! The reference strips the upgrade (§20 O26), so a client that needs a WebSocket has to be let past interception altogether. With
//! `websocket_proxy.enabled` the upgrade is kept here (not in reference mode) and messages are treated as on `/ws`: text from
//! the client is scanned for secrets together with the end of what it sent before, text from the server for injection, and binary
//! messages need `allow_binary_frames`. Extensions are not offered, so nothing is compressed. spec: http-proxy §8.3

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use muselet_rules::dlp::Match;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::steps::Case;
use crate::events::{Context, Direction, Event};
use crate::policy::cross_request::Payload;
use crate::policy::response::{Escalation, Head, MessageVerdict, Transport};
use crate::server::answer::{self, Answer};
use crate::server::cross_request::CROSS_REQUEST;
use crate::server::deliver;
use crate::server::exchange::Exchange;
use crate::server::wire::Takeover;
use crate::upstream::pool::IncomingBody;

/// How much of the client's earlier text is scanned together with a new message.
const TAIL: usize = 4096;
/// Time for saying goodbye.
const CLOSE: Duration = Duration::from_secs(5);

/// An upgrade that is let through.
pub(super) struct Upgrade(());

/// Whether the request asks for a WebSocket and may have one.
pub(super) fn wanted(case: &Case<'_>, can_take_over: bool) -> Option<Upgrade> {
    let headers = &case.headers;
    let asks = case.method == Method::GET
        && has_token(headers, &CONNECTION, b"upgrade")
        && has_token(headers, &UPGRADE, b"websocket");
    let allowed = case.hardened() && case.exchange.policy.config.websocket_proxy.enabled;
    (asks && allowed && can_take_over).then_some(Upgrade(()))
}

fn has_token(headers: &HeaderMap, name: &http::HeaderName, token: &[u8]) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(token))
}

impl Upgrade {
    /// Puts back what the removal of hop-by-hop headers took, without extensions.
    pub(super) fn dress(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    }
}

/// Answers 101 and starts the relay on the connection of type `C`.
pub(super) fn accept<C>(
    case: &Case<'_>,
    mut response: Response<IncomingBody>,
    takeover: Takeover,
    _upgrade: Upgrade,
) -> Answer
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if response.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        deliver::record_error(&case.exchange, "websocket: origin chose an extension that was not offered");
        return answer::text(StatusCode::BAD_GATEWAY, "upstream error");
    }
    let origin = hyper::upgrade::on(&mut response);
    let mut exchange = case.exchange.clone();
    exchange.target = case.tunnel.authority().into();
    let tunnel = Arc::clone(case.tunnel);
    let tasks = case.exchange.shared.tasks.clone();
    tasks.spawn(async move {
        let (deadline, cut) = (tunnel.deadline, exchange.shared.stop.cut.clone());
        let relay = async {
            let (Ok((client, early)), Ok(origin)) = (takeover.complete::<C>().await, origin.await) else {
                return;
            };
            let config = config(&exchange);
            let client =
                WebSocketStream::from_partially_read(client, early.to_vec(), Role::Server, Some(config))
                    .await;
            let origin =
                WebSocketStream::from_raw_socket(TokioIo::new(origin), Role::Client, Some(config)).await;
            Relay::new(exchange, tunnel.host.clone()).run(client, origin).await;
        };
        tokio::select! {
            () = relay => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = cut.cancelled() => {}
        }
    });
    let mut answer = answer::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    for name in [SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL] {
        if let Some(value) = response.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    answer
}

fn max_message(exchange: &Exchange) -> usize {
    usize::try_from(exchange.policy.config.websocket_proxy.max_message_bytes).unwrap_or(1 << 20)
}

fn config(exchange: &Exchange) -> WebSocketConfig {
    let limit = max_message(exchange);
    WebSocketConfig::default().max_message_size(Some(limit)).max_frame_size(Some(limit))
}

type Sink<S> = Mutex<SplitSink<WebSocketStream<S>, Message>>;

/// Why a relay ends early.
struct Closing {
    code: CloseCode,
    reason: &'static str,
    /// Tell the side that the message came from, too.
    both: bool,
}

impl Closing {
    fn policy(reason: &'static str) -> Self {
        Self { code: CloseCode::Policy, reason, both: true }
    }
}

#[derive(Default)]
struct Counts {
    bytes: u64,
    text: u64,
    binary: u64,
}

struct Relay {
    exchange: Exchange,
    host: String,
    idle: Duration,
    began: Instant,
}

impl Relay {
    fn new(exchange: Exchange, host: String) -> Self {
        let idle = u64::try_from(exchange.policy.config.websocket_proxy.idle_timeout_seconds).unwrap_or(300);
        Self { exchange, host, idle: Duration::from_secs(idle), began: Instant::now() }
    }

    /// Relays until both directions have ended.
    async fn run<C, O>(self, client: WebSocketStream<C>, origin: WebSocketStream<O>)
    where
        C: AsyncRead + AsyncWrite + Unpin,
        O: AsyncRead + AsyncWrite + Unpin,
    {
        let metrics = self.exchange.shared.events.metrics();
        self.exchange.record(&Event::WsOpen { ctx: self.context() });
        metrics.ws_opened();
        let (to_client, from_client) = client.split();
        let (to_origin, from_origin) = origin.split();
        let (to_client, to_origin) = (Mutex::new(to_client), Mutex::new(to_origin));
        let mut up = Counts::default();
        let mut down = Counts::default();
        let up_loop = async {
            let closing = self.up(from_client, &to_origin, &mut up).await;
            self.close(closing, &to_client, &to_origin).await
        };
        let down_loop = async {
            let closing = self.down(from_origin, &to_client, &mut down).await;
            self.close(closing, &to_origin, &to_client).await
        };
        // Whichever direction ends takes the other with it: a closed WebSocket is closed for both.
        let blocked = tokio::select! {
            blocked = up_loop => blocked,
            blocked = down_loop => blocked,
        };
        metrics.ws_closed();
        if blocked {
            metrics.ws_blocked();
        } else {
            metrics.ws_completed(self.began.elapsed());
        }
        metrics.ws_bytes(Direction::ClientToServer.as_str(), up.bytes);
        metrics.ws_bytes(Direction::ServerToClient.as_str(), down.bytes);
        self.exchange.record(&Event::WsClose {
            ctx: self.context(),
            client_to_server_bytes: up.bytes,
            server_to_client_bytes: down.bytes,
            text_frames: up.text + down.text,
            binary_frames: up.binary + down.binary,
            duration: self.began.elapsed(),
        });
    }

    /// Says goodbye; `true` if policy ended the relay.
    async fn close<A, B>(&self, closing: Closing, sender: &Sink<A>, other: &Sink<B>) -> bool
    where
        A: AsyncRead + AsyncWrite + Unpin,
        B: AsyncRead + AsyncWrite + Unpin,
    {
        let frame = || CloseFrame { code: closing.code, reason: closing.reason.into() };
        let both = async {
            let _ = other.lock().await.send(Message::Close(Some(frame()))).await;
            if closing.both {
                let _ = sender.lock().await.send(Message::Close(Some(frame()))).await;
            }
        };
        // A peer that does not take the frame is gone.
        let _ = tokio::time::timeout(CLOSE, both).await;
        closing.both
    }

    fn context(&self) -> Context<'_> {
        self.exchange.context()
    }

    /// Client to origin.
    async fn up<C, O>(
        &self,
        mut source: SplitStream<WebSocketStream<C>>,
        sink: &Sink<O>,
        counts: &mut Counts,
    ) -> Closing
    where
        C: AsyncRead + AsyncWrite + Unpin,
        O: AsyncRead + AsyncWrite + Unpin,
    {
        let direction = Direction::ClientToServer;
        let (mut tail, mut control_tail) = (Vec::new(), Vec::new());
        loop {
            let message = match self.read(&mut source, direction).await {
                Ok(message) => message,
                Err(closing) => return closing,
            };
            match &message {
                Message::Text(text) => {
                    if let Some(closing) = self.scan_up(&mut tail, text.as_bytes()) {
                        return closing;
                    }
                    if let Some(closing) = self.across_messages(text.as_bytes(), true).await {
                        return closing;
                    }
                }
                Message::Binary(bytes) => {
                    if let Some(closing) = self.binary(direction) {
                        return closing;
                    }
                    if let Some(closing) = self.scan_up(&mut tail, bytes) {
                        return closing;
                    }
                    if let Some(closing) = self.across_messages(bytes, false).await {
                        return closing;
                    }
                }
                // A secret leaves in a ping as well as in a message (D-511).
                Message::Ping(bytes) | Message::Pong(bytes) if !bytes.is_empty() => {
                    if let Some(closing) = self.scan_up(&mut control_tail, bytes) {
                        return closing;
                    }
                }
                _ => {}
            }
            if let Err(closing) = self.send(sink, message, counts).await {
                return closing;
            }
        }
    }

    /// Origin to client.
    async fn down<C, O>(
        &self,
        mut source: SplitStream<WebSocketStream<O>>,
        sink: &Sink<C>,
        counts: &mut Counts,
    ) -> Closing
    where
        C: AsyncRead + AsyncWrite + Unpin,
        O: AsyncRead + AsyncWrite + Unpin,
    {
        let direction = Direction::ServerToClient;
        loop {
            let mut message = match self.read(&mut source, direction).await {
                Ok(message) => message,
                Err(closing) => return closing,
            };
            match &message {
                Message::Text(text) => match self.scan_down(text) {
                    Ok(None) => {}
                    Ok(Some(replacement)) => message = Message::Text(replacement.into()),
                    Err(closing) => return closing,
                },
                Message::Binary(_) => {
                    if let Some(closing) = self.binary(direction) {
                        return closing;
                    }
                }
                _ => {}
            }
            if let Err(closing) = self.send(sink, message, counts).await {
                return closing;
            }
        }
    }

    async fn read<S>(
        &self,
        source: &mut SplitStream<WebSocketStream<S>>,
        direction: Direction,
    ) -> Result<Message, Closing>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (closed, gone) = match direction {
            Direction::ClientToServer => ("client closed", "client disconnected"),
            Direction::ServerToClient => ("upstream closed", "upstream disconnected"),
        };
        let away = Closing { code: CloseCode::Away, reason: gone, both: false };
        match tokio::time::timeout(self.idle, source.next()).await {
            Err(_) | Ok(None) => Err(away),
            Ok(Some(Ok(Message::Close(_)))) => {
                Err(Closing { code: CloseCode::Normal, reason: closed, both: false })
            }
            Ok(Some(Ok(message))) => Ok(message),
            Ok(Some(Err(Error::Capacity(_)))) => {
                Err(Closing { code: CloseCode::Size, reason: "message too large", both: true })
            }
            Ok(Some(Err(Error::Utf8(_)))) => {
                Err(Closing { code: CloseCode::Invalid, reason: "invalid UTF-8", both: true })
            }
            Ok(Some(Err(Error::Protocol(_)))) => {
                Err(Closing { code: CloseCode::Protocol, reason: "protocol error", both: true })
            }
            Ok(Some(Err(_))) => Err(away),
        }
    }

    async fn send<S>(&self, sink: &Sink<S>, message: Message, counts: &mut Counts) -> Result<(), Closing>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let metrics = self.exchange.shared.events.metrics();
        match &message {
            Message::Text(_) => {
                counts.text += 1;
                counts.bytes += message.len() as u64;
                metrics.ws_frame("text");
            }
            Message::Binary(_) => {
                counts.binary += 1;
                counts.bytes += message.len() as u64;
                metrics.ws_frame("binary");
            }
            _ => metrics.ws_frame("control"),
        }
        sink.lock().await.send(message).await.map_err(|_| Closing {
            code: CloseCode::Away,
            reason: "peer disconnected",
            both: false,
        })
    }

    fn binary(&self, direction: Direction) -> Option<Closing> {
        if self.exchange.policy.config.websocket_proxy.allow_binary_frames {
            return None;
        }
        let reason = "binary frames not allowed";
        self.exchange.record(&Event::WsBlocked {
            ctx: self.context(),
            direction,
            scanner: "ws_protocol",
            reason,
        });
        Some(Closing::policy(reason))
    }

    /// Secrets in what the client says, also when it says them in pieces.
    fn scan_up(&self, tail: &mut Vec<u8>, text: &[u8]) -> Option<Closing> {
        let config = &self.exchange.policy.config;
        if !config.websocket_proxy.scans_text_frames() {
            return None;
        }
        let keep_from = tail.len().saturating_sub(TAIL);
        tail.drain(..keep_from);
        tail.extend_from_slice(text);
        let found = self.exchange.policy.dlp.scan_text(tail);
        if found.matches.is_empty() {
            return None;
        }
        self.exchange.shared.events.metrics().ws_scan_hit("dlp");
        let direction = Direction::ClientToServer;
        if config.enforces() {
            let reason = format!("DLP match: {}", found.matches[0].name);
            self.exchange.record(&Event::WsBlocked {
                ctx: self.context(),
                direction,
                scanner: "dlp",
                reason: &reason,
            });
            return Some(Closing::policy("DLP violation"));
        }
        self.report(direction, "audit", &names(&found.matches));
        None
    }

    /// What a message completes together with earlier ones; binary ones only count against the entropy budget.
    async fn across_messages(&self, message: &[u8], text: bool) -> Option<Closing> {
        if !self.exchange.looks_across_requests() {
            return None;
        }
        self.exchange.admit(&self.host, Payload::of_message(message, text), "websocket").await?;
        self.exchange.shared.events.metrics().ws_scan_hit(CROSS_REQUEST);
        Some(Closing::policy("cross-request exfiltration detected"))
    }

    fn report(&self, direction: Direction, action: &str, patterns: &[&str]) {
        self.exchange.record(&Event::WsScan {
            ctx: self.context(),
            direction,
            action,
            match_count: patterns.len(),
            patterns: patterns.to_vec(),
            bundle_rules: Vec::new(),
        });
    }

    /// Injection in what the server says; `Some` is the text to deliver in its place.
    fn scan_down(&self, text: &str) -> Result<Option<String>, Closing> {
        let policy = &self.exchange.policy;
        if !policy.config.websocket_proxy.scans_text_frames() {
            return Ok(None);
        }
        let headers = HeaderMap::new();
        let head = Head {
            transport: Transport::WebSocket,
            host: &self.host,
            target: &self.exchange.url,
            headers: &headers,
            escalation: Escalation::default(),
            budget: None,
        };
        let mut notes = Vec::new();
        let verdict = policy.response.judge_message(&head, text, &mut notes);
        deliver::record_notes(&self.exchange, Transport::WebSocket, &self.host, &notes);
        let direction = Direction::ServerToClient;
        let (matches, outcome) = match verdict {
            MessageVerdict::Pass => return Ok(None),
            MessageVerdict::Warn(matches) => (matches, Ok(None)),
            MessageVerdict::Replace(text, matches) => (matches, Ok(Some(text))),
            MessageVerdict::Close(reason, matches) => (matches, Err(reason)),
        };
        self.exchange.shared.events.metrics().ws_scan_hit("injection");
        let patterns: Vec<&str> = matches.iter().map(|m| &*m.name).collect();
        match outcome {
            Ok(replacement) => {
                let action = if replacement.is_some() { "strip" } else { "warn" };
                self.report(direction, action, &patterns);
                Ok(replacement)
            }
            Err(reason) => {
                self.exchange.record(&Event::WsBlocked {
                    ctx: self.context(),
                    direction,
                    scanner: "response_scan",
                    reason: &reason,
                });
                Err(Closing::policy("injection detected"))
            }
        }
    }
}

fn names(matches: &[Match]) -> Vec<&str> {
    matches.iter().map(|hit| &*hit.name).collect()
}
