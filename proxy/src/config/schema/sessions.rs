//! What is remembered about a session and what follows from it. Spec: config §5.19-5.21, §5.25, §5.28, §6.2.

use crate::config::value::{List, sections};
use crate::config::yaml::Timestamp;

sections! {
    /// `session_profiling`.
    SessionProfiling("config.SessionProfiling") {
        /// `session_profiling.enabled`.
        enabled: bool = "Enabled",
        /// `session_profiling.anomaly_action`.
        anomaly_action: String = "AnomalyAction",
        /// `session_profiling.domain_burst`.
        domain_burst: i64 = "DomainBurst",
        /// `session_profiling.window_minutes`.
        window_minutes: i64 = "WindowMinutes",
        /// `session_profiling.volume_spike_ratio`.
        volume_spike_ratio: f64 = "VolumeSpikeRatio",
        /// `session_profiling.max_sessions`.
        max_sessions: i64 = "MaxSessions",
        /// `session_profiling.session_ttl_minutes`.
        session_ttl_minutes: i64 = "SessionTTLMinutes",
        /// `session_profiling.cleanup_interval_seconds`.
        cleanup_interval_seconds: i64 = "CleanupIntervalSeconds",
    }

    /// `adaptive_enforcement`.
    AdaptiveEnforcement("config.AdaptiveEnforcement") {
        /// `adaptive_enforcement.enabled`.
        enabled: bool = "Enabled",
        /// `adaptive_enforcement.escalation_threshold`.
        escalation_threshold: f64 = "EscalationThreshold",
        /// `adaptive_enforcement.decay_per_clean_request`.
        decay_per_clean_request: f64 = "DecayPerCleanRequest",
        /// `adaptive_enforcement.levels`.
        levels: EscalationLevels = "Levels",
        /// `adaptive_enforcement.exempt_domains`.
        exempt_domains: List<String> = "ExemptDomains",
    }

    /// `adaptive_enforcement.levels`.
    EscalationLevels("config.EscalationLevels") {
        /// `adaptive_enforcement.levels.elevated`.
        elevated: EscalationActions = "Elevated",
        /// `adaptive_enforcement.levels.high`.
        high: EscalationActions = "High",
        /// `adaptive_enforcement.levels.critical`.
        critical: EscalationActions = "Critical",
    }

    /// `adaptive_enforcement.levels.elevated`.
    EscalationActions("config.EscalationActions") {
        /// `adaptive_enforcement.levels.elevated.upgrade_warn`.
        upgrade_warn: Option<String> = "UpgradeWarn",
        /// `adaptive_enforcement.levels.elevated.upgrade_ask`.
        upgrade_ask: Option<String> = "UpgradeAsk",
        /// `adaptive_enforcement.levels.elevated.block_all`.
        block_all: Option<bool> = "BlockAll",
    }

    /// `airlock`.
    Airlock("config.Airlock") {
        /// `airlock.enabled`.
        enabled: bool = "Enabled",
        /// `airlock.triggers`.
        triggers: AirlockTriggers = "Triggers",
        /// `airlock.timers`.
        timers: AirlockTimers = "Timers",
        /// `airlock.tool_freeze`.
        tool_freeze: AirlockToolFreeze = "ToolFreeze",
    }

    /// `airlock.triggers`.
    AirlockTriggers("config.AirlockTriggers") {
        /// `airlock.triggers.on_elevated`.
        on_elevated: String = "OnElevated",
        /// `airlock.triggers.on_high`.
        on_high: String = "OnHigh",
        /// `airlock.triggers.on_critical`.
        on_critical: String = "OnCritical",
        /// `airlock.triggers.on_severity`.
        on_severity: String = "OnSeverity",
        /// `airlock.triggers.anomaly_count`.
        anomaly_count: i64 = "AnomalyCount",
        /// `airlock.triggers.anomaly_window_minutes`.
        anomaly_window_minutes: i64 = "AnomalyWindowMinutes",
    }

    /// `airlock.timers`.
    AirlockTimers("config.AirlockTimers") {
        /// `airlock.timers.soft_minutes`.
        soft_minutes: i64 = "SoftMinutes",
        /// `airlock.timers.hard_minutes`.
        hard_minutes: i64 = "HardMinutes",
        /// `airlock.timers.drain_minutes`.
        drain_minutes: i64 = "DrainMinutes",
        /// `airlock.timers.drain_timeout_seconds`.
        drain_timeout_seconds: i64 = "DrainTimeoutSeconds",
    }

    /// `airlock.tool_freeze`.
    AirlockToolFreeze("config.AirlockToolFreeze") {
        /// `airlock.tool_freeze.snapshot_on_entry`.
        snapshot_on_entry: bool = "SnapshotOnEntry",
        /// `airlock.tool_freeze.allow_cached_tools`.
        allow_cached_tools: bool = "AllowCachedTools",
    }

    /// `taint`.
    Taint("config.TaintConfig") {
        /// `taint.enabled`.
        enabled: bool = "Enabled" [secure],
        /// `taint.allowlisted_domains`.
        allowlisted_domains: List<String> = "AllowlistedDomains",
        /// `taint.protected_paths`.
        protected_paths: List<String> = "ProtectedPaths",
        /// `taint.elevated_paths`.
        elevated_paths: List<String> = "ElevatedPaths",
        /// `taint.trust_overrides`.
        trust_overrides: List<TaintTrustOverride> = "TrustOverrides",
        /// `taint.policy`.
        policy: String = "Policy",
        /// `taint.recent_sources`.
        recent_sources: i64 = "RecentSources",
    }

    /// `taint.trust_overrides[]`.
    TaintTrustOverride("config.TaintTrustOverride") {
        /// `taint.trust_overrides[].scope`.
        scope: String = "Scope",
        /// `taint.trust_overrides[].source_match`.
        source_match: String = "SourceMatch",
        /// `taint.trust_overrides[].action_match`.
        action_match: String = "ActionMatch",
        /// `taint.trust_overrides[].expires_at`.
        expires_at: Timestamp = "ExpiresAt",
        /// `taint.trust_overrides[].granted_by`.
        granted_by: String = "GrantedBy",
        /// `taint.trust_overrides[].reason`.
        reason: String = "Reason",
    }

    /// `behavioral_baseline`.
    BehavioralBaseline("config.BehavioralBaseline") {
        /// `behavioral_baseline.enabled`.
        enabled: bool = "Enabled",
        /// `behavioral_baseline.learning_window`.
        learning_window: i64 = "LearningWindow",
        /// `behavioral_baseline.deviation_action`.
        deviation_action: String = "DeviationAction",
        /// `behavioral_baseline.profile_dir`.
        profile_dir: String = "ProfileDir",
        /// `behavioral_baseline.auto_ratify`.
        auto_ratify: bool = "AutoRatify",
        /// `behavioral_baseline.sensitivity_sigma`.
        sensitivity_sigma: f64 = "SensitivitySigma",
        /// `behavioral_baseline.lock_dimensions`.
        lock_dimensions: List<String> = "LockDimensions",
        /// `behavioral_baseline.poison_resistance`.
        poison_resistance: bool = "PoisonResistance" [secure],
        /// `behavioral_baseline.seasonality_mode`.
        seasonality_mode: String = "SeasonalityMode",
    }
}
