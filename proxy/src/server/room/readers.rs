//! The bodies that room is kept for while they come.
//!
//! A peer that sends a body slowly, or announces one and sends nothing, would keep its room from all others for as long as its
//! exchange may last: 300 seconds in a tunnel. While others wait, the slowest of those that have had time enough are therefore given
//! up.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a body may take before it is given up for another's sake, and how long that one waits before.
pub(super) const SLOW: Duration = Duration::from_secs(2);
/// Between two that are given up: what the first gave back may be enough.
const AGAIN: Duration = Duration::from_millis(50);
/// The same where the first has not left yet, as on a busy machine.
const LEAVES: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    bodies: Vec<Arc<Reader>>,
    /// When one was last given up.
    last: Option<Instant>,
}

#[derive(Debug)]
struct Reader {
    began: Instant,
    came: AtomicUsize,
    given_up: CancellationToken,
}

impl Readers {
    /// The slowest one, if it is slow. How long to wait before the next call.
    pub(super) fn give_up_slowest(&self) -> Duration {
        let now = Instant::now();
        let mut state = self.lock();
        let leaving = state.bodies.iter().any(|body| body.given_up.is_cancelled());
        let pause = if leaving { LEAVES } else { AGAIN };
        if let Some(early) = state.last.and_then(|last| pause.checked_sub(now - last))
            && !early.is_zero()
        {
            return early.min(AGAIN);
        }
        let slow = state.bodies.iter().filter(|body| {
            now.saturating_duration_since(body.began) >= SLOW && !body.given_up.is_cancelled()
        });
        // Bytes a second.
        let pace = |body: &Reader| body.came.load(Relaxed) as u128 * 1000 / (now - body.began).as_millis();
        let slowest = slow.min_by_key(|body| pace(body)).map(|body| body.given_up.clone());
        if slowest.is_some() {
            state.last = Some(now);
        }
        // What wakes up takes itself away, and waits for the lock.
        drop(state);
        if let Some(slowest) = slowest {
            slowest.cancel();
        }
        AGAIN
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().bodies.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A collection of handles; nothing done to them panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that is coming.
#[derive(Debug)]
pub(super) struct Reading {
    reader: Arc<Reader>,
    among: Vec<Arc<Readers>>,
}

impl Reading {
    /// `among`: those who may need its room. `came`: bytes of it that are there.
    pub(super) fn begin(among: impl Iterator<Item = Arc<Readers>>, came: usize) -> Self {
        let reader = Arc::new(Reader {
            began: Instant::now(),
            came: AtomicUsize::new(came),
            given_up: CancellationToken::new(),
        });
        let among: Vec<_> = among.collect();
        for readers in &among {
            readers.lock().bodies.push(Arc::clone(&reader));
        }
        Self { reader, among }
    }

    pub(super) fn came(&self, bytes: usize) {
        self.reader.came.store(bytes, Relaxed);
    }

    pub(super) async fn given_up(&self) {
        self.reader.given_up.cancelled().await;
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        for readers in &self.among {
            readers.lock().bodies.retain(|body| !Arc::ptr_eq(body, &self.reader));
        }
    }
}
