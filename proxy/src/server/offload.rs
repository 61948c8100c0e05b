//! Long scans, off the async workers.
//!
//! A worker that scans five megabytes answers nobody else meanwhile. Work on large inputs therefore goes to blocking threads,
//! as many at a time as there are cores; the rest waits its turn in order. Small inputs are scanned in place, since the way
//! to another thread and back costs more than they do.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Inputs of up to this many bytes are scanned in place. Usual text of that size takes less than 200 us; the way to another
/// thread and back, with the memory that two threads then share, costs a tenth of that.
const IN_PLACE: usize = 64 * 1024;

/// Runs scans. Cheap to clone; one for the whole process.
#[derive(Debug, Clone)]
pub struct Offload {
    slots: Arc<Semaphore>,
}

/// The scan did not come back: it panicked, or the runtime is shutting down. Whatever was scanned must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("scan aborted")]
pub struct Aborted;

impl Offload {
    /// `at_once`: scans of large inputs that may run at a time, at least one.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(at_once.max(1))) }
    }

    /// Whether an input of so many bytes is scanned in place: its scan may then borrow what it needs.
    #[must_use]
    pub fn is_in_place(bytes: usize) -> bool {
        bytes <= IN_PLACE
    }

    /// Runs `scan` over an input of `bytes` bytes.
    ///
    /// # Errors
    /// The scan did not finish.
    pub async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        scan: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Aborted> {
        if Self::is_in_place(bytes) {
            return Ok(scan());
        }
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| Aborted)?;
        // The slot goes with the work: a request that is cancelled meanwhile does not free it early.
        let work = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            scan()
        });
        work.await.map_err(|_| Aborted)
    }
}

impl Default for Offload {
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
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
}
