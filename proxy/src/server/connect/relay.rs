//! The opaque relay. (spec: http-proxy §6.5)
//!
//! Two independent directions, each with its own idle limit, as the specification asks. A direction that waits holds no buffer:
//! it waits for readiness and takes a buffer only while there are bytes to move, so ten thousand idle tunnels cost their sockets
//! and tasks and nothing more. The first bytes of a direction are copied; a direction that moves more than a page load hands
//! the rest to [`super::splice`].

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::splice::Pipe;
use crate::Strictness;
use crate::config::grammar::seconds;
use crate::events::Event;
use crate::server::exchange::Exchange;
use crate::server::identity::DEFAULT_PROFILE;
use crate::server::kill_switch::KillSwitch;

/// Size of one read.
const BUFFER: usize = 32 * 1024;
/// Bytes of a direction that are copied before it is spliced: setting a pipe up costs more than copying a small exchange.
const COPIED_FIRST: u64 = 128 * 1024;

thread_local! {
    /// The buffer that the last direction on this thread has finished with.
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// A buffer on loan from the thread.
struct Buffer(Option<Box<[u8]>>);

impl Buffer {
    fn take() -> Self {
        Self(Some(SPARE.take().unwrap_or_else(|| vec![0; BUFFER].into_boxed_slice())))
    }

    fn bytes(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        SPARE.set(self.0.take());
    }
}

/// Relays until both directions have ended. `early`: bytes of the client that have been read already; they go first and are not
/// counted.
pub(super) async fn run(
    exchange: &Exchange,
    host: &str,
    client: TcpStream,
    mut upstream: TcpStream,
    early: &[u8],
    deadline: Instant,
) {
    let metrics = exchange.shared.events.metrics();
    let idle = seconds(exchange.policy.config.forward_proxy.idle_timeout_seconds);
    let early_sent =
        early.is_empty() || matches!(timeout_at(deadline, upstream.write_all(early)).await, Ok(Ok(())));
    metrics.tunnel_opened();
    exchange.record(&Event::TunnelOpen { ctx: exchange.context() });
    let moved = Moved::default();
    let switch = &*exchange.shared.kill_switch;
    if early_sent {
        let both = async {
            tokio::join!(
                direction(&client, &upstream, idle, deadline, &moved.up, switch),
                direction(&upstream, &client, idle, deadline, &moved.down, switch),
            )
        };
        let quarantine = exchange.quarantine();
        tokio::select! {
            _ = both => {}
            () = quarantine.cancelled() => {}
            // A tunnel has no request to finish, so it ends with the first word of a shutdown.
            () = exchange.shared.stop.drain.cancelled() => {
                if exchange.shared.fixed.strictness == Strictness::Reference {
                    return;
                }
            }
        }
    }
    drop(client);
    drop(upstream);
    let total = moved.up.get() + moved.down.get();
    metrics.tunnel_completed(DEFAULT_PROFILE, exchange.elapsed(), total);
    let ctx = exchange.context();
    exchange.record(&Event::TunnelClose { ctx, total_bytes: total, duration: exchange.elapsed() });
    exchange.policy.url.record_transfer(host, total, std::time::Instant::now());
}

#[derive(Default)]
struct Moved {
    up: Count,
    down: Count,
}

/// Both directions run in one task, so a plain cell would do; an atomic keeps the future `Send`.
#[derive(Default)]
struct Count(std::sync::atomic::AtomicU64);

impl Count {
    fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, std::sync::atomic::Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Moves bytes from `from` to `to` until the source ends, fails, falls silent or everything is switched off, then half-closes
/// `to`.
async fn direction(
    from: &TcpStream,
    to: &TcpStream,
    idle: Duration,
    deadline: Instant,
    moved: &Count,
    switch: &KillSwitch,
) {
    let _ = transfer(from, to, idle, deadline, moved, switch).await;
    // Sending FIN is all; the other direction goes on.
    let _ = socket2::SockRef::from(to).shutdown(std::net::Shutdown::Write);
}

async fn transfer(
    from: &TcpStream,
    to: &TcpStream,
    idle: Duration,
    deadline: Instant,
    moved: &Count,
    switch: &KillSwitch,
) -> io::Result<()> {
    let mut timer = std::pin::pin!(sleep_until(deadline.min(Instant::now() + idle)));
    let mut splices = true;
    loop {
        let limit = deadline.min(Instant::now() + idle);
        wait(timer.as_mut(), limit, |cx| from.poll_read_ready(cx)).await?;
        let mut window = Window::take(splices && moved.get() >= COPIED_FIRST);
        loop {
            let n = match window.fill(from) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidInput && window.is_pipe() => {
                    // A kernel or a sandbox without splice for sockets.
                    splices = false;
                    window = Window::take(false);
                    continue;
                }
                Err(error) => return Err(error),
            };
            // Asked about what was read: bytes that came after the switch was thrown go nowhere.
            if switch.active().is_some() {
                return Ok(());
            }
            while !window.is_empty() {
                match window.drain(to) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        wait(timer.as_mut(), deadline, |cx| to.poll_write_ready(cx)).await?;
                    }
                    Err(error) => return Err(error),
                }
            }
            moved.add(n);
            if Instant::now() >= deadline {
                return Ok(());
            }
            // One direction must not keep its thread for itself.
            tokio::task::consume_budget().await;
        }
    }
}

/// Where bytes are between being read and being written.
enum Window {
    Copy { buffer: Buffer, from: usize, to: usize },
    Splice(Pipe),
}

impl Window {
    fn take(splice: bool) -> Self {
        if splice && let Ok(pipe) = Pipe::take() {
            return Self::Splice(pipe);
        }
        Self::Copy { buffer: Buffer::take(), from: 0, to: 0 }
    }

    fn is_pipe(&self) -> bool {
        matches!(self, Self::Splice(_))
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Copy { from, to, .. } => from == to,
            Self::Splice(pipe) => pipe.held() == 0,
        }
    }

    /// Reads what there is; only when empty.
    fn fill(&mut self, source: &TcpStream) -> io::Result<usize> {
        match self {
            Self::Copy { buffer, from, to } => {
                let n = source.try_read(buffer.bytes())?;
                (*from, *to) = (0, n);
                Ok(n)
            }
            Self::Splice(pipe) => pipe.fill(source),
        }
    }

    /// Writes what the other side takes.
    fn drain(&mut self, sink: &TcpStream) -> io::Result<()> {
        match self {
            Self::Copy { buffer, from, to } => {
                *from += sink.try_write(&buffer.bytes()[*from..*to])?;
                Ok(())
            }
            Self::Splice(pipe) => pipe.drain(sink),
        }
    }
}

/// Waits for readiness until `limit`. The timer is moved only when it fires too early or would fire too late: moving it for
/// every chunk would cost as much as the chunk.
async fn wait(
    mut timer: Pin<&mut Sleep>,
    limit: Instant,
    mut ready: impl FnMut(&mut Context<'_>) -> Poll<io::Result<()>>,
) -> io::Result<()> {
    if timer.deadline() > limit {
        timer.as_mut().reset(limit);
    }
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = ready(cx) {
                return Poll::Ready(result);
            }
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= limit {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset(limit);
        }
    })
    .await
}

#[cfg(test)]
mod tests;
