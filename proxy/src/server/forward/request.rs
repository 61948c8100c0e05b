//! The request as the origin sees it. (spec: http-proxy §5.2)

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue,
    PRAGMA, USER_AGENT,
};

use crate::Strictness;
use crate::policy::url::GoUrl;
use crate::server::scrub;
use crate::server::wire::Head;
use crate::upstream::http::{Origin, announce_trailers, host_value, wire_target};
use crate::upstream::pool::{Outgoing, OutgoingBody};

/// What is sent for a client without `User-Agent`.
const DEFAULT_USER_AGENT: HeaderValue = HeaderValue::from_static("Go-http-client/1.1");

/// A request that can be sent, and sent again to another place.
#[derive(Debug)]
pub(in crate::server) struct Outbound {
    pub method: Method,
    pub url: Box<GoUrl<'static>>,
    pub headers: HeaderMap,
    pub body: OutgoingBody,
    /// The body has been sent and cannot be sent again.
    pub spent: bool,
    /// The client's connection is closed after this request, so the origin's is too.
    pub close: bool,
}

/// Filters the inbound request in the order of §5.2. `decompress`: `muselet.decompress`, the switch that response-scan's oddity
/// O-14 asks for; the origin is then not told about codings whose answers would be refused, as in opened tunnels.
pub(in crate::server) fn build(
    head: Head,
    body: OutgoingBody,
    strictness: Strictness,
    decompress: bool,
) -> Outbound {
    let Head { method, mut url, mut headers, keep_alive, .. } = head;
    scrub::strip_identity(&mut headers);
    if let Some(query) = scrub::without_agent(&url.raw_query) {
        url.raw_query = query.into();
    }
    let close = !keep_alive;
    scrub::strip_hop_by_hop(&mut headers);
    headers.remove(CONTENT_LENGTH);
    if strictness == Strictness::Hardened {
        // It concerns the connection to us; the reference forwards it. (D-503)
        headers.remove("proxy-connection");
    }
    if decompress {
        headers.remove(ACCEPT_ENCODING);
    }
    if headers.get(PRAGMA).is_some_and(|value| value == "no-cache") && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    match headers.get(USER_AGENT) {
        None => drop(headers.insert(USER_AGENT, DEFAULT_USER_AGENT)),
        Some(value) if value.is_empty() => drop(headers.remove(USER_AGENT)),
        Some(_) => {}
    }
    Outbound { method, url: Box::new(url), headers, body, spent: false, close }
}

impl Outbound {
    /// As the pool takes it, and what is needed to follow a redirect.
    pub(in crate::server) fn prepare(&mut self) -> Outgoing {
        let host = host_value(&self.url.host);
        let mut headers = self.headers.clone();
        if let Some(user) = &self.url.user
            && !headers.contains_key(AUTHORIZATION)
        {
            let pair = [&user.name, b":".as_slice(), user.password.as_deref().unwrap_or_default()].concat();
            // Base64 is always a valid header value.
            if let Ok(value) = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))) {
                headers.insert(AUTHORIZATION, value);
            }
        }
        let again = self.body.again();
        self.spent |= again.is_none();
        let again = again.unwrap_or(OutgoingBody::Empty);
        let body = std::mem::replace(&mut self.body, again);
        announce_trailers(&mut headers, &body);
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Outgoing { method: self.method.clone(), target: wire_target(target(&self.url)), host, headers, body }
    }

    /// Where it goes.
    pub(in crate::server) fn origin(&self) -> Origin {
        Origin::of(&self.url)
    }
}

/// Path and query as they go on the wire.
fn target(url: &GoUrl<'_>) -> Vec<u8> {
    let mut target = url.request_uri();
    if !target.starts_with(b"/") {
        target.insert(0, b'/');
    }
    target
}

/// A method as Go's client names it in errors: first letter as sent, the rest in lower case.
pub(in crate::server) fn go_operation(method: &str) -> String {
    let mut chars = method.chars();
    chars.next().map_or_else(|| "Get".to_owned(), |first| format!("{first}{}", chars.as_str().to_lowercase()))
}
