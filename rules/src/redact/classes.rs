//! The built-in classes: name, priority, shape. Matched on the raw string, case-sensitively, without checksums.
//!
//! Expressions are written with `\b` and `\d` as the specification prints them; the compiler of [`super::matcher`] gives
//! both their ASCII meaning. The order is that of evaluation: by priority, then as listed.
//!
//! spec: dlp §12.2, tls-and-request-bodies §14.3

pub(super) struct Class {
    pub name: &'static str,
    pub priority: i64,
    pub pattern: &'static str,
}

macro_rules! octet {
    () => {
        r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
    };
}

macro_rules! ipv4 {
    () => {
        concat!(r"\b", octet!(), r"\.", octet!(), r"\.", octet!(), r"\.", octet!())
    };
}

const fn class(name: &'static str, priority: i64, pattern: &'static str) -> Class {
    Class { name, priority, pattern }
}

pub(super) const CLASSES: &[Class] = &[
    class("aws-access-key", 100, r"\b(?:AKIA|ASIA|AIDA|AGPA|AROA)[A-Z0-9]{16}\b"),
    class("google-api-key", 100, r"\bAIza[0-9A-Za-z_-]{35}\b"),
    class("github-token", 100, r"\b(?:ghp|gho|ghu|ghs|ghr|github_pat)_[A-Za-z0-9_]{20,}\b"),
    class("slack-token", 100, r"\bxox[baprs]-[A-Za-z0-9-]{10,}\b"),
    class("jwt", 100, r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\b"),
    class("ssh-private-key", 100, r"-----BEGIN (?:OPENSSH|RSA|DSA|EC|PGP) PRIVATE KEY(?: BLOCK)?-----"),
    class("ssn", 95, r"\b\d{3}-\d{2}-\d{4}\b"),
    class("ad-user", 95, r"\b[A-Z][A-Z0-9_-]{1,20}\\[A-Za-z0-9._-]{2,}\b"),
    class("hash-sha512", 90, r"\b[a-fA-F0-9]{128}\b"),
    class(
        "credit-card",
        90,
        r"\b(?:3[47]\d{2}[ -]?\d{6}[ -]?\d{5}|(?:4\d{3}|5[1-5]\d{2}|6011|65\d{2})[ -]?\d{4}[ -]?\d{4}[ -]?\d{4})\b",
    ),
    class("hash-sha256", 85, r"\b[a-fA-F0-9]{64}\b"),
    class("hash-sha1", 80, r"\b[a-fA-F0-9]{40}\b"),
    class("hash-md5", 75, r"\b[a-fA-F0-9]{32}\b"),
    class("cidr", 72, concat!(ipv4!(), r"/(?:3[0-2]|[12]?\d)\b")),
    class("ipv4", 70, concat!(ipv4!(), r"\b")),
    class(
        "ipv6",
        68,
        concat!(
            r"\b(?:[A-Fa-f0-9]{1,4}:){7}[A-Fa-f0-9]{1,4}\b",
            r"|\b[A-Fa-f0-9]+(?::[A-Fa-f0-9]*)*::(?:[A-Fa-f0-9]*:?)*[A-Fa-f0-9]*\b",
            r"|::[A-Fa-f0-9]+(?::[A-Fa-f0-9]*)*\b",
        ),
    ),
    class("mac", 65, r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b"),
    class("email", 60, r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\b"),
    class("fqdn", 50, r"\b(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.){1,}[a-zA-Z]{2,24}\b"),
];

/// Whether profiles may name this class. Reserved names without a shape are not classes.
pub fn is_class(name: &str) -> bool {
    CLASSES.iter().any(|class| class.name == name)
}
