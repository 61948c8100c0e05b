//! Sections of other programs that share the file: MCP, A2A, git, file sentry, sandbox. Parsed and checked, not run. Spec: config §6.

use crate::config::value::{List, Map, sections};

sections! {
    /// Input of MCP servers.
    McpInputScanning("config.MCPInputScanning") {
        /// Whether it is scanned.
        enabled: bool = "Enabled",
        /// `warn` or `block`.
        action: String = "Action",
        /// `block` or `forward`.
        on_parse_error: String = "OnParseError",
    }

    /// Descriptions of MCP tools.
    McpToolScanning("config.MCPToolScanning") {
        /// Whether they are scanned.
        enabled: bool = "Enabled",
        /// `warn` or `block`.
        action: String = "Action",
        /// Whether changes are reported.
        detect_drift: bool = "DetectDrift",
    }

    /// Which MCP tools may be called.
    McpToolPolicy("config.MCPToolPolicy") {
        /// Whether rules apply.
        enabled: bool = "Enabled",
        /// `warn`, `block` or `redirect`.
        action: String = "Action",
        /// The rules.
        rules: List<ToolPolicyRule> = "Rules",
        /// What redirected calls run instead, by name.
        redirect_profiles: Map<RedirectProfile> = "RedirectProfiles" [omit],
        /// Directory of redirected output.
        quarantine_dir: String = "QuarantineDir" [omit],
    }

    /// A rule about MCP tools.
    ToolPolicyRule("config.ToolPolicyRule") {
        /// Name in findings.
        name: String = "Name",
        /// Regular expression on the tool's name.
        tool_pattern: String = "ToolPattern",
        /// Regular expression on arguments.
        arg_pattern: String = "ArgPattern",
        /// Regular expression on the argument's key.
        arg_key: String = "ArgKey",
        /// `warn`, `block` or `redirect`; empty: the section's.
        action: String = "Action",
        /// Name of the profile.
        redirect_profile: String = "RedirectProfile",
    }

    /// What a redirected call runs instead.
    RedirectProfile("config.RedirectProfile") {
        /// Program and arguments.
        exec: List<String> = "Exec",
        /// Why, for people.
        reason: String = "Reason",
        /// Whether the call's arguments are appended.
        preserve_argv: bool = "PreserveArgv",
        /// Whether the program must be an absolute path.
        match_abs_path: bool = "MatchAbsPath",
    }

    /// Pinned lists of MCP tools.
    McpSessionBinding("config.MCPSessionBinding") {
        /// Whether lists are pinned.
        enabled: bool = "Enabled",
        /// `warn` or `block`.
        unknown_tool_action: String = "UnknownToolAction",
        /// `warn` or `block`.
        no_baseline_action: String = "NoBaselineAction",
    }

    /// The WebSocket listener for MCP.
    McpWsListener("config.MCPWSListener") {
        /// Origins that may connect.
        allowed_origins: List<String> = "AllowedOrigins",
        /// Most connections at a time.
        max_connections: i64 = "MaxConnections",
    }

    /// Hashes of MCP server programs.
    McpBinaryIntegrity("config.MCPBinaryIntegrity") {
        /// Whether they are checked.
        enabled: bool = "Enabled",
        /// File with the hashes.
        manifest_path: String = "ManifestPath",
        /// `warn` or `block`.
        action: String = "Action",
    }

    /// Signed descriptions of MCP tools.
    McpToolProvenance("config.MCPToolProvenance") {
        /// Whether signatures are checked.
        enabled: bool = "Enabled",
        /// `warn` or `block`.
        action: String = "Action",
        /// `pipelock`, `sigstore` or `any`.
        mode: String = "Mode",
        /// Keys that count.
        trusted_keys: List<String> = "TrustedKeys",
        /// Issuers that count.
        trusted_issuers: List<String> = "TrustedIssuers",
        /// Subjects that count.
        trusted_subjects: List<String> = "TrustedSubjects",
        /// Whether nothing is looked up.
        offline_only: bool = "OfflineOnly" [secure],
    }

    /// Suspicious sequences of MCP tool calls.
    ToolChainDetection("config.ToolChainDetection") {
        /// Whether they are looked for.
        enabled: bool = "Enabled",
        /// `warn` or `block`.
        action: String = "Action",
        /// Calls that are remembered.
        window_size: i64 = "WindowSize",
        /// How long, in seconds.
        window_seconds: i64 = "WindowSeconds",
        /// Other calls allowed between two steps.
        max_gap: Option<i64> = "MaxGap",
        /// Tools by category.
        tool_categories: Map<List<String>> = "ToolCategories",
        /// Action by pattern.
        pattern_overrides: Map<String> = "PatternOverrides",
        /// One's own patterns.
        custom_patterns: List<ChainPattern> = "CustomPatterns",
    }

    /// A sequence of tool calls.
    ChainPattern("config.ChainPattern") {
        /// Name in findings.
        name: String = "Name",
        /// Categories in order, at least two.
        sequence: List<String> = "Sequence",
        /// `medium`, `high` or `critical`.
        severity: String = "Severity",
        /// `warn` or `block`; empty: the section's.
        action: String = "Action",
    }

    /// Agent-to-agent protocol traffic.
    A2AScanning("config.A2AScanning") {
        /// Whether it is scanned.
        enabled: bool = "Enabled",
        /// `warn` or `block`.
        action: String = "Action",
        /// Whether agent cards are scanned.
        scan_agent_cards: bool = "ScanAgentCards" [secure],
        /// Whether changed cards are reported.
        detect_card_drift: bool = "DetectCardDrift" [secure],
        /// Whether contexts are followed.
        session_smuggling_detection: bool = "SessionSmugglingDetection" [secure],
        /// Messages of a context that are kept.
        max_context_messages: i64 = "MaxContextMessages",
        /// Contexts that are kept.
        max_contexts: i64 = "MaxContexts",
        /// Whether attachments are scanned.
        scan_raw_parts: bool = "ScanRawParts" [secure],
        /// Largest attachment, in bytes.
        max_raw_size: i64 = "MaxRawSize",
    }

    /// Git hooks.
    GitProtection("config.GitProtection") {
        /// Whether they act.
        enabled: bool = "Enabled",
        /// Globs of branches that may be pushed.
        allowed_branches: List<String> = "AllowedBranches",
        /// Commands that may not be run.
        blocked_commands: List<String> = "BlockedCommands",
        /// Whether pushes are scanned.
        pre_push_scan: bool = "PrePushScan" [secure],
    }

    /// Watching the agent's files.
    FileSentry("config.FileSentry") {
        /// Whether they are watched.
        enabled: bool = "Enabled",
        /// Whether to go on when watching fails.
        best_effort: bool = "BestEffort",
        /// Directories, relative to this file and within its directory, or absolute.
        watch_paths: List<String> = "WatchPaths",
        /// Whether contents are scanned.
        scan_content: Option<bool> = "ScanContent",
        /// Globs of files left out.
        ignore_patterns: List<String> = "IgnorePatterns",
    }

    /// Process sandboxing.
    Sandbox("config.Sandbox") {
        /// Whether processes are sandboxed.
        enabled: bool = "Enabled",
        /// Whether nothing is allowed beyond the lists.
        strict: bool = "Strict",
        /// Whether to go on when sandboxing fails; excludes `strict`.
        best_effort: bool = "BestEffort",
        /// Directory that may be written.
        workspace: String = "Workspace",
        /// Further paths.
        filesystem: Option<SandboxFilesystem> = "FS",
    }

    /// Paths a sandboxed process may use.
    SandboxFilesystem("config.SandboxFilesystem") {
        /// Paths that may be read.
        allow_read: List<String> = "AllowRead",
        /// Paths that may be written.
        allow_write: List<String> = "AllowWrite",
    }
}
