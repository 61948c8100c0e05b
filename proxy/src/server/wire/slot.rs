//! Where the guard leaves a head for the handler, and learns that the answer is finished.
//!
//! HTTP/1 answers one request at a time, so one place is enough; the guard does not let a second request in before the first
//! answer has ended.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::head::Head;

/// See the module.
#[derive(Debug, Default)]
pub struct Slot {
    state: Mutex<State>,
    last_was_post: AtomicBool,
    cut_short: AtomicBool,
    awaited: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    head: Option<Box<Head>>,
    busy: bool,
    /// When the last answer ended.
    freed: Option<Instant>,
    waiting: Option<Waker>,
}

impl Slot {
    /// The guard: a request has come.
    pub fn put(&self, head: Box<Head>) {
        self.last_was_post.store(head.method == http::Method::POST, Ordering::Relaxed);
        let mut state = self.lock();
        state.busy = true;
        state.head = Some(head);
    }

    /// The service: the request to handle now.
    pub fn take(&self) -> Option<Box<Head>> {
        self.lock().head.take()
    }

    /// The answer's body: it has been dropped, so the answer is finished.
    pub fn free(&self) {
        let waiting = {
            let mut state = self.lock();
            state.busy = false;
            state.freed = Some(Instant::now());
            state.waiting.take()
        };
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// The guard: ready when no answer is under way, with the time since when. `wake`: whether the end of the answer wakes the
    /// task.
    pub fn poll_free(&self, cx: &mut Context<'_>, wake: bool) -> Poll<Instant> {
        let mut state = self.lock();
        if !state.busy {
            return Poll::Ready(state.freed.unwrap_or_else(Instant::now));
        }
        if !wake {
            state.waiting = None;
            return Poll::Pending;
        }
        match &mut state.waiting {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waiting => *waiting = Some(cx.waker().clone()),
        }
        Poll::Pending
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

    /// The guard: the client may send the body that it announced after all.
    pub fn awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }

    /// The guard: whether to linger when closing.
    pub fn cut_short(&self) -> bool {
        self.cut_short.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is three plain values; a panic elsewhere cannot leave it half-written.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
