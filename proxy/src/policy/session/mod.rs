//! What is remembered about a client: scores, levels, quarantine, taint. spec: http-proxy §11
//!
//! The table is pure state behind one lock: callers pass what happened and the time, and get back what follows as values
//! ([`Effect`]); they write the events and count. Keys are `agent|address`, or the address alone for anonymous clients.
//! State survives reloads; [`Settings`] are swapped.

mod admin;
pub mod baseline;
mod level;
mod names;
mod settings;
mod sweep;
mod table;
mod taint;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::response::Escalation;

pub use crate::policy::response::TaintLevel;
pub use admin::{
    AdminError, Explanation, Inspection, Reset, Snapshot, TaskChange, Terminated, TierChange, Trust,
};
pub use level::{Action, Level, Signal};
pub use names::Names;
pub use settings::Settings;
pub use taint::{AUTHORITY, Judgement, Observation, Target};

use baseline::Sample;
use table::{Session, Table};

/// Quarantine tiers, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Tier {
    #[default]
    None,
    Soft,
    Hard,
    Drain,
}

impl Tier {
    /// The word in logs, metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::None => "none",
            Tier::Soft => "soft",
            Tier::Hard => "hard",
            Tier::Drain => "drain",
        }
    }

    /// `normal` is another word for `none`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Tier> {
        Some(match word {
            "none" | "normal" => Tier::None,
            "soft" => Tier::Soft,
            "hard" => Tier::Hard,
            "drain" => Tier::Drain,
            _ => return None,
        })
    }
}

/// Something that followed and is to be reported.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// `kind`: `domain_burst` or `ip_domain_burst`.
    Anomaly { kind: &'static str, detail: String, score: f64 },
    /// The level rose.
    Escalated { from: Level, to: Level, score: f64 },
    /// The level fell by time. `reported`: an event is written, not only a metric.
    Recovered { from: Level, to: Level, score: f64, reported: bool },
    /// The session was quarantined because it reached `level`.
    Quarantined { from: Tier, to: Tier, level: Level },
    /// A quarantine tier ended by time.
    Released { from: Tier, to: Tier },
    /// Another session was dropped for room.
    Evicted,
    /// A session appeared or went; the number now.
    Count(usize),
    /// A session ended of which something is learned.
    Ended(Sample),
}

/// Outcome of recording one request.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Recorded {
    pub effects: Vec<Effect>,
    /// `session anomaly: DETAIL`: the request is refused.
    pub refused: Option<String>,
}

/// What a URL verdict means for its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// Allowed.
    Allowed,
    /// Refused as a threat.
    Threat,
    /// Refused because of a configuration that contradicts itself.
    Mismatch,
    /// Refused by a limit or for want of an answer of the network.
    Neutral,
}

/// One request as the table sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seeing<'a> {
    pub key: &'a str,
    pub agent: &'a str,
    pub client_ip: &'a str,
    /// As written, not lower-cased.
    pub host: &'a str,
    pub seen: Seen,
    /// Reason and score of the verdict, for the session's history.
    pub reason: &'a str,
    pub score: f64,
}

/// The sessions of the process.
pub struct Sessions {
    table: Mutex<Table>,
    /// `session_profiling.enabled`, readable without the lock: most proxies keep no sessions.
    on: AtomicBool,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// An empty table.
    #[must_use]
    pub fn new(settings: Settings) -> Sessions {
        Sessions { on: AtomicBool::new(settings.enabled), table: Mutex::new(Table::new(Arc::new(settings))) }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a reloaded configuration. Profiling switched off drops every session.
    pub fn configure(&self, settings: Settings) {
        self.on.store(settings.enabled, Relaxed);
        self.lock().configure(Arc::new(settings));
    }

    /// Whether `session_profiling.enabled`.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// Sessions now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Records a request. spec: http-proxy §11.2
    #[must_use]
    pub fn record(&self, seeing: &Seeing<'_>, now: Instant) -> Recorded {
        self.lock().record(seeing, now)
    }

    /// Adds a signal; nothing without adaptive enforcement or for an unknown session.
    #[must_use]
    pub fn signal(&self, key: &str, signal: Signal, now: Instant) -> Vec<Effect> {
        let mut table = self.lock();
        let settings = Arc::clone(&table.settings);
        let mut effects = Vec::new();
        if settings.adaptive
            && let Some(session) = table.sessions.get_mut(key)
        {
            session.signal(&settings, signal, now, &mut effects);
        }
        effects
    }

    /// An exchange ended without any finding: the score decays.
    pub fn clean(&self, key: &str) {
        let mut table = self.lock();
        let settings = Arc::clone(&table.settings);
        if settings.adaptive
            && let Some(session) = table.sessions.get_mut(key)
        {
            session.score = (session.score - settings.decay).max(0.0);
        }
    }

    /// Lets a level go whose time is over, without waiting for the next sweep.
    #[must_use]
    pub fn recover(&self, key: &str, now: Instant) -> Option<Effect> {
        let mut table = self.lock();
        let settings = Arc::clone(&table.settings);
        let session = table.sessions.get_mut(key).filter(|_| settings.adaptive)?;
        session.recover(&settings, now, true)
    }

    /// The current level; `normal` for an unknown session and without adaptive enforcement.
    #[must_use]
    pub fn level(&self, key: &str) -> Level {
        let table = self.lock();
        if !table.settings.adaptive {
            return Level::default();
        }
        table.sessions.get(key).map_or_else(Level::default, |s| s.level)
    }

    /// The level, if it denies everything.
    #[must_use]
    pub fn blocks_all(&self, key: &str) -> Option<Level> {
        let level = self.level(key);
        let table = self.lock();
        table.settings.blocks_all(level).then_some(level)
    }

    /// The action that takes the place of `base` at the session's level. spec: http-proxy §11.4 "Upgrade"
    #[must_use]
    pub fn upgraded(&self, key: &str, base: Action) -> (Action, Level) {
        let level = self.level(key);
        (self.lock().settings.upgrade(base, level), level)
    }

    /// What the session's level does to the actions of a response scan.
    #[must_use]
    pub fn escalation(&self, key: &str) -> Escalation {
        let level = self.level(key);
        let settings = Arc::clone(&self.lock().settings);
        Escalation {
            block_all: settings.blocks_all(level),
            upgrade_warn: settings.upgrade(Action::Warn, level) == Action::Block,
            upgrade_ask: settings.upgrade(Action::Ask, level) == Action::Block,
        }
    }

    /// The session's quarantine tier.
    #[must_use]
    pub fn tier(&self, key: &str) -> Tier {
        self.lock().sessions.get(key).map_or(Tier::None, |s| s.tier)
    }

    /// A token that is cancelled when the session enters `hard` or `drain`; at once if it is there already. For tunnels and relays.
    #[must_use]
    pub fn hook(&self, key: &str) -> CancellationToken {
        let mut table = self.lock();
        match table.sessions.get_mut(key) {
            Some(session) => session.hook(),
            None => CancellationToken::new(),
        }
    }

    /// What time alone changes: recovery, release, expiry. To be called every thirty seconds; cleanup has its own interval.
    #[must_use]
    pub fn sweep(&self, now: Instant) -> Vec<(String, Effect)> {
        sweep::sweep(&mut self.lock(), now)
    }

    /// Removes sessions that have been idle for too long. To be called every `cleanup_interval_seconds`.
    #[must_use]
    pub fn expire(&self, now: Instant) -> Vec<Effect> {
        sweep::expire(&mut self.lock(), now)
    }

    /// How often [`Sessions::expire`] is due.
    #[must_use]
    pub fn cleanup_interval(&self) -> std::time::Duration {
        self.lock().settings.cleanup
    }

    /// Notes where a response came from. spec: http-proxy §11.6
    pub fn observe(&self, key: &str, observation: &Observation<'_>) {
        let mut table = self.lock();
        let settings = Arc::clone(&table.settings);
        if settings.taint.enabled
            && let Some(session) = table.sessions.get_mut(key)
        {
            session.taint.observe(&settings.taint, observation);
        }
    }

    /// Judges a forward request by what its session has seen; `None`: allowed. `wall`: seconds since 1970, for expiry dates.
    #[must_use]
    pub fn judge(&self, key: &str, method: &str, url: &Target<'_>, wall: i64) -> Option<Judgement> {
        let table = self.lock();
        let session = table.sessions.get(key)?;
        if !table.settings.enabled || !table.settings.taint.enabled {
            return None;
        }
        session.taint.judge(&table.settings.taint, method, url, wall)
    }

    /// Runs an operator's command on a session.
    fn with<R>(&self, key: &str, run: impl FnOnce(&Settings, &mut Session) -> R) -> Result<R, AdminError> {
        let mut table = self.lock();
        let settings = Arc::clone(&table.settings);
        table.sessions.get_mut(key).map(|session| run(&settings, session)).ok_or(AdminError::NotFound)
    }
}
