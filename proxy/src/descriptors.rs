//! What happens when the process runs out of descriptors. (D-519)
//!
//! The system gives whatever is opened the lowest free number, so the number of a new socket says how many there are at least:
//! nothing has to be counted. The last numbers are kept for clients, each of whom is to get an answer (`/health` before all), for
//! look-ups and for files. Where they begin something is given up for each new socket: first connections to origins that
//! wait for a request, then the connections of clients that have been silent longest. When there is neither, a socket to an
//! origin is refused.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::TcpSocket;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::events::{Context, Event, Events};
use crate::server::wire::Slot;
use crate::upstream::pool::Pool;

/// The part of all descriptors that is kept, and its bounds.
const KEPT: (u64, u64, u64) = (16, 16, 256);
/// How long a client may be silent before its connection is given up for another's.
const GRACE: Duration = Duration::from_millis(250);
/// How soon clients are looked through again when all of them were busy.
const AGAIN: Duration = Duration::from_millis(10);
/// Between two lines in the log.
const REPORT: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct Descriptors {
    /// As many as the process may have.
    limit: u64,
    /// The first number that is kept.
    kept: u64,
    pools: Mutex<Vec<Weak<Pool>>>,
    clients: Mutex<Clients>,
    /// Where shortages are reported.
    events: Option<Events>,
}

#[derive(Default)]
struct Clients {
    next: u64,
    seats: HashMap<u64, (Arc<Slot>, CancellationToken)>,
    all_busy: Option<Instant>,
    reported: Option<Instant>,
}

/// The place of a client's connection among those that can be given up.
pub(crate) struct Seat {
    descriptors: Arc<Descriptors>,
    id: u64,
    /// Tells the connection to end, after the request under way.
    pub(crate) leave: CancellationToken,
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.descriptors.clients).seats.remove(&self.id);
    }
}

/// The process's soft limit of open descriptors; `None`: unlimited.
pub(crate) fn limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

impl Descriptors {
    pub(crate) fn new(limit: Option<u64>, events: Option<Events>) -> Self {
        let limit = limit.unwrap_or(u64::MAX);
        let kept = limit - (limit / KEPT.0).clamp(KEPT.1, KEPT.2).min(limit);
        let (pools, clients) = Default::default();
        Self { limit, kept, pools, clients, events }
    }

    /// A pool whose idle connections may be given up.
    pub(crate) fn add_pool(&self, pool: &Arc<Pool>) {
        let mut pools = lock(&self.pools);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    /// Makes a client's connection one that may be given up while `slot` is free. It ends with `drain` too.
    pub(crate) fn seat(self: &Arc<Self>, slot: &Arc<Slot>, drain: &CancellationToken) -> Seat {
        let leave = drain.child_token();
        let mut clients = lock(&self.clients);
        let id = clients.next;
        clients.next += 1;
        clients.seats.insert(id, (Arc::clone(slot), leave.clone()));
        drop(clients);
        Seat { descriptors: Arc::clone(self), id, leave }
    }

    /// A socket for a connection to an origin.
    ///
    /// # Errors
    /// The system's; `EMFILE` also when all that is left is kept for others.
    pub(crate) fn socket(&self, address: SocketAddr) -> io::Result<TcpSocket> {
        let open = || if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        match open() {
            Ok(socket) if !self.is_kept(&socket) || self.make_room() => Ok(socket),
            Ok(_) => {
                self.count("refused", 1);
                Err(Errno::MFILE.into())
            }
            Err(error) if is_shortage(&error) => {
                let socket = if self.make_room() { open() } else { Err(error) };
                if socket.is_err() {
                    self.count("refused", 1);
                }
                socket
            }
            other => other,
        }
    }

    /// After a client's connection was accepted, so that there is room for the next one.
    pub(crate) fn accepted(&self, socket: &impl AsFd) {
        if self.is_kept(socket) {
            self.make_room();
        }
    }

    /// Whether `socket` is one of those that are kept.
    fn is_kept(&self, socket: &impl AsFd) -> bool {
        let number: RawFd = socket.as_fd().as_raw_fd();
        u64::try_from(number).is_ok_and(|number| number >= self.kept)
    }

    /// Gives something up; `false`: there is nothing.
    pub(crate) fn make_room(&self) -> bool {
        let pools: Vec<_> = lock(&self.pools).iter().filter_map(Weak::upgrade).collect();
        let origins: usize = pools.iter().map(|pool| pool.give_up()).sum();
        let clients = if origins == 0 { self.send_away() } else { 0 };
        self.count("origin_closed", origins);
        self.count("client_closed", clients);
        self.report();
        origins + clients > 0
    }

    /// Has the eighth of the silent clients leave that has been silent longest.
    fn send_away(&self) -> usize {
        let mut clients = lock(&self.clients);
        let now = Instant::now();
        if clients.all_busy.is_some_and(|at| now.duration_since(at) < AGAIN) {
            return 0;
        }
        let silent = |slot: &Slot| slot.silent_since().filter(|since| now.duration_since(*since) >= GRACE);
        let waiting = clients.seats.iter().filter(|(_, (_, leave))| !leave.is_cancelled());
        let mut waiting: Vec<_> = waiting.filter_map(|(id, (slot, _))| Some((silent(slot)?, *id))).collect();
        waiting.sort_unstable();
        waiting.truncate(waiting.len().div_ceil(8));
        clients.all_busy = waiting.is_empty().then_some(now);
        let leaving: Vec<_> =
            waiting.iter().filter_map(|(_, id)| Some(clients.seats.get(id)?.1.clone())).collect();
        // What wakes up may take its seat away, and waits for the lock.
        drop(clients);
        leaving.iter().for_each(CancellationToken::cancel);
        leaving.len()
    }

    fn count(&self, what: &str, number: usize) {
        if number > 0
            && let Some(events) = &self.events
        {
            events.metrics().descriptor_shortage(what, number);
        }
    }

    fn report(&self) {
        let now = Instant::now();
        let mut state = lock(&self.clients);
        if state.reported.is_some_and(|at| now.duration_since(at) < REPORT) {
            return;
        }
        state.reported = Some(now);
        drop(state);
        let error = format!(
            "too many open files (limit {}): idle connections are closed, requests refused when there are none",
            self.limit
        );
        let Some(events) = &self.events else { return };
        events
            .record(&Event::Error { ctx: Context { method: "ACCEPT", ..Context::default() }, error: &error });
    }
}

/// Whether an error says that descriptors, or memory for sockets, have run out.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&errno))
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    // Collections of handles; nothing done to them panics.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_silent_longest_leave_first_and_nobody_who_just_came() {
        let descriptors = Arc::new(Descriptors::new(Some(0), None));
        let drain = CancellationToken::new();
        let mut seats = Vec::new();
        for _ in 0..16 {
            seats.push(descriptors.seat(&Arc::default(), &drain));
            tokio::time::advance(GRACE / 4).await;
        }
        let left = |seats: &[Seat]| seats.iter().map(|seat| seat.leave.is_cancelled()).collect::<Vec<_>>();
        assert!(descriptors.make_room());
        let mut wanted = [false; 16];
        wanted[..2].fill(true);
        assert_eq!(left(&seats), wanted);
        while descriptors.make_room() {}
        wanted[..13].fill(true);
        assert_eq!(left(&seats), wanted, "the last three have only just come");
        seats.clear();
        assert!(lock(&descriptors.clients).seats.is_empty());
    }

    #[tokio::test]
    async fn a_kept_socket_is_refused_when_there_is_nothing_to_give_up() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let refused = Descriptors::new(Some(0), None).socket(address).err();
        assert!(refused.as_ref().is_some_and(is_shortage), "{refused:?}");
        assert!(Descriptors::new(None, None).socket(address).is_ok());
        assert!(Descriptors::new(Some(1 << 20), None).socket(address).is_ok());
    }
}
