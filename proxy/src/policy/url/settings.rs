//! The keys that the pipeline reads. (spec: url-scan §1.3)

use muselet_rules::Strictness;

use crate::config::Config;

/// Effective values of the keys that the URL pipeline depends on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether the listed differences are on.
    pub strictness: Strictness,
    /// `mode: strict`: `api_allowlist` is enforced when it is not empty.
    pub strict: bool,
    /// Host patterns. Outside strict mode they only choose hints and the config-mismatch class.
    pub api_allowlist: Vec<String>,
    /// Host patterns that are always refused.
    pub blocklist: Vec<String>,
    /// Names that may resolve to internal addresses.
    pub trusted_domains: Vec<String>,
    /// Host patterns without path and subdomain entropy checks.
    pub entropy_exclusions: Vec<String>,
    /// Address ranges. Empty: names are not resolved, and only literals in the core ranges are refused.
    pub internal: Vec<String>,
    /// Address ranges that are let through although internal.
    pub ip_allowlist: Vec<String>,
    /// Bits per code point; 0 or less: off.
    pub entropy_threshold: f64,
    /// Bits per code point; 0 or less: off.
    pub subdomain_entropy_threshold: f64,
    /// Bytes of the whole URL as given.
    pub max_url_length: usize,
    /// Requests per registrable domain and minute; 0: unlimited.
    pub max_requests_per_minute: u64,
    /// Bytes per registrable domain and minute; 0: unlimited.
    pub max_data_per_minute: u64,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let monitoring = &config.fetch_proxy.monitoring;
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        Self {
            strictness: config.muselet.strictness,
            strict: config.is_strict(),
            api_allowlist: config.api_allowlist.to_vec(),
            blocklist: monitoring.blocklist.to_vec(),
            trusted_domains: config.trusted_domains.to_vec(),
            entropy_exclusions: monitoring.subdomain_entropy_exclusions.to_vec(),
            internal: config.internal.to_vec(),
            ip_allowlist: config.ssrf.ip_allowlist.to_vec(),
            entropy_threshold: monitoring.entropy_threshold,
            subdomain_entropy_threshold: monitoring.subdomain_entropy_threshold,
            max_url_length: usize::try_from(monitoring.max_url_length).unwrap_or(0),
            max_requests_per_minute: count(monitoring.max_requests_per_minute),
            max_data_per_minute: count(monitoring.max_data_per_minute),
        }
    }
}
