//! The opaque relay. (spec: http-proxy §6.5)
//!
//! Two independent directions, each with its own idle limit, as the specification asks. A direction that waits holds no buffer:
//! it waits for readiness and takes a buffer only while there are bytes to move, so ten thousand idle tunnels cost their sockets
//! and tasks and nothing more.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::Strictness;
use crate::events::Event;
use crate::policy::kill_switch::KillSwitch;
use crate::server::exchange::Exchange;
use crate::server::identity::DEFAULT_PROFILE;

/// Size of one read.
const BUFFER: usize = 32 * 1024;

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
    let idle = u64::try_from(exchange.policy.config.forward_proxy.idle_timeout_seconds).unwrap_or(0);
    let idle = Duration::from_secs(idle);
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
    let _ = copy(from, to, idle, deadline, moved, switch).await;
    // Sending FIN is all; the other direction goes on.
    let _ = socket2::SockRef::from(to).shutdown(std::net::Shutdown::Write);
}

async fn copy(
    from: &TcpStream,
    to: &TcpStream,
    idle: Duration,
    deadline: Instant,
    moved: &Count,
    switch: &KillSwitch,
) -> io::Result<()> {
    loop {
        let limit = deadline.min(Instant::now() + idle);
        timeout_at(limit, from.readable()).await??;
        let mut buffer = Buffer::take();
        loop {
            let n = match from.try_read(buffer.bytes()) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            // Asked about what was read: bytes that came after the switch was thrown go nowhere.
            if switch.active().is_some() {
                return Ok(());
            }
            let mut left = &buffer.bytes()[..n];
            while !left.is_empty() {
                match to.try_write(left) {
                    Ok(n) => left = &left[n..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        timeout_at(deadline, to.writable()).await??;
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
