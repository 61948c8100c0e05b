//! Waiting for an origin, but not for ever.
//!
//! A timer, and a place among those who wait for the end of the process, cost locks that all connections share. The requests of
//! one connection follow each other, so they share one of each, which stay where they are between two requests.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::deadline::Deadline;
use super::rarely::Rarely;

/// One for a connection.
#[derive(Debug, Default)]
pub struct Patience(Mutex<Option<State>>);

#[derive(Debug)]
struct State {
    deadline: Deadline,
    cut: Rarely<WaitForCancellationFutureOwned>,
}

/// Why the wait ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The time is up.
    Late,
    /// What is under way is being cut.
    Cut,
}

impl Patience {
    /// Waits for `future` until `at`, and no longer than until `cut`, which is the same token at each call.
    ///
    /// # Errors
    /// See [`Ended`].
    pub async fn wait<F: Future>(
        &self,
        mut future: Pin<&mut F>,
        at: Instant,
        cut: &CancellationToken,
    ) -> Result<F::Output, Ended> {
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            // Two futures: a panic elsewhere leaves them usable.
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting = state.get_or_insert_with(|| State {
                deadline: Deadline::new(),
                cut: Rarely::new(cut.clone().cancelled_owned()),
            });
            if Pin::new(&mut waiting.cut).poll(cx).is_ready() {
                // It would not say so a second time.
                *state = None;
                return Poll::Ready(Err(Ended::Cut));
            }
            waiting.deadline.set(at);
            if waiting.deadline.expired(cx) { Poll::Ready(Err(Ended::Late)) } else { Poll::Pending }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_wait_has_its_own_end_and_the_cut_is_seen_by_all_later_ones() {
        let (patience, cut) = (Patience::default(), CancellationToken::new());
        let began = Instant::now();
        // Later, earlier and later again than the timer that is there.
        for seconds in [10, 1, 30] {
            let at = Instant::now() + Duration::from_secs(seconds);
            assert_eq!(patience.wait(pin!(pending::<()>()), at, &cut).await, Err(Ended::Late));
            assert_eq!(patience.wait(pin!(ready(seconds)), at, &cut).await, Ok(seconds));
        }
        assert_eq!(began.elapsed().as_secs(), 41);
        let at = Instant::now() + Duration::from_secs(100);
        let never = pin!(pending::<()>());
        let (ended, ()) = tokio::join!(patience.wait(never, at, &cut), async {
            tokio::task::yield_now().await;
            cut.cancel();
        });
        assert_eq!(ended, Err(Ended::Cut));
        assert_eq!(patience.wait(pin!(pending::<()>()), at, &cut).await, Err(Ended::Cut));
    }
}
