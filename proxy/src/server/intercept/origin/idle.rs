//! The connections that wait for a request.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hyper::client::conn::{http1, http2};

use super::{OriginKey, OutboundBody, PoolSettings, Sender};

type Http1 = http1::SendRequest<OutboundBody>;
type Http2 = http2::SendRequest<OutboundBody>;

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
}

#[derive(Default)]
struct Origin {
    /// Oldest first; the youngest is used first, so that the others can expire.
    http1: Vec<(Instant, Http1)>,
    http2: Option<(Instant, Http2)>,
}

impl Idle {
    pub(super) fn new(settings: PoolSettings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// A connection that was alive when last seen.
    pub(super) async fn take(&self, key: &OriginKey) -> Option<Sender> {
        loop {
            let mut sender = match self.candidate(key)? {
                Sender::Http2(sender) => return Some(Sender::Http2(sender)),
                Sender::Http1(sender) => sender,
            };
            // Ready at once, or as soon as hyper has finished with the exchange before; an error means that it is closed.
            if sender.ready().await.is_ok() {
                return Some(Sender::Http1(sender));
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
        while let Some((since, sender)) = origin.http1.pop() {
            *count -= 1;
            if !sender.is_closed() && now.duration_since(since) < self.settings.idle_time {
                return Some(Sender::Http1(sender));
            }
        }
        origins.remove(key);
        None
    }

    /// Takes a connection back, or drops it when there are enough.
    pub(super) fn put(&self, key: &OriginKey, sender: Http1) {
        if sender.is_closed() {
            return;
        }
        let now = Instant::now();
        let mut state = self.lock();
        if state.count >= self.settings.idle {
            state.sweep(now, &self.settings);
        }
        let full = state.count >= self.settings.idle;
        let origin = state.origins.entry(key.clone()).or_default();
        if full || origin.http1.len() >= self.settings.idle_per_origin {
            return;
        }
        origin.http1.push((now, sender));
        state.count += 1;
    }

    /// Makes an HTTP/2 connection known to later requests.
    pub(super) fn share(&self, key: &OriginKey, sender: Http2) {
        let now = Instant::now();
        let mut state = self.lock();
        state.make_room_http2(now, &self.settings);
        state.http2_count += 1;
        state.origins.entry(key.clone()).or_default().http2 = Some((now, sender));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Map operations only; nothing in them panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn sweep(&mut self, now: Instant, settings: &PoolSettings) {
        let fresh = |since: &Instant| now.duration_since(*since) < settings.idle_time;
        self.origins.retain(|_, origin| {
            origin.http1.retain(|(since, sender)| fresh(since) && !sender.is_closed());
            if origin.http2.as_ref().is_some_and(|(used, sender)| !fresh(used) || sender.is_closed()) {
                origin.http2 = None;
            }
            !origin.http1.is_empty() || origin.http2.is_some()
        });
        self.count = self.origins.values().map(|origin| origin.http1.len()).sum();
        self.http2_count = self.origins.values().filter(|origin| origin.http2.is_some()).count();
    }

    /// Forgets shared connections that have not been used for longest, an eighth at a time: a client that visits a new origin with
    /// each request must not make us keep them all. Exchanges on a forgotten connection still come to their end.
    fn make_room_http2(&mut self, now: Instant, settings: &PoolSettings) {
        if self.http2_count < settings.idle {
            return;
        }
        self.sweep(now, settings);
        if self.http2_count < settings.idle {
            return;
        }
        let mut used: Vec<Instant> =
            self.origins.values().filter_map(|origin| origin.http2.as_ref().map(|(used, _)| *used)).collect();
        used.sort_unstable();
        let Some(limit) = used.get(settings.idle / 8).copied() else { return };
        self.origins.retain(|_, origin| {
            if origin.http2.as_ref().is_some_and(|(used, _)| *used <= limit) {
                origin.http2 = None;
            }
            !origin.http1.is_empty() || origin.http2.is_some()
        });
        self.http2_count = self.origins.values().filter(|origin| origin.http2.is_some()).count();
    }
}
