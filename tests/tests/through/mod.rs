//! The proxy between a client and an origin, all in this process, for tests that ask what passes.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use muselet::ca::{Ca, LeafCache, LeafSettings};
use muselet::config::Config;
use muselet::events::Events;
use muselet::policy::{Policy, Surroundings};
use muselet::server::{KillSwitch, Server, Shared};
use muselet::upstream::tls::{TlsClient, TrustLocations};
use muselet::upstream::{Resolver, Upstream};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How a request goes through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Absolute-form, no TLS.
    Forward,
    /// CONNECT, TLS, HTTP/1.1.
    InterceptHttp1,
    /// CONNECT, TLS, HTTP/2.
    InterceptHttp2,
}

/// A request without the addresses.
#[derive(Debug, Clone)]
pub struct Message {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Option<String>,
    trailers: HeaderMap,
}

impl Message {
    /// A GET without a body.
    pub fn get(target: &str) -> Self {
        let (headers, trailers) = (HeaderMap::new(), HeaderMap::new());
        Self { method: Method::GET, target: target.to_owned(), headers, body: None, trailers }
    }

    /// A POST to `/`.
    pub fn post(content_type: &str, body: String) -> Self {
        let message = Self { method: Method::POST, body: Some(body), ..Self::get("/") };
        message.header(CONTENT_TYPE.as_str(), content_type)
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(
            name.parse::<HeaderName>().expect("a name"),
            HeaderValue::from_str(value).expect("a value"),
        );
        self
    }

    /// With one more trailer.
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a name");
        self.headers.append(TRAILER, HeaderValue::from_str(name.as_str()).expect("a value"));
        self.trailers.append(name, HeaderValue::from_str(value).expect("a value"));
        self
    }

    fn into_request(self, way: Way, authority: &str) -> Request<BoxBody<Bytes, Infallible>> {
        let uri = match way {
            Way::Forward => format!("http://{authority}{}", self.target),
            Way::InterceptHttp1 => self.target,
            Way::InterceptHttp2 => format!("https://{authority}{}", self.target),
        };
        let body = match (self.body, self.trailers.is_empty()) {
            (None, _) => Empty::new().boxed(),
            (Some(body), true) => Full::from(body).boxed(),
            (Some(body), false) => {
                let frames = [Frame::data(Bytes::from(body)), Frame::trailers(self.trailers)];
                StreamBody::new(futures_util::stream::iter(frames.map(Ok))).boxed()
            }
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri.parse().expect("a target");
        *request.headers_mut() = self.headers;
        if way != Way::InterceptHttp2 {
            request.headers_mut().insert(HOST, HeaderValue::from_str(authority).expect("a value"));
        }
        request
    }
}

/// The proxy, two origins (with and without TLS) and a client that trusts the proxy's CA.
pub struct World {
    proxy: std::net::SocketAddr,
    plain: std::net::SocketAddr,
    tls: std::net::SocketAddr,
    roots: rustls::RootCertStore,
}

const CONFIG: &str = "
internal: []
ssrf: {ip_allowlist: [127.0.0.0/8]}
fetch_proxy:
  monitoring: {max_requests_per_minute: 100000, entropy_threshold: 8}
forward_proxy: {enabled: true, sni_verification: false}
request_body_scanning: {action: block}
";

impl World {
    /// Starts everything on free ports of the loopback interface.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let pem = Ca::generate("test", time_of(3600), time::OffsetDateTime::now_utc()).expect("a CA");
        let certificate = directory.path().join("ca.pem");
        let key = directory.path().join("ca-key.pem");
        write_private(&certificate, &pem.certificate_pem);
        write_private(&key, &pem.key_pem);
        let section = format!(
            "tls_interception: {{enabled: true, ca_cert: {}, ca_key: {}}}\n",
            certificate.display(),
            key.display()
        );
        let config = Config::parse(format!("{CONFIG}{section}").as_bytes(), Path::new("/"))
            .expect("valid configuration");
        let ca =
            Ca::from_pem(pem.certificate_pem.as_bytes(), pem.key_pem.as_bytes(), config.muselet.strictness);
        let settings = LeafSettings { ttl: Duration::from_secs(3600), capacity: 8 };
        let leaves = Arc::new(LeafCache::new(Arc::new(ca.expect("our CA loads")), settings).expect("leaves"));

        let plain = origin(None).await;
        let leaf = leaves.get("127.0.0.1").await.expect("a leaf");
        let tls = origin(Some(Arc::clone(&leaf.server_config))).await;

        let trust = TrustLocations { files: vec![certificate.clone()], directories: Vec::new() };
        let upstream = Upstream::new(Resolver::system(), TlsClient::new(trust));
        let kill_switch = Arc::new(KillSwitch::new(&config, None));
        let around = Surroundings { env: Vec::new(), secrets_file: None };
        let (policy, _) = Policy::compile(Arc::new(config), String::new(), &around).expect("compiles");
        let shared = Shared::new(Arc::new(policy), Events::discard(), upstream, kill_switch, Some(leaves));
        let server = Server::bind(shared, "127.0.0.1:0").await.expect("bound");
        let proxy = server.local_addr().expect("an address");
        tokio::spawn(async move {
            server.serve().await;
            // Read by the TLS client when it is first used.
            drop(directory);
        });

        let mut roots = rustls::RootCertStore::empty();
        let der = rustls::pki_types::pem::PemObject::from_pem_slice(pem.certificate_pem.as_bytes())
            .expect("a certificate");
        roots.add(der).expect("a root");
        Self { proxy, plain, tls, roots }
    }

    /// Sends a request on a connection of its own; status and body of the answer.
    pub async fn send(&self, way: Way, message: Message) -> (u16, String) {
        let mut stream = TcpStream::connect(self.proxy).await.expect("connected");
        stream.set_nodelay(true).expect("a socket");
        if way == Way::Forward {
            let request = message.into_request(way, &self.plain.to_string());
            return http1(stream, request).await;
        }
        let authority = self.tls.to_string();
        let connect = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        stream.write_all(connect.as_bytes()).await.expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("an answer to CONNECT"));
        }
        assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", head.escape_ascii());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("known versions")
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let alpn: &[u8] = if way == Way::InterceptHttp2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = ServerName::IpAddress(self.tls.ip().into());
        let stream =
            tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
        let request = message.into_request(way, &authority);
        if way == Way::InterceptHttp1 {
            return http1(stream, request).await;
        }
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .expect("HTTP/2");
        tokio::spawn(connection);
        answer(sender.send_request(request).await.expect("an answer")).await
    }
}

async fn http1<S>(stream: S, request: Request<BoxBody<Bytes, Infallible>>) -> (u16, String)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    answer(sender.send_request(request).await.expect("an answer")).await
}

async fn answer(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a whole answer").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// Reads every request to its end and answers `ok`.
async fn origin(tls: Option<Arc<rustls::ServerConfig>>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let service = hyper::service::service_fn(|request: Request<Incoming>| async {
        let _ = request.into_body().collect().await;
        let mut response = Response::new(Full::new(Bytes::from_static(b"ok")));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        Ok::<_, Infallible>(response)
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                match tls {
                    None => drop(server.serve_connection(TokioIo::new(stream), service).await),
                    Some(config) => {
                        if let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await {
                            drop(server.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                }
            });
        }
    });
    address
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode set");
}

fn time_of(seconds: i64) -> time::Duration {
    time::Duration::seconds(seconds)
}

/// Base64 with the standard alphabet and padding.
pub fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}
