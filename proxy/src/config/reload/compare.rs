//! The comparison of a running with a new configuration: one warning for each protection that got weaker.
//!
//! Spec: config §9.5, in its order. Actions, thresholds and limits are not compared; that is the reference's choice.

use std::collections::HashSet;

use muselet_rules::order::sorted;

use super::super::grammar::{cidr, lower, network, quoted};
use super::super::schema::{
    AgentSandboxOverride, Config, EscalationActions, MediaPolicy, Sandbox, TaintTrustOverride,
};

/// A weakened protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The key, or the section.
    pub field: String,
    /// What changed.
    pub message: String,
}

impl Warning {
    /// The line for standard error.
    #[must_use]
    pub fn line(&self) -> String {
        format!("WARNING: config reload: {} - {}", self.field, self.message)
    }
}

struct Findings<'c> {
    old: &'c Config,
    new: &'c Config,
    found: Vec<Warning>,
}

impl Findings<'_> {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        self.found.push(Warning { field: field.to_owned(), message: message.into() });
    }

    fn add_if(&mut self, holds: bool, field: &str, message: impl Into<String>) {
        if holds {
            self.add(field, message);
        }
    }

    /// A switch that went from on to off.
    fn off(&mut self, field: &str, read: fn(&Config) -> bool, message: &str) {
        self.add_if(read(self.old) && !read(self.new), field, message);
    }
}

/// All warnings, in the reference's order.
#[must_use]
pub fn comparison(running: &Config, new: &Config) -> Vec<Warning> {
    let mut findings = Findings { old: running, new, found: Vec::new() };
    detection(&mut findings);
    surfaces(&mut findings);
    escalation(&mut findings);
    taint(&mut findings);
    tools(&mut findings);
    reach(&mut findings);
    detectors(&mut findings);
    emission(&mut findings);
    restart_only(&mut findings);
    media(&mut findings);
    envelope_and_redaction(&mut findings);
    findings.found
}

fn detection(f: &mut Findings<'_>) {
    let (old, new) = (f.old, f.new);
    let rank = |mode: &str| ["audit", "balanced", "strict"].iter().position(|known| *known == mode);
    f.add_if(
        rank(&new.mode) < rank(&old.mode),
        "mode",
        format!("mode downgraded from {} to {}", old.mode, new.mode),
    );
    let lost: Vec<String> = old
        .dlp
        .patterns
        .iter()
        .filter_map(|pattern| {
            let mut named = new.dlp.patterns.iter().filter(|other| other.name == pattern.name).peekable();
            named.peek().is_none().then(|| pattern.name.clone()).or_else(|| {
                named
                    .last()
                    .filter(|kept| kept.regex != pattern.regex)
                    .map(|_| format!("{} (regex changed)", pattern.name))
            })
        })
        .collect();
    f.add_if(
        !lost.is_empty(),
        "dlp.patterns",
        format!("DLP patterns removed or regex-swapped on reload: {}", lost.join(", ")),
    );
    f.off(
        "dlp.include_defaults",
        |config| config.dlp.include_defaults.unwrap_or(true),
        "DLP include_defaults disabled — new default patterns will not be merged on future upgrades",
    );
    f.off(
        "internal",
        |config| !config.internal.is_empty(),
        "internal CIDR list emptied — SSRF protection disabled",
    );
    f.off("enforce", Config::enforces, "enforcement disabled — switching to detect-only mode");
    f.off(
        "response_scanning.enabled",
        |config| config.response_scanning.enabled,
        "response scanning disabled",
    );
    let (before, after) = (&old.response_scanning.exempt_domains, &new.response_scanning.exempt_domains);
    let field = "response_scanning.exempt_domains";
    if !before.is_empty() && after.is_empty() {
        f.add(field, "response scanning exempt_domains cleared (was non-empty)");
    } else if let Some(added) = after.iter().find(|domain| !before.contains(domain)) {
        let added = quoted(added);
        f.add(field, format!("response scanning exempt_domains changed: {added} not in previous set"));
    }
}

fn surfaces(f: &mut Findings<'_>) {
    f.off(
        "mcp_input_scanning.enabled",
        |config| config.mcp_input_scanning.enabled,
        "MCP input scanning disabled",
    );
    f.off(
        "mcp_tool_scanning.enabled",
        |config| config.mcp_tool_scanning.enabled,
        "MCP tool scanning disabled",
    );
    f.off(
        "mcp_tool_policy.enabled",
        |config| config.mcp_tool_policy.enabled,
        "MCP tool call policy disabled",
    );
    let (before, after) = (f.old.mcp_tool_policy.rules.len(), f.new.mcp_tool_policy.rules.len());
    f.add_if(
        after < before,
        "mcp_tool_policy.rules",
        format!("tool policy rules reduced from {before} to {after}"),
    );
    f.off("forward_proxy.enabled", |config| config.forward_proxy.enabled, "forward proxy disabled");
    f.off("websocket_proxy.enabled", |config| config.websocket_proxy.enabled, "WebSocket proxy disabled");
    f.off(
        "session_profiling.enabled",
        |config| config.session_profiling.enabled,
        "session behavioral profiling disabled",
    );
    f.off(
        "adaptive_enforcement.enabled",
        |config| config.adaptive_enforcement.enabled,
        "adaptive enforcement disabled",
    );
}

/// One of the two upgrades of a level.
type Upgrade = fn(&EscalationActions) -> &Option<String>;

fn escalation(f: &mut Findings<'_>) {
    let (old, new) = (&f.old.adaptive_enforcement, &f.new.adaptive_enforcement);
    if !(old.enabled && new.enabled) {
        return;
    }
    let strength = crate::config::validate::strength;
    let levels = [
        ("elevated", &old.levels.elevated, &new.levels.elevated),
        ("high", &old.levels.high, &new.levels.high),
        ("critical", &old.levels.critical, &new.levels.critical),
    ];
    for (level, before, after) in levels {
        let weakened: [(&str, Upgrade); 2] = [
            ("upgrade_warn", |actions| &actions.upgrade_warn),
            ("upgrade_ask", |actions| &actions.upgrade_ask),
        ];
        for (key, read) in weakened {
            f.add_if(
                strength(read(after)) < strength(read(before)),
                &format!("adaptive_enforcement.levels.{level}.{key}"),
                format!("{level}.{key} weakened"),
            );
        }
        f.add_if(
            before.block_all == Some(true) && after.block_all != Some(true),
            &format!("adaptive_enforcement.levels.{level}.block_all"),
            format!("{level}.block_all weakened"),
        );
    }
}

fn taint(f: &mut Findings<'_>) {
    let (old, new) = (&f.old.taint, &f.new.taint);
    f.off("taint.enabled", |config| config.taint.enabled, "taint-aware policy escalation disabled");
    if !(old.enabled && new.enabled) {
        return;
    }
    let rank = |policy: &str| ["permissive", "balanced", "strict"].iter().position(|known| *known == policy);
    let (before, after) = (&old.policy, &new.policy);
    f.add_if(
        rank(after) < rank(before),
        "taint.policy",
        format!("taint policy downgraded from {before} to {after}"),
    );
    let domains = added_domains(&old.allowlisted_domains, &new.allowlisted_domains);
    f.add_if(
        !domains.is_empty(),
        "taint.allowlisted_domains",
        format!("taint allowlisted domains added: {domains} — these sources now downgrade from untrusted to allowlisted"),
    );
    for (field, kind, before, after) in [
        ("taint.protected_paths", "protected", &old.protected_paths, &new.protected_paths),
        ("taint.elevated_paths", "elevated", &old.elevated_paths, &new.elevated_paths),
    ] {
        let removed = missing(before, after);
        let message = format!(
            "taint {kind} paths removed: {removed} — fewer actions are treated as {kind} under taint"
        );
        f.add_if(!removed.is_empty(), field, message);
    }
    let granted: Vec<String> =
        new.trust_overrides.iter().filter_map(|grant| wider_grant(grant, &old.trust_overrides)).collect();
    f.add_if(
        !granted.is_empty(),
        "taint.trust_overrides",
        format!("taint trust overrides added: {}", granted.join(", ")),
    );
}

/// The key of a grant that is new or lasts longer than before.
fn wider_grant(grant: &TaintTrustOverride, before: &[TaintTrustOverride]) -> Option<String> {
    let key = |grant: &TaintTrustOverride| {
        let matched = if grant.scope == "action" { &grant.action_match } else { &grant.source_match };
        let (scope, matched) = (lower(grant.scope.trim()), lower(matched.trim()));
        let name = if scope == "action" { "action" } else { "source" };
        format!("scope={scope} {name}={matched}")
    };
    let own = key(grant);
    let latest = before.iter().filter(|other| key(other) == own).map(|other| other.expires_at.0).max();
    match latest {
        None => Some(own),
        Some(until) if grant.expires_at.0 > until => {
            let utc = grant.expires_at.0.map(|at| at.to_offset(time::UtcOffset::UTC));
            Some(format!("{own} expires_at={}", crate::config::yaml::Timestamp(utc)))
        }
        Some(_) => None,
    }
}

fn tools(f: &mut Findings<'_>) {
    f.off(
        "mcp_session_binding.enabled",
        |config| config.mcp_session_binding.enabled,
        "MCP session binding disabled",
    );
    f.off("a2a_scanning.enabled", |config| config.a2a_scanning.enabled, "A2A scanning disabled");
    f.add_if(
        f.old.a2a_scanning.action == "block" && f.new.a2a_scanning.action == "warn",
        "a2a_scanning.action",
        "A2A scanning action downgraded from block to warn",
    );
    f.off(
        "a2a_scanning.scan_agent_cards",
        |config| config.a2a_scanning.scan_agent_cards,
        "A2A Agent Card scanning disabled",
    );
    f.off(
        "a2a_scanning.detect_card_drift",
        |config| config.a2a_scanning.detect_card_drift,
        "A2A Agent Card drift detection disabled",
    );
    f.off(
        "a2a_scanning.session_smuggling_detection",
        |config| config.a2a_scanning.session_smuggling_detection,
        "A2A session smuggling detection disabled",
    );
    f.off(
        "a2a_scanning.scan_raw_parts",
        |config| config.a2a_scanning.scan_raw_parts,
        "A2A raw part scanning disabled — text-like attachments will not be scanned",
    );
}

fn reach(f: &mut Findings<'_>) {
    let (old, new) = (f.old, f.new);
    f.off(
        "tls_interception.enabled",
        |config| config.tls_interception.enabled,
        "TLS interception disabled — CONNECT tunnel body/header scanning lost",
    );
    if old.tls_interception.enabled && new.tls_interception.enabled {
        let added = added_domains(
            &old.tls_interception.passthrough_domains,
            &new.tls_interception.passthrough_domains,
        );
        f.add_if(
            !added.is_empty(),
            "tls_interception.passthrough_domains",
            format!("passthrough domains added: {added} — these CONNECT tunnels now bypass body scanning"),
        );
    }
    let added = added_domains(
        &old.fetch_proxy.monitoring.subdomain_entropy_exclusions,
        &new.fetch_proxy.monitoring.subdomain_entropy_exclusions,
    );
    f.add_if(
        !added.is_empty(),
        "fetch_proxy.monitoring.subdomain_entropy_exclusions",
        format!("subdomain entropy exclusions added: {added} — entropy detection coverage reduced"),
    );
    let added = added_domains(&old.trusted_domains, &new.trusted_domains);
    f.add_if(
        !added.is_empty(),
        "trusted_domains",
        format!("trusted domains added: {added} — SSRF internal-IP check bypassed for these hosts"),
    );
    let wider: Vec<&str> = new
        .ssrf
        .ip_allowlist
        .iter()
        .filter(|range| !old.ssrf.ip_allowlist.iter().any(|wide| contains(wide, range)))
        .map(String::as_str)
        .collect();
    f.add_if(
        !wider.is_empty(),
        "ssrf.ip_allowlist",
        format!("SSRF IP allowlist expanded: {} — SSRF check bypassed for these IP ranges", wider.join(", ")),
    );
}

/// Whether `range` lies within `wide`, both of one family.
fn contains(wide: &str, range: &str) -> bool {
    let (Ok((wide, wide_bits)), Ok((address, bits))) = (cidr(wide), cidr(range)) else {
        return wide == range;
    };
    wide.is_ipv4() == address.is_ipv4()
        && wide_bits <= bits
        && network(wide, wide_bits) == network(address, wide_bits)
}

fn detectors(f: &mut Findings<'_>) {
    let (old, new) = (f.old, f.new);
    f.off(
        "request_body_scanning.enabled",
        |config| config.request_body_scanning.enabled,
        "request body scanning disabled",
    );
    f.off(
        "tool_chain_detection.enabled",
        |config| config.tool_chain_detection.enabled,
        "tool chain detection disabled",
    );
    f.off(
        "cross_request_detection.enabled",
        |config| config.cross_request_detection.enabled,
        "cross-request exfiltration detection disabled",
    );
    if old.cross_request_detection.enabled && new.cross_request_detection.enabled {
        f.off(
            "cross_request_detection.entropy_budget.enabled",
            |config| config.cross_request_detection.entropy_budget.enabled,
            "cross-request entropy budget detection disabled",
        );
        f.off(
            "cross_request_detection.fragment_reassembly.enabled",
            |config| config.cross_request_detection.fragment_reassembly.enabled,
            "cross-request fragment reassembly disabled",
        );
    }
    f.off(
        "address_protection.enabled",
        |config| config.address_protection.enabled,
        "address protection disabled",
    );
    f.off(
        "seed_phrase_detection.enabled",
        |config| config.seed_phrase_detection.is_enabled(),
        "seed phrase detection disabled",
    );
    f.off(
        "seed_phrase_detection.verify_checksum",
        |config| config.seed_phrase_detection.verifies_checksum(),
        "seed phrase checksum verification disabled — increased false positive risk",
    );
    let (before, after) = (old.seed_phrase_detection.min_words, new.seed_phrase_detection.min_words);
    f.add_if(
        before > 0 && after > 0 && after < before,
        "seed_phrase_detection.min_words",
        format!("seed phrase min_words decreased from {before} to {after}"),
    );
}

fn emission(f: &mut Findings<'_>) {
    f.off("emit.webhook.url", |config| !config.emit.webhook.url.is_empty(), "webhook emission disabled");
    f.off("emit.syslog.address", |config| !config.emit.syslog.address.is_empty(), "syslog emission disabled");
    f.off("emit.otlp.endpoint", |config| !config.emit.otlp.endpoint.is_empty(), "OTLP log emission disabled");
}

fn restart_only(f: &mut Findings<'_>) {
    let (old, new) = (f.old, f.new);
    f.add_if(
        old.kill_switch.api_listen != new.kill_switch.api_listen,
        "kill_switch.api_listen",
        "api_listen cannot change at runtime (requires restart) — ignoring",
    );
    f.add_if(
        old.metrics_listen != new.metrics_listen,
        "metrics_listen",
        "metrics_listen cannot change at runtime (requires restart) — ignoring",
    );
    let (before, after) = (&old.dlp.secrets_file, &new.dlp.secrets_file);
    let changed = before != after;
    if changed && after.is_empty() {
        f.add("dlp.secrets_file", "secrets_file removed — known secret scanning disabled");
    } else if changed && !before.is_empty() {
        let (before, after) = (quoted(before), quoted(after));
        f.add(
            "dlp.secrets_file",
            format!("secrets_file changed from {before} to {after} — secrets will be reloaded"),
        );
    }
    f.add_if(old.sentry.dsn != new.sentry.dsn, "sentry.dsn", "Sentry DSN changes require restart");
    let shape = |config: &Config| -> Vec<(String, String)> {
        config.dlp.patterns.iter().map(|pattern| (pattern.name.clone(), pattern.regex.clone())).collect()
    };
    f.add_if(
        shape(old) != shape(new),
        "sentry",
        "DLP patterns changed; Sentry scrubber uses init-time patterns until restart",
    );
    f.add_if(
        old.dlp.scan_env != new.dlp.scan_env,
        "sentry",
        "dlp.scan_env changed; Sentry scrubber uses init-time env secrets until restart",
    );
    f.add_if(
        changed,
        "sentry",
        "dlp.secrets_file changed; Sentry scrubber uses init-time file secrets until restart",
    );
    f.add_if(
        old.file_sentry != new.file_sentry,
        "file_sentry",
        "file_sentry config changes require restart — ignored on reload",
    );
    f.add_if(
        sandboxes(old) != sandboxes(new),
        "sandbox",
        "sandbox config changes require restart — ignored on reload",
    );
}

fn sandboxes(config: &Config) -> (&Sandbox, Vec<(&String, &AgentSandboxOverride)>) {
    let agents = &config.agents;
    let overrides = agents.iter().filter_map(|(name, agent)| agent.sandbox.as_ref().map(|own| (name, own)));
    (&config.sandbox, overrides.collect())
}

/// A switch of the media policy, with its default.
type Switch = fn(&MediaPolicy) -> bool;

fn media(f: &mut Findings<'_>) {
    let switches: [(&str, Switch, &str); 6] = [
        (
            "enabled",
            MediaPolicy::is_enabled,
            "media policy disabled — image metadata stripping, audio/video blocks, and exposure events no longer apply",
        ),
        (
            "strip_images",
            MediaPolicy::strips_images,
            "media_policy.strip_images disabled — image responses now forwarded without stripping",
        ),
        (
            "strip_audio",
            MediaPolicy::strips_audio,
            "media_policy.strip_audio disabled — audio responses now forwarded",
        ),
        (
            "strip_video",
            MediaPolicy::strips_video,
            "media_policy.strip_video disabled — video responses now forwarded",
        ),
        (
            "strip_image_metadata",
            MediaPolicy::strips_image_metadata,
            "media_policy.strip_image_metadata disabled — image metadata no longer removed",
        ),
        (
            "log_media_exposure",
            MediaPolicy::logs_media_exposure,
            "media_policy.log_media_exposure disabled — media responses no longer emit exposure events",
        ),
    ];
    let (old, new) = (&f.old.media_policy, &f.new.media_policy);
    for (key, read, message) in switches {
        f.add_if(read(old) && !read(new), &format!("media_policy.{key}"), message);
    }
    let (before, after) = (old.effective_max_image_bytes(), new.effective_max_image_bytes());
    f.add_if(
        after > before,
        "media_policy.max_image_bytes",
        format!("media_policy.max_image_bytes raised from {before} to {after} — larger images now accepted"),
    );
    let canonical = |policy: &MediaPolicy| -> Vec<String> {
        policy
            .effective_image_types()
            .iter()
            .map(|text| crate::config::validate::canonical_media_type(text))
            .collect()
    };
    let before = canonical(old);
    if let Some(added) = canonical(new).iter().find(|kind| !before.contains(kind)) {
        let added = quoted(added);
        f.add(
            "media_policy.allowed_image_types",
            format!("media_policy.allowed_image_types widened: {added} newly admitted"),
        );
    }
}

fn envelope_and_redaction(f: &mut Findings<'_>) {
    f.off(
        "mediation_envelope.sign",
        |config| config.mediation_envelope.sign,
        "mediation envelope signing disabled — outbound requests will no longer carry an RFC 9421 signature",
    );
    f.off(
        "mediation_envelope.enabled",
        |config| config.mediation_envelope.enabled,
        "mediation envelope disabled — outbound requests will no longer carry the Pipelock-Mediation header",
    );
    let (old, new) = (&f.old.mediation_envelope, &f.new.mediation_envelope);
    if old.sign && new.sign {
        let (before, after) = (quoted(&old.key_id), quoted(&new.key_id));
        f.add_if(
            before != after,
            "mediation_envelope.key_id",
            format!(
                "mediation envelope signing key_id changed from {before} to {after} — verifiers must have the new public key published"
            ),
        );
        let removed = old.signed_components.iter().filter(|name| !new.signed_components.contains(name));
        let mut removed = sorted(removed.map(String::as_str).collect(), Ord::cmp);
        removed.dedup();
        f.add_if(
            !removed.is_empty(),
            "mediation_envelope.signed_components",
            format!(
                "mediation envelope signed_components narrowed — removed {} from RFC 9421 coverage",
                removed.join(", ")
            ),
        );
        let (before, after) = (old.max_body_bytes, new.max_body_bytes);
        f.add_if(
            after < before,
            "mediation_envelope.max_body_bytes",
            format!(
                "mediation envelope max_body_bytes reduced from {before} to {after} — fewer request bodies will carry content-digest coverage"
            ),
        );
    }
    f.off(
        "redaction.enabled",
        |config| config.redaction.enabled,
        "redaction disabled — request bodies will no longer be rewritten before forwarding",
    );
    let (old, new) = (&f.old.redaction, &f.new.redaction);
    let (before, after) = (quoted(&old.default_profile), quoted(&new.default_profile));
    f.add_if(
        old.enabled && new.enabled && before != after,
        "redaction.default_profile",
        format!("redaction default_profile changed from {before} to {after} — matcher rules updated"),
    );
}

/// Entries that are new, ignoring case, joined.
fn added_domains(before: &[String], after: &[String]) -> String {
    let known: HashSet<String> = before.iter().map(|domain| lower(domain)).collect();
    let added: Vec<&str> =
        after.iter().filter(|domain| !known.contains(&lower(domain))).map(String::as_str).collect();
    added.join(", ")
}

/// Entries that are gone, joined.
fn missing(before: &[String], after: &[String]) -> String {
    let gone: Vec<&str> = before.iter().filter(|entry| !after.contains(entry)).map(String::as_str).collect();
    gone.join(", ")
}
