//! The body of a request, and what happens to the part of it that nobody read.
//!
//! A handler may drop the body unread (most refusals do). Closing the connection then would cost the client its answer, so up
//! to 256 KiB are read and thrown away to keep the connection usable, as the reference does. (spec: http-proxy §1.4, §1.5 rule 7)

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, TRAILER};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::head::{Framing, Head};
use super::inflow::{self, Inflow};
use crate::policy::headers::canonical;

/// Unread bytes that are worth a connection.
pub(super) const DRAIN: usize = 256 * 1024;

/// Why a body could not be read; the texts are those of the reference's language.
pub type ReadError = io::Error;

/// The body of a request.
#[derive(Debug)]
pub struct RequestBody {
    /// How it comes; neither, where there is none.
    inflow: Option<Arc<Inflow>>,
    incoming: Option<Incoming>,
    framing: Framing,
    trailers: Vec<String>,
    /// Of `incoming`.
    state: Option<Arc<Mutex<State>>>,
}

#[derive(Debug, Default)]
struct State {
    returned: Option<Incoming>,
    polled: bool,
    ended: bool,
    failed: bool,
    waits: bool,
}

/// The rest of a body, once its handler is done with it.
#[derive(Debug)]
pub(super) struct Unread(Source);

#[derive(Debug)]
enum Source {
    None,
    Inflow(Arc<Inflow>),
    Incoming(Arc<Mutex<State>>),
}

/// `inflow`: the body, where it goes past hyper. `waits`: the client sends it only when asked to (`Expect: 100-continue`).
pub(super) fn split(
    incoming: Incoming,
    inflow: Option<Arc<Inflow>>,
    head: &Head,
    waits: bool,
) -> (RequestBody, Unread) {
    let framing = head.framing;
    if framing == Framing::None || inflow.is_some() {
        let unread = Unread(inflow.clone().map_or(Source::None, Source::Inflow));
        return (RequestBody { inflow, incoming: None, framing, trailers: Vec::new(), state: None }, unread);
    }
    let state = Arc::new(Mutex::new(State { waits, ..State::default() }));
    let trailers = match head.framing {
        Framing::Chunked => announced(&head.headers),
        _ => Vec::new(),
    };
    let unread = Unread(Source::Incoming(Arc::clone(&state)));
    (RequestBody { inflow: None, incoming: Some(incoming), framing, trailers, state: Some(state) }, unread)
}

fn announced(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(TRAILER)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .map(|name| canonical(name.as_str()))
        .collect()
}

impl RequestBody {
    /// Whether a body is declared.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.framing != Framing::None
    }

    /// Unless it is longer than `limit` bytes, all of it is wanted before any of it is used: it comes in one piece, where it does
    /// not have to be copied for that.
    pub fn gather(&self, limit: u64) {
        if let Some(inflow) = self.inflow.as_ref().filter(|inflow| inflow.left() as u64 <= limit) {
            inflow.gather();
        }
    }

    /// Names that the client's `Trailer` header announces, in canonical form.
    #[must_use]
    pub fn announced_trailers(&self) -> &[String] {
        &self.trailers
    }

    /// How it is delimited.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = ReadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReadError>>> {
        let this = &mut *self;
        if let Some(inflow) = &this.inflow {
            return inflow.poll_piece(cx).map(|piece| piece.map(|read| read.map(Frame::data)));
        }
        let (Some(incoming), Some(state)) = (&mut this.incoming, &this.state) else {
            return Poll::Ready(None);
        };
        lock(state).polled = true;
        let polled = Pin::new(&mut *incoming).poll_frame(cx);
        if let Poll::Ready(Some(Err(error))) = &polled {
            lock(state).failed = true;
            return Poll::Ready(Some(Err(read_error(error))));
        }
        if matches!(polled, Poll::Ready(None)) || incoming.is_end_stream() {
            lock(state).ended = true;
        }
        polled.map(|frame| frame.and_then(Result::ok).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.inflow.as_ref().is_none_or(|inflow| inflow.left() == 0)
            && self.incoming.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.inflow, &self.incoming) {
            (Some(inflow), _) => SizeHint::with_exact(inflow.left() as u64),
            (None, Some(incoming)) => incoming.size_hint(),
            (None, None) => SizeHint::with_exact(0),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(inflow) = &self.inflow {
            inflow.let_go();
        }
        if let Some(state) = &self.state {
            lock(state).returned = self.incoming.take();
        }
    }
}

impl Unread {
    /// Reads the rest, within bounds. `false`: the connection cannot be used for another request.
    pub(super) async fn finish(self) -> bool {
        let state = match self.0 {
            Source::None => return true,
            Source::Inflow(inflow) => return drain(&inflow).await,
            Source::Incoming(state) => state,
        };
        let (incoming, skip) = {
            let mut state = lock(&state);
            if state.ended {
                return true;
            }
            (state.returned.take(), state.failed || (state.waits && !state.polled))
        };
        // No body here means that somebody still holds it: its end cannot be waited for.
        let Some(mut incoming) = incoming else { return false };
        if incoming.is_end_stream() {
            return true;
        }
        if skip {
            return false;
        }
        let mut left = DRAIN;
        while let Some(frame) = incoming.frame().await {
            match frame.map(|frame| frame.data_ref().map_or(0, Bytes::len)) {
                Ok(n) if n <= left => left -= n,
                _ => return false,
            }
        }
        true
    }
}

/// The same, past hyper.
async fn drain(inflow: &Inflow) -> bool {
    let mut left = DRAIN;
    while inflow.rest() == inflow::Rest::Some {
        match poll_fn(|cx| inflow.poll_piece(cx)).await {
            Some(Ok(piece)) if piece.len() <= left => left -= piece.len(),
            _ => break,
        }
    }
    inflow.rest() == inflow::Rest::None
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    // Plain values: a panic elsewhere cannot leave them half-written.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The guard's own text where there is one, else what the reference's language says at that point.
fn read_error(error: &hyper::Error) -> io::Error {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            if io.kind() == io::ErrorKind::UnexpectedEof {
                break;
            }
            return io::Error::new(io.kind(), io.to_string());
        }
        source = cause.source();
    }
    io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF")
}
