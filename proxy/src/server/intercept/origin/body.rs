//! Bodies on their way to and from an origin.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use super::idle::Idle;
use super::{OriginKey, io_error};

/// The body of a request to an origin.
#[derive(Debug, Default)]
pub enum OutboundBody {
    #[default]
    Empty,
    /// At hand, with trailers if there are any.
    Full(Bytes, Option<HeaderMap>),
    /// Comes over time and can be sent once.
    Stream(BoxBody<Bytes, io::Error>),
}

impl OutboundBody {
    /// Whether the body can be sent again.
    #[must_use]
    pub fn is_replayable(&self) -> bool {
        !matches!(self, Self::Stream(_))
    }

    /// The same body once more, without copying its bytes.
    #[must_use]
    pub fn replay(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Full(bytes, trailers) => Some(Self::Full(bytes.clone(), trailers.clone())),
            Self::Stream(_) => None,
        }
    }
}

impl Body for OutboundBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Stream(stream) => Pin::new(stream).poll_frame(cx),
            Self::Full(bytes, trailers) => {
                let frame = if bytes.is_empty() {
                    trailers.take().map(Frame::trailers)
                } else {
                    Some(Frame::data(std::mem::take(bytes)))
                };
                if bytes.is_empty() && trailers.is_none() {
                    *self = Self::Empty;
                }
                Poll::Ready(frame.map(Ok))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes, trailers) => bytes.is_empty() && trailers.is_none(),
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes, None) => SizeHint::with_exact(bytes.len() as u64),
            // A length would leave no place for trailers.
            Self::Full(_, Some(_)) => SizeHint::default(),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

/// An HTTP/1.1 connection that goes back to the pool when the body on it has ended.
pub(super) struct Lease {
    idle: Arc<Idle>,
    key: OriginKey,
    sender: SendRequest<OutboundBody>,
}

impl Lease {
    pub(super) fn new(idle: Arc<Idle>, key: OriginKey, sender: SendRequest<OutboundBody>) -> Self {
        Self { idle, key, sender }
    }
}

/// The body of an origin's response. See [`super::Pool::send`].
pub struct ResponseBody {
    incoming: Incoming,
    lease: Option<Lease>,
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}

impl ResponseBody {
    pub(super) fn new(incoming: Incoming, lease: Option<Lease>) -> Self {
        let mut body = Self { incoming, lease };
        if body.incoming.is_end_stream() {
            body.give_back();
        }
        body
    }

    pub(super) fn unpooled(mut self) -> Self {
        self.lease = None;
        self
    }

    fn give_back(&mut self) {
        if let Some(Lease { idle, key, sender }) = self.lease.take() {
            idle.put(&key, sender);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        match &frame {
            Some(Ok(_)) if self.incoming.is_end_stream() => self.give_back(),
            Some(Ok(_)) => {}
            None => self.give_back(),
            Some(Err(_)) => self.lease = None,
        }
        Poll::Ready(frame.map(|result| result.map_err(io_error)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
