//! An HTTP/2 connection, set up with as few writes and tasks as possible.
//!
//! hyper and h2 write the connection preface by itself, then the settings from one task, then the request from another: three
//! records, three system calls and three times that the origin wakes up before it has a request. Here the preface waits for what
//! follows it, and both of hyper's futures are one task that takes the request in before it writes for the first time.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{OutgoingBody, Transport};

/// Longest list of header fields that is taken, bytes.
const MAX_HEADERS: u32 = 1 << 20;
/// What an origin may send before it has to wait for us, bytes: on one stream, and on all. Answers that wait for room leave what has
/// come of them unread, and must not keep those that have room from coming.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Opens a connection whose task ends when the handles are gone and nothing is under way.
pub(super) async fn open(transport: Transport) -> hyper::Result<SendRequest<OutgoingBody>> {
    let tasks = Tasks::default();
    let (sender, requests) = Builder::new(tasks.clone())
        .max_header_list_size(MAX_HEADERS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(TokioIo::new(Corked::new(transport)))
        .await?;
    let frames = tasks.first();
    // What ends the connection is reported to the requests on it.
    tokio::spawn(async move {
        // First what takes requests in, then what writes.
        futures_util::future::join(requests, frames).await.0.ok();
    });
    Ok(sender)
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Keeps what hyper wants to run until [`Tasks::first`] takes it; all later tasks are spawned.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<Early>>);

#[derive(Default)]
struct Early {
    tasks: Vec<Task>,
    taken: bool,
}

impl Tasks {
    fn first(&self) -> impl Future<Output = Vec<()>> + Send + use<> {
        let mut early = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        early.taken = true;
        futures_util::future::join_all(std::mem::take(&mut early.tasks))
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let mut early = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if early.taken {
            tokio::spawn(task);
        } else {
            early.tasks.push(Box::pin(task));
        }
    }
}

/// Holds the first write back until there is a second one or a flush.
struct Corked<T> {
    io: T,
    held: Vec<u8>,
    begun: bool,
}

impl<T: AsyncWrite + Unpin> Corked<T> {
    fn new(io: T) -> Self {
        Self { io, held: Vec::new(), begun: false }
    }

    /// Writes what is held.
    fn poll_uncork(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let n = ready!(Pin::new(&mut self.io).poll_write(cx, &self.held))?;
            self.release(n)?;
        }
        Poll::Ready(Ok(()))
    }

    fn release(&mut self, written: usize) -> io::Result<()> {
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.held.drain(..written);
        Ok(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Corked<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Corked<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if !this.begun {
            this.begun = true;
            this.held = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            return Poll::Ready(Ok(this.held.len()));
        }
        while !this.held.is_empty() {
            let mut all = Vec::with_capacity(bufs.len() + 1);
            all.push(IoSlice::new(&this.held));
            all.extend(bufs.iter().map(|buf| IoSlice::new(buf)));
            let n = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, &all))?;
            drop(all);
            let beyond = n.saturating_sub(this.held.len());
            this.release(n - beyond)?;
            if beyond > 0 {
                return Poll::Ready(Ok(beyond));
            }
        }
        Pin::new(&mut this.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_uncork(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_uncork(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Takes at most `room` bytes a write and counts writes.
    struct Narrow {
        room: usize,
        writes: Vec<Vec<u8>>,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(buf)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let taken: Vec<u8> = bufs.iter().flat_map(|b| b.iter().copied()).take(self.room).collect();
            let n = taken.len();
            self.writes.push(taken);
            Poll::Ready(Ok(n))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn the_first_write_goes_out_with_the_second_in_whatever_pieces() {
        for room in [1, 2, 3, 4, 5, 100] {
            let mut corked = Corked::new(Narrow { room, writes: Vec::new() });
            corked.write_all(b"abc").await.unwrap();
            assert!(corked.io.writes.is_empty());
            corked.write_all(b"defg").await.unwrap();
            corked.write_all(b"h").await.unwrap();
            assert_eq!(corked.io.writes.concat(), b"abcdefgh", "room for {room}");
            assert_eq!(corked.io.writes[0], b"abcdefg"[..room.min(7)]);
        }
    }

    #[tokio::test]
    async fn what_is_held_goes_out_with_a_flush_or_the_end() {
        let mut corked = Corked::new(Narrow { room: 2, writes: Vec::new() });
        corked.write_all(b"abc").await.unwrap();
        corked.flush().await.unwrap();
        assert_eq!(corked.io.writes.concat(), b"abc");

        let (near, mut far) = tokio::io::duplex(64);
        let mut corked = Corked::new(near);
        corked.write_all(b"abc").await.unwrap();
        corked.shutdown().await.unwrap();
        let mut seen = Vec::new();
        far.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, b"abc");
    }
}
