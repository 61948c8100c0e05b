//! A request inside the tunnel, the same whether it came over HTTP/1.1 or HTTP/2.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue};
use http::{Method, Version};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::policy::url::GoUrl;
use crate::policy::url::parse::parse_request_target;
use crate::server::wire::{self, Framing, Takeover};

/// The body as it arrives.
pub(super) type InnerBody = BoxBody<Bytes, io::Error>;

/// See the module.
pub(super) struct Inner {
    pub method: Method,
    pub version: Version,
    /// The request target; empty path for CONNECT.
    pub url: GoUrl<'static>,
    /// `Host`, `:authority`, or the authority of an absolute-form target.
    pub authority: Vec<u8>,
    /// All headers but `Host` and the framing ones.
    pub headers: HeaderMap,
    /// The value to send as `Host`.
    pub host: HeaderValue,
    pub body: InnerBody,
    /// How the body was delimited. HTTP/2 bodies without a length count as chunked.
    pub framing: Framing,
    /// The stream ended with its header (HTTP/2): there is certainly no body.
    pub ended: bool,
    /// The way to take the connection over (HTTP/1.1 only).
    pub takeover: Option<Takeover>,
}

impl Inner {
    pub(super) fn from_http1(request: wire::Request) -> Self {
        let wire::Request { head, body, takeover, .. } = request;
        let host = head.host.clone().unwrap_or_default();
        let (url, authority) = if head.method == Method::CONNECT {
            (GoUrl::default(), head.url.host.into_owned())
        } else if head.url.host.is_empty() {
            (head.url, host.to_vec())
        } else {
            let authority = head.url.host.clone().into_owned();
            (head.url, authority)
        };
        let ended = head.framing == Framing::None;
        let mut inner = Self {
            method: head.method,
            version: head.version,
            url,
            host: HeaderValue::from_bytes(&authority).unwrap_or_else(|_| HeaderValue::from_static("")),
            authority,
            headers: head.headers,
            body: body.boxed(),
            framing: head.framing,
            ended,
            takeover: Some(takeover),
        };
        inner.headers.remove(CONTENT_LENGTH);
        inner
    }

    /// `None` if the target does not parse, which the HTTP layer answers with 400.
    pub(super) fn from_http2(request: http::Request<Incoming>) -> Option<Self> {
        let (parts, body) = request.into_parts();
        let mut headers = parts.headers;
        let host = headers.remove(HOST);
        let authority = match parts.uri.authority() {
            Some(authority) => authority.as_str().as_bytes().to_vec(),
            None => host.map(|h| h.as_bytes().to_vec()).unwrap_or_default(),
        };
        let url = if parts.method == Method::CONNECT {
            GoUrl::default()
        } else {
            let target = parts.uri.path_and_query().map_or("/", |p| p.as_str());
            parse_request_target(target.as_bytes()).ok()?.into_owned()
        };
        join_cookies(&mut headers);
        let framing = match headers.remove(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok()) {
            Some(0) => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        Some(Self {
            method: parts.method,
            version: Version::HTTP_2,
            url,
            host: HeaderValue::from_bytes(&authority).ok()?,
            authority,
            headers,
            framing,
            ended: body.is_end_stream(),
            body: Http2Body(Some(body)).boxed(),
            takeover: None,
        })
    }
}

/// What is left of a body that nobody reads is taken so long, and so many bytes of it.
const REST_TIME: Duration = Duration::from_secs(10);
const REST_BYTES: usize = 64 << 20;

/// A body over HTTP/2. What is left of it when it is dropped is still taken from the client: a stream that ends while the client
/// sends is reset, which many clients report, or wait after for ever, instead of the answer that they have got (Debian's curl,
/// httpx).
struct Http2Body(Option<Incoming>);

impl Body for Http2Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(|error| io::Error::other(reading(&error)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map(Incoming::size_hint).unwrap_or_default()
    }
}

impl Drop for Http2Body {
    fn drop(&mut self) {
        let Some(mut rest) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(REST_TIME, async move {
            let mut taken = 0;
            while let Some(Ok(frame)) = rest.frame().await
                && taken <= REST_BYTES
            {
                taken += frame.data_ref().map_or(0, Bytes::len);
            }
        }));
    }
}

/// What a failed read of an HTTP/2 body says: the stream's error, not hyper's frame around it.
fn reading(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// HTTP/2 clients may split cookies into fields; scanners and HTTP/1.1 origins want one.
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let parts: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // Joined values of valid bytes are valid.
    if let Ok(joined) = HeaderValue::from_bytes(&parts.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}
