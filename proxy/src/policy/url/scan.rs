//! One URL under examination: its parts, its canonical host and its canonical string.

use std::borrow::Cow;
use std::cell::OnceCell;

use muselet_rules::text;

use super::hardened::ROUNDS;
use super::parse::{GoUrl, ParseError, authority_name, parse};
use crate::policy::address;
use crate::policy::host;
use crate::policy::verdict::WarnMatch;

/// A parsed URL and what the layers derive from it.
#[derive(Debug)]
pub(super) struct Scan<'u> {
    /// The text as given.
    pub raw: &'u [u8],
    /// Its parts, with an alternative IPv4 notation in the host already rewritten.
    pub url: GoUrl<'u>,
    /// The canonical host. (spec: url-scan §3.10)
    pub host: Cow<'u, str>,
    /// Warn-only rules that matched so far.
    pub warn_matches: Vec<WarnMatch>,
    /// No rule can match any text that the rule layers examine.
    pub no_rule_matches: bool,
    canonical: OnceCell<Cow<'u, [u8]>>,
    query: OnceCell<Vec<u8>>,
    lenient_query: OnceCell<Vec<u8>>,
}

impl<'u> Scan<'u> {
    pub(super) fn new(raw: &'u [u8]) -> Result<Self, ParseError> {
        let mut url = parse(raw)?;
        let mut host = match &url.host {
            Cow::Borrowed(host) => host::lower(authority_name(host)),
            Cow::Owned(_) => Cow::Owned(host::lower(url.host_name()).into_owned()),
        };
        if let Some(address) = address::parse_alternative_ipv4(&host) {
            let dotted = address.to_string();
            url.set_host_name(&dotted);
            host = Cow::Owned(dotted);
        }
        Ok(Self {
            raw,
            url,
            host,
            warn_matches: Vec::new(),
            no_rule_matches: false,
            canonical: OnceCell::new(),
            query: OnceCell::new(),
            lenient_query: OnceCell::new(),
        })
    }

    /// The re-assembled URL that the secret layers examine. (spec: url-scan §3.8)
    pub(super) fn canonical(&self) -> &[u8] {
        self.canonical.get_or_init(|| {
            if self.url.is_canonical() && !self.raw.contains(&b'#') {
                Cow::Borrowed(self.raw)
            } else {
                Cow::Owned(self.url.to_bytes())
            }
        })
    }

    /// The query, decoded until it settles.
    pub(super) fn query(&self) -> &[u8] {
        decoded_once(&self.query, &self.url.raw_query, text::percent_decode_all)
    }

    /// The query, decoded with bad escapes left as they are and `+` kept.
    pub(super) fn lenient_query(&self) -> &[u8] {
        decoded_once(&self.lenient_query, &self.url.raw_query, |raw| {
            text::percent_decode_lenient(raw, ROUNDS)
        })
    }

    /// The text before the first `#`.
    pub(super) fn before_fragment(&self) -> &'u [u8] {
        memchr::memchr(b'#', self.raw).map_or(self.raw, |at| &self.raw[..at])
    }
}

/// What `decode` makes of `raw`, made at most once; nothing is made of what has no escapes.
fn decoded_once<'s>(
    cell: &'s OnceCell<Vec<u8>>,
    raw: &'s [u8],
    decode: impl Fn(&'s [u8]) -> Cow<'s, [u8]>,
) -> &'s [u8] {
    if memchr::memchr2(b'%', b'+', raw).is_none() {
        return raw;
    }
    cell.get_or_init(|| decode(raw).into_owned())
}
