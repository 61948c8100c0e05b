//! How the guard reads bodies: into what the handler gets, or for hyper.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use super::super::inflow::{Flow, Inflow};
use super::{CHUNK, Guard, Phase};

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// Reads what is wanted of a body, or what is there of it where that is `eager`.
    pub(super) fn pour(&mut self, inflow: &Arc<Inflow>, eager: bool, cx: &mut Context<'_>) {
        let polled = inflow.poll_fill(cx, eager, |got, left, whole, cx| {
            if eager {
                return self.read_body(got, left, whole, cx);
            }
            self.check_body_deadline(cx)?;
            self.read_body(got, left, whole, cx)
        });
        self.phase = match polled {
            Poll::Ready(Flow::Complete) => Phase::Answering,
            Poll::Ready(Flow::Broken) => Phase::Broken,
            Poll::Pending => Phase::Inflow(Arc::clone(inflow)),
        };
    }

    /// Appends up to `left` bytes of a body to what has come of it.
    fn read_body(
        &mut self,
        got: &mut BytesMut,
        left: usize,
        whole: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if !self.inbox.is_empty() {
            let n = left.min(self.inbox.len());
            let taken = self.take(n);
            if got.is_empty() {
                *got = taken
            } else {
                got.extend_from_slice(&taken)
            }
            return Poll::Ready(Ok(n));
        }
        // A read that could have been longer tells that there is no more, which saves asking.
        let room = left.saturating_add(1);
        got.reserve(if whole { room } else { room.min(CHUNK) });
        let before = got.len();
        match poll_read_buf(Pin::new(&mut self.io), cx, got) {
            Poll::Ready(Ok(n)) if n > left => {
                self.inbox.extend_from_slice(&got[before + left..]);
                got.truncate(before + left);
                Poll::Ready(Ok(left))
            }
            Poll::Pending if before == 0 => {
                *got = BytesMut::new();
                Poll::Pending
            }
            polled => polled,
        }
    }

    pub(super) fn poll_inflow(&mut self, inflow: &Arc<Inflow>, cx: &mut Context<'_>) -> Poll<()> {
        self.pour(inflow, false, cx);
        if matches!(self.phase, Phase::Answering) {
            self.read_deadline.clear();
        }
        if matches!(self.phase, Phase::Inflow(_)) {
            // An answer to a request that was not read is the last one.
            ready!(self.slot.poll_free(cx, true));
            self.phase = Phase::Closed;
        }
        Poll::Ready(())
    }

    /// Moves body bytes from the inbox to the outbox.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.inbox.is_empty() {
            self.check_body_deadline(cx)?;
            if ready!(self.fill(cx))? == 0 {
                self.phase = Phase::Closed;
                return Poll::Ready(Ok(()));
            }
        }
        let n = match &mut self.phase {
            Phase::Length(left) => {
                let n = (*left).min(self.inbox.len() as u64);
                *left -= n;
                n as usize
            }
            Phase::Chunked(chunks) => match chunks.advance(&self.inbox) {
                Ok(n) => n,
                Err(_) => {
                    self.phase = Phase::Closed;
                    let error = io::Error::new(io::ErrorKind::InvalidData, "malformed chunked encoding");
                    return Poll::Ready(Err(error));
                }
            },
            _ => 0,
        };
        self.outbox = self.take(n).freeze();
        let done = match &self.phase {
            Phase::Length(left) => *left == 0,
            Phase::Chunked(chunks) => chunks.is_done(),
            _ => true,
        };
        if done {
            self.phase = Phase::Answering;
            self.read_deadline.clear();
        }
        Poll::Ready(Ok(()))
    }

    fn check_body_deadline(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.read_deadline.expired(cx) {
            return Ok(());
        }
        self.phase = Phase::Closed;
        let text = format!("read tcp {}->{}: i/o timeout", self.ends.0, self.ends.1);
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    }
}
