//! How a proxy ends: what is under way may finish, tunnels do not wait. (difference D-507)

use tokio::sync::Semaphore;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// An origin that echoes what is no request, and answers a request only when it is let.
struct Origin {
    address: SocketAddr,
    /// A permit for every request that has arrived.
    asked: Arc<Semaphore>,
    /// A permit for every answer that may go.
    let_go: Arc<Semaphore>,
}

impl Origin {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, let_go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let origin = Self { address, asked: Arc::clone(&asked), let_go: Arc::clone(&let_go) };
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (asked, let_go) = (Arc::clone(&asked), Arc::clone(&let_go));
                tokio::spawn(async move {
                    let mut seen = [0; 4096];
                    while let Ok(n) = stream.read(&mut seen).await {
                        if n == 0 {
                            return;
                        }
                        if !seen.starts_with(b"GET ") {
                            let _ = stream.write_all(&seen[..n]).await;
                            continue;
                        }
                        asked.add_permits(1);
                        let_go.acquire().await.unwrap().forget();
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate";
                        let _ = stream.write_all(answer).await;
                        return;
                    }
                });
            }
        });
        origin
    }
}

/// A proxy with a tunnel that has been used and a request whose answer the origin holds back.
struct Busy {
    origin: Origin,
    proxy: Arc<Proxy>,
    tunnel: TcpStream,
    request: JoinHandle<String>,
}

impl Busy {
    async fn start(mode: &str) -> Self {
        let origin = Origin::start().await;
        let proxy =
            Arc::new(Proxy::start(config(&format!("{OPEN}{mode}")), Options::default()).await.unwrap());
        let mut tunnel = TcpStream::connect(proxy.address()).await.unwrap();
        let connect = format!("CONNECT {} HTTP/1.1\r\nHost: x\r\n\r\n", origin.address);
        tunnel.write_all(connect.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tunnel.read_u8().await.unwrap());
        }
        tunnel.write_all(b"echo").await.unwrap();
        let mut back = [0; 4];
        tunnel.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"echo");
        let request = tokio::spawn({
            let (proxy, url) = (Arc::clone(&proxy), format!("http://{}/", origin.address));
            async move { get(&proxy, &url).await }
        });
        origin.asked.acquire().await.unwrap().forget();
        Self { origin, proxy, tunnel, request }
    }

    /// Tells the proxy to stop, as a signal does.
    fn stop(&self) {
        self.proxy.shared.stop.begin();
    }

    /// Waits until the tunnel has ended and nothing new is accepted.
    async fn closed(&mut self) {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, self.tunnel.read_to_end(&mut rest)).await;
        ended.expect("the tunnel ends at once").unwrap();
        assert!(rest.is_empty());
        let refused = async {
            while TcpStream::connect(self.proxy.address()).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, refused).await.expect("the listener goes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_may_finish_while_tunnels_end_at_once() {
    let mut busy = Busy::start("").await;
    let mut decisions = busy.proxy.events();
    busy.stop();
    busy.closed().await;
    let closed = loop {
        let line = decisions.recv().await.unwrap();
        // The record of the opening may come late.
        if !line.contains(r#""event":"tunnel_open""#) {
            break line;
        }
    };
    assert!(
        closed.contains(r#""event":"tunnel_close""#) && closed.contains(r#""total_bytes":4"#),
        "{closed}"
    );
    assert!(!busy.request.is_finished());
    busy.origin.let_go.add_permits(1);
    let answer = busy.request.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("late"), "{answer}");
    let told = decisions.recv().await.unwrap();
    assert!(told.contains(r#""event":"forward_http""#), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_outlasts_the_grace_is_cut() {
    let mut busy = Busy::start("").await;
    let began = std::time::Instant::now();
    busy.stop();
    busy.closed().await;
    let answer = tokio::time::timeout(PATIENCE, busy.request).await.expect("it is cut").unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert!(began.elapsed() >= Duration::from_millis(4900), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_cancels_requests_and_logs_nothing_of_tunnels() {
    let mut busy = Busy::start("muselet: {strictness: reference}\n").await;
    let mut decisions = busy.proxy.events();
    busy.stop();
    busy.closed().await;
    let answer = tokio::time::timeout(PATIENCE, busy.request).await.expect("it is cancelled").unwrap();
    assert!(!answer.contains("late"), "{answer}");
    while let Ok(line) = decisions.try_recv() {
        assert!(!line.contains("tunnel_close"), "{line}");
    }
}

#[test]
fn a_proxy_may_be_dropped_outside_of_its_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start = || runtime.block_on(Proxy::start(config(OPEN), Options::default())).unwrap();
    let (before, behind) = (start(), start());
    drop(before);
    drop(runtime);
    drop(behind);
}
