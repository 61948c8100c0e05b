//! Levels, signals and what a level does to an action. spec: http-proxy §11.3, §11.4

use std::time::{Duration, Instant};

use super::settings::Settings;
use super::table::Session;
use super::{Effect, Tier};

/// A level is held this long before it falls by itself.
pub(super) const RECOVERY: Duration = Duration::from_secs(5 * 60);

/// Threat level; three and above are `critical`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Level(pub u32);

impl Level {
    /// The word in logs, metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self.0 {
            0 => "normal",
            1 => "elevated",
            2 => "high",
            _ => "critical",
        }
    }
}

/// Evidence against a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    Block,
    NearMiss,
    Strip,
    EntropyBudget,
    Fragment,
}

impl Signal {
    fn points(self) -> f64 {
        match self {
            Signal::Block | Signal::Fragment => 3.0,
            Signal::Strip | Signal::EntropyBudget => 2.0,
            Signal::NearMiss => 1.0,
        }
    }
}

/// What is done about a finding; `None` is clean traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    None,
    Warn,
    Ask,
    Strip,
    Block,
}

impl Action {
    /// The word in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Action::None => "",
            Action::Warn => "warn",
            Action::Ask => "ask",
            Action::Strip => "strip",
            Action::Block => "block",
        }
    }
}

impl Session {
    /// Adds a signal's points; at most one level is gained. Returns whether one was.
    pub(super) fn signal(
        &mut self,
        settings: &Settings,
        signal: Signal,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> bool {
        self.score += signal.points();
        let threshold = *self.threshold.get_or_insert(settings.threshold);
        if self.score < threshold {
            return false;
        }
        let from = self.level;
        self.level = Level(from.0.saturating_add(1));
        self.threshold = Some(threshold * 2.0);
        self.level_since = now;
        self.block_all = settings.blocks_all(self.level);
        effects.push(Effect::Escalated { from, to: self.level, score: self.score });
        true
    }

    /// Lets a level go that has been held for five minutes.
    pub(super) fn recover(&mut self, settings: &Settings, now: Instant, reported: bool) -> Option<Effect> {
        if self.level.0 == 0 || now.saturating_duration_since(self.level_since) <= RECOVERY {
            return None;
        }
        let from = self.level;
        self.level = Level(from.0 - 1);
        self.level_since = now;
        let threshold = self.threshold.unwrap_or(settings.threshold) / 2.0;
        self.threshold = Some(threshold);
        self.score = threshold / 2.0;
        self.block_all = settings.blocks_all(self.level);
        Some(Effect::Recovered { from, to: self.level, score: self.score, reported })
    }

    /// Quarantines the session if its new level asks for a higher tier than it has.
    pub(super) fn trigger_airlock(&mut self, settings: &Settings, now: Instant, effects: &mut Vec<Effect>) {
        let to = settings.trigger(self.level);
        if to > self.tier {
            let from = self.tier;
            let trigger = format!("adaptive_{}", self.level.as_str());
            self.enter(to, now, &trigger, "adaptive");
            self.remember("airlock_enter", to.as_str(), &trigger, "warn", self.score);
            effects.push(Effect::Quarantined { from, to, level: self.level });
        }
    }

    /// Changes the tier; `hard` and `drain` cut what runs.
    pub(super) fn enter(&mut self, tier: Tier, now: Instant, trigger: &str, source: &str) {
        self.tier = tier;
        self.tier_since = Some(now);
        self.tier_wall = Some(time::OffsetDateTime::now_utc());
        trigger.clone_into(&mut self.tier_trigger);
        source.clone_into(&mut self.tier_source);
        if tier >= Tier::Hard {
            self.hooks.cancel();
            self.hooks = tokio_util::sync::CancellationToken::new();
        } else if tier == Tier::None {
            // Hooks are dropped without firing.
            self.hooks = tokio_util::sync::CancellationToken::new();
        }
    }
}
