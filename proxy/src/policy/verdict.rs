//! What the URL pipeline answers: a value that says allow or block, which layer decided and why.
//!
//! A verdict is built in one place (the layer that decides) and read in three (the server answers, the log writes, the
//! metrics count), so everything that belongs to a label stands here once: its name, its score, its hint and its ATT&CK
//! technique. Allowed verdicts hold no heap memory, because nearly every verdict is one. (spec: url-scan §2, http-proxy §16.5)

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::Strictness;

/// The layer that decided, as the reference names it. (spec: url-scan §2.2)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    /// The request was cancelled, or had no context, before the scan ended.
    Context,
    /// The URL does not parse.
    Parser,
    /// Neither http nor https.
    Scheme,
    /// An encoded CR or LF.
    CrlfInjection,
    /// `..` between separators.
    PathTraversal,
    /// Strict mode and a host outside `api_allowlist`.
    Allowlist,
    /// A host on `fetch_proxy.monitoring.blocklist`.
    Blocklist,
    /// An internal address literal while DNS checks are off.
    CoreSsrf,
    /// One of the credential shapes that no setting disables.
    CoreDlp,
    /// A configured credential shape, seed phrase, literal secret or canary.
    Dlp,
    /// A random-looking path segment, query key or query value.
    Entropy,
    /// A random-looking label of the host name.
    SubdomainEntropy,
    /// A host that resolves to an internal address, or does not resolve.
    Ssrf,
    /// Too many requests for one registrable domain in a minute.
    RateLimit,
    /// The URL is too long.
    Length,
    /// Too many bytes for one registrable domain in a minute.
    DataBudget,
    /// No layer objected.
    All,
}

impl Label {
    /// Every label, in the order in which the layers run, `all` last.
    pub const EVERY: [Self; 17] = [
        Self::Context,
        Self::Parser,
        Self::Scheme,
        Self::CrlfInjection,
        Self::PathTraversal,
        Self::Allowlist,
        Self::Blocklist,
        Self::CoreSsrf,
        Self::CoreDlp,
        Self::Dlp,
        Self::Entropy,
        Self::SubdomainEntropy,
        Self::Ssrf,
        Self::RateLimit,
        Self::Length,
        Self::DataBudget,
        Self::All,
    ];

    /// The name used in answers, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Context => "context",
            Self::Parser => "parser",
            Self::Scheme => "scheme",
            Self::CrlfInjection => "crlf_injection",
            Self::PathTraversal => "path_traversal",
            Self::Allowlist => "allowlist",
            Self::Blocklist => "blocklist",
            Self::CoreSsrf => "core_ssrf",
            Self::CoreDlp => "core_dlp",
            Self::Dlp => "dlp",
            Self::Entropy => "entropy",
            Self::SubdomainEntropy => "subdomain_entropy",
            Self::Ssrf => "ssrf",
            Self::RateLimit => "ratelimit",
            Self::Length => "length",
            Self::DataBudget => "databudget",
            Self::All => "all",
        }
    }

    /// The score of a block by this layer, 0.0–1.0. The two entropy layers compute theirs (entropy / 8, at most 1.0); the
    /// value here is their upper bound. (spec: url-scan §2.2)
    #[must_use]
    pub const fn score(self) -> f64 {
        match self {
            Self::CrlfInjection => 0.9,
            Self::PathTraversal | Self::RateLimit => 0.7,
            Self::Length | Self::DataBudget => 0.8,
            Self::All => 0.0,
            _ => 1.0,
        }
    }

    /// Guidance for the operator. (spec: url-scan §2.4)
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Blocklist => {
                "Domain is on the blocklist. Remove from fetch_proxy.monitoring.blocklist if legitimate."
            }
            Self::Dlp => {
                "A DLP pattern matched this URL. If false positive, add a suppress entry for this rule."
            }
            Self::Entropy => "High-entropy content detected. Review the URL for data exfiltration attempts.",
            Self::SubdomainEntropy => {
                "High-entropy content detected in subdomain. Review for data exfiltration via DNS."
            }
            Self::Ssrf => {
                "SSRF protection blocked this URL. It may resolve to a private IP or DNS resolution failed."
            }
            Self::RateLimit => {
                "Rate limit exceeded. Retry later or adjust fetch_proxy.monitoring.max_requests_per_minute."
            }
            Self::Length => "URL exceeds maximum length. Check for data stuffing in query parameters.",
            Self::DataBudget => "Session data budget exceeded.",
            Self::Scheme => "Only http and https schemes are allowed.",
            Self::Allowlist => {
                "Domain not on the allowlist. In strict mode, only allowlisted domains are reachable."
            }
            Self::Parser => "The URL could not be parsed.",
            Self::Context => "The request context was nil or cancelled before the scan completed.",
            Self::CrlfInjection => {
                "CRLF injection sequence detected in URL. This is never legitimate in normal traffic."
            }
            Self::PathTraversal => {
                "Path traversal sequence detected. Review the URL for directory escape attempts."
            }
            Self::CoreDlp => {
                "Core DLP pattern matched. This is a critical credential detection that cannot be disabled."
            }
            Self::CoreSsrf => "Core SSRF protection blocked this URL. Private IP ranges are always blocked.",
            Self::All => "",
        }
    }

    /// The same in hardened mode, where it names what the program obeys. (D-611)
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Allowlist => "In strict mode only the hosts in api_allowlist are reachable.",
            Self::CoreSsrf => {
                "Internal addresses are refused. One that should be reachable belongs in ssrf.ip_allowlist."
            }
            Self::Dlp => {
                "What must not leave is in this URL. A pattern can be defined again under its name in dlp.patterns, with exempt_domains or action: warn."
            }
            Self::Entropy => {
                "A part of the URL looks random. For paths list the host in fetch_proxy.monitoring.subdomain_entropy_exclusions; for queries raise fetch_proxy.monitoring.entropy_threshold."
            }
            Self::SubdomainEntropy => {
                "A part of the host name looks random. List the host in fetch_proxy.monitoring.subdomain_entropy_exclusions, or raise fetch_proxy.monitoring.subdomain_entropy_threshold."
            }
            Self::Ssrf => {
                "The host leads to an internal address, or was not found. A name that may belongs in trusted_domains, an address in ssrf.ip_allowlist."
            }
            Self::Length => "The URL is longer than fetch_proxy.monitoring.max_url_length.",
            Self::DataBudget => "The bytes of fetch_proxy.monitoring.max_data_per_minute are used up.",
            _ => self.hint(),
        }
    }

    /// ATT&CK technique, where the reference names one.
    #[must_use]
    pub fn mitre_technique(self) -> Option<&'static str> {
        mitre_technique(self.as_str())
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Label {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// ATT&CK technique for any scanner label of the program, also those of the layers outside the URL pipeline. `None`: the
/// key is left out of the event. (spec: http-proxy §16.5)
#[must_use]
pub fn mitre_technique(scanner: &str) -> Option<&'static str> {
    Some(match scanner {
        "dlp" | "core_dlp" | "entropy" | "subdomain_entropy" | "length" | "path_entropy" | "env_leak"
        | "body_dlp" | "header_dlp" => "T1048",
        "databudget" | "ratelimit" => "T1030",
        "ssrf" | "core_ssrf" => "T1046",
        "crlf_injection" | "parser" | "context" => "T1190",
        "path_traversal" => "T1083",
        "blocklist" | "allowlist" | "redirect" => "T1071.001",
        "scheme" | "ws_protocol" => "T1071",
        "response_scan" | "core_response" | "policy" | "chain_detection" => "T1059",
        "sni_mismatch" | "tls_authority_mismatch" => "T1090.004",
        "tls_intercept" => "T1557",
        "tls_response_blocked" => "T1659",
        "tls_handshake_error" => "T1573",
        _ => return None,
    })
}

/// What a block says about the client, for adaptive enforcement. (spec: url-scan §2.5)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Class {
    /// Counts as a block.
    #[default]
    Threat,
    /// A limit of ours: score-neutral.
    Protective,
    /// The host is on the operator's own allowlist, only its address is refused: a near miss.
    ConfigMismatch,
    /// The resolver failed: score-neutral.
    Infrastructure,
}

impl Class {
    /// The number the reference uses for the class.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Threat => 0,
            Self::Protective => 1,
            Self::ConfigMismatch => 2,
            Self::Infrastructure => 3,
        }
    }
}

/// A warn-only rule that matched. (spec: url-scan §2.6)
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WarnMatch {
    /// Name of the rule.
    pub pattern_name: Arc<str>,
    /// Severity as configured.
    pub severity: Arc<str>,
}

/// The answer of the URL pipeline. (spec: url-scan §2.1)
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct UrlVerdict {
    /// True: no layer objected.
    pub allowed: bool,
    /// Exact text, empty when allowed.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: Cow<'static, str>,
    /// The layer that decided; [`Label::All`] when allowed.
    #[serde(rename = "scanner")]
    pub label: Label,
    /// Operator guidance, empty when allowed. Shown to clients only when `explain_blocks` is on.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub hint: Cow<'static, str>,
    /// 0.0–1.0; 0 when allowed.
    pub score: f64,
    /// Warn-only rules that matched, by first match, each once. They never change the verdict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warn_matches: Vec<WarnMatch>,
    /// For adaptive enforcement.
    #[serde(skip)]
    pub class: Class,
    /// Id of the listed difference (`D-…`) without which the reference's verdict would have been milder. Only in hardened mode.
    #[serde(skip)]
    pub difference: Option<&'static str>,
}

impl UrlVerdict {
    /// No layer objected.
    #[must_use]
    pub const fn allow(warn_matches: Vec<WarnMatch>) -> Self {
        Self {
            allowed: true,
            reason: Cow::Borrowed(""),
            label: Label::All,
            hint: Cow::Borrowed(""),
            score: 0.0,
            warn_matches,
            class: Class::Threat,
            difference: None,
        }
    }

    /// A block by `label` with the label's score and hint, class threat.
    #[must_use]
    pub fn block(label: Label, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            allowed: false,
            reason: reason.into(),
            label,
            hint: Cow::Borrowed(label.hint()),
            score: label.score(),
            warn_matches: Vec::new(),
            class: Class::Threat,
            difference: None,
        }
    }

    /// The hint as it is told in a mode: a specific one, or the label's.
    #[must_use]
    pub fn hint_in(&self, strictness: Strictness) -> &str {
        if strictness == Strictness::Hardened && self.hint == self.label.hint() {
            return self.label.remedy();
        }
        &self.hint
    }

    /// The request was cancelled during name resolution or at the very end.
    #[must_use]
    pub fn context_cancelled() -> Self {
        Self::block(Label::Context, "request context cancelled")
    }

    /// The same verdict with another score.
    #[must_use]
    pub const fn with_score(mut self, score: f64) -> Self {
        self.score = score;
        self
    }

    /// The same verdict with another class.
    #[must_use]
    pub const fn with_class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// The same verdict with a specific hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same verdict, attributed to a listed difference.
    #[must_use]
    pub const fn with_difference(mut self, id: &'static str) -> Self {
        self.difference = Some(id);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardened_hints_name_what_is_obeyed() {
        let verdict = UrlVerdict::block(Label::Dlp, "");
        assert!(verdict.hint_in(Strictness::Reference).contains("suppress"));
        for label in Label::EVERY {
            let verdict = UrlVerdict::block(label, "");
            assert_eq!(verdict.hint_in(Strictness::Reference), label.hint());
            let hint = verdict.hint_in(Strictness::Hardened);
            assert!(
                !hint.contains("suppress") && hint.is_empty() == label.hint().is_empty(),
                "{label}: {hint}"
            );
            let specific = verdict.with_hint("this one");
            assert_eq!(specific.hint_in(Strictness::Hardened), "this one");
        }
    }

    #[test]
    fn every_label_but_all_has_a_hint_a_score_and_a_technique() {
        for label in Label::EVERY {
            let blocks = label != Label::All;
            assert_eq!(!label.hint().is_empty(), blocks, "{label}");
            assert_eq!(label.score() > 0.0, blocks, "{label}");
            assert_eq!(label.mitre_technique().is_some(), blocks, "{label}");
        }
    }

    #[test]
    fn serialises_with_the_reference_names_and_leaves_out_what_is_empty() {
        let allowed = serde_json::to_string(&UrlVerdict::allow(Vec::new())).expect("serialises");
        assert_eq!(allowed, r#"{"allowed":true,"scanner":"all","score":0.0}"#);
        let blocked =
            serde_json::to_string(&UrlVerdict::block(Label::RateLimit, "rate limit exceeded for a.test"))
                .expect("serialises");
        assert!(blocked.starts_with(r#"{"allowed":false,"reason":"rate limit exceeded for a.test","scanner":"ratelimit","hint":"Rate limit"#));
    }
}
