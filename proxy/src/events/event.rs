//! The events of the HTTP side as one enum: names, levels, messages, fields in their order.
//! One table in code for what spec: http-proxy §16.5 has as a table; log, text log and emission all walk it.

use std::time::Duration;

use muselet_rules::Strictness;

use super::Severity;
use super::encode::Fields;
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

    fn technique(self) -> &'static str {
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
            Event::Anomaly { scanner, .. } | Event::WsBlocked { scanner, .. } => {
                redact::content_scanner(scanner, strictness)
            }
            Event::DlpWarn { .. } => true,
            _ => false,
        }
    }
}

/// The request fields in the order that most events have them; the agent's place differs and is the caller's.
fn request(out: &mut impl Fields, ctx: &Context<'_>, hide: bool) {
    place(out, ctx, hide);
    client(out, ctx);
}

fn place(out: &mut impl Fields, ctx: &Context<'_>, hide: bool) {
    if hide {
        out.opt("url", &redact::url(ctx.url));
        out.opt("target", &redact::url(ctx.target));
        out.opt("resource", if ctx.resource.is_empty() { "" } else { redact::REDACTED });
    } else {
        out.opt("url", ctx.url);
        out.opt("target", ctx.target);
        out.opt("resource", ctx.resource);
    }
}

fn client(out: &mut impl Fields, ctx: &Context<'_>) {
    out.opt("client_ip", ctx.client_ip);
    out.opt("request_id", ctx.request_id);
}

impl Event<'_> {
    /// Hands every field to `out`, in the order of the table. `strictness` decides what is redacted.
    pub(super) fn fields(&self, strictness: Strictness, out: &mut impl Fields) {
        let hide = out.redacts(strictness) && self.hides_url(strictness);
        let mut difference = "";
        match self {
            Event::Startup { listen, mode, version, config_hash } => {
                out.str("listen", listen);
                out.str("mode", mode);
                out.str("version", version);
                out.str("config_hash", config_hash);
            }
            Event::Shutdown => out.str("reason", "signal received"),
            Event::ConfigReload { mode, config_hash } => {
                out.str("status", "success");
                out.str("detail", &format!("mode={mode}"));
                out.str("config_hash", config_hash);
            }
            Event::Allowed { ctx, status_code, size_bytes, duration } => {
                out.str("method", ctx.method);
                request(out, ctx, hide);
                out.int("status_code", u64::from(*status_code));
                out.int("size_bytes", *size_bytes);
                out.millis("duration_ms", *duration);
                out.opt("agent", ctx.agent);
            }
            Event::ForwardHttp { ctx, status_code, size_bytes, duration } => {
                out.str("method", ctx.method);
                request(out, ctx, hide);
                out.opt("agent", ctx.agent);
                out.int("status_code", u64::from(*status_code));
                out.int("size_bytes", *size_bytes);
                out.millis("duration_ms", *duration);
            }
            Event::Blocked { ctx, scanner, reason } => {
                difference = ctx.difference;
                out.str("method", ctx.method);
                request(out, ctx, hide);
                out.str("scanner", scanner);
                out.str("reason", reason);
                out.opt("agent", ctx.agent);
                out.opt("mitre_technique", technique(scanner).unwrap_or(""));
            }
            Event::Anomaly { ctx, scanner, reason, score } => {
                difference = ctx.difference;
                out.str("method", ctx.method);
                request(out, ctx, hide);
                out.opt("agent", ctx.agent);
                out.opt("scanner", scanner);
                out.opt("mitre_technique", technique(scanner).unwrap_or(""));
                out.str("reason", reason);
                out.float("score", *score);
            }
            Event::Error { ctx, error } => {
                out.opt("method", ctx.method);
                request(out, ctx, hide);
                out.opt("agent", ctx.agent);
                out.raw("error", error);
            }
            Event::Redirect { ctx, original_url, redirect_url, hop } => {
                out.str("original_url", original_url);
                out.str("redirect_url", redirect_url);
                out.str("client_ip", ctx.client_ip);
                out.str("request_id", ctx.request_id);
                out.opt("agent", ctx.agent);
                out.int("hop", u64::from(*hop));
            }
            Event::TunnelOpen { ctx } => {
                out.opt("target", ctx.target);
                client(out, ctx);
                out.opt("agent", ctx.agent);
            }
            Event::TunnelClose { ctx, total_bytes, duration } => {
                out.opt("target", ctx.target);
                client(out, ctx);
                out.opt("agent", ctx.agent);
                out.int("total_bytes", *total_bytes);
                out.millis("duration_ms", *duration);
            }
            Event::SniMismatch { ctx, connect_host, sni_host, category } => {
                difference = ctx.difference;
                out.str("connect_host", connect_host);
                out.str("sni_host", sni_host);
                out.str("client_ip", ctx.client_ip);
                out.str("request_id", ctx.request_id);
                out.opt("agent", ctx.agent);
                out.str("category", category);
                out.str("mitre_technique", "T1090.004");
            }
            Event::HeaderDlp { ctx, header, action, patterns, bundle_rules } => {
                difference = ctx.difference;
                out.str("method", ctx.method);
                place(out, ctx, hide);
                out.str("header", header);
                out.str("action", action);
                client(out, ctx);
                out.opt("agent", ctx.agent);
                out.list("patterns", patterns);
                out.str("mitre_technique", "T1048");
                out.rules("bundle_rules", bundle_rules);
            }
            Event::BodyDlp { ctx, action, match_count, patterns, bundle_rules } => {
                difference = ctx.difference;
                out.str("method", ctx.method);
                place(out, ctx, hide);
                out.str("action", action);
                client(out, ctx);
                out.opt("agent", ctx.agent);
                out.int("match_count", *match_count as u64);
                out.list("patterns", patterns);
                out.str("mitre_technique", "T1048");
                out.rules("bundle_rules", bundle_rules);
            }
            Event::AddressProtection { ctx, action, match_count, findings } => {
                difference = ctx.difference;
                out.str("method", ctx.method);
                place(out, ctx, hide);
                out.str("action", action);
                client(out, ctx);
                out.opt("agent", ctx.agent);
                out.int("match_count", *match_count as u64);
                out.list("findings", findings);
            }
            Event::DlpWarn { ctx, pattern, severity, transport } => {
                difference = ctx.difference;
                out.str("mode", "warn");
                out.str("pattern", pattern);
                out.str("severity", severity);
                out.str("transport", transport);
                out.str("mitre_technique", "T1048");
                out.str("method", ctx.method);
                request(out, ctx, hide);
                out.opt("agent", ctx.agent);
            }
            Event::ResponseScan { ctx, action, match_count, patterns, bundle_rules } => {
                difference = ctx.difference;
                out.opt("method", ctx.method);
                request(out, ctx, hide);
                out.str("action", action);
                out.int("match_count", *match_count as u64);
                out.list("patterns", patterns);
                out.str("mitre_technique", "T1059");
                out.opt("agent", ctx.agent);
                out.rules("bundle_rules", bundle_rules);
            }
            Event::ResponseScanExempt { ctx, hostname } => {
                out.opt("method", ctx.method);
                place(out, ctx, hide);
                out.raw("hostname", hostname);
                out.raw("enforcement_type", "response_scanning");
                out.str("reason", "exempt_domains match");
                if !ctx.client_ip.is_empty() {
                    out.raw("client_ip", ctx.client_ip);
                }
                if !ctx.request_id.is_empty() {
                    out.raw("request_id", ctx.request_id);
                }
                out.opt("agent", ctx.agent);
            }
            Event::MediaExposure {
                ctx,
                transport,
                content_type,
                format,
                size_bytes,
                metadata_segments_removed,
                metadata_bytes_removed,
                blocked,
            } => {
                out.opt("method", ctx.method);
                out.str("url", ctx.url);
                client(out, ctx);
                out.opt("agent", ctx.agent);
                out.str("transport", transport);
                out.str("content_type", content_type);
                out.opt("format", format);
                out.int("size_bytes", *size_bytes);
                if *metadata_segments_removed > 0 {
                    out.int("metadata_segments_removed", *metadata_segments_removed);
                }
                if *metadata_bytes_removed > 0 {
                    out.int("metadata_bytes_removed", *metadata_bytes_removed);
                }
                out.bool("blocked", blocked.is_some());
                out.opt("block_reason", blocked.unwrap_or(""));
            }
            Event::ShieldRewrite { ctx, category, hits, transport } => {
                out.str("category", category);
                out.int("hits", *hits);
                out.str("transport", transport);
                out.str("url", ctx.url);
                client(out, ctx);
            }
            Event::TaintDecision {
                ctx,
                session_taint_level,
                action_class,
                action_sensitivity,
                authority_kind,
                decision,
                reason,
                source_url,
                source_kind,
            } => {
                out.opt("method", ctx.method);
                out.str("url", ctx.url);
                client(out, ctx);
                out.opt("agent", ctx.agent);
                out.str("session_taint_level", session_taint_level);
                out.str("action_class", action_class);
                out.str("action_sensitivity", action_sensitivity);
                out.str("authority_kind", authority_kind);
                out.str("decision", decision);
                out.str("reason", reason);
                out.opt("source_url", source_url);
                out.opt("source_kind", source_kind);
            }
            Event::SessionAnomaly { session, anomaly_type, detail, client_ip, request_id, score } => {
                out.str("session", session);
                out.str("anomaly_type", anomaly_type);
                out.str("detail", detail);
                out.str_or_unemitted("client_ip", client_ip);
                out.str_or_unemitted("request_id", request_id);
                out.float("score", *score);
                out.str("mitre_technique", "T1078");
            }
            Event::AdaptiveEscalation { session, from, to, client_ip, request_id, score } => {
                out.str("session", session);
                out.str("from", from);
                out.str("to", to);
                out.str_or_unemitted("client_ip", client_ip);
                out.str_or_unemitted("request_id", request_id);
                out.float("score", *score);
            }
            Event::AdaptiveUpgrade {
                session,
                escalation_level,
                from_action,
                to_action,
                scanner,
                client_ip,
                request_id,
            } => {
                out.str("session", session);
                out.str("escalation_level", escalation_level);
                out.str("from_action", from_action);
                out.str("to_action", to_action);
                out.str("scanner", scanner);
                out.str_or_unemitted("client_ip", client_ip);
                out.str_or_unemitted("request_id", request_id);
                out.emitted_only("severity", if *to_action == "block" { "critical" } else { "warn" });
            }
            Event::AirlockEnter { session, tier, trigger, client_ip, request_id } => {
                out.str("session", session);
                out.str("tier", tier);
                out.str("trigger", trigger);
                out.opt("client_ip", client_ip);
                out.opt("request_id", request_id);
            }
            Event::AirlockDeny { session, tier, transport, method, client_ip, request_id } => {
                out.str("session", session);
                out.str("tier", tier);
                out.str("transport", transport);
                out.str("method", method);
                out.opt("client_ip", client_ip);
                out.opt("request_id", request_id);
            }
            Event::AirlockDeescalate { session, from, to } => {
                out.str("session", session);
                out.str("from", from);
                out.str("to", to);
            }
            Event::KillSwitchDeny { transport, endpoint, source, deny_message, client_ip } => {
                out.str("transport", transport);
                out.str("endpoint", endpoint);
                out.str("source", source);
                out.str("deny_message", deny_message);
                out.str("client_ip", client_ip);
            }
            Event::WsOpen { ctx } => {
                out.str("target", ctx.target);
                out.str("client_ip", ctx.client_ip);
                out.str("request_id", ctx.request_id);
                out.str("agent", ctx.agent);
            }
            Event::WsClose {
                ctx,
                client_to_server_bytes,
                server_to_client_bytes,
                text_frames,
                binary_frames,
                duration,
            } => {
                out.str("target", ctx.target);
                out.str("client_ip", ctx.client_ip);
                out.str("request_id", ctx.request_id);
                out.str("agent", ctx.agent);
                out.int("client_to_server_bytes", *client_to_server_bytes);
                out.int("server_to_client_bytes", *server_to_client_bytes);
                out.int("text_frames", *text_frames);
                out.int("binary_frames", *binary_frames);
                out.millis("duration_ms", *duration);
            }
            Event::WsBlocked { ctx, direction, scanner, reason } => {
                difference = ctx.difference;
                if hide {
                    out.str("target", &redact::url(ctx.target));
                } else {
                    out.str("target", ctx.target);
                }
                out.str("direction", direction.as_str());
                out.str("scanner", scanner);
                out.str("reason", reason);
                out.str("client_ip", ctx.client_ip);
                out.str("request_id", ctx.request_id);
                out.opt("mitre_technique", technique(scanner).unwrap_or(""));
            }
            Event::WsScan { ctx, direction, action, match_count, patterns, bundle_rules } => {
                difference = ctx.difference;
                out.str("target", ctx.target);
                out.str("direction", direction.as_str());
                out.str("client_ip", ctx.client_ip);
                out.str("request_id", ctx.request_id);
                out.str("action", action);
                out.int("match_count", *match_count as u64);
                out.list("patterns", patterns);
                out.str("mitre_technique", direction.technique());
                out.rules("bundle_rules", bundle_rules);
            }
            Event::SessionAdmin { action, client_ip, status_code, session_key, result } => {
                out.str("action", action);
                out.str("client_ip", client_ip);
                out.int("status_code", u64::from(*status_code));
                out.opt("session_key", session_key);
                out.opt("result", result);
            }
        }
        out.opt("difference", difference);
    }
}
