//! One URL under examination: its parts, its canonical host and its canonical string.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};

use muselet_rules::dlp::Values;
use muselet_rules::text::{self, Parameters};

use super::hardened::ROUNDS;
use super::parse::{GoUrl, ParseError, authority_name, parse};
use super::quick::Cleared;
use super::views;
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
    /// What need not be looked for.
    pub cleared: Cleared,
    canonical: OnceCell<Cow<'u, [u8]>>,
    query: OnceCell<Vec<u8>>,
    lenient_query: OnceCell<Vec<u8>>,
    lenient_path: OnceCell<Vec<u8>>,
    decoded_canonical: OnceCell<Vec<u8>>,
    parameters: OnceCell<Parameters>,
    values: OnceCell<Values>,
}

thread_local! {
    /// The memory of the last URL's values.
    static VALUES: RefCell<Values> = RefCell::default();
}

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        if let Some(values) = self.values.take() {
            let _ = VALUES.try_with(|kept| kept.replace(values));
        }
    }
}

impl<'u> Scan<'u> {
    pub(super) fn new(raw: &'u [u8]) -> Result<Self, ParseError> {
        let mut url = parse(raw)?;
        let mut host = match &url.host {
            Cow::Borrowed(host) => host::lower_bytes(authority_name(host)),
            Cow::Owned(_) => Cow::Owned(host::lower_bytes(url.host_name()).into_owned()),
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
            cleared: Cleared::default(),
            canonical: OnceCell::new(),
            query: OnceCell::new(),
            lenient_query: OnceCell::new(),
            lenient_path: OnceCell::new(),
            decoded_canonical: OnceCell::new(),
            parameters: OnceCell::new(),
            values: OnceCell::new(),
        })
    }

    /// The re-assembled URL that the secret layers examine. (spec: url-scan §3.8)
    pub(super) fn canonical(&self) -> &[u8] {
        self.canonical.get_or_init(|| {
            if self.url.is_canonical() && memchr::memchr(b'#', self.raw).is_none() {
                Cow::Borrowed(self.raw)
            } else {
                Cow::Owned(self.url.to_bytes())
            }
        })
    }

    /// Whether the canonical string is the text as given.
    pub(super) fn is_written_canonically(&self) -> bool {
        self.canonical();
        matches!(self.canonical.get(), Some(Cow::Borrowed(_)))
    }

    /// The canonical string, decoded until it settles.
    pub(super) fn decoded_canonical(&self) -> &[u8] {
        decoded_once(&self.decoded_canonical, self.canonical(), b'+', text::percent_decode_all)
    }

    /// The canonical string, decoded with bad escapes left as they are and `+` kept.
    pub(super) fn lenient_canonical(&self) -> Cow<'_, [u8]> {
        let (raw, decoded) = (self.canonical(), self.decoded_canonical());
        // Both ways of decoding are one when it goes without a hitch and no `+` comes up in it.
        let gives_plus_or_escape = |at: usize| matches!(raw.get(at + 1..at + 3), Some(b"25" | b"2B" | b"2b"));
        let has_plus =
            memchr::memchr(b'+', raw).is_some() || memchr::memchr_iter(b'%', raw).any(gives_plus_or_escape);
        if !has_plus && memchr::memchr(b'%', decoded).is_none() {
            return Cow::Borrowed(decoded);
        }
        text::percent_decode_lenient(raw, ROUNDS)
    }

    /// The query, decoded until it settles.
    pub(super) fn query(&self) -> &[u8] {
        decoded_once(&self.query, &self.url.raw_query, b'+', text::percent_decode_all)
    }

    /// The query, decoded with bad escapes left as they are and `+` kept.
    pub(super) fn lenient_query(&self) -> &[u8] {
        decoded_once(&self.lenient_query, &self.url.raw_query, b'%', |raw| {
            text::percent_decode_lenient(raw, ROUNDS)
        })
    }

    /// The path, decoded in the same way until it settles.
    pub(super) fn lenient_path(&self) -> &[u8] {
        decoded_once(&self.lenient_path, &self.url.path, b'%', |path| {
            text::percent_decode_lenient(path, ROUNDS)
        })
    }

    /// The ordered values of the query.
    pub(super) fn values(&self) -> &Values {
        self.values.get_or_init(|| {
            let mut values = VALUES.try_with(RefCell::take).unwrap_or_default();
            views::write_ordered_values(&self.url.raw_query, self.parameters(), &mut values);
            values
        })
    }

    /// Keys and values of the query's pieces, as written.
    pub(super) fn raw_pairs(&self) -> impl Iterator<Item = [&[u8]; 2]> {
        self.parameters().pairs(&self.url.raw_query)
    }

    /// Whether a piece of the query, as written, has so many bytes or more.
    pub(super) fn has_piece_of(&self, bytes: usize) -> bool {
        self.url.raw_query.len() >= bytes && self.parameters().longest_piece(&self.url.raw_query) >= bytes
    }

    fn parameters(&self) -> &Parameters {
        self.parameters.get_or_init(|| Parameters::of(&self.url.raw_query))
    }

    /// The text before the first `#`.
    pub(super) fn before_fragment(&self) -> &'u [u8] {
        memchr::memchr(b'#', self.raw).map_or(self.raw, |at| &self.raw[..at])
    }
}

/// What `decode` makes of `raw`, made at most once; nothing is made of what has neither `%` nor the `other` byte.
fn decoded_once<'s>(
    cell: &'s OnceCell<Vec<u8>>,
    raw: &'s [u8],
    other: u8,
    decode: impl Fn(&'s [u8]) -> Cow<'s, [u8]>,
) -> &'s [u8] {
    if memchr::memchr2(b'%', other, raw).is_none() {
        return raw;
    }
    cell.get_or_init(|| decode(raw).into_owned())
}
