//! One request head, judged before anything else looks at it. (spec: http-proxy §1.3)
//!
//! The reference's server refuses malformed heads in its own words and accepts some that common parsers refuse (bare line feeds,
//! folded lines, odd bytes in targets). Both matter to a drop-in, and framing decides whether two programs can disagree about
//! where a request ends. So the head is read here, by rules that are written down; hyper is then handed a head that we made from
//! the result, with exactly one statement about the body. No byte of the client's head reaches hyper or an origin unread.

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING,
};
use http::{Method, Version};
use muselet_rules::Strictness;
use std::borrow::Cow;

use crate::policy::url::parse::{GoUrl, parse_request_target};

/// Longest head: 1 MiB and the reference's 4 KiB of slack.
pub const MAX_HEAD: usize = (1 << 20) + 4096;

/// How many header lines a head may have. The reference has no such limit; more than this fit into [`MAX_HEAD`] only as
/// garbage, and the map of headers holds no more.
const MAX_LINES: usize = 24_000;

/// How the body of a request is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// This many bytes, at least one.
    Length(u64),
    /// Chunks and trailers.
    Chunked,
}

/// The `Expect` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Absent or empty.
    Nothing,
    /// `100-continue`.
    Continue,
    /// Anything else: answered with 417.
    Other,
}

/// A head that passed.
#[derive(Debug)]
pub struct Head {
    /// Any token.
    pub method: Method,
    /// The request target, parsed. For CONNECT its host is the authority asked for, and it has no scheme.
    pub url: GoUrl<'static>,
    /// 1.0, or 1.1 for every other 1.x. The HTTP/2 preface counts as 1.1.
    pub version: Version,
    /// The value of the one `Host` line.
    pub host: Option<Bytes>,
    /// All other headers but `Transfer-Encoding`, names folded to lower case, repeated lines in order.
    pub headers: HeaderMap,
    /// How the body is delimited.
    pub framing: Framing,
    /// What the client expects before it sends the body.
    pub expect: Expect,
    /// Whether the client wants the connection kept.
    pub keep_alive: bool,
    /// `PRI * HTTP/2.0`: routed, and refused there.
    pub h2_preface: bool,
}

/// Why a head is refused. Each has its own fixed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Anything that is not a request.
    BadRequest,
    /// HTTP/1.1 without `Host`.
    MissingHost,
    /// Bytes that cannot be in a host.
    MalformedHost,
    /// Not HTTP/1.x.
    Version,
    /// A transfer coding other than `chunked` alone.
    TransferEncoding,
    /// Longer than [`MAX_HEAD`].
    TooLarge,
    /// Another protocol.
    Foreign(Foreign),
}

/// What clients speak to a proxy that they take for one of another kind. None of it begins like a request. (D-610)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    Tls,
    Socks,
}

impl Foreign {
    /// Told by the first byte: of a TLS record with a handshake, or of a SOCKS request of version 4 or 5.
    pub fn of(first: u8) -> Option<Self> {
        match first {
            0x16 => Some(Self::Tls),
            4 | 5 => Some(Self::Socks),
            _ => None,
        }
    }

    /// What the log says.
    pub fn remark(self) -> &'static str {
        match self {
            Self::Tls => "a client speaks TLS to the proxy itself: its proxy URL must begin with http://",
            Self::Socks => "a client speaks SOCKS to the proxy, which is an HTTP proxy",
        }
    }
}

macro_rules! refusal {
    ($status:literal, $body:literal) => {
        concat!(
            "HTTP/1.1 ",
            $status,
            "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n",
            $body
        )
        .as_bytes()
    };
}

impl Refusal {
    /// The whole answer. The connection is closed after it.
    #[must_use]
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::BadRequest => refusal!("400 Bad Request", "400 Bad Request"),
            Self::MissingHost => refusal!(
                "400 Bad Request: missing required Host header",
                "400 Bad Request: missing required Host header"
            ),
            Self::MalformedHost => {
                refusal!("400 Bad Request: malformed Host header", "400 Bad Request: malformed Host header")
            }
            Self::Version => refusal!(
                "505 HTTP Version Not Supported: unsupported protocol version",
                "505 HTTP Version Not Supported: unsupported protocol version"
            ),
            Self::TransferEncoding => refusal!("501 Not Implemented", "Unsupported transfer encoding"),
            Self::Foreign(Foreign::Tls) => {
                refusal!("400 Bad Request", "400 Bad Request: the URL of this proxy begins with http://")
            }
            Self::Foreign(Foreign::Socks) => {
                refusal!("400 Bad Request", "400 Bad Request: this is an HTTP proxy, not one for SOCKS")
            }
            Self::TooLarge => {
                refusal!("431 Request Header Fields Too Large", "431 Request Header Fields Too Large")
            }
        }
    }
}

/// Judges a complete head. What comes out shares its memory.
pub fn parse(head: &Bytes, strictness: Strictness) -> Result<Head, Refusal> {
    let mut lines = Lines { rest: head, bare_line_feed: false };
    let (method, target, version) = request_line(lines.next().ok_or(Refusal::BadRequest)?)?;
    let url = parse_target(&method, target)?;
    let (mut headers, folded) = header_lines(head, &mut lines)?;
    let (version, h2_preface) = match version {
        (1, 0) => (Version::HTTP_10, false),
        (1, _) => (Version::HTTP_11, false),
        (2, 0) if method.as_str() == "PRI" && target == b"*" => (Version::HTTP_11, true),
        _ => {
            // The reference reads the framing before it looks at the version.
            framing(&headers, Version::HTTP_11)?;
            return Err(Refusal::Version);
        }
    };
    if headers.get_all(HOST).iter().count() > 1 {
        return Err(Refusal::BadRequest);
    }
    let framing = framing(&headers, version)?;
    let host = headers.remove(HOST).map(|host| {
        // A value that was folded has memory of its own.
        if folded { Bytes::copy_from_slice(host.as_bytes()) } else { head.slice_ref(host.as_bytes()) }
    });
    match &host {
        None if version == Version::HTTP_11 && method != Method::CONNECT && !h2_preface => {
            return Err(Refusal::MissingHost);
        }
        Some(host) if !host.iter().all(|b| is_host_byte(*b)) => return Err(Refusal::MalformedHost),
        _ => {}
    }
    if strictness == Strictness::Hardened {
        refuse_ambiguity(&headers, folded || lines.bare_line_feed, &method, target, version, framing)?;
    }
    let chunked = framing == Framing::Chunked;
    if headers.remove(TRANSFER_ENCODING).is_some() && chunked {
        headers.remove(CONTENT_LENGTH);
    } else if let Some(first) = headers.get(CONTENT_LENGTH).cloned() {
        headers.insert(CONTENT_LENGTH, first);
    }
    let expect = expectation(&headers);
    let keep_alive = if version == Version::HTTP_10 {
        has_token(&headers, CONNECTION, b"keep-alive") && !has_token(&headers, CONNECTION, b"close")
    } else {
        !has_token(&headers, CONNECTION, b"close")
    };
    Ok(Head { url, method, version, host, headers, framing, expect, keep_alive, h2_preface })
}

/// An authority (CONNECT), an absolute URL, a path or `*`.
fn parse_target(method: &Method, target: &[u8]) -> Result<GoUrl<'static>, Refusal> {
    let is_authority = *method == Method::CONNECT && !target.starts_with(b"/");
    let mut url = if is_authority {
        parse_request_target(&[b"http://", target].concat()).map(GoUrl::into_owned)
    } else {
        parse_request_target(target).map(GoUrl::into_owned)
    }
    .map_err(|_| Refusal::BadRequest)?;
    if is_authority {
        url.scheme = "".into();
    }
    Ok(url)
}

/// D-500…D-502: shapes that honest clients do not send and that two parsers may read differently.
fn refuse_ambiguity(
    headers: &HeaderMap,
    folded_or_bare: bool,
    method: &Method,
    target: &[u8],
    version: Version,
    framing: Framing,
) -> Result<(), Refusal> {
    let coded = headers.contains_key(TRANSFER_ENCODING);
    if coded && (headers.contains_key(CONTENT_LENGTH) || version == Version::HTTP_10) {
        return Err(Refusal::BadRequest);
    }
    // A hand-typed health check may end its lines with a bare line feed; what leaves the machine, or has a body, may not.
    let harmless = target.starts_with(b"/") && framing == Framing::None && *method != Method::CONNECT;
    if folded_or_bare && !harmless {
        return Err(Refusal::BadRequest);
    }
    // What follows a CONNECT is the tunnel, and its target is an authority: nothing else has one meaning.
    let is_authority = !target.iter().any(|b| b"/?#@\\".contains(b));
    if *method == Method::CONNECT && (!is_authority || coded || framing != Framing::None) {
        return Err(Refusal::BadRequest);
    }
    Ok(())
}

fn request_line(line: &[u8]) -> Result<(Method, &[u8], (u8, u8)), Refusal> {
    let first = memchr::memchr(b' ', line).ok_or(Refusal::BadRequest)?;
    let rest = &line[first + 1..];
    let second = memchr::memchr(b' ', rest).ok_or(Refusal::BadRequest)?;
    let method = Method::from_bytes(&line[..first]).map_err(|_| Refusal::BadRequest)?;
    let target = &rest[..second];
    let [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] = rest[second + 1..]
    else {
        return Err(Refusal::BadRequest);
    };
    if target.is_empty() {
        return Err(Refusal::BadRequest);
    }
    Ok((method, target, (major - b'0', minor - b'0')))
}

/// Room for this many header lines is made at once.
const USUAL_LINES: usize = 12;

/// All header lines, and whether one of them was folded.
fn header_lines(head: &Bytes, lines: &mut Lines<'_>) -> Result<(HeaderMap, bool), Refusal> {
    let mut headers = HeaderMap::with_capacity(USUAL_LINES);
    let mut folded = false;
    let mut last: Option<(HeaderName, Cow<'_, [u8]>)> = None;
    for count in 0.. {
        let line = lines.next().ok_or(Refusal::BadRequest)?;
        if let [b' ' | b'\t', ..] = line {
            // A folded line continues the value before it, joined by one space.
            let (_, value) = last.as_mut().ok_or(Refusal::BadRequest)?;
            value.to_mut().push(b' ');
            value.to_mut().extend_from_slice(line.trim_ascii());
            folded = true;
            continue;
        }
        if let Some((name, value)) = last.take() {
            let value = match value {
                Cow::Borrowed(value) => HeaderValue::from_maybe_shared(head.slice_ref(value.trim_ascii())),
                Cow::Owned(value) => HeaderValue::from_bytes(value.trim_ascii()),
            };
            let value = value.map_err(|_| Refusal::BadRequest)?;
            headers.try_append(name, value).map_err(|_| Refusal::TooLarge)?;
        }
        if line.is_empty() {
            return Ok((headers, folded));
        }
        if count >= MAX_LINES {
            return Err(Refusal::TooLarge);
        }
        let colon = memchr::memchr(b':', line).ok_or(Refusal::BadRequest)?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| Refusal::BadRequest)?;
        last = Some((name, Cow::Borrowed(trim(&line[colon + 1..]))));
    }
    Err(Refusal::TooLarge)
}

/// RFC 9112 §6 in the reference's reading: `chunked` alone or nothing; equal lengths count once.
fn framing(headers: &HeaderMap, version: Version) -> Result<Framing, Refusal> {
    if version != Version::HTTP_10 {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        if let Some(first) = codings.next() {
            if codings.next().is_some() || !first.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::TransferEncoding);
            }
            let forbidden: [&[u8]; 3] = [b"transfer-encoding", b"content-length", b"trailer"];
            if forbidden.iter().any(|name| has_token(headers, TRAILER, name)) {
                return Err(Refusal::BadRequest);
            }
            return Ok(Framing::Chunked);
        }
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter().map(|value| trim(value.as_bytes()));
    let Some(first) = lengths.next() else { return Ok(Framing::None) };
    if lengths.any(|other| other != first) || first.is_empty() || !first.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::BadRequest);
    }
    let length = first
        .iter()
        .try_fold(0_i64, |n, digit| n.checked_mul(10).and_then(|n| n.checked_add(i64::from(digit - b'0'))));
    match length {
        None => Err(Refusal::BadRequest),
        Some(0) => Ok(Framing::None),
        Some(n) => Ok(Framing::Length(n.unsigned_abs())),
    }
}

fn expectation(headers: &HeaderMap) -> Expect {
    if has_token(headers, EXPECT, b"100-continue") {
        Expect::Continue
    } else if headers.get(EXPECT).is_some_and(|value| !value.is_empty()) {
        Expect::Other
    } else {
        Expect::Nothing
    }
}

/// Whether a comma-separated list holds a token, ignoring case.
pub(crate) fn has_token(headers: &HeaderMap, name: HeaderName, token: &[u8]) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .any(|part| trim(part).eq_ignore_ascii_case(token))
}

fn trim(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map_or(start, |at| at + 1);
    &value[start..end]
}

fn is_host_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(&b)
}

/// Lines without their ends.
struct Lines<'a> {
    rest: &'a [u8],
    bare_line_feed: bool,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let at = memchr::memchr(b'\n', self.rest)?;
        let line = &self.rest[..at];
        self.rest = &self.rest[at + 1..];
        Some(line.strip_suffix(b"\r").unwrap_or_else(|| {
            self.bare_line_feed = true;
            line
        }))
    }
}
