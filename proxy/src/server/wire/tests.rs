use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::server::answer::{self, Body};

/// Nobody waits for them: time stands still while anything is to be done.
const QUICK: Limits = Limits {
    head: Duration::from_millis(150),
    request: Duration::from_millis(300),
    idle: Duration::from_millis(150),
    untaken: Duration::from_millis(150),
    write: None,
};

fn connection(strictness: Strictness) -> Connection {
    let at = SocketAddr::from(([127, 0, 0, 1], 1));
    Connection { local: at, peer: at, limits: QUICK, strictness, inner: false, slot: Arc::default() }
}

/// Answers with the target, the number of body bytes, and whether trailers came.
async fn echo(request: Request) -> Answer {
    let target = String::from_utf8_lossy(&request.head.url.request_uri()).into_owned();
    if target == "/unread" {
        return answer::text(StatusCode::FORBIDDEN, "no");
    }
    if target == "/slow" {
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    if target == "/long" {
        return http::Response::new(Body::Full(vec![b'a'; 3000].into()));
    }
    if request.head.method == http::Method::CONNECT {
        tokio::spawn(async {
            let (mut client, early) = request.takeover.complete::<tokio::io::DuplexStream>().await.unwrap();
            client.write_all(&early).await.unwrap();
        });
        return answer::empty(http::StatusCode::OK);
    }
    if let Some(code) = target.strip_prefix("/status/") {
        return answer::text(code.parse().unwrap(), "");
    }
    request.body.gather(300_000);
    match request.body.collect().await {
        Ok(body) => {
            let trailers = body.trailers().map_or(0, http::HeaderMap::len);
            answer::text(StatusCode::OK, &format!("{target} {} {trailers}", body.to_bytes().len()))
        }
        Err(error) => answer::text(StatusCode::FORBIDDEN, &error.to_string()),
    }
}

/// Sends bytes, optionally half-closes, and returns everything that comes back until the end.
async fn talk(sent: &[u8], strictness: Strictness, shutdown: bool) -> String {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let serving = tokio::spawn(serve(server, connection(strictness), CancellationToken::new(), echo));
    client.write_all(sent).await.unwrap();
    if shutdown {
        client.shutdown().await.unwrap();
    }
    let mut seen = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), client.read_to_end(&mut seen))
        .await
        .unwrap_or_else(|_| panic!("no end after {:?}", String::from_utf8_lossy(sent)))
        .unwrap();
    drop(client);
    tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap().unwrap();
    String::from_utf8_lossy(&seen).into_owned()
}

fn first_line(answer: &str) -> &str {
    answer.lines().next().unwrap_or("")
}

/// D-610
#[tokio::test(start_paused = true)]
async fn who_speaks_another_protocol_is_told_at_once() {
    for (sent, answer) in [
        (&[0x16, 3, 1, 2, 0][..], "400 Bad Request: the URL of this proxy begins with http://"),
        (&[5, 1, 0], "400 Bad Request: this is an HTTP proxy, not one for SOCKS"),
        (&[4, 1, 0, 80], "400 Bad Request: this is an HTTP proxy, not one for SOCKS"),
    ] {
        let told = talk(sent, Strictness::Hardened, false).await;
        assert!(told.starts_with("HTTP/1.1 400 Bad Request\r\n") && told.ends_with(answer), "{told}");
        assert_eq!(talk(sent, Strictness::Reference, false).await, "");
    }
}

#[tokio::test(start_paused = true)]
async fn heads_are_judged_as_the_reference_does() {
    const BAD: &str = "HTTP/1.1 400 Bad Request";
    const OK: &str = "HTTP/1.1 200 OK";
    let cases: &[(&str, &str, &str)] = &[
        ("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", OK, OK),
        ("GET /a HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK", "HTTP/1.0 200 OK"),
        ("GET /a HTTP/1.7\r\nHost: x\r\n\r\n", OK, OK),
        ("GET /a HTTP/1.1\nHost: x\n\n", OK, OK),
        ("GET http://x/a HTTP/1.1\nHost: x\n\n", OK, BAD),
        ("GET /a HTTP/1.1\r\nHost: x\r\nX: 1\r\n 2\r\n\r\n", OK, OK),
        ("GET http://x/ HTTP/1.1\r\nHost: x\r\nX: 1\r\n 2\r\n\r\n", OK, BAD),
        (
            "GET /a HTTP/1.1\r\n\r\n",
            "HTTP/1.1 400 Bad Request: missing required Host header",
            "HTTP/1.1 400 Bad Request: missing required Host header",
        ),
        (
            "GET /a HTTP/1.1\r\nHost: u@x\r\n\r\n",
            "HTTP/1.1 400 Bad Request: malformed Host header",
            "HTTP/1.1 400 Bad Request: malformed Host header",
        ),
        ("GET /a HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", BAD, BAD),
        (
            "GET /a HTTP/2.0\r\nHost: x\r\n\r\n",
            "HTTP/1.1 505 HTTP Version Not Supported: unsupported protocol version",
            "HTTP/1.1 505 HTTP Version Not Supported: unsupported protocol version",
        ),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD, BAD),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", OK, OK),
        ("GET * HTTP/1.1\r\nHost: x\r\n\r\n", BAD, BAD),
        ("GET /a\r\n\r\n", BAD, BAD),
        ("HELLO\r\n\r\n", BAD, BAD),
        ("\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", BAD, BAD),
        ("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", BAD, BAD),
        ("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", BAD, BAD),
        ("G(T /a HTTP/1.1\r\nHost: x\r\n\r\n", BAD, BAD),
        ("GET /a HTTP/1.1\r\nHost: x\r\nX : 1\r\n\r\n", BAD, BAD),
        ("GET /a HTTP/1.1\r\n Host: x\r\n\r\n", BAD, BAD),
        ("GET /a HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", BAD, BAD),
        ("GET /a HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", BAD, BAD),
        ("GET /a HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n", BAD, BAD),
        ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", BAD, BAD),
        ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na", BAD, BAD),
        ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na", BAD, BAD),
        ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", BAD, BAD),
        ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", BAD, BAD),
        ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", OK, OK),
        (
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 501 Not Implemented",
            "HTTP/1.1 501 Not Implemented",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 501 Not Implemented",
            "HTTP/1.1 501 Not Implemented",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n0\r\n\r\n",
            OK,
            BAD,
        ),
        (
            "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\na",
            "HTTP/1.0 200 OK",
            BAD,
        ),
        (
            "GET /a HTTP/1.1\r\nHost: x\r\nExpect: later\r\n\r\n",
            "HTTP/1.1 417 Expectation Failed",
            "HTTP/1.1 417 Expectation Failed",
        ),
    ];
    for (sent, reference, hardened) in cases {
        for (strictness, want) in [(Strictness::Reference, reference), (Strictness::Hardened, hardened)] {
            let seen = talk(sent.as_bytes(), strictness, false).await;
            assert_eq!(first_line(&seen), *want, "{strictness:?} {sent:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_answered_in_order() {
    let sent = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabPOST /3 HTTP/1.1\r\nHost: \
        x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: v\r\n\r\nGET /4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let seen = talk(sent.as_bytes(), Strictness::Hardened, false).await;
    let bodies: Vec<&str> = seen.lines().filter(|line| line.starts_with('/')).collect();
    assert_eq!(bodies, ["/1 0 0", "/2 2 0", "/3 3 1", "/4 0 0"], "{seen}");
    assert_eq!(seen.matches("Connection: close").count(), 1, "{seen}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_idles_after_a_slow_answer_is_closed_in_time() {
    let began = tokio::time::Instant::now();
    let request = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
    let seen = talk(request.as_bytes(), Strictness::Hardened, false).await;
    assert!(first_line(&seen).ends_with("200 OK"), "{seen}");
    assert!(began.elapsed() >= Duration::from_millis(30) + QUICK.idle, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_while_another_is_answered_waits_for_its_turn() {
    for split in [0, 10, 33] {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        tokio::spawn(serve(server, connection(Strictness::Hardened), CancellationToken::new(), echo));
        let second = b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n";
        let split = split.min(second.len());
        client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        client.write_all(&second[..split]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        client.write_all(&second[split..]).await.unwrap();
        let mut seen = Vec::new();
        tokio::time::timeout(Duration::from_secs(5), client.read_to_end(&mut seen)).await.unwrap().unwrap();
        let seen = String::from_utf8_lossy(&seen);
        let (first, second) = (seen.find("/slow 0 0"), seen.find("/b 0 0"));
        assert!(first.is_some() && first < second, "split at {split}: {seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_after_good_ones_is_refused_after_their_answers() {
    let seen =
        talk(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", Strictness::Reference, false)
            .await;
    assert!(
        seen.starts_with("HTTP/1.1 200 OK")
            && seen.ends_with("400 Bad Request: missing required Host header"),
        "{seen}"
    );
}

#[tokio::test(start_paused = true)]
async fn unread_bodies_are_drained_or_end_the_connection() {
    let small =
        [b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".as_slice(), &[b'a'; 1000]]
            .concat();
    let next = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n";
    let seen = talk(&[&small[..], next].concat(), Strictness::Hardened, false).await;
    assert!(seen.contains("/next") && !seen.contains("Connection: close"), "{seen}");
    let large = [
        b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n".as_slice(),
        &vec![b'a'; 400_000],
    ]
    .concat();
    let seen = talk(&[&large[..], next].concat(), Strictness::Hardened, false).await;
    assert!(!seen.contains("/next") && seen.contains("Connection: close"), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn continue_is_sent_when_the_body_is_read_and_not_before() {
    let head = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\nConnection: close\r\n\r\na";
    let seen = talk(head.as_bytes(), Strictness::Hardened, false).await;
    assert!(seen.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"), "{seen}");
    let seen = talk(head.replace("/a", "/unread").as_bytes(), Strictness::Hardened, false).await;
    assert!(seen.starts_with("HTTP/1.1 403") && seen.contains("Connection: close"), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn slow_senders_are_cut_without_a_byte() {
    for sent in ["", "GET /a HTTP/1.1\r\nHost: x\r\n", "GET /a HTT"] {
        assert_eq!(talk(sent.as_bytes(), Strictness::Hardened, false).await, "", "{sent:?}");
    }
    let seen =
        talk(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", Strictness::Hardened, false)
            .await;
    assert!(seen.contains("read tcp 127.0.0.1:1->127.0.0.1:1: i/o timeout"), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn broken_bodies_are_errors() {
    let cases = [
        (
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "malformed chunked encoding",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX",
            "malformed chunked encoding",
        ),
    ];
    for (sent, want) in cases {
        let seen = talk(sent.as_bytes(), Strictness::Hardened, false).await;
        assert!(seen.contains(want), "{sent:?} -> {seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn long_answers_go_out_in_chunks_and_short_ones_with_a_length() {
    let seen = talk(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n", Strictness::Hardened, false).await;
    assert!(
        seen.contains("Transfer-Encoding: chunked")
            && seen.contains("Content-Type: text/plain; charset=utf-8"),
        "{seen}"
    );
    let seen = talk(b"GET /long HTTP/1.0\r\n\r\n", Strictness::Hardened, false).await;
    assert!(!seen.contains("Transfer-Encoding") && seen.ends_with('a'), "{seen}");
    let seen = talk(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n", Strictness::Hardened, false).await;
    assert!(seen.contains("Content-Length: 7") && seen.ends_with("\r\n\r\n"), "{seen}");
    let seen = talk(b"HEAD /long HTTP/1.1\r\nHost: x\r\n\r\n", Strictness::Hardened, false).await;
    assert!(!seen.contains("Content-Length") && !seen.contains("Transfer-Encoding"), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn heads_beyond_the_limit_are_refused_and_large_ones_are_not() {
    let pad = |n: usize| {
        format!(
            "GET /a HTTP/1.1\r\nHost: x\r\n{}\r\n",
            "X-Pad: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(n / 58)
        )
    };
    let seen = talk(pad(900 * 1024).as_bytes(), Strictness::Hardened, false).await;
    assert_eq!(first_line(&seen), "HTTP/1.1 200 OK");
    let seen = talk(pad(1_060_000).as_bytes(), Strictness::Hardened, true).await;
    assert_eq!(first_line(&seen), "HTTP/1.1 431 Request Header Fields Too Large");
}

#[tokio::test(start_paused = true)]
async fn bodies_arrive_whole_whether_they_come_with_their_heads_or_later() {
    for length in [1, 100, 16_384, 65_536, 69_600, 69_632, 100_000, 262_144, 262_145, 600_000] {
        let head = format!("POST /{length} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        let last = "GET /after HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        let all =
            [head.as_bytes(), &vec![b'b'; length], head.as_bytes(), &vec![b'c'; length], last.as_bytes()]
                .concat();
        // Where the client pauses: nowhere, behind the head, within the first body, within the second head.
        for pause in [0, head.len(), head.len() + length / 2, 2 * head.len() + length - 5] {
            let (mut client, server) = tokio::io::duplex(80_000);
            let connection = Connection { limits: Limits::MAIN, ..connection(Strictness::Hardened) };
            let serving = tokio::spawn(serve(server, connection, CancellationToken::new(), echo));
            let (mut answers, mut requests) = tokio::io::split(&mut client);
            let writing = async {
                requests.write_all(&all[..pause]).await.unwrap();
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                requests.write_all(&all[pause..]).await.unwrap();
            };
            let mut seen = String::new();
            let ((), read) = tokio::join!(writing, answers.read_to_string(&mut seen));
            read.unwrap();
            serving.await.unwrap();
            let bodies: Vec<&str> = seen.lines().filter(|line| line.starts_with('/')).collect();
            let post = format!("/{length} {length} 0");
            assert_eq!(bodies, [post.as_str(), &post, "/after 0 0"], "{length} bytes, pause at {pause}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_opens_with_the_same_bytes_whatever_the_request_asked_for() {
    for fields in [
        "HTTP/1.0\r\n",
        "HTTP/1.0\r\nConnection: keep-alive\r\n",
        "HTTP/1.1\r\nHost: h:1\r\n",
        "HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n",
        "HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n",
    ] {
        let answer =
            talk(format!("CONNECT h:1 {fields}\r\nearly").as_bytes(), Strictness::Reference, false).await;
        assert_eq!(answer, "HTTP/1.1 200 Connection Established\r\n\r\nearly", "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn reason_phrases_are_the_reference_s() {
    let cases = [
        (203, "Non-Authoritative Information"),
        (299, "status code 299"),
        (413, "Request Entity Too Large"),
        (414, "Request URI Too Long"),
        (416, "Requested Range Not Satisfiable"),
        (418, "I'm a teapot"),
        (451, "Unavailable For Legal Reasons"),
    ];
    for (code, phrase) in cases {
        let sent = format!("GET /status/{code} HTTP/1.0\r\n\r\n");
        let answer = talk(sent.as_bytes(), Strictness::Reference, false).await;
        assert_eq!(first_line(&answer), format!("HTTP/1.0 {code} {phrase}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_is_gone_after_a_while() {
    for (strictness, ends) in [(Strictness::Hardened, true), (Strictness::Reference, false)] {
        let (mut client, server) = tokio::io::duplex(1000);
        // As in tunnels, which may be silent for as long as they are open.
        let limits = Limits { idle: QUICK.idle * 1000, ..QUICK };
        let connection = Connection { limits, ..connection(strictness) };
        let slot = Arc::clone(&connection.slot);
        let serving = serve(server, connection, CancellationToken::new(), echo);
        client.write_all(b"GET /long HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        let ended = tokio::time::timeout(QUICK.untaken * 4, serving).await.is_ok();
        assert_eq!(ended, ends, "{strictness:?}");
        assert_eq!(slot.silent_since(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_answer_slowly_gets_it_all() {
    for strictness in [Strictness::Hardened, Strictness::Reference] {
        let (mut client, server) = tokio::io::duplex(500);
        let serving = serve(server, connection(strictness), CancellationToken::new(), echo);
        let reading = async {
            client.write_all(b"GET /long HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
            let (mut all, mut piece) = (Vec::new(), [0; 500]);
            loop {
                tokio::time::sleep(QUICK.untaken * 2 / 3).await;
                match client.read(&mut piece).await.unwrap() {
                    0 => return all,
                    n => all.extend_from_slice(&piece[..n]),
                }
            }
        };
        let ((), all) = tokio::join!(serving, reading);
        assert!(String::from_utf8_lossy(&all).contains(&"a".repeat(3000)), "{}", all.escape_ascii());
    }
}
