//! The conversation: two directions in one task, frame by frame. (spec: http-proxy §8.3)
//!
//! A direction reads a frame, applies the checks of the specification in their order, puts messages together and passes them on
//! whole once they are judged. It shares nothing with the other but the two writers and the counters. In the reference a
//! direction that waits notices nothing (not the lifetime, not that the other has ended); here it does, except in reference mode.

use std::borrow::Cow;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use super::frame::{self, Header, Reader, Writer};
use super::message::Judge;
use super::origin::Io;
use super::scans::Refusal;
use super::{CLOSE_TIMEOUT, code, context};
use crate::Strictness;
use crate::config::grammar::seconds;
use crate::events::{Direction, Event};
use crate::server::exchange::Exchange;

type Sink = Mutex<Writer<WriteHalf<Box<dyn Io>>>>;

/// Who hears of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Nobody,
    /// The peer that the direction reads from.
    Own,
    Other,
    Both,
}

/// Why a direction ends.
#[derive(Debug)]
struct End {
    code: u16,
    reason: Cow<'static, str>,
    to: To,
    /// A rule or limit ended it.
    blocked: bool,
    /// The peer is gone and will not answer.
    gone: bool,
}

impl End {
    fn new(code: u16, reason: &'static str, to: To) -> Self {
        Self { code, reason: reason.into(), to, blocked: true, gone: false }
    }

    fn policy(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), ..Self::new(code::POLICY, "", To::Both) }
    }

    fn closed(reason: &'static str) -> Self {
        Self { blocked: false, ..Self::new(code::NORMAL, reason, To::Other) }
    }
}

/// What has been relayed.
#[derive(Debug, Default)]
struct Counts {
    up: AtomicU64,
    down: AtomicU64,
    text: AtomicU64,
    binary: AtomicU64,
    blocked: AtomicBool,
}

/// One conversation.
pub(super) struct Relay {
    exchange: Exchange,
    host: String,
    began: Instant,
    /// End of its life.
    deadline: Instant,
    /// Longest silence.
    idle: Duration,
    max_message: u64,
    hardened: bool,
    counts: Counts,
}

/// One direction.
struct Way<'a> {
    direction: Direction,
    reader: Reader<ReadHalf<Box<dyn Io>>>,
    own: &'a Sink,
    other: &'a Sink,
    judge: Judge<'a>,
    partial: Option<Partial>,
}

/// A message that is not complete.
struct Partial {
    opcode: u8,
    payload: BytesMut,
}

impl Relay {
    /// Begins now and ends at `deadline`, where there is one, if its own life is longer.
    pub fn new(exchange: Exchange, host: String, deadline: Option<Instant>) -> Self {
        let section = &exchange.policy.config.websocket_proxy;
        let began = Instant::now();
        let life = began + seconds(section.max_connection_seconds);
        Self {
            began,
            deadline: deadline.map_or(life, |deadline| deadline.min(life)),
            idle: seconds(section.idle_timeout_seconds),
            max_message: u64::try_from(section.max_message_bytes).unwrap_or(0),
            hardened: exchange.shared.fixed.strictness == Strictness::Hardened,
            counts: Counts::default(),
            host,
            exchange,
        }
    }

    /// Relays until both directions have ended. `early` and `said`: what client and origin have sent already.
    pub async fn run(&self, client: Box<dyn Io>, early: &[u8], upstream: Box<dyn Io>, said: &[u8]) {
        self.exchange.shared.events.metrics().ws_opened();
        self.exchange.record(&Event::WsOpen { ctx: context(&self.exchange) });
        if self.exchange.policy.response.is_exempt(&self.host) {
            // Once a conversation; hits are counted one by one. (spec: response-scan §6.2)
            self.exchange
                .record(&Event::ResponseScanExempt { ctx: self.exchange.context(), hostname: &self.host });
        }
        let (client_reader, client_writer) = tokio::io::split(client);
        let (upstream_reader, upstream_writer) = tokio::io::split(upstream);
        let to_client = Mutex::new(Writer::new(client_writer, false));
        let to_upstream = Mutex::new(Writer::new(upstream_writer, true));
        let judge = |direction| Judge::new(&self.exchange, &self.host, direction);
        let up = self.pump(Way {
            direction: Direction::ClientToServer,
            reader: Reader::new(client_reader, early),
            own: &to_client,
            other: &to_upstream,
            judge: judge(Direction::ClientToServer),
            partial: None,
        });
        let down = self.pump(Way {
            direction: Direction::ServerToClient,
            reader: Reader::new(upstream_reader, said),
            own: &to_upstream,
            other: &to_client,
            judge: judge(Direction::ServerToClient),
            partial: None,
        });
        match select(pin!(up), pin!(down)).await {
            Either::Left((gone, rest)) | Either::Right((gone, rest)) => match (self.hardened, gone) {
                (false, _) => {
                    rest.await;
                }
                // Time for the other peer's own goodbye (D-513).
                (true, false) => {
                    let _ = timeout(CLOSE_TIMEOUT, rest).await;
                }
                (true, true) => {}
            },
        }
        self.ended(self.counts.blocked.load(Relaxed));
    }

    /// Writes the conversation down. `blocked`: a rule, limit or quarantine ended it.
    pub fn ended(&self, blocked: bool) {
        let metrics = self.exchange.shared.events.metrics();
        let counts = &self.counts;
        let (up, down) = (counts.up.load(Relaxed), counts.down.load(Relaxed));
        metrics.ws_closed();
        if blocked {
            metrics.ws_blocked();
        } else {
            metrics.ws_completed(self.began.elapsed());
        }
        metrics.ws_bytes(Direction::ClientToServer.as_str(), up);
        metrics.ws_bytes(Direction::ServerToClient.as_str(), down);
        self.exchange.record(&Event::WsClose {
            ctx: context(&self.exchange),
            client_to_server_bytes: up,
            server_to_client_bytes: down,
            text_frames: counts.text.load(Relaxed),
            binary_frames: counts.binary.load(Relaxed),
            duration: self.began.elapsed(),
        });
        self.exchange.policy.url.record_transfer(&self.host, up + down, std::time::Instant::now());
    }

    /// Runs one direction to its end and says why it ended; `true`: its peer is gone.
    async fn pump(&self, mut way: Way<'_>) -> bool {
        let end = loop {
            if let Err(end) = self.turn(&mut way).await {
                break end;
            }
        };
        if end.blocked {
            self.counts.blocked.store(true, Relaxed);
        }
        let say = async |sink: &Sink| {
            // A peer that does not take it is gone.
            let said = async { sink.lock().await.close(end.code, &end.reason).await };
            let _ = timeout(CLOSE_TIMEOUT, said).await;
        };
        if matches!(end.to, To::Other | To::Both) {
            say(way.other).await;
        }
        if matches!(end.to, To::Own | To::Both) {
            say(way.own).await;
        }
        end.gone
    }

    /// One frame. The checks are in the order of §8.3.
    async fn turn(&self, way: &mut Way<'_>) -> Result<(), End> {
        self.may_go_on()?;
        let limit = Instant::now() + self.idle;
        let header = self.within(way.direction, limit, way.reader.header()).await?;
        let Some(header) = header else {
            return Err(End { to: To::Nobody, blocked: false, gone: true, ..End::closed("") });
        };
        self.check_header(way, &header)?;
        let payload = self.within(way.direction, limit, way.reader.payload(&header)).await?;
        if self.hardened {
            // What came after the switch was thrown goes nowhere (D-512).
            self.may_go_on()?;
        }
        self.count(header.opcode);
        match header.opcode {
            frame::CLOSE => Err(End::closed(match way.direction {
                Direction::ClientToServer => "client closed",
                Direction::ServerToClient => "upstream closed",
            })),
            _ if header.is_control() => {
                way.judge.control(&payload).await.map_err(End::from)?;
                self.send(way.other, true, header.opcode, &payload).await
            }
            // Only in reference mode; see `check_header`.
            _ if header.is_reserved() => self.send(way.other, header.fin, header.opcode, &payload).await,
            _ => self.data(way, &header, payload).await,
        }
    }

    /// Whether there may be a next frame.
    fn may_go_on(&self) -> Result<(), End> {
        if Instant::now() >= self.deadline {
            return Err(self.expired());
        }
        if self.exchange.shared.kill_switch.active().is_some() {
            return Err(End::policy("kill switch active"));
        }
        if self.exchange.session_denied().is_some() {
            return Err(End::policy("session escalation"));
        }
        Ok(())
    }

    fn expired(&self) -> End {
        let to = if self.hardened { To::Both } else { To::Own };
        End::new(code::AWAY, "connection timeout", to)
    }

    /// A read with its limits.
    async fn within<T>(
        &self,
        direction: Direction,
        limit: Instant,
        read: impl Future<Output = io::Result<T>>,
    ) -> Result<T, End> {
        let disconnected = || End {
            blocked: false,
            gone: true,
            ..End::new(
                code::AWAY,
                match direction {
                    Direction::ClientToServer => "client disconnected",
                    Direction::ServerToClient => "upstream disconnected",
                },
                To::Other,
            )
        };
        // The reference notices the end of a connection's life only between frames (D-512).
        let limit = if self.hardened { limit.min(self.deadline) } else { limit };
        match timeout_at(limit, read).await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) => {
                use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
                let silent =
                    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe);
                Err(if silent { End { to: To::Nobody, ..disconnected() } } else { disconnected() })
            }
            Err(_) if self.hardened && Instant::now() >= self.deadline => Err(self.expired()),
            Err(_) => Err(disconnected()),
        }
    }

    fn check_header(&self, way: &Way<'_>, header: &Header) -> Result<(), End> {
        if header.is_control() {
            if header.length > 125 {
                return Err(End::new(code::PROTOCOL, "control frame too large", To::Own));
            }
        } else if header.length > self.max_message {
            let reason = "message too large";
            // The reference has an event only for one in fragments (D-621).
            return Err(match self.hardened {
                true => self.breach(way, code::SIZE, reason),
                false => End::new(code::SIZE, reason, To::Both),
            });
        }
        if header.rsv1 {
            return Err(End::new(code::PROTOCOL, "compressed frames not supported", To::Both));
        }
        // Nobody can say what is in them, so nobody has scanned it (D-510).
        if self.hardened && header.is_reserved() {
            return Err(End::new(code::PROTOCOL, "reserved opcode", To::Both));
        }
        if self.hardened && header.is_control() && !header.fin {
            return Err(End::new(code::PROTOCOL, "fragmented control frame", To::Both));
        }
        Ok(())
    }

    fn count(&self, opcode: u8) {
        let kind = match opcode {
            frame::TEXT => {
                self.counts.text.fetch_add(1, Relaxed);
                "text"
            }
            frame::BINARY => {
                self.counts.binary.fetch_add(1, Relaxed);
                "binary"
            }
            _ => "control",
        };
        self.exchange.shared.events.metrics().ws_frame(kind);
    }

    /// A frame of a message; the last one releases it.
    async fn data(&self, way: &mut Way<'_>, header: &Header, payload: Bytes) -> Result<(), End> {
        let continues = header.opcode == frame::CONTINUATION;
        let begun = way.partial.as_ref().map(|partial| partial.opcode);
        let of = if continues { begun } else { Some(header.opcode) };
        if of == Some(frame::BINARY) && !self.exchange.policy.config.websocket_proxy.allow_binary_frames {
            return Err(self.breach(way, code::POLICY, "binary frames not allowed"));
        }
        if continues || !header.fin {
            way.judge.fragment()?;
        }
        let message = match (continues, way.partial.take()) {
            (true, None) => return Err(self.breach(way, code::PROTOCOL, "unexpected continuation frame")),
            (false, Some(_)) => {
                return Err(self.breach(way, code::PROTOCOL, "new data frame during fragmentation"));
            }
            (false, None) if header.fin => payload,
            (false, None) => {
                way.partial = Some(Partial { opcode: header.opcode, payload: payload.into() });
                return Ok(());
            }
            (true, Some(mut partial)) => {
                if partial.payload.len() as u64 + header.length > self.max_message {
                    return Err(self.breach(way, code::SIZE, "message too large"));
                }
                partial.payload.extend_from_slice(&payload);
                if !header.fin {
                    way.partial = Some(partial);
                    return Ok(());
                }
                partial.payload.freeze()
            }
        };
        let opcode = of.unwrap_or(frame::TEXT);
        let message = match opcode {
            frame::TEXT if std::str::from_utf8(&message).is_err() => {
                return Err(End::new(code::INVALID, "invalid UTF-8", To::Both));
            }
            frame::TEXT => way.judge.text(message).await?,
            _ => way.judge.binary(message).await?,
        };
        self.send(way.other, true, opcode, &message).await?;
        let moved = match way.direction {
            Direction::ClientToServer => &self.counts.up,
            Direction::ServerToClient => &self.counts.down,
        };
        moved.fetch_add(message.len() as u64, Relaxed);
        Ok(())
    }

    /// A breach of the protocol that is worth an event.
    fn breach(&self, way: &Way<'_>, code: u16, reason: &'static str) -> End {
        way.judge.report_blocked("ws_protocol", reason, "");
        End::new(code, reason, To::Both)
    }

    /// Passes a frame on. A peer that takes nothing for as long as it may be silent is gone.
    async fn send(&self, to: &Sink, fin: bool, opcode: u8, payload: &[u8]) -> Result<(), End> {
        let sent = async { to.lock().await.send(fin, opcode, payload).await };
        let limit = Instant::now() + self.idle;
        let limit = if self.hardened { limit.min(self.deadline) } else { limit };
        match timeout_at(limit, sent).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End { to: To::Nobody, blocked: false, gone: true, ..End::closed("") }),
        }
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        End::policy(refusal.close)
    }
}
