//! D-303: remarks on settings that are valid and do not do what they seem to. Spec: config §13.1, §15 items 1, 9, 10, 24.
//!
//! Only in hardened mode: what the reference prints at start is compared by scripts.

use std::net::IpAddr;

use muselet_rules::{dlp, injection};

use super::Context;
use super::quoted;
use crate::Strictness;
use crate::config::defaults::ALLOWED_WITHOUT_FILE;
use crate::config::schema::Config;
use crate::policy::response::same_name;

/// A remark: on which key, when, and what to say.
type Remark = (&'static str, fn(&Config) -> bool, &'static str);

const REMARKS: &[Remark] = &[
    ("version", |config| config.version != 1, "not interpreted - this is version 1 of the layout"),
    (
        "api_allowlist",
        |config| {
            let listed = &config.api_allowlist;
            !config.is_strict() && !listed.is_empty() && !listed.iter().eq(ALLOWED_WITHOUT_FILE)
        },
        "other hosts are reachable, too - only mode: strict keeps to it",
    ),
    (
        "kill_switch.api_token",
        |config| config.kill_switch.api_token.expose().starts_with("${"),
        "variables are not substituted - PIPELOCK_KILLSWITCH_API_TOKEN sets it from the environment",
    ),
    (
        "request_body_scanning.sensitive_headers",
        |config| config.request_body_scanning.sensitive_headers.iter().any(|name| !is_header(name)),
        "no header has such a name - write names alone, such as Authorization",
    ),
    (
        "mode",
        |config| config.mode == "audit" && config.enforces(),
        "audit blocks like balanced - set enforce: false to detect without blocking",
    ),
    (
        "browser_shield.exempt_domains",
        |config| config.browser_shield.enabled && any_wildcard(&config.browser_shield.exempt_domains),
        "wildcards never match here - list each host",
    ),
    (
        "airlock.triggers",
        |config| {
            let triggers = &config.airlock.triggers;
            let tiers = [&triggers.on_elevated, &triggers.on_high, &triggers.on_critical];
            config.airlock.enabled && tiers.iter().all(|tier| *tier == "none")
        },
        "all are none - the airlock is enabled and never entered",
    ),
    (
        "airlock.triggers.on_severity",
        |config| !config.airlock.triggers.on_severity.is_empty(),
        "has no effect",
    ),
    (
        "session_profiling.volume_spike_ratio",
        |config| {
            config.session_profiling.enabled
                && !matches!(config.session_profiling.volume_spike_ratio, 0.0 | 3.0)
        },
        "has no effect",
    ),
    (
        "fetch_proxy.listen",
        |config| !is_address(&config.fetch_proxy.listen),
        "nothing can listen there - write address:port, for example 127.0.0.1:8888",
    ),
    (
        "bind_default_agent_identity",
        |config| {
            let profiling = config.session_profiling.enabled && config.adaptive_enforcement.enabled;
            (profiling || config.cross_request_detection.enabled) && !config.bind_default_agent_identity
        },
        "clients begin another session under another X-Pipelock-Agent - where there is one agent, set default_agent_identity and true",
    ),
    (
        "behavioral_baseline",
        |config| config.behavioral_baseline.enabled && !config.session_profiling.enabled,
        "nothing is learned without session_profiling.enabled",
    ),
    (
        "behavioral_baseline.deviation_action",
        |config| config.behavioral_baseline.enabled,
        "has no effect - profiles are written for you to read, and nothing is compared with them",
    ),
    (
        "behavioral_baseline.seasonality_mode",
        |config| {
            let baseline = &config.behavioral_baseline;
            baseline.enabled && baseline.seasonality_mode != "none"
        },
        "nothing is learned in this mode - only in none",
    ),
    ("redaction.strict_reload", |config| config.redaction.strict_reload, "has no effect"),
];

fn is_header(name: &str) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
}

fn any_wildcard(hosts: &[String]) -> bool {
    hosts.iter().any(|host| host.contains('*'))
}

/// Whether it is an address to listen on, with a port.
fn is_address(listen: &str) -> bool {
    let is_port = |(host, port): (&str, &str)| !host.contains('/') && port.parse::<u16>().is_ok();
    listen.rsplit_once(':').is_some_and(is_port)
}

/// Why an entry of a host list that the reference does not check can match nothing; none when it can.
fn never_matches(entry: &str) -> Option<&'static str> {
    let name = entry.strip_prefix("*.").unwrap_or(entry);
    let is_address = name.parse::<IpAddr>().is_ok();
    if name.contains(['$', '{', '}']) {
        Some("variables are not substituted here")
    } else if name.contains(['/', '@', '[', ']']) || (name.contains(':') && !is_address) {
        Some("write the name alone, without scheme, port, path or range")
    } else if name.contains(['*', '?']) {
        Some("the only wildcard is a leading *.")
    } else if name.is_empty() || name.starts_with('.') || name.contains(char::is_whitespace) {
        Some("write an exact name or *.example.com")
    } else if !name.is_ascii() {
        Some("names are asked for in their ASCII form: write it as xn--")
    } else {
        None
    }
}

/// Why an entry of `suppress` for this rule drops no finding; none when it may.
fn never_suppresses(rule: &str, config: &Config) -> Option<&'static str> {
    let is_it = |name: &str| same_name(name, rule);
    let about_responses = || {
        config.response_scanning.patterns.iter().any(|pattern| is_it(&pattern.name))
            || injection::core_rules().iter().any(|spec| is_it(&spec.name))
    };
    let about_requests = || {
        config.dlp.patterns.iter().any(|pattern| is_it(&pattern.name))
            || dlp::core_rules().iter().any(|spec| is_it(&spec.name))
    };
    if about_responses() {
        None
    } else if about_requests() {
        Some("only findings in responses are suppressed - for requests, see exempt_domains of the pattern")
    } else {
        Some("no rule of response_scanning has this name")
    }
}

pub fn without_effect(config: &mut Config, context: &mut Context<'_>) -> Result<(), String> {
    if config.muselet.strictness == Strictness::Hardened {
        for (field, applies, message) in REMARKS {
            if applies(config) {
                context.advise(field, (*message).to_owned());
            }
        }
        for (i, entry) in config.suppress.iter().enumerate() {
            if let Some(why) = never_suppresses(&entry.rule, config) {
                context.advise("suppress", format!("[{i}] {} has no effect - {why}", quoted(&entry.rule)));
            }
        }
        let monitoring = &config.fetch_proxy.monitoring;
        for (field, list) in [
            ("api_allowlist", &config.api_allowlist),
            ("fetch_proxy.monitoring.blocklist", &monitoring.blocklist),
            ("tls_interception.passthrough_domains", &config.tls_interception.passthrough_domains),
            ("forward_proxy.redirect_websocket_hosts", &config.forward_proxy.redirect_websocket_hosts),
        ] {
            for (i, entry) in list.iter().enumerate() {
                if let Some(why) = never_matches(entry) {
                    context.advise(field, format!("[{i}] {} matches no host - {why}", quoted(entry)));
                }
            }
        }
    }
    Ok(())
}
