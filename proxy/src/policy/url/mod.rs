//! The URL pipeline: one absolute URL in, allow or block out. (spec: url-scan)
//!
//! The layers run in one fixed order, written down once in `layers`, and the first block wins. Only one of them needs the
//! network (name resolution for the address check), so the pipeline is two pure functions around that call:
//! [`Outcome::NeedsDns`] carries the host name out and the rest of the scan on. Time is passed in. Nothing here logs, counts
//! outside its own limit tables, or answers.

mod addresses;
mod domains;
mod entropy;
mod hardened;
mod layers;
pub mod parse;
mod passed;
mod quick;
mod quote;
mod scan;
mod secrets;
mod settings;
mod shape;
#[cfg(test)]
mod tests;
mod views;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use muselet_rules::Strictness;
use muselet_rules::dlp::{self, Rule, RuleList};

pub use parse::{GoUrl, ParseError, parse};
pub use quote::quote;
pub use settings::Settings;

use crate::policy::address::AddressSet;
use crate::policy::host::{Dialect, HostList};
use crate::policy::limits::{DataBudget, RateLimit};
use crate::policy::verdict::{UrlVerdict, WarnMatch};
use passed::Passed;
use quick::Quick;
use scan::Scan;

/// Result of the first half of a scan.
#[derive(Debug)]
pub enum Outcome<'u> {
    /// Decided without a resolver.
    Done(UrlVerdict),
    /// The host is a name: resolve [`Pending::host`] (within 5 s, hosts file first) and hand the answer to
    /// [`Pipeline::finish`].
    NeedsDns(Pending<'u>),
}

/// The part of a scan that waits for addresses.
#[derive(Debug)]
pub struct Pending<'u> {
    host: Cow<'u, str>,
    url_len: usize,
    warn_matches: Vec<WarnMatch>,
    /// The host is ASCII only because lower-casing made it so (only told in hardened mode).
    is_folded: bool,
}

impl Pending<'_> {
    /// The canonical host to resolve: lower-cased, without port; a trailing dot is kept.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Detached from the URL's memory.
    #[must_use]
    pub fn into_owned(self) -> Pending<'static> {
        Pending {
            host: Cow::Owned(self.host.into_owned()),
            url_len: self.url_len,
            warn_matches: self.warn_matches,
            is_folded: self.is_folded,
        }
    }
}

/// Why there are no addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupFailure {
    /// The request went away meanwhile.
    #[error("request context cancelled")]
    Cancelled,
    /// The resolver's own text, such as `lookup example.test: no such host`.
    #[error("{0}")]
    Failed(String),
}

/// All addresses of a name, in the resolver's order.
pub type Lookup<'a> = Result<&'a [IpAddr], &'a LookupFailure>;

/// The pipeline of one configuration, with its own limit tables: a reload starts with empty ones. (spec: url-scan §1.1)
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    api_allowlist: HostList,
    blocklist: HostList,
    trusted_domains: HostList,
    entropy_exclusions: HostList,
    core_ranges: AddressSet,
    internal_ranges: AddressSet,
    ip_allowlist: AddressSet,
    dlp: Arc<dlp::Scanner>,
    /// Shortcuts, made for the first URL: a process that waits has no use for their tables. `None`: without them.
    quick: Option<OnceLock<Quick>>,
    /// What URLs have passed. `None`: each is scanned as if it were new.
    passed: Option<Passed>,
    /// Hosts on which a rule does not count, by the rule's place in the merged list.
    exemptions: Vec<(usize, HostList)>,
    rate: RateLimit,
    budget: DataBudget,
}

impl Pipeline {
    /// Compiles `settings`. The scanner brings rules, literal secrets, canaries and the seed phrase detector.
    ///
    /// # Errors
    /// A text in `internal` or `ip_allowlist` that is not an address range; the configuration's loader refuses those first.
    pub fn new(settings: Settings, dlp: Arc<dlp::Scanner>) -> Result<Self, ipnet::AddrParseError> {
        let core_ranges = AddressSet::core();
        let mut internal_ranges = core_ranges.clone();
        internal_ranges.extend(
            settings.internal.iter().map(|range| range.parse()).collect::<Result<Vec<ipnet::IpNet>, _>>()?,
        );
        let hardened = settings.strictness == Strictness::Hardened;
        Ok(Self {
            api_allowlist: HostList::new(&settings.api_allowlist, Dialect::Domains),
            blocklist: HostList::new(&settings.blocklist, Dialect::Domains),
            trusted_domains: HostList::new(&settings.trusted_domains, Dialect::Domains),
            entropy_exclusions: HostList::new(&settings.entropy_exclusions, Dialect::Exemptions),
            core_ranges,
            internal_ranges,
            ip_allowlist: AddressSet::parse(&settings.ip_allowlist)?,
            exemptions: dlp.rules(RuleList::Main).iter().enumerate().filter_map(exemption).collect(),
            quick: Some(OnceLock::new()),
            passed: Some(Passed::default()),
            dlp,
            rate: RateLimit::new(settings.max_requests_per_minute),
            budget: DataBudget::new(settings.max_data_per_minute, hardened),
            settings,
        })
    }

    /// The same pipeline without its shortcuts: every text of the specification is made and every rule evaluated on it.
    /// Slower, with the same verdicts; tests and benchmarks compare the two.
    #[must_use]
    pub fn plain(self) -> Self {
        Self { quick: None, passed: None, ..self }
    }

    /// The same pipeline without a memory of earlier URLs, for benchmarks that scan one URL again and again.
    #[must_use]
    pub fn forgetful(self) -> Self {
        Self { passed: None, ..self }
    }

    /// Whether a rule may match `text`; without shortcuts always.
    fn may_match(&self, text: &[u8]) -> bool {
        self.quick().is_none_or(|quick| quick.may_match(&self.dlp, text))
    }

    fn quick(&self) -> Option<&Quick> {
        self.quick.as_ref().map(|quick| quick.get_or_init(|| Quick::new(&self.dlp)))
    }

    /// Whether names are resolved and addresses checked; otherwise only internal literals are refused.
    #[must_use]
    pub const fn checks_addresses(&self) -> bool {
        !self.settings.internal.is_empty()
    }

    /// The first half of a scan: everything up to name resolution, and all of it when no name has to be resolved.
    ///
    /// The caller answers [`UrlVerdict::context_cancelled`] instead of an allow when the request is cancelled by the time the scan
    /// ends.
    #[must_use]
    pub fn begin<'u>(&self, url: &'u [u8], now: Instant) -> Outcome<'u> {
        if let Some((pending, needs_lookup)) = self.passed.as_ref().and_then(|passed| passed.recall(url)) {
            return layers::lookup_or_limits(self, pending, needs_lookup, now);
        }
        let mut scan = match Scan::new(url) {
            Ok(scan) => scan,
            Err(_) => return Outcome::Done(layers::parser()),
        };
        layers::before_lookup(self, &mut scan, now)
    }

    /// The second half: judges the addresses, then the limits.
    #[must_use]
    pub fn finish(&self, pending: Pending<'_>, lookup: Lookup<'_>, now: Instant) -> UrlVerdict {
        layers::after_lookup(self, pending, lookup, now)
    }

    /// What the rate limit hides, for a tunnel: inside one it does not block, and in the reference a request that meets it
    /// escapes the layers behind it as well. Hardened asks them all the same (D-700), and its own differences.
    #[must_use]
    pub fn behind_rate_limit(&self, url: &[u8], now: Instant) -> Option<UrlVerdict> {
        if self.is_hardened() { layers::behind_rate_limit(self, url, now) } else { None }
    }

    /// A whole scan with the resolver as a function, for callers that may wait.
    pub fn scan(
        &self,
        url: &[u8],
        now: Instant,
        resolve: impl FnOnce(&str) -> Result<Vec<IpAddr>, LookupFailure>,
    ) -> UrlVerdict {
        match self.begin(url, now) {
            Outcome::Done(verdict) => verdict,
            Outcome::NeedsDns(pending) => {
                let answer = resolve(pending.host());
                self.finish(pending, answer.as_deref(), now)
            }
        }
    }

    /// What a request target (path and query) holds of secrets, wherever it goes. A number sign in it is data. Only in hardened mode.
    #[must_use]
    pub fn secrets_in_target(&self, target: &[u8]) -> Option<UrlVerdict> {
        // Of a host that is nobody's: no rule is exempt there.
        let found = |target: &[u8]| layers::secrets_in(self, &[b"http://h", target].concat());
        let numbered = || {
            memchr::memchr(b'#', target)?;
            found(&target.split(|&byte| byte == b'#').collect::<Vec<_>>().join(&b"%23"[..]))
        };
        if self.is_hardened() { found(target).or_else(numbered) } else { None }
    }

    /// Counts bytes transferred with `host` (as dialled, without port) against the data budget. (spec: url-scan §18)
    pub fn record_transfer(&self, host: &str, bytes: u64, now: Instant) {
        self.budget.record(host, bytes, now);
    }

    fn is_hardened(&self) -> bool {
        self.settings.strictness == Strictness::Hardened
    }

    fn is_exempt(&self, rule: &Rule, host_name: &str) -> bool {
        let rules = self.dlp.rules(RuleList::Main);
        self.exemptions.iter().any(|(at, hosts)| std::ptr::eq(&rules[*at], rule) && hosts.matches(host_name))
    }
}

fn exemption((at, rule): (usize, &Rule)) -> Option<(usize, HostList)> {
    let hosts = &rule.spec().exempt_domains;
    (!hosts.is_empty()).then(|| (at, HostList::new(hosts, Dialect::Exemptions)))
}
