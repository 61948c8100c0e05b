//! The root of the schema and what has no section of its own. Spec: config §5.1, §5.10, §5.17.

use super::*;
use crate::config::value::{List, Map, Secret, sections};

sections! {
    /// The whole configuration.
    Config("config.Config") {
        /// Version of the file's layout. Not interpreted.
        version: i64 = "Version",
        /// `strict`: only hosts in `api_allowlist` are reachable. `balanced`, `audit`: all are, unless something else
        /// blocks; the two differ only in the label in logs. Detection without blocking is `enforce: false`.
        mode: String = "Mode",
        /// Whether what the scanners find is blocked (default) or only logged.
        enforce: Option<bool> = "Enforce",
        /// Whether answers to blocked requests carry a hint on how to allow them (default no).
        explain_blocks: Option<bool> = "ExplainBlocks",
        /// Hosts and `*.example.com` patterns; the only reachable ones in strict mode, of no effect on reachability
        /// otherwise.
        api_allowlist: List<String> = "APIAllowlist",
        /// Findings in responses to ignore: a rule at a place. Of no effect on URLs, headers and bodies of requests.
        suppress: List<SuppressEntry> = "Suppress",
        /// The main listener, the `/fetch` endpoint and the URL scanner.
        fetch_proxy: FetchProxy = "FetchProxy",
        /// Plain HTTP forwarding and CONNECT tunnels on the main listener.
        forward_proxy: ForwardProxy = "ForwardProxy",
        /// The `/ws` endpoint.
        websocket_proxy: WebSocketProxy = "WebSocketProxy",
        /// Credentials and other secrets in outgoing data.
        dlp: Dlp = "DLP",
        /// Planted values that nobody may send.
        canary_tokens: CanaryTokens = "CanaryTokens",
        /// Prompt injection in what comes back.
        response_scanning: ResponseScanning = "ResponseScanning",
        /// MCP wrapping: input scanning. Parsed, not run here.
        mcp_input_scanning: McpInputScanning = "MCPInputScanning",
        /// MCP wrapping: tool descriptions. Parsed, not run here.
        mcp_tool_scanning: McpToolScanning = "MCPToolScanning",
        /// MCP wrapping: which tools may be called. Parsed, not run here.
        mcp_tool_policy: McpToolPolicy = "MCPToolPolicy",
        /// Git hooks. Parsed, not run here.
        git_protection: GitProtection = "GitProtection",
        /// The decision log.
        logging: Logging = "Logging",
        /// What is remembered about each client. Hardened, the agent names of an address beyond 32 in half an hour share one session.
        session_profiling: SessionProfiling = "SessionProfiling",
        /// Stricter treatment of clients that keep being blocked.
        adaptive_enforcement: AdaptiveEnforcement = "AdaptiveEnforcement",
        /// MCP wrapping: pinned tool lists. Parsed, not run here.
        mcp_session_binding: McpSessionBinding = "MCPSessionBinding",
        /// Bodies and headers of outgoing requests.
        request_body_scanning: RequestBodyScanning = "RequestBodyScanning",
        /// Deny everything, now.
        kill_switch: KillSwitch = "KillSwitch",
        /// Crash reports. Parsed; this program sends none.
        sentry: Sentry = "Sentry",
        /// Address of a listener of its own for `/metrics` and `/stats`, which then leave the main one. Empty: on the
        /// main one.
        metrics_listen: String = "MetricsListen",
        /// Copies of events to other systems.
        emit: Emit = "Emit",
        /// MCP wrapping: suspicious sequences of tool calls. Parsed, not run here.
        tool_chain_detection: ToolChainDetection = "ToolChainDetection",
        /// MCP wrapping: its WebSocket listener. Parsed, not run here.
        mcp_ws_listener: McpWsListener = "MCPWSListener",
        /// Looking inside CONNECT tunnels with certificates of our own authority.
        tls_interception: TlsInterception = "TLSInterception",
        /// Leaks spread over several requests.
        cross_request_detection: CrossRequestDetection = "CrossRequestDetection",
        /// A listener in front of one origin server, scanned in both directions.
        reverse_proxy: ReverseProxy = "ReverseProxy",
        /// Scanning as a service on a listener of its own.
        scan_api: ScanApi = "ScanAPI",
        /// Crypto-currency addresses that look like known ones.
        address_protection: AddressProtection = "AddressProtection",
        /// Wallet recovery phrases.
        seed_phrase_detection: SeedPhraseDetection = "SeedPhraseDetection",
        /// Signed bundles of additional rules.
        rules: Rules = "Rules",
        /// Watching the agent's files. Parsed, not run here.
        file_sentry: FileSentry = "FileSentry",
        /// Process sandboxing. Parsed, not run here.
        sandbox: Sandbox = "Sandbox",
        /// A tamper-evident record of decisions.
        flight_recorder: FlightRecorder = "FlightRecorder",
        /// MCP wrapping: hashes of server programs. Parsed, not run here.
        mcp_binary_integrity: McpBinaryIntegrity = "MCPBinaryIntegrity",
        /// MCP wrapping: signed tool descriptions. Parsed, not run here.
        mcp_tool_provenance: McpToolProvenance = "MCPToolProvenance",
        /// Learned behaviour of sessions.
        behavioral_baseline: BehavioralBaseline = "BehavioralBaseline",
        /// Tiers of restriction for escalated sessions.
        airlock: Airlock = "Airlock",
        /// Removing trackers and traps from web pages.
        browser_shield: BrowserShield = "BrowserShield",
        /// Images, audio and video in responses.
        media_policy: MediaPolicy = "MediaPolicy",
        /// Agent-to-agent protocol traffic.
        a2a_scanning: A2AScanning = "A2AScanning",
        /// How far content from untrusted sources is followed.
        taint: Taint = "Taint",
        /// A signed header on outgoing requests that says they were mediated.
        mediation_envelope: MediationEnvelope = "MediationEnvelope",
        /// Replacing sensitive values in JSON request bodies.
        redaction: Redaction = "Redaction",
        /// Profiles by agent name; `_default` is for all others. Named profiles need a licence.
        agents: Map<AgentProfile> = "Agents" [omit],
        /// Agent name of requests that do not name one.
        default_agent_identity: String = "DefaultAgentIdentity" [omit],
        /// Whether every request gets the default identity, whatever it names itself.
        bind_default_agent_identity: bool = "BindDefaultAgentIdentity" [omit],
        /// Licence token for named agent profiles. `PIPELOCK_LICENSE_KEY` wins.
        license_key: Secret = "LicenseKey" [omit],
        /// File with the licence token, relative to this file; wins over `license_key`.
        license_file: String = "LicenseFile" [omit],
        /// Key that licences are verified with, 64 hex characters.
        license_public_key: String = "LicensePublicKey" [omit],
        /// Address ranges that names may not resolve to. `[]` switches resolving and the check off; internal literals
        /// stay refused.
        internal: List<String> = "Internal",
        /// Hosts and `*.example.com` patterns that may resolve to internal addresses.
        trusted_domains: List<String> = "TrustedDomains",
        /// Exceptions from the address check.
        ssrf: Ssrf = "SSRF",
        /// When the licence in use ends, in seconds since 1970; 0: never or no licence.
        license_expires_at: i64 = "LicenseExpiresAt" [internal],
        /// What the reference has no key for. Optional; without it a file serves both programs.
        muselet: Muselet = "" [omit],
    }

    /// A finding to ignore.
    SuppressEntry("config.SuppressEntry") {
        /// Name of the rule, ignoring case.
        rule: String = "Rule",
        /// Where: a path, a URL, a glob, or a prefix ending in `/`.
        path: String = "Path",
        /// Why, for people.
        reason: String = "Reason" [omit],
    }

    /// Exceptions from the address check.
    Ssrf("config.SSRF") {
        /// Address ranges that may be connected to although they are internal.
        ip_allowlist: List<String> = "IPAllowlist",
    }
}
