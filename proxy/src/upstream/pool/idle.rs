//! The connections that wait for a request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use hyper::client::conn::http2;

use super::connection::Connection;
use super::{OriginKey, OutgoingBody, PoolSettings, Sender};

type Http2 = http2::SendRequest<OutgoingBody>;

/// Between two looks for connections that their origins have closed.
const SWEEP: Duration = Duration::from_secs(15);

pub(super) struct Idle {
    settings: PoolSettings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    origins: HashMap<OriginKey, Origin>,
    /// Idle HTTP/1.1 connections in all.
    count: usize,
    /// At least as many as there are shared HTTP/2 connections; exact after a sweep.
    http2_count: usize,
    /// A task comes by now and then.
    swept: bool,
}

#[derive(Default)]
struct Origin {
    /// Oldest first; the youngest is used first, so that the others can expire.
    http1: Vec<(Instant, Connection)>,
    http2: Option<(Instant, Http2)>,
}

impl Idle {
    pub(super) fn new(settings: PoolSettings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// A connection that is alive as far as can be seen from here.
    pub(super) fn take(&self, key: &OriginKey) -> Option<Sender> {
        loop {
            match self.candidate(key)? {
                Sender::Http1(mut connection) => {
                    if connection.is_alive() {
                        return Some(Sender::Http1(connection));
                    }
                }
                shared => return Some(shared),
            }
        }
    }

    fn candidate(&self, key: &OriginKey) -> Option<Sender> {
        let mut state = self.lock();
        let now = Instant::now();
        let State { origins, count, .. } = &mut *state;
        let origin = origins.get_mut(key)?;
        match &mut origin.http2 {
            Some((used, sender)) if !sender.is_closed() => {
                *used = now;
                return Some(Sender::Http2(sender.clone()));
            }
            dead => *dead = None,
        }
        while let Some((since, connection)) = origin.http1.pop() {
            *count -= 1;
            if now.duration_since(since) < self.settings.idle_time {
                return Some(Sender::Http1(connection));
            }
        }
        // The empty entry stays until the next sweep: the origin is likely to be asked again.
        None
    }

    /// Takes a connection back that is ready for another request, or drops it when its origin has enough.
    pub(super) fn put(self: &Arc<Self>, key: &OriginKey, connection: Connection) {
        let now = Instant::now();
        let mut state = self.lock();
        state.make_room_http1(now, &self.settings);
        let begin_sweeping = !std::mem::replace(&mut state.swept, true);
        let waiting = match state.origins.get_mut(key) {
            Some(origin) => &mut origin.http1,
            None => &mut state.origins.entry(key.clone()).or_default().http1,
        };
        // A pool may be told to keep none at all.
        if waiting.len() < self.settings.idle_per_origin.min(self.settings.idle) {
            waiting.push((now, connection));
            state.count += 1;
        }
        drop(state);
        if begin_sweeping {
            tokio::spawn(keep_swept(Arc::downgrade(self)));
        }
    }

    /// Makes an HTTP/2 connection known to later requests.
    pub(super) fn share(&self, key: &OriginKey, sender: Http2) {
        let now = Instant::now();
        let mut state = self.lock();
        state.make_room_http2(now, &self.settings);
        state.http2_count += 1;
        state.origins.entry(key.clone()).or_default().http2 = Some((now, sender));
    }

    /// Closes those that have waited longest, an eighth of them; how many. HTTP/2 connections come last: exchanges on them
    /// still come to their end.
    pub(super) fn give_up(&self) -> usize {
        let mut state = self.lock();
        let (http1, http2) = (state.count, state.http2_count);
        if http1 > 0 {
            state.close_oldest_http1(http1 / 8);
        } else if http2 > 0 {
            state.forget_oldest_http2(http2 / 8);
        }
        (http1 + http2).saturating_sub(state.count + state.http2_count)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Map operations only; nothing in them panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody else notices that an idle connection has ended. Ends with the pool, or when nothing waits any more.
async fn keep_swept(idle: Weak<Idle>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(idle) = idle.upgrade() else { return };
        let mut state = idle.lock();
        state.sweep(Instant::now(), &idle.settings);
        if state.count == 0 {
            state.swept = false;
            return;
        }
    }
}

/// Up to when the oldest are, one more than `number`.
fn oldest(mut times: Vec<Instant>, number: usize) -> Option<Instant> {
    times.sort_unstable();
    times.get(number).or(times.last()).copied()
}

impl State {
    fn sweep(&mut self, now: Instant, settings: &PoolSettings) {
        let fresh = |since: &Instant| now.duration_since(*since) < settings.idle_time;
        self.rid(|origin| {
            origin.http1.retain_mut(|(since, connection)| fresh(since) && connection.is_alive());
            if origin.http2.as_ref().is_some_and(|(used, sender)| !fresh(used) || sender.is_closed()) {
                origin.http2 = None;
            }
        });
    }

    /// Closes connections that have waited longest, an eighth of all: a look at all for each new one would cost more than they save.
    fn make_room_http1(&mut self, now: Instant, settings: &PoolSettings) {
        if self.count < settings.idle {
            return;
        }
        self.sweep(now, settings);
        if self.count < settings.idle {
            return;
        }
        self.close_oldest_http1(settings.idle / 8);
    }

    fn close_oldest_http1(&mut self, number: usize) {
        let waiting = self.origins.values().flat_map(|origin| &origin.http1);
        let Some(limit) = oldest(waiting.map(|(since, _)| *since).collect(), number) else { return };
        self.rid(|origin| origin.http1.retain(|(since, _)| *since > limit));
    }

    /// Forgets shared connections that have not been used for longest: a client that visits a new origin with each request must
    /// not make us keep them all. Exchanges on a forgotten connection still come to their end.
    fn make_room_http2(&mut self, now: Instant, settings: &PoolSettings) {
        if self.http2_count < settings.idle {
            return;
        }
        self.sweep(now, settings);
        if self.http2_count < settings.idle {
            return;
        }
        self.forget_oldest_http2(settings.idle / 8);
    }

    fn forget_oldest_http2(&mut self, number: usize) {
        let shared = self.origins.values().filter_map(|origin| origin.http2.as_ref());
        let Some(limit) = oldest(shared.map(|(used, _)| *used).collect(), number) else { return };
        self.rid(|origin| {
            if origin.http2.as_ref().is_some_and(|(used, _)| *used <= limit) {
                origin.http2 = None;
            }
        });
    }

    /// Rids every origin of connections, and itself of those that have none left.
    fn rid(&mut self, mut of: impl FnMut(&mut Origin)) {
        self.origins.retain(|_, origin| {
            of(origin);
            !origin.http1.is_empty() || origin.http2.is_some()
        });
        self.count = self.origins.values().map(|origin| origin.http1.len()).sum();
        self.http2_count = self.origins.values().filter(|origin| origin.http2.is_some()).count();
    }
}
