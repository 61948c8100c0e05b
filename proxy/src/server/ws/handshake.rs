//! The client's side of the opening handshake. (spec: http-proxy §8.1 W8)

use http::header::{
    CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::server::answer::{self, Answer, Body};
use crate::server::wire::head::has_token;
use crate::server::wire::{Framing, Head, NoDate};

/// Length of a key: sixteen bytes as base64.
const KEY_LENGTH: usize = 24;

/// A handshake that is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("handshake error: bad {what}")]
pub(super) struct BadHandshake {
    status: StatusCode,
    what: &'static str,
}

impl BadHandshake {
    /// The answer: plain, without `Date`. The connection stays a connection for requests.
    pub fn answer(&self) -> Answer {
        let mut answer = answer::empty(self.status);
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        answer.extensions_mut().insert(NoDate);
        *answer.body_mut() = Body::Full(self.to_string().into());
        answer
    }
}

/// Checks a request and makes the answer that accepts it. No protocol and no extension is ever chosen.
pub(super) fn accept(head: &Head) -> Result<Answer, BadHandshake> {
    let key = check(head)?;
    let accept = derive_accept_key(key.as_bytes());
    let mut answer = answer::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = answer.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(value) = HeaderValue::from_str(&accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, value);
    }
    Ok(answer)
}

/// The first failure wins.
fn check(head: &Head) -> Result<&HeaderValue, BadHandshake> {
    let bad = |status, what| Err(BadHandshake { status, what });
    let headers = &head.headers;
    if head.method != Method::GET {
        return bad(StatusCode::METHOD_NOT_ALLOWED, "HTTP request method");
    }
    if head.version != Version::HTTP_11 {
        return bad(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "HTTP protocol version");
    }
    if head.host.as_ref().is_none_or(|host| host.is_empty()) {
        return bad(StatusCode::BAD_REQUEST, "\"Host\" header");
    }
    if !headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return bad(StatusCode::BAD_REQUEST, "\"Upgrade\" header");
    }
    if !has_token(headers, CONNECTION, b"upgrade") {
        return bad(StatusCode::BAD_REQUEST, "\"Connection\" header");
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY).filter(|value| value.len() == KEY_LENGTH) else {
        return bad(StatusCode::BAD_REQUEST, "\"Sec-WebSocket-Key\" header");
    };
    match first(headers, &SEC_WEBSOCKET_VERSION) {
        Some(b"13") => {}
        Some(_) => return bad(StatusCode::UPGRADE_REQUIRED, "\"Sec-WebSocket-Version\" header"),
        None => return bad(StatusCode::BAD_REQUEST, "\"Sec-WebSocket-Version\" header"),
    }
    // What follows the head would be a body, not frames.
    if head.framing != Framing::None {
        return bad(StatusCode::BAD_REQUEST, "HTTP request body");
    }
    Ok(key)
}

/// The first value of a header, if it is not empty.
fn first<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    headers.get(name).map(HeaderValue::as_bytes).filter(|value| !value.is_empty())
}
