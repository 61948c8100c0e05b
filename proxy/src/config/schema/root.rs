//! The root of the schema and what has no section of its own. Spec: config §5.1, §5.10, §5.17.

use super::*;
use crate::config::value::{List, Map, Secret, sections};

sections! {
    /// `root`.
    Config("config.Config") {
        /// `version`.
        version: i64 = "Version",
        /// `mode`.
        mode: String = "Mode",
        /// `enforce`.
        enforce: Option<bool> = "Enforce",
        /// `explain_blocks`.
        explain_blocks: Option<bool> = "ExplainBlocks",
        /// `api_allowlist`.
        api_allowlist: List<String> = "APIAllowlist",
        /// `suppress`.
        suppress: List<SuppressEntry> = "Suppress",
        /// `fetch_proxy`.
        fetch_proxy: FetchProxy = "FetchProxy",
        /// `forward_proxy`.
        forward_proxy: ForwardProxy = "ForwardProxy",
        /// `websocket_proxy`.
        websocket_proxy: WebSocketProxy = "WebSocketProxy",
        /// `dlp`.
        dlp: Dlp = "DLP",
        /// `canary_tokens`.
        canary_tokens: CanaryTokens = "CanaryTokens",
        /// `response_scanning`.
        response_scanning: ResponseScanning = "ResponseScanning",
        /// `mcp_input_scanning`.
        mcp_input_scanning: McpInputScanning = "MCPInputScanning",
        /// `mcp_tool_scanning`.
        mcp_tool_scanning: McpToolScanning = "MCPToolScanning",
        /// `mcp_tool_policy`.
        mcp_tool_policy: McpToolPolicy = "MCPToolPolicy",
        /// `git_protection`.
        git_protection: GitProtection = "GitProtection",
        /// `logging`.
        logging: Logging = "Logging",
        /// `session_profiling`.
        session_profiling: SessionProfiling = "SessionProfiling",
        /// `adaptive_enforcement`.
        adaptive_enforcement: AdaptiveEnforcement = "AdaptiveEnforcement",
        /// `mcp_session_binding`.
        mcp_session_binding: McpSessionBinding = "MCPSessionBinding",
        /// `request_body_scanning`.
        request_body_scanning: RequestBodyScanning = "RequestBodyScanning",
        /// `kill_switch`.
        kill_switch: KillSwitch = "KillSwitch",
        /// `sentry`.
        sentry: Sentry = "Sentry",
        /// `metrics_listen`.
        metrics_listen: String = "MetricsListen",
        /// `emit`.
        emit: Emit = "Emit",
        /// `tool_chain_detection`.
        tool_chain_detection: ToolChainDetection = "ToolChainDetection",
        /// `mcp_ws_listener`.
        mcp_ws_listener: McpWsListener = "MCPWSListener",
        /// `tls_interception`.
        tls_interception: TlsInterception = "TLSInterception",
        /// `cross_request_detection`.
        cross_request_detection: CrossRequestDetection = "CrossRequestDetection",
        /// `reverse_proxy`.
        reverse_proxy: ReverseProxy = "ReverseProxy",
        /// `scan_api`.
        scan_api: ScanApi = "ScanAPI",
        /// `address_protection`.
        address_protection: AddressProtection = "AddressProtection",
        /// `seed_phrase_detection`.
        seed_phrase_detection: SeedPhraseDetection = "SeedPhraseDetection",
        /// `rules`.
        rules: Rules = "Rules",
        /// `file_sentry`.
        file_sentry: FileSentry = "FileSentry",
        /// `sandbox`.
        sandbox: Sandbox = "Sandbox",
        /// `flight_recorder`.
        flight_recorder: FlightRecorder = "FlightRecorder",
        /// `mcp_binary_integrity`.
        mcp_binary_integrity: McpBinaryIntegrity = "MCPBinaryIntegrity",
        /// `mcp_tool_provenance`.
        mcp_tool_provenance: McpToolProvenance = "MCPToolProvenance",
        /// `behavioral_baseline`.
        behavioral_baseline: BehavioralBaseline = "BehavioralBaseline",
        /// `airlock`.
        airlock: Airlock = "Airlock",
        /// `browser_shield`.
        browser_shield: BrowserShield = "BrowserShield",
        /// `media_policy`.
        media_policy: MediaPolicy = "MediaPolicy",
        /// `a2a_scanning`.
        a2a_scanning: A2AScanning = "A2AScanning",
        /// `taint`.
        taint: Taint = "Taint",
        /// `mediation_envelope`.
        mediation_envelope: MediationEnvelope = "MediationEnvelope",
        /// `redaction`.
        redaction: Redaction = "Redaction",
        /// `agents`.
        agents: Map<AgentProfile> = "Agents" [omit],
        /// `default_agent_identity`.
        default_agent_identity: String = "DefaultAgentIdentity" [omit],
        /// `bind_default_agent_identity`.
        bind_default_agent_identity: bool = "BindDefaultAgentIdentity" [omit],
        /// `license_key`.
        license_key: Secret = "LicenseKey" [omit],
        /// `license_file`.
        license_file: String = "LicenseFile" [omit],
        /// `license_public_key`.
        license_public_key: String = "LicensePublicKey" [omit],
        /// `internal`.
        internal: List<String> = "Internal",
        /// `trusted_domains`.
        trusted_domains: List<String> = "TrustedDomains",
        /// `ssrf`.
        ssrf: Ssrf = "SSRF",
        /// `license_expires_at`.
        license_expires_at: i64 = "LicenseExpiresAt" [internal],
        /// `muselet`: what the reference has no key for.
        muselet: Muselet = "" [omit],
    }

    /// `suppress[]`.
    SuppressEntry("config.SuppressEntry") {
        /// `suppress[].rule`.
        rule: String = "Rule",
        /// `suppress[].path`.
        path: String = "Path",
        /// `suppress[].reason`.
        reason: String = "Reason" [omit],
    }

    /// `ssrf`.
    Ssrf("config.SSRF") {
        /// `ssrf.ip_allowlist`.
        ip_allowlist: List<String> = "IPAllowlist",
    }
}
