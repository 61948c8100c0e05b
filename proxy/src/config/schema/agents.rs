//! Profiles of single agents. Spec: config §11.

use super::{DlpPattern, McpToolPolicy, SandboxFilesystem};
use crate::config::value::{List, Map, sections};

sections! {
    /// What is different for one agent. Keys that are not given are those of the rest of the file.
    AgentProfile("config.AgentProfile") {
        /// Listeners whose requests belong to this agent.
        listeners: List<String> = "Listeners" [omit],
        /// Address ranges of this agent's requests.
        source_cidrs: List<String> = "SourceCIDRs" [omit],
        /// Mode.
        mode: String = "Mode" [omit],
        /// Whether findings are blocked.
        enforce: Option<bool> = "Enforce" [omit],
        /// Allowlist; `[]` replaces too.
        api_allowlist: List<String> = "APIAllowlist" [omit],
        /// Patterns.
        dlp: Option<AgentDlp> = "DLP" [omit],
        /// Limits; both replace the common ones.
        rate_limit: Option<AgentRateLimit> = "RateLimit" [omit],
        /// Anomalies; all three values replace the common ones.
        session_profiling: Option<AgentSessionProfiling> = "SessionProfiling" [omit],
        /// MCP tool policy; replaces the common one.
        mcp_tool_policy: Option<McpToolPolicy> = "MCPToolPolicy" [omit],
        /// What one session may use.
        budget: Budget = "Budget" [omit],
        /// Further known crypto-currency addresses.
        allowed_addresses: List<String> = "AllowedAddresses" [omit],
        /// Sandbox.
        sandbox: Option<AgentSandboxOverride> = "Sandbox" [omit],
        /// Hosts that may resolve to internal addresses; `[]` replaces too.
        trusted_domains: List<String> = "TrustedDomains" [omit],
    }

    /// Patterns of one agent.
    AgentDlp("config.AgentDLP") {
        /// Whether the common patterns count too (default yes).
        include_defaults: Option<bool> = "IncludeDefaults" [omit],
        /// This agent's patterns.
        patterns: List<DlpPattern> = "Patterns" [omit],
    }

    /// Limits of one agent; 0: unlimited.
    AgentRateLimit("config.AgentRateLimit") {
        /// Requests per registrable domain and minute.
        max_requests_per_minute: i64 = "MaxRequestsPerMinute" [omit],
        /// Bytes per registrable domain and minute.
        max_data_per_minute: i64 = "MaxDataPerMinute" [omit],
    }

    /// Anomalies of one agent.
    AgentSessionProfiling("config.AgentSessionProf") {
        /// New domains within the window that make an anomaly.
        domain_burst: i64 = "DomainBurst" [omit],
        /// `warn` or `block`.
        anomaly_action: String = "AnomalyAction" [omit],
        /// No effect.
        volume_spike_ratio: f64 = "VolumeSpikeRatio" [omit],
    }

    /// What one session of an agent may use; 0: unlimited.
    Budget("config.BudgetConfig") {
        /// Requests.
        max_requests_per_session: i64 = "MaxRequestsPerSession" [omit],
        /// Bytes.
        max_bytes_per_session: i64 = "MaxBytesPerSession" [omit],
        /// Domains.
        max_unique_domains_per_session: i64 = "MaxUniqueDomainsPerSession" [omit],
        /// After how many minutes it starts anew.
        window_minutes: i64 = "WindowMinutes" [omit],
        /// MCP only.
        max_tool_calls_per_session: i64 = "MaxToolCallsPerSession" [omit],
        /// MCP only.
        max_concurrent_tool_calls: i64 = "MaxConcurrentToolCalls" [omit],
        /// MCP only.
        max_wall_clock_minutes: i64 = "MaxWallClockMinutes" [omit],
        /// MCP only.
        max_retries_per_tool: i64 = "MaxRetriesPerTool" [omit],
        /// MCP only.
        max_retries_per_endpoint: i64 = "MaxRetriesPerEndpoint" [omit],
        /// MCP only.
        loop_detection_window: i64 = "LoopDetectionWindow" [omit],
        /// MCP only.
        fan_out_limit: i64 = "FanOutLimit" [omit],
        /// MCP only.
        fan_out_window_seconds: i64 = "FanOutWindowSeconds" [omit],
        /// No effect.
        cost_multipliers: Map<f64> = "CostMultipliers" [omit],
        /// What exceeding the MCP budgets does: `block` or `warn`.
        dow_action: String = "DoWAction" [omit],
    }

    /// Sandbox of one agent.
    AgentSandboxOverride("config.AgentSandboxOverride") {
        /// Whether it is sandboxed.
        enabled: Option<bool> = "Enabled" [omit],
        /// Whether nothing is allowed beyond the lists.
        strict: Option<bool> = "Strict" [omit],
        /// Whether to go on when sandboxing fails.
        best_effort: Option<bool> = "BestEffort" [omit],
        /// Directory that may be written.
        workspace: String = "Workspace" [omit],
        /// Further paths, added to the common ones.
        filesystem: Option<SandboxFilesystem> = "FS" [omit],
    }
}
