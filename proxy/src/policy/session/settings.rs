//! The parts of a configuration that sessions follow, in the form they are asked for. spec: config §5.19-5.21, §5.25, §5.28

use std::time::Duration;

use super::Tier;
use super::level::{Action, Level};
use super::taint::TaintSettings;
use crate::config::grammar::seconds;
use crate::config::{Config, EscalationActions};

/// What one level does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LevelActions {
    upgrade_warn: bool,
    upgrade_ask: bool,
    block_all: bool,
}

impl LevelActions {
    fn of(config: &EscalationActions) -> LevelActions {
        let blocks = |word: &Option<String>| word.as_deref() == Some("block");
        LevelActions {
            upgrade_warn: blocks(&config.upgrade_warn),
            upgrade_ask: blocks(&config.upgrade_ask),
            block_all: config.block_all == Some(true),
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) enabled: bool,
    /// An anomaly refuses the request.
    pub(super) anomaly_blocks: bool,
    pub(super) domain_burst: usize,
    pub(super) window: Duration,
    pub(super) window_minutes: i64,
    pub(super) max_sessions: usize,
    pub(super) ttl: Duration,
    pub(super) cleanup: Duration,
    pub(super) adaptive: bool,
    pub(super) threshold: f64,
    pub(super) decay: f64,
    levels: [LevelActions; 3],
    pub(super) airlock: bool,
    triggers: [Tier; 3],
    /// Time in a tier before it ends; `None`: never. Soft, hard, drain.
    pub(super) timers: [Option<Duration>; 3],
    pub(super) taint: TaintSettings,
    /// Sessions that end are told of.
    pub(super) learns: bool,
}

impl Settings {
    /// Reads a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Settings {
        let profiling = &config.session_profiling;
        let adaptive = &config.adaptive_enforcement;
        let airlock = &config.airlock;
        let minutes = |n: i64| seconds(n.saturating_mul(60));
        let timer = |time: Duration| (!time.is_zero()).then_some(time);
        let drain = [
            timer(minutes(airlock.timers.drain_minutes)),
            timer(seconds(airlock.timers.drain_timeout_seconds)),
        ];
        let tier = |word: &str| Tier::parse(word).unwrap_or_default();
        Settings {
            enabled: profiling.enabled,
            anomaly_blocks: profiling.anomaly_action == "block" && config.enforces(),
            domain_burst: usize::try_from(profiling.domain_burst).unwrap_or(usize::MAX),
            window: minutes(profiling.window_minutes),
            window_minutes: profiling.window_minutes,
            max_sessions: usize::try_from(profiling.max_sessions).ok().filter(|n| *n > 0).unwrap_or(1000),
            ttl: minutes(profiling.session_ttl_minutes),
            cleanup: seconds(profiling.cleanup_interval_seconds).max(Duration::from_secs(1)),
            adaptive: profiling.enabled && adaptive.enabled,
            threshold: adaptive.escalation_threshold,
            decay: adaptive.decay_per_clean_request,
            levels: [&adaptive.levels.elevated, &adaptive.levels.high, &adaptive.levels.critical]
                .map(LevelActions::of),
            airlock: profiling.enabled && airlock.enabled,
            triggers: [
                &airlock.triggers.on_elevated,
                &airlock.triggers.on_high,
                &airlock.triggers.on_critical,
            ]
            .map(|word| tier(word)),
            timers: [
                timer(minutes(airlock.timers.soft_minutes)),
                timer(minutes(airlock.timers.hard_minutes)),
                drain.into_iter().flatten().min(),
            ],
            taint: TaintSettings::of(&config.taint),
            learns: profiling.enabled && config.behavioral_baseline.enabled,
        }
    }

    fn at(&self, level: Level) -> Option<&LevelActions> {
        let index = usize::try_from(level.0).unwrap_or(usize::MAX).min(3).checked_sub(1)?;
        self.levels.get(index)
    }

    pub(super) fn blocks_all(&self, level: Level) -> bool {
        self.adaptive && self.at(level).is_some_and(|actions| actions.block_all)
    }

    pub(super) fn upgrade(&self, base: Action, level: Level) -> Action {
        let Some(actions) = self.at(level).filter(|_| self.adaptive) else { return base };
        let upgraded = actions.block_all
            || (base == Action::Warn && actions.upgrade_warn)
            || (base == Action::Ask && actions.upgrade_ask);
        if upgraded { Action::Block } else { base }
    }

    pub(super) fn trigger(&self, level: Level) -> Tier {
        let index = usize::try_from(level.0).unwrap_or(usize::MAX).min(3);
        index.checked_sub(1).and_then(|i| self.triggers.get(i)).copied().unwrap_or_default()
    }
}
