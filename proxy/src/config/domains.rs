//! Host patterns: an exact name or `*.example.com`. Spec: config §13.1.
//!
//! Checking normalises in place: what is stored is what run time, hashes and reload comparison see. The reference
//! removes one trailing dot a pass, so that a text such as `*.com..` passes `check` and fails `run`; in hardened mode the
//! text without any trailing dot must pass as well, and both refuse it (D-301).

use muselet_rules::Strictness;

use super::grammar::{lower, quoted};
use super::value::List;

/// Checks and normalises the list called `label` in messages.
///
/// # Errors
/// The reference's sentence about the first entry that does not fit.
pub fn check(label: &str, list: &mut List<String>, strictness: Strictness) -> Result<(), String> {
    for (i, entry) in list.iter_mut().enumerate() {
        let mut host = trimmed_lower(entry);
        trim_dot(&mut host);
        shape(label, i, entry, &host, true)?;
        without_dots(label, i, entry, &host, strictness)?;
        *entry = host;
    }
    Ok(())
}

/// The variant of the entropy exclusions: a trailing dot is only removed after the check.
///
/// # Errors
/// As [`check`].
pub fn check_entropy_exclusions(list: &mut List<String>, strictness: Strictness) -> Result<(), String> {
    const LABEL: &str = "subdomain_entropy_exclusions";
    for (i, entry) in list.iter_mut().enumerate() {
        let mut host = trimmed_lower(entry);
        shape(LABEL, i, entry, &host, false)?;
        without_dots(LABEL, i, entry, &host, strictness)?;
        trim_dot(&mut host);
        *entry = host;
    }
    Ok(())
}

/// D-301: what a later pass would come to must fit now.
fn without_dots(
    label: &str,
    i: usize,
    written: &str,
    host: &str,
    strictness: Strictness,
) -> Result<(), String> {
    if strictness == Strictness::Reference || !host.ends_with('.') {
        return Ok(());
    }
    shape(label, i, written, host.trim_end_matches('.'), true).map_err(|error| format!("{error} (D-301)"))
}

fn trim_dot(host: &mut String) {
    if host.ends_with('.') {
        host.pop();
    }
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
