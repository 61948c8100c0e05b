//! A proxy in this process and an origin that keeps every byte it gets, for tests that speak in raw bytes.

use std::sync::{Arc, Mutex};

use muselet::config::Strictness;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Forwarding to loopback is allowed, and no packet leaves the machine.
const CONFIG: &str = "
internal: []
ssrf: {ip_allowlist: [127.0.0.0/8]}
fetch_proxy:
  monitoring: {max_requests_per_minute: 1000000}
forward_proxy: {enabled: true}
";

/// The proxy and the origin.
pub struct World {
    /// Where the proxy listens.
    pub proxy: std::net::SocketAddr,
    /// Where the origin listens.
    pub origin: std::net::SocketAddr,
    /// All bytes that reached the origin.
    #[allow(dead_code, reason = "not every test that includes this module looks")]
    pub reached: Arc<Mutex<Vec<u8>>>,
}

impl World {
    /// Starts both on free ports.
    #[allow(dead_code, reason = "not every test that includes this module uses all of it")]
    pub async fn start() -> Self {
        Self::start_as(Strictness::Hardened).await
    }

    /// The same in a mode.
    pub async fn start_as(strictness: Strictness) -> Self {
        let reached = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let origin = listener.local_addr().expect("an address");
        tokio::spawn(accept(listener, Arc::clone(&reached)));
        let (proxy, _) = muselet_tests::proxy::start(CONFIG, strictness).await;
        Self { proxy, origin, reached }
    }
}

/// Answers a request head with `200`, and anything else with itself.
async fn accept(listener: TcpListener, reached: Arc<Mutex<Vec<u8>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let reached = Arc::clone(&reached);
        tokio::spawn(async move {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(n) = stream.read(&mut buffer).await {
                if n == 0 {
                    return;
                }
                reached.lock().expect("not poisoned").extend_from_slice(&buffer[..n]);
                let is_request = buffer[..n].windows(9).any(|window| window == b" HTTP/1.1");
                let answer: &[u8] =
                    if is_request { b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" } else { &buffer[..n] };
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        });
    }
}
