//! URLs as Go's `net/url` understands them: the reference's verdicts, and what its HTTP client connects to, depend on these
//! rules and not on the WHATWG's.
//!
//! Nothing is normalised except the scheme's case: dots, percent-escapes, ports and IDNA stay as sent. Every part borrows
//! from the input where decoding changes nothing, so that parsing a plain URL allocates nothing. Parts are bytes: an escape
//! may decode to anything. (spec: url-scan §3)

mod authority;
mod escape;
mod resolve;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::views;

pub use authority::UserInfo;
pub use escape::{Part, decode, encode_into};

/// Why a text is not a URL. The messages are those of the standard library that the reference uses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A byte below 0x20, or 0x7F, before the fragment.
    #[error("net/url: invalid control character in URL")]
    ControlCharacter,
    /// Nothing at all, as a request target.
    #[error("empty url")]
    Empty,
    /// A colon at the very start.
    #[error("missing protocol scheme")]
    MissingScheme,
    /// A request target that is neither absolute nor a path.
    #[error("invalid URI for request")]
    RequestTarget,
    /// A relative reference such as `a:b`… that could be taken for a scheme.
    #[error("first path segment in URL cannot contain colon")]
    ColonInFirstSegment,
    /// A `%` without two hexadecimal digits, or one that is not allowed in this part.
    #[error("invalid URL escape {}", crate::policy::url::quote(.0.as_bytes()))]
    Escape(String),
    /// An ASCII byte that a host cannot have.
    #[error("invalid character {} in host name", crate::policy::url::quote(&[*.0]))]
    HostByte(u8),
    /// An opening bracket without its closing one.
    #[error("missing ']' in host")]
    MissingBracket,
    /// Brackets around something that is not an IPv6 address, or not at the start.
    #[error("invalid host: {}", crate::policy::url::quote(.0))]
    IpLiteral(Vec<u8>),
    /// Something other than digits after the last colon.
    #[error("invalid port {} after host", crate::policy::url::quote(.0))]
    Port(Vec<u8>),
    /// A byte that user-info cannot have.
    #[error("net/url: invalid userinfo")]
    UserInfo,
}

impl ParseError {
    /// The message with the text that did not parse, as the standard library words it.
    #[must_use]
    pub fn describe(&self, url: &[u8]) -> String {
        format!("parse {}: {self}", crate::policy::url::quote(url))
    }
}

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GoUrl<'a> {
    /// Lower-cased; empty when there is none.
    pub scheme: Cow<'a, str>,
    /// Everything after the scheme of a URL such as `mailto:a@b`; host and path are empty then.
    pub opaque: Cow<'a, [u8]>,
    /// User name and password.
    pub user: Option<UserInfo<'a>>,
    /// Host with port and brackets, decoded.
    pub host: Cow<'a, [u8]>,
    /// Decoded path.
    pub path: Cow<'a, [u8]>,
    /// The path as written, only where it differs from the default encoding of `path`; else empty.
    pub raw_path: Cow<'a, [u8]>,
    /// There was no `//` after the scheme.
    pub omit_host: bool,
    /// The URL ended with its only `?`.
    pub force_query: bool,
    /// Query as written, without `?`.
    pub raw_query: Cow<'a, [u8]>,
    /// Decoded fragment.
    pub fragment: Cow<'a, [u8]>,
    /// The fragment as written, only where it differs from the default encoding of `fragment`; else empty.
    pub raw_fragment: Cow<'a, [u8]>,
}

/// Parses a URL or a relative reference. (spec: url-scan §3.1)
///
/// # Errors
/// See [`ParseError`].
pub fn parse(input: &[u8]) -> Result<GoUrl<'_>, ParseError> {
    let Some(hash) = memchr::memchr(b'#', input) else { return parse_without_fragment(input, false) };
    let mut url = parse_without_fragment(&input[..hash], false)?;
    let raw = &input[hash + 1..];
    if !raw.is_empty() {
        url.fragment = decode(raw, Part::Fragment)?;
        if !escape::is_default_encoding(raw, Part::Fragment) {
            url.raw_fragment = Cow::Borrowed(raw);
        }
    }
    Ok(url)
}

/// Parses an HTTP request target: absolute, or starting with `/`, or `*`. A `#` is data.
///
/// # Errors
/// See [`ParseError`].
pub fn parse_request_target(input: &[u8]) -> Result<GoUrl<'_>, ParseError> {
    parse_without_fragment(input, true)
}

fn parse_without_fragment(input: &[u8], is_request_target: bool) -> Result<GoUrl<'_>, ParseError> {
    let has_control =
        |chunk: &[u8]| chunk.iter().fold(false, |any, &byte| any | (byte < 0x20) | (byte == 0x7f));
    if input.chunks(64).any(has_control) {
        return Err(ParseError::ControlCharacter);
    }
    if input.is_empty() && is_request_target {
        return Err(ParseError::Empty);
    }
    let mut url = GoUrl::default();
    if input == b"*" {
        url.path = Cow::Borrowed(input);
        return Ok(url);
    }
    let (scheme, mut rest) = split_scheme(input)?;
    url.scheme = scheme;
    match memchr::memchr(b'?', rest) {
        Some(at) if at + 1 == rest.len() => {
            url.force_query = true;
            rest = &rest[..at];
        }
        Some(at) => {
            url.raw_query = Cow::Borrowed(&rest[at + 1..]);
            rest = &rest[..at];
        }
        None => {}
    }
    let has_scheme = !url.scheme.is_empty();
    if !rest.starts_with(b"/") {
        if has_scheme {
            url.opaque = Cow::Borrowed(rest);
            return Ok(url);
        }
        if is_request_target {
            return Err(ParseError::RequestTarget);
        }
        let first = rest.split(|&byte| byte == b'/').next().unwrap_or(rest);
        if first.contains(&b':') {
            return Err(ParseError::ColonInFirstSegment);
        }
    }
    if rest.starts_with(b"//") && (has_scheme || (!is_request_target && !rest.starts_with(b"///"))) {
        let after = &rest[2..];
        let end = memchr::memchr(b'/', after).unwrap_or(after.len());
        let (user, host) = authority::parse(&after[..end])?;
        url.user = user;
        url.host = host;
        rest = &after[end..];
    } else if has_scheme && rest.starts_with(b"/") {
        url.omit_host = true;
    }
    url.path = decode(rest, Part::Path)?;
    if !escape::is_default_encoding(rest, Part::Path) {
        url.raw_path = Cow::Borrowed(rest);
    }
    Ok(url)
}

fn split_scheme(input: &[u8]) -> Result<(Cow<'_, str>, &[u8]), ParseError> {
    for (at, &byte) in input.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err(ParseError::MissingScheme),
            b':' => {
                let scheme = std::str::from_utf8(&input[..at]).unwrap_or_default();
                let scheme = if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    Cow::Owned(scheme.to_ascii_lowercase())
                } else {
                    Cow::Borrowed(scheme)
                };
                return Ok((scheme, &input[at + 1..]));
            }
            _ => break,
        }
    }
    Ok((Cow::Borrowed(""), input))
}

impl<'a> GoUrl<'a> {
    /// Host without port and without brackets. (spec: url-scan §3.9)
    #[must_use]
    pub fn host_name(&self) -> &[u8] {
        authority::split_port(&self.host).0
    }

    /// Digits after the last colon of the host, or empty.
    #[must_use]
    pub fn port(&self) -> &[u8] {
        authority::split_port(&self.host).1
    }

    /// The path as it is written into a request. (spec: url-scan §3.8 step 3)
    #[must_use]
    pub fn escaped_path(&self) -> Cow<'_, [u8]> {
        escaped(&self.path, &self.raw_path, Part::Path)
    }

    /// The fragment as it is written. (spec: url-scan §3.8 step 5)
    #[must_use]
    pub fn escaped_fragment(&self) -> Cow<'_, [u8]> {
        escaped(&self.fragment, &self.raw_fragment, Part::Fragment)
    }

    /// Path and query of an HTTP/1.1 request for this URL; at least `/`.
    #[must_use]
    pub fn request_uri(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.path.len() + self.raw_query.len() + 2);
        if self.opaque.is_empty() {
            let path = self.escaped_path();
            out.extend_from_slice(if path.is_empty() { b"/" } else { &path });
        } else {
            if self.opaque.starts_with(b"//") {
                out.extend_from_slice(self.scheme.as_bytes());
                out.push(b':');
            }
            out.extend_from_slice(&self.opaque);
        }
        self.push_query(&mut out);
        out
    }

    /// The canonical string. (spec: url-scan §3.8)
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let parts = [&*self.host, &self.path, &self.raw_query];
        let mut out = Vec::with_capacity(parts.iter().map(|part| part.len()).sum::<usize>() + 16);
        self.write_to(&mut out);
        out
    }

    /// Appends the canonical string to `out`. (spec: url-scan §3.8)
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let start = out.len();
        if !self.scheme.is_empty() {
            out.extend_from_slice(self.scheme.as_bytes());
            out.push(b':');
        }
        if self.opaque.is_empty() {
            self.write_hierarchy(out, start);
        } else {
            out.extend_from_slice(&self.opaque);
        }
        self.push_query(out);
        if !self.fragment.is_empty() {
            out.push(b'#');
            out.extend_from_slice(&self.escaped_fragment());
        }
    }

    fn write_hierarchy(&self, out: &mut Vec<u8>, start: usize) {
        let has_authority = !self.host.is_empty() || self.user.is_some();
        if has_authority || (!self.scheme.is_empty() && !self.omit_host) {
            if has_authority || !self.path.is_empty() {
                out.extend_from_slice(b"//");
            }
            if let Some(user) = &self.user {
                user.write_to(out);
                out.push(b'@');
            }
            encode_into(out, &self.host, Part::Host);
        }
        let path = self.escaped_path();
        if !self.host.is_empty() && path.first().is_some_and(|&byte| byte != b'/') {
            out.push(b'/');
        }
        if out.len() == start
            && path.split(|&byte| byte == b'/').next().is_some_and(|first| first.contains(&b':'))
        {
            out.extend_from_slice(b"./");
        }
        out.extend_from_slice(&path);
    }

    fn push_query(&self, out: &mut Vec<u8>) {
        if self.force_query || !self.raw_query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.raw_query);
        }
    }

    /// Whether [`GoUrl::to_bytes`] of a URL parsed from `input` would give `input` back, as far as a cheap test can tell:
    /// `false` is always a safe answer.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        let borrowed = |text: &Cow<'_, [u8]>| matches!(text, Cow::Borrowed(_));
        matches!(self.scheme, Cow::Borrowed(_))
            && self.opaque.is_empty()
            && self.user.is_none()
            && !self.host.is_empty()
            && borrowed(&self.host)
            && self.host.iter().all(|&byte| Part::Host.keeps(byte))
            && self.fragment.is_empty()
            && (self.raw_path.is_empty() || escape::is_valid_encoding(&self.raw_path, Part::Path))
    }

    /// Detached from the input's memory.
    #[must_use]
    pub fn into_owned(self) -> GoUrl<'static> {
        fn own(text: Cow<'_, [u8]>) -> Cow<'static, [u8]> {
            Cow::Owned(text.into_owned())
        }
        GoUrl {
            scheme: Cow::Owned(self.scheme.into_owned()),
            opaque: own(self.opaque),
            user: self.user.map(UserInfo::into_owned),
            host: own(self.host),
            path: own(self.path),
            raw_path: own(self.raw_path),
            omit_host: self.omit_host,
            force_query: self.force_query,
            raw_query: own(self.raw_query),
            fragment: own(self.fragment),
            raw_fragment: own(self.raw_fragment),
        }
    }

    /// Replaces path and raw path by what `raw` says; a bad escape leaves both as they are.
    pub(crate) fn set_path(&mut self, raw: Vec<u8>) {
        let Ok(path) = decode(&raw, Part::Path).map(Cow::into_owned) else { return };
        self.path = Cow::Owned(path);
        self.raw_path =
            if escape::is_default_encoding(&raw, Part::Path) { Cow::Borrowed(b"") } else { Cow::Owned(raw) };
    }
}

fn escaped<'t>(text: &'t [u8], raw: &'t [u8], part: Part) -> Cow<'t, [u8]> {
    if !raw.is_empty() && escape::is_valid_encoding(raw, part) {
        // Parsing and `set_path` are the only writers of the pair, so the raw text decodes to the decoded one; callers that
        // assign the public fields themselves get the same check the standard library makes.
        if decode(raw, part).is_ok_and(|decoded| decoded == text) {
            return Cow::Borrowed(raw);
        }
    }
    if (part == Part::Path && text == b"*") || text.iter().all(|&byte| part.keeps(byte)) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len() + 16);
    encode_into(&mut out, text, part);
    Cow::Owned(out)
}

/// Name of a `host[:port]`, without port and brackets.
pub(super) fn authority_name(host: &[u8]) -> &[u8] {
    authority::split_port(host).0
}

/// Whether every `%` is followed by two hexadecimal digits.
pub(super) fn has_valid_escapes(text: &[u8]) -> bool {
    decode(text, Part::Path).is_ok()
}

/// One round of percent-decoding in which `+` stays and a bad escape stays as it is.
pub(super) fn decode_leniently(text: &[u8]) -> Cow<'_, [u8]> {
    muselet_rules::text::percent_decode_lenient(text, 1)
}

/// Key and value pairs of a raw query that the standard library's reader would return, decoded once, in order of
/// appearance. (spec: url-scan §3.6; there without the limit on the number of pieces)
pub fn query_pairs(raw_query: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query_pieces(raw_query)
        .filter_map(|(key, value)| Some((decode(key, Part::Query).ok()?, decode(value, Part::Query).ok()?)))
}

/// The pieces of a raw query, split at `&` and the first `=`, without empty ones and those with a raw `;`.
pub(crate) fn query_pieces(raw_query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let counts = |piece: &&[u8]| !piece.is_empty() && memchr::memchr(b';', piece).is_none();
    views::pieces(raw_query).filter(counts).map(views::key_and_value).map(|[key, value]| (key, value))
}
