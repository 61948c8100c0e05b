//! How much memory bodies may take, over the process and over one tunnel. (D-630)
//!
//! Each body has a bound of its own, but hundreds may be held at a time: a tunnel has 250 streams. So what a body takes beyond a
//! few bytes is taken from a common room, and given back when the last handle of its bytes is gone. A body that finds no room
//! waits a moment for others to leave, and is then refused: two that wait for each other's room end so too. One that is larger
//! than all the room there is has it for itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted at a time, bytes. Bodies of up to this size are not counted.
const UNIT: usize = 64 * 1024;
/// How long a body waits for room.
const PATIENCE: Duration = Duration::from_secs(5);
/// The room of a process has at least so many units, and so has that of a tunnel.
const LEAST: u32 = 64 * 16;

/// See the module.
#[derive(Debug, Clone)]
pub struct Room {
    /// The tunnel's, if it is one's, and the process's.
    levels: Arc<[Level]>,
}

#[derive(Debug, Clone)]
struct Level {
    free: Arc<Semaphore>,
    /// Units, the occupied ones too.
    all: u32,
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bodies that are held already take all memory that is meant for them (muselet.held_mb)")]
pub struct Full;

impl Room {
    /// For so many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self { levels: [Level::new(units(bytes))].into() }
    }

    /// `muselet.held_mb`, or half of the memory that there is.
    #[must_use]
    pub fn of_process(held_mb: i64) -> Self {
        match u64::try_from(held_mb) {
            Ok(mb @ 1..) => Self::new(mb << 20),
            _ => {
                let half = units(memory().unwrap_or(u64::MAX) / 2).max(LEAST);
                Self { levels: [Level::new(half)].into() }
            }
        }
    }

    /// For one tunnel: a quarter of it, so that four can be full before anybody else is refused.
    #[must_use]
    pub fn part(&self) -> Self {
        let whole = self.levels.last().map_or(0, |level| level.all);
        let part = Level::new((whole / 4).max(LEAST).min(whole));
        Self { levels: std::iter::once(part).chain(self.levels.iter().cloned()).collect() }
    }

    /// For a body that is about to come.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease { room: self.clone(), units: 0, permits: Vec::new() }
    }
}

impl Level {
    fn new(units: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(units as usize)), all: units }
    }
}

/// The room that one body takes.
#[derive(Debug)]
pub struct Lease {
    room: Room,
    units: u32,
    /// One for each level, once something is counted.
    permits: Vec<OwnedSemaphorePermit>,
}

impl Lease {
    /// Makes it cover a body of `bytes` bytes.
    ///
    /// # Errors
    /// There is no room, and none was made in time.
    pub async fn cover(&mut self, bytes: usize) -> Result<(), Full> {
        if bytes <= UNIT {
            return Ok(());
        }
        let wanted = units(bytes as u64);
        if wanted <= self.units {
            return Ok(());
        }
        for (at, level) in self.room.levels.iter().enumerate() {
            let have = self.permits.get(at).map_or(0, |permit| permit.num_permits() as u32);
            let more = wanted.min(level.all).saturating_sub(have);
            let permit = match Arc::clone(&level.free).try_acquire_many_owned(more) {
                Ok(permit) => permit,
                Err(_) => {
                    let acquired = Arc::clone(&level.free).acquire_many_owned(more);
                    let acquired = tokio::time::timeout(PATIENCE, acquired).await;
                    acquired.map_err(|_| Full)?.map_err(|_| Full)?
                }
            };
            match self.permits.get_mut(at) {
                Some(permits) => permits.merge(permit),
                None => self.permits.push(permit),
            }
        }
        self.units = wanted;
        Ok(())
    }

    /// For the bytes themselves.
    #[must_use]
    pub fn keep(self) -> Kept {
        Kept((self.units > 0).then(|| Arc::new(self)))
    }
}

/// A lease that lasts as long as what was tied to it.
#[derive(Debug, Clone)]
pub struct Kept(Option<Arc<Lease>>);

impl Kept {
    /// The same bytes, whose last handle gives the room back.
    #[must_use]
    pub fn tie(&self, bytes: Bytes) -> Bytes {
        match &self.0 {
            Some(lease) => Bytes::from_owner(Tied { bytes, _lease: Arc::clone(lease) }),
            None => bytes,
        }
    }
}

struct Tied {
    bytes: Bytes,
    _lease: Arc<Lease>,
}

impl AsRef<[u8]> for Tied {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT as u64)).unwrap_or(u32::MAX)
}

/// What this machine, or this container, has.
fn memory() -> Option<u64> {
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limits = limits.iter().filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok());
    limits.chain(installed()).min()
}

fn installed() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(room: &Room) -> Vec<u32> {
        room.levels.iter().map(|level| level.all - level.free.available_permits() as u32).collect()
    }

    #[tokio::test]
    async fn room_is_taken_as_a_body_grows_and_comes_back_with_the_last_of_its_bytes() {
        let room = Room::new(100 << 20);
        let mut lease = room.lease();
        for (bytes, wanted) in [(0, 0), (UNIT, 0), (UNIT + 1, 2), (UNIT, 2), (10 * UNIT, 10)] {
            assert_eq!(lease.cover(bytes).await, Ok(()));
            assert_eq!(taken(&room), [wanted], "{bytes}");
        }
        let bytes = lease.keep().tie(Bytes::from(vec![b'a'; 10 * UNIT]));
        let part = bytes.slice(1..2);
        drop(bytes);
        assert_eq!((taken(&room), &*part), (vec![10], &b"a"[..]));
        drop(part);
        assert_eq!(taken(&room), [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_waits_for_room_for_a_while_and_is_then_refused() {
        let room = Room::new(100 << 20);
        let mut first = room.lease();
        assert_eq!(first.cover(90 << 20).await, Ok(()));
        let mut second = room.lease();
        assert_eq!(second.cover(20 << 20).await, Err(Full));
        let (waited, ()) = tokio::join!(second.cover(20 << 20), async {
            tokio::time::sleep(PATIENCE / 2).await;
            drop(first);
        });
        assert_eq!(waited, Ok(()));
        drop(second);
        assert_eq!(taken(&room), [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_has_a_part_and_a_body_beyond_all_room_has_it_alone() {
        let room = Room::new(1 << 30);
        let tunnel = room.part();
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut lease = tunnel.lease();
            assert_eq!(lease.cover(64 << 20).await, Ok(()));
            held.push(lease);
        }
        assert_eq!(tunnel.lease().cover(64 << 20).await, Err(Full), "a quarter is taken");
        let mut other = room.part().lease();
        assert_eq!(other.cover(64 << 20).await, Ok(()));
        drop((held, other));
        let mut huge = room.lease();
        assert_eq!(huge.cover(8 << 30).await, Ok(()));
        assert_eq!(room.lease().cover(UNIT + 1).await, Err(Full));
        drop(huge);
        assert_eq!(taken(&tunnel), [0, 0]);
    }

    #[test]
    fn a_process_has_room_by_its_setting_or_by_its_memory() {
        let all = |held_mb| Room::of_process(held_mb).levels[0].all;
        assert_eq!(all(300), 300 * 16);
        assert!(all(0) >= LEAST);
        assert!(memory().is_some_and(|bytes| bytes > 64 << 20), "{:?}", memory());
    }
}
