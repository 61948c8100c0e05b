//! Host patterns: an exact name or `*.example.com`. Spec: config §13.1.
//!
//! Checking normalises in place: what is stored is what run time, hashes and reload comparison see.

use super::grammar::{lower, quoted};
use super::value::List;

/// Checks and normalises the list called `label` in messages.
///
/// # Errors
/// The reference's sentence about the first entry that does not fit.
pub fn check(label: &str, list: &mut List<String>) -> Result<(), String> {
    for (i, entry) in list.iter_mut().enumerate() {
        let mut host = trimmed_lower(entry);
        if host.ends_with('.') {
            host.pop();
        }
        shape(label, i, entry, &host, true)?;
        *entry = host;
    }
    Ok(())
}

/// The variant of the entropy exclusions: a trailing dot is only removed after the check.
///
/// # Errors
/// As [`check`].
pub fn check_entropy_exclusions(list: &mut List<String>) -> Result<(), String> {
    for (i, entry) in list.iter_mut().enumerate() {
        let mut host = trimmed_lower(entry);
        shape("subdomain_entropy_exclusions", i, entry, &host, false)?;
        if host.ends_with('.') {
            host.pop();
        }
        *entry = host;
    }
    Ok(())
}

fn trimmed_lower(text: &str) -> String {
    lower(text).trim().to_owned()
}

fn shape(label: &str, i: usize, written: &str, host: &str, names_wildcard: bool) -> Result<(), String> {
    let entry = || format!("{label}[{i}] {}", quoted(written));
    if host.is_empty() {
        return Err(format!("{label}[{i}] is empty"));
    }
    if host.contains(['/', ':']) {
        return Err(format!("{}: use a hostname pattern, not a URL or host:port", entry()));
    }
    if names_wildcard && host == "*" {
        return Err(format!("{label}[{i}]: bare wildcard disables all SSRF protection"));
    }
    if let Some(rest) = host.strip_prefix("*.") {
        if !rest.contains('.') {
            return Err(format!("{}: wildcard must target a concrete domain like *.example.com", entry()));
        }
    } else if host.contains(['*', '?', '[', ']']) {
        return Err(format!("{}: only exact hosts and *.example.com wildcards are supported", entry()));
    }
    Ok(())
}
