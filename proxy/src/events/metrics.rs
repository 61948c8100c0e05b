//! The counters behind `/metrics` and `/stats`: one method for each thing that can be counted.
//!
//! Names, labels and buckets are an interface (dashboards and alerts use them), so a label that clients control is
//! bounded: after a thousand distinct values further ones are counted as `other`. spec: http-proxy §15.2, §17; cli §19

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{
    Encoder as _, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};
use serde_json::{Map, Value, json};

use super::registry::{Bounded, Maker};
use super::stats::TopList;

/// Outcome of the look at a tunnel's first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SniCategory {
    Match,
    Mismatch,
    NotTls,
    NoExtension,
    MalformedTls,
    Timeout,
}

impl SniCategory {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            SniCategory::Match => "match",
            SniCategory::Mismatch => "mismatch",
            SniCategory::NotTls => "not_tls",
            SniCategory::NoExtension => "no_extension",
            SniCategory::MalformedTls => "malformed_tls",
            SniCategory::Timeout => "timeout",
        }
    }
}

#[derive(Default, Clone, Copy)]
struct AgentCounts {
    allowed: u64,
    blocked: u64,
    tunnels: u64,
}

/// Every counter of the process. Methods are cheap and may be called from any thread.
pub struct Metrics {
    registry: Registry,
    started: Instant,

    requests: IntCounterVec,
    /// The agent that came first, which is nearly always the only one, and its counter of allowed requests.
    usual_allowed: OnceLock<(String, IntCounter)>,
    scanner_hits: IntCounterVec,
    request_duration: Histogram,
    tunnels: IntCounterVec,
    tunnel_duration: Histogram,
    tunnel_bytes: IntCounter,
    active_tunnels: IntGauge,
    sni: IntCounterVec,
    ws_redirect_hints: IntCounter,
    ws_connections: IntCounterVec,
    ws_duration: Histogram,
    ws_bytes: IntCounterVec,
    ws_active: IntGauge,
    ws_frames: IntCounterVec,
    ws_scan_hits: IntCounterVec,
    kill_switch_denials: IntCounterVec,
    kill_switch_active: IntGaugeVec,
    body_dlp_hits: IntCounterVec,
    header_dlp_hits: IntCounterVec,
    dlp_warn_matches: IntCounterVec,
    address_findings: IntCounterVec,
    session_anomalies: IntCounterVec,
    session_escalations: IntCounterVec,
    session_deescalations: IntCounterVec,
    sessions_active: IntGauge,
    sessions_evicted: IntCounter,
    adaptive_sessions: IntGaugeVec,
    adaptive_upgrades: IntCounterVec,
    airlock_sessions: IntGaugeVec,
    airlock_transitions: IntCounterVec,
    airlock_denials: IntCounterVec,
    cross_request_entropy: IntCounter,
    cross_request_dlp: IntCounter,
    fragment_buffer_bytes: IntGauge,
    response_scan_exempt: IntCounterVec,
    shield_rewrites: IntCounterVec,
    shield_shims: IntCounterVec,
    shield_skipped: IntCounterVec,
    shield_latency: HistogramVec,
    tls_intercept: IntCounterVec,
    tls_cert_cache_size: IntGauge,
    tls_handshake: HistogramVec,
    tls_request_blocked: IntCounterVec,
    tls_response_blocked: IntCounterVec,
    reverse_requests: IntCounterVec,
    reverse_blocked: IntCounterVec,
    scan_api_requests: IntCounterVec,
    scan_api_duration: HistogramVec,
    scan_api_findings: IntCounterVec,
    scan_api_errors: IntCounterVec,
    scan_api_inflight: IntGauge,

    endpoints: Bounded,
    agents: Bounded,
    patterns: Bounded,

    allowed_count: AtomicU64,
    blocked_count: AtomicU64,
    tunnel_count: AtomicU64,
    ws_count: AtomicU64,
    anomaly_count: AtomicU64,
    escalation_count: AtomicU64,
    blocked_domains: TopList,
    top_scanners: TopList,
    top_anomalies: TopList,
    by_agent: Mutex<BTreeMap<String, AgentCounts>>,
}

/// The part of `/stats` that comes from the cross-request trackers.
#[derive(Default, Clone, Copy)]
pub struct CrossRequestStats {
    pub entropy_tracker_active: bool,
    pub fragment_buffer_active: bool,
    pub fragment_buffer_bytes: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// All counters at zero; the uptime starts now.
    pub fn new() -> Metrics {
        let m = Maker::default();
        let lifetime = [1., 5., 10., 30., 60., 120., 300.];
        let ws_lifetime = [1., 5., 10., 30., 60., 120., 300., 600., 1800., 3600.];
        let request = [0.01, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 10.];
        let handshake = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5];
        let shield = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1];
        let scan = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 10.];

        // Fed by parts of the reference that are not HTTP egress, or by nothing at all there; dashboards name them.
        m.counters("chain_detections_total", &["pattern", "severity", "action"], "Tool chain detections.");
        m.counters(
            "file_sentry_findings_total",
            &["pattern", "severity", "agent"],
            "Findings in watched files.",
        );
        m.counters("shield_bytes_stripped_total", &["category"], "Bytes removed by the browser shield.");
        m.counter("airlock_drain_completed_total", "Airlock drains that completed.");
        m.counter("airlock_drain_timeout_total", "Airlock drains that timed out.");
        m.counter("capture_dropped_total", "Verdict captures that found the queue full.");
        m.gauges("info", &["version"], "Version of the proxy.").with_label_values(&[crate::VERSION]).set(1);

        Metrics {
            started: Instant::now(),
            requests: m.counters("requests_total", &["result", "agent"], "Requests by verdict."),
            scanner_hits: m.counters(
                "scanner_hits_total",
                &["scanner", "agent"],
                "Blocked requests by deciding layer.",
            ),
            request_duration: m.histogram("request_duration_seconds", &request, "Duration of requests."),
            tunnels: m.counters("tunnels_total", &["result", "agent"], "CONNECT tunnels by outcome."),
            tunnel_duration: m.histogram(
                "tunnel_duration_seconds",
                &lifetime,
                "Duration of completed tunnels.",
            ),
            tunnel_bytes: m.counter("tunnel_bytes_total", "Bytes relayed by tunnels, both ways."),
            active_tunnels: m.gauge("active_tunnels", "Tunnels open now."),
            sni: m.counters("sni_total", &["category", "agent"], "SNI checks by outcome."),
            ws_redirect_hints: m.counter(
                "forward_ws_redirect_hint_total",
                "Tunnels to hosts that are configured for the WebSocket proxy.",
            ),
            ws_connections: m.counters("ws_connections_total", &["result"], "WebSocket relays by outcome."),
            ws_duration: m.histogram("ws_duration_seconds", &ws_lifetime, "Duration of WebSocket relays."),
            ws_bytes: m.counters("ws_bytes_total", &["direction"], "Bytes relayed in WebSocket messages."),
            ws_active: m.gauge("ws_active_connections", "WebSocket relays open now."),
            ws_frames: m.counters("ws_frames_total", &["type"], "WebSocket frames read."),
            ws_scan_hits: m.counters("ws_scan_hits_total", &["scanner"], "Findings in WebSocket messages."),
            kill_switch_denials: m.counters(
                "kill_switch_denials_total",
                &["transport", "endpoint"],
                "Requests denied by the kill switch.",
            ),
            kill_switch_active: m.gauges(
                "kill_switch_active",
                &["source"],
                "Whether a kill switch source is active.",
            ),
            body_dlp_hits: m.counters(
                "body_dlp_hits_total",
                &["action", "agent"],
                "Request bodies with findings.",
            ),
            header_dlp_hits: m.counters(
                "header_dlp_hits_total",
                &["action", "agent"],
                "Request headers with findings.",
            ),
            dlp_warn_matches: m.counters(
                "dlp_warn_matches_total",
                &["pattern", "transport"],
                "Matches of rules that only warn.",
            ),
            address_findings: m.counters(
                "address_findings_total",
                &["chain", "verdict"],
                "Wallet address findings.",
            ),
            session_anomalies: m.counters("session_anomalies_total", &["type"], "Session anomalies."),
            session_escalations: m.counters(
                "session_escalations_total",
                &["from", "to"],
                "Sessions raised a level.",
            ),
            session_deescalations: m.counters(
                "session_auto_deescalation_total",
                &["from", "to"],
                "Sessions lowered a level by time.",
            ),
            sessions_active: m.gauge("sessions_active", "Sessions tracked now."),
            sessions_evicted: m.counter("sessions_evicted_total", "Sessions dropped for room."),
            adaptive_sessions: m.gauges("adaptive_sessions_current", &["level"], "Sessions by level."),
            adaptive_upgrades: m.counters(
                "adaptive_upgrades_total",
                &["from_action", "to_action", "level"],
                "Actions made stricter by session level.",
            ),
            airlock_sessions: m.gauges("airlock_sessions", &["tier"], "Sessions in the airlock."),
            airlock_transitions: m.counters(
                "airlock_transitions_total",
                &["from", "to", "trigger"],
                "Airlock transitions.",
            ),
            airlock_denials: m.counters(
                "airlock_denials_total",
                &["tier", "transport", "action_class"],
                "Requests denied by the airlock.",
            ),
            cross_request_entropy: m
                .counter("cross_request_entropy_exceeded_total", "Requests over a session's entropy budget."),
            cross_request_dlp: m
                .counter("cross_request_dlp_match_total", "Secrets found across several requests."),
            fragment_buffer_bytes: m
                .gauge("cross_request_fragment_buffer_bytes", "Bytes held for cross-request detection."),
            response_scan_exempt: m.counters(
                "response_scan_exempt_total",
                &["reason", "transport"],
                "Responses not scanned on purpose.",
            ),
            shield_rewrites: m.counters(
                "shield_rewrites_total",
                &["category", "transport"],
                "Browser shield rewrites.",
            ),
            shield_shims: m.counters(
                "shield_shims_injected_total",
                &["transport"],
                "Browser shield scripts injected.",
            ),
            shield_skipped: m.counters(
                "shield_skipped_total",
                &["reason"],
                "Responses that the browser shield skipped.",
            ),
            shield_latency: m.histograms(
                "shield_latency_seconds",
                &["transport"],
                &shield,
                "Time spent in the browser shield.",
            ),
            tls_intercept: m.counters("tls_intercept_total", &["outcome"], "Intercepted tunnels by outcome."),
            tls_cert_cache_size: m.gauge("tls_cert_cache_size", "Leaf certificates in the cache."),
            tls_handshake: m.histograms(
                "tls_handshake_duration_seconds",
                &["side"],
                &handshake,
                "Duration of TLS handshakes.",
            ),
            tls_request_blocked: m.counters(
                "tls_request_blocked_total",
                &["reason"],
                "Intercepted requests refused.",
            ),
            tls_response_blocked: m.counters(
                "tls_response_blocked_total",
                &["reason"],
                "Intercepted responses refused.",
            ),
            reverse_requests: m.counters(
                "reverse_proxy_requests_total",
                &["method", "status"],
                "Requests of the reverse proxy.",
            ),
            reverse_blocked: m.counters(
                "reverse_proxy_scan_blocked_total",
                &["direction", "reason"],
                "Refusals of the reverse proxy.",
            ),
            scan_api_requests: m.counters(
                "scan_api_requests_total",
                &["kind", "decision", "status_code"],
                "Scan API calls.",
            ),
            scan_api_duration: m.histograms(
                "scan_api_duration_seconds",
                &["kind"],
                &scan,
                "Duration of scan API calls.",
            ),
            scan_api_findings: m.counters(
                "scan_api_findings_total",
                &["kind", "scanner", "severity"],
                "Scan API findings.",
            ),
            scan_api_errors: m.counters("scan_api_errors_total", &["kind", "error_code"], "Scan API errors."),
            scan_api_inflight: m.gauge("scan_api_inflight_requests", "Scan API calls running now."),
            endpoints: Bounded::default(),
            agents: Bounded::default(),
            usual_allowed: OnceLock::new(),
            patterns: Bounded::default(),
            allowed_count: AtomicU64::new(0),
            blocked_count: AtomicU64::new(0),
            tunnel_count: AtomicU64::new(0),
            ws_count: AtomicU64::new(0),
            anomaly_count: AtomicU64::new(0),
            escalation_count: AtomicU64::new(0),
            blocked_domains: TopList::default(),
            top_scanners: TopList::default(),
            top_anomalies: TopList::default(),
            by_agent: Mutex::new(BTreeMap::new()),
            registry: m.into_registry(),
        }
    }

    /// Time since the process (its counters) started.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    fn agent_counts(&self, agent: &str, change: impl FnOnce(&mut AgentCounts)) {
        let mut agents = self.by_agent.lock().unwrap_or_else(PoisonError::into_inner);
        match agents.get_mut(agent) {
            Some(counts) => change(counts),
            None => change(agents.entry(agent.to_owned()).or_default()),
        }
    }

    /// A request that was answered with what the origin said. `agent`: the profile (spec: http-proxy §17).
    pub fn request_allowed(&self, agent: &str, duration: Duration) {
        let resolve = || {
            let agent = self.agents.label(agent);
            (agent.to_owned(), self.requests.with_label_values(&["allowed", agent]))
        };
        let (usual, counter) = self.usual_allowed.get_or_init(resolve);
        let agent = if usual == agent {
            counter.inc();
            usual
        } else {
            let agent = self.agents.label(agent);
            self.requests.with_label_values(&["allowed", agent]).inc();
            agent
        };
        self.request_duration.observe(duration.as_secs_f64());
        self.allowed_count.fetch_add(1, Relaxed);
        self.agent_counts(agent, |c| c.allowed += 1);
    }

    /// A request that was refused. `domain` may be empty where none is known.
    pub fn request_blocked(&self, domain: &str, scanner: &str, agent: &str, duration: Duration) {
        let agent = self.agents.label(agent);
        self.requests.with_label_values(&["blocked", agent]).inc();
        self.scanner_hits.with_label_values(&[scanner, agent]).inc();
        self.request_duration.observe(duration.as_secs_f64());
        self.blocked_count.fetch_add(1, Relaxed);
        self.blocked_domains.add(domain);
        self.top_scanners.add(scanner);
        self.agent_counts(agent, |c| c.blocked += 1);
    }

    /// An opaque tunnel began to relay.
    pub fn tunnel_opened(&self) {
        self.active_tunnels.inc();
    }

    /// An opaque tunnel that had been counted as opened ended; it also counts as one allowed request.
    pub fn tunnel_completed(&self, agent: &str, duration: Duration, bytes: u64) {
        let label = self.agents.label(agent);
        self.active_tunnels.dec();
        self.tunnels.with_label_values(&["completed", label]).inc();
        self.tunnel_duration.observe(duration.as_secs_f64());
        self.tunnel_bytes.inc_by(bytes);
        self.tunnel_count.fetch_add(1, Relaxed);
        self.agent_counts(label, |c| c.tunnels += 1);
        self.request_allowed(agent, duration);
    }

    /// A CONNECT was refused.
    pub fn tunnel_blocked(&self, agent: &str) {
        self.tunnels.with_label_values(&["blocked", self.agents.label(agent)]).inc();
    }

    pub fn sni(&self, category: SniCategory, agent: &str) {
        self.sni.with_label_values(&[category.as_str(), self.agents.label(agent)]).inc();
    }

    pub fn ws_redirect_hint(&self) {
        self.ws_redirect_hints.inc();
    }

    pub fn ws_opened(&self) {
        self.ws_active.inc();
    }

    pub fn ws_closed(&self) {
        self.ws_active.dec();
    }

    /// A relay that ended without a block.
    pub fn ws_completed(&self, duration: Duration) {
        self.ws_connections.with_label_values(&["completed"]).inc();
        self.ws_duration.observe(duration.as_secs_f64());
        self.ws_count.fetch_add(1, Relaxed);
    }

    pub fn ws_blocked(&self) {
        self.ws_connections.with_label_values(&["blocked"]).inc();
    }

    /// `direction`: `client_to_server` or `server_to_client`.
    pub fn ws_bytes(&self, direction: &str, bytes: u64) {
        self.ws_bytes.with_label_values(&[direction]).inc_by(bytes);
    }

    /// `kind`: `text`, `binary` or `control`.
    pub fn ws_frame(&self, kind: &str) {
        self.ws_frames.with_label_values(&[kind]).inc();
    }

    pub fn ws_scan_hit(&self, scanner: &str) {
        self.ws_scan_hits.with_label_values(&[scanner]).inc();
    }

    /// `endpoint` is the raw request path; beyond the bound it is counted as `other`.
    pub fn kill_switch_denied(&self, transport: &str, endpoint: &str) {
        self.kill_switch_denials.with_label_values(&[transport, self.endpoints.label(endpoint)]).inc();
    }

    pub fn body_dlp_hit(&self, action: &str, agent: &str) {
        self.body_dlp_hits.with_label_values(&[action, self.agents.label(agent)]).inc();
    }

    pub fn header_dlp_hit(&self, action: &str, agent: &str) {
        self.header_dlp_hits.with_label_values(&[action, self.agents.label(agent)]).inc();
    }

    pub fn dlp_warn(&self, pattern: &str, transport: &str) {
        self.dlp_warn_matches.with_label_values(&[self.patterns.label(pattern), transport]).inc();
    }

    /// `verdict`: `lookalike` or `unknown`.
    pub fn address_finding(&self, chain: &str, verdict: &str) {
        self.address_findings.with_label_values(&[chain, verdict]).inc();
    }

    pub fn session_anomaly(&self, kind: &str) {
        self.session_anomalies.with_label_values(&[kind]).inc();
        self.anomaly_count.fetch_add(1, Relaxed);
        self.top_anomalies.add(kind);
    }

    pub fn session_escalated(&self, from: &str, to: &str) {
        self.session_escalations.with_label_values(&[from, to]).inc();
        self.escalation_count.fetch_add(1, Relaxed);
    }

    pub fn session_deescalated(&self, from: &str, to: &str) {
        self.session_deescalations.with_label_values(&[from, to]).inc();
    }

    pub fn set_sessions_active(&self, sessions: usize) {
        self.sessions_active.set(sessions as i64);
    }

    pub fn session_evicted(&self) {
        self.sessions_evicted.inc();
    }

    /// A session entered (`+1`) or left (`-1`) a level.
    pub fn adaptive_level(&self, level: &str, change: i64) {
        self.adaptive_sessions.with_label_values(&[level]).add(change);
    }

    pub fn adaptive_upgrade(&self, from_action: &str, to_action: &str, level: &str) {
        self.adaptive_upgrades.with_label_values(&[from_action, to_action, level]).inc();
    }

    /// A session entered (`+1`) or left (`-1`) a tier.
    pub fn airlock_tier(&self, tier: &str, change: i64) {
        self.airlock_sessions.with_label_values(&[tier]).add(change);
    }

    pub fn airlock_transition(&self, from: &str, to: &str, trigger: &str) {
        self.airlock_transitions.with_label_values(&[from, to, trigger]).inc();
    }

    pub fn airlock_denied(&self, tier: &str, transport: &str, action_class: &str) {
        let class = self.endpoints.label(action_class);
        self.airlock_denials.with_label_values(&[tier, transport, class]).inc();
    }

    pub fn cross_request_entropy_exceeded(&self) {
        self.cross_request_entropy.inc();
    }

    pub fn cross_request_dlp_match(&self) {
        self.cross_request_dlp.inc();
    }

    /// `reason`: `exempt_domain` or `suppress`.
    pub fn response_scan_exempt(&self, reason: &str, transport: &str) {
        self.response_scan_exempt.with_label_values(&[reason, transport]).inc();
    }

    pub fn shield_rewrites(&self, category: &str, transport: &str, hits: u64) {
        self.shield_rewrites.with_label_values(&[category, transport]).inc_by(hits);
    }

    pub fn shield_shim(&self, transport: &str) {
        self.shield_shims.with_label_values(&[transport]).inc();
    }

    pub fn shield_skipped(&self, reason: &str) {
        self.shield_skipped.with_label_values(&[reason]).inc();
    }

    pub fn shield_latency(&self, transport: &str, duration: Duration) {
        self.shield_latency.with_label_values(&[transport]).observe(duration.as_secs_f64());
    }

    /// `outcome`: `intercepted`, `failed`, `handshake_error` or `deadline_error`.
    pub fn tls_intercept(&self, outcome: &str) {
        self.tls_intercept.with_label_values(&[outcome]).inc();
    }

    pub fn set_tls_cert_cache_size(&self, leaves: usize) {
        self.tls_cert_cache_size.set(leaves as i64);
    }

    /// `side`: `client` or `upstream`.
    pub fn tls_handshake(&self, side: &str, duration: Duration) {
        self.tls_handshake.with_label_values(&[side]).observe(duration.as_secs_f64());
    }

    pub fn tls_request_blocked(&self, reason: &str) {
        self.tls_request_blocked.with_label_values(&[reason]).inc();
    }

    pub fn tls_response_blocked(&self, reason: &str) {
        self.tls_response_blocked.with_label_values(&[reason]).inc();
    }

    /// Methods outside the usual seven are counted as `OTHER`.
    pub fn reverse_request(&self, method: &str, status: u16) {
        let method = match method {
            "GET" | "POST" | "PUT" | "DELETE" | "PATCH" | "HEAD" | "OPTIONS" => method,
            _ => "OTHER",
        };
        self.reverse_requests.with_label_values(&[method, &status.to_string()]).inc();
    }

    pub fn reverse_blocked(&self, direction: &str, reason: &str) {
        self.reverse_blocked.with_label_values(&[direction, reason]).inc();
    }

    /// `kind` is empty before the body was parsed and `unknown` for a kind that does not exist.
    pub fn scan_api_request(&self, kind: &str, decision: &str, status: u16, duration: Duration) {
        self.scan_api_requests.with_label_values(&[kind, decision, &status.to_string()]).inc();
        self.scan_api_duration.with_label_values(&[kind]).observe(duration.as_secs_f64());
    }

    pub fn scan_api_finding(&self, kind: &str, scanner: &str, severity: &str) {
        self.scan_api_findings.with_label_values(&[kind, scanner, severity]).inc();
    }

    pub fn scan_api_error(&self, kind: &str, code: &str) {
        self.scan_api_errors.with_label_values(&[kind, code]).inc();
    }

    /// A scan API call began (`+1`) or ended (`-1`).
    pub fn scan_api_inflight(&self, change: i64) {
        self.scan_api_inflight.add(change);
    }

    /// States of the kill switch sources, asked for at each scrape.
    pub fn set_kill_switch(&self, sources: &[(&str, bool)]) {
        for (source, active) in sources {
            self.kill_switch_active.with_label_values(&[source]).set(i64::from(*active));
        }
    }

    /// The text exposition. Media type: [`EXPOSITION_TYPE`].
    pub fn exposition(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 * 1024);
        // Writing to memory cannot fail; an inconsistent family would be left out.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut out);
        out
    }

    /// The object of `/stats`, keys in their order.
    pub fn stats(&self, sessions_active: usize, cross: CrossRequestStats) -> Value {
        let allowed = self.allowed_count.load(Relaxed);
        let blocked = self.blocked_count.load(Relaxed);
        let total = allowed + blocked;
        let rate = if total == 0 { 0.0 } else { blocked as f64 / total as f64 };
        let list = |top: &TopList| -> Vec<Value> {
            top.sorted().into_iter().map(|(name, count)| json!({"name": name, "count": count})).collect()
        };
        let mut stats = json!({
            "uptime_seconds": self.uptime().as_secs_f64(),
            "requests": {"total": total, "allowed": allowed, "blocked": blocked, "block_rate": number(rate)},
            "tunnels": self.tunnel_count.load(Relaxed),
            "websockets": self.ws_count.load(Relaxed),
            "top_blocked_domains": list(&self.blocked_domains),
            "top_scanners": list(&self.top_scanners),
            "sessions": {
                "active": sessions_active,
                "anomalies": self.anomaly_count.load(Relaxed),
                "escalations": self.escalation_count.load(Relaxed),
                "top_anomalies": list(&self.top_anomalies),
            },
            "cross_request_detection": {
                "entropy_tracker_active": cross.entropy_tracker_active,
                "fragment_buffer_active": cross.fragment_buffer_active,
                "fragment_buffer_bytes": cross.fragment_buffer_bytes,
            },
        });
        let agents = self.by_agent.lock().unwrap_or_else(PoisonError::into_inner);
        if !agents.is_empty() {
            let agents: Map<String, Value> = agents
                .iter()
                .map(|(name, c)| {
                    let counts = json!({"allowed": c.allowed, "blocked": c.blocked, "tunnels": c.tunnels});
                    (name.clone(), counts)
                })
                .collect();
            stats["agents"] = Value::Object(agents);
        }
        self.fragment_buffer_bytes.set(cross.fragment_buffer_bytes as i64);
        stats
    }
}

/// Media type of [`Metrics::exposition`].
pub const EXPOSITION_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// A whole number without a fraction, as the reference prints it.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 { json!(value as i64) } else { json!(value) }
}
