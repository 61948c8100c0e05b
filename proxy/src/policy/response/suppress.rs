//! `suppress`: findings of one rule on one place that the operator has declared harmless. spec: response-scan §6.3
//!
//! A place is a URL; the path pattern is tried in several ways (prefix, equality, glob, parts in order, suffix) and the
//! first that fits wins. The globs are the shell's: `*` and `?` stop at `/`.

use crate::policy::glob::Glob;
use crate::policy::url::parse;

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// Rule name, compared ignoring case.
    pub rule: String,
    /// Pattern for the target.
    pub path: String,
}

/// The whole list, in file order.
#[derive(Debug, Clone, Default)]
pub struct Suppressions {
    entries: Vec<Suppression>,
}

impl Suppressions {
    /// Takes the entries as configured.
    #[must_use]
    pub fn new(entries: Vec<Suppression>) -> Self {
        Self { entries }
    }

    /// Whether findings of `rule` at `target` are dropped.
    #[must_use]
    pub fn covers(&self, rule: &str, target: &str) -> bool {
        if target.is_empty() {
            return false;
        }
        self.entries.iter().any(|e| same_name(&e.rule, rule) && path_matches(&e.path, target))
    }
}

/// Go's `EqualFold` for the names that occur.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!a.is_ascii() && a.to_lowercase() == b.to_lowercase())
}

/// Whether the pattern fits the target.
fn path_matches(pattern: &str, target: &str) -> bool {
    let target = target.replace('\\', "/");
    let pattern = pattern.replace('\\', "/");
    if pattern.is_empty() {
        return false;
    }
    let (bare_target, bare_pattern) = (without_default_port(&target), without_default_port(&pattern));
    if bare_pattern.ends_with('/') {
        return bare_target.starts_with(&bare_pattern);
    }
    if bare_target == bare_pattern || target == pattern {
        return true;
    }
    let pattern_glob = Glob::new(&bare_pattern);
    if pattern_glob.matches(&bare_target) || pattern_glob.matches(last_element(&bare_target)) {
        return true;
    }
    let urlish = bare_pattern.contains("://") || (bare_pattern.contains('.') && bare_target.contains("://"));
    if urlish && parts_in_order(&bare_pattern, &bare_target) {
        return true;
    }
    !bare_pattern.starts_with('/') && bare_target.ends_with(&format!("/{bare_pattern}"))
}

/// A URL with port 443 or 80, whatever the scheme, written again without it: with the scheme in lower case, with escapes where
/// a URL must have them, and without the brackets of an IPv6 address. Anything else as it is. spec: dlp §13
fn without_default_port(text: &str) -> String {
    let parsed = text.contains("://").then(|| parse(text.as_bytes()).ok()).flatten();
    match parsed {
        Some(mut url) if matches!(url.port(), b"443" | b"80") => {
            url.host = url.host_name().to_vec().into();
            String::from_utf8_lossy(&url.to_bytes()).into_owned()
        }
        _ => text.to_owned(),
    }
}

/// What follows the last `/`, those at the end left out.
fn last_element(target: &str) -> &str {
    match target.trim_end_matches('/') {
        "" => "/",
        rest => rest.rsplit('/').next().unwrap_or(rest),
    }
}

/// Literal parts between `*` occur in order, anchored where the pattern has no `*` at its ends.
fn parts_in_order(pattern: &str, target: &str) -> bool {
    let parts: Vec<&str> = pattern.split('*').collect();
    let mut at = 0;
    for (i, part) in parts.iter().enumerate() {
        if part.is_empty() {
            continue;
        }
        let Some(found) = target[at..].find(part) else { return false };
        if i == 0 && found != 0 {
            return false;
        }
        at += found + part.len();
    }
    // Without a trailing `*` the last part has to end the target, wherever its first occurrence was.
    parts.last().is_none_or(|last| last.is_empty() || target.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_patterns_fit_targets_in_the_documented_ways() {
        let table = [
            ("*/robots.txt", "https://a.example/robots.txt", true),
            ("robots.txt", "https://a.example/robots.txt", true),
            ("https://a.example/", "https://a.example/x/y", true),
            ("https://a.example:443/*", "https://a.example/x/y", true),
            ("a.example", "https://a.example/x", false),
            ("*a.example*", "https://a.example/x", true),
            ("*", "https://a.example/x/y?z", true),
            ("/x", "https://a.example/x", false),
            ("api/v1", "https://a.example/api/v1", true),
            ("vendor/", "vendor/a/b.go", true),
            ("*.txt", "dir/foo.txt", true),
            ("/robots.txt", "https://example.com/robots.txt", false),
            ("*.anthropic.com*", "https://api.anthropic.com:443/v1/messages", true),
            ("*.example.com/v1*", "https://api.example.com:8443/v1/x", false),
            ("https://api.example.com:443/v1", "https://api.example.com/v1", true),
            ("", "https://a.example/", false),
            ("*", "", false),
            ("[a", "a", false),
            ("f[0-9]?", "f7x", true),
            ("f[^0-9]", "f7", false),
            ("x", "https://a.example/x/", true),
            ("e.*", "https://e.com//", true),
            ("HTTPS://a.example:443/x", "https://a.example/x", true),
            ("https://a.example:443/a b", "https://a.example/a%20b", true),
            ("https://[::1]:443/x", "https://::1/x", true),
            ("https://[::1]:8443/x", "https://[::1]/x", false),
            ("https://a.example:80", "https://a.example", true),
            ("https://a.example:0443/x", "https://a.example/x", false),
        ];
        for (path, target, want) in table {
            let list = Suppressions::new(vec![Suppression { rule: "R".into(), path: path.into() }]);
            assert_eq!(list.covers("r", target), want, "{path:?} on {target:?}");
            assert!(!list.covers("other", target), "{path:?} on {target:?}");
        }
    }
}
