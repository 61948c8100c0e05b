//! Idle connections to origins, for plain requests. (spec: http-proxy §5.2 "Transport")
//!
//! Each at most 90 s. A connection comes back when a response has been read to its end; it is taken out newest first, because
//! the newest is the least likely to have been closed by the origin meanwhile. The reference keeps 2 to one origin and 100 in
//! all; more are kept here, because thirty clients of one origin would otherwise pay for a dial with nearly every request.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;

use super::http::OutgoingBody;

const MAX_IDLE: usize = 512;
const MAX_IDLE_PER_ORIGIN: usize = 64;
const IDLE: Duration = Duration::from_secs(90);

/// Where a connection leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// TLS or not.
    pub https: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// Port as written or the scheme's.
    pub port: String,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Pool {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: HashMap<Origin, Vec<Idle>>,
    /// Connections in all.
    count: usize,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<OutgoingBody>,
    since: Instant,
}

impl Idle {
    fn is_usable(&self) -> bool {
        self.since.elapsed() < IDLE && self.sender.is_ready()
    }
}

impl Pool {
    /// A connection to `origin` that seems alive.
    pub fn take(&self, origin: &Origin) -> Option<SendRequest<OutgoingBody>> {
        let mut state = self.lock();
        let State { idle, count } = &mut *state;
        let connections = idle.get_mut(origin)?;
        while let Some(connection) = connections.pop() {
            *count -= 1;
            if connection.is_usable() {
                return Some(connection.sender);
            }
        }
        // An empty list stays until the next sweep: the origin is likely to be asked again.
        None
    }

    /// Takes a connection back.
    pub fn put(&self, origin: Origin, sender: SendRequest<OutgoingBody>) {
        let mut state = self.lock();
        if state.count >= MAX_IDLE {
            state.sweep();
        }
        let State { idle, count } = &mut *state;
        let connections = idle.entry(origin).or_default();
        if connections.len() >= MAX_IDLE_PER_ORIGIN {
            connections.remove(0);
            *count -= 1;
        }
        connections.push(Idle { sender, since: Instant::now() });
        *count += 1;
    }

    /// Closes connections that are dead or too old.
    pub fn expire(&self) {
        self.lock().expire();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Removing and adding whole entries cannot be interrupted half-way by a panic of ours.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn expire(&mut self) {
        self.idle.retain(|_, connections| {
            connections.retain(Idle::is_usable);
            !connections.is_empty()
        });
        self.count = self.idle.values().map(Vec::len).sum();
    }

    /// Drops what is dead, then the oldest until there is room for one.
    fn sweep(&mut self) {
        self.expire();
        while self.count >= MAX_IDLE {
            let oldest = self
                .idle
                .values_mut()
                .filter(|connections| !connections.is_empty())
                .min_by_key(|connections| connections.first().map(|idle| idle.since));
            let Some(connections) = oldest else { return };
            connections.remove(0);
            self.count -= 1;
        }
    }
}
