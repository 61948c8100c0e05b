//! Checks of what changes traffic. Spec: config §5.22, §5.26, §5.27, §5.29.

use std::collections::HashSet;

use super::{Context, choice, ensure};
use crate::config::domains;
use crate::config::grammar::{lower, quoted};
use crate::config::keys;
use crate::config::schema::{Config, Redaction};

/// Classes a redaction profile may name.
const CLASSES: &[&str] = &[
    "aws-access-key",
    "google-api-key",
    "github-token",
    "slack-token",
    "jwt",
    "ssh-private-key",
    "hash-sha512",
    "hash-sha256",
    "hash-sha1",
    "hash-md5",
    "ipv4",
    "cidr",
    "ipv6",
    "mac",
    "email",
    "fqdn",
    "ad-user",
    "ssn",
    "credit-card",
];

/// Parts of a message that the envelope can sign.
const COMPONENTS: &[&str] = &["@method", "@target-uri", "@authority", "content-digest", "pipelock-mediation"];

pub fn browser_shield(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let strictness = config.muselet.strictness;
    let shield = &mut config.browser_shield;
    if !shield.enabled {
        return Ok(());
    }
    choice("browser_shield.strictness", &shield.strictness, &["minimal", "standard", "aggressive"])?;
    choice("browser_shield.oversize_action", &shield.oversize_action, &["block", "scan_head", "warn"])?;
    ensure(shield.oversize_action != "warn" || shield.strictness == "minimal", || {
        "browser_shield.oversize_action \"warn\" is only allowed with strictness \"minimal\"".to_owned()
    })?;
    ensure(shield.max_shield_bytes > 0, || "browser_shield.max_shield_bytes must be positive".to_owned())?;
    domains::check("browser_shield.exempt_domains", &mut shield.exempt_domains, strictness)?;
    domains::check("browser_shield.tracking_domains", &mut shield.tracking_domains, strictness)
}

/// A media type without parameters, lower-cased.
#[must_use]
pub fn canonical_media_type(text: &str) -> String {
    lower(text.split(';').next().unwrap_or_default().trim())
}

pub fn media_policy(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let name = "media_policy.allowed_image_types";
    for written in &config.media_policy.allowed_image_types {
        let canonical = canonical_media_type(written);
        let shown = quoted(written);
        ensure(!canonical.is_empty(), || format!("{name} contains an empty or unparseable entry: {shown}"))?;
        let subtype = canonical
            .strip_prefix("image/")
            .ok_or_else(|| format!("{name} entry {shown} must be an image/* media type"))?;
        ensure(!subtype.is_empty() && !subtype.contains(['*', '?', '/', ' ']), || {
            format!(
                "{name} entry {shown} must name a concrete subtype (no wildcards, whitespace, or nested slashes)"
            )
        })?;
        ensure(subtype != "svg+xml", || {
            format!("{name} must not include image/svg+xml: SVG is active content handled by browser_shield")
        })?;
    }
    ensure(config.media_policy.max_image_bytes >= 0, || {
        "media_policy.max_image_bytes must be non-negative (0 = default 5242880)".to_owned()
    })
}

pub fn mediation_envelope(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let envelope = &mut config.mediation_envelope;
    ensure(!envelope.sign || envelope.enabled, || {
        "mediation_envelope.sign requires mediation_envelope.enabled".to_owned()
    })?;
    let mut seen = HashSet::new();
    for (i, component) in envelope.signed_components.iter_mut().enumerate() {
        let canonical = lower(component.trim());
        let at = || format!("mediation_envelope.signed_components[{i}]");
        let shown = quoted(&canonical);
        ensure(!canonical.is_empty(), || format!("{} must not be empty", at()))?;
        ensure(COMPONENTS.contains(&canonical.as_str()), || format!("{} {shown} is not supported", at()))?;
        ensure(seen.insert(canonical.clone()), || format!("{} {shown} duplicates an earlier entry", at()))?;
        *component = canonical;
    }
    let skew = envelope.created_skew_seconds;
    ensure(skew >= 0, || format!("mediation_envelope.created_skew_seconds must be >= 0, got {skew}"))?;
    let bytes = envelope.max_body_bytes;
    ensure(bytes >= 0, || format!("mediation_envelope.max_body_bytes must be >= 0, got {bytes}"))?;
    if !envelope.sign {
        return Ok(());
    }
    let path = &envelope.signing_key_path;
    ensure(!path.trim().is_empty(), || {
        "mediation_envelope.signing_key_path is required when mediation_envelope.sign is true".to_owned()
    })?;
    keys::load_signing_key(path)
        .map(|_| ())
        .map_err(|error| format!("mediation_envelope.signing_key_path {}: {error}", quoted(path)))
}

pub fn redaction(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    rules(&config.redaction).map_err(|error| format!("redaction: redact: {error}"))?;
    ensure(!config.redaction.enabled || config.request_body_scanning.enabled, || {
        "redaction: enabled=true requires request_body_scanning.enabled=true (the redaction hook lives in the \
         body-scan path)"
            .to_owned()
    })
}

fn rules(redaction: &Redaction) -> Result<(), String> {
    for (i, host) in redaction.allowlist_unparseable.iter().enumerate() {
        unparseable_host(host)
            .map_err(|reason| format!("allowlist_unparseable[{i}] {}: {reason}", quoted(host)))?;
    }
    for (name, dictionary) in &redaction.dictionaries {
        let class = &dictionary.class;
        ensure(class.is_empty() || is_class_name(class), || {
            let (name, class) = (quoted(name), quoted(class));
            format!("dictionary {name} class {class} must match [a-z0-9][a-z0-9_-]*")
        })?;
    }
    if !redaction.enabled {
        return Ok(());
    }
    let default = &redaction.default_profile;
    ensure(!default.is_empty(), || "default_profile required when enabled".to_owned())?;
    ensure(redaction.profiles.contains_key(default), || {
        format!("default_profile {} not defined in profiles", quoted(default))
    })?;
    for (name, profile) in &redaction.profiles {
        let name = quoted(name);
        ensure(!(profile.classes.is_empty() && profile.dictionaries.is_empty()), || {
            format!("profile {name} has no classes or dictionaries")
        })?;
        for class in &profile.classes {
            ensure(CLASSES.contains(&class.as_str()), || {
                format!("profile {name} references unknown class {}", quoted(class))
            })?;
        }
        for dictionary in &profile.dictionaries {
            ensure(redaction.dictionaries.contains_key(dictionary), || {
                format!("profile {name} references unknown dictionary {}", quoted(dictionary))
            })?;
        }
    }
    for (name, dictionary) in &redaction.dictionaries {
        let name = quoted(name);
        ensure(!dictionary.class.is_empty(), || format!("dictionary {name} missing class"))?;
        ensure(!(dictionary.entries.is_empty() && dictionary.entries_file.is_empty()), || {
            format!("dictionary {name} has no entries or entries_file")
        })?;
    }
    Ok(())
}

fn is_class_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(plain) && text.chars().all(|c| plain(c) || matches!(c, '_' | '-'))
}

fn unparseable_host(host: &str) -> Result<(), String> {
    let fail = |reason: &str| Err(reason.to_owned());
    if host.is_empty() {
        return fail("empty");
    }
    if host.contains(['/', '?', '#', '@']) {
        return fail("must not contain scheme, path, query, or userinfo");
    }
    if host.contains(':') {
        return fail("must not contain a port (bare hostname only)");
    }
    if lower(host) != host {
        return fail("must be lowercase");
    }
    if host.starts_with('.') || host.ends_with('.') {
        return fail("leading or trailing dot not permitted");
    }
    if host.contains("..") {
        return fail("consecutive dots not permitted");
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '*');
    match host.chars().find(|&c| !allowed(c)) {
        Some(c) => Err(format!("invalid character '{c}'")),
        None => Ok(()),
    }
}
