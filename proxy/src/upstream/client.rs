//! Requests of the program's own: to collectors of events, and to the admin API of a running proxy.
//!
//! A client has a small runtime of its own: it must work whatever the proxy's runtime is doing.

use std::cell::OnceCell;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use super::Resolver;
use super::pool::Transport;
use super::tls::{Protocols, TlsClient, TrustLocations};

/// One request at a time, each over a connection of its own.
pub(crate) struct Client {
    runtime: Runtime,
    resolver: OnceCell<Resolver>,
    tls: TlsClient,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// As much of the body as was asked for, in whole frames.
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new() -> std::io::Result<Client> {
        Ok(Client {
            runtime: Builder::new_current_thread().enable_all().build()?,
            resolver: OnceCell::new(),
            tls: TlsClient::new(TrustLocations::from_environment()),
        })
    }

    /// Waits for a future that makes requests; `None` when it takes longer than `timeout`.
    pub(crate) fn wait<T>(&self, timeout: Duration, work: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async { tokio::time::timeout(timeout, work).await.ok() })
    }

    /// One request, without redirects. Of the answer's body, no frame is read once `limit` bytes are there.
    pub(crate) async fn request(
        &self,
        method: &Method,
        url: &Uri,
        headers: &HeaderMap,
        body: Bytes,
        limit: usize,
    ) -> Result<Answer, String> {
        let host = url.host().ok_or("no host")?.trim_matches(['[', ']']).to_owned();
        let secure = url.scheme_str().is_some_and(|s| s.eq_ignore_ascii_case("https"));
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let resolver = self.resolver.get_or_init(Resolver::system);
        let addresses = resolver.lookup(&host).await.map_err(|why| format!("dial tcp: {why}"))?;
        let addresses: Vec<SocketAddr> = addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        let stream = TcpStream::connect(&*addresses).await.map_err(|e| format!("dial tcp: {e}"))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = url
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str)
            .parse()
            .map_err(|_| "unusable path".to_owned())?;
        *request.headers_mut() = headers.clone();
        let authority = url.authority().map_or("", |a| a.as_str());
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        request.headers_mut().insert(HOST, HeaderValue::from_str(authority).map_err(|_| "unusable host")?);
        let transport = if secure {
            let stream = self.tls.connect(&host, Protocols::Http1, stream).await;
            Transport::Tls(Box::new(stream.map_err(|e| e.to_string())?))
        } else {
            Transport::Plain(stream)
        };
        exchange(transport, request, limit).await
    }
}

async fn exchange(
    transport: Transport,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Answer, String> {
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(transport));
    let (mut sender, connection) = handshake.await.map_err(|e| e.to_string())?;
    let driver = tokio::spawn(connection);
    let outcome = async {
        let (head, mut frames) = sender.send_request(request).await?.into_parts();
        let mut body = Vec::new();
        while body.len() < limit
            && let Some(frame) = frames.frame().await
        {
            body.extend(frame?.into_data().unwrap_or_default());
        }
        Ok(Answer { status: head.status, headers: head.headers, body })
    };
    let outcome = outcome.await.map_err(|e: hyper::Error| e.to_string());
    driver.abort();
    outcome
}
