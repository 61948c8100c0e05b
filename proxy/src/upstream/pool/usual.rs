//! Exchanges of the usual kind without hyper: a request that is at hand, and a response of a stated length.
//!
//! hyper's client costs a small exchange more than all checks together: two channels, a task's worth of state, and every
//! message moved a dozen times. What is left without it is a `write`, a `read` and httparse. Nothing is decided here that two
//! readers could see differently: a response with any coding, a second or a doubtful length, another version, an interim
//! status, or more header lines than usual is given to hyper as it was read, and with it the connection for good (see
//! `connection`). So is what goes wrong, so that errors have one origin; and a request whose answer begins before all of it was
//! taken, which hyper goes on sending where this left off.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::target::goes_as_it_is;
use super::{Outgoing, OutgoingBody, Transport};
use crate::head_end::head_end;

/// Longest head of a request, bytes.
const REQUEST_HEAD: usize = 16 * 1024;
/// Longest head of a response, bytes, and most lines.
const HEAD: usize = 64 * 1024;
const LINES: usize = 100;
/// Sizes of reads.
const FIRST: usize = 8 * 1024;
const CHUNK: usize = 128 * 1024;

/// What an exchange came to.
pub(super) enum Exchanged {
    Response(Response<Rest>),
    Other(Other),
}

/// A response that hyper is to read.
#[derive(Debug)]
pub(super) struct Other {
    /// What has been read of it.
    pub read: Bytes,
    /// What the next read would say.
    pub failed: Option<io::Error>,
    /// Bytes of the request that have been sent; `None`: all of it.
    pub sent: Option<usize>,
}

/// A request as it goes out, which is as hyper would write it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    head: Vec<u8>,
    body: Bytes,
}

/// `None`: not a usual one.
pub(super) fn request(outgoing: &Outgoing) -> Option<Written> {
    let Outgoing { method, target, host, headers, body } = outgoing;
    let body = match body {
        OutgoingBody::Empty => Bytes::new(),
        OutgoingBody::Full(bytes) if !bytes.is_empty() => bytes.clone(),
        _ => return None,
    };
    if !goes_as_it_is(target) || *method == Method::CONNECT {
        return None;
    }
    let mut out = Vec::with_capacity(256 + target.len());
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if headers.keys().next() != Some(&HOST) {
        if headers.contains_key(HOST) {
            return None;
        }
        line(&mut out, &HOST, host);
    }
    let mut has_length = false;
    for (name, value) in headers {
        match *name {
            CONNECTION | EXPECT | TE | TRAILER | TRANSFER_ENCODING | UPGRADE => return None,
            CONTENT_LENGTH if has_length || length(value) != Some(body.len() as u64) => return None,
            CONTENT_LENGTH => has_length = true,
            _ => {}
        }
        line(&mut out, name, value);
    }
    if !has_length && !body.is_empty() {
        line(&mut out, &CONTENT_LENGTH, &body.len().into());
    }
    out.extend_from_slice(b"\r\n");
    (out.len() <= REQUEST_HEAD).then_some(Written { head: out, body })
}

fn line(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    let mut before = b'-';
    out.extend(name.as_str().bytes().map(|byte| {
        let upper = before == b'-';
        before = byte;
        if upper { byte.to_ascii_uppercase() } else { byte }
    }));
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Digits and nothing else.
fn length(value: &HeaderValue) -> Option<u64> {
    let digits = value.as_bytes();
    let is_plain = !digits.is_empty() && digits.len() < 19 && digits.iter().all(u8::is_ascii_digit);
    is_plain.then(|| digits.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
}

/// Whether the origin has neither closed the connection nor said something that nobody asked for.
pub(super) fn is_silent(transport: &mut Transport) -> bool {
    let mut byte = [0];
    let mut cx = Context::from_waker(std::task::Waker::noop());
    Pin::new(transport).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending()
}

/// Sends a request and reads the head of its response.
pub(super) async fn exchange(transport: &mut Transport, request: &Written, method: &Method) -> Exchanged {
    let mut sent = 0;
    let mut read = BytesMut::new();
    if let Err(early) = poll_fn(|cx| poll_send(transport, request, &mut sent, &mut read, cx)).await {
        return Exchanged::Other(Other { read: read.freeze(), failed: early.err(), sent: Some(sent) });
    }
    let other = |read: BytesMut, failed| Exchanged::Other(Other { read: read.freeze(), failed, sent: None });
    loop {
        let searched = read.len();
        if searched > HEAD {
            return other(read, None);
        }
        read.reserve(FIRST);
        match transport.read_buf(&mut read).await {
            Ok(0) => return other(read, None),
            Ok(_) => {}
            Err(error) => return other(read, Some(error)),
        }
        if let Some(end) = head_end(&read, searched) {
            let head = read.split_to(end).freeze();
            return match response(&head, method) {
                Some(response) => Exchanged::Response(response.map(|length| Rest::new(read, length))),
                None => {
                    let mut whole = BytesMut::from(head);
                    whole.unsplit(read);
                    other(whole, None)
                }
            };
        }
    }
}

/// The origin said something, or nothing more, or cannot be asked, before all of a request was sent.
type Early = io::Result<()>;

/// Sends what is left of a request. Who does not take it may have answered already.
fn poll_send(
    transport: &mut Transport,
    request: &Written,
    sent: &mut usize,
    read: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Early>> {
    let Written { head, body } = request;
    loop {
        let head_left = head.get(*sent..).unwrap_or_default();
        let body_left = &body[sent.saturating_sub(head.len())..];
        let pieces = [IoSlice::new(head_left), IoSlice::new(body_left)];
        let pieces = match (head_left.is_empty(), body_left.is_empty()) {
            (true, true) => break,
            (true, false) => &pieces[1..],
            (false, true) => &pieces[..1],
            (false, false) => &pieces[..],
        };
        match Pin::new(&mut *transport).poll_write_vectored(cx, pieces) {
            Poll::Ready(Ok(n)) if n > 0 => *sent += n,
            Poll::Ready(_) => return Poll::Ready(Err(Ok(()))),
            Poll::Pending => return poll_early(transport, read, cx),
        }
    }
    match Pin::new(&mut *transport).poll_flush(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
        Poll::Ready(Err(_)) => Poll::Ready(Err(Ok(()))),
        Poll::Pending => poll_early(transport, read, cx),
    }
}

fn poll_early(
    transport: &mut Transport,
    read: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Early>> {
    read.reserve(FIRST);
    poll_read_buf(Pin::new(transport), cx, read).map(|said| Err(said.map(drop)))
}

/// A response and the length of its body, when it is a usual one; and whether another may follow.
fn response(head: &Bytes, method: &Method) -> Option<Response<(u64, bool)>> {
    let mut lines = [const { MaybeUninit::uninit() }; LINES];
    let mut parsed = httparse::Response::new(&mut []);
    let end = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, head, &mut lines)
        .ok()?;
    let status = StatusCode::from_u16(parsed.code?).ok()?;
    let is_usual = end == httparse::Status::Complete(head.len())
        && parsed.version == Some(1)
        && !status.is_informational()
        && parsed.reason == status.canonical_reason();
    if !is_usual {
        return None;
    }
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    let (mut stated, mut keep) = (None, true);
    for line in &*parsed.headers {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(line.value)).ok()?;
        match name {
            TRANSFER_ENCODING => return None,
            CONTENT_LENGTH if stated.is_some() => return None,
            CONTENT_LENGTH => stated = Some(length(&value)?),
            CONNECTION => keep &= value.as_bytes().eq_ignore_ascii_case(b"keep-alive"),
            _ => {}
        }
        headers.try_append(name, value).ok()?;
    }
    let has_none =
        *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let mut response = Response::new((if has_none { 0 } else { stated? }, keep));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Some(response)
}

/// The body of a response.
pub(super) struct Rest {
    read: BytesMut,
    /// Bytes that have not been given out.
    left: u64,
    keep: bool,
}

impl Rest {
    fn new(read: BytesMut, (left, keep): (u64, bool)) -> Self {
        let keep = keep && read.len() as u64 <= left;
        Self { read, left, keep }
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Whether the connection may be used for another exchange after this.
    pub(super) fn keeps_connection(&self) -> bool {
        self.keep && self.left == 0
    }

    /// The next piece, from what was read or from the connection.
    pub(super) fn poll(
        &mut self,
        transport: Option<&mut Transport>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if self.read.is_empty() {
            let Some(transport) = transport else { return Poll::Ready(None) };
            let most = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
            if self.read.capacity() < most.min(FIRST) {
                self.read.reserve(most);
            }
            let mut room = (&mut self.read).limit(most);
            let failed = |why: &dyn std::fmt::Display| {
                io::Error::other(format!("error reading a body from connection: {why}"))
            };
            match ready!(poll_read_buf(Pin::new(transport), cx, &mut room)) {
                Ok(0) => return Poll::Ready(Some(Err(failed(&"end of file before message length reached")))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(failed(&error)))),
            }
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.read.len());
        self.left -= most as u64;
        Poll::Ready(Some(Ok(self.read.split_to(most).freeze())))
    }
}

#[cfg(test)]
mod tests;
