//! The events of the HTTP side as one enum: names, levels, messages, severities, filters.
//! spec: http-proxy §16.5; the fields are in [`super::fields`].

use std::time::Duration;

use muselet_rules::Strictness;

use super::Severity;
use super::redact;

/// Who asked for what: the fields most events share. Empty strings are left out of the line.
#[derive(Clone, Copy, Default)]
pub struct Context<'a> {
    /// HTTP method, `CONNECT`, `WS`, or a pseudo-method (`STARTUP`, `CONFIG_RELOAD`, …).
    pub method: &'a str,
    pub url: &'a str,
    /// `host:port` of a tunnel or relay.
    pub target: &'a str,
    /// What an event without a request is about: a listen address, a file.
    pub resource: &'a str,
    pub client_ip: &'a str,
    pub request_id: &'a str,
    /// The display name: `anonymous` where the client gave none.
    pub agent: &'a str,
    /// Id of the hardened-mode difference this finding exists because of (`D-…`), else empty.
    pub difference: &'a str,
}

/// A rule that came from a rule bundle.
#[derive(Clone, Copy)]
pub struct BundleRule<'a> {
    pub rule_id: &'a str,
    pub bundle: &'a str,
    pub bundle_version: &'a str,
}

/// Way of a WebSocket frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ClientToServer,
    ServerToClient,
}

impl Direction {
    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::ClientToServer => "client_to_server",
            Direction::ServerToClient => "server_to_client",
        }
    }

    pub(super) fn technique(self) -> &'static str {
        match self {
            Direction::ClientToServer => "T1048",
            Direction::ServerToClient => "T1059",
        }
    }
}

/// Something that happened. Field meanings: spec http-proxy §16.5.
pub enum Event<'a> {
    Startup {
        listen: &'a str,
        mode: &'a str,
        version: &'a str,
        config_hash: &'a str,
    },
    Shutdown,
    ConfigReload {
        mode: &'a str,
        config_hash: &'a str,
    },
    /// A `/fetch` that was answered.
    Allowed {
        ctx: Context<'a>,
        status_code: u16,
        size_bytes: u64,
        duration: Duration,
    },
    ForwardHttp {
        ctx: Context<'a>,
        status_code: u16,
        size_bytes: u64,
        duration: Duration,
    },
    Blocked {
        ctx: Context<'a>,
        scanner: &'a str,
        reason: &'a str,
    },
    Anomaly {
        ctx: Context<'a>,
        scanner: &'a str,
        reason: &'a str,
        score: f64,
    },
    Error {
        ctx: Context<'a>,
        error: &'a str,
    },
    /// `hop` counts from 1.
    Redirect {
        ctx: Context<'a>,
        original_url: &'a str,
        redirect_url: &'a str,
        hop: u32,
    },
    TunnelOpen {
        ctx: Context<'a>,
    },
    TunnelClose {
        ctx: Context<'a>,
        total_bytes: u64,
        duration: Duration,
    },
    /// `category`: `mismatch`, `malformed_tls` or `timeout`.
    SniMismatch {
        ctx: Context<'a>,
        connect_host: &'a str,
        sni_host: &'a str,
        category: &'a str,
    },
    HeaderDlp {
        ctx: Context<'a>,
        header: &'a str,
        action: &'a str,
        patterns: Vec<&'a str>,
        bundle_rules: Vec<BundleRule<'a>>,
    },
    BodyDlp {
        ctx: Context<'a>,
        action: &'a str,
        match_count: usize,
        patterns: Vec<&'a str>,
        bundle_rules: Vec<BundleRule<'a>>,
    },
    AddressProtection {
        ctx: Context<'a>,
        action: &'a str,
        match_count: usize,
        findings: Vec<&'a str>,
    },
    DlpWarn {
        ctx: Context<'a>,
        pattern: &'a str,
        severity: &'a str,
        transport: &'a str,
    },
    ResponseScan {
        ctx: Context<'a>,
        action: &'a str,
        match_count: usize,
        patterns: Vec<&'a str>,
        bundle_rules: Vec<BundleRule<'a>>,
    },
    ResponseScanExempt {
        ctx: Context<'a>,
        hostname: &'a str,
    },
    MediaExposure {
        ctx: Context<'a>,
        transport: &'a str,
        content_type: &'a str,
        format: &'a str,
        size_bytes: u64,
        metadata_segments_removed: u64,
        metadata_bytes_removed: u64,
        /// `None`: the media reached the agent; `Some(reason)`: it was blocked (the reason may be empty).
        blocked: Option<&'a str>,
    },
    ShieldRewrite {
        ctx: Context<'a>,
        category: &'a str,
        hits: u64,
        transport: &'a str,
    },
    TaintDecision {
        ctx: Context<'a>,
        session_taint_level: &'a str,
        action_class: &'a str,
        action_sensitivity: &'a str,
        authority_kind: &'a str,
        decision: &'a str,
        reason: &'a str,
        source_url: &'a str,
        source_kind: &'a str,
    },
    SessionAnomaly {
        session: &'a str,
        anomaly_type: &'a str,
        detail: &'a str,
        client_ip: &'a str,
        request_id: &'a str,
        score: f64,
    },
    AdaptiveEscalation {
        session: &'a str,
        from: &'a str,
        to: &'a str,
        client_ip: &'a str,
        request_id: &'a str,
        score: f64,
    },
    AdaptiveUpgrade {
        session: &'a str,
        escalation_level: &'a str,
        from_action: &'a str,
        to_action: &'a str,
        scanner: &'a str,
        client_ip: &'a str,
        request_id: &'a str,
    },
    AirlockEnter {
        session: &'a str,
        tier: &'a str,
        trigger: &'a str,
        client_ip: &'a str,
        request_id: &'a str,
    },
    AirlockDeny {
        session: &'a str,
        tier: &'a str,
        transport: &'a str,
        method: &'a str,
        client_ip: &'a str,
        request_id: &'a str,
    },
    AirlockDeescalate {
        session: &'a str,
        from: &'a str,
        to: &'a str,
    },
    KillSwitchDeny {
        transport: &'a str,
        endpoint: &'a str,
        source: &'a str,
        deny_message: &'a str,
        client_ip: &'a str,
    },
    WsOpen {
        ctx: Context<'a>,
    },
    WsClose {
        ctx: Context<'a>,
        client_to_server_bytes: u64,
        server_to_client_bytes: u64,
        text_frames: u64,
        binary_frames: u64,
        duration: Duration,
    },
    WsBlocked {
        ctx: Context<'a>,
        direction: Direction,
        scanner: &'a str,
        reason: &'a str,
    },
    WsScan {
        ctx: Context<'a>,
        direction: Direction,
        action: &'a str,
        match_count: usize,
        patterns: Vec<&'a str>,
        bundle_rules: Vec<BundleRule<'a>>,
    },
    SessionAdmin {
        action: &'a str,
        client_ip: &'a str,
        status_code: u16,
        session_key: &'a str,
        result: &'a str,
    },
}

/// Log level of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// Which `logging.include_*` switch holds an event back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    None,
    /// Held back from log and emission.
    Allowed,
    /// Held back from the log only.
    Blocked,
}

/// The ATT&CK technique that goes with a scanner label, if any. spec: http-proxy §16.5
pub fn technique(label: &str) -> Option<&'static str> {
    Some(match label {
        "dlp" | "core_dlp" | "entropy" | "subdomain_entropy" | "length" | "path_entropy" | "env_leak"
        | "body_dlp" | "header_dlp" => "T1048",
        "databudget" | "ratelimit" => "T1030",
        "ssrf" | "core_ssrf" => "T1046",
        "crlf_injection" | "parser" | "context" => "T1190",
        "path_traversal" => "T1083",
        "blocklist" | "allowlist" | "redirect" => "T1071.001",
        "scheme" | "ws_protocol" => "T1071",
        "response_scan" | "core_response" | "policy" | "chain_detection" => "T1059",
        "session_anomaly" | "domain_burst" | "ip_domain_burst" => "T1078",
        "sni_mismatch" | "tls_authority_mismatch" => "T1090.004",
        "tls_intercept" => "T1557",
        "tls_response_blocked" => "T1659",
        "tls_handshake_error" => "T1573",
        _ => return None,
    })
}

impl Event<'_> {
    /// The value of the field `event`.
    pub fn name(&self) -> &'static str {
        self.head().0
    }

    pub(super) fn level(&self) -> Level {
        self.head().1
    }

    pub(super) fn gate(&self) -> Gate {
        match self {
            Event::Allowed { .. }
            | Event::ForwardHttp { .. }
            | Event::TunnelOpen { .. }
            | Event::TunnelClose { .. }
            | Event::WsOpen { .. }
            | Event::WsClose { .. } => Gate::Allowed,
            Event::Blocked { .. } | Event::WsBlocked { .. } => Gate::Blocked,
            _ => Gate::None,
        }
    }

    pub(super) fn message(&self) -> &'static str {
        self.head().2
    }

    fn head(&self) -> (&'static str, Level, &'static str) {
        use Level::{Error, Info, Warn};
        match self {
            Event::Startup { .. } => ("startup", Info, "pipelock started"),
            Event::Shutdown => ("shutdown", Info, "pipelock stopping"),
            Event::ConfigReload { .. } => ("config_reload", Info, "configuration reloaded"),
            Event::Allowed { .. } => ("allowed", Info, "request allowed"),
            Event::ForwardHttp { .. } => ("forward_http", Info, "forward proxy request"),
            Event::Blocked { .. } => ("blocked", Warn, "request blocked"),
            Event::Anomaly { .. } => ("anomaly", Warn, "anomaly detected"),
            Event::Error { .. } => ("error", Error, "request error"),
            Event::Redirect { .. } => ("redirect", Info, "redirect followed"),
            Event::TunnelOpen { .. } => ("tunnel_open", Info, "tunnel opened"),
            Event::TunnelClose { .. } => ("tunnel_close", Info, "tunnel closed"),
            Event::SniMismatch { .. } => ("sni_mismatch", Warn, "SNI verification failed"),
            Event::HeaderDlp { .. } => ("header_dlp", Warn, "request header DLP scan hit"),
            Event::BodyDlp { .. } => ("body_dlp", Warn, "request body DLP scan hit"),
            Event::AddressProtection { .. } => {
                ("address_protection", Warn, "request body address_protection scan hit")
            }
            Event::DlpWarn { .. } => ("dlp_warn", Warn, "DLP warn-mode match (informational)"),
            Event::ResponseScan { .. } => ("response_scan", Warn, "response scan detected prompt injection"),
            Event::ResponseScanExempt { .. } => {
                ("response_scan_exempt", Info, "response scan skipped: exempt domain")
            }
            Event::MediaExposure { blocked: Some(_), .. } => {
                ("media_exposure", Warn, "media response blocked by policy")
            }
            Event::MediaExposure { blocked: None, .. } => {
                ("media_exposure", Warn, "media response reached agent")
            }
            Event::ShieldRewrite { .. } => ("shield_rewrite", Info, "browser shield rewrote content"),
            Event::TaintDecision { .. } => ("taint_decision", Warn, "taint policy decision"),
            Event::SessionAnomaly { .. } => ("session_anomaly", Warn, "session anomaly detected"),
            Event::AdaptiveEscalation { .. } => ("adaptive_escalation", Warn, "enforcement escalated"),
            Event::AdaptiveUpgrade { .. } => ("adaptive_upgrade", Warn, "adaptive enforcement upgrade"),
            Event::AirlockEnter { .. } => ("airlock_enter", Warn, "session entered airlock"),
            Event::AirlockDeny { .. } => ("airlock_deny", Warn, "airlock denied request"),
            Event::AirlockDeescalate { .. } => ("airlock_deescalate", Info, "airlock de-escalated"),
            Event::KillSwitchDeny { .. } => ("kill_switch_deny", Info, "kill switch denied request"),
            Event::WsOpen { .. } => ("ws_open", Info, "websocket opened"),
            Event::WsClose { .. } => ("ws_close", Info, "websocket closed"),
            Event::WsBlocked { .. } => ("ws_blocked", Warn, "websocket blocked"),
            Event::WsScan { .. } => ("ws_scan", Warn, "websocket scan hit"),
            Event::SessionAdmin { .. } => ("session_admin", Info, "session admin API"),
        }
    }

    /// Severity under which the event is emitted; `None`: it never is.
    pub fn severity(&self) -> Option<Severity> {
        use Severity::{Critical, Info, Warn};
        Some(match self {
            Event::Startup { .. }
            | Event::Shutdown
            | Event::Redirect { .. }
            | Event::WsOpen { .. }
            | Event::WsClose { .. } => return None,
            Event::Blocked { .. }
            | Event::Anomaly { .. }
            | Event::Error { .. }
            | Event::ResponseScan { .. }
            | Event::ResponseScanExempt { .. }
            | Event::MediaExposure { .. }
            | Event::SessionAnomaly { .. }
            | Event::AdaptiveEscalation { .. }
            | Event::WsBlocked { .. }
            | Event::WsScan { .. } => Warn,
            Event::AdaptiveUpgrade { to_action: "block", scanner, .. } if *scanner != "session_deny" => {
                Critical
            }
            Event::AdaptiveUpgrade { .. } => Warn,
            Event::KillSwitchDeny { .. } => Critical,
            _ => Info,
        })
    }

    /// Whether the event has a field `agent` of its own and it is not empty.
    pub(super) fn names_agent(&self) -> bool {
        match self {
            Event::Allowed { ctx, .. }
            | Event::ForwardHttp { ctx, .. }
            | Event::Blocked { ctx, .. }
            | Event::Anomaly { ctx, .. }
            | Event::Error { ctx, .. }
            | Event::Redirect { ctx, .. }
            | Event::TunnelOpen { ctx }
            | Event::TunnelClose { ctx, .. }
            | Event::SniMismatch { ctx, .. }
            | Event::HeaderDlp { ctx, .. }
            | Event::BodyDlp { ctx, .. }
            | Event::AddressProtection { ctx, .. }
            | Event::DlpWarn { ctx, .. }
            | Event::ResponseScan { ctx, .. }
            | Event::ResponseScanExempt { ctx, .. }
            | Event::MediaExposure { ctx, .. }
            | Event::TaintDecision { ctx, .. }
            | Event::WsOpen { ctx }
            | Event::WsClose { ctx, .. } => !ctx.agent.is_empty(),
            _ => false,
        }
    }

    /// Whether the URL of this event may hold what was found in it, and is therefore shortened. spec: http-proxy §16.4, O-3
    pub(super) fn hides_url(&self, strictness: Strictness) -> bool {
        match self {
            Event::Blocked { scanner, .. } => redact::content_scanner(scanner, strictness),
            _ if strictness == Strictness::Reference => false,
            Event::Anomaly { scanner, .. } | Event::WsBlocked { scanner, .. } => redact::url_scanner(scanner),
            Event::DlpWarn { ctx, .. } => redact::has_content(ctx.url),
            _ => false,
        }
    }
}
