//! Connections to origins, kept and used again.
//!
//! One pool serves the whole process: tunnels come and go, but the origins behind them are few, and a TLS handshake costs more
//! than most requests. HTTP/1.1 connections are lent out, turned by the request's own task (see `connection`), and come back
//! when the answer's body has been read to its end; an HTTP/2 connection is shared and has a task of its own (see `http2`).
//! What a pooled connection may be used for is decided before [`Pool::send`] is called; the address it goes to was checked
//! when it was dialled.
//!
//! A request that fails on a connection from the pool before any byte of it was processed is sent once more on a new one. One
//! that may have been processed is only repeated when repeating is harmless (see [`Outgoing::repeatable`]).
//!
//! spec: tls-and-request-bodies §10, http-proxy §5.2. The reference keeps two idle connections for a host; more are kept here,
//! because thirty clients of one origin would otherwise pay for a handshake with nearly every request.

mod body;
mod connection;
mod ear;
mod http2;
mod idle;
mod target;
mod transport;
mod usual;

use std::future::Future;
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING};
use http::{Method, Request, Response, Version};
use hyper::body::Incoming;

pub use body::{IncomingBody, OutgoingBody};
pub use target::request_target;
pub use transport::Transport;

use body::Lease;
use connection::{Connection, Failed, Http1};
use idle::Idle;
use target::Line;
use usual::{Exchanged, Written};

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginKey {
    /// `host:port` as dialled; IPv6 in brackets.
    pub authority: Arc<str>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Whether it may speak HTTP/2.
    pub http2: bool,
}

impl Hash for OriginKey {
    /// The authority says nearly all.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.authority.as_bytes());
    }
}

/// A request for an origin. Where the caller sets framing headers (`Content-Length`, or `Transfer-Encoding: chunked`) they have
/// to fit the body; without any the body decides. For HTTP/2 those of HTTP/1 are dropped on the way.
#[derive(Debug)]
pub struct Outgoing {
    pub method: Method,
    /// Path and query as they are to be sent.
    pub target: Vec<u8>,
    /// Value of `Host`, or `:authority`.
    pub host: http::HeaderValue,
    /// All other headers. Where `Host` stands first among them nevertheless, they go out over HTTP/1.1 as they are.
    pub headers: HeaderMap,
    pub body: OutgoingBody,
}

impl Outgoing {
    /// Says of a request whose method usually has a body that it has none: some origins refuse it otherwise.
    fn state_empty_body(&mut self) {
        let usually_has_one = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        if usually_has_one
            && matches!(self.body, OutgoingBody::Empty)
            && !self.headers.contains_key(CONTENT_LENGTH)
        {
            self.headers.insert(CONTENT_LENGTH, 0.into());
        }
    }

    /// Whether sending this twice does no harm: the method promises it or the client says so, and the body is at hand.
    #[must_use]
    pub fn repeatable(&self) -> bool {
        let promised = matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
            || self.headers.contains_key("idempotency-key")
            || self.headers.contains_key("x-idempotency-key");
        promised && self.body.is_repeatable()
    }

    /// The same request once more, where its body is at hand.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        Some(Self {
            method: self.method.clone(),
            target: self.target.clone(),
            host: self.host.clone(),
            headers: self.headers.clone(),
            body: self.body.again()?,
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
    /// The body of the response is coded in a way that only the other end of this connection could undo.
    #[error("net/http: HTTP/1.x transport connection broken: {0}")]
    Coding(String),
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
    Http1(Connection),
    Http2(hyper::client::conn::http2::SendRequest<OutgoingBody>),
}

/// See the module.
pub struct Pool {
    idle: Arc<Idle>,
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(PoolSettings::default())
    }
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(settings: PoolSettings) -> Self {
        Self { idle: Arc::new(Idle::new(settings)) }
    }

    /// Closes the connections that have waited longest for a request, an eighth of them; how many.
    pub(crate) fn give_up(&self) -> usize {
        self.idle.give_up()
    }

    /// Sends a request on a pooled connection, or on one that `connect` makes, and waits for the head of the response.
    /// `again` gives the request once more; it is asked only when the first one was [repeatable](Outgoing::repeatable).
    ///
    /// The body is to be read to its end: dropping it earlier closes an HTTP/1.1 connection. Interim responses are
    /// swallowed. After a `101` the connection is with [`hyper::upgrade::on`].
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send<C, F, E>(
        &self,
        key: &OriginKey,
        mut request: Outgoing,
        again: impl FnOnce() -> Option<Outgoing>,
        connect: C,
    ) -> Result<Response<IncomingBody>, SendError<E>>
    where
        C: FnOnce() -> F,
        F: Future<Output = Result<Transport, E>>,
    {
        let repeatable = request.repeatable();
        // Every pooled connection may have died unnoticed; each failure takes one out of the pool, so this ends.
        while let Some(sender) = self.idle.take(key) {
            match self.send_on(key, sender, request, true).await? {
                Sent::Done(response) => return understood(response),
                Sent::Returned(unsent, _) => request = *unsent,
                Sent::Failed(error) => match repeatable.then(again).flatten() {
                    Some(spare) => {
                        request = spare;
                        break;
                    }
                    None => return Err(SendError::Http(error)),
                },
            }
        }
        let sender = self.open(key, connect().await.map_err(SendError::Connect)?).await?;
        match self.send_on(key, sender, request, true).await? {
            Sent::Done(response) => understood(response),
            Sent::Returned(_, error) | Sent::Failed(error) => Err(SendError::Http(error)),
        }
    }

    /// Sends on a connection that is not shared and not kept, for exchanges that end with it.
    pub async fn send_alone<E>(
        &self,
        key: &OriginKey,
        request: Outgoing,
        transport: Transport,
    ) -> Result<Response<IncomingBody>, SendError<E>> {
        let sender = self.open(key, transport).await?;
        match self.send_on(key, sender, request, false).await? {
            Sent::Done(response) => understood(response),
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
        mut request: Outgoing,
        transport: Transport,
    ) -> Result<Response<IncomingBody>, SendError<E>> {
        request.method = Method::from_bytes(b"XCONNECT").unwrap_or_default();
        self.send_alone(key, request, transport.without_first_byte()).await
    }

    async fn open<E>(&self, key: &OriginKey, transport: Transport) -> Result<Sender, SendError<E>> {
        if transport.is_http2() {
            let sender = http2::open(transport).await.map_err(SendError::Http)?;
            self.idle.share(key, sender.clone());
            return Ok(Sender::Http2(sender));
        }
        Ok(Sender::Http1(Connection::Usual(Box::new(transport))))
    }

    async fn send_on<E>(
        &self,
        key: &OriginKey,
        sender: Sender,
        mut outgoing: Outgoing,
        keep: bool,
    ) -> Result<Sent, SendError<E>> {
        outgoing.state_empty_body();
        match sender {
            Sender::Http1(Connection::Usual(transport)) => match usual::request(&outgoing) {
                Some(written) => self.send_usual(key, transport, &written, outgoing, keep).await,
                None => {
                    let connection = Http1::open(*transport).await.map_err(SendError::Http)?;
                    self.send_turned(key, Box::new(connection), outgoing, keep).await
                }
            },
            Sender::Http1(Connection::Turned(connection)) => {
                self.send_turned(key, connection, outgoing, keep).await
            }
            Sender::Http2(mut sender) => {
                let (request, original) =
                    http2_request(outgoing, &key.authority).map_err(SendError::Request)?;
                if let Err(error) = sender.ready().await {
                    return Ok(Sent::Returned(Box::new(recover(request, original)), error));
                }
                let sent = sender.try_send_request(request).await;
                Ok(sent_or_not(sent, original, |incoming| IncomingBody::new(incoming, None)))
            }
        }
    }

    async fn send_usual<E>(
        &self,
        key: &OriginKey,
        mut transport: Box<Transport>,
        written: &Written,
        outgoing: Outgoing,
        keep: bool,
    ) -> Result<Sent, SendError<E>> {
        match usual::exchange(&mut transport, written, &outgoing.method).await {
            Exchanged::Response(response) => {
                let lease = self.lease(key, Connection::Usual(transport), keep);
                Ok(Sent::Done(response.map(|rest| IncomingBody::usual(rest, lease))))
            }
            Exchanged::Other(other) => {
                let (request, line) = match other.sent {
                    Some(_) => {
                        let (request, original) = http1_request(outgoing).map_err(SendError::Request)?;
                        (request, original.line)
                    }
                    None => (connection::stand_in(outgoing.method), None),
                };
                let resumed = Http1::resume(*transport, other, request, line).await;
                let (connection, sent) = resumed.map_err(SendError::Http)?;
                let keep = keep && !connection.is_single();
                let lease = self.lease(key, Connection::Turned(Box::new(connection)), keep);
                Ok(match sent {
                    Ok(response) => Sent::Done(response.map(|body| IncomingBody::new(body, Some(lease)))),
                    Err(failed) => Sent::Failed(failed.into_error()),
                })
            }
        }
    }

    async fn send_turned<E>(
        &self,
        key: &OriginKey,
        mut connection: Box<Http1>,
        outgoing: Outgoing,
        keep: bool,
    ) -> Result<Sent, SendError<E>> {
        let (request, mut original) = http1_request(outgoing).map_err(SendError::Request)?;
        let sent = connection.send(request, original.line.take()).await;
        let keep = keep && !connection.is_single();
        let lease = self.lease(key, Connection::Turned(connection), keep);
        Ok(sent_or_not(sent, original, |incoming| IncomingBody::new(incoming, Some(lease))))
    }

    fn lease(&self, key: &OriginKey, connection: Connection, keep: bool) -> Lease {
        Lease::new(keep.then(|| Arc::clone(&self.idle)), key.clone(), connection)
    }
}

enum Sent {
    Done(Response<IncomingBody>),
    Returned(Box<Outgoing>, hyper::Error),
    Failed(hyper::Error),
}

/// Refuses what hyper takes although it does not undo it: transfer codings other than `chunked`.
fn understood<E>(response: Response<IncomingBody>) -> Result<Response<IncomingBody>, SendError<E>> {
    let mut codings = response.headers().get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(response),
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(response),
        (Some(only), None) => Err(SendError::Coding(format!("unsupported transfer encoding: {only:?}"))),
        (Some(_), Some(_)) => Err(SendError::Coding("too many transfer encodings".to_owned())),
    }
}

fn sent_or_not(
    result: Result<Response<Incoming>, Failed>,
    original: Original,
    wrap: impl FnOnce(Incoming) -> IncomingBody,
) -> Sent {
    match result {
        Ok(response) => Sent::Done(response.map(wrap)),
        Err(mut error) => match error.take_message() {
            Some(request) => Sent::Returned(Box::new(recover(request, original)), error.into_error()),
            None => Sent::Failed(error.into_error()),
        },
    }
}

/// The request as it was before it was dressed for hyper.
fn recover(request: Request<OutgoingBody>, original: Original) -> Outgoing {
    let (parts, body) = request.into_parts();
    let mut headers = parts.headers;
    headers.remove(HOST);
    headers.extend(original.left_out);
    Outgoing { method: parts.method, target: original.target, host: original.host, headers, body }
}

/// What hyper's form of a request does not show, kept so that a request that was not sent can be sent elsewhere.
struct Original {
    target: Vec<u8>,
    host: http::HeaderValue,
    left_out: HeaderMap,
    /// How it goes out over HTTP/1.1 where hyper's form is another.
    line: Option<Line>,
}

/// Origin form, or an authority for CONNECT.
fn request_uri(target: &[u8]) -> Result<http::Uri, http::Error> {
    match target.first() {
        Some(b'/' | b'?' | b'*') => Ok(request_target(target)?.into()),
        _ => Ok(http::Uri::try_from(target)?),
    }
}

fn http1_request(outgoing: Outgoing) -> Result<(Request<OutgoingBody>, Original), http::Error> {
    let Outgoing { method, target, host, headers, body } = outgoing;
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = request_uri(&target)?;
    let line = Line::of(request.method(), &target, request.uri());
    // hyper writes headers in the map's order, and origins expect Host first.
    let all = request.headers_mut();
    if headers.keys().next() == Some(&HOST) {
        *all = headers;
    } else {
        all.reserve(headers.len() + 1);
        all.insert(HOST, host.clone());
        all.extend(headers);
    }
    Ok((request, Original { target, host, left_out: HeaderMap::new(), line }))
}

/// Headers that mean something between two HTTP/1 parties only.
const HTTP1_ONLY: [HeaderName; 4] = [
    http::header::CONNECTION,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
    HeaderName::from_static("proxy-connection"),
];

fn http2_request(
    outgoing: Outgoing,
    authority: &str,
) -> Result<(Request<OutgoingBody>, Original), http::Error> {
    let Outgoing { method, target, host, mut headers, body } = outgoing;
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
    headers.remove(HOST);
    *request.headers_mut() = headers;
    Ok((request, Original { target, host, left_out, line: None }))
}

/// An error of the connection as an `io::Error`, for body streams.
fn io_error(error: hyper::Error) -> io::Error {
    io::Error::other(chain(&error))
}

#[cfg(test)]
mod tests;
