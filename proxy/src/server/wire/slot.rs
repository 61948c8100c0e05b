//! Where the guard leaves a head for the handler, and learns that the answer is finished.
//!
//! HTTP/1 answers one request at a time, so one place is enough; the guard does not let a second request in before the first
//! answer has ended.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::head::{Foreign, Head};
use super::inflow::Inflow;

/// An answer is under way.
const BUSY: u64 = u64::MAX;

/// See the module.
#[derive(Debug)]
pub struct Slot {
    began: Instant,
    /// The head of a request, and its body where that goes past hyper.
    head: Mutex<Option<(Box<Head>, Option<Arc<Inflow>>)>>,
    /// When the last answer ended, in nanoseconds after `began`; or [`BUSY`].
    freed: AtomicU64,
    waiting: Mutex<Option<Waker>>,
    /// Whether there is somebody in `waiting`. A free slot is asked for often, and nearly never waited for.
    waits: AtomicBool,
    last_was_post: AtomicBool,
    cut_short: AtomicBool,
    awaited: AtomicBool,
    opens_tunnel: AtomicBool,
    unread: AtomicBool,
    foreign: OnceLock<Foreign>,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            head: Mutex::default(),
            freed: AtomicU64::new(0),
            waiting: Mutex::default(),
            waits: AtomicBool::new(false),
            last_was_post: AtomicBool::new(false),
            cut_short: AtomicBool::new(false),
            awaited: AtomicBool::new(false),
            opens_tunnel: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            foreign: OnceLock::new(),
        }
    }
}

impl Slot {
    /// The guard: a request has come.
    pub(super) fn put(&self, head: Box<Head>, body: Option<Arc<Inflow>>) {
        self.last_was_post.store(head.method == http::Method::POST, Ordering::Relaxed);
        self.freed.store(BUSY, Ordering::SeqCst);
        *lock(&self.head) = Some((head, body));
    }

    /// The service: the request to handle now.
    pub(super) fn take(&self) -> Option<(Box<Head>, Option<Arc<Inflow>>)> {
        lock(&self.head).take()
    }

    /// The answer's body: it has been dropped, so the answer is finished.
    pub fn free(&self) {
        // Half a millennium fits.
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(BUSY - 1);
        self.freed.store(now, Ordering::SeqCst);
        if self.waits.swap(false, Ordering::SeqCst)
            && let Some(waker) = lock(&self.waiting).take()
        {
            waker.wake();
        }
    }

    /// Since when the client could have sent a whole request and has not; `None`: an answer is under way.
    pub(crate) fn silent_since(&self) -> Option<Instant> {
        self.since().filter(|_| !self.unread.load(Ordering::Relaxed))
    }

    /// The guard: whether there is more to write than the client takes.
    pub(super) fn set_unread(&self, unread: bool) {
        self.unread.store(unread, Ordering::Relaxed);
    }

    /// The guard: the client speaks another protocol.
    pub(super) fn set_foreign(&self, foreign: Foreign) {
        let _ = self.foreign.set(foreign);
    }

    /// What the client spoke instead of HTTP.
    pub(crate) fn foreign(&self) -> Option<Foreign> {
        self.foreign.get().copied()
    }

    /// The guard: ready when no answer is under way, with the time since when. `wake`: whether the end of the answer wakes the
    /// task.
    pub fn poll_free(&self, cx: &mut Context<'_>, wake: bool) -> Poll<Instant> {
        if let Some(since) = self.since() {
            return Poll::Ready(since);
        }
        if !wake {
            if self.waits.load(Ordering::Relaxed) {
                self.waits.store(false, Ordering::SeqCst);
            }
            return Poll::Pending;
        }
        match &mut *lock(&self.waiting) {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waiting => *waiting = Some(cx.waker().clone()),
        }
        self.waits.store(true, Ordering::SeqCst);
        // It may have ended before it could know who waits.
        self.since().map_or(Poll::Pending, Poll::Ready)
    }

    fn since(&self) -> Option<Instant> {
        let freed = self.freed.load(Ordering::SeqCst);
        (freed != BUSY).then(|| self.began + Duration::from_nanos(freed))
    }

    /// Whether the request before this one was a POST.
    pub fn last_was_post(&self) -> bool {
        self.last_was_post.load(Ordering::Relaxed)
    }

    /// The service: the answer goes out although the client may still be sending; `awaited`: it was told to wait for a word of
    /// ours that it did not get.
    pub fn set_cut_short(&self, awaited: bool) {
        self.cut_short.store(true, Ordering::Relaxed);
        self.awaited.store(awaited, Ordering::Relaxed);
    }

    /// The service: what is written next opens a tunnel.
    pub fn set_opens_tunnel(&self) {
        self.opens_tunnel.store(true, Ordering::Relaxed);
    }

    /// The guard: whether the answer opens a tunnel.
    pub fn opens_tunnel(&self) -> bool {
        self.opens_tunnel.load(Ordering::Relaxed)
    }

    /// The guard: the client may send the body that it announced after all.
    pub fn awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }

    /// The guard: whether to linger when closing.
    pub fn cut_short(&self) -> bool {
        self.cut_short.load(Ordering::Relaxed)
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    // Plain values; a panic elsewhere cannot leave them half-written.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
