//! The families of metrics: names, labels and buckets, as dashboards know them.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use super::super::registry::{Bounded, Maker};
use super::super::stats::TopList;
use super::Metrics;

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
            descriptor_shortage: m.counters(
                "descriptor_shortage_total",
                &["result"],
                "Connections closed or refused because descriptors ran out.",
            ),
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
}
