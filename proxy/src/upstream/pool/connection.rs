//! An HTTP/1.1 connection that is turned by whoever uses it.
//!
//! hyper gives a connection as two halves: a handle that takes requests, and a future that does the work. The usual thing is
//! to spawn that future; every exchange then crosses from one task to another at least three times (request, head, each piece of
//! the body), and usually from one thread to another. Here the request's own task polls both halves, so an exchange is one
//! task from the client's socket to the origin's and back. The price is that an idle connection is looked after by nobody:
//! the pool looks at it when it takes it out, and now and then in between.
//!
//! The halves speak through channels that wake whoever waits at the other end. Here that is the task that is running already, and
//! each such call would have it run once more for nothing: so the handle's side waits with a waker that does nothing, and the
//! work's side with one that is deaf while the handle is used.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::{Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;

use super::{OutgoingBody, Transport};

/// Longest response head, bytes (spec: http-proxy §6).
const MAX_HEAD: usize = 10 << 20;
/// Room for reading beyond a head.
const READ_AHEAD: usize = 64 * 1024;
/// Most header lines of a response. hyper clears a table of this many entries for each.
const MAX_LINES: usize = 512;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// See the module.
pub(super) struct Http1 {
    sender: SendRequest<OutgoingBody>,
    worker: Worker,
}

struct Worker {
    /// What does the work; none once it has ended. The lock only tells the compiler that it is never shared.
    work: Mutex<Option<Work>>,
    ear: Arc<Ear>,
    /// Speaks to `ear`.
    waker: Waker,
}

/// Hears that the work can go on, and passes it on to the task that drove it last.
#[derive(Default)]
struct Ear {
    deaf: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Ear {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.deaf.load(Ordering::Acquire) {
            self.task.wake();
        }
    }
}

impl Worker {
    fn new(work: Work) -> Self {
        let ear = Arc::<Ear>::default();
        let waker = Arc::clone(&ear).into();
        Self { work: Mutex::new(Some(work)), ear, waker }
    }

    /// Does what can be done now; ready once the work has ended.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let work = self.work.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.ear.task.register(cx.waker());
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
        let (sender, connection) = Builder::new()
            .title_case_headers(true)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_HEAD + READ_AHEAD)
            .max_headers(MAX_LINES)
            .handshake(TokioIo::new(transport))
            .await?;
        // What goes wrong is reported to the request on the connection.
        let work = async move { drop(connection.with_upgrades().await) };
        Ok(Self { sender, worker: Worker::new(Box::pin(work)) })
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
        self.worker.ear.deaf.store(true, Ordering::Release);
        let polled = Pin::new(incoming).poll_frame(&mut Context::from_waker(Waker::noop()));
        self.worker.ear.deaf.store(false, Ordering::Release);
        polled
    }

    /// Whether a request can be sent at once, as far as the last look told.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Looks whether the origin has closed the connection meanwhile, or said something that nobody asked for.
    pub(super) fn is_alive(&mut self) -> bool {
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

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(
        &mut self,
        request: Request<OutgoingBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<OutgoingBody>>> {
        let mut response = pin!(self.sender.try_send_request(request));
        let response = poll_fn(|cx| {
            let _ = self.worker.drive(cx);
            // When the work has ended, what was not sent and what got no answer has been given back.
            response.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // What hands the connection over is the end of its work.
            if let Some(work) = self.worker.take() {
                tokio::spawn(work);
            }
        }
        Ok(response)
    }
}
