//! The client's side of a connection, as hyper is allowed to see it.
//!
//! [`Guard`] sits between the socket and hyper. It reads a whole head, has it judged by [`super::head`], and hands hyper a
//! minimal head of our own making; it passes exactly the bytes of the body on, and holds everything after it back until the
//! answer is finished. hyper therefore never parses anything that a client wrote except body bytes whose end is already known,
//! and the read deadlines of the reference (head, whole request, idle) live where the reads are. Usual bodies go past hyper, which
//! is told of none (see `inflow`). The cost is one extra copy of heads and of chunked bodies.
//! (spec: http-proxy §1.2, §1.3, §1.5 rules 7 and 9)

mod bodies;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use muselet_rules::Strictness;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use super::chunks::Chunks;
use super::deadline::Deadline;
use super::head::{self, Expect, Foreign, Framing, Head, Refusal};
use super::inflow::Inflow;
use super::minimal::minimal;
use super::slot::Slot;
use crate::gather;
use crate::head_end::head_end;

/// The deadlines of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From accept, or from the first byte of a later request, to the end of its head.
    pub head: Duration,
    /// Same start, to the end of its body.
    pub request: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// While the client takes nothing of an answer; in hardened mode only. (D-632)
    pub untaken: Duration,
    /// From the end of the head to the end of the answer; `None`: unlimited.
    pub write: Option<Duration>,
}

impl Limits {
    /// The main listener while forwarding is on.
    pub const MAIN: Self = Self {
        head: Duration::from_secs(5),
        request: Duration::from_secs(10),
        idle: Duration::from_secs(120),
        untaken: Duration::from_secs(120),
        write: None,
    };

    /// The admin and metrics listeners.
    pub const ADMIN: Self = Self { write: Some(Duration::from_secs(10)), ..Self::MAIN };
}

/// How long, and how many bytes, are read after our last byte so that it is not lost to a TCP reset.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 1 << 20;
/// Read size.
const CHUNK: usize = 16 * 1024;
/// Size of the first read of a request: its head, and usual bodies.
const FIRST: usize = 68 * 1024;
/// Bodies of up to this many bytes are read as far as they are there before anybody asks.
const EAGER: usize = super::body::DRAIN;
/// Longest body that the next one is expected to be like, bytes.
const FORESEEN: usize = 128 * 1024;

/// What opens a tunnel, whatever the client's version and wish for persistence. (spec: http-proxy §6.2 C16)
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection Established\r\n\r\n";

thread_local! {
    /// For reads whose size nobody knows yet.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
enum Phase {
    /// Nothing of the next request yet.
    Idle,
    /// Some of a head.
    Head,
    /// This much body is to come.
    Length(u64),
    /// A chunked body is to come.
    Chunked(Chunks),
    /// A body is to come, past hyper.
    Inflow(Arc<Inflow>),
    /// That body has ended too early: all that is left is to answer.
    Broken,
    /// The request is complete, its answer is not.
    Answering,
    /// Nothing more is read; perhaps one last thing is said.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Refusal(usize),
    Await(usize),
    Shutdown,
    Linger(usize),
    Done,
}

/// See the module.
#[derive(Debug)]
pub struct Guard<S> {
    io: S,
    /// Read from the socket, not yet handed on.
    inbox: BytesMut,
    /// How much of the inbox holds no end of a head.
    searched: usize,
    /// Room for a request like the last one, if that was long.
    foreseen: usize,
    /// For hyper, in front of anything else.
    outbox: Bytes,
    phase: Phase,
    request_began: Instant,
    read_deadline: Deadline,
    write_deadline: Deadline,
    /// While the client takes nothing of what is written.
    stalled: Deadline,
    limits: Limits,
    strictness: Strictness,
    inner: bool,
    slot: Arc<Slot>,
    ends: (SocketAddr, SocketAddr),
    refusal: &'static [u8],
    closing: Closing,
    /// How much of [`ESTABLISHED`] was written.
    established: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// `ends`: local and peer address, for the text of read errors.
    pub fn new(
        io: S,
        ends: (SocketAddr, SocketAddr),
        limits: Limits,
        strictness: Strictness,
        inner: bool,
        slot: Arc<Slot>,
    ) -> Self {
        let now = Instant::now();
        let mut read_deadline = Deadline::new();
        read_deadline.set(now + limits.head);
        Self {
            io,
            inbox: BytesMut::new(),
            searched: 0,
            foreseen: 0,
            outbox: Bytes::new(),
            phase: Phase::Head,
            request_began: now,
            read_deadline,
            write_deadline: Deadline::new(),
            stalled: Deadline::new(),
            limits,
            strictness,
            inner,
            slot,
            ends,
            refusal: b"",
            closing: Closing::Refusal(0),
            established: 0,
        }
    }

    /// The socket, and what was read from it after the last request's head.
    pub fn into_parts(self) -> (S, Bytes) {
        (self.io, self.inbox.freeze())
    }

    /// Waits until there is something for hyper: a head, or the end.
    pub fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.outbox.is_empty() && matches!(self.phase, Phase::Idle | Phase::Head) {
            if ready!(self.poll_head(cx)).is_err() {
                self.phase = Phase::Closed;
            }
        }
        Poll::Ready(())
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refusal = refusal.bytes();
        self.phase = Phase::Closed;
    }

    /// Reads more into the inbox; 0 at the end of the stream.
    ///
    /// An empty inbox has no memory: most connections wait most of the time. What comes is read into a buffer of the thread
    /// and copied, unless it is known to be large.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let room = match self.phase {
            Phase::Idle | Phase::Head if self.inbox.is_empty() => self.foreseen,
            _ if !self.inbox.is_empty() => CHUNK,
            Phase::Length(_) | Phase::Chunked(_) => CHUNK,
            _ => 0,
        };
        if room > 0 {
            self.inbox.reserve(room);
            let polled = poll_read_buf(Pin::new(&mut self.io), cx, &mut self.inbox);
            if polled.is_pending() && self.inbox.is_empty() {
                self.inbox = BytesMut::new();
            }
            return polled;
        }
        SCRATCH.with_borrow_mut(|scratch| {
            if scratch.is_empty() {
                *scratch = vec![0; FIRST];
            }
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            let read = buffer.filled();
            if self.inbox.capacity() < read.len() {
                // Room for this much and no more; reserving would round up.
                self.inbox = BytesMut::with_capacity(read.len());
            }
            self.inbox.extend_from_slice(read);
            Poll::Ready(Ok(read.len()))
        })
    }

    /// Reads and judges a head.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.slot.last_was_post() && self.searched == 0 {
                // Old clients end a posted body with a line end that is not part of it.
                let blanks = self.inbox.iter().take(4).take_while(|b| matches!(b, b'\r' | b'\n')).count();
                self.inbox.advance(blanks);
            }
            if matches!(self.phase, Phase::Idle) && !self.inbox.is_empty() {
                self.phase = Phase::Head;
                self.request_began = Instant::now();
                self.read_deadline.set(self.request_began + self.limits.head);
            }
            if self.searched == 0
                && let Some(foreign) = self.inbox.first().and_then(|first| Foreign::of(*first))
                && !self.inner
                && self.strictness == Strictness::Hardened
            {
                self.slot.set_foreign(foreign);
                self.refuse(Refusal::Foreign(foreign));
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = head_end(&self.inbox, self.searched) {
                if end > head::MAX_HEAD {
                    self.refuse(Refusal::TooLarge);
                    return Poll::Ready(Ok(()));
                }
                let bytes = self.take(end).freeze();
                self.searched = 0;
                match head::parse(&bytes, self.strictness) {
                    Ok(head) => self.begin(Box::new(head), cx),
                    Err(refusal) => self.refuse(refusal),
                }
                return Poll::Ready(Ok(()));
            }
            self.searched = self.inbox.len();
            if self.searched > head::MAX_HEAD {
                self.refuse(Refusal::TooLarge);
                return Poll::Ready(Ok(()));
            }
            if self.read_deadline.expired(cx) {
                if matches!(self.phase, Phase::Idle) && self.stalled.is_set() {
                    // It is not idle: it has yet to take the rest of the last answer.
                    self.read_deadline.set(Instant::now() + self.limits.idle);
                    continue;
                }
                self.phase = Phase::Closed;
                return Poll::Ready(Ok(()));
            }
            match ready!(self.fill(cx)) {
                Ok(0) if self.inbox.is_empty() => self.phase = Phase::Closed,
                Ok(0) => self.refuse(Refusal::BadRequest),
                Ok(_) => continue,
                Err(_) => self.phase = Phase::Closed,
            }
            return Poll::Ready(Ok(()));
        }
    }

    /// The first `length` bytes of the inbox, which keeps no memory when it is empty then.
    fn take(&mut self, length: usize) -> BytesMut {
        let all = length == self.inbox.len();
        if all { std::mem::take(&mut self.inbox) } else { self.inbox.split_to(length) }
    }

    /// Hands a head on: the whole to the handler, what concerns framing to hyper. A body that is to be asked for is hyper's to
    /// ask for.
    fn begin(&mut self, head: Box<Head>, cx: &mut Context<'_>) {
        let inflow = match head.framing {
            _ if head.method == http::Method::CONNECT && !self.inner => None,
            Framing::Length(n)
                if head.expect == Expect::Nothing && head.version == http::Version::HTTP_11 =>
            {
                usize::try_from(n).ok()
            }
            _ => None,
        };
        let inflow = inflow.map(|length| (length, Arc::new(Inflow::new(length))));
        let framing = if inflow.is_some() { Framing::None } else { head.framing };
        self.outbox = minimal(&head, framing, self.inner);
        self.phase = match framing {
            _ if head.method == http::Method::CONNECT && !self.inner => Phase::Answering,
            Framing::None => Phase::Answering,
            Framing::Length(n) => Phase::Length(n),
            Framing::Chunked => Phase::Chunked(Chunks::default()),
        };
        if let Some((length, inflow)) = &inflow {
            // With room for a head.
            self.foreseen = if (CHUNK..=FORESEEN).contains(length) { length + CHUNK } else { 0 };
            self.pour(inflow, *length <= EAGER, cx);
        }
        if matches!(self.phase, Phase::Answering) {
            self.read_deadline.clear();
        } else {
            self.read_deadline.set(self.request_began + self.limits.request);
        }
        if let Some(limit) = self.limits.write {
            self.write_deadline.set(Instant::now() + limit);
        }
        self.slot.put(head, inflow.map(|(_, inflow)| inflow));
    }

    /// Waits for the end of the answer; notices a client that leaves.
    ///
    /// Nobody has to be told about the end at once while nothing is to be done then: the next byte of the client wakes us, and
    /// so does the timer, from which on idleness is watched.
    fn poll_answering(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let silent = self.inbox.is_empty() && self.read_deadline.is_armed();
        if let Poll::Ready(freed) = self.slot.poll_free(cx, !silent) {
            return self.become_idle(freed);
        }
        if !self.inbox.is_empty() {
            return Poll::Pending;
        }
        if !matches!(ready!(self.fill(cx)), Ok(n) if n > 0) {
            self.phase = Phase::Closed;
            return Poll::Ready(Ok(()));
        }
        // What came early waits for the end.
        let freed = ready!(self.slot.poll_free(cx, true));
        self.become_idle(freed)
    }

    /// Whether hyper is writing the head of an answer that opens a tunnel, in which it puts the client's version, and
    /// `Connection`.
    fn is_opening(&self, buf: &[u8]) -> bool {
        let status = "HTTP/1.".len() + 1..ESTABLISHED.len() - 4;
        self.slot.opens_tunnel() && buf.get(status.clone()) == ESTABLISHED.get(status)
    }

    /// Writes our head in place of `length` bytes of hyper's.
    fn poll_open(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        while let Some(rest @ [_, ..]) = ESTABLISHED.get(self.established..) {
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.established += n,
            }
        }
        Poll::Ready(Ok(length))
    }

    /// Notes whether the client takes what is written. One that takes nothing of an answer for long is gone: what is held
    /// of the answer would be kept from others for ever. (D-632)
    fn watch(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            if self.stalled.is_set() {
                self.stalled.clear();
                self.slot.set_unread(false);
            }
            return written;
        }
        if !self.stalled.is_set() {
            self.stalled.set(Instant::now() + self.limits.untaken);
            self.slot.set_unread(true);
        }
        if self.strictness == Strictness::Hardened && self.stalled.expired(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }

    fn become_idle(&mut self, since: Instant) -> Poll<io::Result<()>> {
        self.phase = Phase::Idle;
        self.read_deadline.set(since + self.limits.idle);
        self.write_deadline.clear();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.outbox.is_empty() {
                let n = self.outbox.len().min(buf.remaining());
                buf.put_slice(&self.outbox.split_to(n));
                return Poll::Ready(Ok(()));
            }
            match &self.phase {
                Phase::Closed => return Poll::Ready(Ok(())),
                Phase::Inflow(inflow) => {
                    let inflow = Arc::clone(inflow);
                    ready!(self.poll_inflow(&inflow, cx));
                }
                Phase::Broken => {
                    ready!(self.slot.poll_free(cx, true));
                    self.phase = Phase::Closed;
                }
                Phase::Idle | Phase::Head => ready!(self.poll_head(cx))?,
                Phase::Length(_) | Phase::Chunked(_) => ready!(self.poll_body(cx))?,
                Phase::Answering => ready!(self.poll_answering(cx))?,
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.write_deadline.expired(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if self.is_opening(buf) {
            return self.poll_open(cx, buf.len());
        }
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.watch(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.write_deadline.expired(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let [head] = bufs
            && self.is_opening(head)
        {
            return self.poll_open(cx, head.len());
        }
        let written = gather::poll_write(&mut self.io, cx, bufs);
        self.watch(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Says the last thing, sends FIN, and, where the client may still be sending, reads on for a moment: closing a socket with
    /// unread data resets it, and the client would lose our answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match this.closing {
                Closing::Refusal(at) if at < this.refusal.len() => {
                    let n = ready!(Pin::new(&mut this.io).poll_write(cx, &this.refusal[at..]))?;
                    if n == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    this.closing = Closing::Refusal(at + n);
                }
                Closing::Refusal(_) => {
                    ready!(Pin::new(&mut this.io).poll_flush(cx))?;
                    let waits = this.slot.awaited() && this.strictness == Strictness::Reference;
                    this.closing = if waits { Closing::Await(0) } else { Closing::Shutdown };
                }
                Closing::Await(total) => {
                    // The reference reads the body it did not ask for before it closes, until the request's deadline.
                    this.inbox.clear();
                    let over = this.read_deadline.expired(cx) || total > LINGER_BYTES;
                    match if over { Ok(0) } else { ready!(this.fill(cx)) } {
                        Ok(n) if n > 0 => this.closing = Closing::Await(total + n),
                        _ => this.closing = Closing::Shutdown,
                    }
                }
                Closing::Shutdown => {
                    ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
                    let mid_body =
                        matches!(this.phase, Phase::Length(_) | Phase::Chunked(_) | Phase::Inflow(_));
                    let unread = !this.refusal.is_empty() || mid_body || this.slot.cut_short();
                    this.read_deadline.set(Instant::now() + LINGER);
                    this.closing = if unread { Closing::Linger(0) } else { Closing::Done };
                }
                Closing::Linger(total) => {
                    if this.read_deadline.expired(cx) || total > LINGER_BYTES {
                        this.closing = Closing::Done;
                        continue;
                    }
                    this.inbox.clear();
                    match ready!(this.fill(cx)) {
                        Ok(n) if n > 0 => this.closing = Closing::Linger(total + n),
                        _ => this.closing = Closing::Done,
                    }
                }
                Closing::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}
