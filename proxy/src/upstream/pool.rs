//! Idle connections to origins, for plain requests. (spec: http-proxy §5.2 "Transport")
//!
//! At most 100 in all and 2 to one origin, each at most 90 s. A connection comes back when a response has been read to its end;
//! it is taken out newest first, because the newest is the least likely to have been closed by the origin meanwhile.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;

use super::http::OutgoingBody;

const MAX_IDLE: usize = 100;
const MAX_IDLE_PER_ORIGIN: usize = 2;
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
    idle: Mutex<HashMap<Origin, Vec<Idle>>>,
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
        let mut idle = self.lock();
        let connections = idle.get_mut(origin)?;
        let mut found = None;
        while let Some(connection) = connections.pop() {
            if connection.is_usable() {
                found = Some(connection.sender);
                break;
            }
        }
        if connections.is_empty() {
            idle.remove(origin);
        }
        found
    }

    /// Takes a connection back.
    pub fn put(&self, origin: Origin, sender: SendRequest<OutgoingBody>) {
        let mut idle = self.lock();
        if idle.values().map(Vec::len).sum::<usize>() >= MAX_IDLE {
            Self::sweep(&mut idle);
        }
        let connections = idle.entry(origin).or_default();
        if connections.len() >= MAX_IDLE_PER_ORIGIN {
            connections.remove(0);
        }
        connections.push(Idle { sender, since: Instant::now() });
    }

    /// Drops what is dead, then the oldest until there is room for one.
    fn sweep(idle: &mut HashMap<Origin, Vec<Idle>>) {
        idle.retain(|_, connections| {
            connections.retain(Idle::is_usable);
            !connections.is_empty()
        });
        while idle.values().map(Vec::len).sum::<usize>() >= MAX_IDLE {
            let oldest = idle
                .iter()
                .filter_map(|(origin, connections)| Some((connections.first()?.since, origin)))
                .min_by_key(|(since, _)| *since)
                .map(|(_, origin)| origin.clone());
            let Some(origin) = oldest else { return };
            if let Some(connections) = idle.get_mut(&origin) {
                connections.remove(0);
                if connections.is_empty() {
                    idle.remove(&origin);
                }
            }
        }
    }

    /// Closes connections that are dead or too old.
    pub fn expire(&self) {
        self.lock().retain(|_, connections| {
            connections.retain(Idle::is_usable);
            !connections.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Origin, Vec<Idle>>> {
        // Removing and adding whole entries cannot be interrupted half-way by a panic of ours.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
