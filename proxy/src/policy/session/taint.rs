//! What a session has read, and what it may therefore no longer do. spec: http-proxy §11.6
//!
//! A response from an ordinary site may carry instructions; a session that has read one is tainted until an operator
//! starts a new task, and what it publishes afterwards needs a person's consent, which a proxy without a terminal has not.

use std::collections::VecDeque;

use crate::config::Taint as TaintConfig;
use crate::policy::glob::Glob;
use crate::policy::host::{Dialect, HostList};
use crate::policy::response::{TaintLevel, source_level};

/// A response that reached a session.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Final URL, after redirects.
    pub url: &'a str,
    /// Its host, without brackets and port.
    pub host: &'a str,
    /// `forward_response` or `fetch_response`.
    pub kind: &'static str,
    /// The injection scan found something in it.
    pub hostile: bool,
}

/// What a request wants to reach.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub scheme: &'a str,
    /// With its port, as written.
    pub host: &'a str,
    pub path: &'a str,
    pub query: &'a str,
}

/// A request that may not simply pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement {
    pub level: TaintLevel,
    /// `publish` or `network`
    pub class: &'static str,
    /// `normal`, `elevated` or `protected`
    pub sensitivity: &'static str,
    /// `ask` or `block`
    pub decision: &'static str,
    pub reason: &'static str,
    pub source_url: String,
    pub source_kind: &'static str,
}

/// Whose authority a request carries; the proxy knows no narrower one.
pub const AUTHORITY: &str = "user_broad";

#[derive(Clone, Debug)]
struct Override {
    /// Lower-cased; empty: any.
    source: String,
    action: String,
    /// Seconds since 1970.
    expires: i64,
}

/// `taint`.
#[derive(Clone, Debug)]
pub(super) struct TaintSettings {
    pub(super) enabled: bool,
    strict: bool,
    recent: usize,
    allowlisted: HostList,
    protected: Vec<Glob>,
    elevated: Vec<Glob>,
    overrides: Vec<Override>,
}

impl TaintSettings {
    pub(super) fn of(config: &TaintConfig) -> TaintSettings {
        let overrides = config
            .trust_overrides
            .iter()
            .map(|o| Override {
                source: if o.scope == "source" {
                    o.source_match.trim().to_lowercase()
                } else {
                    String::new()
                },
                action: if o.scope == "action" {
                    o.action_match.trim().to_lowercase()
                } else {
                    String::new()
                },
                expires: o.expires_at.0.map_or(0, |at| at.unix_timestamp()),
            })
            .filter(|o| !(o.source.is_empty() && o.action.is_empty()))
            .collect();
        TaintSettings {
            enabled: config.enabled,
            strict: config.policy == "strict",
            recent: config.effective_recent_sources(),
            allowlisted: HostList::new(&config.allowlisted_domains, Dialect::Domains),
            protected: config.protected_paths.iter().map(|glob| Glob::new(glob)).collect(),
            elevated: config.elevated_paths.iter().map(|glob| Glob::new(glob)).collect(),
            overrides,
        }
    }

    fn level_of(&self, observation: &Observation<'_>) -> TaintLevel {
        source_level(observation.host, &self.allowlisted, observation.hostile)
    }

    fn sensitivity(&self, path: &str) -> &'static str {
        let path: Vec<char> = path.chars().collect();
        let any = |globs: &[Glob]| globs.iter().any(|glob| path_matches(glob, &path));
        if any(&self.protected) {
            "protected"
        } else if any(&self.elevated) {
            "elevated"
        } else {
            "normal"
        }
    }
}

/// The glob on the whole path, or on what begins with or follows any of its slashes.
fn path_matches(glob: &Glob, path: &[char]) -> bool {
    let slashes = path.iter().enumerate().filter(|(_, c)| **c == '/');
    let tails = slashes.flat_map(|(at, _)| [&path[at..], &path[at + 1..]]);
    std::iter::once(path).chain(tails).any(|tail| glob.fits(tail))
}

/// A session's taint and task.
#[derive(Debug)]
pub(super) struct Taint {
    pub(super) level: TaintLevel,
    sources: VecDeque<(String, &'static str)>,
    pub(super) task: String,
    pub(super) label: String,
    runtime: Vec<Override>,
}

impl Taint {
    pub(super) fn new() -> Taint {
        Taint {
            level: TaintLevel::Trusted,
            sources: VecDeque::new(),
            task: task_id(),
            label: String::new(),
            runtime: Vec::new(),
        }
    }

    pub(super) fn observe(&mut self, settings: &TaintSettings, observation: &Observation<'_>) {
        let level = settings.level_of(observation);
        self.level = self.level.max(level);
        if level >= TaintLevel::ExternalUntrusted {
            while self.sources.len() >= settings.recent {
                self.sources.pop_front();
            }
            self.sources.push_back((observation.url.to_owned(), observation.kind));
        }
    }

    pub(super) fn judge(
        &self,
        settings: &TaintSettings,
        method: &str,
        target: &Target<'_>,
        wall: i64,
    ) -> Option<Judgement> {
        let class = match method {
            "GET" | "HEAD" | "OPTIONS" | "TRACE" => return None,
            "POST" | "PUT" | "PATCH" | "DELETE" => "publish",
            _ => "network",
        };
        if self.level < TaintLevel::ExternalUntrusted {
            return None;
        }
        let sensitivity = settings.sensitivity(target.path);
        let publish = class == "publish";
        let (decision, reason) =
            if self.level == TaintLevel::ExternalHostile && (publish || sensitivity != "normal") {
                ("block", "sensitive_action_after_hostile_external_exposure")
            } else if publish {
                ("ask", "external_publish_after_untrusted_external_exposure")
            } else if settings.strict && sensitivity != "normal" {
                ("ask", "mutating_network_after_untrusted_external_exposure")
            } else {
                return None;
            };
        let (source_url, source_kind) = self.sources.back().cloned().unwrap_or_default();
        let action = action_reference(class, method, target);
        let trusted = settings.overrides.iter().chain(&self.runtime).any(|o| {
            o.expires > wall
                && (o.source.is_empty() || reference_matches(&o.source, &source_url.to_lowercase()))
                && (o.action.is_empty() || reference_matches(&o.action, &action))
        });
        if trusted {
            return None;
        }
        Some(Judgement { level: self.level, class, sensitivity, decision, reason, source_url, source_kind })
    }

    /// Begins a task: nothing read before counts any more. Returns the overrides that were dropped.
    pub(super) fn begin_task(&mut self, label: &str) -> usize {
        let dropped = self.runtime.len();
        *self = Taint { label: label.to_owned(), ..Taint::new() };
        dropped
    }

    pub(super) fn trust(&mut self, source: &str, action: &str, expires: i64) {
        self.runtime.push(Override {
            source: source.trim().to_lowercase(),
            action: action.trim().to_lowercase(),
            expires,
        });
    }
}

fn reference_matches(pattern: &str, text: &str) -> bool {
    pattern == text || Glob::new(pattern).matches(text)
}

/// `class:method:scheme://host/path?query`, all but path and query in lower case; compared in lower case as a whole.
fn action_reference(class: &str, method: &str, target: &Target<'_>) -> String {
    let Target { scheme, host, path, query } = target;
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{class}:{method}:{scheme}://{host}{path}{mark}{query}").to_lowercase()
}

/// `task-` and a UUID of version 7: sorted by the time it was made.
fn task_id() -> String {
    let millis = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(0));
    let random: u128 = rand::random();
    let high = (millis << 16) | 0x7000 | (random as u64 & 0x0fff);
    let low = ((random >> 64) as u64 & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    format!(
        "task-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
