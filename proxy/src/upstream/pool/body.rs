//! Bodies on their way to and from an origin.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;

use super::connection::Connection;
use super::idle::Idle;
use super::usual::Rest;
use super::{OriginKey, Transport, io_error};
use crate::server::peek::Peeked;
use crate::server::wire::RequestBody;

/// The body of a request to an origin. It changes hands many times on its way, so what is large and rare is boxed.
#[derive(Debug, Default)]
pub enum OutgoingBody {
    /// No body, and no statement about one unless the method usually has one.
    #[default]
    Empty,
    /// Known bytes; can be sent again.
    Full(Bytes),
    /// Known bytes of a request that came in chunks; goes out in chunks, with its trailers.
    Chunks(Bytes, Option<Box<HeaderMap>>),
    /// Straight from the client; can be sent once.
    Client(Box<Peeked<RequestBody>>),
    /// Comes over time and can be sent once.
    Stream(BoxBody<Bytes, io::Error>),
}

impl OutgoingBody {
    /// Whether [`Self::again`] has something to give.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Client(_) | Self::Stream(_))
    }

    /// The same body once more, without copying its bytes, where that is possible.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        Some(match self {
            Self::Empty => Self::Empty,
            Self::Full(bytes) => Self::Full(bytes.clone()),
            Self::Chunks(bytes, trailers) => Self::Chunks(bytes.clone(), trailers.clone()),
            Self::Client(_) | Self::Stream(_) => return None,
        })
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Chunks(bytes, _) if !bytes.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            Self::Chunks(_, trailers) => {
                let trailers = trailers.take();
                *this = Self::Empty;
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(*trailers))))
            }
            Self::Client(body) => Pin::new(&mut **body).poll_frame(cx),
            Self::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Chunks(..) => false,
            Self::Client(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            // A length would leave no place for trailers.
            Self::Chunks(..) => SizeHint::default(),
            Self::Client(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

/// An HTTP/1.1 connection, and where it goes when the body on it has ended.
pub(super) struct Lease {
    /// None: it is closed then.
    idle: Option<Arc<Idle>>,
    key: OriginKey,
    connection: Connection,
}

impl Lease {
    pub(super) fn new(idle: Option<Arc<Idle>>, key: OriginKey, connection: Connection) -> Self {
        Self { idle, key, connection }
    }

    fn give_back(self) {
        let Some(idle) = self.idle else { return };
        let mut connection = match self.connection {
            Connection::Turned(connection) => connection,
            usual @ Connection::Usual(_) => return idle.put(&self.key, usual),
        };
        // It has to see the end of the exchange before it takes another one.
        let mut cx = Context::from_waker(Waker::noop());
        if connection.drive(&mut cx).is_ready() {
            return;
        }
        if connection.is_ready() {
            return idle.put(&self.key, Connection::Turned(connection));
        }
        // The request is still being sent, although its answer is complete.
        tokio::spawn(async move {
            if connection.settle().await {
                idle.put(&self.key, Connection::Turned(connection));
            }
        });
    }

    fn transport(&mut self) -> Option<&mut Transport> {
        match &mut self.connection {
            Connection::Usual(transport) => Some(transport),
            Connection::Turned(_) => None,
        }
    }
}

/// The body of an origin's response. See [`super::Pool::send`].
pub struct IncomingBody {
    source: Source,
    lease: Option<Lease>,
}

enum Source {
    Hyper(Incoming),
    Usual(Rest),
}

impl fmt::Debug for IncomingBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingBody").finish_non_exhaustive()
    }
}

impl IncomingBody {
    pub(super) fn new(incoming: Incoming, lease: Option<Lease>) -> Self {
        Self { source: Source::Hyper(incoming), lease }.begun()
    }

    pub(super) fn usual(rest: Rest, lease: Lease) -> Self {
        Self { source: Source::Usual(rest), lease: Some(lease) }.begun()
    }

    fn begun(mut self) -> Self {
        if self.is_end_stream() {
            self.give_back();
        }
        self
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take()
            && !matches!(&self.source, Source::Usual(rest) if !rest.keeps_connection())
        {
            lease.give_back();
        }
    }
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let polled = match (&mut this.source, &mut this.lease) {
            (Source::Usual(rest), lease) => {
                let polled = rest.poll(lease.as_mut().and_then(Lease::transport), cx);
                polled.map(|piece| piece.map(|read| read.map(Frame::data)))
            }
            (Source::Hyper(incoming), lease) => {
                let polled = match lease {
                    Some(Lease { connection: Connection::Turned(connection), .. }) => {
                        connection.poll_frame(incoming, cx)
                    }
                    _ => Pin::new(incoming).poll_frame(cx),
                };
                polled.map(|frame| frame.map(|result| result.map_err(io_error)))
            }
        };
        match &polled {
            Poll::Ready(Some(Ok(_))) if this.is_end_stream() => this.give_back(),
            Poll::Ready(None) => this.give_back(),
            Poll::Ready(Some(Err(_))) => this.lease = None,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Hyper(incoming) => incoming.is_end_stream(),
            Source::Usual(rest) => rest.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Hyper(incoming) => incoming.size_hint(),
            Source::Usual(rest) => SizeHint::with_exact(rest.left()),
        }
    }
}
