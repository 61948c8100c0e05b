//! One HTTP POST at a time, for the sinks that speak HTTP.
//!
//! Each sender thread has a small runtime of its own: emission must work, and drain, whatever the proxy's runtime is doing.

use std::cell::OnceCell;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use super::names;
use crate::upstream::Resolver;
use crate::upstream::pool::Transport;
use crate::upstream::tls::{Protocols, TlsClient, TrustLocations};

/// Redirects that are followed.
const REDIRECTS: usize = 10;

/// A client for one sink.
pub(super) struct Poster {
    runtime: Runtime,
    resolver: OnceCell<Resolver>,
    tls: TlsClient,
    timeout: Duration,
}

impl Poster {
    pub(super) fn new(timeout: Duration) -> std::io::Result<Poster> {
        Ok(Poster {
            runtime: Builder::new_current_thread().enable_all().build()?,
            resolver: OnceCell::new(),
            tls: TlsClient::new(TrustLocations::from_environment()),
            timeout,
        })
    }

    /// Final status, redirects followed. The error says what went wrong, without the body.
    pub(super) fn post(&self, url: &Uri, headers: &HeaderMap, body: &Bytes) -> Result<StatusCode, String> {
        self.runtime.block_on(async {
            let follow = self.follow(url, headers, body);
            tokio::time::timeout(self.timeout, follow)
                .await
                .unwrap_or_else(|_| Err(format!("Post \"{url}\": context deadline exceeded")))
        })
    }

    async fn follow(&self, url: &Uri, headers: &HeaderMap, body: &Bytes) -> Result<StatusCode, String> {
        let mut url = url.clone();
        let mut method = Method::POST;
        let mut headers = headers.clone();
        let mut body = body.clone();
        for _ in 0..=REDIRECTS {
            let (status, location) = self
                .once(&method, &url, &headers, body.clone())
                .await
                .map_err(|why| format!("Post \"{url}\": {why}"))?;
            let Some(next) = location.filter(|_| status.is_redirection()).and_then(|l| join(&url, &l)) else {
                return Ok(status);
            };
            if matches!(status.as_u16(), 301..=303) {
                method = Method::GET;
                body = Bytes::new();
                headers.remove(http::header::CONTENT_TYPE);
            }
            if next.host() != url.host() {
                headers.remove(http::header::AUTHORIZATION);
            }
            url = next;
        }
        Err(format!("Post \"{url}\": stopped after 10 redirects"))
    }

    async fn once(
        &self,
        method: &Method,
        url: &Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<(StatusCode, Option<String>), String> {
        let host = url.host().ok_or("no host")?.trim_matches(['[', ']']).to_owned();
        let secure = url.scheme_str().is_some_and(|s| s.eq_ignore_ascii_case("https"));
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let resolver = self.resolver.get_or_init(Resolver::system);
        let addresses = names::lookup(resolver, &host, port).await.map_err(|e| format!("dial tcp: {e}"))?;
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
        exchange(transport, request).await
    }
}

async fn exchange(
    transport: Transport,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Option<String>), String> {
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(transport));
    let (mut sender, connection) = handshake.await.map_err(|e| e.to_string())?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|e| e.to_string());
    let outcome = match response {
        Ok(response) => {
            let location = response.headers().get(LOCATION).and_then(|v| v.to_str().ok()).map(str::to_owned);
            let status = response.status();
            // The answer's body says nothing we need; reading a little lets the collector finish in peace.
            let _ = response.into_body().frame().await;
            Ok((status, location))
        }
        Err(e) => Err(e),
    };
    driver.abort();
    outcome
}

/// The address a redirect leads to.
fn join(base: &Uri, location: &str) -> Option<Uri> {
    if location.contains("://") {
        return location.parse().ok();
    }
    let path = if location.starts_with('/') { location.to_owned() } else { format!("/{location}") };
    Uri::builder()
        .scheme(base.scheme_str()?)
        .authority(base.authority()?.as_str())
        .path_and_query(path)
        .build()
        .ok()
}

/// Parses a configured address; `what` names the key in the error.
pub(super) fn address(what: &str, text: &str) -> Result<Uri, super::EmitError> {
    text.parse().map_err(|e| super::EmitError::Setup(format!("{what} {text:?}: {e}")))
}

/// A header from configuration.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), super::EmitError> {
    let unusable = || super::EmitError::Setup(format!("header {name:?} cannot be sent"));
    let mut value = HeaderValue::from_str(value).map_err(|_| unusable())?;
    value.set_sensitive(true);
    Ok((HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?, value))
}
