//! The head that hyper gets in place of the client's.

use bytes::Bytes;

use super::head::{self, Expect, Framing, Head};

/// Whether the handler may answer with 101; hyper gives a connection away only to those who asked for an upgrade.
fn wants_upgrade(head: &Head) -> bool {
    head.version == http::Version::HTTP_11
        && head.framing == Framing::None
        && head::has_token(&head.headers, http::header::CONNECTION, b"upgrade")
        && head::has_token(&head.headers, http::header::UPGRADE, b"websocket")
}

/// What hyper needs to know of a request: method, version, framing of what is still to come, persistence, expectation.
pub(super) fn minimal(head: &Head, framing: Framing, inner: bool) -> Bytes {
    let is_usual = head.method == http::Method::GET
        && head.version == http::Version::HTTP_11
        && framing == Framing::None
        && head.keep_alive;
    if is_usual && !wants_upgrade(head) {
        return Bytes::from_static(b"GET / HTTP/1.1\r\nte: trailers\r\n\r\n");
    }
    let opens_tunnel = head.method == http::Method::CONNECT && !inner;
    let mut out = Vec::with_capacity(96);
    let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
    // Any other method will do where CONNECT is to be answered with a body.
    put(if head.method == http::Method::CONNECT && inner { "GET" } else { head.method.as_str() });
    put(if opens_tunnel { " h:1" } else { " /" });
    put(if head.version == http::Version::HTTP_10 { " HTTP/1.0\r\n" } else { " HTTP/1.1\r\n" });
    if !opens_tunnel {
        match framing {
            Framing::None => {}
            Framing::Length(n) => put(&format!("content-length: {n}\r\n")),
            Framing::Chunked => put("transfer-encoding: chunked\r\n"),
        }
        if head.expect == Expect::Continue && framing != Framing::None {
            put("expect: 100-continue\r\n");
        }
    }
    // hyper sends trailers only to those who say that they take them; which answers have any is for the handlers to say.
    put("te: trailers\r\n");
    if wants_upgrade(head) {
        put("connection: upgrade\r\nupgrade: websocket\r\n\r\n");
        return out.into();
    }
    put(match (head.version, head.keep_alive) {
        (http::Version::HTTP_10, true) => "connection: keep-alive\r\n",
        (http::Version::HTTP_10, false) | (_, true) => "",
        (_, false) => "connection: close\r\n",
    });
    put("\r\n");
    out.into()
}
