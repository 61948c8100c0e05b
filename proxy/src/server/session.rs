//! What a handler asks of the session table, and the events and counters that follow. (spec: http-proxy §11)
//!
//! The table gives effects as values; this is the only place that writes them down. Without session profiling every question
//! is answered by one atomic load.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Answer};
use super::exchange::Exchange;
use super::shared::Shared;
use crate::events::Event;
use crate::policy::cross_request;
use crate::policy::response::Escalation;
use crate::policy::session::{
    AUTHORITY, Action, Effect, Level, Observation, Seeing, Seen, Signal, Target, Tier,
};
use crate::policy::url::GoUrl;
use crate::policy::verdict::{Class, UrlVerdict};

/// Between two sweeps for what time alone changes.
const SWEEP: Duration = Duration::from_secs(30);

/// The label of refusals because of the session's level.
pub(super) const SESSION_DENY: &str = "session_deny";

impl Exchange {
    fn has_session(&self) -> bool {
        self.shared.sessions.is_on()
    }

    /// Records the request with its URL verdict. `Some`: the request is refused, with this text. (spec: http-proxy §11.2)
    pub(super) fn record_session(&self, host: &str, verdict: &UrlVerdict) -> Option<String> {
        if !self.has_session() {
            return None;
        }
        let seen = match (verdict.allowed, verdict.class) {
            (true, _) => Seen::Allowed,
            (false, Class::Threat) => Seen::Threat,
            (false, Class::ConfigMismatch) => Seen::Mismatch,
            (false, Class::Protective | Class::Infrastructure) => Seen::Neutral,
        };
        let recorded = self.shared.sessions.record(
            &Seeing {
                key: &self.identity.session_key(),
                agent: self.identity.session_agent(),
                client_ip: &self.identity.client_ip,
                host,
                seen,
                reason: &verdict.reason,
                score: verdict.score,
            },
            Instant::now().into_std(),
        );
        self.report(&recorded.effects);
        recorded.refused
    }

    /// Adds evidence against the session; the exchange is not clean any more.
    pub(super) fn signal(&self, signal: Signal) {
        self.findings.mark();
        if self.has_session() {
            let now = Instant::now().into_std();
            let effects = self.shared.sessions.signal(&self.identity.session_key(), signal, now);
            self.report(&effects);
        }
    }

    /// The exchange is over: without any finding the session's score decays.
    pub(super) fn clean(&self) {
        if self.has_session() && !self.findings.any() {
            self.shared.sessions.clean(&self.identity.session_key());
        }
    }

    /// The action at the session's level in place of `base`, reported where it differs.
    pub(super) fn upgrade(&self, base: Action, scanner: &str) -> Action {
        if !self.has_session() {
            return base;
        }
        let (action, level) = self.shared.sessions.upgraded(&self.identity.session_key(), base);
        if action != base {
            self.report_upgrade(base, action, level, scanner);
        }
        action
    }

    fn report_upgrade(&self, from: Action, to: Action, level: Level, scanner: &str) {
        let key = self.identity.session_key();
        self.record(&Event::AdaptiveUpgrade {
            session: &key,
            escalation_level: level.as_str(),
            from_action: from.as_str(),
            to_action: to.as_str(),
            scanner,
            client_ip: &self.identity.client_ip,
            request_id: &self.identity.request_id,
        });
        self.shared.events.metrics().adaptive_upgrade(from.as_str(), to.as_str(), level.as_str());
    }

    /// The level that denies everything, unless its time is over; reported. (spec: http-proxy §5.1 F9, §8.3, §11.4)
    pub(super) fn session_denied(&self) -> Option<Level> {
        if !self.has_session() {
            return None;
        }
        let key = self.identity.session_key();
        if let Some(recovered) = self.shared.sessions.recover(&key, Instant::now().into_std()) {
            self.report(&[recovered]);
        }
        let level = self.shared.sessions.blocks_all(&key)?;
        self.report_upgrade(Action::None, Action::Block, level, SESSION_DENY);
        Some(level)
    }

    /// What the session's level does to the actions on a response.
    pub(super) fn escalation(&self) -> Escalation {
        if !self.has_session() {
            return Escalation::default();
        }
        self.shared.sessions.escalation(&self.identity.session_key())
    }

    /// Reports that a response scan's action was raised.
    pub(super) fn response_upgraded(&self, from: &str) {
        let level = self.shared.sessions.level(&self.identity.session_key());
        let from = match from {
            "warn" => Action::Warn,
            "ask" => Action::Ask,
            "strip" => Action::Strip,
            _ => Action::None,
        };
        self.report_upgrade(from, Action::Block, level, "response_scan");
    }

    /// The session's quarantine tier.
    pub(super) fn tier(&self) -> Tier {
        if self.has_session() { self.shared.sessions.tier(&self.identity.session_key()) } else { Tier::None }
    }

    /// Cancelled when the session is quarantined so that what runs must end.
    pub(super) fn quarantine(&self) -> CancellationToken {
        if self.has_session() {
            self.shared.sessions.hook(&self.identity.session_key())
        } else {
            CancellationToken::new()
        }
    }

    /// Reports that quarantine denies a request. `class`: the metric's action class.
    pub(super) fn airlock_denied(&self, tier: Tier, transport: &str, class: &str) {
        let key = self.identity.session_key();
        self.record(&Event::AirlockDeny {
            session: &key,
            tier: tier.as_str(),
            transport,
            method: &self.method,
            client_ip: &self.identity.client_ip,
            request_id: &self.identity.request_id,
        });
        self.shared.events.metrics().airlock_denied(tier.as_str(), transport, class);
    }

    /// Refuses what quarantine does not let through; reads pass in `hard`. `what`: the transport in the sentence.
    pub(super) fn airlock(&self, transport: &str, what: &str) -> Option<Answer> {
        let reason = match self.tier() {
            Tier::None | Tier::Soft => return None,
            Tier::Hard if matches!(&*self.method, "GET" | "HEAD" | "OPTIONS") => return None,
            Tier::Hard => format!("airlock: airlock: hard tier blocks write methods on {what}"),
            Tier::Drain => "airlock: airlock: drain tier blocks all traffic".to_owned(),
        };
        self.airlock_denied(self.tier(), transport, &self.method);
        Some(answer::text(StatusCode::FORBIDDEN, &reason))
    }

    /// Judges the request by what the session has read; the reason of the refusal, reported.
    /// Nobody can be asked on this path, so `ask` refuses. (spec: http-proxy §5.1 F10, §11.6)
    pub(super) fn tainted(&self, url: &GoUrl<'_>) -> Option<&'static str> {
        if !self.has_session() {
            return None;
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (scheme, host) = (&*url.scheme, text(&url.host));
        let (path, query) = (text(&url.path), text(&url.raw_query));
        let target = Target { scheme, host: &host, path: &path, query: &query };
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let judgement =
            self.shared.sessions.judge(&self.identity.session_key(), &self.method, &target, now)?;
        self.record(&Event::TaintDecision {
            ctx: self.context(),
            session_taint_level: judgement.level.as_str(),
            action_class: judgement.class,
            action_sensitivity: judgement.sensitivity,
            authority_kind: AUTHORITY,
            decision: judgement.decision,
            reason: judgement.reason,
            source_url: &judgement.source_url,
            source_kind: judgement.source_kind,
        });
        Some(judgement.reason)
    }

    /// Notes that the session has read a response.
    pub(super) fn observe<U: AsRef<str>>(&self, url: impl FnOnce() -> U, host: &str, kind: &'static str) {
        if self.has_session() {
            let url = url();
            let observation = Observation { url: url.as_ref(), host, kind, hostile: self.findings.hostile() };
            self.shared.sessions.observe(&self.identity.session_key(), &observation);
        }
    }

    fn report(&self, effects: &[Effect]) {
        let key = self.identity.session_key();
        let (client_ip, request_id) = (&*self.identity.client_ip, &*self.identity.request_id);
        let metrics = self.shared.events.metrics();
        for effect in effects {
            count(&self.shared, effect);
            match effect {
                Effect::Anomaly { kind, detail, score } => {
                    metrics.session_anomaly(kind);
                    self.record(&Event::SessionAnomaly {
                        session: &key,
                        anomaly_type: kind,
                        detail,
                        client_ip,
                        request_id,
                        score: *score,
                    });
                }
                Effect::Escalated { from, to, score } | Effect::Recovered { from, to, score, .. } => {
                    self.record(&Event::AdaptiveEscalation {
                        session: &key,
                        from: from.as_str(),
                        to: to.as_str(),
                        client_ip,
                        request_id,
                        score: *score,
                    });
                }
                Effect::Quarantined { to, level, .. } => {
                    self.record(&Event::AirlockEnter {
                        session: &key,
                        tier: to.as_str(),
                        trigger: &format!("adaptive_{}", level.as_str()),
                        client_ip,
                        request_id,
                    });
                }
                Effect::Released { .. } | Effect::Evicted | Effect::Count(_) | Effect::Ended(_) => {}
            }
        }
    }
}

/// The counters of an effect, whoever caused it.
fn count(shared: &Shared, effect: &Effect) {
    let metrics = shared.events.metrics();
    let moved = |from: Level, to: Level| {
        for (level, change) in [(from, -1), (to, 1)] {
            if level.0 > 0 {
                metrics.adaptive_level(level.as_str(), change);
            }
        }
    };
    match effect {
        Effect::Escalated { from, to, .. } => {
            metrics.session_escalated(from.as_str(), to.as_str());
            moved(*from, *to);
        }
        Effect::Recovered { from, to, .. } => {
            metrics.session_deescalated(from.as_str(), to.as_str());
            moved(*from, *to);
        }
        Effect::Quarantined { from, to, .. } => tier_changed(shared, *from, *to, "adaptive"),
        Effect::Released { from, to } => tier_changed(shared, *from, *to, "timer"),
        Effect::Evicted => metrics.session_evicted(),
        Effect::Count(sessions) => metrics.set_sessions_active(*sessions),
        Effect::Ended(sample) => shared.baseline.learn(sample, &shared.events),
        Effect::Anomaly { .. } => {}
    }
}

/// The counters of a change of tier. `trigger`: `adaptive`, `timer` or `api`.
pub(super) fn tier_changed(shared: &Shared, from: Tier, to: Tier, trigger: &str) {
    let metrics = shared.events.metrics();
    metrics.airlock_transition(from.as_str(), to.as_str(), trigger);
    for (tier, change) in [(from, -1), (to, 1)] {
        if tier != Tier::None {
            metrics.airlock_tier(tier.as_str(), change);
        }
    }
}

/// Lets levels fall, tiers end and idle sessions go, until the process is told to stop.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut sweep = tokio::time::interval(SWEEP);
    let mut tidy = tokio::time::interval(cross_request::CLEAN_UP);
    let mut cleaned = Instant::now();
    loop {
        let cleanup = shared.sessions.cleanup_interval();
        tokio::select! {
            _ = sweep.tick() => {
                for (key, effect) in shared.sessions.sweep(Instant::now().into_std()) {
                    count(&shared, &effect);
                    if let Effect::Released { from, to } = effect {
                        shared.events.record(&Event::AirlockDeescalate {
                            session: &key,
                            from: from.as_str(),
                            to: to.as_str(),
                        });
                    }
                }
            }
            _ = tidy.tick() => {
                if let Some(trackers) = &shared.policy.load().cross_request {
                    trackers.clean_up(Instant::now().into_std());
                }
            }
            () = tokio::time::sleep_until(cleaned + cleanup) => {
                cleaned = Instant::now();
                for effect in shared.sessions.expire(cleaned.into_std()) {
                    count(&shared, &effect);
                }
            }
            () = shared.stop.drain.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests;
