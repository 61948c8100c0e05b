//! Checks of the sections of other programs. Spec: config §6.

use super::{Context, choice, ensure, regex};
use crate::config::grammar::{glob, quoted};
use crate::config::schema::{Config, McpToolPolicy, SandboxFilesystem, ToolPolicyRule};
use crate::policy::url::parse;

const WARN_OR_BLOCK: &[&str] = &["warn", "block"];

pub fn mcp_input_scanning(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let input = &config.mcp_input_scanning;
    if input.enabled {
        choice("mcp_input_scanning action", &input.action, WARN_OR_BLOCK)?;
    }
    choice("mcp_input_scanning on_parse_error", &input.on_parse_error, &["block", "forward"])
}

pub fn mcp_tool_scanning(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let tools = &config.mcp_tool_scanning;
    if !tools.enabled {
        return Ok(());
    }
    choice("mcp_tool_scanning action", &tools.action, WARN_OR_BLOCK)
}

pub fn mcp_tool_policy(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let policy = &config.mcp_tool_policy;
    if !policy.enabled {
        return Ok(());
    }
    choice("mcp_tool_policy action", &policy.action, &["warn", "block", "redirect"])?;
    ensure(!policy.rules.is_empty(), || {
        "mcp_tool_policy is enabled but has no rules; add rules or set enabled: false".to_owned()
    })?;
    for (name, profile) in &policy.redirect_profiles {
        let name = quoted(name);
        let program = profile
            .exec
            .first()
            .ok_or_else(|| format!("mcp_tool_policy redirect_profile {name} has empty exec"))?;
        ensure(!profile.match_abs_path || program.starts_with('/'), || {
            let program = quoted(program);
            format!(
                "mcp_tool_policy redirect_profile {name}: match_abs_path is true but exec[0] {program} is not absolute"
            )
        })?;
    }
    for (i, rule) in policy.rules.iter().enumerate() {
        ensure(!rule.name.is_empty(), || format!("mcp_tool_policy rule {i} missing name"))?;
        tool_rule(policy, rule)
            .map_err(|error| format!("mcp_tool_policy rule {} {error}", quoted(&rule.name)))?;
    }
    Ok(())
}

fn tool_rule(policy: &McpToolPolicy, rule: &ToolPolicyRule) -> Result<(), String> {
    ensure(!rule.tool_pattern.is_empty(), || "missing tool_pattern".to_owned())?;
    regex(&rule.tool_pattern).map_err(|error| format!("has invalid tool_pattern: {error}"))?;
    regex(&rule.arg_pattern).map_err(|error| format!("has invalid arg_pattern: {error}"))?;
    ensure(rule.arg_key.is_empty() || !rule.arg_pattern.is_empty(), || {
        "has arg_key without arg_pattern".to_owned()
    })?;
    regex(&rule.arg_key).map_err(|error| format!("has invalid arg_key: {error}"))?;
    let known = ["", "warn", "block", "redirect"].contains(&rule.action.as_str());
    ensure(known, || {
        format!("has invalid action {}: must be warn, block, or redirect", quoted(&rule.action))
    })?;
    let action = if rule.action.is_empty() { &policy.action } else { &rule.action };
    if action == "redirect" {
        let profile = &rule.redirect_profile;
        ensure(!profile.is_empty(), || "has action=redirect but no redirect_profile".to_owned())?;
        ensure(policy.redirect_profiles.contains_key(profile), || {
            format!("references unknown redirect_profile {}", quoted(profile))
        })?;
    }
    Ok(())
}

pub fn git_protection(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let git = &config.git_protection;
    if !git.enabled {
        return Ok(());
    }
    for branch in &git.allowed_branches {
        ensure(!branch.is_empty(), || "empty allowed_branches pattern".to_owned())?;
        glob(branch)
            .map_err(|error| format!("invalid allowed_branches glob pattern {}: {error}", quoted(branch)))?;
    }
    ensure(git.blocked_commands.iter().all(|command| !command.is_empty()), || {
        "empty blocked_commands entry".to_owned()
    })
}

pub fn mcp_session_binding(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let binding = &config.mcp_session_binding;
    if !binding.enabled {
        return Ok(());
    }
    ensure(config.mcp_tool_scanning.enabled, || {
        "mcp_session_binding.enabled requires mcp_tool_scanning.enabled (binding needs tool scanning for baseline \
         capture)"
            .to_owned()
    })?;
    choice("mcp_session_binding.unknown_tool_action", &binding.unknown_tool_action, WARN_OR_BLOCK)?;
    choice("mcp_session_binding.no_baseline_action", &binding.no_baseline_action, WARN_OR_BLOCK)
}

pub fn a2a_scanning(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let a2a = &config.a2a_scanning;
    if !a2a.enabled {
        return Ok(());
    }
    choice("a2a_scanning action", &a2a.action, WARN_OR_BLOCK)
}

pub fn tool_chain_detection(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let chains = &config.tool_chain_detection;
    if !chains.enabled {
        return Ok(());
    }
    choice("tool_chain_detection.action", &chains.action, WARN_OR_BLOCK)?;
    ensure(chains.max_gap.unwrap_or(0) >= 0, || {
        "tool_chain_detection.max_gap must be non-negative".to_owned()
    })?;
    for (name, action) in &chains.pattern_overrides {
        ensure(WARN_OR_BLOCK.contains(&action.as_str()), || {
            let (name, action) = (quoted(name), quoted(action));
            format!(
                "tool_chain_detection.pattern_overrides[{name}]: invalid action {action}: must be warn or block"
            )
        })?;
    }
    for (i, pattern) in chains.custom_patterns.iter().enumerate() {
        let at = format!("tool_chain_detection.custom_patterns[{i}]");
        ensure(!pattern.name.is_empty(), || format!("{at} missing name"))?;
        let at = format!("{at} {}", quoted(&pattern.name));
        ensure(pattern.sequence.len() >= 2, || format!("{at}: sequence must have at least 2 steps"))?;
        ensure(["medium", "high", "critical"].contains(&pattern.severity.as_str()), || {
            format!("{at}: invalid severity {}: must be medium, high, or critical", quoted(&pattern.severity))
        })?;
        ensure(["", "warn", "block"].contains(&pattern.action.as_str()), || {
            format!("{at}: invalid action {}: must be warn or block", quoted(&pattern.action))
        })?;
    }
    Ok(())
}

pub fn mcp_ws_listener(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    for (i, origin) in config.mcp_ws_listener.allowed_origins.iter().enumerate() {
        let at = format!("mcp_ws_listener.allowed_origins[{i}]");
        ensure(!origin.is_empty(), || format!("{at} is empty"))?;
        let has_host = parse::parse(origin.as_bytes()).is_ok_and(|url| !url.host.is_empty());
        ensure(has_host, || {
            format!("{at} {}: must be a valid origin (e.g. https://example.com)", quoted(origin))
        })?;
    }
    Ok(())
}

pub fn file_sentry(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let sentry = &config.file_sentry;
    ensure(!sentry.enabled || !sentry.watch_paths.is_empty(), || {
        "file_sentry: watch_paths must be non-empty when enabled".to_owned()
    })
}

pub fn sandbox(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    ensure(!(config.sandbox.best_effort && config.sandbox.strict), || {
        "sandbox: best_effort and strict are mutually exclusive".to_owned()
    })?;
    sandbox_paths(config.sandbox.filesystem.as_ref())
}

/// Lists of paths must not hold an empty one.
pub fn sandbox_paths(filesystem: Option<&SandboxFilesystem>) -> Result<(), String> {
    let Some(filesystem) = filesystem else { return Ok(()) };
    for (key, paths) in [("allow_read", &filesystem.allow_read), ("allow_write", &filesystem.allow_write)] {
        ensure(paths.iter().all(|path| !path.is_empty()), || {
            format!("sandbox filesystem {key} contains empty path")
        })?;
    }
    Ok(())
}

pub fn mcp_binary_integrity(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let integrity = &config.mcp_binary_integrity;
    if !integrity.enabled {
        return Ok(());
    }
    ensure(!integrity.manifest_path.is_empty(), || {
        "mcp_binary_integrity.manifest_path is required when enabled".to_owned()
    })?;
    choice("mcp_binary_integrity.action", &integrity.action, WARN_OR_BLOCK)
}

pub fn mcp_tool_provenance(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let provenance = &config.mcp_tool_provenance;
    if !provenance.enabled {
        return Ok(());
    }
    choice("mcp_tool_provenance.action", &provenance.action, WARN_OR_BLOCK)?;
    choice("mcp_tool_provenance.mode", &provenance.mode, &["pipelock", "sigstore", "any"])
}
