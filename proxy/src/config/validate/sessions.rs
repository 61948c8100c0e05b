//! Checks of what is remembered about sessions. Spec: config §5.19-5.21, §5.25, §5.28, §6.2.

use super::{Context, choice, ensure};
use crate::config::domains;
use crate::config::grammar::{glob, quoted};
use crate::config::schema::{Config, EscalationActions, EscalationLevels};
use crate::config::value::List;

pub fn profiling(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let sessions = &config.session_profiling;
    if !sessions.enabled {
        return Ok(());
    }
    choice("session_profiling.anomaly_action", &sessions.anomaly_action, &["warn", "block"])
}

pub fn adaptive_enforcement(config: &mut Config, context: &mut Context<'_>) -> Result<(), String> {
    let profiled = config.session_profiling.enabled;
    let strictness = config.muselet.strictness;
    let adaptive = &mut config.adaptive_enforcement;
    domains::check("adaptive_enforcement.exempt_domains", &mut adaptive.exempt_domains, strictness)?;
    if !adaptive.enabled {
        if !adaptive.exempt_domains.is_empty() {
            let message =
                "configured but adaptive_enforcement is disabled — these will take effect when enabled";
            context.advise("adaptive_enforcement.exempt_domains", message.to_owned());
        }
        return Ok(());
    }
    ensure(profiled, || "adaptive_enforcement.enabled requires session_profiling.enabled".to_owned())?;
    escalation_levels(&adaptive.levels)
}

fn escalation_levels(levels: &EscalationLevels) -> Result<(), String> {
    let named = [("elevated", &levels.elevated), ("high", &levels.high), ("critical", &levels.critical)];
    for (level, actions) in named {
        for (key, value) in [("upgrade_warn", &actions.upgrade_warn), ("upgrade_ask", &actions.upgrade_ask)] {
            let value = value.as_deref().unwrap_or("");
            ensure(matches!(value, "" | "block"), || {
                let value = quoted(value);
                format!("adaptive_enforcement.levels.{level}.{key} must be \"block\" or \"\" (got {value})")
            })?;
        }
    }
    named.windows(2).try_for_each(|pair| monotonic(pair[0], pair[1]))
}

/// A higher level must react at least as strongly as the one below it.
fn monotonic(low: (&str, &EscalationActions), high: (&str, &EscalationActions)) -> Result<(), String> {
    let weaker = |key: &str| {
        let (low, high) = (low.0, high.0);
        format!("adaptive_enforcement.levels: {high}.{key} is weaker than {low}.{key} (monotonic violation)")
    };
    let (low, high) = (low.1, high.1);
    if low.block_all == Some(true) {
        return ensure(high.block_all == Some(true), || weaker("block_all"));
    }
    ensure(strength(&high.upgrade_warn) >= strength(&low.upgrade_warn), || weaker("upgrade_warn"))?;
    ensure(strength(&high.upgrade_ask) >= strength(&low.upgrade_ask), || weaker("upgrade_ask"))
}

/// How strong an upgrade is: to block, explicitly none, not said.
#[must_use]
pub fn strength(upgrade: &Option<String>) -> u8 {
    match upgrade.as_deref() {
        Some("block") => 2,
        Some(_) => 1,
        None => 0,
    }
}

pub fn behavioral_baseline(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let baseline = &config.behavioral_baseline;
    if !baseline.enabled {
        return Ok(());
    }
    ensure(!baseline.profile_dir.is_empty(), || {
        "behavioral_baseline.profile_dir is required when enabled".to_owned()
    })?;
    choice("behavioral_baseline.deviation_action", &baseline.deviation_action, &["warn", "ask", "block"])?;
    choice("behavioral_baseline.seasonality_mode", &baseline.seasonality_mode, &["none", "labeled", "time"])
}

pub fn airlock(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let profiled = config.session_profiling.enabled;
    let airlock = &mut config.airlock;
    if !airlock.enabled {
        return Ok(());
    }
    ensure(profiled, || "airlock.enabled requires session_profiling.enabled".to_owned())?;
    let triggers = &mut airlock.triggers;
    for tier in [&mut triggers.on_elevated, &mut triggers.on_high, &mut triggers.on_critical] {
        if tier.is_empty() {
            *tier = "none".to_owned();
        }
    }
    const TIERS: &[&str] = &["none", "soft", "hard", "drain"];
    let (elevated, high, critical) = (&triggers.on_elevated, &triggers.on_high, &triggers.on_critical);
    for (key, tier) in [("on_elevated", elevated), ("on_high", high), ("on_critical", critical)] {
        choice(&format!("airlock.triggers.{key}"), tier, TIERS)?;
    }
    let rank = |tier: &String| TIERS.iter().position(|known| known == tier);
    ensure(rank(elevated) <= rank(high) && rank(high) <= rank(critical), || {
        format!(
            "airlock.triggers must be monotonic: on_elevated ({elevated}) <= on_high ({high}) <= on_critical ({critical})"
        )
    })?;
    ensure(matches!(triggers.on_severity.as_str(), "" | "critical" | "high"), || {
        let severity = quoted(&triggers.on_severity);
        format!("invalid airlock.triggers.on_severity {severity}: must be critical, high, or empty")
    })?;
    ensure(triggers.anomaly_count >= 0, || "airlock.triggers.anomaly_count must be non-negative".to_owned())?;
    ensure(triggers.anomaly_window_minutes >= 0, || {
        "airlock.triggers.anomaly_window_minutes must be non-negative".to_owned()
    })?;
    let timers = &airlock.timers;
    let minutes = [timers.soft_minutes, timers.hard_minutes, timers.drain_minutes];
    ensure(minutes.iter().all(|&minutes| minutes >= 0), || {
        "airlock timer values must be non-negative".to_owned()
    })?;
    ensure(timers.drain_timeout_seconds >= 0, || {
        "airlock.timers.drain_timeout_seconds must be non-negative".to_owned()
    })
}

pub fn taint(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let strictness = config.muselet.strictness;
    let taint = &mut config.taint;
    choice("taint.policy", &taint.policy, &["strict", "balanced", "permissive"])?;
    domains::check("taint.allowlisted_domains", &mut taint.allowlisted_domains, strictness)?;
    globs("taint.protected_paths", &taint.protected_paths)?;
    globs("taint.elevated_paths", &taint.elevated_paths)?;
    for (i, grant) in taint.trust_overrides.iter().enumerate() {
        let name = format!("taint.trust_overrides[{i}]");
        ensure(!grant.scope.is_empty(), || format!("{name}.scope is required"))?;
        choice(&format!("{name}.scope"), &grant.scope, &["action", "source"])?;
        let (key, matched) = match grant.scope.as_str() {
            "action" => ("action_match", &grant.action_match),
            _ => ("source_match", &grant.source_match),
        };
        ensure(!matched.is_empty(), || format!("{name}.{key} is required for scope={}", grant.scope))?;
        ensure(!grant.expires_at.is_zero(), || format!("{name}.expires_at is required"))?;
    }
    Ok(())
}

fn globs(label: &str, patterns: &List<String>) -> Result<(), String> {
    for (i, pattern) in patterns.iter().enumerate() {
        ensure(!pattern.is_empty(), || format!("{label}[{i}] must not be empty"))?;
        glob(pattern).map_err(|error| format!("{label}[{i}] {}: invalid glob: {error}", quoted(pattern)))?;
    }
    Ok(())
}
