//! Requests of the program's own: to collectors of events, to the admin API of a running proxy, to a throw-away one.
//!
//! A client has a small runtime of its own: it must work whatever the proxy's runtime is doing. It goes where the proxy variables
//! say, through HTTP proxies only.

use std::cell::OnceCell;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use super::Resolver;
use super::pool::Transport;
use super::proxies::{self, Proxies};
use super::tls::{Protocols, TlsClient, TrustLocations};
use crate::events::system_reason;

/// One request at a time, each over a connection of its own.
pub(crate) struct Client {
    runtime: Runtime,
    resolver: OnceCell<Resolver>,
    tls: TlsClient,
    proxies: Proxies,
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
        Client::through(Proxies::from_environment())
    }

    pub(crate) fn through(proxies: Proxies) -> std::io::Result<Client> {
        Ok(Client {
            runtime: Builder::new_current_thread().enable_all().build()?,
            resolver: OnceCell::new(),
            tls: TlsClient::new(TrustLocations::from_environment()),
            proxies,
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
        let host = url.host().ok_or("no host")?.trim_matches(['[', ']']);
        let secure = url.scheme_str().is_some_and(|s| s.eq_ignore_ascii_case("https"));
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let proxy = self.proxies.for_url(url);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers.clone();
        let authority = url.authority().map_or("", |a| a.as_str());
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        request.headers_mut().insert(HOST, HeaderValue::from_str(authority).map_err(|_| "unusable host")?);
        let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let mut target = path.to_owned();
        let stream = match &proxy {
            None => self.connect(host, port).await?,
            Some(proxy) if secure => {
                tunnel(self.connect_to_proxy(proxy).await?, proxy, host, &port.to_string()).await?
            }
            Some(proxy) => {
                target = format!("http://{authority}{path}");
                if let Some(credentials) = proxy.basic_auth() {
                    request.headers_mut().insert(PROXY_AUTHORIZATION, credentials.clone());
                }
                self.connect_to_proxy(proxy).await?
            }
        };
        *request.uri_mut() = target.parse().map_err(|_| "unusable path".to_owned())?;
        let transport = if secure {
            let stream = self.tls.connect(host, Protocols::Http1, stream).await;
            Transport::Tls(Box::new(stream.map_err(|e| e.to_string())?))
        } else {
            Transport::Plain(stream)
        };
        exchange(transport, request, limit).await
    }

    /// The first address of a host that answers.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, String> {
        let resolver = self.resolver.get_or_init(Resolver::system);
        let addresses = resolver.lookup(host).await.map_err(|why| format!("dial tcp: {why}"))?;
        let mut failure = format!("dial tcp: lookup {host}: no such host");
        for address in addresses.iter().map(|ip| SocketAddr::new(*ip, port)) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(e) => failure = format!("dial tcp {address}: connect: {}", system_reason(&e)),
            }
        }
        Err(failure)
    }

    async fn connect_to_proxy(&self, proxy: &Intercept) -> Result<TcpStream, String> {
        let (host, port) = proxies::address(proxy)?;
        self.connect(host, port).await.map_err(|why| format!("proxyconnect tcp: {why}"))
    }
}

/// Has the proxy at the other end of `stream` make a tunnel to `host:port`.
///
/// # Errors
/// The proxy does not answer, or refuses.
pub(super) async fn tunnel(
    stream: TcpStream,
    proxy: &Intercept,
    host: &str,
    port: &str,
) -> Result<TcpStream, String> {
    let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    // Of the types of other requests, so that there is one copy of the engine.
    let mut request = Request::new(Full::<Bytes>::default());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = target.parse().map_err(|_| "unusable host".to_owned())?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(&target).map_err(|_| "unusable host")?);
    if let Some(credentials) = proxy.basic_auth() {
        headers.insert(PROXY_AUTHORIZATION, credentials.clone());
    }
    let failed = |e: hyper::Error| format!("proxyconnect tcp: {e}");
    let (mut sender, connection) = handshake(TokioIo::new(Transport::Plain(stream))).await.map_err(failed)?;
    tokio::spawn(connection.with_upgrades());
    let answer = sender.send_request(request).await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(format!("proxyconnect tcp: the proxy answered {}", answer.status()));
    }
    let upgraded = hyper::upgrade::on(answer).await.map_err(failed)?;
    let parts = upgraded.downcast::<TokioIo<Transport>>().ok().filter(|parts| parts.read_buf.is_empty());
    match parts.map(|parts| parts.io.into_inner()) {
        Some(Transport::Plain(stream)) => Ok(stream),
        _ => Err("proxyconnect tcp: the proxy sent more than an answer".to_owned()),
    }
}

async fn exchange(
    transport: Transport,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Answer, String> {
    let (mut sender, connection) = handshake(TokioIo::new(transport)).await.map_err(|e| e.to_string())?;
    let driver = tokio::spawn(connection.with_upgrades());
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

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;

    /// Answers as many requests as there are answers; gives their heads.
    pub(crate) fn origin(answers: &'static [&'static str]) -> (SocketAddr, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = std::thread::spawn(move || {
            let answer = |answer: &&str| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    assert_eq!(stream.read(&mut byte).unwrap(), 1, "cut after {}", head.escape_ascii());
                    head.push(byte[0]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8(head).unwrap()
            };
            answers.iter().map(answer).collect()
        });
        (address, heads)
    }

    fn asked(url: &str, proxy: String) -> Result<u16, String> {
        let client = Client::through(Proxies::of(|name| match name {
            "HTTP_PROXY" | "HTTPS_PROXY" => Some(proxy.clone()),
            _ => None,
        }));
        let client = client.unwrap();
        let url = url.parse().unwrap();
        let headers = HeaderMap::new();
        let call = client.request(&Method::POST, &url, &headers, Bytes::from_static(b"x"), 1);
        client.wait(Duration::from_secs(20), call).expect("an answer in time").map(|a| a.status.as_u16())
    }

    #[test]
    fn plain_requests_go_to_the_proxy_whole() {
        let (address, head) = origin(&["HTTP/1.1 204 No Content\r\n\r\n"]);
        assert_eq!(asked("http://collector.example:8080/a?b", format!("http://u:p@{address}")), Ok(204));
        let head = head.join().unwrap().concat().to_lowercase();
        assert!(head.starts_with("post http://collector.example:8080/a?b http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nhost: collector.example:8080\r\n"), "{head}");
        assert!(head.contains("\r\nproxy-authorization: basic dtpw\r\n"), "{head}");
    }

    #[test]
    fn secret_requests_go_through_a_tunnel() {
        let (address, head) = origin(&["HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"]);
        let refused = asked("https://collector.example/a", format!("http://{address}"));
        let why = "proxyconnect tcp: the proxy answered 407 Proxy Authentication Required";
        assert_eq!(refused, Err(why.to_owned()));
        let head = head.join().unwrap().concat();
        assert!(head.starts_with("CONNECT collector.example:443 HTTP/1.1\r\n"), "{head}");
        // What the client says next is a handshake.
        let (address, _) = origin(&["HTTP/1.1 200 OK\r\n\r\n"]);
        let cut = asked("https://collector.example/a", format!("http://{address}")).unwrap_err();
        assert!(cut.starts_with("tls: "), "{cut}");
    }

    #[test]
    fn other_kinds_of_proxy_are_refused_without_their_password() {
        let refused = asked("http://collector.example/", "socks5://u:secret@127.0.0.1:1".to_owned());
        assert_eq!(refused, Err("proxy by socks5: only http is supported".to_owned()));
    }
}
