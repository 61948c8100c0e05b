//! Which headers of a plain request origins get, also when one sends it elsewhere, and what clients get of their answer.
//! (spec: http-proxy §5.2, §5.5; differences D-524, D-527, D-528 and D-529)

use std::net::SocketAddr;

use muselet::config::Strictness;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const CONFIG: &str = "
internal: []
ssrf: {ip_allowlist: [127.0.0.0/8]}
fetch_proxy: {monitoring: {max_requests_per_minute: 100000, blocklist: [refused.test]}}
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
         Private-Token: e\r\nX-Session: f\r\nAccept: d\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    assert!(read_head(&mut stream).await.starts_with("http/1.1 200 "), "{second}");
    (here, [first.await.expect("a request"), last.await.expect("a request")])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_head_keeps_its_length_in_hardened_mode() {
    for (strictness, kept) in [(Strictness::Reference, false), (Strictness::Hardened, true)] {
        let (proxy, _) = muselet_tests::proxy::start(CONFIG, strictness).await;
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 123456\r\n\r\n";
        let (there, _asked) = origin("127.0.0.1", answer.to_owned()).await;
        let mut stream = TcpStream::connect(proxy).await.expect("connected");
        let request = format!("HEAD http://{there}/ HTTP/1.1\r\nHost: {there}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert_eq!(head.contains("\r\ncontent-length: 123456\r\n"), kept, "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_do_not_follow_to_another_host() {
    const LINES: [&str; 6] = [
        "authorization: bearer a",
        "x-api-key: b",
        "x-goog-api-key: c",
        "private-token: e",
        "x-session: f",
        "accept: d",
    ];
    for (strictness, second, kept) in [
        (Strictness::Hardened, "127.0.0.2", &["accept: d"][..]),
        (Strictness::Hardened, "127.0.0.1", &LINES[..]),
        (Strictness::Reference, "127.0.0.2", &LINES[1..]),
    ] {
        let (_, [first, last]) = follow(strictness, second).await;
        for line in LINES {
            assert!(first.contains(line), "{line}: {first}");
            assert_eq!(last.contains(line), kept.contains(&line), "{strictness:?} {second} {line}: {last}");
        }
    }
}

fn moved(location: &str) -> String {
    format!("HTTP/1.1 307 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

/// The head of the answer to an upload.
async fn upload(strictness: Strictness, here: SocketAddr) -> String {
    let (proxy, _) = muselet_tests::proxy::start(CONFIG, strictness).await;
    let mut stream = TcpStream::connect(proxy).await.expect("connected");
    let request = format!("POST http://{here}/ HTTP/1.1\r\nHost: {here}\r\nContent-Length: 4\r\n\r\nbody");
    stream.write_all(request.as_bytes()).await.expect("sent");
    read_head(&mut stream).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_does_not_follow_to_another_host() {
    for (strictness, second, followed) in [
        (Strictness::Hardened, "127.0.0.2", false),
        (Strictness::Hardened, "127.0.0.1", true),
        (Strictness::Reference, "127.0.0.2", true),
    ] {
        let (there, last) = origin(second, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
        let (here, _) = origin("127.0.0.1", moved(&format!("http://{there}/"))).await;
        let head = upload(strictness, here).await;
        if followed {
            assert!(head.starts_with("http/1.1 200 "), "{strictness:?} {second}: {head}");
            assert!(last.await.expect("a request").contains("content-length: 4"), "{strictness:?} {second}");
        } else {
            let location = format!("\r\nlocation: http://{there}/\r\n");
            assert!(head.starts_with("http/1.1 307 ") && head.contains(&location), "{head}");
            assert!(!last.is_finished(), "nobody asked the other host");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_gets_an_absolute_location_where_the_proxy_has_followed_before() {
    let (second, last) = origin("127.0.0.1", moved("//127.0.0.2:1/b?c#d")).await;
    let (here, _) = origin("127.0.0.1", moved(&format!("http://{second}/"))).await;
    let head = upload(Strictness::Hardened, here).await;
    assert!(last.await.expect("a request").contains("content-length: 4"), "the same host");
    assert!(head.contains("\r\nlocation: http://127.0.0.2:1/b?c#d\r\n"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_refused_where_its_next_host_is() {
    for strictness in [Strictness::Hardened, Strictness::Reference] {
        let (here, _) = origin("127.0.0.1", moved("http://refused.test/")).await;
        let head = upload(strictness, here).await;
        assert!(head.starts_with("http/1.1 403 "), "{strictness:?}: {head}");
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
