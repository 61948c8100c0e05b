//! The request as the origin sees it. spec: http-proxy §9.1 stage 6

use std::borrow::Cow;

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE, UPGRADE, USER_AGENT};

use crate::policy::url::GoUrl;
use crate::server::scrub;
use crate::server::wire::Head;
use crate::server::wire::head::has_token;
use crate::upstream::http::{announce_trailers, host_value, wire_target};
use crate::upstream::pool::{Outgoing, OutgoingBody};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The protocol that a request asks to switch to.
pub(super) fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    has_token(headers, CONNECTION, b"upgrade").then(|| headers.get(UPGRADE).cloned()).flatten()
}

/// The origin's URL with the request's path below its own, and both queries.
pub(super) fn map(origin: &GoUrl<'static>, asked: &GoUrl<'_>) -> GoUrl<'static> {
    let (base, path) = (origin.escaped_path(), asked.escaped_path());
    let query = match (&*origin.raw_query, &*asked.raw_query) {
        (b"", query) | (query, b"") => query.to_vec(),
        (first, second) => [first, second].join(&b'&'),
    };
    GoUrl {
        scheme: origin.scheme.clone(),
        host: origin.host.clone(),
        path: Cow::Owned(join(&origin.path, &asked.path)),
        raw_path: Cow::Owned(join(&base, &path)),
        raw_query: Cow::Owned(query),
        force_query: asked.force_query,
        ..GoUrl::default()
    }
}

/// Two paths with exactly one slash between them.
fn join(base: &[u8], path: &[u8]) -> Vec<u8> {
    match (base.ends_with(b"/"), path.starts_with(b"/")) {
        (true, true) => [base, &path[1..]].concat(),
        (false, false) => [base, b"/", path].concat(),
        _ => [base, path].concat(),
    }
}

/// Takes the headers of one connection off, says on whose behalf it is, keeps everything else.
pub(super) fn build(head: Head, url: &GoUrl<'static>, client_ip: &str, body: OutgoingBody) -> Outgoing {
    let Head { method, mut headers, .. } = head;
    let upgrade = upgrade_of(&headers);
    let takes_trailers = has_token(&headers, TE, b"trailers");
    scrub::strip_hop_by_hop(&mut headers);
    headers.remove(PROXY_CONNECTION);
    headers.remove(CONTENT_LENGTH);
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, protocol);
    }
    let mut forwarded: Vec<&[u8]> =
        headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes).collect();
    forwarded.push(client_ip.as_bytes());
    // Values that were headers before, and an address: always a valid header.
    if let Ok(value) = HeaderValue::from_bytes(&forwarded.join(&b", "[..])) {
        headers.insert(FORWARDED_FOR, value);
    }
    if headers.get(USER_AGENT).is_some_and(HeaderValue::is_empty) {
        headers.remove(USER_AGENT);
    }
    announce_trailers(&mut headers, &body);
    Outgoing { method, target: wire_target(url.request_uri()), host: host_value(&url.host), headers, body }
}
