//! The authority of a CONNECT. (spec: http-proxy §6.1)

use std::fmt;

/// Host and port, as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Without brackets.
    pub host: String,
    /// Digits, or empty.
    pub port: String,
}

impl Target {
    /// Splits an authority; what does not split is a host, and the port 443.
    pub(super) fn parse(authority: &[u8]) -> Self {
        let authority = String::from_utf8_lossy(authority);
        match split_host_port(&authority) {
            Some((host, port)) => Self { host: host.to_owned(), port: port.to_owned() },
            None => Self {
                host: authority.trim_matches(|c| matches!(c, '[' | ']')).to_owned(),
                port: "443".to_owned(),
            },
        }
    }

    /// The URL that stands for the tunnel in the URL scan.
    pub(super) fn url(&self) -> String {
        if self.host.contains(':') {
            format!("https://[{}]/", self.host)
        } else {
            format!("https://{}/", self.host)
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains([':', '%']) {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Go's `net.SplitHostPort`.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']')?;
        return (!inner.contains(['[', ']']) && !port.contains(['[', ']'])).then_some((inner, port));
    }
    (!host.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

/// Exact, or `*.x` for names below `x` but not `x` itself; case is ignored, dots are not. (spec: http-proxy §4 "MatchDomain", exceptions)
pub(super) fn matches_below(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.to_lowercase(), host.to_lowercase());
    match pattern.strip_prefix('*') {
        Some(suffix) if suffix.starts_with('.') => host.ends_with(suffix),
        _ => host == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_split_as_in_the_reference() {
        let cases = [
            ("up.test:8443", "up.test:8443", "https://up.test/"),
            ("up.test", "up.test:443", "https://up.test/"),
            ("[::1]:8443", "[::1]:8443", "https://[::1]/"),
            ("[::1]", "[::1]:443", "https://[::1]/"),
            ("::1", "[::1]:443", "https://[::1]/"),
            ("127.0.0.1:", "127.0.0.1:", "https://127.0.0.1/"),
        ];
        for (authority, shown, url) in cases {
            let target = Target::parse(authority.as_bytes());
            assert_eq!((target.to_string().as_str(), target.url().as_str()), (shown, url), "{authority}");
        }
    }

    #[test]
    fn wildcards_do_not_match_the_apex() {
        let cases =
            [("*.up.test", "a.up.test", true), ("*.up.test", "up.test", false), ("UP.test", "up.TEST", true)];
        for (pattern, host, want) in cases {
            assert_eq!(matches_below(pattern, host), want, "{pattern} {host}");
        }
    }
}
