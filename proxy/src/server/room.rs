//! How much memory bodies may take, over the process and over one tunnel. (D-630)
//!
//! Each body has a bound of its own, but hundreds may be held at a time: a tunnel has 250 streams. So what a body takes beyond a
//! few bytes is taken from a common room, and given back when the last handle of its bytes is gone. Bodies that each held a part
//! and waited for the rest would wait for each other; so a body takes at once what it may yet need, and gives back what it did not
//! need at its end. One that finds no room waits a moment for others to leave, then the slowest of those that are still coming are
//! given up for it, and at last it is refused. One that is larger than all the room there is has it for itself.

mod readers;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use readers::{Readers, Reading, SLOW};

/// What is counted at a time, bytes. Bodies of up to this size are not counted.
const UNIT: usize = 64 * 1024;
/// How long a body waits for room.
const PATIENCE: Duration = Duration::from_secs(5);
/// The room of a process has at least so many units, and so has that of a tunnel.
const LEAST: u32 = 64 * 16;
/// What a body of unknown length takes at once, bytes: the usual bound of bodies, so that usual ones never wait half-way.
const AT_ONCE: usize = 5 << 20;

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
    readers: Arc<Readers>,
}

/// Why there is no room for a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// None was made in time.
    #[error("the bodies that are held already take all memory that is meant for them (muselet.held_mb)")]
    Full,
    /// What it had was given to others.
    #[error("the body came slowly, and others waited for the memory that was kept for it (muselet.held_mb)")]
    Slow,
}

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

    /// For something that is about to come, of which nothing is known.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease { room: self.clone(), at_once: 0, came: 0, units: 0, permits: Vec::new(), reading: None }
    }

    /// For a body that is about to come, of which at most `limit` bytes are read.
    #[must_use]
    pub fn lease_for(&self, body: &impl Body, limit: usize) -> Lease {
        let stated = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
        Lease { at_once: stated.unwrap_or(AT_ONCE).min(limit), ..self.lease() }
    }
}

impl Level {
    fn new(units: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(units as usize)), all: units, readers: Arc::default() }
    }

    /// Has slow bodies given up one after the other, for as long as somebody waits.
    async fn press(&self) {
        let end = Instant::now() + PATIENCE;
        tokio::time::sleep(SLOW).await;
        while Instant::now() < end {
            tokio::time::sleep(self.readers.give_up_slowest()).await;
        }
    }
}

/// The room that one body takes.
#[derive(Debug)]
pub struct Lease {
    room: Room,
    /// What it takes when it first takes any, bytes.
    at_once: usize,
    /// Bytes that have come.
    came: usize,
    units: u32,
    /// One for each level, once something is counted.
    permits: Vec<OwnedSemaphorePermit>,
    /// While something is counted and more is to come.
    reading: Option<Reading>,
}

impl Lease {
    /// Makes it cover the `bytes` bytes of a body that have come, and what may yet come.
    ///
    /// # Errors
    /// There is no room, and none was made in time.
    pub async fn cover(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.came = self.came.max(bytes);
        if let Some(reading) = &self.reading {
            reading.came(self.came);
        }
        if bytes <= UNIT { Ok(()) } else { self.reserve(bytes.max(self.at_once)).await }
    }

    /// Makes it cover `bytes` bytes of which nothing need have come.
    ///
    /// # Errors
    /// As [`Self::cover`].
    pub async fn reserve(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let wanted = units(bytes as u64);
        if bytes <= UNIT || wanted <= self.units {
            return Ok(());
        }
        for (at, level) in self.room.levels.iter().enumerate() {
            let have = self.permits.get(at).map_or(0, |permit| permit.num_permits() as u32);
            let more = wanted.min(level.all).saturating_sub(have);
            let permit = match Arc::clone(&level.free).try_acquire_many_owned(more) {
                Ok(permit) => permit,
                Err(_) => self.wait_for(level, more).await?,
            };
            match self.permits.get_mut(at) {
                Some(permits) => permits.merge(permit),
                None => self.permits.push(permit),
            }
        }
        self.units = wanted;
        if self.reading.is_none() {
            let readers = self.room.levels.iter().map(|level| Arc::clone(&level.readers));
            self.reading = Some(Reading::begin(readers, self.came));
        }
        Ok(())
    }

    async fn wait_for(&self, level: &Level, units: u32) -> Result<OwnedSemaphorePermit, NoRoom> {
        let acquired = Arc::clone(&level.free).acquire_many_owned(units);
        let waited = async {
            tokio::select! {
                biased;
                permit = acquired => permit.map_err(|_| NoRoom::Full),
                () = level.press() => Err(NoRoom::Full),
            }
        };
        self.unless_given_up(waited).await?
    }

    /// Waits for what comes next of the body, unless it is given up for others.
    ///
    /// # Errors
    /// It was.
    pub async fn unless_given_up<F: Future>(&self, next: F) -> Result<F::Output, NoRoom> {
        let Some(reading) = &self.reading else { return Ok(next.await) };
        let next = pin!(next);
        tokio::select! {
            biased;
            output = next => Ok(output),
            () = reading.given_up() => Err(NoRoom::Slow),
        }
    }

    /// Gives back what is not needed for `bytes` bytes.
    pub fn shrink(&mut self, bytes: usize) {
        let needed = if bytes <= UNIT { 0 } else { units(bytes as u64) };
        if needed >= self.units {
            return;
        }
        for (level, permit) in self.room.levels.iter().zip(&mut self.permits) {
            drop(permit.split(permit.num_permits().saturating_sub(needed.min(level.all) as usize)));
        }
        self.units = needed;
        if needed == 0 {
            self.reading = None;
        }
    }

    /// For the bytes themselves, once all have come.
    #[must_use]
    pub fn keep(mut self) -> Kept {
        self.shrink(self.came);
        self.reading = None;
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
mod tests;
