//! Every answer that the proxy itself gives, in the reference's exact shapes. (spec: http-proxy §1.5)
//!
//! Handlers return an [`Answer`]; how it is framed on the wire (length, chunks, sniffed type, `Date`) is decided once, by
//! [`super::wire`]. No handler builds a response of its own, so the shape of a refusal can only change here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{Method, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use serde::Serialize;

use crate::policy::verdict::{Label, UrlVerdict};

/// The header that carries the operator's hint on a refused request. (spec: http-proxy §4)
pub const HINT: HeaderName = HeaderName::from_static("x-pipelock-hint");

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NOSNIFF: (HeaderName, HeaderValue) =
    (http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// A response on its way to the client.
pub type Answer = Response<Body>;

/// A stream of body frames whose errors cut the connection.
pub type Stream = UnsyncBoxBody<Bytes, io::Error>;

/// The body of an [`Answer`].
#[derive(Debug, Default)]
pub enum Body {
    /// No byte.
    #[default]
    Empty,
    /// All bytes are known. At most 2,048 of them are sent with a length, more in chunks, as the reference does.
    Full(Bytes),
    /// Bytes come over time; every frame is flushed.
    Stream(Stream),
}

impl Body {
    /// Bytes known to be in the body; `None` for a stream.
    #[must_use]
    pub fn known_len(&self) -> Option<usize> {
        match self {
            Self::Empty => Some(0),
            Self::Full(bytes) => Some(bytes.len()),
            Self::Stream(_) => None,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Full(bytes) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Stream(stream) => Pin::new(stream).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(_) => false,
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

/// `text(status, message)` of the specification: plain text, `nosniff`, the message and a line feed.
#[must_use]
pub fn text(status: StatusCode, message: &str) -> Answer {
    let mut body = String::with_capacity(message.len() + 1);
    body.push_str(message);
    body.push('\n');
    let mut answer = Response::new(Body::Full(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, TEXT);
    answer.headers_mut().insert(NOSNIFF.0, NOSNIFF.1);
    answer
}

/// What is said about the shortage that D-519 is about.
pub const NO_DESCRIPTORS: &str = "the proxy has too many open files, try again later";

/// What is said about the shortage that D-630 is about.
pub const NO_ROOM: &str = "the proxy holds too many large bodies, try again later";

/// The answer to a request whose origin was not reached: it says so when descriptors had run out (D-519), and is `usual` otherwise.
#[must_use]
pub fn unreached(shortage: bool, usual: impl FnOnce() -> Answer) -> Answer {
    if shortage { text(StatusCode::SERVICE_UNAVAILABLE, NO_DESCRIPTORS) } else { usual() }
}

/// The answer to a request for whose body, or whose response's, there is no room. (D-630)
#[must_use]
pub fn no_room() -> Answer {
    text(StatusCode::SERVICE_UNAVAILABLE, NO_ROOM)
}

/// `json(status, value)` of the specification: compact, HTML-escaped as Go does it, and a line feed.
#[must_use]
pub fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Answer {
    let mut text = Vec::new();
    let written = value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, GoNumbers));
    // Our values are plain structs and maps with string keys: serialising them cannot fail. An empty object stands for the impossible.
    let text = written.ok().and_then(|()| String::from_utf8(text).ok());
    json_text(status, text.as_deref().unwrap_or("{}"))
}

/// Writes whole floats without a fraction, `0` and not `0.0`.
struct GoNumbers;

impl serde_json::ser::Formatter for GoNumbers {
    fn write_f64<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, value: f64) -> std::io::Result<()> {
        write!(writer, "{value}")
    }
}

fn json_text(status: StatusCode, text: &str) -> Answer {
    let mut body = escape_html(text);
    body.push('\n');
    let mut answer = Response::new(Body::Full(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

/// A response without body and without any header but those that framing adds.
#[must_use]
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Body::Empty);
    *answer.status_mut() = status;
    answer
}

/// `404 page not found`.
#[must_use]
pub fn not_found() -> Answer {
    text(StatusCode::NOT_FOUND, "404 page not found")
}

/// 301 to the cleaned form of a path; GET gets a one-line page, HEAD only its type. (spec: http-proxy §2.1, §1.5)
#[must_use]
pub fn moved(method: &Method, location: &str) -> Answer {
    let mut answer = empty(StatusCode::MOVED_PERMANENTLY);
    if let Ok(value) = HeaderValue::from_str(location) {
        answer.headers_mut().insert(LOCATION, value);
    }
    if method == Method::GET || method == Method::HEAD {
        answer.headers_mut().insert(CONTENT_TYPE, HTML);
    }
    if method == Method::GET {
        let page = format!("<a href=\"{}\">Moved Permanently</a>.\n\n", escape_attribute(location));
        *answer.body_mut() = Body::Full(page.into());
    }
    answer
}

/// Adds the hint header where there is a hint.
#[must_use]
pub fn with_hint(mut answer: Answer, hint: Option<&str>) -> Answer {
    if let Some(value) = hint.and_then(|hint| HeaderValue::from_str(hint).ok()) {
        answer.headers_mut().insert(HINT, value);
    }
    answer
}

/// Status of a refusal by the URL scan. (spec: http-proxy §4 "Block status")
#[must_use]
pub fn block_status(verdict: &UrlVerdict) -> StatusCode {
    if verdict.label == Label::RateLimit { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::FORBIDDEN }
}

/// Go's `encoding/json` escapes these so that JSON can stand inside HTML; they only occur inside strings.
fn escape_html(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

/// Text of HTML, also inside an attribute.
pub(crate) fn escape_attribute(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(answer: &Answer) -> &[u8] {
        match answer.body() {
            Body::Full(bytes) => bytes,
            _ => b"",
        }
    }

    #[test]
    fn only_get_is_moved_with_a_page() {
        for (method, typed, page) in [
            (Method::GET, true, "<a href=\"/a\">Moved Permanently</a>.\n\n"),
            (Method::HEAD, true, ""),
            (Method::POST, false, ""),
        ] {
            let answer = moved(&method, "/a");
            assert_eq!(answer.headers().contains_key(CONTENT_TYPE), typed, "{method}");
            assert_eq!(body(&answer), page.as_bytes(), "{method}");
        }
    }

    #[test]
    fn text_answers_carry_type_and_nosniff_and_end_with_a_line_feed() {
        let answer = text(StatusCode::FORBIDDEN, "blocked: why");
        assert_eq!(body(&answer), b"blocked: why\n");
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }

    #[test]
    fn json_answers_escape_what_html_could_misread() {
        let answer = json(StatusCode::OK, &serde_json::json!({"a": "<b>&\u{2028}\u{2029}\"é"}));
        assert_eq!(
            std::str::from_utf8(body(&answer)).unwrap(),
            "{\"a\":\"\\u003cb\\u003e\\u0026\\u2028\\u2029\\\"é\"}\n"
        );
    }

    #[test]
    fn json_answers_write_whole_floats_as_integers() {
        let answer = json(StatusCode::OK, &serde_json::json!([0.0, 5.0, 0.5, 12.25, 7]));
        assert_eq!(body(&answer), b"[0,5,0.5,12.25,7]\n");
    }

    #[test]
    fn redirects_to_clean_paths_have_a_body_for_get_only() {
        let answer = moved(&Method::GET, "/health?x=1&y=2");
        assert_eq!(body(&answer), b"<a href=\"/health?x=1&amp;y=2\">Moved Permanently</a>.\n\n");
        let answer = moved(&Method::POST, "/health");
        assert!(body(&answer).is_empty() && !answer.headers().contains_key("content-type"));
    }
}
