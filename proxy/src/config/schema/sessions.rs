//! What is remembered about a session and what follows from it. Spec: config §5.19-5.21, §5.25, §5.28, §6.2.

use crate::config::value::{List, sections};
use crate::config::yaml::Timestamp;

sections! {
    /// What is remembered about each client. Hardened, the agent names of an address beyond 32 in half an hour share one session.
    SessionProfiling("config.SessionProfiling") {
        /// Whether anything is.
        enabled: bool = "Enabled",
        /// What an anomaly does: `warn` or `block`.
        anomaly_action: String = "AnomalyAction",
        /// New domains within the window that make an anomaly.
        domain_burst: i64 = "DomainBurst",
        /// The window, in minutes.
        window_minutes: i64 = "WindowMinutes",
        /// No effect.
        volume_spike_ratio: f64 = "VolumeSpikeRatio",
        /// Most sessions at a time.
        max_sessions: i64 = "MaxSessions",
        /// How long an idle session is remembered, in minutes.
        session_ttl_minutes: i64 = "SessionTTLMinutes",
        /// How often idle sessions are dropped, in seconds.
        cleanup_interval_seconds: i64 = "CleanupIntervalSeconds",
    }

    /// Stricter treatment of clients that keep being blocked.
    AdaptiveEnforcement("config.AdaptiveEnforcement") {
        /// Whether it is done; needs `session_profiling`.
        enabled: bool = "Enabled",
        /// Score at which a session escalates.
        escalation_threshold: f64 = "EscalationThreshold",
        /// What a clean request takes off the score.
        decay_per_clean_request: f64 = "DecayPerCleanRequest",
        /// What each level does.
        levels: EscalationLevels = "Levels",
        /// Hosts that do not count.
        exempt_domains: List<String> = "ExemptDomains",
    }

    /// What each level does; a higher one must not do less.
    EscalationLevels("config.EscalationLevels") {
        /// The first level.
        elevated: EscalationActions = "Elevated",
        /// The second level.
        high: EscalationActions = "High",
        /// The third level.
        critical: EscalationActions = "Critical",
    }

    /// What a level does.
    EscalationActions("config.EscalationActions") {
        /// `block`: warnings block. Empty: they stay warnings.
        upgrade_warn: Option<String> = "UpgradeWarn",
        /// `block`: questions block. Empty: they are asked.
        upgrade_ask: Option<String> = "UpgradeAsk",
        /// Whether everything is blocked.
        block_all: Option<bool> = "BlockAll",
    }

    /// Tiers of restriction for escalated sessions.
    Airlock("config.Airlock") {
        /// Whether there are any; needs `session_profiling`.
        enabled: bool = "Enabled",
        /// What leads to which tier.
        triggers: AirlockTriggers = "Triggers",
        /// How long a tier lasts.
        timers: AirlockTimers = "Timers",
        /// No effect.
        tool_freeze: AirlockToolFreeze = "ToolFreeze",
    }

    /// Which tier (`none`, `soft`, `hard`, `drain`) a level leads to; it must not decrease.
    AirlockTriggers("config.AirlockTriggers") {
        /// Tier of the first level.
        on_elevated: String = "OnElevated",
        /// Tier of the second level.
        on_high: String = "OnHigh",
        /// Tier of the third level.
        on_critical: String = "OnCritical",
        /// No effect.
        on_severity: String = "OnSeverity",
        /// No effect.
        anomaly_count: i64 = "AnomalyCount",
        /// No effect.
        anomaly_window_minutes: i64 = "AnomalyWindowMinutes",
    }

    /// How long a tier lasts; 0: for ever.
    AirlockTimers("config.AirlockTimers") {
        /// Minutes in the soft tier.
        soft_minutes: i64 = "SoftMinutes",
        /// Minutes in the hard tier.
        hard_minutes: i64 = "HardMinutes",
        /// Minutes in the drain tier.
        drain_minutes: i64 = "DrainMinutes",
        /// Seconds that running requests get.
        drain_timeout_seconds: i64 = "DrainTimeoutSeconds",
    }

    /// No effect.
    AirlockToolFreeze("config.AirlockToolFreeze") {
        /// No effect.
        snapshot_on_entry: bool = "SnapshotOnEntry",
        /// No effect.
        allow_cached_tools: bool = "AllowCachedTools",
    }

    /// How far content from untrusted sources is followed.
    Taint("config.TaintConfig") {
        /// Whether it is.
        enabled: bool = "Enabled" [secure],
        /// Hosts whose content counts as less untrusted; `[]` is kept.
        allowlisted_domains: List<String> = "AllowlistedDomains",
        /// Globs of the most sensitive paths; `[]` is kept.
        protected_paths: List<String> = "ProtectedPaths",
        /// Globs of sensitive paths; `[]` is kept.
        elevated_paths: List<String> = "ElevatedPaths",
        /// Exceptions with an end.
        trust_overrides: List<TaintTrustOverride> = "TrustOverrides",
        /// `strict`, `balanced` or `permissive`.
        policy: String = "Policy",
        /// How many sources a session remembers; 0: 10.
        recent_sources: i64 = "RecentSources",
    }

    /// An exception with an end.
    TaintTrustOverride("config.TaintTrustOverride") {
        /// `action` or `source`.
        scope: String = "Scope",
        /// The source, for scope `source`.
        source_match: String = "SourceMatch",
        /// The action, for scope `action`.
        action_match: String = "ActionMatch",
        /// When it ends: a date, or a time with a zone.
        expires_at: Timestamp = "ExpiresAt",
        /// By whom, for people.
        granted_by: String = "GrantedBy",
        /// Why, for people.
        reason: String = "Reason",
    }

    /// Profiles of what sessions of an agent are like, written when they end. Nothing is compared with them.
    BehavioralBaseline("config.BehavioralBaseline") {
        /// Whether they are learned; needs `session_profiling.enabled`.
        enabled: bool = "Enabled",
        /// Sessions of an agent that make its profile.
        learning_window: i64 = "LearningWindow",
        /// `warn`, `ask` or `block`; no effect.
        deviation_action: String = "DeviationAction",
        /// Directory of the profiles, one JSON file an agent; made if it is missing.
        profile_dir: String = "ProfileDir",
        /// Whether profiles are marked as confirmed.
        auto_ratify: bool = "AutoRatify",
        /// No effect.
        sensitivity_sigma: f64 = "SensitivitySigma",
        /// No effect.
        lock_dimensions: List<String> = "LockDimensions",
        /// Whether sessions more than three standard deviations from the mean are left out.
        poison_resistance: bool = "PoisonResistance" [secure],
        /// `none`; with `labeled` or `time` nothing is learned.
        seasonality_mode: String = "SeasonalityMode",
    }
}
