//! Checks of what is looked for. Spec: config §5.5-5.9, §5.18, §5.23.

use std::collections::HashSet;

use super::{Context, choice, ensure, permissions, regex};
use crate::Strictness;
use crate::config::domains;
use crate::config::grammar::{os_error, quoted};
use crate::config::schema::{CanaryTokens, Config, DlpPattern};

/// Checks on what a pattern matched.
pub const VALIDATORS: &[&str] = &["luhn", "mod97", "aba", "wif"];

pub fn dlp(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let action = &config.dlp.action;
    ensure(action.is_empty(), || {
        format!(
            "dlp.action {} is not supported; DLP match behavior depends on the calling surface \
             (request_body_scanning.action for HTTP bodies/headers, mcp_input_scanning.action for MCP input, \
             enforce/audit mode for URL scanning, and response_scanning.action only for inbound prompt-injection \
             response scanning)",
            quoted(action)
        )
    })?;
    let strictness = config.muselet.strictness;
    config.dlp.patterns.iter_mut().try_for_each(|entry| pattern(entry, strictness))?;
    canary_tokens(&mut config.canary_tokens).map_err(|error| format!("canary_tokens: {error}"))?;
    secrets_file(&config.dlp.secrets_file)
}

fn pattern(pattern: &mut DlpPattern, strictness: Strictness) -> Result<(), String> {
    let name = quoted(&pattern.name);
    ensure(!pattern.name.is_empty(), || "DLP pattern missing name".to_owned())?;
    ensure(!pattern.regex.is_empty(), || format!("DLP pattern {name} missing regex"))?;
    // What is built in is valid by its own tests, and compiling it here would only cost start-up time.
    if !pattern.compiled {
        regex(&pattern.regex).map_err(|error| format!("DLP pattern {name} has invalid regex: {error}"))?;
    }
    let action = &pattern.action;
    ensure(action.is_empty() || action == "warn", || {
        let action = quoted(action);
        format!(
            "DLP pattern {name} has unsupported action {action}; only \"warn\" is allowed as a per-pattern action"
        )
    })?;
    let validator = &pattern.validator;
    ensure(validator.is_empty() || VALIDATORS.contains(&validator.as_str()), || {
        let validator = quoted(validator);
        format!("DLP pattern {name} has unknown validator {validator} (valid: luhn, mod97, aba, wif)")
    })?;
    domains::check(&format!("DLP pattern {name} exempt_domains"), &mut pattern.exempt_domains, strictness)
}

fn canary_tokens(canary: &mut CanaryTokens) -> Result<(), String> {
    ensure(!canary.enabled || !canary.tokens.is_empty(), || {
        "canary_tokens.enabled is true but canary_tokens.tokens is empty".to_owned()
    })?;
    let (mut names, mut values) = (HashSet::new(), HashSet::new());
    for (i, token) in canary.tokens.iter_mut().enumerate() {
        let at = |rest: &str| format!("canary_tokens.tokens[{i}].{rest}");
        token.name = token.name.trim().to_owned();
        let value = token.value.expose().trim().to_owned();
        token.env_var = token.env_var.trim().to_owned();
        ensure(!token.name.is_empty(), || at("name is required"))?;
        ensure(!value.is_empty(), || at("value is required"))?;
        ensure(value.len() >= 8, || at("value must be at least 8 characters"))?;
        let fresh = names.insert(crate::config::grammar::lower(&token.name));
        ensure(fresh, || at(&format!("name {} is duplicated", quoted(&token.name))))?;
        ensure(values.insert(value.clone()), || at("value is duplicated"))?;
        let named = token.env_var.is_empty() || is_variable_name(&token.env_var);
        ensure(named, || at(&format!("env_var {} is invalid", quoted(&token.env_var))))?;
        token.value = value.into();
    }
    Ok(())
}

fn is_variable_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn secrets_file(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Ok(());
    }
    let shown = quoted(path);
    let metadata = std::fs::metadata(path)
        .map_err(|error| format!("secrets_file {shown}: stat {path}: {}", os_error(&error)))?;
    let mode = permissions(&metadata);
    ensure(mode & 0o037 == 0, || {
        format!("secrets_file {shown} has unsafe permissions (mode {mode:04o}): restrict to 0600 or 0640")
    })
}

pub fn response(config: &mut Config, context: &mut Context<'_>) -> Result<(), String> {
    let strictness = config.muselet.strictness;
    let response = &mut config.response_scanning;
    if response.enabled {
        choice("response_scanning action", &response.action, &["strip", "warn", "block", "ask"])?;
        for pattern in &response.patterns {
            let name = quoted(&pattern.name);
            ensure(!pattern.name.is_empty(), || "response scanning pattern missing name".to_owned())?;
            ensure(!pattern.regex.is_empty(), || format!("response scanning pattern {name} missing regex"))?;
            if !pattern.compiled {
                regex(&pattern.regex).map_err(|error| {
                    format!("response scanning pattern {name} has invalid regex: {error}")
                })?;
            }
        }
    }
    domains::check("response_scanning.exempt_domains", &mut response.exempt_domains, strictness)?;
    if !response.enabled && !response.exempt_domains.is_empty() {
        let message = "configured but response_scanning is disabled — these will take effect when enabled";
        context.advise("response_scanning.exempt_domains", message.to_owned());
    }
    let sse = &response.sse_streaming;
    if !sse.enabled {
        return Ok(());
    }
    if !sse.action.is_empty() {
        choice("response_scanning.sse_streaming action", &sse.action, &["block", "warn"])?;
    }
    ensure(sse.max_event_bytes >= 0, || {
        let bytes = sse.max_event_bytes;
        format!(
            "response_scanning.sse_streaming.max_event_bytes must be >= 0 (0 means use default), got {bytes}"
        )
    })
}

pub fn request_body(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let body = &config.request_body_scanning;
    if !body.enabled {
        return Ok(());
    }
    choice("request_body_scanning.action", &body.action, &["warn", "block"])?;
    ensure(body.max_body_bytes > 0, || "request_body_scanning.max_body_bytes must be positive".to_owned())?;
    choice("request_body_scanning.header_mode", &body.header_mode, &["sensitive", "all"])
}

pub fn seed_phrase(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let seed = &config.seed_phrase_detection;
    if !seed.is_enabled() {
        return Ok(());
    }
    ensure(matches!(seed.min_words, 12 | 15 | 18 | 21 | 24), || {
        format!("invalid seed_phrase_detection.min_words {}: must be 12, 15, 18, 21, or 24", seed.min_words)
    })
}

pub fn cross_request(config: &mut Config, context: &mut Context<'_>) -> Result<(), String> {
    let strictness = config.muselet.strictness;
    let cross = &mut config.cross_request_detection;
    domains::check(
        "cross_request_detection.entropy_budget.exempt_domains",
        &mut cross.entropy_budget.exempt_domains,
        strictness,
    )?;
    if !cross.enabled {
        if !cross.entropy_budget.exempt_domains.is_empty() {
            let message =
                "configured but cross_request_detection is disabled — these will take effect when enabled";
            context.advise("cross_request_detection.entropy_budget.exempt_domains", message.to_owned());
        }
        return Ok(());
    }
    choice("cross_request_detection.action", &cross.action, &["block", "warn"])?;
    ensure(cross.entropy_budget.enabled || cross.fragment_reassembly.enabled, || {
        "cross_request_detection.enabled is true but both entropy_budget and fragment_reassembly are disabled \
         (silent no-op)"
            .to_owned()
    })?;
    if cross.entropy_budget.enabled {
        let action = &cross.entropy_budget.action;
        choice("cross_request_detection.entropy_budget.action", action, &["block", "warn"])?;
    }
    Ok(())
}

pub fn address_protection(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let address = &config.address_protection;
    if !address.enabled {
        return Ok(());
    }
    choice("address_protection.action", &address.action, &["block", "warn"])?;
    choice("address_protection.unknown_action", &address.unknown_action, &["allow", "warn", "block"])?;
    let chains = &address.chains;
    ensure(
        chains.eth_enabled() || chains.btc_enabled() || chains.sol_enabled() || chains.bnb_enabled(),
        || "address_protection.enabled is true but all chains are disabled (silent no-op)".to_owned(),
    )
}
