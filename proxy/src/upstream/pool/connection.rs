//! An HTTP/1.1 connection that is turned by whoever uses it. It is hyper's from the first exchange on that is not a usual one
//! (see `usual`).
//!
//! hyper gives a connection as two halves: a handle that takes requests, and a future that does the work. The usual thing is
//! to spawn that future; every exchange then crosses from one task to another at least three times (request, head, each piece of
//! the body), and usually from one thread to another. Here the request's own task polls both halves, so an exchange is one
//! task from the client's socket to the origin's and back. The price is that an idle connection is looked after by nobody:
//! the pool looks at it when it takes it out, and now and then in between.
//!
//! The halves speak through channels that wake whoever waits at the other end. Here that is the task that is running already, and
//! each such call would have it run once more for nothing: so the handle's side waits with a waker that does nothing, and the
//! work's side with one that is deaf while the handle is used (what the origin does is heard all the same, see `ear`).
//!
//! hyper reads a hundred header lines of a response for nothing, and clears a table of 32 KiB for each response where there may
//! be more. So it is left at the hundred; what is longer is read once more, from memory, by another hyper that was told so.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;

use super::ear::{Ear, Listening, Recording, Socket};
use super::target::Line;
use super::usual::{self, Other};
use super::{OutgoingBody, Transport};

/// Longest response head, bytes (spec: http-proxy §6).
pub(super) const MAX_HEAD: usize = 10 << 20;
/// Room for reading beyond a head.
pub(super) const READ_AHEAD: usize = 64 * 1024;
/// Most header lines of a response.
const MAX_LINES: usize = 512;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An HTTP/1.1 connection.
pub(super) enum Connection {
    /// Without hyper so far.
    Usual(Box<Transport>),
    Turned(Box<Http1>),
}

impl Connection {
    /// Looks whether the origin has closed the connection meanwhile, or said something that nobody asked for.
    pub(super) fn is_alive(&mut self) -> bool {
        match self {
            Self::Usual(transport) => usual::is_silent(transport),
            Self::Turned(connection) => connection.is_alive(),
        }
    }
}

/// See the module.
pub(super) struct Http1 {
    sender: SendRequest<OutgoingBody>,
    worker: Worker,
    single: bool,
}

pub(super) type Failed = TrySendError<Request<OutgoingBody>>;

struct Worker {
    /// What does the work; none once it has ended. The lock only tells the compiler that it is never shared.
    work: Mutex<Option<Work>>,
    ear: Arc<Ear>,
    socket: Arc<Socket>,
    /// Speaks to `ear`.
    waker: Waker,
}

impl Worker {
    fn new(work: Work, socket: Arc<Socket>) -> Self {
        let ear = Arc::clone(socket.ear());
        let waker = Arc::clone(&ear).into();
        Self { work: Mutex::new(Some(work)), ear, socket, waker }
    }

    /// Does what can be done now; ready once the work has ended.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let work = self.work.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.ear.listen_for(cx.waker());
        let mut cx = Context::from_waker(&self.waker);
        let ended = work.as_mut().is_none_or(|work| work.as_mut().poll(&mut cx).is_ready());
        if ended {
            *work = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Whether the work has ended, or is somebody else's.
    fn is_gone(&mut self) -> bool {
        self.work.get_mut().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Leaves the work to others.
    fn take(&mut self) -> Option<Work> {
        self.work.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Http1 {
    pub(super) async fn open(transport: Transport) -> hyper::Result<Self> {
        let socket = Arc::new(Socket::new(Arc::default()));
        Self::with(&Builder::new(), Listening::new(transport, &socket), socket).await
    }

    async fn with(builder: &Builder, transport: Listening, socket: Arc<Socket>) -> hyper::Result<Self> {
        let (sender, connection) = builder
            .clone()
            .title_case_headers(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_HEAD + READ_AHEAD)
            .handshake(TokioIo::new(transport))
            .await?;
        // What goes wrong is reported to the request on the connection.
        let work = async move { drop(connection.with_upgrades().await) };
        Ok(Self { sender, worker: Worker::new(Box::pin(work), socket), single: false })
    }

    /// Does what can be done now; ready once the connection has ended.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.worker.drive(cx)
    }

    /// The next frame of the body of the response under way.
    pub(super) fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        if self.worker.is_gone() {
            return Pin::new(incoming).poll_frame(cx);
        }
        let polled = self.look(incoming);
        if polled.is_ready() {
            return polled;
        }
        // Nothing has come out of the connection because nobody else turns it.
        let _ = self.worker.drive(cx);
        self.look(incoming)
    }

    /// What a look at the body tells the work is dealt with when it is driven next, which is before anybody waits.
    fn look(&self, incoming: &mut Incoming) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        self.worker.ear.be_deaf(true);
        let polled = Pin::new(incoming).poll_frame(&mut Context::from_waker(Waker::noop()));
        self.worker.ear.be_deaf(false);
        polled
    }

    /// Whether a request can be sent at once, as far as the last look told.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    fn is_alive(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop())).is_pending() && self.sender.is_ready()
    }

    /// Waits until the next request can be sent; `false`: never.
    pub(super) async fn settle(&mut self) -> bool {
        poll_fn(|cx| match self.drive(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending => self.sender.poll_ready(cx).map(|ready| ready.is_ok()),
        })
        .await
    }

    /// Whether it may be used for another request.
    pub(super) fn is_single(&self) -> bool {
        self.single
    }

    /// Sends a request, with another request line where there is one, and waits for the head of its response.
    pub(super) async fn send(
        &mut self,
        request: Request<OutgoingBody>,
        line: Option<Line>,
    ) -> Result<Response<Incoming>, Failed> {
        let method = request.method().clone();
        let recording = Recording::of(&self.worker.socket, line);
        let mut sent = self.exchange(request).await;
        if sent.as_ref().is_err_and(|failed| failed.error().is_parse_too_large())
            && let Some(reread) = self.reread(method).await
        {
            sent = reread;
        }
        drop(recording);
        if sent.as_ref().is_ok_and(|response| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
            // What hands the connection over is the end of its work.
            self.worker.socket.leave();
            if let Some(work) = self.worker.take() {
                tokio::spawn(work);
            }
        }
        sent
    }

    async fn exchange(&mut self, request: Request<OutgoingBody>) -> Result<Response<Incoming>, Failed> {
        let mut response = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            let _ = self.worker.drive(cx);
            // When the work has ended, what was not sent and what got no answer has been given back.
            response.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    /// Reads the response to a request of this method once more, when its head may have too many lines for hyper as it is.
    /// The connection cannot be used again: whether all of the request was sent is not known.
    async fn reread(&mut self, method: Method) -> Option<Result<Response<Incoming>, Failed>> {
        // The request may still be being sent.
        drop(self.worker.take());
        let (read, transport) = self.worker.socket.recorded()?;
        let mut builder = Builder::new();
        builder.max_headers(MAX_LINES);
        let other = Other { read: read.into(), failed: None, sent: None };
        *self = Self { single: true, ..Self::again(&builder, transport, other).await.ok()? };
        Some(unrepeatable(self.exchange(stand_in(method)).await))
    }

    /// Reads the response to a request that has been sent without hyper, after sending what is left of it. For one that has
    /// been sent whole a [stand-in](stand_in) does.
    pub(super) async fn resume(
        transport: Transport,
        other: Other,
        request: Request<OutgoingBody>,
        line: Option<Line>,
    ) -> hyper::Result<(Self, Result<Response<Incoming>, Failed>)> {
        let mut connection = Self::again(&Builder::new(), transport, other).await?;
        let resumed = connection.send(request, line).await;
        Ok((connection, unrepeatable(resumed)))
    }

    /// On which the next request is taken for one that has been sent.
    async fn again(builder: &Builder, transport: Transport, other: Other) -> hyper::Result<Self> {
        let socket = Arc::new(Socket::new(Arc::default()));
        Self::with(builder, Listening::again(transport, other, &socket), socket).await
    }
}

/// A request that is not sent, for the response to one of this method.
pub(super) fn stand_in(method: Method) -> Request<OutgoingBody> {
    let mut request = Request::new(OutgoingBody::Empty);
    *request.method_mut() = method;
    request
}

/// What stands for another request must not be sent again.
fn unrepeatable<T>(mut sent: Result<T, Failed>) -> Result<T, Failed> {
    if let Err(failed) = &mut sent {
        drop(failed.take_message());
    }
    sent
}
