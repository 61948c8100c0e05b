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

use super::registry::Bounded;
use super::stats::TopList;

mod families;

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
    descriptor_shortage: IntCounterVec,
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

    /// Sessions are not tracked any more.
    pub(crate) fn forget_sessions(&self) {
        self.sessions_active.set(0);
        self.adaptive_sessions.reset();
        self.airlock_sessions.reset();
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

    /// Connections that were closed (`origin_closed`, `client_closed`) or not made (`refused`) because descriptors ran out.
    pub(crate) fn descriptor_shortage(&self, what: &str, number: usize) {
        self.descriptor_shortage.with_label_values(&[what]).inc_by(number as u64);
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
            "requests": {"total": total, "allowed": allowed, "blocked": blocked, "block_rate": rate},
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
