//! Which URL a `/fetch` or `/ws` request is about. (spec: http-proxy §7.2)

use crate::policy::url::parse::{Part, decode, query_pairs};

/// Decodings of the display form, and bytes that they go through in all.
const MAX_ROUNDS: usize = 500;
const MAX_WORK: usize = 4 << 20;

/// The target of a request with this raw query, control characters removed; `None` when there is none.
///
/// With further parameters beside `url` and `agent` the client has not encoded its target, and everything behind `url=` is meant.
pub(in crate::server) fn extract(raw_query: &[u8]) -> Option<Vec<u8>> {
    let pairs: Vec<_> = query_pairs(raw_query).collect();
    let value = &pairs.iter().find(|(key, _)| &**key == b"url").filter(|(_, value)| !value.is_empty())?.1;
    let has_others = pairs.iter().any(|(key, _)| !matches!(&**key, b"url" | b"agent"));
    let target = if has_others {
        let raw = raw_query.strip_prefix(b"url=").or_else(|| {
            let at = raw_query.windows(5).position(|window| window == b"&url=")?;
            Some(&raw_query[at + 5..])
        })?;
        decode(raw, Part::Query).map_or_else(|_| raw.to_vec(), std::borrow::Cow::into_owned)
    } else {
        value.to_vec()
    };
    let target: Vec<u8> = target.into_iter().filter(|b| *b >= 0x20 && *b != 0x7f).collect();
    (!target.is_empty()).then_some(target)
}

/// The form that answers and logs show: decoded until nothing changes, or not to the end if that costs too much.
pub(in crate::server) fn display(target: &[u8]) -> String {
    let mut shown = target.to_vec();
    for _ in 0..MAX_ROUNDS.min(MAX_WORK / target.len().max(1)) {
        match decode(&shown, Part::Query) {
            Ok(decoded) if *decoded != *shown => shown = decoded.into_owned(),
            _ => break,
        }
    }
    String::from_utf8_lossy(&shown).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_what_the_client_meant() {
        let cases: &[(&str, Option<&str>)] = &[
            ("url=http://h/", Some("http://h/")),
            ("url=http%3A%2F%2Fh%2F%3Fa%3D1%26b%3D2", Some("http://h/?a=1&b=2")),
            ("url=http://h/?a=1&b=2", Some("http://h/?a=1&b=2")),
            ("url=http://h/&agent=bot", Some("http://h/")),
            ("url=http://h/?a=1&agent=x&b=2", Some("http://h/?a=1&agent=x&b=2")),
            ("x=1&url=http://h/?a=1&b=2", Some("http://h/?a=1&b=2")),
            ("url=http://h/a%0ab%00c", Some("http://h/abc")),
            ("url=", None),
            ("", None),
            ("agent=x", None),
        ];
        for (query, want) in cases {
            let target = extract(query.as_bytes());
            assert_eq!(target.as_deref(), want.map(str::as_bytes), "{query}");
        }
    }

    #[test]
    fn the_display_form_is_decoded_to_the_end() {
        assert_eq!(display(b"http://h/a%2520b+c"), "http://h/a b c");
        assert_eq!(display(b"http://h/%zz%20"), "http://h/%zz%20");
        let nested = "%25".repeat(1 << 20);
        assert_eq!(display(nested.as_bytes()).len(), 1 << 20);
    }
}
