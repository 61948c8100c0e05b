//! What is done without hyper against hyper itself.

use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::connection::Http1;
use super::super::{OriginKey, Pool, http1_request};
use super::*;

fn outgoing(
    method: &str,
    target: &str,
    headers: &[(&'static str, &'static str)],
    body: OutgoingBody,
) -> Outgoing {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_static(value));
    }
    let host = HeaderValue::from_static("h.test");
    Outgoing { method: method.parse().unwrap(), target: target.into(), host, headers: map, body }
}

fn full(text: &'static str) -> OutgoingBody {
    OutgoingBody::Full(Bytes::from_static(text.as_bytes()))
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

#[tokio::test]
async fn requests_are_written_as_hyper_writes_them() {
    let cases: &[(&str, &str, &[(&str, &str)], OutgoingBody)] = &[
        ("GET", "/", &[], OutgoingBody::Empty),
        (
            "GET",
            "/a/b?c=d&e[]=%20",
            &[("accept", "*/*"), ("x-a-b", "1"), ("x-a-b", "2")],
            OutgoingBody::Empty,
        ),
        ("GET", "/", &[("host", "other.test"), ("user-agent", "x")], OutgoingBody::Empty),
        ("HEAD", "/", &[("x--y", ""), ("1x", "2"), ("etag", "\"q\"")], OutgoingBody::Empty),
        ("POST", "/", &[("content-type", "a/b")], full("body")),
        ("POST", "/", &[("content-length", "4"), ("content-type", "a/b")], full("body")),
        ("POST", "/", &[("content-length", "0")], OutgoingBody::Empty),
        ("ODD", "/", &[], full("body")),
        ("POST", "/", &[], full("long".repeat(100_000).leak())),
    ];
    for (method, target, headers, body) in cases {
        let make = || outgoing(method, target, headers, body.again().unwrap());
        let usual = request(&make()).expect(target);
        let usual = [&usual.head[..], &usual.body].concat();
        let (near, mut far) = pair().await;
        let (hypers, _) = http1_request(make()).unwrap();
        let mut connection = Http1::open(Transport::Plain(near)).await.unwrap();
        let sending = tokio::spawn(async move { connection.send(hypers, None).await.is_ok() });
        let mut written = vec![0; usual.len()];
        far.read_exact(&mut written).await.unwrap();
        far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        assert!(sending.await.unwrap());
        assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&usual));
        assert_eq!(
            far.try_read(&mut [0]).ok().filter(|n| *n > 0),
            None,
            "{method} {target}: more was written"
        );
    }
}

#[test]
fn a_query_goes_out_byte_for_byte() {
    for query in ["a#b", "a=\u{e9}", "a=\"<{|}>\"^`\\", "a=%zz;b"] {
        let made = outgoing("GET", &format!("/?{query}"), &[], OutgoingBody::Empty);
        let written = request(&made).expect(query).head;
        let line = format!("GET /?{query} HTTP/1.1\r\n");
        assert!(written.starts_with(line.as_bytes()), "{query}: {}", written.escape_ascii());
    }
}

/// What goes out for a request to `target`, until `end`.
async fn sent(
    target: &str,
    headers: &[(&'static str, &'static str)],
    body: OutgoingBody,
    end: &[u8],
) -> String {
    let (near, mut far) = pair().await;
    let request = outgoing("POST", target, headers, body);
    let sending = tokio::spawn(async move {
        let key = OriginKey { authority: "h.test:80".into(), tls: false, http2: false };
        let connect = || async { Ok::<_, io::Error>(Transport::Plain(near)) };
        Pool::default().send(&key, request, || None, connect).await.is_ok()
    });
    let mut read = Vec::new();
    while !read.ends_with(end) {
        assert_ne!(far.read_buf(&mut read).await.unwrap(), 0, "{}", read.escape_ascii());
    }
    far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert!(sending.await.unwrap());
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn a_query_goes_out_byte_for_byte_where_hyper_sends_it() {
    let chunks = OutgoingBody::Chunks(Bytes::from_static(b"body"), None);
    let cases: [(&[_], OutgoingBody, &[u8]); 4] = [
        (&[("connection", "close")], OutgoingBody::Empty, b"\r\n\r\n"),
        (&[("te", "trailers")], full("body"), b"body"),
        (&[("expect", "100-continue")], full("body"), b"body"),
        (&[("transfer-encoding", "chunked")], chunks, b"0\r\n\r\n"),
    ];
    for (headers, body, end) in cases {
        let plain = sent("/?plain", headers, body.again().unwrap(), end).await;
        let query = sent("/?a#\"<b>", headers, body, end).await;
        assert_eq!(query, plain.replacen("/?plain", "/?a#\"<b>", 1), "{headers:?}");
    }
}

#[test]
fn requests_that_need_more_than_that_are_left_to_hyper() {
    let chunks = || OutgoingBody::Chunks(Bytes::from_static(b"x"), None);
    let long: &'static str = "x".repeat(REQUEST_HEAD).leak();
    let cases: &[(&str, &str, &[(&'static str, &'static str)], OutgoingBody)] = &[
        ("CONNECT", "/", &[], OutgoingBody::Empty),
        ("GET", "h.test:80", &[], OutgoingBody::Empty),
        ("GET", "/a b", &[], OutgoingBody::Empty),
        ("GET", "/\r\nx:", &[], OutgoingBody::Empty),
        ("GET", "/", &[("connection", "close")], OutgoingBody::Empty),
        ("GET", "/", &[("upgrade", "websocket")], OutgoingBody::Empty),
        ("GET", "/", &[("te", "trailers")], OutgoingBody::Empty),
        ("GET", "/", &[("accept", "*/*"), ("host", "h.test")], OutgoingBody::Empty),
        ("GET", "/", &[("content-length", "1")], OutgoingBody::Empty),
        ("POST", "/", &[("expect", "100-continue")], full("body")),
        ("POST", "/", &[("transfer-encoding", "chunked")], full("body")),
        ("POST", "/", &[("content-length", "5")], full("body")),
        ("POST", "/", &[("content-length", "+4")], full("body")),
        ("POST", "/", &[("content-length", "4"), ("content-length", "4")], full("body")),
        ("POST", "/", &[], chunks()),
        ("GET", "/", &[("x", long)], OutgoingBody::Empty),
    ];
    for (method, target, headers, body) in cases {
        let made = outgoing(method, target, headers, body.again().unwrap());
        assert_eq!(request(&made), None, "{method} {target} {headers:?}");
    }
}

#[test]
fn a_head_that_two_readers_could_see_differently_is_not_usual() {
    let keeps: &[(&str, u64, bool)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 5, true),
        ("HTTP/1.1 404 Not Found\r\ncontent-length:0\r\nA: \u{e9}\r\n\r\n", 0, true),
        ("HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\n", 5, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", 5, false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive, close\r\n\r\n", 5, false),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 0, true),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", 0, true),
    ];
    for (head, left, keep) in keeps {
        let response = response(&Bytes::from_static(head.as_bytes()), &Method::GET);
        assert_eq!(response.map(Response::into_body), Some((*left, *keep)), "{head}");
    }
    let unusual = [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 Fine\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n",
        "hello\r\n\r\n",
    ];
    for head in unusual {
        assert!(response(&Bytes::from_static(head.as_bytes()), &Method::GET).is_none(), "{head}");
    }
}

/// What origins say to a request, and whether another may follow on the connection.
const SAID: &[(&str, bool)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: 1\r\nx: 2\r\n\r\nhello", true),
    ("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", true),
    ("HTTP/1.1 204 No Content\r\n\r\n", true),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true),
    ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", true),
    ("HTTP/1.1 200 All right\r\nContent-Length: 5\r\n\r\nhello", true),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n", false),
    ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false),
    ("HTTP/1.1 200 OK\r\n\r\nhello", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", false),
    ("HTTP/1.1 200 OK\r\nContent-Le", false),
    ("no HTTP\r\n\r\n", false),
    ("", false),
];

/// Answers one request on each connection, whole or byte by byte, and one more with `again` if the client has another; then closes.
async fn origin(said: &'static str, slowly: bool) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            socket.set_nodelay(true).unwrap();
            let mut seen = [0; 4096];
            for said in [said, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain"] {
                let mut got = 0;
                while !seen[..got].ends_with(b"\r\n\r\n") {
                    match socket.read(&mut seen[got..]).await {
                        Ok(n) if n > 0 => got += n,
                        _ => return,
                    }
                }
                for piece in said.as_bytes().chunks(if slowly { 1 } else { 1 << 20 }) {
                    // The client may have heard enough.
                    let _ = socket.write_all(piece).await;
                    tokio::task::yield_now().await;
                }
                if SAID.iter().any(|(text, keeps)| *text == said && !keeps) {
                    break;
                }
            }
        }
    });
    address
}

/// Status, headers and body, or the error; then those of a second request on the pool. Hyper only: by a header that only hyper takes.
async fn told(address: std::net::SocketAddr, hyper_only: bool) -> Vec<String> {
    let pool = Pool::default();
    let key = OriginKey { authority: "h.test:80".into(), tls: false, http2: false };
    let headers: &[_] = if hyper_only { &[("te", "trailers")] } else { &[] };
    let mut told = Vec::new();
    for _ in 0..2 {
        let connect = || async { Ok::<_, io::Error>(Transport::Plain(TcpStream::connect(address).await?)) };
        let request = outgoing("GET", "/", headers, OutgoingBody::Empty);
        told.push(match pool.send(&key, request, || None, connect).await {
            Err(error) => error.to_string(),
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let body =
                    body.collect().await.map(|body| body.to_bytes()).map_err(|error| error.to_string());
                format!("{} {:?} {body:?}", parts.status, parts.headers)
            }
        });
    }
    told
}

#[tokio::test]
async fn whatever_an_origin_says_is_understood_as_hyper_does() {
    for (said, keeps) in SAID {
        for slowly in [false, true] {
            let address = origin(said, slowly).await;
            let (usual, hypers) = (told(address, false).await, told(address, true).await);
            assert_eq!(usual, hypers, "{said:?} {slowly}");
            assert_eq!(usual[1].contains("again"), *keeps, "{said:?} {slowly}: {usual:?}");
        }
    }
}

/// What an origin reads that says something as soon as it has read the head, and if that was nothing, at the end.
async fn listens(
    said: &'static str,
    length: usize,
) -> (std::net::SocketAddr, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listening = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        let head = loop {
            assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0);
            if let Some(end) = head_end(&read, 0) {
                break end;
            }
        };
        socket.write_all(said.as_bytes()).await.unwrap();
        while read.len() < head + length {
            assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0);
        }
        if said.is_empty() {
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
        }
        read
    });
    (address, listening)
}

#[tokio::test]
async fn a_long_request_is_sent_to_its_end_whatever_is_said_meanwhile() {
    const LENGTH: usize = 16 << 20;
    let body: Bytes = (0..LENGTH).map(|i| (i % 251) as u8).collect::<Vec<_>>().into();
    let cases = [
        ("", 200, "hello"),
        ("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 5\r\n\r\nlarge", 413, "large"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n0\r\n\r\n", 200, "early"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, ""),
    ];
    for (said, status, answer) in cases {
        let (address, listening) = listens(said, LENGTH).await;
        let connect =
            move || async move { Ok::<_, io::Error>(Transport::Plain(TcpStream::connect(address).await?)) };
        // What hyper goes on with would be longer by itself.
        let long = outgoing("POST", "/?a#<b>", &[], OutgoingBody::Full(body.clone()));
        let head = request(&long).unwrap().head;
        let pool = Pool::default();
        let key = OriginKey { authority: "h.test:80".into(), tls: false, http2: false };
        let response = pool.send(&key, long, || None, connect).await.unwrap();
        assert_eq!(response.status(), status, "{said}");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), answer, "{said}");
        let heard = listening.await.unwrap();
        assert!(heard.starts_with(&head) && heard[head.len()..] == body, "{said}: other bytes");
    }
}
