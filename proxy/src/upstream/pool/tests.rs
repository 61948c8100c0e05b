//! The pool against origins written by hand on loopback sockets.

use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

fn get(target: &str) -> Outgoing {
    Outgoing {
        method: Method::GET,
        target: target.into(),
        host: http::HeaderValue::from_static("h.test"),
        headers: HeaderMap::new(),
        body: OutgoingBody::Empty,
    }
}

fn key() -> OriginKey {
    OriginKey { authority: "h.test:80".into(), tls: false, http2: false }
}

#[test]
fn a_method_that_usually_has_a_body_says_that_there_is_none() {
    for (method, body, stated) in [
        (Method::POST, OutgoingBody::Empty, Some("0")),
        (Method::PUT, OutgoingBody::Empty, Some("0")),
        (Method::PATCH, OutgoingBody::Empty, Some("0")),
        (Method::DELETE, OutgoingBody::Empty, None),
        (Method::GET, OutgoingBody::Empty, None),
        (Method::POST, OutgoingBody::Full("x".into()), None),
    ] {
        let mut outgoing = Outgoing { method: method.clone(), body, ..get("/") };
        outgoing.state_empty_body();
        let length = outgoing.headers.get(CONTENT_LENGTH).map(|value| value.to_str().unwrap());
        assert_eq!(length, stated, "{method}");
    }
}

/// Answers every request on every connection with its number; closes a connection after `per_connection` answers.
async fn origin(per_connection: usize) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut seen = Vec::new();
                for _ in 0..per_connection {
                    while !seen.windows(4).any(|w| w == b"\r\n\r\n") {
                        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let line = String::from_utf8_lossy(&seen).lines().next().unwrap_or("").to_owned();
                    seen.clear();
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}", line.len());
                    socket.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (address, connections)
}

async fn exchange(pool: &Pool, address: std::net::SocketAddr, request: Outgoing) -> String {
    exchange_as(&key(), pool, address, request).await
}

async fn exchange_as(
    key: &OriginKey,
    pool: &Pool,
    address: std::net::SocketAddr,
    request: Outgoing,
) -> String {
    let connect = || async move { Ok::<_, io::Error>(Transport::Plain(TcpStream::connect(address).await?)) };
    let response = pool.send(key, request, || None, connect).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_connection_is_used_again_when_its_answer_was_read() {
    let (address, connections) = origin(usize::MAX).await;
    let pool = Pool::new(PoolSettings::default());
    for n in 0..5 {
        assert_eq!(exchange(&pool, address, get(&format!("/{n}"))).await, format!("GET /{n} HTTP/1.1"));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_dead_pooled_connection_is_replaced_without_the_caller_noticing() {
    let (address, connections) = origin(1).await;
    let pool = Pool::new(PoolSettings::default());
    for n in 0..4 {
        assert_eq!(exchange(&pool, address, get("/")).await, "GET / HTTP/1.1", "request {n}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_full_pool_closes_the_connection_that_has_waited_longest() {
    let (address, connections) = origin(usize::MAX).await;
    let pool = Pool::new(PoolSettings { idle: 2, ..PoolSettings::default() });
    let at = |host: &str| OriginKey { authority: host.into(), ..key() };
    for host in ["a.test:80", "b.test:80", "c.test:80", "b.test:80", "c.test:80"] {
        exchange_as(&at(host), &pool, address, get("/")).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
    exchange_as(&at("a.test:80"), &pool, address, get("/")).await;
    assert_eq!(connections.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn an_origin_that_never_comes_to_its_answer_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let flood = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(1000);
        while socket.write_all(&flood).await.is_ok() {}
    });
    let pool = Pool::new(PoolSettings::default());
    let connect = || async move { Ok::<_, io::Error>(Transport::Plain(TcpStream::connect(address).await?)) };
    let sent = pool.send(&key(), get("/"), || None, connect).await;
    let error = sent.map(|response| response.status()).expect_err("no end").to_string();
    assert!(error.ends_with("too many 1xx informational responses"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_not_read_to_its_end_costs_the_connection() {
    let (address, connections) = origin(usize::MAX).await;
    let pool = Pool::new(PoolSettings::default());
    let connect = || async move { Ok::<_, io::Error>(Transport::Plain(TcpStream::connect(address).await?)) };
    drop(pool.send(&key(), get("/"), || None, connect).await.unwrap());
    exchange(&pool, address, get("/")).await;
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn dialling_errors_reach_the_caller() {
    let pool = Pool::new(PoolSettings::default());
    let failed = pool.send(&key(), get("/"), || None, || async { Err::<Transport, _>("no") }).await;
    assert!(matches!(failed, Err(SendError::Connect("no"))));
}

#[test]
fn targets_that_hyper_would_cut_or_refuse_are_encoded() {
    let cases: &[(&[u8], &str)] = &[
        (b"/a?b=c%20d&e=[1]", "/a?b=c%20d&e=[1]"),
        (b"/a?b#c", "/a?b%23c"),
        (b"/a?q=<x>\"y\"", "/a?q=%3Cx%3E%22y%22"),
        (b"/a?q=\xff", "/a?q=%FF"),
        (b"/a?{|}^`\\#", "/a?{|}^`\\%23"),
        (b"*", "*"),
    ];
    for (target, want) in cases {
        assert_eq!(request_target(target).unwrap().as_str(), *want, "{target:?}");
    }
}

#[tokio::test]
async fn connect_is_sent_as_an_ordinary_request_with_a_body_in_its_answer() {
    let (address, _) = origin(1).await;
    let pool = Pool::new(PoolSettings::default());
    let request = Outgoing { method: Method::CONNECT, target: b"h.test:443".to_vec(), ..get("/") };
    let transport = Transport::Plain(TcpStream::connect(address).await.unwrap());
    let response = pool.send_connect::<io::Error>(&key(), request, transport).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "CONNECT h.test:443 HTTP/1.1");
}

/// Answers each connection's requests with `answers`, each after a request's blank line, and then waits for the end.
async fn scripted(answers: Vec<Vec<u8>>) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let closed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&closed);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (answers, counter) = (answers.clone(), Arc::clone(&counter));
            tokio::spawn(async move {
                let mut seen = Vec::new();
                for answer in answers {
                    while !seen.windows(4).any(|w| w == b"\r\n\r\n") {
                        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                            break;
                        }
                    }
                    seen.clear();
                    for piece in answer.chunks(1000) {
                        let _ = socket.write_all(piece).await;
                        tokio::task::yield_now().await;
                    }
                }
                while socket.read_buf(&mut seen).await.unwrap_or(0) > 0 {}
                counter.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    (address, closed)
}

fn lines(count: usize) -> String {
    (0..count).map(|n| format!("X-{n}: {n}\r\n")).collect()
}

#[tokio::test]
async fn a_response_may_have_five_hundred_and_twelve_header_lines() {
    let connect = |address| {
        move || async move { Ok::<_, io::Error>(Transport::Plain(TcpStream::connect(address).await?)) }
    };
    for count in [0, 98, 99, 100, 300, 510, 511, 512] {
        let hints = format!("HTTP/1.1 103 Early Hints\r\n{}\r\n", lines(count.min(30)));
        for early in ["", &hints] {
            let head = format!("{early}HTTP/1.1 200 OK\r\n{}Content-Length: 7\r\n\r\n", lines(count));
            let first = [head.as_bytes(), b"payload"].concat();
            let (address, _) = scripted(vec![first, b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()]).await;
            let pool = Pool::default();
            let sent = pool.send(&key(), get("/"), || None, connect(address)).await;
            if count + 1 > 512 {
                let Err(SendError::Http(error)) = sent else { panic!("{count} lines") };
                assert!(error.is_parse_too_large(), "{error}");
                continue;
            }
            let response = sent.unwrap();
            assert_eq!(response.headers().len(), count + 1);
            assert_eq!(response.headers().get("x-50").is_some(), count > 50);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "payload", "{count} lines");
            let response = pool.send(&key(), get("/"), || None, connect(address)).await.unwrap();
            // A long head ends its connection: the second request is the first of another one.
            let expected = if count + 1 > 100 { 200 } else { 204 };
            assert_eq!(response.status(), expected, "{count} lines");
        }
    }
}

#[tokio::test]
async fn a_long_head_without_a_body_and_a_body_until_the_end_are_read_too() {
    let connect = |address| {
        move || async move { Ok::<_, io::Error>(Transport::Plain(TcpStream::connect(address).await?)) }
    };
    let head = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 9\r\n\r\n", lines(200));
    let (address, _) = scripted(vec![head.into_bytes()]).await;
    let request = Outgoing { method: Method::HEAD, ..get("/") };
    let response = Pool::default().send(&key(), request, || None, connect(address)).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let origin = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"all of it") {
            assert_ne!(socket.read_buf(&mut request).await.unwrap(), 0);
        }
        let head = format!("HTTP/1.1 200 OK\r\n{}\r\nuntil the ", lines(200));
        socket.write_all(head.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        socket.write_all(b"end").await.unwrap();
    });
    let body = OutgoingBody::Full("all of it".into());
    let request = Outgoing { method: Method::POST, body, ..get("/") };
    let response = Pool::default().send(&key(), request, || None, connect(address)).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "until the end");
    origin.await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_given_up_closes_its_connection() {
    let (address, closed) = scripted(vec![b"HTTP/1.1 200 O".to_vec()]).await;
    let connect = || async move { Ok::<_, io::Error>(Transport::Plain(TcpStream::connect(address).await?)) };
    let pool = Pool::default();
    let key = key();
    let sending = pool.send(&key, get("/"), || None, connect);
    assert!(tokio::time::timeout(Duration::from_millis(50), sending).await.is_err());
    while closed.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_long_head_may_come_before_the_request_is_sent() {
    const BODY: usize = 32 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let origin = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.windows(4).any(|w| w == b"\r\n\r\n") {
            assert_ne!(socket.read_buf(&mut request).await.unwrap(), 0);
        }
        let answer =
            format!("HTTP/1.1 413 Content Too Large\r\n{}Content-Length: 8\r\n\r\ntoo much", lines(200));
        socket.write_all(answer.as_bytes()).await.unwrap();
        // The rest of the request is never read, and the connection stays open.
        (socket, request.len())
    });
    let connect =
        move || async move { Ok::<_, io::Error>(Transport::Plain(TcpStream::connect(address).await?)) };
    let body = OutgoingBody::Full(vec![b'x'; BODY].into());
    let request = Outgoing { method: Method::POST, body, ..get("/") };
    let response = Pool::default().send(&key(), request, || None, connect).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(response.headers()["x-199"], "199");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "too much");
    let (_open, read) = origin.await.unwrap();
    assert!(read < BODY, "{read}");
}

#[tokio::test]
async fn folded_header_lines_of_an_answer_are_read() {
    let answer = b"HTTP/1.1 200 OK\r\nX-A: one\r\n\ttwo\r\nContent-Length: 2\r\n\r\nhi".to_vec();
    let (address, _) = scripted(vec![answer]).await;
    let pool = Pool::new(PoolSettings::default());
    let connect = || async move { Ok::<_, io::Error>(Transport::Plain(TcpStream::connect(address).await?)) };
    let response = pool.send(&key(), get("/"), || None, connect).await.unwrap();
    let value = response.headers()["x-a"].to_str().unwrap();
    assert_eq!(value.split_whitespace().collect::<Vec<_>>(), ["one", "two"]);
}

#[tokio::test]
async fn transfer_codings_that_nobody_undoes_are_errors() {
    for (codings, accepted) in [
        ("Transfer-Encoding: chunked\r\n", true),
        ("Transfer-Encoding: CHUNKED\r\n", true),
        ("Transfer-Encoding: gzip, chunked\r\n", false),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", false),
        ("Transfer-Encoding: xchunked\r\n", false),
        ("Transfer-Encoding: identity\r\n", false),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{codings}\r\n2\r\nhi\r\n0\r\n\r\n");
        let (address, _) = scripted(vec![answer.into_bytes()]).await;
        let pool = Pool::new(PoolSettings::default());
        let connect =
            || async move { Ok::<_, io::Error>(Transport::Plain(TcpStream::connect(address).await?)) };
        let sent = pool.send(&key(), get("/"), || None, connect).await;
        assert_eq!(sent.is_ok(), accepted, "{codings}");
    }
}
