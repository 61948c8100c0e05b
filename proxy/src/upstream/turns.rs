//! Look-ups that may be under way at a time: each needs sockets.
//!
//! Most are answered at once, and those of dead names take seconds. So that a storm of these keeps nobody else waiting, a
//! look-up holds one of the turns only for a moment; from then on it is one of the slow ones. When there are too many of these, the
//! one that has waited longest gives up. And names that were found before, as those of the usual hosts were, have turns of their
//! own, which no dead name takes from them. (D-631)

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How long a look-up is not a slow one.
const MOMENT: Duration = Duration::from_millis(250);

/// Names that are remembered as found; when there are more, all are forgotten.
const FOUND: usize = 4096;

/// See the module.
pub(super) struct Lanes {
    found: Turns,
    others: Turns,
    names: Mutex<HashSet<Box<str>>>,
}

impl Lanes {
    /// So many quick look-ups, a quarter of them of names that were found before.
    pub(super) fn new(quick: usize) -> Self {
        let found = quick.div_ceil(4);
        Self { found: Turns::new(found), others: Turns::new(quick - found), names: Mutex::default() }
    }

    /// Runs the look-up of `name` when it is its turn.
    pub(super) async fn run<T, E>(
        &self,
        name: &str,
        lookup: impl Future<Output = Result<T, E>>,
    ) -> Result<Result<T, E>, GivenUp> {
        let known = self.names().contains(name);
        let answer = if known { &self.found } else { &self.others }.run(lookup).await?;
        if answer.is_ok() != known {
            let mut names = self.names();
            if known {
                names.remove(name);
            } else {
                if names.len() >= FOUND {
                    names.clear();
                }
                names.insert(name.into());
            }
        }
        Ok(answer)
    }

    fn names(&self) -> MutexGuard<'_, HashSet<Box<str>>> {
        // Nothing done to it panics.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The look-ups of one lane.
struct Turns {
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
    fn new(quick: usize) -> Self {
        let quick = quick.min(Semaphore::MAX_PERMITS);
        Self { quick: Semaphore::new(quick), most: quick.div_ceil(2), slow: Mutex::default() }
    }

    /// Runs a look-up when it is its turn.
    async fn run<F: Future>(&self, lookup: F) -> Result<F::Output, GivenUp> {
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
    async fn a_name_that_was_found_waits_for_no_dead_one_until_it_is_not_found() {
        let lanes = Arc::new(Lanes::new(16));
        let find = async || {
            sleep(MOMENT / 5).await;
            Ok::<_, ()>(())
        };
        assert_eq!(lanes.run("live", find()).await, Ok(Ok(())));
        let mut dead = JoinSet::new();
        for n in 0..2000 {
            let lanes = Arc::clone(&lanes);
            let lookup = async move { lanes.run(&n.to_string(), pending::<Result<(), ()>>()).await.is_ok() };
            dead.spawn(timeout(PATIENCE, lookup));
        }
        sleep(MOMENT / 5).await;
        let began = Instant::now();
        assert_eq!(lanes.run("live", find()).await, Ok(Ok(())));
        assert_eq!(began.elapsed(), MOMENT / 5);
        assert_eq!(lanes.run("live", async { Err::<(), _>(()) }).await, Ok(Err(())));
        let waits = timeout(MOMENT / 2, lanes.run("live", find())).await;
        assert!(waits.is_err(), "{waits:?}");
    }

    #[tokio::test]
    async fn names_are_remembered_within_bounds() {
        let lanes = Lanes::new(16);
        for n in 0..FOUND + 1 {
            assert_eq!(lanes.run(&n.to_string(), async { Ok::<_, ()>(()) }).await, Ok(Ok(())));
        }
        assert_eq!(lanes.names().len(), 1);
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
