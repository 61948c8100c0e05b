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

use super::connection::Http1;
use super::idle::Idle;
use super::{OriginKey, io_error};
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
    connection: Box<Http1>,
}

impl Lease {
    pub(super) fn new(idle: Option<Arc<Idle>>, key: OriginKey, connection: Box<Http1>) -> Self {
        Self { idle, key, connection }
    }

    fn give_back(mut self) {
        let Some(idle) = self.idle.take() else { return };
        // It has to see the end of the exchange before it takes another one.
        let mut cx = Context::from_waker(Waker::noop());
        if self.connection.drive(&mut cx).is_ready() {
            return;
        }
        if self.connection.is_ready() {
            return idle.put(&self.key, self.connection);
        }
        // The request is still being sent, although its answer is complete.
        tokio::spawn(async move {
            if self.connection.settle().await {
                idle.put(&self.key, self.connection);
            }
        });
    }
}

/// The body of an origin's response. See [`super::Pool::send`].
pub struct IncomingBody {
    incoming: Incoming,
    lease: Option<Lease>,
}

impl fmt::Debug for IncomingBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingBody").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}

impl IncomingBody {
    pub(super) fn new(incoming: Incoming, lease: Option<Lease>) -> Self {
        let mut body = Self { incoming, lease };
        if body.incoming.is_end_stream() {
            body.give_back();
        }
        body
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
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
        let polled = match &mut this.lease {
            Some(lease) => lease.connection.poll_frame(&mut this.incoming, cx),
            None => Pin::new(&mut this.incoming).poll_frame(cx),
        };
        match &polled {
            Poll::Ready(Some(Ok(_))) if this.incoming.is_end_stream() => this.give_back(),
            Poll::Ready(None) => this.give_back(),
            Poll::Ready(Some(Err(_))) => this.lease = None,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled.map(|frame| frame.map(|result| result.map_err(io_error)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
