//! One request on its way through a handler: who asks, under which policy, and how it is reported.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::HeaderMap;

use super::identity::{self, DEFAULT_PROFILE, Identity};
use super::shared::Shared;
use crate::Strictness;
use crate::events::{Context, Event};
use crate::policy::Policy;
use crate::policy::url::{GoUrl, LookupFailure, Outcome, parse};
use crate::policy::verdict::{Label, UrlVerdict};

/// What a request carries through its stages.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Process state.
    pub shared: Arc<Shared>,
    /// The snapshot this request keeps.
    pub policy: Arc<Policy>,
    /// Client, request id, agent.
    pub identity: Identity,
    /// HTTP method, `CONNECT` or `WS`, as logged.
    pub method: Arc<str>,
    /// Full URL as logged; empty for CONNECT.
    pub url: Arc<str>,
    /// `host:port` as logged; empty for requests with a URL.
    pub target: Arc<str>,
    /// Its lines carry the agent even where the event has no such field (`/fetch`, `/ws`).
    pub tagged: bool,
    /// When the request began.
    pub began: Instant,
    /// What has been found so far, shared by all copies of this value.
    pub findings: Arc<Findings>,
}

/// Whether anything was found in an exchange. Only an exchange without any finding lets its session's score decay.
#[derive(Debug, Default)]
pub struct Findings {
    any: AtomicBool,
    hostile: AtomicBool,
}

impl Findings {
    /// Something was found.
    pub fn mark(&self) {
        self.any.store(true, Relaxed);
    }

    /// The response carried an injection, suppressed or not.
    pub fn mark_hostile(&self) {
        self.hostile.store(true, Relaxed);
    }

    /// Whether anything was found.
    #[must_use]
    pub fn any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// Whether the response carried an injection.
    #[must_use]
    pub fn hostile(&self) -> bool {
        self.hostile.load(Relaxed)
    }
}

impl Exchange {
    /// Takes an id and the current snapshot, and works out the agent. `query` is the raw query that may name one.
    #[must_use]
    pub fn begin(shared: &Arc<Shared>, client_ip: &Arc<str>, headers: &HeaderMap, query: &[u8]) -> Self {
        let policy = shared.policy.load_full();
        // Beside the first request, so that neither the start nor a response waits for it, and nobody who is not used holds it.
        if policy.response.first_use()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let response = Arc::clone(&policy.response);
            runtime.spawn_blocking(move || response.warm());
        }
        let config = &policy.config;
        let query_agent = parse::query_pairs(query).find(|(key, _)| &**key == b"agent").map(|(_, v)| v);
        let agent = identity::agent_name(
            headers,
            query_agent.as_deref(),
            &config.default_agent_identity,
            config.bind_default_agent_identity,
        );
        let counts = shared.fixed.strictness == Strictness::Hardened
            && (policy.cross_request.is_some() || shared.sessions.is_on())
            && agent != identity::ANONYMOUS;
        let identity = Identity {
            client_ip: Arc::clone(client_ip),
            request_id: shared.next_request_id().text(),
            surplus: counts && !shared.names.has_own_session(client_ip, &agent, Instant::now()),
            agent: agent.into(),
        };
        // The empty text is one for all.
        let (method, url, target) = <(Arc<str>, Arc<str>, Arc<str>)>::default();
        Self {
            shared: Arc::clone(shared),
            policy,
            identity,
            method,
            url,
            target,
            began: Instant::now(),
            tagged: false,
            findings: Arc::default(),
        }
    }

    /// The fields that events about this request share.
    #[must_use]
    pub fn context(&self) -> Context<'_> {
        Context {
            method: &self.method,
            url: &self.url,
            target: &self.target,
            client_ip: &self.identity.client_ip,
            request_id: &self.identity.request_id,
            agent: &self.identity.agent,
            ..Context::default()
        }
    }

    /// The same, for an event that exists because of `verdict`.
    #[must_use]
    pub fn context_of<'a>(&'a self, verdict: &UrlVerdict) -> Context<'a> {
        Context { difference: verdict.difference.unwrap_or(""), ..self.context() }
    }

    /// Writes an event.
    pub fn record(&self, event: &Event<'_>) {
        let agent = if self.tagged { &*self.identity.agent } else { "" };
        self.shared.events.record_tagged(agent, event);
    }

    /// Time since the request began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Counts a refusal under a scanner label. `host`: the domain it is counted for.
    pub fn count_blocked(&self, host: &str, scanner: &str) {
        self.shared.events.metrics().request_blocked(host, scanner, DEFAULT_PROFILE, self.elapsed());
    }

    /// Counts a request that was passed on.
    pub fn count_allowed(&self) {
        self.shared.events.metrics().request_allowed(DEFAULT_PROFILE, self.elapsed());
    }

    /// Runs the URL pipeline, name resolution included.
    pub async fn scan_url(&self, url: &[u8]) -> UrlVerdict {
        let pipeline = &self.policy.url;
        let pending = match pipeline.begin(url, Instant::now()) {
            Outcome::Done(verdict) => return verdict,
            Outcome::NeedsDns(pending) => pending,
        };
        let lookup = tokio::select! {
            biased;
            lookup = self.shared.upstream.resolver.lookup(pending.host()) => lookup,
            () = self.shared.stop.cut.cancelled() => Err(LookupFailure::Cancelled),
        };
        pipeline.finish(pending, lookup.as_deref(), Instant::now())
    }

    /// The same for the URL of a request's target, in whose query a number sign is data. The reference takes what follows for a
    /// fragment and looks into it with few of its layers (D-419).
    pub async fn scan_target(&self, url: &[u8]) -> UrlVerdict {
        let verdict = self.scan_url(url).await;
        let is_milder = verdict.allowed || verdict.label == Label::RateLimit;
        if !is_milder
            || self.shared.fixed.strictness == Strictness::Reference
            || memchr::memchr(b'#', url).is_none()
        {
            return verdict;
        }
        let data = url.split(|byte| *byte == b'#').collect::<Vec<_>>().join(&b"%23"[..]);
        let stricter = match self.scan_url(&data).await {
            limited if limited.label == Label::RateLimit => {
                self.policy.url.behind_rate_limit(&data, Instant::now())
            }
            stricter => Some(stricter),
        };
        let stricter = stricter.filter(|stricter| !stricter.allowed);
        stricter.map_or(verdict, |stricter| stricter.with_difference("D-419"))
    }

    /// Reports the warn-only rules that a URL scan met. `transport` as in the metric.
    pub fn report_warnings(&self, verdict: &UrlVerdict, transport: &str) {
        for warning in &verdict.warn_matches {
            self.shared.events.metrics().dlp_warn(&warning.pattern_name, transport);
            self.record(&Event::DlpWarn {
                ctx: self.context(),
                pattern: &warning.pattern_name,
                severity: &warning.severity,
                transport,
            });
        }
    }
}

/// Bytes of a URL as text for logs.
#[must_use]
pub fn display(url: &GoUrl<'_>) -> Arc<str> {
    lossy(&url.to_bytes()).into()
}

/// [`String::from_utf8_lossy`], quicker for what is UTF-8, as nearly everything is.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}
