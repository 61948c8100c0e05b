//! Checks of logging, emission, admin listeners, bundles, recorder, identity. Spec: config §5.1, §5.13-5.17, §5.24, §5.30, §5.31.

use super::{Context, choice, ensure};
use crate::Strictness;
use crate::config::grammar::{cidr, duration, glob, host_port, lower, quoted, url_with_host};
use crate::config::schema::{Config, TrustedKey};

const SEVERITIES: &[&str] = &["info", "warn", "critical"];

const FACILITIES: &[&str] = &[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "local0", "local1", "local2",
    "local3", "local4", "local5", "local6", "local7",
];

pub fn logging(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let logging = &config.logging;
    choice("logging format", &logging.format, &["json", "text"])?;
    choice("logging output", &logging.output, &["stdout", "file", "both"])?;
    ensure(logging.output == "stdout" || !logging.file.is_empty(), || {
        format!("logging.file is required when output is {}", quoted(&logging.output))
    })
}

pub fn suppress(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    for (i, entry) in config.suppress.iter().enumerate() {
        ensure(!entry.rule.is_empty(), || format!("suppress entry {i} missing required field \"rule\""))?;
        let name = format!("suppress entry {i} ({})", entry.rule);
        ensure(!entry.path.is_empty(), || format!("{name} missing required field \"path\""))?;
        if entry.path.contains(['*', '?', '[']) {
            glob(&entry.path.replace('\\', "/")).map_err(|error| {
                format!("{name} has invalid path pattern {}: {error}", quoted(&entry.path))
            })?;
        }
    }
    Ok(())
}

pub fn kill_switch(config: &mut Config, context: &mut Context<'_>) -> Result<(), String> {
    let switch = &config.kill_switch;
    if !switch.api_listen.is_empty() {
        let (_, port) = listener("kill_switch.api_listen", &switch.api_listen)?;
        // D-302: the environment's token wins at run time, so it is as good as one in the file.
        let hardened = config.muselet.strictness == Strictness::Hardened;
        let in_environment = hardened && context.surroundings.has_kill_switch_token;
        ensure(!switch.api_token.is_empty() || in_environment, || {
            "kill_switch.api_listen requires kill_switch.api_token to be set".to_owned()
        })?;
        differs_from_main("kill_switch.api_listen", port, config)?;
    }
    for range in &switch.allowlist_ips {
        cidr(range)
            .map_err(|error| format!("invalid kill_switch.allowlist_ips CIDR {}: {error}", quoted(range)))?;
    }
    Ok(())
}

pub fn metrics_listen(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    if config.metrics_listen.is_empty() {
        return Ok(());
    }
    let (_, port) = listener("metrics_listen", &config.metrics_listen)?;
    differs_from_main("metrics_listen", port, config)?;
    if config.kill_switch.api_listen.is_empty() {
        return Ok(());
    }
    let (_, other) = listener("kill_switch.api_listen", &config.kill_switch.api_listen)?;
    ensure(port != other, || {
        format!("metrics_listen port {port} collides with kill_switch.api_listen port {other}")
    })
}

fn listener<'t>(name: &str, text: &'t str) -> Result<(&'t str, &'t str), String> {
    host_port(text).map_err(|error| format!("invalid {name} {}: {error}", quoted(text)))
}

/// Ports are compared as text and hosts not at all.
fn differs_from_main(name: &str, port: &str, config: &Config) -> Result<(), String> {
    let (_, main) = listener("fetch_proxy.listen", &config.fetch_proxy.listen)?;
    ensure(port != main, || format!("{name} port {port} collides with fetch_proxy.listen port {main}"))
}

pub fn emit(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let webhook = &config.emit.webhook;
    if !webhook.url.is_empty() {
        http_url("emit.webhook.url", &webhook.url)?;
        choice("emit.webhook.min_severity", &webhook.min_severity, SEVERITIES)?;
    }
    let syslog = &config.emit.syslog;
    if !syslog.address.is_empty() {
        let shown = quoted(&syslog.address);
        let url = url_with_host(&syslog.address, &["udp", "tcp"]).ok_or_else(|| {
            format!("invalid emit.syslog.address {shown}: must be udp:// or tcp:// with host:port")
        })?;
        let host = String::from_utf8_lossy(&url.host);
        host_port(&host).map_err(|error| {
            format!("invalid emit.syslog.address {shown}: must include port (e.g. udp://host:514): {error}")
        })?;
        choice("emit.syslog.min_severity", &syslog.min_severity, SEVERITIES)?;
        ensure(FACILITIES.contains(&lower(&syslog.facility).as_str()), || {
            format!("invalid emit.syslog.facility {}", quoted(&syslog.facility))
        })?;
    }
    let otlp = &config.emit.otlp;
    if !otlp.endpoint.is_empty() {
        http_url("emit.otlp.endpoint", &otlp.endpoint)?;
        choice("emit.otlp.min_severity", &otlp.min_severity, SEVERITIES)?;
    }
    Ok(())
}

fn http_url(name: &str, text: &str) -> Result<(), String> {
    ensure(url_with_host(text, &["http", "https"]).is_some(), || {
        format!("invalid {name} {}: must be http:// or https:// with a host", quoted(text))
    })
}

pub fn sentry(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let Some(rate) = config.sentry.sample_rate else { return Ok(()) };
    ensure(!rate.is_nan(), || "invalid sentry.sample_rate: NaN not allowed".to_owned())?;
    ensure((0.0..=1.0).contains(&rate), || {
        let shown = match rate {
            f64::INFINITY => "+Inf".to_owned(),
            f64::NEG_INFINITY => "-Inf".to_owned(),
            rate => format!("{rate:.6}"),
        };
        format!("invalid sentry.sample_rate {shown}: must be between 0.0 and 1.0")
    })
}

pub fn rules(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let rules = &mut config.rules;
    ensure(["high", "medium", "low"].contains(&rules.min_confidence.as_str()), || {
        format!("rules: min_confidence {} must be high, medium, or low", quoted(&rules.min_confidence))
    })?;
    for (i, entry) in rules.disabled.iter_mut().enumerate() {
        *entry = entry.trim().to_owned();
        let shown = quoted(entry);
        ensure(!entry.is_empty(), || format!("rules: disabled[{i}] must be non-empty"))?;
        match entry.split_once(':') {
            Some((bundle, rule)) => ensure(!bundle.is_empty() && !rule.is_empty(), || {
                format!("rules: disabled[{i}] {shown} must be bundle:rule or a glob pattern")
            })?,
            None => ensure(entry.contains(['*', '?']), || {
                format!(
                    "rules: disabled[{i}] {shown} must contain ':' (namespaced) or be a glob pattern with * or ?"
                )
            })?,
        }
    }
    for (i, key) in rules.trusted_keys.iter().enumerate() {
        trusted_key(key).map_err(|error| format!("rules: trusted_keys[{i}] {error}"))?;
    }
    Ok(())
}

fn trusted_key(key: &TrustedKey) -> Result<(), String> {
    ensure(!key.name.is_empty(), || "name must be non-empty".to_owned())?;
    let name = quoted(&key.name);
    let hex = &key.public_key;
    ensure(hex.len() == 64, || format!("{name} public_key must be exactly 64 hex chars"))?;
    ensure(lower(hex) == *hex, || format!("{name} public_key must be lowercase hex"))?;
    match hex.bytes().find(|byte| !byte.is_ascii_hexdigit()) {
        Some(byte) => {
            let byte = char::from(byte);
            Err(format!(
                "{name} public_key invalid hex: encoding/hex: invalid byte: U+{:04X} '{byte}'",
                u32::from(byte)
            ))
        }
        None => Ok(()),
    }
}

pub fn scan_api(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let scan = &config.scan_api;
    if scan.listen.is_empty() {
        return Ok(());
    }
    let tokens = &scan.auth.bearer_tokens;
    ensure(!tokens.is_empty(), || {
        "scan_api.auth.bearer_tokens required when scan_api.listen is set".to_owned()
    })?;
    for (i, token) in tokens.iter().enumerate() {
        ensure(!token.expose().trim().is_empty(), || {
            format!("scan_api.auth.bearer_tokens[{i}] must be non-empty")
        })?;
    }
    ensure(scan.max_body_bytes >= 0, || "scan_api.max_body_bytes must be >= 0".to_owned())?;
    ensure(scan.connection_limit >= 0, || "scan_api.connection_limit must be >= 0".to_owned())?;
    let timeouts =
        [("scan", &scan.timeouts.scan), ("read", &scan.timeouts.read), ("write", &scan.timeouts.write)];
    for (key, text) in timeouts {
        let value = duration(text).map_err(|error| format!("scan_api.timeouts.{key}: {error}"))?;
        ensure(value > 0, || format!("scan_api.timeouts.{key} must be positive"))?;
    }
    Ok(())
}

pub fn flight_recorder(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let recorder = &config.flight_recorder;
    if !recorder.enabled {
        return Ok(());
    }
    ensure(!recorder.dir.is_empty(), || "flight_recorder.dir is required when enabled".to_owned())?;
    ensure(recorder.retention_days >= 0, || {
        "flight_recorder.retention_days must be non-negative".to_owned()
    })?;
    ensure(!recorder.raw_escrow || !recorder.escrow_public_key.is_empty(), || {
        "flight_recorder.escrow_public_key is required when raw_escrow is enabled".to_owned()
    })
}

pub fn identity(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let identity = &config.default_agent_identity;
    ensure(!config.bind_default_agent_identity || !identity.is_empty(), || {
        "bind_default_agent_identity requires default_agent_identity".to_owned()
    })?;
    ensure(identity.trim() == identity, || {
        "default_agent_identity must not contain leading or trailing whitespace".to_owned()
    })
}
