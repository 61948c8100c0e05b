//! Checks of agent profiles. Spec: config §11.1, §11.2.
//!
//! A core build (without agent support) only looks at the denial-of-wallet action; the release build checks everything
//! that survived the licence gate.

use std::net::IpAddr;

use super::scanning::VALIDATORS;
use super::tools::sandbox_paths;
use super::{Context, ensure, regex};
use crate::Strictness;
use crate::config::Edition;
use crate::config::domains;
use crate::config::grammar::{cidr, host_port, network, quoted};
use crate::config::schema::{AgentProfile, Config};

/// The profile of traffic that matches no other.
const DEFAULT: &str = "_default";

pub fn agents(config: &mut Config, context: &mut Context<'_>) -> Result<(), String> {
    for (name, profile) in &config.agents {
        let action = &profile.budget.dow_action;
        ensure(["", "warn", "block"].contains(&action.as_str()), || {
            format!("agents.{name}.budget: invalid dow_action {}: must be block or warn", quoted(action))
        })?;
    }
    if context.surroundings.edition == Edition::Core {
        return Ok(());
    }
    let strictness = config.muselet.strictness;
    let mut taken = Taken::of(config);
    let mut ranges: Vec<(String, IpAddr, u8)> = Vec::new();
    for (name, profile) in config.agents.iter_mut() {
        name_is_usable(name)?;
        let label = format!("agent {}", quoted(name));
        profile_is_usable(profile, &label, &mut taken, &mut ranges, strictness)?;
    }
    Ok(())
}

fn name_is_usable(name: &str) -> Result<(), String> {
    if name == DEFAULT {
        return Ok(());
    }
    let shown = quoted(name);
    ensure(!name.is_empty(), || "agent profile name must not be empty".to_owned())?;
    ensure(name != "anonymous", || "agent profile name \"anonymous\" is reserved".to_owned())?;
    ensure(name.len() <= 64, || format!("agent profile name {shown} exceeds 64 character limit"))?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    ensure(name.chars().all(allowed), || {
        format!(
            "agent profile name {shown} contains invalid characters (allowed: a-z, A-Z, 0-9, '.', '_', '-')"
        )
    })
}

fn profile_is_usable(
    profile: &mut AgentProfile,
    label: &str,
    taken: &mut Taken,
    ranges: &mut Vec<(String, IpAddr, u8)>,
    strictness: Strictness,
) -> Result<(), String> {
    let at = |message: String| format!("{label}: {message}");
    if !profile.mode.is_empty() {
        super::choice("mode", &profile.mode, &["strict", "balanced", "audit"]).map_err(at)?;
    }
    for listener in &profile.listeners {
        taken.add(listener, label).map_err(at)?;
    }
    for range in &profile.source_cidrs {
        let shown = quoted(range);
        let (address, bits) =
            cidr(range).map_err(|error| at(format!("invalid source_cidrs entry {shown}: {error}")))?;
        let rival = ranges.iter().find(|(owner, other, other_bits)| {
            owner != label && {
                let shared = bits.min(*other_bits);
                other.is_ipv4() == address.is_ipv4() && network(*other, shared) == network(address, shared)
            }
        });
        if let Some((owner, ..)) = rival {
            return Err(at(format!("source_cidrs {shown} overlaps with {owner} source_cidrs")));
        }
        ranges.push((label.to_owned(), address, bits));
    }
    if let Some(limits) = &profile.rate_limit {
        let pairs = [
            ("max_requests_per_minute", limits.max_requests_per_minute),
            ("max_data_per_minute", limits.max_data_per_minute),
        ];
        for (key, value) in pairs {
            ensure(value >= 0, || at(format!("rate_limit.{key} must be >= 0")))?;
        }
    }
    let budget = &profile.budget;
    let pairs = [
        ("max_requests_per_session", budget.max_requests_per_session),
        ("max_bytes_per_session", budget.max_bytes_per_session),
        ("max_unique_domains_per_session", budget.max_unique_domains_per_session),
        ("window_minutes", budget.window_minutes),
    ];
    for (key, value) in pairs {
        ensure(value >= 0, || at(format!("budget.{key} must be >= 0")))?;
    }
    for pattern in profile.dlp.iter().flat_map(|dlp| dlp.patterns.iter()) {
        let name = quoted(&pattern.name);
        ensure(!pattern.name.is_empty(), || at("DLP pattern missing name".to_owned()))?;
        ensure(!pattern.regex.is_empty(), || at(format!("DLP pattern {name} missing regex")))?;
        regex(&pattern.regex)
            .map_err(|error| at(format!("DLP pattern {name} has invalid regex: {error}")))?;
        // The reference does not look, and crashes when it builds the profile's scanner.
        let known = pattern.validator.is_empty() || VALIDATORS.contains(&pattern.validator.as_str());
        ensure(known, || {
            let validator = quoted(&pattern.validator);
            at(format!("DLP pattern {name} has unknown validator {validator} (valid: luhn, mod97, aba, wif)"))
        })?;
    }
    if let Some(sandbox) = &profile.sandbox {
        sandbox_paths(sandbox.filesystem.as_ref()).map_err(at)?;
    }
    domains::check(&format!("{label} trusted_domains"), &mut profile.trusted_domains, strictness)
}

/// Addresses that are listened on, with who listens.
struct Taken(Vec<(String, String, String)>);

/// Every unspecified host is this one.
const WILDCARD: &str = "*";

impl Taken {
    fn of(config: &Config) -> Taken {
        let mut taken = Taken(Vec::new());
        for (owner, address) in [
            ("fetch_proxy.listen", &config.fetch_proxy.listen),
            ("metrics_listen", &config.metrics_listen),
            ("kill_switch.api_listen", &config.kill_switch.api_listen),
        ] {
            if let Ok((host, port)) = host_port(address) {
                taken.0.push((canonical_host(host), port.to_owned(), owner.to_owned()));
            }
        }
        taken
    }

    fn add(&mut self, address: &str, label: &str) -> Result<(), String> {
        let shown = quoted(address);
        let (host, port) =
            host_port(address).map_err(|error| format!("invalid listener address {shown}: {error}"))?;
        let host = canonical_host(host);
        let same_port = || self.0.iter().filter(|(_, other, _)| other == port);
        if let Some((.., owner)) = same_port().find(|(other, ..)| *other == host) {
            return Err(format!("listener {shown} collides with {owner}"));
        }
        if let Some((.., owner)) = same_port().find(|(other, ..)| *other == WILDCARD || host == WILDCARD) {
            return Err(format!("listener {shown} collides with {owner} (wildcard binds all interfaces)"));
        }
        self.0.push((host, port.to_owned(), format!("{label} listener")));
        Ok(())
    }
}

fn canonical_host(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => WILDCARD.to_owned(),
        Ok(address) => address.to_canonical().to_string(),
        Err(_) if host.is_empty() => WILDCARD.to_owned(),
        Err(_) => host.to_lowercase(),
    }
}
