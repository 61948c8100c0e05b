//! An HTTP/1.1 connection that is turned by whoever uses it.
//!
//! hyper gives a connection as two halves: a handle that takes requests, and a future that does the work. The usual thing is
//! to spawn that future; every exchange then crosses from one task to another at least three times (request, head, each piece of
//! the body), and usually from one thread to another. Here the request's own task polls both halves, so an exchange is one
//! task from the client's socket to the origin's and back. The price is that an idle connection is looked after by nobody:
//! the pool looks at it when it takes it out, and now and then in between.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use http::{Request, Response, StatusCode};
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
    /// What does the work; none once it has ended. The lock only tells the compiler that it is never shared.
    work: Mutex<Option<Work>>,
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
        Ok(Self { sender, work: Mutex::new(Some(Box::pin(work))) })
    }

    /// Does what can be done now; ready once the connection has ended.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        turn(&mut self.work, cx)
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
            let _ = turn(&mut self.work, cx);
            // When the work has ended, what was not sent and what got no answer has been given back.
            response.as_mut().poll(cx)
        })
        .await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // What hands the connection over is the end of its work.
            let work = self.work.get_mut().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(work) = work {
                tokio::spawn(work);
            }
        }
        Ok(response)
    }
}

fn turn(work: &mut Mutex<Option<Work>>, cx: &mut Context<'_>) -> Poll<()> {
    let work = work.get_mut().unwrap_or_else(PoisonError::into_inner);
    let ended = work.as_mut().is_none_or(|work| work.as_mut().poll(cx).is_ready());
    if ended {
        *work = None;
        return Poll::Ready(());
    }
    Poll::Pending
}
