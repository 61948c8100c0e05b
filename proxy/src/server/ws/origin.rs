//! The origin's side of the opening handshake: what is said, and what answer is good enough. (spec: http-proxy §8.2)
//!
//! The request is written by hand because its shape is fixed: a short list of headers in one order, never an extension. The
//! answer is read up to its blank line; what follows it is the beginning of the conversation.

use std::time::Duration;

use http::header::{
    AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL, USER_AGENT,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};

use crate::config::Config;
use crate::policy::url::GoUrl;
use crate::server::exchange::Exchange;
use crate::upstream::DialError;
use crate::upstream::dial::describe;
use crate::upstream::http::wire_target;
use crate::upstream::tls::{Protocols, TlsError};

/// Time for connecting and both handshakes.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest head of an answer.
const MAX_HEAD: usize = 64 * 1024;
/// The most headers of an answer.
const MAX_HEADERS: usize = 128;

pub(super) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
pub(super) const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// A connection to either peer.
pub(in crate::server) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The headers that may go to an origin, as they are written: sorted by name.
const WRITTEN: [(HeaderName, &str); 7] = [
    (AUTHORIZATION, "Authorization"),
    (COOKIE, "Cookie"),
    (ORIGIN, "Origin"),
    (SEC_WEBSOCKET_PROTOCOL, "Sec-Websocket-Protocol"),
    (USER_AGENT, "User-Agent"),
    (X_API_KEY, "X-Api-Key"),
    (X_GOOG_API_KEY, "X-Goog-Api-Key"),
];

/// The headers for the origin at `url`, from those of the client.
pub(super) fn headers(config: &Config, url: &GoUrl<'_>, client: &HeaderMap) -> HeaderMap {
    let section = &config.websocket_proxy;
    let mut headers = HeaderMap::new();
    let mut keep = |name: HeaderName| {
        if let Some(value) = client.get(&name).filter(|value| !value.is_empty()) {
            headers.insert(name, value.clone());
        }
    };
    for name in [AUTHORIZATION, X_API_KEY, X_GOOG_API_KEY, SEC_WEBSOCKET_PROTOCOL] {
        keep(name);
    }
    if section.forward_cookies {
        keep(COOKIE);
    }
    match section.origin_policy.as_str() {
        "forward" => keep(ORIGIN),
        "strip" => {}
        _ => {
            let scheme: &[u8] = if url.scheme == "wss" { b"https://" } else { b"http://" };
            if let Ok(value) = HeaderValue::from_bytes(&[scheme, &url.host].concat()) {
                headers.insert(ORIGIN, value);
            }
        }
    }
    let ours = config.fetch_proxy.user_agent.as_bytes();
    let agent = client.get(USER_AGENT).map(HeaderValue::as_bytes).filter(|value| !value.is_empty());
    let suffix = format!(" pipelock/{}", crate::VERSION);
    if let Ok(value) = HeaderValue::from_bytes(&[agent.unwrap_or(ours), suffix.as_bytes()].concat()) {
        headers.insert(USER_AGENT, value);
    }
    headers
}

/// Why there is no conversation with the origin, in the reference's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// Whether it is for want of descriptors.
    pub(super) fn is_shortage(&self) -> bool {
        matches!(self, Self::Dial(error) if error.is_shortage())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Other(describe(&error))
    }
}

/// Connects, and agrees on WebSocket. The second value is what the origin has said already.
pub(super) async fn open(
    exchange: &Exchange,
    url: &GoUrl<'_>,
    headers: &HeaderMap,
) -> Result<(Box<dyn Io>, Vec<u8>), Failure> {
    let timed_out = |_| Failure::Other("i/o timeout".to_owned());
    tokio::time::timeout(TIMEOUT, connect(exchange, url, headers)).await.map_err(timed_out)?
}

async fn connect(
    exchange: &Exchange,
    url: &GoUrl<'_>,
    headers: &HeaderMap,
) -> Result<(Box<dyn Io>, Vec<u8>), Failure> {
    let shared = &exchange.shared;
    let secure = url.scheme == "wss";
    let host = String::from_utf8_lossy(url.host_name()).into_owned();
    let port = match url.port() {
        b"" if secure => "443".to_owned(),
        b"" => "80".to_owned(),
        port => String::from_utf8_lossy(port).into_owned(),
    };
    // The live rules, not the snapshot's. (spec: http-proxy §10)
    let policy = shared.policy.load_full();
    let stream = shared.upstream.dial(&policy.dial, &host, &port).await?;
    let mut io: Box<dyn Io> = if secure {
        let connected = shared.upstream.tls.connect(&host, Protocols::Http1, stream).await;
        Box::new(connected.map_err(|error| Failure::Other(tls_error(&error)))?)
    } else {
        Box::new(stream)
    };
    let key = generate_key();
    io.write_all(&request(url, headers, &key)).await?;
    io.flush().await?;
    let mut seen = Vec::with_capacity(1024);
    loop {
        if let Some(size) = judge(&seen, &key)? {
            return Ok((io, seen.split_off(size)));
        }
        if seen.len() > MAX_HEAD {
            return Err(Failure::Other("handshake error: response head too large".to_owned()));
        }
        if io.read_buf(&mut seen).await? == 0 {
            return Err(Failure::Other("unexpected EOF".to_owned()));
        }
    }
}

/// Go's words for the commonest reasons; rustls's own for the others.
fn tls_error(error: &TlsError) -> String {
    use rustls::CertificateError;
    let inner = match error {
        TlsError::Handshake(io) => io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
        _ => None,
    };
    let Some(rustls::Error::InvalidCertificate(reason)) = inner else { return error.to_string() };
    let text = match reason {
        CertificateError::UnknownIssuer => "certificate signed by unknown authority".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "certificate has expired or is not yet valid".to_owned()
        }
        other => other.to_string(),
    };
    format!("tls: failed to verify certificate: x509: {text}")
}

fn request(url: &GoUrl<'_>, headers: &HeaderMap, key: &str) -> Vec<u8> {
    let mut out = b"GET ".to_vec();
    let uri = wire_target(url.request_uri());
    if !uri.starts_with(b"/") {
        out.push(b'/');
    }
    out.extend(uri);
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend(url.host.iter().filter(|byte| byte.is_ascii_graphic()));
    out.extend_from_slice(b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
    out.extend_from_slice(format!("Sec-WebSocket-Key: {key}\r\n").as_bytes());
    for (name, written) in WRITTEN {
        if let Some(value) = headers.get(name) {
            out.extend_from_slice(written.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// The size of the answer's head if it is whole and agrees; `None` if there is more to come.
fn judge(seen: &[u8], key: &str) -> Result<Option<usize>, Failure> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut lines);
    let malformed = |error: httparse::Error| Failure::Other(format!("malformed HTTP response: {error}"));
    let httparse::Status::Complete(size) = response.parse(seen).map_err(malformed)? else { return Ok(None) };
    let bad = |what: &str| Err(Failure::Other(format!("handshake error: bad {what}")));
    if response.version != Some(1) {
        return bad("HTTP protocol version");
    }
    let code = response.code.unwrap_or_default();
    if code != 101 {
        return Err(Failure::Other(format!("unexpected HTTP response status: {code}")));
    }
    let values = |name: &'static str| {
        response
            .headers
            .iter()
            .filter(move |h| h.name.eq_ignore_ascii_case(name))
            .map(|h| h.value.trim_ascii())
    };
    if !values("upgrade").any(|value| value.eq_ignore_ascii_case(b"websocket")) {
        return bad("\"Upgrade\" header");
    }
    let mut tokens = values("connection").flat_map(|value| value.split(|b| *b == b','));
    if !tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade")) {
        return bad("\"Connection\" header");
    }
    let accept = derive_accept_key(key.as_bytes());
    let mut accepts = values("sec-websocket-accept");
    if accepts.next() != Some(accept.as_bytes()) || accepts.next().is_some() {
        return bad("\"Sec-WebSocket-Accept\" header");
    }
    // The client has been told that no protocol was chosen, and nothing compressed could be scanned.
    for (name, what) in [("Sec-WebSocket-Protocol", "protocol"), ("Sec-WebSocket-Extensions", "extensions")] {
        if values(name).any(|value| !value.is_empty()) {
            return Err(Failure::Other(format!("unexpected {what} in \"{name}\" header")));
        }
    }
    Ok(Some(size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::url::parse;

    #[test]
    fn a_target_cannot_end_the_request_line() {
        let url = parse(b"ws://h:81/a?b c\xff").unwrap();
        let request = request(&url, &HeaderMap::new(), "k");
        let wanted = b"GET /a?b%20c\xff HTTP/1.1\r\nHost: h:81\r\nUpgrade: ";
        assert!(request.starts_with(wanted), "{}", request.escape_ascii());
    }

    #[test]
    fn only_an_answer_that_agrees_to_nothing_else_is_good_enough() {
        let key = generate_key();
        let accept = derive_accept_key(key.as_bytes());
        let good = format!(
            "HTTP/1.1 101 X\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
        );
        let outcome = |text: String| match judge(text.as_bytes(), &key) {
            Ok(size) => format!("{size:?}"),
            Err(error) => error.to_string(),
        };
        let whole = format!("{good}\r\n");
        assert_eq!(outcome(whole.clone() + "frames"), format!("{:?}", Some(whole.len())));
        assert_eq!(outcome(good.clone()), "None");
        let cases = [
            (whole.replace("101", "200"), "unexpected HTTP response status: 200"),
            (whole.replace("HTTP/1.1", "HTTP/1.0"), "handshake error: bad HTTP protocol version"),
            (whole.replace("WebSocket\r", "h2c\r"), "handshake error: bad \"Upgrade\" header"),
            (whole.replace(", Upgrade", ""), "handshake error: bad \"Connection\" header"),
            (whole.replace(&accept, "x"), "handshake error: bad \"Sec-WebSocket-Accept\" header"),
            (
                format!("{good}sec-websocket-protocol: chat\r\n\r\n"),
                "unexpected protocol in \"Sec-WebSocket-Protocol\" header",
            ),
            (
                format!("{good}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
                "unexpected extensions in \"Sec-WebSocket-Extensions\" header",
            ),
        ];
        for (answer, want) in cases {
            assert_eq!(outcome(answer.clone()), want, "{answer}");
        }
    }
}
