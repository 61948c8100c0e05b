//! What is left out of logged URLs because it may be the secret itself. spec: http-proxy §16.4
//!
//! The reference shortens URLs only for eight scanner labels; the built-in core rules, the entropy layer and a few more are
//! written in full, with the credential they just caught. Hardened mode closes that (D-601).

use std::borrow::Cow;

use muselet_rules::Strictness;

/// Stands for a resource that may hold a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// Whether findings under this label are about content, so that the place they were found in may hold it.
pub(super) fn content_scanner(label: &str, strictness: Strictness) -> bool {
    match label {
        "dlp"
        | "body_dlp"
        | "header_dlp"
        | "mcp_input_scanning"
        | "response_scan"
        | "address_protection"
        | "seed_phrase"
        | "cross_request_entropy" => true,
        "core_dlp" | "entropy" | "path_entropy" | "env_leak" | "cross_request_fragment" => {
            strictness == Strictness::Hardened
        }
        _ => false,
    }
}

/// Whether findings under this label are made in the URL itself. What was found in a body or header has passed the URL layers,
/// so that its URL is worth keeping where the reference keeps it.
pub(super) fn url_scanner(label: &str) -> bool {
    matches!(
        label,
        "dlp"
            | "core_dlp"
            | "entropy"
            | "path_entropy"
            | "env_leak"
            | "seed_phrase"
            | "cross_request_entropy"
            | "cross_request_fragment"
    )
}

/// Whether a URL has a part that could hold anything: a path beyond `/`, a query, a fragment.
pub(super) fn has_content(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find(['/', '?', '#']).is_some_and(|at| &rest[at..] != "/")
}

/// `scheme://host[:port]/[redacted]`, or `[redacted-url]` where there is no host. Empty stays empty.
pub(super) fn url(text: &str) -> Cow<'static, str> {
    if text.is_empty() {
        return Cow::Borrowed("");
    }
    let shortened = text.split_once("://").and_then(|(scheme, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        let host = authority.rsplit('@').next().unwrap_or("");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        (!host.is_empty() && !scheme.is_empty() && scheme.chars().all(plain))
            .then(|| format!("{scheme}://{host}/{REDACTED}"))
    });
    shortened.map_or(Cow::Borrowed("[redacted-url]"), Cow::Owned)
}
