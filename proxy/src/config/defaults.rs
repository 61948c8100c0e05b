//! What a key is when the file does not give it, and what everything is without a file. Spec: config §3.2-3.5, §5, §6.
//!
//! The two differ on purpose, as they do in the reference: a file starts from zero values that are then filled, no file
//! starts from [`no_file`].

use super::patterns;
use super::schema::*;
use super::value::List;

pub const ALLOWED_WITHOUT_FILE: &[&str] = &[
    "*.anthropic.com",
    "*.openai.com",
    "api.telegram.org",
    "*.discord.com",
    "gateway.discord.gg",
    "*.slack.com",
    "github.com",
    "*.github.com",
    "*.githubusercontent.com",
    "registry.npmjs.org",
];

const BLOCKED_WITHOUT_FILE: &[&str] =
    &["*.pastebin.com", "*.hastebin.com", "*.paste.ee", "*.transfer.sh", "*.file.io", "*.requestbin.com"];

const INTERNAL: &[&str] = &[
    "0.0.0.0/8",
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
    "224.0.0.0/4",
    "ff00::/8",
];

const INTERNAL_WITHOUT_FILE: &[&str] = &[
    "0.0.0.0/8",
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "224.0.0.0/4",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

const SENSITIVE_HEADERS: &[&str] =
    &["Authorization", "Cookie", "X-Api-Key", "X-Token", "Proxy-Authorization", "X-Goog-Api-Key"];

const IGNORED_HEADERS: &[&str] = &[
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Te",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Host",
    "Content-Length",
    "Content-Type",
    "Accept",
    "Accept-Encoding",
    "User-Agent",
];

const TAINT_ALLOWLIST: &[&str] = &["docs.anthropic.com", "docs.github.com", "developer.mozilla.org"];
const TAINT_PROTECTED: &[&str] = &[
    "*/auth/*",
    "*/security/*",
    "*/.github/workflows/*",
    "*/.env*",
    "*/secrets*",
    "*/policy*",
    "*/sandbox*",
];
const TAINT_ELEVATED: &[&str] = &["*/config/*", "*/middleware*"];
const BRANCHES: &[&str] = &["feature/*", "fix/*", "main", "master"];
const ENVELOPE_COMPONENTS: &[&str] = &["@method", "@target-uri", "content-digest", "pipelock-mediation"];

/// A number that zero and below cannot switch off.
fn positive(value: &mut i64, default: i64) {
    if *value <= 0 {
        *value = default;
    }
}

/// As [`positive`]; a NaN stays.
fn positive_number(value: &mut f64, default: f64) {
    if *value <= 0.0 {
        *value = default;
    }
}

fn number(value: &mut i64, default: i64) {
    if *value == 0 {
        *value = default;
    }
}

fn text(value: &mut String, default: &str) {
    if value.is_empty() {
        *value = default.to_owned();
    }
}

fn filled(list: &mut List<String>, default: &[&str]) {
    if list.is_empty() {
        *list = List::from(default);
    }
}

fn given(list: &mut List<String>, default: &[&str]) {
    if !list.is_given() {
        *list = List::from(default);
    }
}

/// Fills what the file left at zero. Applied again at start-up, when it changes nothing.
pub fn fill(config: &mut Config) {
    number(&mut config.version, 1);
    text(&mut config.mode, "balanced");
    given(&mut config.internal, INTERNAL);
    fill_proxies(config);
    fill_scanning(config);
    fill_sessions(config);
    fill_operations(config);
    fill_tools(config);
}

fn fill_proxies(config: &mut Config) {
    let fetch = &mut config.fetch_proxy;
    text(&mut fetch.listen, "127.0.0.1:8888");
    positive(&mut fetch.timeout_seconds, 30);
    positive(&mut fetch.max_response_mb, 10);
    text(&mut fetch.user_agent, "Pipelock Fetch/1.0");
    positive(&mut fetch.monitoring.max_url_length, 2048);
    positive_number(&mut fetch.monitoring.entropy_threshold, 4.5);
    positive_number(&mut fetch.monitoring.subdomain_entropy_threshold, 4.0);
    positive(&mut fetch.monitoring.max_requests_per_minute, 60);

    let forward = &mut config.forward_proxy;
    positive(&mut forward.max_tunnel_seconds, 300);
    positive(&mut forward.idle_timeout_seconds, 120);

    let websocket = &mut config.websocket_proxy;
    positive(&mut websocket.max_message_bytes, 1_048_576);
    positive(&mut websocket.max_concurrent_connections, 128);
    websocket.scan_text_frames.get_or_insert(true);
    websocket.strip_compression.get_or_insert(true);
    positive(&mut websocket.max_connection_seconds, 3600);
    positive(&mut websocket.idle_timeout_seconds, 300);
    text(&mut websocket.origin_policy, "rewrite");

    let tls = &mut config.tls_interception;
    text(&mut tls.cert_ttl, "24h");
    positive(&mut tls.cert_cache_size, 10_000);
    positive(&mut tls.max_response_bytes, 5_242_880);
}

fn fill_scanning(config: &mut Config) {
    let dlp = &mut config.dlp;
    if let Some(merged) = patterns::merge(dlp.include_defaults, patterns::builtin_dlp(), &dlp.patterns) {
        dlp.patterns = merged;
    }

    let response = &mut config.response_scanning;
    if response.enabled {
        text(&mut response.action, "warn");
        let builtin = patterns::builtin_response();
        if let Some(merged) = patterns::merge(response.include_defaults, builtin, &response.patterns) {
            response.patterns = merged;
        }
    }
    if response.action == "ask" {
        positive(&mut response.ask_timeout_seconds, 30);
    }

    let body = &mut config.request_body_scanning;
    if body.enabled {
        text(&mut body.action, "warn");
        number(&mut body.max_body_bytes, 5_242_880);
        text(&mut body.header_mode, "sensitive");
        filled(&mut body.sensitive_headers, SENSITIVE_HEADERS);
        filled(&mut body.ignore_headers, IGNORED_HEADERS);
    }

    let seed = &mut config.seed_phrase_detection;
    if seed.is_enabled() {
        number(&mut seed.min_words, 12);
    }

    let cross = &mut config.cross_request_detection;
    if cross.enabled {
        text(&mut cross.action, "block");
        if cross.entropy_budget.enabled {
            positive_number(&mut cross.entropy_budget.bits_per_window, 4096.0);
            positive(&mut cross.entropy_budget.window_minutes, 5);
            text(&mut cross.entropy_budget.action, "warn");
        }
        if cross.fragment_reassembly.enabled {
            positive(&mut cross.fragment_reassembly.max_buffer_bytes, 65_536);
            positive(&mut cross.fragment_reassembly.window_minutes, 5);
        }
    }

    let address = &mut config.address_protection;
    if address.enabled {
        text(&mut address.action, "block");
        text(&mut address.unknown_action, "allow");
        positive(&mut address.similarity.prefix_length, 4);
        positive(&mut address.similarity.suffix_length, 4);
    }
}

fn fill_sessions(config: &mut Config) {
    let sessions = &mut config.session_profiling;
    if sessions.enabled {
        text(&mut sessions.anomaly_action, "warn");
        positive(&mut sessions.domain_burst, 5);
        positive(&mut sessions.window_minutes, 5);
        positive_number(&mut sessions.volume_spike_ratio, 3.0);
    }
    positive(&mut sessions.max_sessions, 1000);
    positive(&mut sessions.session_ttl_minutes, 30);
    positive(&mut sessions.cleanup_interval_seconds, 60);

    let adaptive = &mut config.adaptive_enforcement;
    if adaptive.enabled {
        positive_number(&mut adaptive.escalation_threshold, 5.0);
        positive_number(&mut adaptive.decay_per_clean_request, 0.5);
        let block = || "block".to_owned();
        let levels = &mut adaptive.levels;
        levels.elevated.upgrade_warn.get_or_insert_with(block);
        levels.high.upgrade_warn.get_or_insert_with(block);
        levels.high.upgrade_ask.get_or_insert_with(block);
        levels.critical.upgrade_warn.get_or_insert_with(block);
        levels.critical.upgrade_ask.get_or_insert_with(block);
        levels.critical.block_all.get_or_insert(true);
    }

    let taint = &mut config.taint;
    text(&mut taint.policy, "balanced");
    if taint.recent_sources < 0 {
        taint.recent_sources = 10;
    }
    given(&mut taint.allowlisted_domains, TAINT_ALLOWLIST);
    given(&mut taint.protected_paths, TAINT_PROTECTED);
    given(&mut taint.elevated_paths, TAINT_ELEVATED);

    let baseline = &mut config.behavioral_baseline;
    if baseline.enabled {
        positive(&mut baseline.learning_window, 10);
        text(&mut baseline.deviation_action, "warn");
        positive_number(&mut baseline.sensitivity_sigma, 2.0);
        text(&mut baseline.seasonality_mode, "none");
    }
}

fn fill_operations(config: &mut Config) {
    text(&mut config.logging.format, "json");
    text(&mut config.logging.output, "stdout");

    let switch = &mut config.kill_switch;
    text(&mut switch.message, "Emergency deny-all active");
    switch.health_exempt.get_or_insert(true);
    switch.metrics_exempt.get_or_insert(true);
    switch.api_exempt.get_or_insert(true);

    text(&mut config.sentry.environment, "production");

    let emit = &mut config.emit;
    text(&mut emit.webhook.min_severity, "warn");
    positive(&mut emit.webhook.timeout_seconds, 5);
    positive(&mut emit.webhook.queue_size, 64);
    text(&mut emit.syslog.min_severity, "warn");
    text(&mut emit.syslog.facility, "local0");
    text(&mut emit.syslog.tag, "pipelock");
    text(&mut emit.otlp.min_severity, "warn");
    positive(&mut emit.otlp.timeout_seconds, 10);
    positive(&mut emit.otlp.queue_size, 256);

    let scan = &mut config.scan_api;
    positive(&mut scan.rate_limit.requests_per_minute, 600);
    positive(&mut scan.rate_limit.burst, 50);
    number(&mut scan.max_body_bytes, 1_048_576);
    positive(&mut scan.field_limits.url, 8192);
    positive(&mut scan.field_limits.text, 524_288);
    positive(&mut scan.field_limits.content, 524_288);
    positive(&mut scan.field_limits.arguments, 524_288);
    text(&mut scan.timeouts.read, "2s");
    text(&mut scan.timeouts.write, "2s");
    text(&mut scan.timeouts.scan, "5s");
    number(&mut scan.connection_limit, 100);

    positive(&mut config.flight_recorder.checkpoint_interval, 1000);
    positive(&mut config.flight_recorder.max_entries_per_file, 10_000);
    text(&mut config.rules.min_confidence, "medium");

    let envelope = &mut config.mediation_envelope;
    text(&mut envelope.key_id, "pipelock-mediation-v1");
    filled(&mut envelope.signed_components, ENVELOPE_COMPONENTS);
    number(&mut envelope.created_skew_seconds, 60);
    number(&mut envelope.max_body_bytes, 1_048_576);
}

fn fill_tools(config: &mut Config) {
    if config.mcp_input_scanning.enabled {
        text(&mut config.mcp_input_scanning.action, "warn");
    }
    text(&mut config.mcp_input_scanning.on_parse_error, "block");
    if config.mcp_tool_scanning.enabled {
        text(&mut config.mcp_tool_scanning.action, "warn");
    }
    if config.mcp_tool_policy.enabled {
        text(&mut config.mcp_tool_policy.action, "warn");
    }
    if config.mcp_session_binding.enabled {
        text(&mut config.mcp_session_binding.unknown_tool_action, "warn");
        text(&mut config.mcp_session_binding.no_baseline_action, "warn");
    }
    positive(&mut config.mcp_ws_listener.max_connections, 100);

    let chains = &mut config.tool_chain_detection;
    if chains.enabled {
        text(&mut chains.action, "warn");
    }
    positive(&mut chains.window_size, 20);
    positive(&mut chains.window_seconds, 60);
    chains.max_gap.get_or_insert(3);

    if config.mcp_binary_integrity.enabled {
        text(&mut config.mcp_binary_integrity.action, "warn");
    }
    if config.mcp_tool_provenance.enabled {
        text(&mut config.mcp_tool_provenance.action, "warn");
        text(&mut config.mcp_tool_provenance.mode, "pipelock");
    }
    if config.a2a_scanning.enabled {
        text(&mut config.a2a_scanning.action, "warn");
        positive(&mut config.a2a_scanning.max_context_messages, 100);
        positive(&mut config.a2a_scanning.max_contexts, 1000);
        positive(&mut config.a2a_scanning.max_raw_size, 1_048_576);
    }
    if config.git_protection.enabled {
        filled(&mut config.git_protection.allowed_branches, BRANCHES);
    }
    config.file_sentry.scan_content.get_or_insert(true);
}

/// The values without a file, before filling. `temp_dir` is the system's directory for temporary files.
#[must_use]
pub fn no_file(temp_dir: &str) -> Config {
    let mut config = Config::default();
    super::value::Setting::arm(&mut config);
    config.version = 1;
    config.mode = "balanced".to_owned();
    config.api_allowlist = List::from(ALLOWED_WITHOUT_FILE);
    config.internal = List::from(INTERNAL_WITHOUT_FILE);
    no_file_proxies(&mut config);
    no_file_content(&mut config);
    no_file_sessions(&mut config);

    config.logging.format = "json".to_owned();
    config.logging.output = "stdout".to_owned();
    config.rules.min_confidence = "medium".to_owned();
    config.flight_recorder.checkpoint_interval = 1000;
    config.flight_recorder.max_entries_per_file = 10_000;
    let scan = &mut config.scan_api;
    scan.rate_limit = ScanApiRateLimit { requests_per_minute: 600, burst: 50 };
    scan.max_body_bytes = 1_048_576;
    scan.field_limits = ScanApiFieldLimits { url: 8192, text: 524_288, content: 524_288, arguments: 524_288 };
    scan.timeouts = ScanApiTimeouts { read: "2s".to_owned(), write: "2s".to_owned(), scan: "5s".to_owned() };
    scan.connection_limit = 100;

    config.git_protection.allowed_branches = List::from(BRANCHES);
    config.mcp_input_scanning.on_parse_error = "block".to_owned();
    config.mcp_ws_listener.max_connections = 100;
    config.mcp_tool_policy.quarantine_dir = super::grammar::join_path(temp_dir, "pipelock-quarantine");
    config.mcp_binary_integrity.action = "warn".to_owned();
    config.mcp_tool_provenance.action = "warn".to_owned();
    config.mcp_tool_provenance.mode = "pipelock".to_owned();
    config.a2a_scanning.action = "warn".to_owned();
    config.a2a_scanning.max_context_messages = 100;
    config.a2a_scanning.max_contexts = 1000;
    config.a2a_scanning.max_raw_size = 1_048_576;
    config
}

fn no_file_proxies(config: &mut Config) {
    let mut filled = config.clone();
    fill_proxies(&mut filled);
    config.fetch_proxy = filled.fetch_proxy;
    config.fetch_proxy.monitoring.blocklist = List::from(BLOCKED_WITHOUT_FILE);
    config.fetch_proxy.monitoring.subdomain_entropy_exclusions = List::from(Vec::new());
    config.forward_proxy = filled.forward_proxy;
    config.forward_proxy.sni_verification = Some(true);
    config.websocket_proxy = filled.websocket_proxy;
    config.tls_interception = filled.tls_interception;
}

fn no_file_content(config: &mut Config) {
    config.dlp.patterns = patterns::builtin_dlp().into();
    let response = &mut config.response_scanning;
    response.action = "warn".to_owned();
    response.patterns = patterns::builtin_response().into();
    response.sse_streaming.action = "block".to_owned();
    response.sse_streaming.max_event_bytes = 65_536;
    let body = &mut config.request_body_scanning;
    body.action = "warn".to_owned();
    body.max_body_bytes = 5_242_880;
    body.header_mode = "sensitive".to_owned();
    body.sensitive_headers = List::from(SENSITIVE_HEADERS);
    let seed = &mut config.seed_phrase_detection;
    *seed = SeedPhraseDetection { enabled: Some(true), min_words: 12, verify_checksum: Some(true) };
    config.redaction.limits =
        RedactionLimits { max_body_bytes: 10_485_760, max_redactions_per_request: 10_000, max_depth: 64 };
    let shield = &mut config.browser_shield;
    shield.strictness = "standard".to_owned();
    shield.oversize_action = "block".to_owned();
    shield.max_shield_bytes = 5_242_880;
    shield.strip_extension_probing = true;
    shield.strip_hidden_traps = true;
    shield.strip_tracking_pixels = true;
    shield.exempt_domains =
        List::from(&["challenges.cloudflare.com", "hcaptcha.com", "www.recaptcha.net"] as &[&str]);
}

fn no_file_sessions(config: &mut Config) {
    config.session_profiling.max_sessions = 1000;
    config.session_profiling.session_ttl_minutes = 30;
    config.session_profiling.cleanup_interval_seconds = 60;
    let airlock = &mut config.airlock;
    airlock.triggers.on_elevated = "none".to_owned();
    airlock.triggers.on_high = "soft".to_owned();
    airlock.triggers.on_critical = "hard".to_owned();
    airlock.triggers.anomaly_window_minutes = 5;
    airlock.timers =
        AirlockTimers { soft_minutes: 10, hard_minutes: 5, drain_minutes: 2, drain_timeout_seconds: 30 };
    airlock.tool_freeze = AirlockToolFreeze { snapshot_on_entry: true, allow_cached_tools: true };
    let taint = &mut config.taint;
    taint.policy = "balanced".to_owned();
    taint.recent_sources = 10;
    taint.allowlisted_domains = List::from(TAINT_ALLOWLIST);
    taint.protected_paths = List::from(TAINT_PROTECTED);
    taint.elevated_paths = List::from(TAINT_ELEVATED);
    let baseline = &mut config.behavioral_baseline;
    baseline.learning_window = 10;
    baseline.deviation_action = "warn".to_owned();
    baseline.sensitivity_sigma = 2.0;
    baseline.seasonality_mode = "none".to_owned();
}
