//! What wakes the task that turns a connection.
//!
//! Two sides do: hyper's handle, through [`Ear`], and the origin, through [`Socket`]. They are kept apart because the first has
//! to be ignored at times and the second never. As nobody else's waker is given to the transport, it also need not be asked
//! for bytes again until [`Socket`] was woken: hyper asks at every turn, several times an exchange, and each time costs locks.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Transport;
use super::connection::{MAX_HEAD, READ_AHEAD};
use super::target::Line;
use super::usual::Other;

/// Room for what is remembered of an answer, kept between two of them.
const USUAL_READ: usize = 4096;
/// Most that is read before the head of a response is whole, bytes, interim ones before it among them: what is longer than one
/// head may be ends the exchange.
const MOST_READ: usize = MAX_HEAD + 4 * READ_AHEAD;
/// Most that all exchanges of the process remember together, bytes, without those that remember less than [`READ_AHEAD`]. hyper holds
/// as much again.
const MOST_REMEMBERED: usize = 16 * MAX_HEAD;

/// How much that is.
static REMEMBERED: AtomicUsize = AtomicUsize::new(0);

/// Hears that the work can go on, and passes it on to the task that drove it last.
#[derive(Debug, Default)]
pub(super) struct Ear {
    deaf: AtomicBool,
    task: AtomicWaker,
}

impl Ear {
    /// Whom to wake from now on.
    pub(super) fn listen_for(&self, task: &Waker) {
        self.task.register(task);
    }

    /// Whether what the handle says is ignored.
    pub(super) fn be_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::Release);
    }
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

/// Hears that the origin did something, and remembers what it said while the head of a response is awaited.
#[derive(Debug)]
pub(super) struct Socket {
    ear: Arc<Ear>,
    /// There was nothing to read, and nothing has happened since.
    silent: AtomicBool,
    /// The transport is used with other wakers.
    left: AtomicBool,
    records: AtomicBool,
    /// The record has a line.
    restates: AtomicBool,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    read: Vec<u8>,
    /// What of it is in [`REMEMBERED`].
    counted: usize,
    /// Once hyper has no use for it any more.
    transport: Option<Transport>,
    /// Of the request that is written next.
    line: Option<Line>,
}

impl Socket {
    pub(super) fn new(ear: Arc<Ear>) -> Self {
        let (silent, left, records, restates) = Default::default();
        Self { ear, silent, left, records, restates, record: Mutex::default() }
    }

    /// What it speaks to.
    pub(super) fn ear(&self) -> &Arc<Ear> {
        &self.ear
    }

    /// From now on the transport is asked whenever somebody asks, with their waker.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Release);
        self.silent.store(false, Ordering::Release);
    }

    /// What has been read, and what it was read from, once hyper has dropped that.
    pub(super) fn recorded(&self) -> Option<(Vec<u8>, Transport)> {
        let mut record = self.lock();
        let transport = record.transport.take()?;
        Some((std::mem::take(&mut record.read), transport))
    }

    fn record(&self, read: &[u8]) -> io::Result<()> {
        if !self.records.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut record = self.lock();
        if record.read.len() > MOST_READ {
            return Err(io::Error::other("too many 1xx informational responses"));
        }
        record.read.extend_from_slice(read);
        if record.read.len() > READ_AHEAD {
            let more = record.read.len() - record.counted;
            record.counted += more;
            if REMEMBERED.fetch_add(more, Ordering::Relaxed) + more > MOST_REMEMBERED {
                return Err(io::Error::other("too many long response heads at a time"));
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        // Whatever a panic leaves is the origin's bytes or a part of them, and the panic ends the exchange.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, its socket remembers what is read, and the transport when that is dropped; and it knows the line that the
/// request is to begin with. Not for longer: a transport knows its waker, and so the two would keep each other.
#[derive(Debug)]
pub(super) struct Recording(Arc<Socket>);

impl Recording {
    pub(super) fn of(socket: &Arc<Socket>, line: Option<Line>) -> Self {
        if line.is_some() {
            socket.lock().line = line;
            socket.restates.store(true, Ordering::Release);
        }
        socket.records.store(true, Ordering::Release);
        Self(Arc::clone(socket))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.0.records.store(false, Ordering::Release);
        let mut record = self.0.lock();
        REMEMBERED.fetch_sub(std::mem::take(&mut record.counted), Ordering::Relaxed);
        record.read.clear();
        record.read.shrink_to(USUAL_READ);
        record.transport = None;
        record.line = None;
    }
}

impl Wake for Socket {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.silent.store(false, Ordering::Release);
        self.ear.task.wake();
    }
}

/// A transport that speaks to a [`Socket`].
#[derive(Debug)]
pub(super) struct Listening {
    /// None once it has been dropped.
    transport: Option<Transport>,
    /// Read before anything else, but not before something was written; and what is written until then goes nowhere, or what of
    /// it has been sent already.
    again: Option<Again>,
    /// Bytes of a request that have been sent and that hyper will write.
    sent: usize,
    /// What of a request line is still to be written, and the one that hyper will write for it.
    line: Option<Line>,
    socket: Arc<Socket>,
    waker: Waker,
}

#[derive(Debug)]
struct Again {
    other: Other,
    asked: bool,
}

impl Listening {
    pub(super) fn new(transport: Transport, socket: &Arc<Socket>) -> Self {
        let waker = Arc::clone(socket).into();
        Self {
            transport: Some(transport),
            again: None,
            sent: 0,
            line: None,
            socket: Arc::clone(socket),
            waker,
        }
    }

    /// `other` was read from it for a request that it has been sent; the next request is taken for that one.
    pub(super) fn again(transport: Transport, other: Other, socket: &Arc<Socket>) -> Self {
        let mut listening = Self::new(transport, socket);
        listening.sent = other.sent.unwrap_or_default();
        listening.again = Some(Again { other, asked: false });
        listening
    }

    /// Whether what is written next is not what hyper writes.
    fn restates(&mut self) -> bool {
        if self.socket.restates.load(Ordering::Acquire) {
            self.socket.restates.store(false, Ordering::Release);
            self.line = self.socket.lock().line.take();
        }
        self.line.is_some()
    }

    /// Writes the other request line, and takes hyper's, with which a write begins.
    fn poll_line(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Some(mut line) = self.line.take() else { return Poll::Ready(Ok(0)) };
        if !buf.starts_with(&line.hypers) {
            return Poll::Ready(Err(io::Error::other("the request line is another than was asked for")));
        }
        let sent = self.sent.min(line.ours.len());
        self.sent -= sent;
        line.ours.drain(..sent);
        while !line.ours.is_empty() {
            match self.call(cx, |transport, cx| transport.poll_write(cx, &line.ours)) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => drop(line.ours.drain(..n)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.line = Some(line);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(line.hypers.len()))
    }

    /// Calls the transport with the waker that is its due.
    fn call<R>(
        &mut self,
        cx: &mut Context<'_>,
        call: impl FnOnce(Pin<&mut Transport>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let Some(transport) = &mut self.transport else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if self.socket.left.load(Ordering::Acquire) {
            return call(Pin::new(transport), cx);
        }
        call(Pin::new(transport), &mut Context::from_waker(&self.waker))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if self.socket.records.load(Ordering::Acquire) {
            self.socket.lock().transport = self.transport.take();
        }
    }
}

impl AsyncRead for Listening {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.again {
            Some(again) if !again.asked => return Poll::Pending,
            Some(again) if !again.other.read.is_empty() => {
                let n = again.other.read.len().min(buf.remaining());
                let read = again.other.read.split_to(n);
                buf.put_slice(&read);
                return Poll::Ready(self.socket.record(&read));
            }
            Some(_) => {
                if let Some(error) = self.again.take().and_then(|again| again.other.failed) {
                    return Poll::Ready(Err(error));
                }
            }
            None => {}
        }
        if self.socket.silent.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        // Beforehand: what happens meanwhile is not to be missed.
        self.socket.silent.store(!self.socket.left.load(Ordering::Acquire), Ordering::Release);
        let before = buf.filled().len();
        let polled = self.call(cx, |transport, cx| transport.poll_read(cx, buf));
        if polled.is_ready() {
            self.socket.silent.store(false, Ordering::Release);
            self.socket.record(&buf.filled()[before..])?;
        }
        polled
    }
}

impl AsyncWrite for Listening {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(Again { other, asked }) = &mut self.again {
            let (first, whole) = (!std::mem::replace(asked, true), other.sent.is_none());
            if first {
                self.waker.wake_by_ref();
            }
            if whole {
                return Poll::Ready(Ok(buf.len()));
            }
        }
        if self.restates() {
            return self.poll_line(cx, buf);
        }
        if self.sent > 0 {
            let n = self.sent.min(buf.len());
            self.sent -= n;
            return Poll::Ready(Ok(n));
        }
        self.call(cx, |transport, cx| transport.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.again.is_some() || self.sent > 0 || self.restates() {
            let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| &**buf);
            return self.poll_write(cx, first);
        }
        self.call(cx, |transport, cx| transport.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.call(cx, |transport, cx| transport.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.socket.records.load(Ordering::Acquire) {
            // It may be read from once more; else dropping it closes it.
            return Poll::Ready(Ok(()));
        }
        self.call(cx, |transport, cx| transport.poll_shutdown(cx))
    }
}
