//! Sections of other programs that share the file: MCP, A2A, git, file sentry, sandbox. Parsed and checked, not run. Spec: config §6.

use crate::config::value::{List, Map, sections};

sections! {
    /// `mcp_input_scanning`.
    McpInputScanning("config.MCPInputScanning") {
        /// `mcp_input_scanning.enabled`.
        enabled: bool = "Enabled",
        /// `mcp_input_scanning.action`.
        action: String = "Action",
        /// `mcp_input_scanning.on_parse_error`.
        on_parse_error: String = "OnParseError",
    }

    /// `mcp_tool_scanning`.
    McpToolScanning("config.MCPToolScanning") {
        /// `mcp_tool_scanning.enabled`.
        enabled: bool = "Enabled",
        /// `mcp_tool_scanning.action`.
        action: String = "Action",
        /// `mcp_tool_scanning.detect_drift`.
        detect_drift: bool = "DetectDrift",
    }

    /// `mcp_tool_policy`.
    McpToolPolicy("config.MCPToolPolicy") {
        /// `mcp_tool_policy.enabled`.
        enabled: bool = "Enabled",
        /// `mcp_tool_policy.action`.
        action: String = "Action",
        /// `mcp_tool_policy.rules`.
        rules: List<ToolPolicyRule> = "Rules",
        /// `mcp_tool_policy.redirect_profiles`.
        redirect_profiles: Map<RedirectProfile> = "RedirectProfiles" [omit],
        /// `mcp_tool_policy.quarantine_dir`.
        quarantine_dir: String = "QuarantineDir" [omit],
    }

    /// `mcp_tool_policy.rules[]`.
    ToolPolicyRule("config.ToolPolicyRule") {
        /// `mcp_tool_policy.rules[].name`.
        name: String = "Name",
        /// `mcp_tool_policy.rules[].tool_pattern`.
        tool_pattern: String = "ToolPattern",
        /// `mcp_tool_policy.rules[].arg_pattern`.
        arg_pattern: String = "ArgPattern",
        /// `mcp_tool_policy.rules[].arg_key`.
        arg_key: String = "ArgKey",
        /// `mcp_tool_policy.rules[].action`.
        action: String = "Action",
        /// `mcp_tool_policy.rules[].redirect_profile`.
        redirect_profile: String = "RedirectProfile",
    }

    /// `mcp_tool_policy.redirect_profiles.<key>`.
    RedirectProfile("config.RedirectProfile") {
        /// `mcp_tool_policy.redirect_profiles.<key>.exec`.
        exec: List<String> = "Exec",
        /// `mcp_tool_policy.redirect_profiles.<key>.reason`.
        reason: String = "Reason",
        /// `mcp_tool_policy.redirect_profiles.<key>.preserve_argv`.
        preserve_argv: bool = "PreserveArgv",
        /// `mcp_tool_policy.redirect_profiles.<key>.match_abs_path`.
        match_abs_path: bool = "MatchAbsPath",
    }

    /// `mcp_session_binding`.
    McpSessionBinding("config.MCPSessionBinding") {
        /// `mcp_session_binding.enabled`.
        enabled: bool = "Enabled",
        /// `mcp_session_binding.unknown_tool_action`.
        unknown_tool_action: String = "UnknownToolAction",
        /// `mcp_session_binding.no_baseline_action`.
        no_baseline_action: String = "NoBaselineAction",
    }

    /// `mcp_ws_listener`.
    McpWsListener("config.MCPWSListener") {
        /// `mcp_ws_listener.allowed_origins`.
        allowed_origins: List<String> = "AllowedOrigins",
        /// `mcp_ws_listener.max_connections`.
        max_connections: i64 = "MaxConnections",
    }

    /// `mcp_binary_integrity`.
    McpBinaryIntegrity("config.MCPBinaryIntegrity") {
        /// `mcp_binary_integrity.enabled`.
        enabled: bool = "Enabled",
        /// `mcp_binary_integrity.manifest_path`.
        manifest_path: String = "ManifestPath",
        /// `mcp_binary_integrity.action`.
        action: String = "Action",
    }

    /// `mcp_tool_provenance`.
    McpToolProvenance("config.MCPToolProvenance") {
        /// `mcp_tool_provenance.enabled`.
        enabled: bool = "Enabled",
        /// `mcp_tool_provenance.action`.
        action: String = "Action",
        /// `mcp_tool_provenance.mode`.
        mode: String = "Mode",
        /// `mcp_tool_provenance.trusted_keys`.
        trusted_keys: List<String> = "TrustedKeys",
        /// `mcp_tool_provenance.trusted_issuers`.
        trusted_issuers: List<String> = "TrustedIssuers",
        /// `mcp_tool_provenance.trusted_subjects`.
        trusted_subjects: List<String> = "TrustedSubjects",
        /// `mcp_tool_provenance.offline_only`.
        offline_only: bool = "OfflineOnly" [secure],
    }

    /// `tool_chain_detection`.
    ToolChainDetection("config.ToolChainDetection") {
        /// `tool_chain_detection.enabled`.
        enabled: bool = "Enabled",
        /// `tool_chain_detection.action`.
        action: String = "Action",
        /// `tool_chain_detection.window_size`.
        window_size: i64 = "WindowSize",
        /// `tool_chain_detection.window_seconds`.
        window_seconds: i64 = "WindowSeconds",
        /// `tool_chain_detection.max_gap`.
        max_gap: Option<i64> = "MaxGap",
        /// `tool_chain_detection.tool_categories`.
        tool_categories: Map<List<String>> = "ToolCategories",
        /// `tool_chain_detection.pattern_overrides`.
        pattern_overrides: Map<String> = "PatternOverrides",
        /// `tool_chain_detection.custom_patterns`.
        custom_patterns: List<ChainPattern> = "CustomPatterns",
    }

    /// `tool_chain_detection.custom_patterns[]`.
    ChainPattern("config.ChainPattern") {
        /// `tool_chain_detection.custom_patterns[].name`.
        name: String = "Name",
        /// `tool_chain_detection.custom_patterns[].sequence`.
        sequence: List<String> = "Sequence",
        /// `tool_chain_detection.custom_patterns[].severity`.
        severity: String = "Severity",
        /// `tool_chain_detection.custom_patterns[].action`.
        action: String = "Action",
    }

    /// `a2a_scanning`.
    A2AScanning("config.A2AScanning") {
        /// `a2a_scanning.enabled`.
        enabled: bool = "Enabled",
        /// `a2a_scanning.action`.
        action: String = "Action",
        /// `a2a_scanning.scan_agent_cards`.
        scan_agent_cards: bool = "ScanAgentCards" [secure],
        /// `a2a_scanning.detect_card_drift`.
        detect_card_drift: bool = "DetectCardDrift" [secure],
        /// `a2a_scanning.session_smuggling_detection`.
        session_smuggling_detection: bool = "SessionSmugglingDetection" [secure],
        /// `a2a_scanning.max_context_messages`.
        max_context_messages: i64 = "MaxContextMessages",
        /// `a2a_scanning.max_contexts`.
        max_contexts: i64 = "MaxContexts",
        /// `a2a_scanning.scan_raw_parts`.
        scan_raw_parts: bool = "ScanRawParts" [secure],
        /// `a2a_scanning.max_raw_size`.
        max_raw_size: i64 = "MaxRawSize",
    }

    /// `git_protection`.
    GitProtection("config.GitProtection") {
        /// `git_protection.enabled`.
        enabled: bool = "Enabled",
        /// `git_protection.allowed_branches`.
        allowed_branches: List<String> = "AllowedBranches",
        /// `git_protection.blocked_commands`.
        blocked_commands: List<String> = "BlockedCommands",
        /// `git_protection.pre_push_scan`.
        pre_push_scan: bool = "PrePushScan" [secure],
    }

    /// `file_sentry`.
    FileSentry("config.FileSentry") {
        /// `file_sentry.enabled`.
        enabled: bool = "Enabled",
        /// `file_sentry.best_effort`.
        best_effort: bool = "BestEffort",
        /// `file_sentry.watch_paths`.
        watch_paths: List<String> = "WatchPaths",
        /// `file_sentry.scan_content`.
        scan_content: Option<bool> = "ScanContent",
        /// `file_sentry.ignore_patterns`.
        ignore_patterns: List<String> = "IgnorePatterns",
    }

    /// `sandbox`.
    Sandbox("config.Sandbox") {
        /// `sandbox.enabled`.
        enabled: bool = "Enabled",
        /// `sandbox.strict`.
        strict: bool = "Strict",
        /// `sandbox.best_effort`.
        best_effort: bool = "BestEffort",
        /// `sandbox.workspace`.
        workspace: String = "Workspace",
        /// `sandbox.filesystem`.
        filesystem: Option<SandboxFilesystem> = "FS",
    }

    /// `sandbox.filesystem`.
    SandboxFilesystem("config.SandboxFilesystem") {
        /// `sandbox.filesystem.allow_read`.
        allow_read: List<String> = "AllowRead",
        /// `sandbox.filesystem.allow_write`.
        allow_write: List<String> = "AllowWrite",
    }
}
