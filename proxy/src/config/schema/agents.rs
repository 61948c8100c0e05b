//! Profiles of single agents. Spec: config §11.

use super::{DlpPattern, McpToolPolicy, SandboxFilesystem};
use crate::config::value::{List, Map, sections};

sections! {
    /// `agents.<key>`.
    AgentProfile("config.AgentProfile") {
        /// `agents.<key>.listeners`.
        listeners: List<String> = "Listeners" [omit],
        /// `agents.<key>.source_cidrs`.
        source_cidrs: List<String> = "SourceCIDRs" [omit],
        /// `agents.<key>.mode`.
        mode: String = "Mode" [omit],
        /// `agents.<key>.enforce`.
        enforce: Option<bool> = "Enforce" [omit],
        /// `agents.<key>.api_allowlist`.
        api_allowlist: List<String> = "APIAllowlist" [omit],
        /// `agents.<key>.dlp`.
        dlp: Option<AgentDlp> = "DLP" [omit],
        /// `agents.<key>.rate_limit`.
        rate_limit: Option<AgentRateLimit> = "RateLimit" [omit],
        /// `agents.<key>.session_profiling`.
        session_profiling: Option<AgentSessionProfiling> = "SessionProfiling" [omit],
        /// `agents.<key>.mcp_tool_policy`.
        mcp_tool_policy: Option<McpToolPolicy> = "MCPToolPolicy" [omit],
        /// `agents.<key>.budget`.
        budget: Budget = "Budget" [omit],
        /// `agents.<key>.allowed_addresses`.
        allowed_addresses: List<String> = "AllowedAddresses" [omit],
        /// `agents.<key>.sandbox`.
        sandbox: Option<AgentSandboxOverride> = "Sandbox" [omit],
        /// `agents.<key>.trusted_domains`.
        trusted_domains: List<String> = "TrustedDomains" [omit],
    }

    /// `agents.<key>.dlp`.
    AgentDlp("config.AgentDLP") {
        /// `agents.<key>.dlp.include_defaults`.
        include_defaults: Option<bool> = "IncludeDefaults" [omit],
        /// `agents.<key>.dlp.patterns`.
        patterns: List<DlpPattern> = "Patterns" [omit],
    }

    /// `agents.<key>.rate_limit`.
    AgentRateLimit("config.AgentRateLimit") {
        /// `agents.<key>.rate_limit.max_requests_per_minute`.
        max_requests_per_minute: i64 = "MaxRequestsPerMinute" [omit],
        /// `agents.<key>.rate_limit.max_data_per_minute`.
        max_data_per_minute: i64 = "MaxDataPerMinute" [omit],
    }

    /// `agents.<key>.session_profiling`.
    AgentSessionProfiling("config.AgentSessionProf") {
        /// `agents.<key>.session_profiling.domain_burst`.
        domain_burst: i64 = "DomainBurst" [omit],
        /// `agents.<key>.session_profiling.anomaly_action`.
        anomaly_action: String = "AnomalyAction" [omit],
        /// `agents.<key>.session_profiling.volume_spike_ratio`.
        volume_spike_ratio: f64 = "VolumeSpikeRatio" [omit],
    }

    /// `agents.<key>.budget`.
    Budget("config.BudgetConfig") {
        /// `agents.<key>.budget.max_requests_per_session`.
        max_requests_per_session: i64 = "MaxRequestsPerSession" [omit],
        /// `agents.<key>.budget.max_bytes_per_session`.
        max_bytes_per_session: i64 = "MaxBytesPerSession" [omit],
        /// `agents.<key>.budget.max_unique_domains_per_session`.
        max_unique_domains_per_session: i64 = "MaxUniqueDomainsPerSession" [omit],
        /// `agents.<key>.budget.window_minutes`.
        window_minutes: i64 = "WindowMinutes" [omit],
        /// `agents.<key>.budget.max_tool_calls_per_session`.
        max_tool_calls_per_session: i64 = "MaxToolCallsPerSession" [omit],
        /// `agents.<key>.budget.max_concurrent_tool_calls`.
        max_concurrent_tool_calls: i64 = "MaxConcurrentToolCalls" [omit],
        /// `agents.<key>.budget.max_wall_clock_minutes`.
        max_wall_clock_minutes: i64 = "MaxWallClockMinutes" [omit],
        /// `agents.<key>.budget.max_retries_per_tool`.
        max_retries_per_tool: i64 = "MaxRetriesPerTool" [omit],
        /// `agents.<key>.budget.max_retries_per_endpoint`.
        max_retries_per_endpoint: i64 = "MaxRetriesPerEndpoint" [omit],
        /// `agents.<key>.budget.loop_detection_window`.
        loop_detection_window: i64 = "LoopDetectionWindow" [omit],
        /// `agents.<key>.budget.fan_out_limit`.
        fan_out_limit: i64 = "FanOutLimit" [omit],
        /// `agents.<key>.budget.fan_out_window_seconds`.
        fan_out_window_seconds: i64 = "FanOutWindowSeconds" [omit],
        /// `agents.<key>.budget.cost_multipliers`.
        cost_multipliers: Map<f64> = "CostMultipliers" [omit],
        /// `agents.<key>.budget.dow_action`.
        dow_action: String = "DoWAction" [omit],
    }

    /// `agents.<key>.sandbox`.
    AgentSandboxOverride("config.AgentSandboxOverride") {
        /// `agents.<key>.sandbox.enabled`.
        enabled: Option<bool> = "Enabled" [omit],
        /// `agents.<key>.sandbox.strict`.
        strict: Option<bool> = "Strict" [omit],
        /// `agents.<key>.sandbox.best_effort`.
        best_effort: Option<bool> = "BestEffort" [omit],
        /// `agents.<key>.sandbox.workspace`.
        workspace: String = "Workspace" [omit],
        /// `agents.<key>.sandbox.filesystem`.
        filesystem: Option<SandboxFilesystem> = "FS" [omit],
    }
}
