//! Connections to origins, kept and used again.
//!
//! One pool serves the whole process: tunnels come and go, but the origins behind them are few, and a TLS handshake costs more
//! than most requests. HTTP/1.1 connections are lent out and come back when the answer's body has been read to its end; an
//! HTTP/2 connection is shared. What a pooled connection may be used for is decided before [`Pool::send`] is called; the
//! address it goes to was checked when it was dialled.
//!
//! A request that fails on a connection from the pool before any byte of it was processed is sent once more on a new one. One
//! that may have been processed is only repeated when repeating is harmless (see [`Outbound::repeatable`]).
//!
//! spec: tls-and-request-bodies §10, http-proxy §5.2. The reference keeps two idle connections for a host; more are kept here,
//! because thirty clients of one origin would otherwise pay for a handshake with nearly every request.

mod body;
mod idle;
mod target;
mod transport;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderMap, HeaderName};
use http::{Method, Request, Response, Version};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};

pub use body::{OutboundBody, ResponseBody};
pub use target::request_target;
pub use transport::Transport;

use body::Lease;
use idle::Idle;

/// Longest response head.
const MAX_RESPONSE_HEAD: usize = 10 << 20;
/// Most header lines of a response. hyper clears a table of this many entries for each.
const MAX_RESPONSE_LINES: usize = 512;

/// Bounds of a [`Pool`].
#[derive(Debug, Clone, Copy)]
pub struct PoolSettings {
    /// Idle HTTP/1.1 connections in all, and HTTP/2 connections in all.
    pub idle: usize,
    /// Idle connections to one origin.
    pub idle_per_origin: usize,
    /// How long a connection may be idle.
    pub idle_time: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { idle: 512, idle_per_origin: 64, idle_time: Duration::from_secs(90) }
    }
}

/// Which connections are alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OriginKey {
    /// `host:port` as dialled; IPv6 in brackets.
    pub authority: Arc<str>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Whether it may speak HTTP/2.
    pub http2: bool,
}

/// A request for an origin. Framing headers (`Content-Length`, or `Transfer-Encoding: chunked`) are the caller's and have to fit
/// the body; for HTTP/2 those of HTTP/1 are dropped on the way.
#[derive(Debug)]
pub struct Outbound {
    pub method: Method,
    /// Path and query as they are to be sent.
    pub target: Vec<u8>,
    /// Value of `Host`, or `:authority`.
    pub host: http::HeaderValue,
    /// All headers but `Host`.
    pub headers: HeaderMap,
    pub body: OutboundBody,
}

impl Outbound {
    /// Whether sending this twice does no harm: the method promises it or the client says so, and the body is at hand.
    #[must_use]
    pub fn repeatable(&self) -> bool {
        let promised = matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
            || self.headers.contains_key("idempotency-key")
            || self.headers.contains_key("x-idempotency-key");
        promised && self.body.is_replayable()
    }

    fn copy(&self) -> Option<Self> {
        Some(Self {
            method: self.method.clone(),
            target: self.target.clone(),
            host: self.host.clone(),
            headers: self.headers.clone(),
            body: self.body.replay()?,
        })
    }
}

/// Why there is no response. `E` is what dialling can fail with.
#[derive(Debug, thiserror::Error)]
pub enum SendError<E> {
    #[error(transparent)]
    Connect(E),
    #[error("{}", chain(.0))]
    Http(hyper::Error),
    #[error("request cannot be sent: {0}")]
    Request(http::Error),
}

/// An error with its causes: hyper's own text rarely says what happened.
fn chain(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

enum Sender {
    Http1(hyper::client::conn::http1::SendRequest<OutboundBody>),
    Http2(hyper::client::conn::http2::SendRequest<OutboundBody>),
}

/// See the module.
pub struct Pool {
    idle: Arc<Idle>,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(settings: PoolSettings) -> Self {
        Self { idle: Arc::new(Idle::new(settings)) }
    }

    /// Sends a request on a pooled connection, or on one that `connect` makes, and waits for the head of the response.
    ///
    /// The body is to be read to its end: dropping it earlier closes an HTTP/1.1 connection. Interim responses are
    /// swallowed. After a `101` the connection is with [`hyper::upgrade::on`].
    pub async fn send<C, F, E>(
        &self,
        key: &OriginKey,
        request: Outbound,
        connect: C,
    ) -> Result<Response<ResponseBody>, SendError<E>>
    where
        C: Fn() -> F,
        F: Future<Output = Result<Transport, E>>,
    {
        let mut request = request;
        // Every pooled connection may have died unnoticed; each failure takes one out of the pool, so this ends.
        while let Some(sender) = self.idle.take(key).await {
            let spare = if request.repeatable() { request.copy() } else { None };
            match self.send_on(key, sender, request).await? {
                Sent::Done(response) => return Ok(response),
                Sent::Returned(unsent, _) => request = *unsent,
                Sent::Failed(error) => match spare {
                    Some(spare) => {
                        request = spare;
                        break;
                    }
                    None => return Err(SendError::Http(error)),
                },
            }
        }
        let sender = self.open(key, connect().await.map_err(SendError::Connect)?).await?;
        match self.send_on(key, sender, request).await? {
            Sent::Done(response) => Ok(response),
            Sent::Returned(_, error) | Sent::Failed(error) => Err(SendError::Http(error)),
        }
    }

    /// Sends on a connection that is not shared and not kept, for exchanges that end with it.
    pub async fn send_alone<E>(
        &self,
        key: &OriginKey,
        request: Outbound,
        transport: Transport,
    ) -> Result<Response<ResponseBody>, SendError<E>> {
        let sender = self.open(key, transport).await?;
        match self.send_on(key, sender, request).await? {
            Sent::Done(response) => Ok(response.map(ResponseBody::unpooled)),
            Sent::Returned(_, error) | Sent::Failed(error) => Err(SendError::Http(error)),
        }
    }

    /// Sends CONNECT as an ordinary request, whose answer has a body like any other.
    ///
    /// hyper takes a 2xx to CONNECT as the start of a tunnel. So it is told another method, and the one byte by which
    /// the two differ is left out on the wire; the connection is used for nothing else.
    pub async fn send_connect<E>(
        &self,
        key: &OriginKey,
        mut request: Outbound,
        transport: Transport,
    ) -> Result<Response<ResponseBody>, SendError<E>> {
        request.method = Method::from_bytes(b"XCONNECT").unwrap_or_default();
        self.send_alone(key, request, transport.without_first_byte()).await
    }

    async fn open<E>(&self, key: &OriginKey, transport: Transport) -> Result<Sender, SendError<E>> {
        if transport.is_http2() {
            let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
                .max_header_list_size(1 << 20)
                .initial_stream_window_size(1 << 20)
                .initial_connection_window_size(4 << 20)
                .handshake(TokioIo::new(transport))
                .await
                .map_err(SendError::Http)?;
            // What ends the connection is reported to the requests on it.
            tokio::spawn(async move { drop(connection.await) });
            self.idle.share(key, sender.clone());
            return Ok(Sender::Http2(sender));
        }
        let (sender, connection) = hyper::client::conn::http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(MAX_RESPONSE_HEAD)
            .max_headers(MAX_RESPONSE_LINES)
            .handshake(TokioIo::new(transport))
            .await
            .map_err(SendError::Http)?;
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
        Ok(Sender::Http1(sender))
    }

    async fn send_on<E>(
        &self,
        key: &OriginKey,
        sender: Sender,
        outbound: Outbound,
    ) -> Result<Sent, SendError<E>> {
        match sender {
            Sender::Http1(mut sender) => {
                let request = http1_request(outbound).map_err(SendError::Request)?;
                if let Err(error) = sender.ready().await {
                    return Ok(Sent::Returned(Box::new(recover(request)), error));
                }
                let sent = sender.try_send_request(request).await;
                let lease = Lease::new(Arc::clone(&self.idle), key.clone(), sender);
                Ok(sent_or_not(sent, |incoming| ResponseBody::new(incoming, Some(lease))))
            }
            Sender::Http2(mut sender) => {
                let request = http2_request(outbound, &key.authority).map_err(SendError::Request)?;
                if let Err(error) = sender.ready().await {
                    return Ok(Sent::Returned(Box::new(recover(request)), error));
                }
                let sent = sender.try_send_request(request).await;
                Ok(sent_or_not(sent, |incoming| ResponseBody::new(incoming, None)))
            }
        }
    }
}

enum Sent {
    Done(Response<ResponseBody>),
    Returned(Box<Outbound>, hyper::Error),
    Failed(hyper::Error),
}

fn sent_or_not(
    result: Result<Response<Incoming>, hyper::client::conn::TrySendError<Request<OutboundBody>>>,
    wrap: impl FnOnce(Incoming) -> ResponseBody,
) -> Sent {
    match result {
        Ok(response) => Sent::Done(response.map(wrap)),
        Err(mut error) => match error.take_message() {
            Some(request) => Sent::Returned(Box::new(recover(request)), error.into_error()),
            None => Sent::Failed(error.into_error()),
        },
    }
}

/// The request as it was before it was dressed for hyper.
fn recover(request: Request<OutboundBody>) -> Outbound {
    let (mut parts, body) = request.into_parts();
    let original = parts.extensions.remove::<Original>().unwrap_or_default();
    let mut headers = parts.headers;
    headers.remove(HOST);
    headers.extend(original.left_out);
    Outbound { method: parts.method, target: original.target, host: original.host, headers, body }
}

/// What hyper's form of a request does not show, carried along so that a request that was not sent can be sent elsewhere.
#[derive(Debug, Clone)]
struct Original {
    target: Vec<u8>,
    host: http::HeaderValue,
    left_out: HeaderMap,
}

impl Default for Original {
    fn default() -> Self {
        Self { target: Vec::new(), host: http::HeaderValue::from_static(""), left_out: HeaderMap::new() }
    }
}

/// Origin form, or an authority for CONNECT.
fn request_uri(target: &[u8]) -> Result<http::Uri, http::Error> {
    match target.first() {
        Some(b'/' | b'?' | b'*') => Ok(request_target(target)?.into()),
        _ => Ok(http::Uri::try_from(target)?),
    }
}

fn http1_request(outbound: Outbound) -> Result<Request<OutboundBody>, http::Error> {
    let Outbound { method, target, host, headers, body } = outbound;
    let mut request =
        Request::builder().method(method).uri(request_uri(&target)?).version(Version::HTTP_11).body(body)?;
    // hyper writes headers in the map's order, and origins expect Host first.
    let all = request.headers_mut();
    all.reserve(headers.len() + 1);
    all.insert(HOST, host.clone());
    all.extend(headers);
    request.extensions_mut().insert(Original { target, host, left_out: HeaderMap::new() });
    Ok(request)
}

/// Headers that mean something between two HTTP/1 parties only.
const HTTP1_ONLY: [HeaderName; 4] = [
    http::header::CONNECTION,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
    HeaderName::from_static("proxy-connection"),
];

fn http2_request(outbound: Outbound, authority: &str) -> Result<Request<OutboundBody>, http::Error> {
    let Outbound { method, target, host, mut headers, body } = outbound;
    let named = host.to_str().ok().filter(|h| !h.is_empty()).unwrap_or(authority);
    let uri = http::Uri::builder()
        .scheme("https")
        .authority(named)
        .path_and_query(request_target(&target)?)
        .build()?;
    let mut request = Request::builder().method(method).uri(uri).version(Version::HTTP_2).body(body)?;
    let mut left_out = HeaderMap::new();
    for name in HTTP1_ONLY {
        if let Some(value) = headers.remove(&name) {
            left_out.insert(name, value);
        }
    }
    *request.headers_mut() = headers;
    request.extensions_mut().insert(Original { target, host, left_out });
    Ok(request)
}

/// An error of the connection as an `io::Error`, for body streams.
fn io_error(error: hyper::Error) -> io::Error {
    io::Error::other(chain(&error))
}

#[cfg(test)]
mod tests;
