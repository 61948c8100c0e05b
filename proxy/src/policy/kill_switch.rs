//! The kill switch: four independent sources, any of which denies everything that is not exempt.
//!
//! The settings follow the configuration and are swapped on reload; the API and signal states are the operator's and survive
//! it. The sentinel file is looked at on every question, because an emergency stop that is noticed late is none; the cost
//! is one `stat` and only where a sentinel is configured. spec: http-proxy §12

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use arc_swap::ArcSwap;
use ipnet::IpNet;

use crate::Strictness;
use crate::config::{Config, Secret};

/// What switched everything off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// `kill_switch.enabled`
    Config,
    /// The remote control.
    Api,
    /// SIGUSR1
    Signal,
    /// `kill_switch.sentinel_file`
    Sentinel,
}

impl Source {
    /// The word in logs, metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Config => "config",
            Source::Api => "api",
            Source::Signal => "signal",
            Source::Sentinel => "sentinel",
        }
    }
}

/// A request that is denied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    pub source: Source,
    /// `kill_switch.message`
    pub message: String,
}

/// What the exemptions look at.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Decoded path of the request target.
    pub path: &'a str,
    /// The target is a path (`GET /health`), not a URL or an authority.
    pub origin_form: bool,
    /// CONNECT is never exempt by path.
    pub connect: bool,
    pub peer: IpAddr,
}

struct Settings {
    enabled: bool,
    sentinel: Option<PathBuf>,
    message: String,
    health_exempt: bool,
    metrics_exempt: bool,
    api_exempt: bool,
    allowlist: Vec<IpNet>,
    token: Secret,
    /// Exempt paths count only when they are asked of the proxy itself (D-602).
    own_paths_only: bool,
}

impl Settings {
    fn of(config: &Config, environment_token: Option<String>) -> Settings {
        let section = &config.kill_switch;
        Settings {
            enabled: section.enabled,
            sentinel: (!section.sentinel_file.is_empty()).then(|| PathBuf::from(&section.sentinel_file)),
            message: section.message.clone(),
            health_exempt: section.health_exempt.unwrap_or(true),
            metrics_exempt: section.metrics_exempt.unwrap_or(true),
            api_exempt: section.api_exempt.unwrap_or(true),
            // Validation has refused what is no network.
            allowlist: section.allowlist_ips.iter().filter_map(|cidr| cidr.parse().ok()).collect(),
            token: environment_token
                .filter(|token| !token.is_empty())
                .map_or_else(|| section.api_token.clone(), Secret::from),
            own_paths_only: config.muselet.strictness == Strictness::Hardened,
        }
    }
}

/// The variable that overrides `kill_switch.api_token`.
pub const TOKEN_VARIABLE: &str = "PIPELOCK_KILLSWITCH_API_TOKEN";

/// State of the switch. One for the process.
pub struct KillSwitch {
    settings: ArcSwap<Settings>,
    api: AtomicBool,
    signal: AtomicBool,
    /// Whether the admin API has a port of its own; fixed at start.
    separate_api: bool,
    /// Whether there was a token at start: without one the session API does not exist until a restart.
    had_token: bool,
}

impl KillSwitch {
    /// `environment_token`: the value of [`TOKEN_VARIABLE`].
    #[must_use]
    pub fn new(config: &Config, environment_token: Option<String>) -> KillSwitch {
        let settings = Settings::of(config, environment_token);
        KillSwitch {
            separate_api: !config.kill_switch.api_listen.is_empty(),
            had_token: !settings.token.is_empty(),
            settings: ArcSwap::from_pointee(settings),
            api: AtomicBool::new(false),
            signal: AtomicBool::new(false),
        }
    }

    /// Takes over the settings of a reloaded configuration.
    pub fn configure(&self, config: &Config, environment_token: Option<String>) {
        self.settings.store(std::sync::Arc::new(Settings::of(config, environment_token)));
    }

    /// The first active source, without any exemption.
    #[must_use]
    pub fn active(&self) -> Option<Source> {
        let settings = self.settings.load();
        if settings.enabled {
            Some(Source::Config)
        } else if self.api.load(SeqCst) {
            Some(Source::Api)
        } else if self.signal.load(SeqCst) {
            Some(Source::Signal)
        } else if sentinel(&settings) {
            Some(Source::Sentinel)
        } else {
            None
        }
    }

    /// Whether a request on the main listener is denied, and why. spec: http-proxy §12.2
    #[must_use]
    pub fn denies(&self, asked: &Asked<'_>) -> Option<Denial> {
        let source = self.active()?;
        let settings = self.settings.load();
        let by_path = !asked.connect && (asked.origin_form || !settings.own_paths_only);
        let exempt = (by_path && settings.health_exempt && asked.path == "/health")
            || (by_path && settings.metrics_exempt && asked.path == "/metrics")
            || allowed(&settings, asked.peer)
            || (by_path && settings.api_exempt && !self.separate_api && is_admin_path(asked.path));
        (!exempt).then(|| Denial { source, message: settings.message.clone() })
    }

    /// Whether a request inside an intercepted tunnel is denied: only the address list exempts.
    #[must_use]
    pub fn denies_inner(&self, peer: IpAddr) -> Option<Denial> {
        let source = self.active()?;
        let settings = self.settings.load();
        (!allowed(&settings, peer)).then(|| Denial { source, message: settings.message.clone() })
    }

    /// Every source with its state, in the order of the answer of the status endpoint.
    #[must_use]
    pub fn sources(&self) -> [(&'static str, bool); 4] {
        let settings = self.settings.load();
        [
            ("api", self.api.load(SeqCst)),
            ("config", settings.enabled),
            ("sentinel", sentinel(&settings)),
            ("signal", self.signal.load(SeqCst)),
        ]
    }

    /// `kill_switch.message`
    #[must_use]
    pub fn message(&self) -> String {
        self.settings.load().message.clone()
    }

    /// The token of the remote control and of the session API; empty: none.
    #[must_use]
    pub fn token(&self) -> Secret {
        self.settings.load().token.clone()
    }

    /// Whether there was a token when the process started.
    #[must_use]
    pub fn had_token(&self) -> bool {
        self.had_token
    }

    /// Sets the API source.
    pub fn set_api(&self, active: bool) {
        self.api.store(active, SeqCst);
    }

    /// Toggles the signal source and tells its new state.
    pub fn toggle_signal(&self) -> bool {
        !self.signal.fetch_xor(true, SeqCst)
    }
}

fn allowed(settings: &Settings, peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    settings.allowlist.iter().any(|net| net.contains(&peer))
}

/// Active when the file is there, and when that cannot be found out.
fn sentinel(settings: &Settings) -> bool {
    settings.sentinel.as_ref().is_some_and(|path| match std::fs::metadata(path) {
        Ok(_) => true,
        Err(e) => e.kind() != std::io::ErrorKind::NotFound,
    })
}

/// The paths of the remote control and of the session API.
fn is_admin_path(path: &str) -> bool {
    if matches!(path, "/api/v1/killswitch" | "/api/v1/killswitch/status" | "/api/v1/sessions") {
        return true;
    }
    let Some(rest) = path.strip_prefix("/api/v1/sessions/") else { return false };
    let (key, action) = rest.split_once('/').map_or((rest, None), |(key, action)| (key, Some(action)));
    !key.is_empty()
        && action.is_none_or(|action| {
            matches!(action, "reset" | "airlock" | "task" | "trust" | "explain" | "terminate")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::defaults();
        config.kill_switch.message = "stop".into();
        change(&mut config);
        config
    }

    fn asked(path: &str) -> Asked<'_> {
        Asked { path, origin_form: true, connect: false, peer: IpAddr::from([10, 0, 0, 5]) }
    }

    #[test]
    fn any_source_denies_and_the_first_is_named() {
        let switch = KillSwitch::new(&config(|_| {}), None);
        assert_eq!(switch.denies(&asked("/fetch")), None);
        assert!(switch.toggle_signal());
        assert_eq!(switch.active(), Some(Source::Signal));
        switch.set_api(true);
        assert_eq!(switch.active(), Some(Source::Api));
        switch.configure(&config(|c| c.kill_switch.enabled = true), None);
        assert_eq!(
            switch.denies(&asked("/fetch")),
            Some(Denial { source: Source::Config, message: "stop".into() })
        );
        switch.configure(&config(|_| {}), None);
        switch.set_api(false);
        assert!(!switch.toggle_signal());
        assert_eq!(switch.active(), None);
    }

    #[test]
    fn a_sentinel_that_cannot_be_looked_at_counts_as_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stop");
        let at = |path: &std::path::Path| {
            let path = path.display().to_string();
            KillSwitch::new(&config(|c| c.kill_switch.sentinel_file = path), None)
        };
        let switch = at(&file);
        assert_eq!(switch.active(), None);
        std::fs::write(&file, "").unwrap();
        assert_eq!(switch.active(), Some(Source::Sentinel));
        assert_eq!(at(&file.join("below-a-file")).active(), Some(Source::Sentinel));
    }

    #[test]
    fn exempts_its_own_paths_and_listed_peers() {
        let on = |strictness| {
            KillSwitch::new(
                &config(|c| {
                    c.kill_switch.enabled = true;
                    c.kill_switch.allowlist_ips = vec!["192.0.2.0/24".to_owned()].into();
                    c.muselet.strictness = strictness;
                }),
                None,
            )
        };
        let reference = on(Strictness::Reference);
        let hardened = on(Strictness::Hardened);
        for (path, exempt) in [
            ("/health", true),
            ("/metrics", true),
            ("/stats", false),
            ("/fetch", false),
            ("/health/", false),
            ("/api/v1/killswitch", true),
            ("/api/v1/sessions/a/reset", true),
            ("/api/v1/sessions/a/unknown", false),
            ("/api/v1/sessions//reset", false),
        ] {
            for switch in [&reference, &hardened] {
                assert_eq!(switch.denies(&asked(path)).is_none(), exempt, "{path}");
            }
            let absolute = Asked { origin_form: false, ..asked(path) };
            assert_eq!(reference.denies(&absolute).is_none(), exempt, "{path} as a URL");
            assert!(hardened.denies(&absolute).is_some(), "{path} as a URL");
        }
        let listed = Asked { peer: "::ffff:192.0.2.7".parse().unwrap(), ..asked("/fetch") };
        assert_eq!(reference.denies(&listed), None);
        assert_eq!(reference.denies_inner("192.0.2.7".parse().unwrap()), None);
        assert!(reference.denies_inner("192.0.3.7".parse().unwrap()).is_some());
    }

    #[test]
    fn the_environment_token_wins_when_it_is_not_empty() {
        let with = |env: Option<&str>| {
            KillSwitch::new(
                &config(|c| c.kill_switch.api_token = Secret::from("file")),
                env.map(str::to_owned),
            )
            .token()
        };
        assert_eq!(with(None).expose(), "file");
        assert_eq!(with(Some("")).expose(), "file");
        assert_eq!(with(Some("env")).expose(), "env");
    }
}
