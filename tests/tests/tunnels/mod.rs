//! The proxy with interception on, between real clients and an origin that can do more than say `ok`.
//!
//! Everything but the client programs runs in this process, so that a test can hold an origin's answer back until the client has
//! seen the part before it.

// Each test file uses its own part of this.
#![allow(dead_code)]

pub mod origin;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use muselet::ca::{Ca, LeafCache, LeafSettings};
use muselet::config::Config;
use muselet::events::{Events, LogOptions, LogOutput};
use muselet::policy::{Policy, Surroundings};
use muselet::server::{KillSwitch, Server, Shared};
use muselet::upstream::tls::{TlsClient, TrustLocations};
use muselet::upstream::{Resolver, Upstream};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const CONFIG: &str = "
internal: []
ssrf: {ip_allowlist: [127.0.0.0/8]}
fetch_proxy:
  monitoring: {max_requests_per_minute: 100000}
forward_proxy: {enabled: true}
websocket_proxy: {enabled: true}
request_body_scanning: {action: block}
response_scanning: {action: block}
";

/// Lines of the decision log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, lines: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A proxy, an origin behind TLS, and the files that clients need.
pub struct World {
    pub proxy: SocketAddr,
    /// `localhost:port`
    pub origin: String,
    pub events: origin::Control,
    /// The proxy's state.
    pub shared: Arc<Shared>,
    /// Ends when the proxy has stopped.
    pub served: tokio::task::JoinHandle<()>,
    log: Log,
    directory: tempfile::TempDir,
    roots: Arc<rustls::RootCertStore>,
}

impl World {
    /// With every tunnel opened up.
    pub async fn intercepting() -> Self {
        Self::start("", "").await
    }

    /// The same with more sections in the configuration.
    pub async fn intercepting_with(more: &str) -> Self {
        Self::start("", more).await
    }

    /// With every tunnel opened up, and upgrades stripped.
    pub async fn start_without_websockets(more: &str) -> Self {
        let config = CONFIG.replace("websocket_proxy: {enabled: true}", "websocket_proxy: {enabled: false}");
        Self::start_with(&config, "", more).await
    }

    /// With tunnels to the origin relayed as they are.
    pub async fn relaying() -> Self {
        Self::start("passthrough_domains: [localhost], ", "").await
    }

    async fn start(section: &str, more: &str) -> Self {
        Self::start_with(CONFIG, section, more).await
    }

    async fn start_with(config: &str, section: &str, more: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let pem =
            Ca::generate("test", time::Duration::hours(1), time::OffsetDateTime::now_utc()).expect("a CA");
        let certificate = directory.path().join("ca.pem");
        let key = directory.path().join("ca-key.pem");
        for (path, text) in [(&certificate, &pem.certificate_pem), (&key, &pem.key_pem)] {
            write_private(path, text);
        }
        let section = format!(
            "tls_interception: {{{section}enabled: true, ca_cert: {}, ca_key: {}}}\n",
            certificate.display(),
            key.display()
        );
        let config = Config::parse(format!("{config}{section}{more}").as_bytes(), Path::new("/"))
            .expect("valid configuration");
        let ca = Ca::load(&certificate, &key, config.muselet.strictness).expect("our CA loads");
        let settings = LeafSettings { ttl: Duration::from_secs(3600), capacity: 8 };
        let leaves = Arc::new(LeafCache::new(Arc::new(ca), settings).expect("leaves"));
        let leaf = leaves.get("localhost").await.expect("a leaf");
        let (address, control) = origin::start(Arc::clone(&leaf.server_config), directory.path()).await;

        let trust = TrustLocations { files: vec![certificate], directories: Vec::new() };
        let upstream = Upstream::new(Resolver::system(), TlsClient::new(trust));
        let kill_switch = Arc::new(KillSwitch::new(&config, None));
        let around = Surroundings { env: Vec::new(), secrets_file: None };
        let (policy, _) = Policy::compile(Arc::new(config), String::new(), &around).expect("compiles");
        let log = Log::default();
        let options =
            LogOptions { output: LogOutput::Writer(Box::new(log.clone())), ..LogOptions::default() };
        let events = Events::open(options, policy.config.muselet.strictness).expect("a log");
        let shared = Shared::new(Arc::new(policy), events, upstream, kill_switch, Some(leaves));
        let server = Server::bind(Arc::clone(&shared), "127.0.0.1:0").await.expect("bound");
        let proxy = server.local_addr().expect("an address");
        let served = tokio::spawn(server.serve());
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(PemObject::from_pem_slice(pem.certificate_pem.as_bytes()).expect("a certificate"))
            .expect("a root");
        let origin = format!("localhost:{}", address.port());
        Self { proxy, origin, events: control, shared, served, log, directory, roots: Arc::new(roots) }
    }

    /// The CA's certificate, for clients that take a file.
    pub fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// What the proxy has logged.
    pub fn logged(&self) -> String {
        self.shared.events.flush();
        String::from_utf8(self.log.0.lock().expect("no panic").clone()).expect("text")
    }

    /// A place for a client's files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `http://127.0.0.1:port` of the proxy.
    pub fn proxy_url(&self) -> String {
        format!("http://{}", self.proxy)
    }

    /// A tunnel to the origin with TLS inside.
    pub async fn tunnel(&self, alpn: &[u8]) -> TlsStream<TcpStream> {
        self.tunnel_to(&self.origin, alpn).await
    }

    /// A tunnel to another port of `localhost`.
    pub async fn tunnel_to(&self, origin: &str, alpn: &[u8]) -> TlsStream<TcpStream> {
        let stream = self.raw_tunnel_to(origin).await;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("known versions")
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS")
    }

    /// A tunnel in which nothing was said yet.
    pub async fn raw_tunnel_to(&self, origin: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.proxy).await.expect("connected");
        stream.set_nodelay(true).expect("a socket");
        let connect = format!("CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n\r\n");
        stream.write_all(connect.as_bytes()).await.expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("an answer to CONNECT"));
        }
        assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", head.escape_ascii());
        stream
    }
}

impl World {
    /// A tunnel to the origin that speaks HTTP/2.
    pub async fn http2<B>(&self) -> hyper::client::conn::http2::SendRequest<B>
    where
        B: hyper::body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
            + Unpin
            + Send
            + 'static,
    {
        let stream = TokioIo::new(self.tunnel(b"h2").await);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        sender
    }
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode set");
}

/// Whether a client program is there; says so when a test is skipped for lack of it.
pub fn has(program: &str, probe: &[&str]) -> bool {
    let found = Command::new(program).args(probe).output().is_ok_and(|output| output.status.success());
    if !found {
        skip(&format!("{program} {}", probe.join(" ")));
    }
    found
}

/// Says that a test is skipped for lack of a client.
///
/// # Panics
/// With `REQUIRE_CLIENTS=1`, so that a machine that is meant to have all clients cannot skip one silently.
pub fn skip(client: &str) {
    let required = std::env::var("REQUIRE_CLIENTS").is_ok_and(|value| value == "1");
    assert!(!required, "`{client}` does not work here, and REQUIRE_CLIENTS is set");
    eprintln!("skipped: `{client}` does not work here");
}

/// Runs a client to its end off the async workers, in an environment that names no other proxy and no other CA than the
/// command's own.
pub async fn run(mut command: Command) -> Output {
    let own: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
    for name in [
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "SSL_CERT_FILE",
        "NODE_EXTRA_CA_CERTS",
    ] {
        if !own.iter().any(|set| set == name) {
            command.env_remove(name);
        }
    }
    tokio::task::spawn_blocking(move || command.output().expect("the program starts"))
        .await
        .expect("no panic")
}

/// Standard output of a client that has to succeed.
pub async fn stdout(command: Command) -> String {
    let shown = format!("{command:?}");
    let output = run(command).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}: {said}{stderr}");
    said
}
