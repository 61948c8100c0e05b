//! What operators read and change in the table. The HTTP side is `server::admin::sessions`. spec: http-proxy §13

use std::time::{Duration, Instant};

use muselet_rules::order::sorted;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::TaintLevel;
use super::table::Session;
use super::{Sessions, Tier};

/// Why a command has no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AdminError {
    NotFound,
}

/// A moment as the API prints it; the epoch of year one stands for "never".
pub(super) fn stamp(at: Option<OffsetDateTime>) -> String {
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| "0001-01-01T00:00:00Z".to_owned())
}

fn is_zero(value: &i128) -> bool {
    *value == 0
}

/// One session in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    pub key: String,
    pub agent: String,
    pub client_ip: String,
    pub kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub current_task_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub current_task_label: String,
    pub threat_score: f64,
    pub escalation_level: &'static str,
    pub block_all: bool,
    pub airlock_tier: &'static str,
    pub taint_level: &'static str,
    pub contaminated: bool,
    pub last_activity: String,
}

#[derive(Clone, Debug, Serialize)]
struct RecentEvent {
    at: String,
    kind: &'static str,
    target: String,
    detail: String,
    severity: &'static str,
    score: f64,
}

/// One session with its history.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    #[serde(flatten)]
    pub snapshot: Snapshot,
    airlock_entered_at: String,
    in_flight: u32,
    escalation_level_int: u32,
    recent_events: Vec<RecentEvent>,
}

/// Why a session is where it is.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    key: String,
    pub tier: &'static str,
    reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    trigger: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    trigger_source: String,
    entered_at: String,
    #[serde(skip_serializing_if = "is_zero")]
    elapsed_in_tier_ns: i128,
    escalation_level: &'static str,
    escalation_level_int: u32,
    threat_score: f64,
    #[serde(skip_serializing_if = "str::is_empty")]
    evidence_kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    evidence_target: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    evidence_detail: String,
    evidence_at: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    next_deescalation_tier: &'static str,
    next_deescalation_at: String,
}

/// Outcome of a reset.
#[derive(Clone, Debug, Serialize)]
pub struct Reset {
    key: String,
    reset: bool,
    pub previous_level: &'static str,
    previous_score: f64,
    ip_state_cleared: bool,
    pub cee_state_cleared: bool,
}

/// Outcome of a termination.
#[derive(Clone, Debug, Serialize)]
pub struct Terminated {
    key: String,
    terminated: bool,
    pub previous_tier: &'static str,
    previous_level: &'static str,
    previous_score: f64,
    ip_state_cleared: bool,
    pub cee_state_cleared: bool,
}

/// Outcome of a change of tier.
#[derive(Clone, Debug, Serialize)]
pub struct TierChange {
    key: String,
    pub previous_tier: &'static str,
    pub new_tier: &'static str,
    pub changed: bool,
}

/// Outcome of a new task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskChange {
    key: String,
    previous_task_id: String,
    current_task_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    current_task_label: String,
    taint_cleared: bool,
    runtime_overrides_cleared: usize,
}

/// Outcome of a grant of trust.
#[derive(Clone, Debug, Serialize)]
pub struct Trust {
    key: String,
    scope: &'static str,
    task_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    source_match: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    action_match: String,
    expires_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    granted_by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

impl Session {
    fn snapshot(&self, key: &str) -> Snapshot {
        Snapshot {
            key: key.to_owned(),
            agent: self.agent.clone(),
            client_ip: self.client_ip.clone(),
            kind: "identity",
            current_task_id: self.taint.task.clone(),
            current_task_label: self.taint.label.clone(),
            threat_score: self.score,
            escalation_level: self.level.as_str(),
            block_all: self.block_all,
            airlock_tier: self.tier.as_str(),
            taint_level: self.taint.level.as_str(),
            contaminated: self.taint.level >= TaintLevel::ExternalUntrusted,
            last_activity: stamp(Some(self.last_wall)),
        }
    }
}

impl Sessions {
    /// Every session, or those of a tier, by key.
    #[must_use]
    pub fn list(&self, tier: Option<Tier>) -> Vec<Snapshot> {
        let table = self.lock();
        let list = table
            .sessions
            .iter()
            .filter(|(_, s)| tier.is_none_or(|tier| s.tier == tier))
            .map(|(key, s)| s.snapshot(key))
            .collect();
        sorted(list, |a, b| a.key.cmp(&b.key))
    }

    /// One session.
    ///
    /// # Errors
    /// There is none of that key.
    pub fn inspect(&self, key: &str) -> Result<Inspection, AdminError> {
        self.with(key, |_, session| Inspection {
            snapshot: session.snapshot(key),
            airlock_entered_at: stamp(session.tier_wall),
            in_flight: 0,
            escalation_level_int: session.level.0,
            recent_events: session
                .history
                .iter()
                .map(|e| RecentEvent {
                    at: stamp(Some(e.at)),
                    kind: e.kind,
                    target: e.target.clone(),
                    detail: e.detail.clone(),
                    severity: e.severity,
                    score: e.score,
                })
                .collect(),
        })
    }

    /// Why a session is in its tier, and when that ends.
    ///
    /// # Errors
    /// There is none of that key.
    pub fn explain(&self, key: &str, now: Instant) -> Result<Explanation, AdminError> {
        self.with(key, |settings, session| {
            let quarantined = session.tier != Tier::None;
            let (timer, next) = match session.tier {
                Tier::None => (None, ""),
                Tier::Soft => (settings.timers[0], "none"),
                Tier::Hard => (settings.timers[1], "soft"),
                Tier::Drain => (settings.timers[2], "hard"),
            };
            let timer = timer.filter(|_| settings.adaptive && settings.airlock);
            let elapsed =
                session.tier_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            let evidence = session.history.iter().rev().find(|e| matches!(e.kind, "block" | "anomaly"));
            Explanation {
                key: key.to_owned(),
                tier: session.tier.as_str(),
                reason: if quarantined {
                    format!("session quarantined at airlock tier {}", session.tier.as_str())
                } else {
                    "session not quarantined".to_owned()
                },
                trigger: if quarantined { session.tier_trigger.clone() } else { String::new() },
                trigger_source: if quarantined { session.tier_source.clone() } else { String::new() },
                entered_at: stamp(session.tier_wall.filter(|_| quarantined)),
                elapsed_in_tier_ns: if quarantined {
                    i128::try_from(elapsed.as_nanos()).unwrap_or(0)
                } else {
                    0
                },
                escalation_level: session.level.as_str(),
                escalation_level_int: session.level.0,
                threat_score: session.score,
                evidence_kind: evidence.map_or("", |e| e.kind),
                evidence_target: evidence.map_or_else(String::new, |e| e.target.clone()),
                evidence_detail: evidence.map_or_else(String::new, |e| e.detail.clone()),
                evidence_at: stamp(evidence.map(|e| e.at)),
                next_deescalation_tier: timer.map_or("", |_| next),
                next_deescalation_at: stamp(timer.and_then(|timer| session.tier_wall.map(|at| at + timer))),
            }
        })
    }

    /// Forgets what is held against a session and its address.
    ///
    /// # Errors
    /// There is none of that key.
    pub fn reset(&self, key: &str, now: Instant) -> Result<Reset, AdminError> {
        let (level, score, client_ip) = self.with(key, |_, session| {
            let before = (session.level.as_str(), session.score, session.client_ip.clone());
            session.clear(now);
            before
        })?;
        Ok(Reset {
            key: key.to_owned(),
            reset: true,
            previous_level: level,
            previous_score: score,
            ip_state_cleared: self.lock().addresses.remove(&client_ip).is_some(),
            cee_state_cleared: false,
        })
    }

    /// Cuts a session's tunnels and forgets what is held against it.
    ///
    /// # Errors
    /// There is none of that key.
    pub fn terminate(&self, key: &str, now: Instant) -> Result<Terminated, AdminError> {
        let tier = self.tier(key);
        let reset = self.reset(key, now)?;
        Ok(Terminated {
            key: reset.key,
            terminated: true,
            previous_tier: tier.as_str(),
            previous_level: reset.previous_level,
            previous_score: reset.previous_score,
            ip_state_cleared: reset.ip_state_cleared,
            cee_state_cleared: reset.cee_state_cleared,
        })
    }

    /// Moves a session to a tier, up or down.
    ///
    /// # Errors
    /// There is none of that key.
    pub fn set_tier(&self, key: &str, tier: Tier, now: Instant) -> Result<TierChange, AdminError> {
        self.with(key, |_, session| {
            let previous = session.tier;
            if tier != previous {
                session.enter(tier, now, "api", "api");
                session.remember("airlock_override", tier.as_str(), "api", "warn", 0.0);
            }
            TierChange {
                key: key.to_owned(),
                previous_tier: previous.as_str(),
                new_tier: tier.as_str(),
                changed: tier != previous,
            }
        })
    }

    /// Begins a new task, which clears the taint.
    ///
    /// # Errors
    /// There is none of that key.
    pub fn begin_task(&self, key: &str, label: &str) -> Result<TaskChange, AdminError> {
        self.with(key, |_, session| {
            let previous = session.taint.task.clone();
            let dropped = session.taint.begin_task(label);
            TaskChange {
                key: key.to_owned(),
                previous_task_id: previous,
                current_task_id: session.taint.task.clone(),
                current_task_label: session.taint.label.clone(),
                taint_cleared: true,
                runtime_overrides_cleared: dropped,
            }
        })
    }

    /// Lets a tainted session do what matches, until a date or its next task.
    ///
    /// # Errors
    /// There is none of that key.
    pub fn trust(
        &self,
        key: &str,
        source: &str,
        action: &str,
        expires: OffsetDateTime,
        granted_by: &str,
        reason: &str,
    ) -> Result<Trust, AdminError> {
        self.with(key, |_, session| {
            session.taint.trust(source, action, expires.unix_timestamp());
            Trust {
                key: key.to_owned(),
                scope: "task",
                task_id: session.taint.task.clone(),
                source_match: source.to_owned(),
                action_match: action.to_owned(),
                expires_at: stamp(Some(expires)),
                granted_by: granted_by.to_owned(),
                reason: reason.to_owned(),
            }
        })
    }
}
