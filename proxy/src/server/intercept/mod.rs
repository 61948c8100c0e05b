//! TLS interception: HTTP inside a CONNECT tunnel, decrypted, judged and sent on.
//!
//! ```text
//! connect (200, SNI check) → serve → client's TLS → HTTP/1.1 (wire) or HTTP/2 → steps → origin → response → Answer
//! ```
//! A tunnel keeps the policy snapshot and the identity of its CONNECT; what an operator can throw at once (kill switch,
//! dial rules) is asked anew for each request. Everything ends with the tunnel's deadline, mid-answer if need be.
//!
//! The order of checks is one list, in `steps`. spec: tls-and-request-bodies §5-11.

mod forward;
mod grpc;
mod http2;
mod replay;
mod request;
mod respond;
mod steps;
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONNECTION, HeaderValue};
use muselet_rules::Strictness;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::answer;
use super::exchange::Exchange;
use super::room::Room;
use super::wire::{self, Connection, Limits};
use crate::config::Config;
use crate::events::Event;
use replay::Replay;
use request::Inner;

/// Client's handshake, and its first request head, at most.
const HANDSHAKE: Duration = Duration::from_secs(30);
const HEAD: Duration = Duration::from_secs(30);
/// Why a tunnel ends whose client does not begin a handshake, as the reference says it.
pub(crate) const NOT_TLS: &str = "tls: first record does not look like a TLS handshake";
/// First byte of a TLS record that holds a handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// What is told to a client that speaks HTTP where a handshake was to come. (D-620)
const PLAIN_HTTP: &str = "blocked: plain HTTP in a tunnel that is opened for inspection: \
                          send http:// requests to the proxy itself (undici: proxyTunnel: false), \
                          or list the host in tls_interception.passthrough_domains";
/// "No limit of its own": the tunnel's deadline comes first.
const UNLIMITED: Duration = Duration::from_secs(366 * 24 * 3600);

/// How long a connection may wait for its first request: an origin soon gives up on a silent client.
const DIALLED_FOR: Duration = Duration::from_secs(2);

/// A connection to the origin that was made, and its addresses checked, for CONNECT. The reference throws it away (§20 O17).
#[derive(Debug)]
pub struct Dialled(Mutex<Option<(TcpStream, Instant)>>);

impl Dialled {
    /// Just connected.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self(Mutex::new(Some((stream, Instant::now()))))
    }

    /// The connection, once, and only while it is fresh.
    fn take(&self) -> Option<TcpStream> {
        // The lock guards one assignment.
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.filter(|(_, since)| since.elapsed() < DIALLED_FOR).map(|(stream, _)| stream)
    }
}

/// A tunnel that is to be opened up.
#[derive(Debug)]
pub struct Tunnel {
    /// The CONNECT request: snapshot, identity, `target`.
    pub exchange: Exchange,
    /// Host of the CONNECT, verbatim, without brackets.
    pub host: String,
    /// Port of the CONNECT, as written or `443`.
    pub port: String,
    /// When the tunnel ends, whatever happens in it.
    pub deadline: Instant,
    /// Local and peer address of the client's connection.
    pub ends: (SocketAddr, SocketAddr),
    /// The connection that showed that somebody answers; the first request may use it.
    pub dialled: Dialled,
    /// For the bodies in it.
    pub room: Room,
    /// The tunnel's place among the tunnels under way, held as long as anything of it lives.
    pub permit: OwnedSemaphorePermit,
}

impl Tunnel {
    /// `host:port`, IPv6 in brackets.
    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Whether tunnels to this CONNECT host are opened up. spec: tls-and-request-bodies §5.2.
#[must_use]
pub fn is_intercepted(config: &Config, host: &str) -> bool {
    config.tls_interception.enabled
        && !config.tls_interception.passthrough_domains.iter().any(|entry| passes(entry, host))
}

/// Equal, or below a `*.` entry; not its apex. Nothing is normalised but letter case.
fn passes(entry: &str, host: &str) -> bool {
    let (entry, host) = (entry.to_lowercase(), host.to_lowercase());
    match entry.strip_prefix('*') {
        Some(suffix) if suffix.starts_with('.') => host.ends_with(suffix),
        _ => entry == host,
    }
}

/// Serves the tunnel until it ends. `early` is what was already read from the client after its CONNECT.
pub async fn serve<S>(tunnel: Tunnel, io: S, early: Bytes)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let cut = tunnel.exchange.shared.stop.cut.clone();
    let deadline = tunnel.deadline;
    let served = serve_until_closed(Arc::new(tunnel), Replay::new(io, early));
    tokio::select! {
        () = served => {}
        () = tokio::time::sleep_until(deadline) => {}
        () = cut.cancelled() => {}
    }
}

async fn serve_until_closed<S>(tunnel: Arc<Tunnel>, io: Replay<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let exchange = &tunnel.exchange;
    let metrics = exchange.shared.events.metrics();
    let Some(leaves) = exchange.shared.leaves.load_full() else {
        metrics.tls_intercept("failed");
        exchange.record(&Event::Error {
            ctx: exchange.context(),
            error: "TLS interception enabled but cert cache unavailable",
        });
        return;
    };
    metrics.tls_intercept("intercepted");
    exchange.record(&Event::Anomaly {
        ctx: exchange.context(),
        scanner: "tls_intercept",
        reason: "TLS MITM interception active",
        score: 0.0,
    });
    let began = Instant::now();
    let leaf = leaves.get(&tunnel.host).await;
    metrics.set_tls_cert_cache_size(leaves.len());
    let accepted = match leaf {
        Ok(leaf) => accept(&tunnel, &leaf.server_config, io).await,
        Err(error) => Err(Refused::Handshake(error.to_string())),
    };
    let tls = match accepted {
        Ok(tls) => tls,
        Err(Refused::Handshake(why)) => return report_handshake(exchange, &why),
        Err(Refused::NotTls(io)) => {
            report_handshake(exchange, NOT_TLS);
            if exchange.shared.fixed.strictness == Strictness::Hardened {
                refuse_plain(&tunnel, io).await;
            }
            return;
        }
    };
    metrics.tls_handshake("client", began.elapsed());
    if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2::serve(tunnel, tls).await;
    } else {
        serve_http1(tunnel, tls).await;
    }
}

/// A client connection inside the tunnel.
type ClientTls<S> = tokio_rustls::server::TlsStream<Replay<S>>;

/// Why there is no TLS in a tunnel.
enum Refused<S> {
    /// The handshake failed, or none came.
    Handshake(String),
    /// The client speaks something else. It would not understand an alert.
    NotTls(Replay<S>),
}

impl<S> From<io::Error> for Refused<S> {
    fn from(error: io::Error) -> Self {
        Self::Handshake(error.to_string())
    }
}

async fn accept<S>(
    tunnel: &Tunnel,
    config: &Arc<rustls::ServerConfig>,
    mut io: Replay<S>,
) -> Result<ClientTls<S>, Refused<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let until = (Instant::now() + HANDSHAKE).min(tunnel.deadline);
    let handshake = async {
        if io.first_byte().await? != TLS_HANDSHAKE {
            return Err(Refused::NotTls(io));
        }
        Ok(TlsAcceptor::from(Arc::clone(config)).accept(io).await?)
    };
    timeout_at(until, handshake).await.unwrap_or_else(|_| Err(Refused::Handshake("i/o timeout".to_owned())))
}

/// Answers one request of a client that speaks plain HTTP; nothing of it goes further.
async fn refuse_plain<S>(tunnel: &Tunnel, io: Replay<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let drain = tunnel.exchange.shared.stop.drain.clone();
    wire::serve(io, connection(tunnel, Limits::ADMIN), drain, |_| async {
        let mut refusal = answer::text(StatusCode::FORBIDDEN, PLAIN_HTTP);
        refusal.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        refusal
    })
    .await;
}

/// The inner connection of a tunnel.
fn connection(tunnel: &Tunnel, limits: Limits) -> Connection {
    Connection {
        local: tunnel.ends.0,
        peer: tunnel.ends.1,
        limits,
        strictness: tunnel.exchange.shared.fixed.strictness,
        inner: true,
        slot: Arc::default(),
    }
}

fn report_handshake(exchange: &Exchange, why: &str) {
    exchange.shared.events.metrics().tls_intercept("handshake_error");
    exchange.record(&Event::Blocked { ctx: exchange.context(), scanner: "tls_handshake_error", reason: why });
    exchange
        .record(&Event::Error { ctx: exchange.context(), error: &format!("client TLS handshake: {why}") });
}

async fn serve_http1<S>(tunnel: Arc<Tunnel>, tls: ClientTls<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = Limits { head: HEAD, request: UNLIMITED, idle: UNLIMITED, ..Limits::MAIN };
    let connection = connection(&tunnel, limits);
    let shared = &tunnel.exchange.shared;
    let seat = shared.upstream.descriptors.seat(&connection.slot, &shared.stop.drain);
    wire::serve(tls, connection, seat.leave.clone(), |request| {
        let tunnel = Arc::clone(&tunnel);
        request.body.gather(tunnel.exchange.policy.body.limit());
        async move { steps::handle::<ClientTls<S>>(&tunnel, Inner::from_http1(request)).await }
    })
    .await;
}
