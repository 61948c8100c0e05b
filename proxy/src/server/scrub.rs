//! What is removed from a request before it goes on, the same on every transport.
//!
//! Three things never reach an origin: envelope headers that a client made up (they are this proxy's to write), headers that say
//! who asked (they would tell the origin about the agent's network), and headers that concern one connection only.
//!
//! spec: tls-and-request-bodies §9.1, §9.2, §15.3; http-proxy §4, §5.2.

mod dictionary;

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use muselet_rules::order::sorted;

use crate::policy::url::parse::{Part, encode_into, query_pairs};

const ENVELOPE: HeaderName = HeaderName::from_static("pipelock-mediation");
const SIGNATURE: HeaderName = HeaderName::from_static("signature");
const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");

/// Headers that name the agent or its address.
const IDENTITY: [&str; 8] = [
    "x-pipelock-agent",
    "x-forwarded-for",
    "x-real-ip",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "forwarded",
    "via",
];

/// Headers that concern one connection. `Proxy-Connection` is not among them: the reference forwards it.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether any of `names` is there. Most messages have none; one pass over their few headers is cheaper than a look-up of each.
fn has_any(headers: &HeaderMap, names: &[&str]) -> bool {
    headers.keys().any(|name| names.contains(&name.as_str()))
}

/// Removes envelope headers that a client sent, and our members of its signatures. First thing on every request.
pub fn strip_envelope(headers: &mut HeaderMap) {
    if !has_any(headers, &[ENVELOPE.as_str(), SIGNATURE.as_str(), SIGNATURE_INPUT.as_str()]) {
        return;
    }
    headers.remove(ENVELOPE);
    for name in [SIGNATURE, SIGNATURE_INPUT] {
        if headers.contains_key(&name) {
            strip_members(headers, &name);
        }
    }
}

fn strip_members(headers: &mut HeaderMap, name: &HeaderName) {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    let joined = lines.join(&b", "[..]);
    match dictionary::without(&joined, b"pipelock") {
        Ok(dictionary::Stripped::Untouched) => {}
        Ok(dictionary::Stripped::Rest(rest)) => match HeaderValue::from_bytes(&rest) {
            Ok(value) => drop(headers.insert(name.clone(), value)),
            Err(_) => drop(headers.remove(name)),
        },
        Ok(dictionary::Stripped::Empty) => drop(headers.remove(name)),
        // Not a dictionary: only what might be meant as ours goes.
        Err(dictionary::NotADictionary) => {
            if joined.to_ascii_lowercase().windows(8).any(|window| window == b"pipelock") {
                headers.remove(name);
            }
        }
    }
}

/// Removes who asked.
pub fn strip_identity(headers: &mut HeaderMap) {
    if !has_any(headers, &IDENTITY) {
        return;
    }
    for name in IDENTITY {
        headers.remove(name);
    }
}

/// Removes what concerns one connection only, and whatever `Connection` names. Used for requests and responses.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if !has_any(headers, &HOP_BY_HOP) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .filter_map(|part| HeaderName::from_bytes(part.trim_ascii()).ok())
        .collect();
    for name in &named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// A query without its `agent` parameters: `None` when it has none and stays byte for byte, else the whole query re-encoded as
/// Go's `url.Values` writes it (sorted by key, pairs that do not parse dropped).
#[must_use]
pub fn without_agent(query: &[u8]) -> Option<Vec<u8>> {
    let mut pairs: Vec<_> = query_pairs(query).collect();
    let before = pairs.len();
    pairs.retain(|(key, _)| key.as_ref() != b"agent");
    if pairs.len() == before {
        return None;
    }
    // Stable: values of one key keep their order.
    let pairs = sorted(pairs, |(a, _), (b, _)| a.cmp(b));
    let mut out = Vec::with_capacity(query.len());
    for (key, value) in &pairs {
        if !out.is_empty() {
            out.push(b'&');
        }
        encode_into(&mut out, key, Part::Query);
        out.push(b'=');
        encode_into(&mut out, value, Part::Query);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn envelope_headers_and_our_signature_members_go_and_nothing_else() {
        let cases: &[(&[(&str, &str)], &[(&str, &str)])] = &[
            (&[("pipelock-mediation", "v=1"), ("x", "1")], &[("x", "1")]),
            (&[("signature", "sig1=:AA==:")], &[("signature", "sig1=:AA==:")]),
            (&[("signature", "pipelock1=:AA==:")], &[]),
            (&[("signature", "a=:AA==:, pipelock1=:AA==:;x=\"a,b\" , b")], &[("signature", "a=:AA==:, b")]),
            (
                &[("signature-input", "a=(\"@method\" \"x\");created=1,pipelock9=(\"y\");tag=\"t\"")],
                &[("signature-input", "a=(\"@method\" \"x\");created=1")],
            ),
            (&[("signature", "not a dictionary!")], &[("signature", "not a dictionary!")]),
            (&[("signature", "PIPELOCK !!")], &[]),
            (&[("signature", "a=1"), ("signature", "pipelockx")], &[("signature", "a=1")]),
        ];
        for (before, after) in cases {
            let mut headers = map(before);
            strip_envelope(&mut headers);
            assert_eq!(headers, map(after), "{before:?}");
        }
    }

    #[test]
    fn hop_by_hop_and_named_headers_go_but_proxy_connection_stays() {
        let mut headers = map(&[
            ("connection", "X-Foo, keep-alive"),
            ("x-foo", "1"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("x-keep", "1"),
        ]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&[("proxy-connection", "keep-alive"), ("x-keep", "1")]));
    }

    #[test]
    fn identity_headers_go() {
        let mut headers =
            map(&[("x-forwarded-for", "1.2.3.4"), ("via", "x"), ("x-pipelock-agent", "a"), ("x-a", "1")]);
        strip_identity(&mut headers);
        assert_eq!(headers, map(&[("x-a", "1")]));
    }

    #[test]
    fn an_agent_parameter_makes_go_rewrite_the_query() {
        let cases: &[(&str, Option<&str>)] = &[
            ("agent=evil", Some("")),
            ("z=1&agent=x&b=a%20b&y=%zz", Some("b=a+b&z=1")),
            ("Agent=x&z=%zz", None),
            ("%61gent=x&k", Some("k=")),
            ("a=2&agent&a=1", Some("a=2&a=1")),
            ("agent=x;y", None),
            ("", None),
        ];
        for (query, want) in cases {
            let got = without_agent(query.as_bytes()).map(|q| String::from_utf8(q).unwrap());
            assert_eq!(got.as_deref(), *want, "{query}");
        }
    }
}
