//! Leaks spread over several requests: how much randomness a client sends, and secrets sent in pieces.
//! (spec: dlp §11, http-proxy §11.7)
//!
//! The trackers are state, yet they belong to the snapshot: every reload is to replace them by empty ones, and so they come and
//! go with the policy that owns them. A request is judged by the rules of its own snapshot with the trackers of the live one,
//! because an old tunnel must not keep a second account of its client. Locks are held to append and to copy references, never
//! while scanning.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use muselet_rules::dlp::crossreq::{Entropy, Fragments, scan_fragments};
use muselet_rules::dlp::{Match, Scanner};

use super::host::{Dialect, HostList};
use super::url::parse::{Part, decode};
use crate::config::Config;
use crate::config::grammar::seconds;

/// Bytes of a body that count.
pub const BODY_PREFIX: usize = 65_536;

/// How often [`CrossRequest::clean_up`] is due: the shortest window is a minute, and a minute is the longest interval.
pub const CLEAN_UP: Duration = Duration::from_secs(60);

/// The rules of one configuration, and the trackers that live as long as it does.
pub struct CrossRequest {
    began: Instant,
    entropy: Option<Budget>,
    fragments: Option<Reassembly>,
}

struct Budget {
    tracker: Mutex<Entropy>,
    blocks: bool,
    exempt: HostList,
}

struct Reassembly {
    buffer: Mutex<Fragments>,
    blocks: bool,
}

/// What one request adds to the account of its client.
#[derive(Default)]
pub struct Payload {
    /// Query values, then the body.
    outbound: Vec<u8>,
    /// Query names.
    names: Vec<u8>,
    /// Does not go into the fragment buffer.
    opaque: bool,
}

/// What a request was found to do together with earlier ones.
#[derive(Debug)]
pub enum Finding {
    /// The client's budget is used up.
    Entropy {
        /// Bits within the window, this request included.
        used: f64,
        /// Bits allowed.
        budget: f64,
        /// The request is refused.
        blocks: bool,
    },
    /// A secret that no single request carried.
    Fragments {
        /// The rule.
        rule: Match,
        /// The request is refused.
        blocks: bool,
    },
}

/// The outcome for one request.
#[derive(Debug, Default)]
pub struct Admission {
    /// In order; only the last one may refuse the request.
    pub findings: Vec<Finding>,
    /// Warn-mode rules that the reassembled text met, each once.
    pub warnings: Vec<Match>,
}

/// What `/stats` says.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// There is an entropy tracker.
    pub entropy: bool,
    /// There is a fragment buffer.
    pub fragments: bool,
    /// Bytes in the buffer.
    pub bytes: usize,
}

// Never the contents: they are what clients have sent.
impl fmt::Debug for CrossRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrossRequest").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload").field("bytes", &self.len()).finish_non_exhaustive()
    }
}

impl Payload {
    /// The values and names of a raw query, decoded once, in wire order.
    #[must_use]
    pub fn of_query(raw_query: &[u8]) -> Self {
        let mut payload = Self::default();
        for item in raw_query.split(|byte| *byte == b'&') {
            let (name, value) = match memchr::memchr(b'=', item) {
                Some(at) => (&item[..at], &item[at + 1..]),
                None => (&item[..0], item),
            };
            for (part, all) in [(value, &mut payload.outbound), (name, &mut payload.names)] {
                match decode(part, Part::Query) {
                    Ok(decoded) => all.extend_from_slice(&decoded),
                    Err(_) => all.extend_from_slice(part),
                }
            }
        }
        payload
    }

    /// A message on an open connection. `text`: its pieces can be put together.
    #[must_use]
    pub fn of_message(message: &[u8], text: bool) -> Self {
        Self { outbound: message.to_vec(), names: Vec::new(), opaque: !text }
    }

    /// Adds the beginning of the body.
    pub fn add_body(&mut self, body: &[u8]) {
        self.outbound.extend_from_slice(&body[..body.len().min(BODY_PREFIX)]);
    }

    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.outbound.len() + self.names.len()
    }

    /// Whether there is nothing to account for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Finding {
    /// Whether the request is refused.
    #[must_use]
    pub fn blocks(&self) -> bool {
        match self {
            Self::Entropy { blocks, .. } | Self::Fragments { blocks, .. } => *blocks,
        }
    }

    /// The scanner label of its event.
    #[must_use]
    pub fn scanner(&self) -> &'static str {
        match self {
            Self::Entropy { .. } => "cross_request_entropy",
            Self::Fragments { .. } => "cross_request_fragment",
        }
    }

    /// The reason in its event.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Entropy { used, budget, .. } => {
                format!("entropy budget exceeded: {used:.0}/{budget:.0} bits")
            }
            Self::Fragments { rule, .. } => format!("fragment reassembly DLP match: {}", rule.name),
        }
    }

    /// The reason that the client is told.
    #[must_use]
    pub fn refusal(&self) -> String {
        match self {
            Self::Entropy { .. } => "cross-request entropy budget exceeded".to_owned(),
            Self::Fragments { rule, .. } => format!("cross-request secret detected: {}", rule.name),
        }
    }
}

impl CrossRequest {
    /// Empty trackers for a configuration; `None` where it does not want any.
    #[must_use]
    pub fn new(config: &Config) -> Option<Self> {
        let section = &config.cross_request_detection;
        if !section.enabled {
            return None;
        }
        let minutes = |n: i64| seconds(n.saturating_mul(60));
        // Without enforcement both actions are only reports.
        let blocks = |action: &str| config.enforces() && action == "block";
        let budget = &section.entropy_budget;
        let entropy = budget.enabled.then(|| Budget {
            tracker: Mutex::new(Entropy::new(budget.bits_per_window, minutes(budget.window_minutes))),
            blocks: blocks(&budget.action),
            exempt: HostList::new(&budget.exempt_domains, Dialect::Domains),
        });
        let pieces = &section.fragment_reassembly;
        let cap = usize::try_from(pieces.max_buffer_bytes).unwrap_or(BODY_PREFIX);
        let fragments = pieces.enabled.then(|| Reassembly {
            buffer: Mutex::new(Fragments::new(cap, minutes(pieces.window_minutes))),
            blocks: blocks(&section.action),
        });
        Some(Self { began: Instant::now(), entropy, fragments })
    }

    /// Judges a request to `host` of the client `key`, and remembers it whatever the outcome. `live` are the trackers in force.
    /// (spec: dlp §11.4)
    #[must_use]
    pub fn admit(
        &self,
        live: &Self,
        scanner: &Scanner,
        key: &str,
        host: &str,
        payload: &Payload,
        now: Instant,
    ) -> Admission {
        let mut admission = Admission::default();
        if payload.is_empty() {
            return admission;
        }
        let at = live.time(now);
        if let (Some(rules), Some(budget)) = (&self.entropy, &live.entropy)
            && !rules.exempt.matches(host)
        {
            let mut tracker = lock(&budget.tracker);
            tracker.record(key, &payload.outbound, at);
            tracker.record(key, &payload.names, at);
            if tracker.exceeded(key, at) {
                admission.findings.push(rules.finding(&tracker, key, at));
                if rules.blocks {
                    return admission;
                }
            }
        }
        let (Some(rules), Some(pieces)) = (&self.fragments, &live.fragments) else { return admission };
        if payload.opaque {
            return admission;
        }
        for (stream, data) in [(key.to_owned(), &payload.outbound), (names_of(key), &payload.names)] {
            if data.is_empty() {
                continue;
            }
            let together = {
                let mut buffer = lock(&pieces.buffer);
                buffer.append(&stream, data, at);
                buffer.live(&stream, at)
            };
            let mut seen = Vec::new();
            let found = scan_fragments(scanner, &together, &mut seen);
            for warning in seen {
                if !admission.warnings.iter().any(|known| known.name == warning.name) {
                    admission.warnings.push(warning);
                }
            }
            if let Some(rule) = found.into_iter().next() {
                admission.findings.push(Finding::Fragments { rule, blocks: rules.blocks });
                if rules.blocks {
                    return admission;
                }
            }
        }
        admission
    }

    /// What a client that only asks for a tunnel has coming: nothing is recorded. (spec: http-proxy §6.2 C9)
    #[must_use]
    pub fn exhausted(&self, live: &Self, key: &str, now: Instant) -> Option<Finding> {
        let (rules, budget) = (self.entropy.as_ref()?, live.entropy.as_ref()?);
        let at = live.time(now);
        let tracker = lock(&budget.tracker);
        tracker.exceeded(key, at).then(|| rules.finding(&tracker, key, at))
    }

    /// Bytes that judging `payload` may have to scan.
    #[must_use]
    pub fn cost(&self, key: &str, payload: &Payload) -> usize {
        let held = self.fragments.as_ref().map_or(0, |pieces| {
            let buffer = lock(&pieces.buffer);
            buffer.bytes_of(key) + buffer.bytes_of(&names_of(key))
        });
        held + payload.len()
    }

    /// Forgets a client; `true` if anything was known about it.
    pub fn forget(&self, key: &str) -> bool {
        let spent = self.entropy.as_ref().is_some_and(|budget| lock(&budget.tracker).forget(key));
        let sent = self.fragments.as_ref().is_some_and(|pieces| {
            let mut buffer = lock(&pieces.buffer);
            let values = buffer.forget(key);
            buffer.forget(&names_of(key)) || values
        });
        spent || sent
    }

    /// Drops what has left its window. Due every [`CLEAN_UP`].
    pub fn clean_up(&self, now: Instant) {
        let at = self.time(now);
        if let Some(budget) = &self.entropy {
            lock(&budget.tracker).clean_up(at);
        }
        if let Some(pieces) = &self.fragments {
            lock(&pieces.buffer).clean_up(at);
        }
    }

    /// What there is.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            entropy: self.entropy.is_some(),
            fragments: self.fragments.is_some(),
            bytes: self.fragments.as_ref().map_or(0, |pieces| lock(&pieces.buffer).bytes()),
        }
    }

    fn time(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

impl Budget {
    fn finding(&self, tracker: &Entropy, key: &str, at: Duration) -> Finding {
        Finding::Entropy { used: tracker.used(key, at), budget: tracker.budget(), blocks: self.blocks }
    }
}

/// The stream of query names.
fn names_of(key: &str) -> String {
    format!("{key}|keys")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The trackers keep their totals right at every step, so a panic elsewhere leaves them usable.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
