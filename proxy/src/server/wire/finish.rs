//! What the server layer adds to every answer. (spec: http-proxy §1.5)

use std::io;
use std::pin::Pin;
use std::sync::{Arc, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::ext::ReasonPhrase;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::slot::Slot;
use crate::server::answer::{Answer, Body};
use crate::server::sniff;

/// Longer bodies go out in chunks.
const MAX_WITH_LENGTH: usize = 2048;

/// A finished answer's body. Dropping it tells the guard that the answer is over.
#[derive(Debug)]
pub struct Framed {
    body: Body,
    hide_length: bool,
    slot: Arc<Slot>,
}

impl Drop for Framed {
    fn drop(&mut self) {
        self.slot.free();
    }
}

impl http_body::Body for Framed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.hide_length { SizeHint::default() } else { self.body.size_hint() }
    }
}

/// On an answer: its length is shown whatever it is, and a `Content-Length` of its own stays where there is no body. Answers of
/// origins inside a tunnel are framed so.
#[derive(Debug, Clone, Copy)]
pub struct KeepLength;

/// On an answer: it goes out without `Date`.
#[derive(Debug, Clone, Copy)]
pub struct NoDate;

pub(super) fn finish(answer: Answer, method: &Method, inner: bool, slot: Arc<Slot>) -> Response<Framed> {
    let (mut parts, mut body) = answer.into_parts();
    let opens_tunnel = !inner && *method == Method::CONNECT && parts.status.is_success();
    if opens_tunnel {
        parts.extensions.insert(ReasonPhrase::from_static(b"Connection Established"));
        slot.set_opens_tunnel();
    }
    let framed = |body, hide_length| Framed { body, hide_length, slot };
    let takes_over = opens_tunnel || parts.status == StatusCode::SWITCHING_PROTOCOLS;
    let keep_length = parts.extensions.remove::<KeepLength>().is_some();
    if takes_over {
        return Response::from_parts(parts, framed(Body::Empty, false));
    }
    if let Some(phrase) = phrase(parts.status) {
        parts.extensions.insert(phrase);
    }
    if !keep_length || *method != Method::HEAD {
        parts.headers.remove(CONTENT_LENGTH);
    }
    parts.headers.remove(TRANSFER_ENCODING);
    let dated = parts.extensions.remove::<NoDate>().is_none();
    if dated && !parts.headers.contains_key(DATE) {
        parts.headers.insert(DATE, now());
    }
    if matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || parts.status.is_informational()
    {
        if parts.status == StatusCode::NOT_MODIFIED {
            parts.headers.remove(CONTENT_TYPE);
        }
        return Response::from_parts(parts, framed(Body::Empty, false));
    }
    if let Body::Full(bytes) = &body
        && !parts.headers.contains_key(CONTENT_TYPE)
        && !parts.headers.contains_key(CONTENT_ENCODING)
    {
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(sniff::content_type(bytes)));
    }
    let known = body.known_len();
    if *method == Method::HEAD {
        if let Some(length) = known.filter(|n| !keep_length && (1..=MAX_WITH_LENGTH).contains(n)) {
            parts.headers.insert(CONTENT_LENGTH, length.into());
        }
        body = Body::Empty;
    }
    Response::from_parts(parts, framed(body, !keep_length && known.is_none_or(|n| n > MAX_WITH_LENGTH)))
}

/// The reference's reason phrase, where hyper has another or none.
fn phrase(status: StatusCode) -> Option<ReasonPhrase> {
    Some(ReasonPhrase::from_static(match status.as_u16() {
        203 => b"Non-Authoritative Information",
        413 => b"Request Entity Too Large",
        414 => b"Request URI Too Long",
        416 => b"Requested Range Not Satisfiable",
        code if status.canonical_reason().is_none() => {
            return ReasonPhrase::try_from(format!("status code {code}").into_bytes()).ok();
        }
        _ => return None,
    }))
}

const IMF_FIXDATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// A time as HTTP writes it.
#[must_use]
pub fn http_date(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(IMF_FIXDATE).unwrap_or_default()
}

/// `Date`, formatted once a second.
pub fn now() -> HeaderValue {
    static CACHED: RwLock<(u64, Option<HeaderValue>)> = RwLock::new((0, None));
    let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if let Ok(cached) = CACHED.read()
        && let (at, Some(value)) = &*cached
        && *at == second
    {
        return value.clone();
    }
    let text = http_date(UNIX_EPOCH + Duration::from_secs(second));
    let value = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    if let Ok(mut cached) = CACHED.write() {
        *cached = (second, Some(value.clone()));
    }
    value
}
