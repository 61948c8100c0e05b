//! Layers that look at the host's addresses. (spec: url-scan §9, §15)

use std::net::IpAddr;

use super::layers::Step;
use super::{Lookup, LookupFailure, Pending, Pipeline, Scan, hardened};
use crate::policy::address;
use crate::policy::verdict::{Class, Label, UrlVerdict};

/// Layer 7: internal literals, while the address check of layer 12 is off.
pub(super) fn core_literal(pipeline: &Pipeline, scan: &mut Scan<'_>) -> Step {
    if pipeline.checks_addresses() {
        return Step::Pass;
    }
    let host = &*scan.host;
    let without_zone = host.split('%').next().unwrap_or(host);
    let parsed = address::parse_literal(without_zone)
        .or_else(|| address::parse_alternative_ipv4(without_zone).map(IpAddr::V4));
    let Some(literal) = parsed.map(address::reduce) else { return Step::Pass };
    if pipeline.ip_allowlist.contains(literal) || !pipeline.core_ranges.contains(literal) {
        return Step::Pass;
    }
    let verdict = UrlVerdict::block(Label::CoreSsrf, core_reason(host));
    if !pipeline.api_allowlist.matches(without_zone) {
        return Step::Block(verdict);
    }
    let bits = if literal.is_ipv4() { 32 } else { 128 };
    let hint = format!("add \"{literal}/{bits}\" to ssrf.ip_allowlist to allow this internal IP");
    Step::Block(verdict.with_class(Class::ConfigMismatch).with_hint(hint))
}

pub(super) fn core_reason(host: &str) -> String {
    format!("core SSRF: {host} is a private/internal IP address")
}

/// Layer 12: a literal is judged at once, a name has to be resolved.
pub(super) fn literal_or_lookup(pipeline: &Pipeline, scan: &mut Scan<'_>) -> Step {
    if !pipeline.checks_addresses() {
        return Step::Pass;
    }
    let host = &*scan.host;
    let Some(literal) = address::parse_literal_with_zone(host) else { return Step::Lookup };
    if !is_refused(pipeline, literal) {
        return Step::Pass;
    }
    let shown = host.split('%').next().unwrap_or(host);
    // Nothing but a range loads there. (D-611)
    let bits = match literal {
        _ if !pipeline.is_hardened() => "",
        IpAddr::V4(_) => "/32",
        IpAddr::V6(_) => "/128",
    };
    let hint = || format!("add \"{shown}{bits}\" to ssrf.ip_allowlist to allow this internal IP");
    Step::Block(internal(pipeline, host, shown, hint))
}

/// Layer 12, when the addresses are known.
pub(super) fn resolved(pipeline: &Pipeline, pending: &Pending<'_>, lookup: Lookup<'_>) -> Option<UrlVerdict> {
    let host = pending.host();
    let addresses = match lookup {
        Ok(addresses) => addresses,
        Err(LookupFailure::Cancelled) => return Some(UrlVerdict::context_cancelled()),
        Err(LookupFailure::Failed(reason)) => {
            let reason = format!("SSRF check failed: DNS resolution error for {host}: {reason}");
            return Some(UrlVerdict::block(Label::Ssrf, reason).with_class(Class::Infrastructure));
        }
    };
    let trusted = pipeline.trusted_domains.matches(host);
    if trusted && !pending.is_folded {
        return None;
    }
    let hint = || format!("add \"{host}\" to trusted_domains to allow internal IP resolution");
    if let Some(refused) = addresses.iter().find(|&&address| is_refused(pipeline, address)) {
        let verdict = internal(pipeline, host, &refused.to_string(), hint);
        return Some(if trusted { verdict.with_difference(hardened::HOST_CASE) } else { verdict });
    }
    if !pipeline.is_hardened() {
        return None;
    }
    addresses.iter().find_map(|&address| {
        let difference = hardened::address_difference(pipeline, address)?;
        Some(internal(pipeline, host, &address.to_string(), hint).with_difference(difference))
    })
}

fn is_refused(pipeline: &Pipeline, address: IpAddr) -> bool {
    pipeline.internal_ranges.contains(address) && !pipeline.ip_allowlist.contains(address)
}

fn internal(pipeline: &Pipeline, host: &str, shown: &str, hint: impl FnOnce() -> String) -> UrlVerdict {
    let verdict =
        UrlVerdict::block(Label::Ssrf, format!("SSRF blocked: {host} resolves to internal IP {shown}"));
    if pipeline.api_allowlist.matches(host) {
        return verdict.with_class(Class::ConfigMismatch).with_hint(hint());
    }
    verdict
}
