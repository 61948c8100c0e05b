//! HTTP/1.1 requests to origins as the plain handlers send them. (spec: http-proxy §5.2)
//!
//! One request, one response; redirects, deadlines and what the response means are the caller's. Connections come from
//! [`super::pool`]; this module knows how they are made and what their failures are called.

use std::io;
use std::time::Duration;

use http::Response;
use http::header::{HeaderMap, HeaderValue, PROXY_AUTHORIZATION, TRAILER};

use super::client::tunnel;
use super::dial::{DialError, describe};
use super::pool::{self, IncomingBody, OriginKey, Outgoing, OutgoingBody, Transport, request_target};
use super::tls::{Protocols, TlsError};
use super::{Upstream, proxies};
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
        let again = || again().map(|request| self.as_the_way_wants_it(origin, request));
        let request = self.as_the_way_wants_it(origin, request);
        Ok(self.pool.send(&key, request, again, || self.connect(rules, origin)).await?)
    }

    /// A proxy is told the whole URL of a plain request.
    fn as_the_way_wants_it(&self, origin: &Origin, mut request: Outgoing) -> Outgoing {
        if let Some(via) = self.via.as_deref().filter(|_| !origin.https)
            && let Ok(path) = request_target(&request.target)
        {
            request.target = [b"http://", request.host.as_bytes(), path.as_str().as_bytes()].concat();
            if let Some(credentials) = via.basic_auth() {
                request.headers.insert(PROXY_AUTHORIZATION, credentials.clone());
            }
        }
        request
    }

    async fn connect(&self, rules: &DialRules, origin: &Origin) -> Result<Transport, SendError> {
        let stream = match &self.via {
            None => self.dial(rules, &origin.host, &origin.port).await?,
            Some(via) => {
                let (host, port) = proxies::address(via).map_err(SendError::Transport)?;
                let stream = self.dial(rules, host, &port.to_string()).await?;
                match origin.https {
                    true => {
                        tunnel(stream, via, &origin.host, &origin.port).await.map_err(SendError::Transport)?
                    }
                    false => stream,
                }
            }
        };
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::Resolver;
    use super::super::proxies::Proxies;
    use super::super::tls::{TlsClient, TrustLocations};
    use super::*;
    use crate::config::Strictness;
    use crate::policy::url::parse;

    /// What a proxy is told that refuses, and what is made of it.
    async fn told(url: &str) -> (String, Result<u16, String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://u:p@{}", listener.local_addr().unwrap());
        let told = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut head).await.unwrap(), 0);
            }
            stream
                .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
            String::from_utf8(head).unwrap()
        });
        let proxies = Proxies::of(|name| matches!(name, "HTTP_PROXY" | "HTTPS_PROXY").then(|| proxy.clone()));
        let trust = TrustLocations { files: Vec::new(), directories: Vec::new() };
        let way = Upstream::new(Resolver::system(), TlsClient::new(trust))
            .through(proxies.for_url(&url.parse().unwrap()));
        let parsed = parse(url.as_bytes()).unwrap();
        let request = Outgoing {
            method: http::Method::GET,
            target: parsed.request_uri(),
            host: host_value(&parsed.host),
            headers: HeaderMap::new(),
            body: OutgoingBody::Empty,
        };
        let rules = DialRules::none(Strictness::Hardened);
        let sent = way.send(&rules, &Origin::of(&parsed), request, || None).await;
        let sent = sent.map(|response| response.status().as_u16()).map_err(|error| error.to_string());
        (told.await.unwrap(), sent)
    }

    #[tokio::test]
    async fn a_way_through_a_proxy_tells_it_the_url_or_the_host() {
        let (head, sent) = told("http://origin.example:8080/a?b").await;
        assert!(head.starts_with("GET http://origin.example:8080/a?b HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains("\r\nproxy-authorization: basic dtpw\r\n"), "{head}");
        assert_eq!(sent, Ok(407));
        let (head, sent) = told("https://origin.example/a?b").await;
        assert!(head.starts_with("CONNECT origin.example:443 HTTP/1.1\r\n"), "{head}");
        let why = "proxyconnect tcp: the proxy answered 407 Proxy Authentication Required";
        assert_eq!(sent, Err(why.to_owned()));
    }
}
