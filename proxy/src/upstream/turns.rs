//! Look-ups that may be under way at a time: each needs sockets.
//!
//! Most are answered at once, and those of dead names take seconds. So that a storm of these keeps nobody else waiting, a
//! look-up holds one of the turns only for a moment; from then on it is one of the slow ones. When there are too many of these, the
//! one that has waited longest gives up. (D-631)

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How long a look-up is not a slow one.
const MOMENT: Duration = Duration::from_millis(250);

/// See the module.
pub(super) struct Turns {
    quick: Semaphore,
    /// Slow ones.
    most: usize,
    slow: Mutex<Slow>,
}

#[derive(Default)]
struct Slow {
    next: u64,
    waiting: BTreeMap<u64, CancellationToken>,
}

/// Somebody else needed the place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GivenUp;

impl Turns {
    /// So many quick ones, and half as many slow ones, which have asked more than once.
    pub(super) fn new(quick: usize) -> Self {
        let quick = quick.min(Semaphore::MAX_PERMITS);
        Self { quick: Semaphore::new(quick), most: quick.div_ceil(2), slow: Mutex::default() }
    }

    /// Runs a look-up when it is its turn.
    pub(super) async fn run<F: Future>(&self, lookup: F) -> Result<F::Output, GivenUp> {
        // Closed never: it lives as long as this.
        let turn = self.quick.acquire().await;
        let mut lookup = pin!(lookup);
        if let Ok(answer) = tokio::time::timeout(MOMENT, lookup.as_mut()).await {
            return Ok(answer);
        }
        let place = self.slow_place();
        drop(turn);
        tokio::select! {
            answer = lookup => Ok(answer),
            () = place.taken.cancelled() => Err(GivenUp),
        }
    }

    fn slow_place(&self) -> Place<'_> {
        let taken = CancellationToken::new();
        let mut slow = self.lock();
        let id = slow.next;
        slow.next += 1;
        slow.waiting.insert(id, taken.clone());
        let over = slow.waiting.len() > self.most;
        let oldest = if over { slow.waiting.pop_first() } else { None };
        drop(slow);
        if let Some((_, oldest)) = oldest {
            oldest.cancel();
        }
        Place { turns: self, id, taken }
    }

    fn lock(&self) -> MutexGuard<'_, Slow> {
        // A collection of handles; nothing done to it panics.
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the slow ones.
struct Place<'a> {
    turns: &'a Turns,
    id: u64,
    taken: CancellationToken,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turns.lock().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;

    use tokio::task::JoinSet;
    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// So many look-ups that nobody answers, each under way.
    fn storm(turns: &Arc<Turns>, size: usize) -> JoinSet<Option<GivenUp>> {
        let mut dead = JoinSet::new();
        for _ in 0..size {
            let turns = Arc::clone(turns);
            dead.spawn(async move { timeout(PATIENCE, turns.run(pending::<()>())).await.ok()?.err() });
        }
        dead
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_dead_names_does_not_keep_live_ones_waiting() {
        let turns = Arc::new(Turns::new(64));
        let dead = storm(&turns, 300);
        sleep(MOMENT / 5).await;
        let began = Instant::now();
        let live = turns.run(async { sleep(MOMENT / 5).await }).await;
        assert_eq!(live, Ok(()));
        assert!(began.elapsed() < MOMENT * 6, "{:?}", began.elapsed());
        let given_up = dead.join_all().await.into_iter().flatten().count();
        assert_eq!(given_up, 300 - 32, "those that waited longest");
        assert!(turns.lock().waiting.is_empty());
        assert_eq!(turns.quick.available_permits(), 64);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_is_waited_for_where_there_is_room() {
        let turns = Arc::new(Turns::new(64));
        let dead = storm(&turns, 30);
        let slow = turns.run(async { sleep(PATIENCE * 3 / 4).await }).await;
        assert_eq!(slow, Ok(()));
        assert!(dead.join_all().await.into_iter().all(|given_up| given_up.is_none()));
    }
}
