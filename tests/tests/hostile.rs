//! What is not an honest request gets its specified answer or a clean close: never a hang, a panic, or a byte on its way to an
//! origin. (spec: http-proxy §1.3, differences D-500…D-502)

mod raw;

use std::time::Duration;

use futures_util::future::join_all;
use raw::World;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than every deadline of the listener for a request that has begun.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// An answer with this status.
    Status(u16),
    /// No byte, then the end.
    Closed,
    /// Either of the two: the client has gone half-way, or the answer may be lost to it.
    Either(u16),
}
use Want::{Closed, Either, Status};

/// `{o}` stands for the origin's `host:port`.
const TABLE: &[(&str, &str, Want)] = &[
    // Two opinions about where a request ends.
    (
        "length and coding",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Status(400),
    ),
    (
        "coding and length",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        Status(400),
    ),
    (
        "two codings",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Status(501),
    ),
    (
        "chunked, identity",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        Status(501),
    ),
    ("identity", "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n", Status(501)),
    (
        "xchunked",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        Status(501),
    ),
    (
        "parameter on chunked",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
        Status(501),
    ),
    (
        "quoted chunked",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        Status(501),
    ),
    (
        "folded coding",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        Status(400),
    ),
    (
        "space before the colon",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        Status(400),
    ),
    (
        "tab before the colon",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nContent-Length\t: 5\r\n\r\nabcde",
        Status(400),
    ),
    ("space before the first name", "POST http://{o}/ HTTP/1.1\r\n Host: x\r\n\r\n", Status(400)),
    (
        "coding in HTTP/1.0",
        "POST http://{o}/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Status(400),
    ),
    (
        "two lengths",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        Status(400),
    ),
    ("length list", "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na", Status(400)),
    ("signed length", "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na", Status(400)),
    ("negative length", "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", Status(400)),
    (
        "hexadecimal length",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\na",
        Status(400),
    ),
    (
        "length with a space",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1 1\r\n\r\na",
        Status(400),
    ),
    ("empty length", "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", Status(400)),
    (
        "length beyond 63 bits",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775808\r\n\r\n",
        Status(400),
    ),
    (
        "trailer that frames",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n",
        Status(400),
    ),
    // Bodies that are not what their framing says.
    (
        "chunk size in words",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        Status(403),
    ),
    (
        "empty chunk size",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        Status(403),
    ),
    (
        "chunk size beyond 60 bits",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
        Status(403),
    ),
    (
        "negative chunk",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        Status(403),
    ),
    (
        "chunk longer than its size",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        Status(403),
    ),
    (
        "bare line feed after a size",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        Status(403),
    ),
    (
        "NUL in a chunk extension",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;\0\r\nabc\r\n0\r\n\r\n",
        Status(403),
    ),
    (
        "NUL in a trailer",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: \0\r\n\r\n",
        Status(403),
    ),
    (
        "compressed body",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nContent-Encoding: x-odd\r\nContent-Length: 1\r\n\r\na",
        Status(403),
    ),
    (
        "a request as the body of another",
        "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 44\r\n\r\nGET http://{o}/smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        Status(404),
    ),
    // Lines that are not lines.
    ("NUL in a value", "GET http://{o}/ HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", Status(400)),
    ("bare CR in a value", "GET http://{o}/ HTTP/1.1\r\nHost: x\r\nX: a\rY: b\r\n\r\n", Status(400)),
    ("bare line feeds", "GET http://{o}/ HTTP/1.1\nHost: x\n\n", Status(400)),
    ("one bare line feed", "GET http://{o}/ HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", Status(400)),
    ("folded line", "GET http://{o}/ HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", Status(400)),
    ("line without a colon", "GET http://{o}/ HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n", Status(400)),
    ("empty name", "GET http://{o}/ HTTP/1.1\r\nHost: x\r\n: v\r\n\r\n", Status(400)),
    ("name with a space", "GET http://{o}/ HTTP/1.1\r\nHost: x\r\nX Y: v\r\n\r\n", Status(400)),
    ("name beyond ASCII", "GET http://{o}/ HTTP/1.1\r\nHost: x\r\nXé: v\r\n\r\n", Status(400)),
    ("DEL in a value", "GET http://{o}/ HTTP/1.1\r\nHost: x\r\nX: \x7f\r\n\r\n", Status(400)),
    ("blank line first", "\r\nGET http://{o}/ HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    // Request lines.
    ("two spaces", "GET  http://{o}/ HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("tabs", "GET\thttp://{o}/\tHTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("space in the target", "GET http://{o}/a b HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("no version", "GET http://{o}/\r\n\r\n", Status(400)),
    ("lower-case version", "GET http://{o}/ http/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("long version", "GET http://{o}/ HTTP/1.10\r\nHost: x\r\n\r\n", Status(400)),
    ("version 3", "GET http://{o}/ HTTP/3.0\r\nHost: x\r\n\r\n", Status(505)),
    ("version 0.9", "GET http://{o}/ HTTP/0.9\r\nHost: x\r\n\r\n", Status(505)),
    ("method that is no token", "G(T http://{o}/ HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("control byte in the target", "GET http://{o}/\x01 HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("bad escape", "GET http://{o}/%zz HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("port in words", "GET http://127.0.0.1:http/ HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("open bracket", "GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("bracket in the middle", "GET http://x[::1]/ HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("backslash in the authority", "GET http://10.0.0.1\\@{o}/ HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    // Hosts.
    ("no host", "GET http://{o}/ HTTP/1.1\r\n\r\n", Status(400)),
    ("two hosts", "GET http://{o}/ HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", Status(400)),
    ("host with a space", "GET http://{o}/ HTTP/1.1\r\nHost: a b\r\n\r\n", Status(400)),
    ("host with user-info", "GET http://{o}/ HTTP/1.1\r\nHost: u@x\r\n\r\n", Status(400)),
    ("host with a path", "GET http://{o}/ HTTP/1.1\r\nHost: x/y\r\n\r\n", Status(400)),
    (
        "an internal address behind user-info",
        "GET http://{o}@10.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n",
        Status(403),
    ),
    ("metadata address as a number", "GET http://2852039166/ HTTP/1.1\r\nHost: x\r\n\r\n", Status(403)),
    ("mapped internal address", "GET http://[::ffff:10.0.0.1]/ HTTP/1.1\r\nHost: x\r\n\r\n", Status(403)),
    // Tunnels.
    ("CONNECT without target", "CONNECT HTTP/1.1\r\n\r\n", Status(400)),
    ("CONNECT with a path", "CONNECT {o}/x HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("CONNECT with only a path", "CONNECT / HTTP/1.1\r\nHost: {o}\r\n\r\n", Status(400)),
    ("CONNECT with user-info", "CONNECT u:p@{o} HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("CONNECT with a scheme", "CONNECT http://{o} HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("CONNECT with a length", "CONNECT {o} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na", Status(400)),
    (
        "CONNECT with chunks",
        "CONNECT {o} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Status(400),
    ),
    ("CONNECT to an internal address", "CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: x\r\n\r\n", Status(403)),
    ("CONNECT with a bad escape", "CONNECT a%zz:443 HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    // Things that are not requests to an origin.
    (
        "expectation",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nExpect: later\r\nContent-Length: 1\r\n\r\na",
        Status(417),
    ),
    ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Status(400)),
    ("star", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    ("another scheme", "GET gopher://{o}/ HTTP/1.1\r\nHost: x\r\n\r\n", Status(403)),
    ("no authority", "GET http:///x HTTP/1.1\r\nHost: {o}\r\n\r\n", Status(404)),
    ("opaque", "GET http:{o} HTTP/1.1\r\nHost: {o}\r\n\r\n", Status(301)),
    ("network-path reference", "GET //{o}/x HTTP/1.1\r\nHost: {o}\r\n\r\n", Status(301)),
    ("out of the root", "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", Status(301)),
    ("encoded line end in the path", "GET http://{o}/a%0d%0aX:1 HTTP/1.1\r\nHost: x\r\n\r\n", Status(403)),
    ("traversal", "GET http://{o}/a/%2e%2e/b HTTP/1.1\r\nHost: x\r\n\r\n", Status(403)),
    ("fetch of a file", "GET /fetch?url=file:///etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", Status(400)),
    (
        "fetch of an internal address",
        "GET /fetch?url=http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n",
        Status(403),
    ),
    // Senders that stop.
    ("nothing", "", Closed),
    ("half a line", "GET http://{o}/ HT", Closed),
    ("no end of the head", "GET http://{o}/ HTTP/1.1\r\nHost: x\r\n", Closed),
    ("half a body", "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", Either(403)),
    (
        "half a chunk",
        "POST http://{o}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
        Either(403),
    ),
];

async fn send(world: &World, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(world.proxy).await.expect("connected");
    // A refusal may come, and the connection go, before everything is sent.
    let _ = stream.write_all(bytes).await;
    let mut seen = Vec::new();
    while !seen.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read_buf(&mut seen).await {
            Ok(n) if n > 0 => {}
            _ => break,
        }
    }
    seen
}

fn judge(seen: &[u8], want: Want) -> bool {
    let line = seen.split(|b| *b == b'\r').next().unwrap_or_default();
    let status = std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 ")))
        .and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
    match want {
        Status(code) => status == Some(code),
        Closed => seen.is_empty(),
        Either(code) => status == Some(code) || seen.is_empty(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_are_answered_and_nothing_reaches_an_origin() {
    let world = World::start().await;
    let origin = world.origin.to_string();
    let mut cases: Vec<(String, Vec<u8>, Want)> = TABLE
        .iter()
        .map(|(name, bytes, want)| ((*name).to_owned(), bytes.replace("{o}", &origin).into_bytes(), *want))
        .collect();
    let huge = format!("GET http://{origin}/ HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(1_100_000));
    cases.push(("a megabyte of headers".to_owned(), huge.into_bytes(), Either(431)));
    let tls = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\x0d\x0a\x0d\x0a".to_vec();
    cases.push(("a TLS hello".to_owned(), tls, Status(400)));
    let noise: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    cases.push(("noise".to_owned(), [noise.as_slice(), b"\n\n"].concat(), Either(400)));
    assert!(cases.len() >= 60, "{}", cases.len());

    let talks = cases.iter().map(|(name, bytes, want)| {
        let world = &world;
        async move {
            let seen = tokio::time::timeout(PATIENCE, send(world, bytes)).await;
            match seen {
                Ok(seen) if judge(&seen, *want) => None,
                Ok(seen) => {
                    Some(format!("{name}: wanted {want:?}, saw {:?}", String::from_utf8_lossy(&seen)))
                }
                Err(_) => Some(format!("{name}: wanted {want:?}, nothing happened")),
            }
        }
    });
    let wrong: Vec<String> = join_all(talks).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));

    let reached = world.reached.lock().expect("not poisoned").clone();
    assert!(reached.is_empty(), "an origin saw {:?}", String::from_utf8_lossy(&reached));
    let alive = send(&world, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(judge(&alive, Status(200)), "{:?}", String::from_utf8_lossy(&alive));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_request_whose_host_header_lies_goes_where_its_target_says() {
    let world = World::start().await;
    let request = format!("GET http://{}/x HTTP/1.1\r\nHost: other.test\r\n\r\n", world.origin);
    let seen = send(&world, request.as_bytes()).await;
    assert!(judge(&seen, Status(200)), "{:?}", String::from_utf8_lossy(&seen));
    let reached = String::from_utf8_lossy(&world.reached.lock().expect("not poisoned")).into_owned();
    assert!(reached.starts_with("GET /x HTTP/1.1\r\n"), "{reached}");
    assert!(
        reached.contains(&format!("Host: {}\r\n", world.origin)) && !reached.contains("other.test"),
        "{reached}"
    );
}
