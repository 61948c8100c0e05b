//! When descriptors run out the proxy goes on answering, gives up what is idle, and recovers. (D-519)

mod process;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use muselet::ca::{Ca, LeafCache, LeafSettings};
use muselet::config::Strictness;
use process::{Proxy, exchange, free_address, head, origin, program};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Sooner than anything else would end what is waited for.
const WITHIN: Duration = Duration::from_secs(20);

/// An origin that says nothing, and goes when its client does.
async fn silent_origin() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move { stream.read_to_end(&mut Vec::new()).await });
        }
    });
    address
}

/// Asks for a tunnel; the connection, and the answer's head.
async fn connect(proxy: &Proxy, origin: &str) -> (TcpStream, String) {
    let mut client = proxy.connect().await;
    let request = format!("CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n\r\n");
    client.write_all(request.as_bytes()).await.expect("sent");
    let answer = head(&mut client).await;
    (client, answer)
}

/// The same, with the first bytes in it, which the name check waits for.
async fn tunnel(proxy: &Proxy, origin: &str) -> (TcpStream, String) {
    let (mut client, answer) = connect(proxy, origin).await;
    let _ = client.write_all(b"begin").await;
    (client, answer)
}

/// An origin that answers one request on each connection, and then closes it.
async fn closing_origin() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = head(&mut stream).await;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    address
}

/// Asks until there is no descriptor left: for a client that was silent, because it or the proxy had not run for a moment, room
/// is made once more. What was opened before that is kept.
async fn refused(address: &str, request: &str) -> (Vec<TcpStream>, String) {
    let mut open = Vec::new();
    let began = Instant::now();
    loop {
        let mut client = TcpStream::connect(address).await.expect("connected");
        client.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = head(&mut client).await;
        if !is_open(&answer) {
            client.read_to_string(&mut answer).await.expect("a refusal");
            return (open, answer);
        }
        open.push(client);
        assert!(began.elapsed() < WITHIN, "{request}always finds a descriptor");
    }
}

async fn metrics(proxy: &Proxy) -> String {
    proxy.ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await
}

fn is_open(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_without_descriptors_is_refused_with_503_while_health_answers_and_all_recovers() {
    let (proxy, origin) = (Proxy::start_with_descriptors(128, "").await, silent_origin().await);
    let mut open = Vec::new();
    let mut without = 0;
    for _ in 0..100 {
        let (client, answer) = tunnel(&proxy, &origin).await;
        if is_open(&answer) {
            open.push(client);
        } else {
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            without += 1;
            assert!(proxy.healthy().await);
        }
    }
    println!("{} tunnels, {without} refused", open.len());
    assert!(open.len() >= 40 && without >= 40, "{} open, {without} refused", open.len());
    let closing = closing_origin().await;
    let request = format!("GET http://{closing}/ HTTP/1.1\r\nHost: {closing}\r\nConnection: close\r\n\r\n");
    let (_, answer) = refused(&proxy.address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("too many open files"), "{answer}");
    let metrics = metrics(&proxy).await;
    assert!(metrics.contains(r#"pipelock_descriptor_shortage_total{result="refused"}"#), "{metrics}");
    drop(open);
    let began = Instant::now();
    while !is_open(&tunnel(&proxy, &origin).await.1) {
        assert!(began.elapsed() < WITHIN, "no tunnel after the others have gone");
    }
}

/// An origin behind TLS that answers one request on each connection, and then closes it.
async fn closing_tls_origin(config: &rustls::ServerConfig) -> String {
    let mut config = config.clone();
    config.alpn_protocols.clear();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                if matches!(stream.read(&mut [0; 4096]).await, Ok(1..)) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                    let _ = stream.write_all(answer).await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    format!("localhost:{port}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_an_opened_tunnel_is_refused_without_descriptors_and_the_next_is_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let pem = Ca::generate("test", time::Duration::hours(1), time::OffsetDateTime::now_utc()).expect("a CA");
    let [certificate, key] = ["ca.pem", "ca-key.pem"].map(|name| directory.path().join(name));
    std::fs::write(&certificate, &pem.certificate_pem).expect("written");
    std::fs::write(&key, &pem.key_pem).expect("written");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("ours");
    let ca = Ca::load(&certificate, &key, Strictness::Hardened).expect("our CA loads");
    let settings = LeafSettings { ttl: Duration::from_secs(3600), capacity: 8 };
    let leaves = Arc::new(LeafCache::new(Arc::new(ca), settings).expect("leaves"));
    let leaf = leaves.get("localhost").await.expect("a leaf");
    let (origin, silent) = (closing_tls_origin(&leaf.server_config).await, silent_origin().await);
    let more = format!(
        "tls_interception: {{enabled: true, ca_cert: {}, ca_key: {}, passthrough_domains: [127.0.0.1]}}\n",
        certificate.display(),
        key.display()
    );
    let proxy = Proxy::start_trusting(&certificate, 128, &more).await;

    let (client, answer) = connect(&proxy, &origin).await;
    assert!(is_open(&answer), "{answer}");
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem.certificate_pem.as_bytes()).expect("a certificate"))
        .expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("known versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Connections of HTTP/1 are given up for others while they wait; this one is not.
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = "localhost".try_into().expect("a name");
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, client).await.expect("TLS");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut ask = async || {
        let request = http::Request::get(format!("https://{origin}/")).body(Empty::<bytes::Bytes>::new());
        let answer = sender.send_request(request.expect("a request")).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    assert_eq!(ask().await, (200, "ok".to_owned()));
    let mut open = Vec::new();
    let began = Instant::now();
    loop {
        let (client, answer) = tunnel(&proxy, &silent).await;
        if is_open(&answer) {
            open.push(client);
            continue;
        }
        let (status, body) = ask().await;
        if status != 200 {
            assert!(status == 503 && body.contains("too many open files"), "{status} {body}");
            break;
        }
        // A tunnel takes two descriptors, the request just one: whoever stops in the middle of a body has the last.
        let mut client = proxy.connect().await;
        let request =
            format!("POST http://{silent}/ HTTP/1.1\r\nHost: {silent}\r\nContent-Length: 2\r\n\r\n1");
        client.write_all(request.as_bytes()).await.expect("sent");
        open.push(client);
        assert!(began.elapsed() < WITHIN, "the request in the tunnel always finds a descriptor");
    }
    drop(open);
    let began = Instant::now();
    while ask().await.0 != 200 {
        assert!(began.elapsed() < WITHIN, "no answer after the others have gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_to_origins_make_room_for_new_tunnels() {
    let (proxy, silent) = (Proxy::start_with_descriptors(192, "").await, silent_origin().await);
    let mut requests = JoinSet::new();
    for _ in 0..60 {
        let (mut client, origin) = (proxy.connect().await, origin().await);
        requests.spawn(async move {
            let request =
                format!("GET http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\nConnection: close\r\n\r\n");
            client.write_all(request.as_bytes()).await.expect("sent");
            exchange(client, b"").await
        });
    }
    while let Some(answer) = requests.join_next().await {
        let answer = answer.expect("no panic");
        assert!(is_open(&answer), "{answer}");
    }
    let mut open = Vec::new();
    for n in 0..75 {
        let (client, answer) = tunnel(&proxy, &silent).await;
        assert!(is_open(&answer), "tunnel {n}: {answer}");
        open.push(client);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_say_nothing_make_room_for_those_that_do() {
    let (proxy, origin) = (Proxy::start_with_descriptors(128, "").await, silent_origin().await);
    let mut silent = JoinSet::new();
    for _ in 0..400 {
        let address = proxy.address.clone();
        silent.spawn(async move { TcpStream::connect(address).await });
    }
    let silent = silent.join_all().await;
    let began = Instant::now();
    assert!(proxy.healthy().await);
    assert!(is_open(&tunnel(&proxy, &origin).await.1));
    assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
    // In time they would all have been closed for their silence.
    let metrics = metrics(&proxy).await;
    assert!(metrics.contains(r#"pipelock_descriptor_shortage_total{result="client_closed"}"#), "{metrics}");
    drop(silent);
    assert!(proxy.healthy().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_says_that_descriptors_have_run_out() {
    let (silent, origin, reverse) = (silent_origin().await, closing_origin().await, free_address());
    let more = format!(
        "websocket_proxy: {{enabled: true}}\n\
         reverse_proxy: {{enabled: true, listen: \"{reverse}\", upstream: \"http://{origin}\"}}\n"
    );
    let proxy = Proxy::start_with_descriptors(128, &more).await;
    let mut open = Vec::new();
    loop {
        let (client, answer) = tunnel(&proxy, &silent).await;
        if !is_open(&answer) {
            break;
        }
        open.push(client);
    }
    let line = |target: &str| format!("{target} HTTP/1.1\r\nHost: {origin}\r\nConnection: close\r\n\r\n");
    for (address, request) in [
        (&proxy.address, line(&format!("CONNECT {origin}"))),
        (&proxy.address, line(&format!("GET http://{origin}/"))),
        (&proxy.address, line(&format!("GET /fetch?url=http://{origin}/"))),
        (&reverse, line("GET /")),
    ] {
        let (more, answer) = refused(address, &request).await;
        open.extend(more);
        assert!(
            answer.starts_with("HTTP/1.1 503") && answer.contains("too many open files"),
            "{request}{answer}"
        );
    }
    let upgrade = format!(
        "GET /ws?url=ws://{origin}/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let reason = b"the proxy has too many open files, try again later";
    let wanted = [&[0x88, 2 + reason.len() as u8, 0x03, 0xf5], &reason[..]].concat();
    let began = Instant::now();
    loop {
        let mut client = proxy.connect().await;
        client.write_all(upgrade.as_bytes()).await.expect("sent");
        let answer = head(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        let mut close = Vec::new();
        client.read_to_end(&mut close).await.expect("a close frame");
        if close == wanted {
            break;
        }
        // As above; the origin speaks no WebSocket.
        assert!(began.elapsed() < WITHIN, "no 1013 (try again later): {}", close.escape_ascii());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_whose_client_has_left_does_not_wait_for_its_origin() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let origin = listener.local_addr().expect("an address");
    let proxy = Proxy::start_with_descriptors(128, "websocket_proxy: {enabled: true}\n").await;
    let mut client = proxy.connect().await;
    let upgrade = format!(
        "GET /ws?url=ws://{origin}/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    client.write_all(upgrade.as_bytes()).await.expect("sent");
    assert!(head(&mut client).await.starts_with("HTTP/1.1 101"));
    let (mut server, _) = listener.accept().await.expect("dialled");
    assert!(head(&mut server).await.starts_with("GET / HTTP/1.1"));
    drop(client);
    let ended = tokio::time::timeout(WITHIN, server.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "the connection to the origin stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_does_not_keep_the_process_from_ending() {
    let (unread, output) = std::io::pipe().expect("a pipe");
    let config = "internal: []\nssrf: {ip_allowlist: [127.0.0.0/8]}\nforward_proxy: {enabled: true}\n\
                  fetch_proxy: {monitoring: {blocklist: [forbidden.example]}}\n";
    let mut proxy = Proxy::start_as(program(), config, Stdio::from(output)).await;
    // Each is a line of more than 300 bytes; a pipe holds 64 KiB.
    let request = b"GET http://forbidden.example/ HTTP/1.1\r\nHost: forbidden.example\r\n\r\n";
    let mut client = proxy.connect().await;
    for _ in 0..400 {
        client.write_all(request).await.expect("sent");
        assert!(head(&mut client).await.starts_with("HTTP/1.1 403"));
        client
            .read_exact(
                &mut [0; "blocked: domain blocked: forbidden.example matches forbidden.example\n".len()],
            )
            .await
            .expect("a body");
    }
    let began = Instant::now();
    assert!(proxy.terminate().await.success());
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    drop(unread);
}
