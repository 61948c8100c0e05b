//! The worked pairs of the specification (config §2.12) and the put-backs of §9.4 and §11.6.

use std::path::Path;

use super::*;
use crate::config::{Config, Edition, Surroundings};

fn load(yaml: &str) -> Config {
    let surroundings = Surroundings { edition: Edition::Core, ..Surroundings::default() };
    match Config::parse_in(yaml.as_bytes(), Path::new("/nowhere"), &surroundings) {
        Ok(loaded) => loaded.config,
        Err(error) => panic!("{yaml:?}: {error}"),
    }
}

#[test]
fn warns_about_each_weakened_protection_in_order() {
    const STRICT: &str = "mode: strict\napi_allowlist: [a]\n";
    let redacted = |profile: &str| {
        format!(
            "redaction: {{enabled: true, default_profile: {profile}, profiles: {{p: {{classes: [ipv4]}}, q: {{classes: [mac]}}}}}}"
        )
    };
    let pairs: &[(&str, String, String, &[&str])] = &[
        ("R01", "mode: balanced".into(), "mode: audit\nenforce: false".into(), &["mode", "enforce"]),
        ("R02", STRICT.into(), "mode: balanced\napi_allowlist: [a]".into(), &["mode"]),
        ("R03", STRICT.into(), "mode: strict\napi_allowlist: [a, b, c]".into(), &[]),
        ("R04", STRICT.into(), format!("{STRICT}dlp: {{patterns: [{{name: X, regex: y}}]}}"), &["sentry"]),
        ("R05", "mode: balanced".into(), "dlp: {patterns: [{name: X, regex: y}]}".into(), &["sentry"]),
        (
            "R06",
            format!("{STRICT}response_scanning: {{action: block}}\nrequest_body_scanning: {{action: block}}"),
            format!(
                "{STRICT}response_scanning: {{action: warn}}\nrequest_body_scanning: {{action: warn, scan_headers: false}}\nsuppress: [{{rule: x, path: \"*\"}}]"
            ),
            &[],
        ),
        ("R07", STRICT.into(), format!("{STRICT}sentry: {{dsn: \"https://x\"}}"), &["sentry.dsn"]),
        (
            "R08",
            "dlp: {patterns: [{name: X, regex: a}, {name: Y, regex: b}]}".into(),
            "dlp: {patterns: [{name: X, regex: c}, {name: Y, regex: b}]}".into(),
            &["dlp.patterns", "sentry"],
        ),
        ("R09", "{}".into(), "internal: []".into(), &["internal"]),
        (
            "R10",
            "{}".into(),
            "trusted_domains: [a.b]\nssrf: {ip_allowlist: [10.0.0.0/8]}".into(),
            &["trusted_domains", "ssrf.ip_allowlist"],
        ),
        (
            "R11",
            "ssrf: {ip_allowlist: [10.0.0.0/8]}".into(),
            "ssrf: {ip_allowlist: [10.1.0.0/16]}".into(),
            &[],
        ),
        (
            "R12",
            "response_scanning: {exempt_domains: [a.b, c.d]}".into(),
            "response_scanning: {exempt_domains: [a.b]}".into(),
            &[],
        ),
        (
            "R13",
            "response_scanning: {exempt_domains: [a.b]}".into(),
            "response_scanning: {}".into(),
            &["response_scanning.exempt_domains"],
        ),
        (
            "R14",
            "media_policy: {allowed_image_types: [image/png]}".into(),
            "media_policy: {}".into(),
            &["media_policy.allowed_image_types"],
        ),
        (
            "R15",
            "seed_phrase_detection: {min_words: 24}".into(),
            "seed_phrase_detection: {min_words: 12, verify_checksum: false}".into(),
            &["seed_phrase_detection.verify_checksum", "seed_phrase_detection.min_words"],
        ),
        (
            "R16",
            "tls_interception: {passthrough_domains: [a.b]}".into(),
            "tls_interception: {passthrough_domains: [a.b, c.d]}".into(),
            &[],
        ),
        (
            "R17",
            "fetch_proxy: {listen: \":1\"}\nlogging: {format: json}".into(),
            "fetch_proxy: {listen: \":2\", timeout_seconds: 5}\nlogging: {format: text}".into(),
            &[],
        ),
        ("R18", "forward_proxy: {enabled: true}".into(), "{}".into(), &["forward_proxy.enabled"]),
        ("R20", "{}".into(), "metrics_listen: \":9\"".into(), &["metrics_listen"]),
        ("R21", redacted("p"), redacted("q"), &["redaction.default_profile"]),
        ("R22", "mediation_envelope: {enabled: true}".into(), "{}".into(), &["mediation_envelope.enabled"]),
        (
            "R23",
            "taint: {policy: strict}".into(),
            "taint: {policy: balanced, protected_paths: [\"*/auth/*\"], allowlisted_domains: [x.y]}".into(),
            &["taint.policy", "taint.allowlisted_domains", "taint.protected_paths"],
        ),
        ("R24", "emit: {webhook: {url: \"http://x\"}}".into(), "{}".into(), &["emit.webhook.url"]),
    ];
    for (id, old, new, fields) in pairs {
        let warnings = comparison(&load(old), &load(new));
        let named: Vec<&str> = warnings.iter().map(|warning| warning.field.as_str()).collect();
        assert_eq!(&named, fields, "{id}: {old:?} to {new:?}: {warnings:?}");
    }
}

#[test]
fn says_what_changed() {
    let warning = |old: &str, new: &str| comparison(&load(old), &load(new)).swap_remove(0).line();
    assert_eq!(
        warning("mode: balanced", "mode: audit"),
        "WARNING: config reload: mode - mode downgraded from balanced to audit"
    );
    assert_eq!(
        warning(
            "dlp: {patterns: [{name: X, regex: a}, {name: Y, regex: b}]}",
            "dlp: {patterns: [{name: X, regex: c}]}"
        ),
        "WARNING: config reload: dlp.patterns - DLP patterns removed or regex-swapped on reload: X (regex changed), Y"
    );
    let grant = |until: &str| {
        format!("taint: {{trust_overrides: [{{scope: source, source_match: \" A \", expires_at: {until}}}]}}")
    };
    assert_eq!(
        warning(&grant("2030-01-02"), &grant("2031-01-02T03:04:05+02:00")),
        "WARNING: config reload: taint.trust_overrides - taint trust overrides added: \
         scope=source source=a expires_at=2031-01-02T01:04:05Z"
    );
}

#[test]
fn refuses_to_switch_listeners_on() {
    for (section, text) in [("forward_proxy", "forward proxy"), ("websocket_proxy", "WebSocket proxy")] {
        let on = load(&format!("{section}: {{enabled: true}}"));
        let refused = format!("rejected: {text} cannot be enabled via reload (requires restart)");
        assert_eq!(rejection(&load("{}"), &on), Some(refused.as_str()), "{section}");
        assert_eq!(rejection(&on, &load("{}")), None, "{section}");
    }
}

#[test]
fn puts_back_what_only_a_restart_can_change() {
    let running = load("metrics_listen: \":9\"\nscan_api: {connection_limit: 5}");
    let mut new = load(
        "metrics_listen: \":10\"\nkill_switch: {api_listen: \":11\", api_token: t}\nscan_api: {connection_limit: 6, timeouts: {scan: 9s}}\nflight_recorder: {signing_key_path: k}",
    );
    assert_eq!(
        put_back(&running, &mut new),
        [
            "WARNING: config reload: kill_switch.api_listen changed from \"\" to \":11\" — requires restart, ignoring",
            "WARNING: config reload: metrics_listen changed from \":9\" to \":10\" — requires restart, ignoring",
            "WARNING: config reload: scan_api listener settings changed — requires restart, ignoring",
            "WARNING: config reload: flight_recorder.signing_key_path changed from \"\" to \"k\" — receipt chain cannot \
             rotate at runtime, ignoring (restart required)",
        ]
    );
    assert_eq!(new.metrics_listen, ":9");
    assert_eq!(new.scan_api.timeouts.scan, "5s");
    assert!(comparison(&running, &new).is_empty(), "nothing is left to warn about");
}

#[test]
fn keeps_agents_on_their_listeners() {
    let running = load("agents: {a: {listeners: [\":1\"]}, b: {listeners: [\":2\"]}}");
    let mut new = load("agents: {a: {listeners: [\":3\"], mode: audit}, c: {listeners: [\":4\"]}}");
    let result = put_back_listeners(&running, &mut new);
    assert_eq!(
        result.lines,
        ["WARNING: config reload: agents[*].listeners changed — requires restart, ignoring listener changes"]
    );
    let listeners: Vec<_> =
        new.agents.iter().map(|(name, agent)| (name.as_str(), agent.listeners.to_vec())).collect();
    assert_eq!(listeners, [("a", vec![":1".into()]), ("b", vec![":2".into()]), ("c", vec![])]);
    assert_eq!(new.agents["a"].mode, "audit");

    let mut none = load("{}");
    let result = put_back_listeners(&running, &mut none);
    assert!(result.close_agent_listeners);
    assert_eq!(result.lines, ["pipelock: license revoked agents, shutting down agent listeners"]);

    let mut other_key = load("license_key: other\nagents: {z: {mode: strict}}");
    let result = put_back_listeners(&running, &mut other_key);
    assert_eq!(result.lines.len(), 1, "{result:?}");
    assert_eq!(other_key.agents, running.agents);
    assert!(other_key.license_key.is_empty());
}

#[test]
fn names_what_waits_for_a_restart() {
    let running = load("{}");
    let new = load("fetch_proxy: {listen: \":1\", timeout_seconds: 5}\nlogging: {format: text}");
    let changed = ["fetch_proxy.listen", "fetch_proxy.timeout_seconds", "logging settings"];
    let lines =
        changed.map(|what| format!("WARNING: config reload: {what} changed — requires restart, ignoring"));
    assert_eq!(ignored_until_restart(&running, &new), lines);
    let exact = load("muselet: {strictness: reference}\nfetch_proxy: {timeout_seconds: 5}");
    assert!(ignored_until_restart(&exact, &new).is_empty());
    assert_eq!(ignored_until_restart(&running, &exact).len(), 2);
}
