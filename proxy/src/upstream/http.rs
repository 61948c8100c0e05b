//! HTTP/1.1 requests to origins over pooled, pinned connections. (spec: http-proxy §5.2)
//!
//! One request, one response; redirects, deadlines and what the response means are the caller's. A request that meets a pooled
//! connection which the origin has just closed is sent once more on a new one, if it cannot have had an effect or may be
//! repeated.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::Upstream;
use super::dial::{DialError, describe};
use super::pool::{Origin, Pool};
use super::tls::{Protocols, TlsError};
use crate::policy::dial::DialRules;
use crate::policy::headers::canonical;
use crate::server::peek::Peeked;
use crate::server::wire::RequestBody;

/// Longest header block of a response. The reference takes 10 MiB; a response head above this is an attack on memory.
const MAX_RESPONSE_HEAD: usize = 1 << 20;
/// hyper clears a table of this many entries for each response.
const MAX_RESPONSE_HEADERS: usize = 512;

/// A body on its way to an origin.
#[derive(Debug)]
pub enum OutgoingBody {
    /// No body, and no statement about one unless the method usually has one.
    Empty,
    /// Known bytes; can be sent again.
    Full(Bytes),
    /// Known bytes of a request that came in chunks; goes out in chunks, with its trailers.
    Chunks(Bytes, Option<HeaderMap>),
    /// Straight from the client; can be sent once.
    Client(Peeked<RequestBody>),
}

impl OutgoingBody {
    /// Whether [`Self::again`] has something to give.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Client(_))
    }

    /// The same body again, where that is possible.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        Some(match self {
            Self::Empty => Self::Empty,
            Self::Full(bytes) => Self::Full(bytes.clone()),
            Self::Chunks(bytes, trailers) => Self::Chunks(bytes.clone(), trailers.clone()),
            Self::Client(_) => return None,
        })
    }
}

/// State of a body being sent.
impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Chunks(bytes, _) if !bytes.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            Self::Chunks(_, trailers) => {
                let trailers = trailers.take();
                *this = Self::Empty;
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Self::Client(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(_) | Self::Chunks(..) => false,
            Self::Client(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Chunks(..) => SizeHint::default(),
            Self::Client(body) => body.size_hint(),
        }
    }
}

/// A request to send.
#[derive(Debug)]
pub struct Outgoing {
    /// Any token.
    pub method: Method,
    /// Where to.
    pub origin: Origin,
    /// The `Host` header.
    pub authority: Vec<u8>,
    /// Path and query as they go on the wire.
    pub target: Vec<u8>,
    /// Everything but `Host`, framing and `Connection`.
    pub headers: HeaderMap,
    /// The body.
    pub body: OutgoingBody,
    /// Ask the origin to close the connection afterwards.
    pub close: bool,
}

impl Outgoing {
    /// This request. What is left can be taken once more, with the same body where that can be repeated, and else without.
    pub fn take(&mut self) -> Self {
        let again = self.body.again().unwrap_or(OutgoingBody::Empty);
        Self {
            method: self.method.clone(),
            origin: self.origin.clone(),
            authority: self.authority.clone(),
            target: self.target.clone(),
            headers: self.headers.clone(),
            body: std::mem::replace(&mut self.body, again),
            close: self.close,
        }
    }
}

/// Why there is no response. The texts follow the reference's language, for they are logged and sometimes shown.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The origin closed the connection without an answer.
    #[error("EOF")]
    Eof,
    /// The request cannot be put on the wire.
    #[error("net/http: invalid request: {0}")]
    Request(String),
    /// Anything else on the connection.
    #[error("{0}")]
    Transport(String),
}

impl SendError {
    fn transport(error: &hyper::Error) -> Self {
        if error.is_incomplete_message() || error.is_closed() {
            return Self::Eof;
        }
        let mut cause = std::error::Error::source(error);
        while let Some(source) = cause {
            if let Some(io) = source.downcast_ref::<io::Error>() {
                return Self::Transport(describe(io));
            }
            cause = source.source();
        }
        if error.is_parse() {
            return Self::Transport(format!(
                "net/http: HTTP/1.x transport connection broken: malformed HTTP response: {error}"
            ));
        }
        Self::Transport(error.to_string())
    }
}

/// A response body that gives its connection back when it has been read to its end.
#[derive(Debug)]
pub struct IncomingBody {
    incoming: Incoming,
    lease: Option<Lease>,
}

#[derive(Debug)]
struct Lease {
    pool: Arc<Pool>,
    origin: Origin,
    sender: SendRequest<OutgoingBody>,
}

impl Lease {
    fn give_back(mut self) {
        if self.sender.is_ready() {
            return self.pool.put(self.origin, self.sender);
        }
        // The connection becomes ready a moment after the last byte of its response has been taken.
        tokio::spawn(async move {
            if self.sender.ready().await.is_ok() {
                self.pool.put(self.origin, self.sender);
            }
        });
    }
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
            }
            Poll::Ready(Some(Err(_))) => self.lease = None,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for IncomingBody {
    fn drop(&mut self) {
        if self.incoming.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }
}

impl Upstream {
    /// Sends a request and waits for the head of its response; interim responses are swallowed. `make` makes the request, and
    /// makes it again where it has to be repeated; that is only asked of it when the body was one that can be.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(
        &self,
        rules: &DialRules,
        mut make: impl FnMut() -> Outgoing,
    ) -> Result<Response<IncomingBody>, SendError> {
        let Outgoing { method, origin, authority, target, headers, body, close } = make();
        let repeatable = body.is_repeatable() && is_repeatable(&method, &headers);
        let request = build(&method, &target, &authority, headers, body, close)?;
        let Some(mut sender) = self.pool.take(&origin) else {
            return self.send_new(rules, origin, request).await;
        };
        match sender.try_send_request(request).await {
            Ok(response) => Ok(self.lease(response, origin, sender)),
            Err(mut error) => match error.take_message() {
                // Not a byte of it was sent.
                Some(unsent) => self.send_new(rules, origin, unsent).await,
                None if repeatable && is_stale(error.error()) => {
                    let Outgoing { method, authority, target, headers, body, close, .. } = make();
                    let again = build(&method, &target, &authority, headers, body, close)?;
                    self.send_new(rules, origin, again).await
                }
                None => Err(SendError::transport(error.error())),
            },
        }
    }

    async fn send_new(
        &self,
        rules: &DialRules,
        origin: Origin,
        request: Request<OutgoingBody>,
    ) -> Result<Response<IncomingBody>, SendError> {
        let stream = self.dial(rules, &origin.host, &origin.port).await?;
        let mut sender = if origin.https {
            let handshake = self.tls.connect(&origin.host, Protocols::Http1, stream);
            let stream = tokio::time::timeout(std::time::Duration::from_secs(10), handshake)
                .await
                .map_err(|_| SendError::Transport("net/http: TLS handshake timeout".to_owned()))??;
            connect(stream).await?
        } else {
            connect(stream).await?
        };
        let response = sender.send_request(request).await.map_err(|e| SendError::transport(&e))?;
        Ok(self.lease(response, origin, sender))
    }

    fn lease(
        &self,
        response: Response<Incoming>,
        origin: Origin,
        sender: SendRequest<OutgoingBody>,
    ) -> Response<IncomingBody> {
        let lease = Lease { pool: Arc::clone(&self.pool), origin, sender };
        response.map(|incoming| IncomingBody { incoming, lease: Some(lease) })
    }
}

async fn connect<S>(stream: S) -> Result<SendRequest<OutgoingBody>, SendError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_header_size(MAX_RESPONSE_HEAD)
        .max_buf_size(MAX_RESPONSE_HEAD + 64 * 1024)
        .max_headers(MAX_RESPONSE_HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| SendError::transport(&e))?;
    // Its errors also reach whoever waits for the response.
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

fn build(
    method: &Method,
    target: &[u8],
    authority: &[u8],
    headers: HeaderMap,
    body: OutgoingBody,
    close: bool,
) -> Result<Request<OutgoingBody>, SendError> {
    let invalid = |what: &str| SendError::Request(format!("invalid {what}"));
    let uri = Uri::try_from(wire_target(target)).map_err(|_| invalid("request target"))?;
    let host = HeaderValue::from_bytes(authority).map_err(|_| invalid("Host header"))?;
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request.headers_mut().insert(HOST, host);
    announce_trailers(&mut request);
    if close {
        request.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(request)
}

/// Trailers that are not announced would not be sent.
fn announce_trailers(request: &mut Request<OutgoingBody>) {
    let names: Vec<String> = match request.body() {
        OutgoingBody::Chunks(_, Some(trailers)) => {
            trailers.keys().map(|name| canonical(name.as_str())).collect()
        }
        OutgoingBody::Client(body) => body.body().announced_trailers().to_vec(),
        _ => return,
    };
    if let Ok(value) = HeaderValue::try_from(names.join(","))
        && !value.is_empty()
    {
        request.headers_mut().insert(http::header::TRAILER, value);
    }
}

/// The few bytes that the reference sends as they are and that this client's URI type does not take go out percent-encoded,
/// which every origin reads as the same bytes.
fn wire_target(target: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(target.len());
    for &b in target {
        if matches!(b, b'!' | b'$'..=b';' | b'=' | b'?'..=b'~')
            && !matches!(b, b'<' | b'>' | b'\\' | b'^' | b'`')
        {
            out.push(b);
        } else {
            out.extend_from_slice(format!("%{b:02X}").as_bytes());
        }
    }
    out
}

/// Safe methods, and what its sender declares to be idempotent.
fn is_repeatable(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
        || headers.contains_key("idempotency-key")
        || headers.contains_key("x-idempotency-key")
}

fn is_stale(error: &hyper::Error) -> bool {
    error.is_closed() || error.is_canceled() || error.is_incomplete_message() || {
        let mut cause = std::error::Error::source(error);
        std::iter::from_fn(move || {
            let source = cause?;
            cause = source.source();
            Some(source)
        })
        .any(|source| source.downcast_ref::<io::Error>().is_some())
    }
}
