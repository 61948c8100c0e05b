//! Which headers of a plain request origins get, also when one sends it elsewhere. (spec: http-proxy §5.2, §5.5; differences D-524
//! and D-527)

use std::net::SocketAddr;

use muselet::config::Strictness;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const CONFIG: &str = "
internal: []
ssrf: {ip_allowlist: [127.0.0.0/8]}
fetch_proxy: {monitoring: {max_requests_per_minute: 100000}}
forward_proxy: {enabled: true}
";

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    String::from_utf8(head).expect("text").to_lowercase()
}

/// Answers one request; its head.
async fn origin(address: &str, answer: String) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind((address, 0)).await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let head = read_head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.expect("sent");
        head
    });
    (address, task)
}

/// The heads that two origins get, of which the first sends the request on to the second.
async fn follow(strictness: Strictness, second: &str) -> (SocketAddr, [String; 2]) {
    let (proxy, _) = muselet_tests::proxy::start(CONFIG, strictness).await;
    let (there, last) = origin(second, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
    let moved = format!("HTTP/1.1 302 Found\r\nLocation: http://{there}/\r\nContent-Length: 0\r\n\r\n");
    let (here, first) = origin("127.0.0.1", moved).await;
    let mut stream = TcpStream::connect(proxy).await.expect("connected");
    let request = format!(
        "GET http://{here}/a?token=b HTTP/1.1\r\nHost: {here}\r\nAuthorization: Bearer a\r\nX-Api-Key: b\r\nx-goog-api-key: c\r\n\
         Accept: d\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    assert!(read_head(&mut stream).await.starts_with("http/1.1 200 "), "{second}");
    (here, [first.await.expect("a request"), last.await.expect("a request")])
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_do_not_follow_to_another_host() {
    for (strictness, second, kept) in [
        (Strictness::Hardened, "127.0.0.2", &["accept: d"][..]),
        (
            Strictness::Hardened,
            "127.0.0.1",
            &["authorization: bearer a", "x-api-key: b", "x-goog-api-key: c", "accept: d"],
        ),
        (Strictness::Reference, "127.0.0.2", &["x-api-key: b", "x-goog-api-key: c", "accept: d"]),
    ] {
        let (_, [first, last]) = follow(strictness, second).await;
        for line in ["authorization: bearer a", "x-api-key: b", "x-goog-api-key: c", "accept: d"] {
            assert!(first.contains(line), "{line}: {first}");
            assert_eq!(last.contains(line), kept.contains(&line), "{strictness:?} {second} {line}: {last}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_does_not_learn_the_url_that_led_there() {
    for (strictness, second, learned) in [
        (Strictness::Hardened, "127.0.0.2", ""),
        (Strictness::Hardened, "127.0.0.1", "a?token=b"),
        (Strictness::Reference, "127.0.0.2", "a?token=b"),
    ] {
        let (here, [first, last]) = follow(strictness, second).await;
        assert!(first.starts_with("get /a?token=b http/1.1\r\n"), "{first}");
        let line = format!("\r\nreferer: http://{here}/{learned}\r\n");
        assert!(last.contains(&line), "{strictness:?} {second} {line}: {last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_are_asked_for_compressed_answers_unless_these_are_unwanted() {
    for (more, asked) in [("", true), ("muselet: {decompress: true}\n", false)] {
        let config = [CONFIG, more].concat();
        let (proxy, _) = muselet_tests::proxy::start(&config, Strictness::Hardened).await;
        let (there, head) =
            origin("127.0.0.1", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
        let mut stream = TcpStream::connect(proxy).await.expect("connected");
        let request =
            format!("GET http://{there}/ HTTP/1.1\r\nHost: {there}\r\nAccept-Encoding: gzip, br\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        assert!(read_head(&mut stream).await.starts_with("http/1.1 200 "), "{more}");
        let head = head.await.expect("a request");
        assert_eq!(head.contains("\r\naccept-encoding: gzip, br\r\n"), asked, "{more}: {head}");
    }
}
