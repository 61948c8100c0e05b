//! Who is asking: client address, request id, agent name. (spec: http-proxy §3)
//!
//! Forwarding headers are never believed. The agent *name* is free text of the client (cleaned, at most 64 bytes) and goes into
//! logs and session keys; the *profile* is the bounded set that metrics may use, and is always `_default` here because agent
//! profiles belong to a licensed add-on of the reference.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;

/// The header by which a client names its agent. Never reaches an origin.
pub const AGENT_HEADER: &str = "x-pipelock-agent";

/// The name of a client that gave none.
pub const ANONYMOUS: &str = "anonymous";

/// The metrics label of every request while no profiles exist.
pub const DEFAULT_PROFILE: &str = "_default";

const MAX_NAME: usize = 64;

/// `req-` and a number that counts up over the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "req-{}", self.0)
    }
}

impl RequestId {
    /// As logged, with a single allocation.
    #[must_use]
    pub fn text(self) -> Arc<str> {
        let mut text = [0; 24];
        let mut rest = &mut text[..];
        // "req-" and at most twenty digits: it always fits.
        let _ = write!(rest, "{self}");
        let length = 24 - rest.len();
        std::str::from_utf8(&text[..length]).unwrap_or_default().into()
    }
}

/// The identity of one request.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Peer address without port; IPv6 without brackets.
    pub client_ip: Arc<str>,
    /// Shared by everything that happens under one request, also by all requests inside one intercepted tunnel.
    pub request_id: Arc<str>,
    /// Cleaned agent name, `anonymous` when there is none.
    pub agent: Arc<str>,
    /// The address uses so many names that this one shares a session with others of them (D-541).
    pub surplus: bool,
}

impl Identity {
    /// The agent that the session is one of; empty where it is nobody's or that of several.
    #[must_use]
    pub fn session_agent(&self) -> &str {
        if self.surplus || &*self.agent == ANONYMOUS { "" } else { &self.agent }
    }

    /// Session key: `name|client_ip`, or only the address for anonymous clients. (spec: http-proxy §3.4)
    #[must_use]
    pub fn session_key(&self) -> String {
        if self.surplus {
            // No name has an asterisk.
            format!("*|{}", self.client_ip)
        } else if &*self.agent == ANONYMOUS {
            self.client_ip.to_string()
        } else {
            format!("{}|{}", self.agent, self.client_ip)
        }
    }
}

/// The peer address as logged.
#[must_use]
pub fn client_ip(peer: SocketAddr) -> String {
    match peer {
        // A dual-stack listener reports IPv4 peers in their mapped form; Go prints those as IPv4.
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => v4.to_string(),
            None if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
            None => v6.ip().to_string(),
        },
        SocketAddr::V4(v4) => v4.ip().to_string(),
    }
}

/// The agent name by the rules of §3.2; `query_agent` is the decoded `agent` parameter of the request's URL, if any.
#[must_use]
pub fn agent_name(
    headers: &HeaderMap,
    query_agent: Option<&[u8]>,
    default_identity: &str,
    bind_default: bool,
) -> Cow<'static, str> {
    if bind_default && !default_identity.is_empty() {
        return sanitise(default_identity.as_bytes()).into();
    }
    let from_header = headers.get(AGENT_HEADER).map(|value| value.as_bytes()).filter(|v| !v.is_empty());
    if let Some(name) = from_header.map(sanitise).filter(|name| name != ANONYMOUS) {
        return name.into();
    }
    if !default_identity.is_empty() {
        return sanitise(default_identity.as_bytes()).into();
    }
    query_agent.map_or(Cow::Borrowed(ANONYMOUS), |name| sanitise(name).into())
}

/// One `_` for each character outside `A-Z a-z 0-9 . _ -` (each invalid UTF-8 byte counts as one), at most 64 bytes, never empty.
#[must_use]
pub fn sanitise(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len().min(MAX_NAME));
    'chunks: for chunk in name.utf8_chunks() {
        let invalid = std::iter::repeat_n('_', chunk.invalid().len());
        for c in chunk.valid().chars().map(clean).chain(invalid) {
            if out.len() == MAX_NAME {
                break 'chunks;
            }
            out.push(c);
        }
    }
    if out.is_empty() { ANONYMOUS.to_owned() } else { out }
}

fn clean(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_cut() {
        let long = "a".repeat(100);
        let cases: &[(&[u8], &str)] = &[
            (b"my agent/1", "my_agent_1"),
            ("é".as_bytes(), "_"),
            (b"\xff\xfex", "__x"),
            (b"", "anonymous"),
            (long.as_bytes(), &long[..64]),
        ];
        for (name, want) in cases {
            assert_eq!(sanitise(name), *want, "{name:?}");
        }
    }

    #[test]
    fn the_first_source_that_gives_a_name_wins() {
        let mut named = HeaderMap::new();
        named.insert(AGENT_HEADER, http::HeaderValue::from_static("h"));
        let mut anonymous = HeaderMap::new();
        anonymous.insert(AGENT_HEADER, http::HeaderValue::from_static("anonymous"));
        let none = HeaderMap::new();
        let cases: &[(&HeaderMap, Option<&[u8]>, &str, bool, &str)] = &[
            (&named, Some(b"q"), "d", true, "d"),
            (&named, Some(b"q"), "d", false, "h"),
            (&anonymous, Some(b"q"), "d", false, "d"),
            (&anonymous, Some(b"q"), "", false, "q"),
            (&none, None, "", true, "anonymous"),
        ];
        for (headers, query, default, bind, want) in cases {
            assert_eq!(
                agent_name(headers, *query, default, *bind),
                *want,
                "{headers:?} {query:?} {default:?}"
            );
        }
    }
}
