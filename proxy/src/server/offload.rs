//! Long scans, off the async workers.
//!
//! A worker that scans five megabytes answers nobody else meanwhile. Work on large inputs therefore goes to threads of its own,
//! at most as many as there are cores; the rest waits its turn in order. They are not the runtime's blocking threads: those take
//! turns, however few are busy at a time, and each would keep buffers of some ten megabytes, cold by its next turn. Small inputs
//! are scanned in place, since the way to another thread and back costs more than they do.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Inputs of up to this many bytes are scanned in place. Usual text of that size takes less than 200 us; the way to another
/// thread and back, with the memory that two threads then share, costs a tenth of that.
const IN_PLACE: usize = 64 * 1024;
/// A thread without work ends after this time, and its buffers with it. Its end is also when the allocator gives back what a flood of
/// large bodies has left free, where nothing else of that size is asked for.
const IDLE: Duration = Duration::from_secs(3);

/// Runs scans. Cheap to clone; one for the whole process.
#[derive(Debug, Clone)]
pub struct Offload {
    crew: Arc<Crew>,
}

/// The scan did not come back: it panicked, or there is no thread to run it. Whatever was scanned must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("scan aborted")]
pub struct Aborted;

type Job = Box<dyn FnOnce() + Send>;

struct Crew {
    at_once: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Threads that wait for work.
    idle: usize,
}

impl Offload {
    /// `at_once`: scans of large inputs that may run at a time, at least one.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        let (state, work) = Default::default();
        Self { crew: Arc::new(Crew { at_once: at_once.max(1), state, work }) }
    }

    /// Whether an input of so many bytes is scanned in place: its scan may then borrow what it needs.
    #[must_use]
    pub fn is_in_place(bytes: usize) -> bool {
        bytes <= IN_PLACE
    }

    /// Runs `scan` over an input of `bytes` bytes. One that nobody waits for any more when its turn comes is left out.
    ///
    /// # Errors
    /// The scan did not finish.
    pub async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        scan: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Aborted> {
        if Self::is_in_place(bytes) { Ok(scan()) } else { self.run_apart(scan).await }
    }

    /// Runs `scan` on another thread whatever it is over: one that must end in time, or whose cost its input's length does not
    /// tell.
    ///
    /// # Errors
    /// The scan did not finish.
    pub async fn run_apart<T: Send + 'static>(
        &self,
        scan: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Aborted> {
        let (sender, result) = oneshot::channel();
        self.crew.put(Box::new(move || {
            if !sender.is_closed() {
                // Nobody may be left to be told.
                let _ = sender.send(scan());
            }
        }));
        result.await.map_err(|_| Aborted)
    }
}

impl Default for Offload {
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Crew {
    fn put(self: &Arc<Self>, job: Job) {
        self.put_with(job, |crew| {
            std::thread::Builder::new().name("scan".to_owned()).spawn(move || crew.toil()).is_ok()
        });
    }

    /// `start`: starts a thread, or says that it could not.
    fn put_with(self: &Arc<Self>, job: Job, start: impl FnOnce(Arc<Self>) -> bool) {
        let mut state = self.lock();
        state.jobs.push_back(job);
        if state.jobs.len() <= state.idle {
            drop(state);
            self.work.notify_one();
        } else if state.threads < self.at_once {
            state.threads += usize::from(start(Arc::clone(self)));
            if state.threads == 0 {
                // Dropped jobs are aborted ones.
                state.jobs.clear();
            }
        }
    }

    /// What a thread does.
    fn toil(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                // Whoever waits for it learns of a panic.
                let _ = catch_unwind(AssertUnwindSafe(job));
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout_while(state, IDLE, |state| state.jobs.is_empty());
            let late;
            (state, late) = waited.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            if late.timed_out() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").field("at_once", &self.at_once).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn scans_small_inputs_in_place_and_large_ones_elsewhere() {
        let offload = Offload::new(1);
        let here = std::thread::current().id();
        let thread = || std::thread::current().id();
        assert_eq!(offload.run(IN_PLACE, thread).await, Ok(here));
        assert_ne!(offload.run(IN_PLACE + 1, thread).await, Ok(here));
        assert_ne!(offload.run_apart(thread).await, Ok(here));
    }

    #[tokio::test]
    async fn runs_no_more_at_once_than_allowed() {
        let offload = Offload::new(2);
        let running = Arc::new(AtomicUsize::new(0));
        let scans = (0..16).map(|_| {
            let running = Arc::clone(&running);
            let offload = offload.clone();
            tokio::spawn(async move {
                let scan = move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    now
                };
                offload.run(IN_PLACE + 1, scan).await
            })
        });
        for scan in scans.collect::<Vec<_>>() {
            let most = scan.await.expect("no panic").expect("finished");
            assert!(most <= 2, "{most} at once");
        }
    }

    #[tokio::test]
    async fn a_scan_that_panics_is_an_error() {
        let scan = || assert!(std::hint::black_box(false), "on purpose");
        assert_eq!(Offload::new(1).run(IN_PLACE + 1, scan).await, Err(Aborted));
    }

    #[tokio::test]
    async fn without_a_thread_scans_are_aborted_unless_another_one_works() {
        let crew = Offload::new(2).crew;
        let put = |start: fn(Arc<Crew>) -> bool| {
            let (sender, result) = oneshot::channel();
            crew.put_with(Box::new(move || assert!(sender.send(()).is_ok())), start);
            result
        };
        assert!(put(|_| false).await.is_err());
        assert!(crew.lock().jobs.is_empty());
        // One thread, that begins later.
        let waits = put(|_| true);
        let mut second = put(|_| false);
        assert!(second.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty));
        let works = Arc::clone(&crew);
        let thread = std::thread::spawn(move || works.toil());
        assert_eq!((waits.await, second.await), (Ok(()), Ok(())));
        drop(thread);
    }

    /// Polls once.
    async fn begin<T>(mut future: std::pin::Pin<&mut impl Future<Output = T>>) {
        std::future::poll_fn(|cx| {
            assert!(future.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }

    #[tokio::test]
    async fn a_scan_that_nobody_waits_for_any_more_is_left_out() {
        let offload = Offload::new(1);
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let ran = Arc::new(AtomicUsize::new(0));
        let count = || {
            let ran = Arc::clone(&ran);
            move || ran.fetch_add(1, Ordering::SeqCst)
        };
        let mut first = std::pin::pin!(offload.run(IN_PLACE + 1, move || blocked.recv().is_ok()));
        begin(first.as_mut()).await;
        begin(std::pin::pin!(offload.run(IN_PLACE + 1, count()))).await;
        let last = offload.run(IN_PLACE + 1, count());
        release.send(()).expect("it waits");
        assert_eq!((first.await, last.await), (Ok(true), Ok(0)));
    }
}
