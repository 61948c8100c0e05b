//! State of the process that outlives requests and reloads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admin::AdminCalls;
use super::baseline::Baseline;
use super::kill_switch::KillSwitch;
use super::offload::Offload;
use super::room::Room;
use super::wire::Limits;
use crate::Strictness;
use crate::ca::LeafCache;
use crate::config::grammar::seconds;
use crate::descriptors;
use crate::events::Events;
use crate::policy::Policy;
use crate::policy::session::{self, Names, Sessions};
use crate::upstream::Upstream;

/// Simultaneous CONNECT handlers, intercepted ones included. (spec: http-proxy §6.2 C13)
const MAX_TUNNELS: usize = 1024;
/// The same in hardened mode, where descriptors allow it (D-509).
const MAX_TUNNELS_HARDENED: usize = 32_768;
/// Descriptors that are left for everything but tunnels.
const OTHER_DESCRIPTORS: u64 = 1024;

/// How long requests under way may take to finish once the process is told to stop (D-507; the reference cancels them).
const DRAIN: Duration = Duration::from_secs(5);

/// See the module.
pub struct Shared {
    /// The snapshot for requests that begin now. A reload stores a new one.
    pub policy: ArcSwap<Policy>,
    /// Log, emission, counters.
    pub events: Events,
    /// The way to origins.
    pub upstream: Upstream,
    /// The switch that stops all traffic.
    pub kill_switch: Arc<KillSwitch>,
    /// What is remembered about clients.
    pub sessions: Sessions,
    /// What is learned from sessions that end.
    pub baseline: Baseline,
    /// The names that they go by.
    pub names: Names,
    /// Rate windows of the admin endpoints.
    pub admin_calls: AdminCalls,
    /// The CA's leaves, where tunnels are intercepted. A reload may bring another CA.
    pub leaves: ArcSwapOption<LeafCache>,
    /// For the bodies that are held.
    pub room: Room,
    /// Where long scans run.
    pub offload: Offload,
    /// How the process is told to stop.
    pub stop: Stop,
    /// What a reload does not change. (spec: http-proxy §19 "Fixed until restart")
    pub fixed: Fixed,
    requests: AtomicU64,
    pub(super) tunnels: Arc<Semaphore>,
    /// Places for `/ws` connections, as many as the first of them found configured. (spec: http-proxy §8.1 W6)
    pub(super) websockets: OnceLock<Arc<Semaphore>>,
    /// Tunnels under way.
    pub(super) tasks: TaskTracker,
}

/// Settings that are read once, at start.
#[derive(Debug, Clone)]
pub struct Fixed {
    /// `fetch_proxy.timeout_seconds`: one exchange with an origin, redirects and body included.
    pub exchange_timeout: Duration,
    /// Deadlines of the main listener.
    pub main_limits: Limits,
    /// `/metrics` and `/stats` are served on the main listener.
    pub metrics_here: bool,
    /// The admin API is served on the main listener.
    pub api_here: bool,
    /// `response_scanning.action` was `ask` at start: somebody may be asked.
    pub asks: bool,
    /// Which malformed requests the listeners refuse.
    pub strictness: Strictness,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("fixed", &self.fixed).finish_non_exhaustive()
    }
}

impl Shared {
    /// The state of a process that starts with `policy`.
    #[must_use]
    pub fn new(
        policy: Arc<Policy>,
        events: Events,
        upstream: Upstream,
        kill_switch: Arc<KillSwitch>,
        leaves: Option<Arc<LeafCache>>,
    ) -> Arc<Self> {
        let config = &policy.config;
        let exchange_timeout = seconds(config.fetch_proxy.timeout_seconds);
        let streams = config.forward_proxy.enabled || config.websocket_proxy.enabled;
        let write = (!streams).then(|| exchange_timeout + Duration::from_secs(10));
        let strictness = config.muselet.strictness;
        let upstream = upstream.reporting_to(events.clone());
        let room = Room::of_process(config.muselet.held_mb);
        let sessions = Sessions::new(session::Settings::of(config));
        let baseline = Baseline::default();
        baseline.configure(config);
        Arc::new(Self {
            fixed: Fixed {
                exchange_timeout,
                main_limits: Limits { write, ..Limits::MAIN },
                asks: config.response_scanning.action == "ask",
                api_here: config.kill_switch.api_listen.is_empty(),
                metrics_here: config.metrics_listen.is_empty(),
                strictness,
            },
            policy: ArcSwap::new(policy),
            events,
            upstream,
            kill_switch,
            sessions,
            baseline,
            names: Names::default(),
            admin_calls: AdminCalls::default(),
            leaves: ArcSwapOption::new(leaves),
            room,
            offload: Offload::default(),
            stop: Stop::new(if strictness == Strictness::Hardened { DRAIN } else { Duration::ZERO }),
            requests: AtomicU64::new(0),
            tunnels: Arc::new(Semaphore::new(max_tunnels(strictness, descriptors::limit()))),
            websockets: OnceLock::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Puts another policy in force for requests that begin from now on, and has the kill switch and the sessions follow its
    /// configuration. `kill_switch_token`: see [`KillSwitch::configure`].
    pub fn adopt(&self, policy: Arc<Policy>, kill_switch_token: Option<String>) {
        let config = Arc::clone(&policy.config);
        self.policy.store(policy);
        self.kill_switch.configure(&config, kill_switch_token);
        self.sessions.configure(session::Settings::of(&config));
        self.baseline.configure(&config);
        if !self.sessions.is_on() {
            self.events.metrics().forget_sessions();
        }
    }

    /// The next request id.
    pub fn next_request_id(&self) -> super::identity::RequestId {
        super::identity::RequestId(self.requests.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A tunnel holds two descriptors. Never fewer than the reference's number: what the system refuses then is reported as that.
fn max_tunnels(strictness: Strictness, descriptors: Option<u64>) -> usize {
    if strictness == Strictness::Reference {
        return MAX_TUNNELS;
    }
    let room = descriptors.map_or(u64::MAX, |all| all.saturating_sub(OTHER_DESCRIPTORS) / 2);
    usize::try_from(room).unwrap_or(usize::MAX).clamp(MAX_TUNNELS, MAX_TUNNELS_HARDENED)
}

/// Shutdown in two steps: finish what is under way, then cut it.
#[derive(Debug, Clone)]
pub struct Stop {
    /// No new work; connections close after the request under way.
    pub drain: CancellationToken,
    /// Requests and tunnels under way end now.
    pub cut: CancellationToken,
    grace: Duration,
}

impl Stop {
    /// `grace`: the time between the two steps.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        let drain = CancellationToken::new();
        Self { cut: CancellationToken::new(), drain, grace }
    }

    /// Begins the shutdown. Returns at once; the second step follows by itself where a grace period is set.
    pub fn begin(&self) {
        self.drain.cancel();
        if self.grace.is_zero() {
            self.cut.cancel();
            return;
        }
        let (cut, grace) = (self.cut.clone(), self.grace);
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            cut.cancel();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_tunnels_follows_the_descriptors_except_in_reference_mode() {
        let cases = [
            (Strictness::Reference, Some(1 << 20), 1024),
            (Strictness::Reference, None, 1024),
            (Strictness::Hardened, Some(1024), 1024),
            (Strictness::Hardened, Some(41_024), 20_000),
            (Strictness::Hardened, Some(1 << 20), 32_768),
            (Strictness::Hardened, None, 32_768),
        ];
        for (strictness, descriptors, want) in cases {
            assert_eq!(max_tunnels(strictness, descriptors), want, "{strictness:?} {descriptors:?}");
        }
    }
}
