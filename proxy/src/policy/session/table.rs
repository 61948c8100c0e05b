//! The table of sessions and the steps of recording a request. spec: http-proxy §11.1, §11.2

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::baseline::Sample;
use super::level::{Level, Signal};
use super::settings::Settings;
use super::taint::Taint;
use super::{Effect, Recorded, Seeing, Seen, Tier};

/// Events that a session's history keeps.
const HISTORY: usize = 20;
/// Hosts that a window keeps if the threshold is below that: a client that asks for ever new ones costs no more.
const MOST_HOSTS: usize = 4096;

/// Distinct hosts within a window of time.
#[derive(Debug, Default)]
pub(super) struct Burst {
    hosts: VecDeque<(Instant, String)>,
    /// When the score was last given.
    scored: Option<Instant>,
}

impl Burst {
    /// Adds a host; how many distinct ones the window holds.
    fn add(&mut self, host: &str, settings: &Settings, now: Instant) -> usize {
        let past = |at: Instant| now.saturating_duration_since(at) > settings.window;
        while self.hosts.front().is_some_and(|(at, _)| past(*at)) {
            self.hosts.pop_front();
        }
        if !self.hosts.iter().any(|(_, known)| known == host) {
            if self.hosts.len() >= settings.domain_burst.max(MOST_HOSTS) {
                self.hosts.pop_front();
            }
            self.hosts.push_back((now, host.to_owned()));
        }
        self.hosts.len()
    }

    fn score(&mut self, points: f64, window: Duration, now: Instant) -> f64 {
        if self.scored.is_some_and(|at| now.saturating_duration_since(at) <= window) {
            return 0.0;
        }
        self.scored = Some(now);
        points
    }
}

/// Something in a session's history.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    pub(super) at: OffsetDateTime,
    pub(super) kind: &'static str,
    pub(super) target: String,
    pub(super) detail: String,
    pub(super) severity: &'static str,
    pub(super) score: f64,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) agent: String,
    pub(super) client_ip: String,
    created: Instant,
    requests: u64,
    pub(super) last: Instant,
    pub(super) last_wall: OffsetDateTime,
    pub(super) score: f64,
    /// Set by the first signal.
    pub(super) threshold: Option<f64>,
    pub(super) level: Level,
    pub(super) level_since: Instant,
    pub(super) block_all: bool,
    pub(super) burst: Burst,
    pub(super) tier: Tier,
    pub(super) tier_since: Option<Instant>,
    pub(super) tier_wall: Option<OffsetDateTime>,
    pub(super) tier_trigger: String,
    pub(super) tier_source: String,
    pub(super) hooks: CancellationToken,
    pub(super) history: VecDeque<Remembered>,
    pub(super) taint: Taint,
}

impl Session {
    fn new(seeing: &Seeing<'_>, now: Instant) -> Session {
        Session {
            agent: if seeing.agent == "anonymous" { String::new() } else { seeing.agent.to_owned() },
            client_ip: seeing.client_ip.to_owned(),
            created: now,
            requests: 0,
            last: now,
            last_wall: OffsetDateTime::now_utc(),
            score: 0.0,
            threshold: None,
            level: Level::default(),
            level_since: now,
            block_all: false,
            burst: Burst::default(),
            tier: Tier::None,
            tier_since: None,
            tier_wall: None,
            tier_trigger: String::new(),
            tier_source: String::new(),
            hooks: CancellationToken::new(),
            history: VecDeque::new(),
            taint: Taint::new(),
        }
    }

    pub(super) fn remember(
        &mut self,
        kind: &'static str,
        target: &str,
        detail: &str,
        severity: &'static str,
        score: f64,
    ) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Remembered {
            at: OffsetDateTime::now_utc(),
            kind,
            target: target.to_owned(),
            detail: detail.to_owned(),
            severity,
            score,
        });
    }

    /// What is learned from the session when it ends.
    pub(super) fn sample(&self, key: &str) -> Sample {
        Sample {
            agent: key.split_once('|').map_or(key, |(agent, _)| agent).to_owned(),
            hosts: self.burst.hosts.len(),
            seconds: self.last.saturating_duration_since(self.created).as_secs_f64(),
            requests: self.requests,
        }
    }

    pub(super) fn hook(&mut self) -> CancellationToken {
        let hook = self.hooks.child_token();
        if self.tier >= Tier::Hard {
            hook.cancel();
        }
        hook
    }

    /// Forgets what was held against the session.
    pub(super) fn clear(&mut self, now: Instant) {
        self.score = 0.0;
        self.threshold = None;
        self.level = Level::default();
        self.level_since = now;
        self.block_all = false;
        self.burst = Burst::default();
        self.history.clear();
        self.hooks.cancel();
        self.hooks = CancellationToken::new();
        self.tier = Tier::None;
        self.tier_since = None;
        self.tier_wall = None;
        self.tier_trigger.clear();
        self.tier_source.clear();
    }
}

pub(super) struct Table {
    pub(super) settings: Arc<Settings>,
    pub(super) sessions: HashMap<String, Session>,
    /// Bursts over all agents of an address.
    pub(super) addresses: HashMap<String, Burst>,
}

impl Table {
    pub(super) fn new(settings: Arc<Settings>) -> Table {
        Table { settings, sessions: HashMap::new(), addresses: HashMap::new() }
    }

    pub(super) fn configure(&mut self, settings: Arc<Settings>) {
        if !settings.enabled {
            self.sessions.clear();
            self.addresses.clear();
        }
        for session in self.sessions.values_mut() {
            session.block_all = settings.blocks_all(session.level);
        }
        self.settings = settings;
    }

    /// The session, made where there is none; the oldest that is not quarantined makes room.
    fn session(&mut self, seeing: &Seeing<'_>, now: Instant, effects: &mut Vec<Effect>) -> &mut Session {
        if !self.sessions.contains_key(seeing.key) {
            if self.sessions.len() >= self.settings.max_sessions {
                let oldest = self
                    .sessions
                    .iter()
                    .filter(|(_, s)| s.tier == Tier::None)
                    .min_by_key(|(_, s)| s.last)
                    .map(|(key, _)| key.clone());
                if let Some((key, session)) = oldest.and_then(|key| self.sessions.remove_entry(&key)) {
                    effects.push(Effect::Evicted);
                    if self.settings.learns {
                        effects.push(Effect::Ended(session.sample(&key)));
                    }
                }
            }
            effects.push(Effect::Count(self.sessions.len() + 1));
        }
        self.sessions.entry(seeing.key.to_owned()).or_insert_with(|| Session::new(seeing, now))
    }

    pub(super) fn record(&mut self, seeing: &Seeing<'_>, now: Instant) -> Recorded {
        let mut recorded = Recorded::default();
        if !self.settings.enabled {
            return recorded;
        }
        let settings = Arc::clone(&self.settings);
        let effects = &mut recorded.effects;
        if self.addresses.len() > 10 * settings.max_sessions {
            // Addresses without a session are only kept for their burst window.
            self.forget_addresses(now);
        }
        let by_address = {
            let burst = self.addresses.entry(seeing.client_ip.to_owned()).or_default();
            let hosts = burst.add(seeing.host, &settings, now);
            (hosts >= settings.domain_burst).then(|| (hosts, burst.score(3.0, settings.window, now)))
        };
        let session = self.session(seeing, now, effects);
        session.requests += 1;
        if !session.block_all {
            session.last = now;
            session.last_wall = OffsetDateTime::now_utc();
        }
        if settings.adaptive
            && let Some(recovered) = session.recover(&settings, now, true)
        {
            effects.push(recovered);
        }
        let hosts = session.burst.add(seeing.host, &settings, now);
        let mut anomalies = Vec::new();
        if hosts >= settings.domain_burst {
            let detail = format!(
                "{hosts} new domains in {}m window (threshold: {})",
                settings.window_minutes, settings.domain_burst
            );
            anomalies.push(("domain_burst", detail, session.burst.score(2.0, settings.window, now)));
        }
        if let Some((hosts, score)) = by_address {
            let detail = format!(
                "{hosts} unique domains from IP in {}m window (threshold: {})",
                settings.window_minutes, settings.domain_burst
            );
            anomalies.push(("ip_domain_burst", detail, score));
        }
        let signal = match seeing.seen {
            Seen::Threat => Some(Signal::Block),
            Seen::Mismatch => Some(Signal::NearMiss),
            Seen::Allowed | Seen::Neutral => None,
        };
        if settings.adaptive
            && let Some(signal) = signal
            && session.signal(&settings, signal, now, effects)
            && settings.airlock
        {
            session.trigger_airlock(&settings, now, effects);
        }
        for (kind, detail, score) in anomalies {
            session.remember("anomaly", seeing.host, &detail, "warn", score);
            let refused = settings.anomaly_blocks.then(|| format!("session anomaly: {detail}"));
            effects.push(Effect::Anomaly { kind, detail, score });
            if refused.is_some() {
                recorded.refused = refused;
                return recorded;
            }
        }
        if seeing.seen != Seen::Allowed {
            session.remember("block", seeing.host, seeing.reason, "critical", seeing.score);
        }
        recorded
    }

    /// Drops bursts whose window has passed.
    pub(super) fn forget_addresses(&mut self, now: Instant) {
        let window = self.settings.window;
        self.addresses.retain(|_, burst| {
            burst.hosts.back().is_some_and(|(at, _)| now.saturating_duration_since(*at) <= window)
        });
    }
}
