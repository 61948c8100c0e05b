//! HTTP/1.1 requests to origins as the plain handlers send them. (spec: http-proxy §5.2)
//!
//! One request, one response; redirects, deadlines and what the response means are the caller's. Connections come from
//! [`super::pool`]; this module knows how they are made and what their failures are called.

use std::io;
use std::time::Duration;

use http::Response;
use http::header::{HeaderMap, HeaderValue, TRAILER};

use super::Upstream;
use super::dial::{DialError, describe};
use super::pool::{self, IncomingBody, OriginKey, Outgoing, OutgoingBody, Transport};
use super::tls::{Protocols, TlsError};
use crate::policy::dial::DialRules;
use crate::policy::headers::canonical;
use crate::policy::url::GoUrl;
use crate::server::exchange::lossy;

/// Time for a TLS handshake with an origin.
pub const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// TLS or not.
    pub https: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// Port as written or the scheme's.
    pub port: String,
}

impl Origin {
    /// The one that `url` names.
    #[must_use]
    pub fn of(url: &GoUrl<'_>) -> Self {
        let https = &*url.scheme == "https";
        let port = match url.port() {
            b"" if https => b"443",
            b"" => b"80".as_slice(),
            port => port,
        };
        Self { https, host: lossy(url.host_name()).into_owned(), port: lossy(port).into_owned() }
    }

    /// Connections to this origin; plain requests never go over HTTP/2.
    fn key(&self) -> OriginKey {
        let Self { https, host, port } = self;
        let authority =
            if host.contains(':') { format!("[{host}]:{port}") } else { [host, ":", port].concat() };
        OriginKey { authority: authority.into(), tls: *https, http2: false }
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
    /// Whether it is for want of descriptors.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        matches!(self, Self::Dial(error) if error.is_shortage())
    }

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

impl From<pool::SendError<SendError>> for SendError {
    fn from(error: pool::SendError<SendError>) -> Self {
        match error {
            pool::SendError::Connect(error) => error,
            pool::SendError::Http(error) => Self::transport(&error),
            coding @ pool::SendError::Coding(_) => Self::Transport(coding.to_string()),
            pool::SendError::Request(_) => Self::Request("invalid request target".to_owned()),
        }
    }
}

impl Upstream {
    /// Sends a request to `origin` and waits for the head of its response; interim responses are swallowed. `again` makes the
    /// request once more where it has to be repeated; that is only asked of it when it may be.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(
        &self,
        rules: &DialRules,
        origin: &Origin,
        request: Outgoing,
        again: impl FnOnce() -> Option<Outgoing>,
    ) -> Result<Response<IncomingBody>, SendError> {
        let key = origin.key();
        Ok(self.pool.send(&key, request, again, || self.connect(rules, origin)).await?)
    }

    async fn connect(&self, rules: &DialRules, origin: &Origin) -> Result<Transport, SendError> {
        let stream = self.dial(rules, &origin.host, &origin.port).await?;
        if !origin.https {
            return Ok(Transport::Plain(stream));
        }
        let handshake = self.tls.connect(&origin.host, Protocols::Http1, stream);
        let stream = tokio::time::timeout(TLS_TIMEOUT, handshake).await.map_err(|_| TlsError::Timeout)??;
        Ok(Transport::Tls(Box::new(stream)))
    }
}

/// Names the trailers of `body` in `headers`: those that are not announced would not be sent.
pub fn announce_trailers(headers: &mut HeaderMap, body: &OutgoingBody) {
    let names: Vec<String> = match body {
        OutgoingBody::Chunks(_, Some(trailers)) => {
            trailers.keys().map(|name| canonical(name.as_str())).collect()
        }
        OutgoingBody::Client(body) => body.body().announced_trailers().to_vec(),
        _ => return,
    };
    if let Ok(value) = HeaderValue::try_from(names.join(","))
        && !value.is_empty()
    {
        headers.insert(TRAILER, value);
    }
}

/// The `Host` header for the host of a URL. A parsed host has no byte that a header cannot have.
#[must_use]
pub fn host_value(host: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(host).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// What cannot stand in a request line goes out percent-encoded. It gets into a query by decoding, as on `/fetch`.
#[must_use]
pub fn wire_target(target: Vec<u8>) -> Vec<u8> {
    let stays = |b: u8| b > b' ' && b != 0x7f;
    if target.iter().all(|&b| stays(b)) {
        return target;
    }
    let mut out = Vec::with_capacity(target.len() + 16);
    for b in target {
        if stays(b) {
            out.push(b);
        } else {
            out.extend_from_slice(format!("%{b:02X}").as_bytes());
        }
    }
    out
}
