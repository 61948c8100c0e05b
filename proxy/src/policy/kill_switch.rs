//! The kill switch's rules: which source speaks first, and which requests are exempt.
//!
//! Four independent sources can each deny everything. Their states are the server's to keep and to ask for
//! ([`crate::server::KillSwitch`]); here is what follows from them. spec: http-proxy §12

use std::net::IpAddr;
use std::path::{Path, PathBuf};

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

/// What `kill_switch` says, checked.
#[derive(Debug)]
pub struct Rules {
    enabled: bool,
    sentinel: Option<PathBuf>,
    message: String,
    health_exempt: bool,
    metrics_exempt: bool,
    api_exempt: bool,
    allowlist: Vec<IpNet>,
    token: Secret,
    /// The admin API has a port of its own, so its paths need no exemption here.
    separate_api: bool,
    /// Exempt paths count only when they are asked of the proxy itself (D-602).
    own_paths_only: bool,
}

impl Rules {
    /// `environment_token`: the value of [`TOKEN_VARIABLE`]. `separate_api`: whether the admin API has a port of its own,
    /// which is fixed when the process starts.
    #[must_use]
    pub fn of(config: &Config, environment_token: Option<String>, separate_api: bool) -> Rules {
        let section = &config.kill_switch;
        Rules {
            enabled: section.enabled,
            sentinel: (!section.sentinel_file.is_empty()).then(|| PathBuf::from(&section.sentinel_file)),
            message: section.message.clone(),
            health_exempt: section.exempts_health(),
            metrics_exempt: section.exempts_metrics(),
            api_exempt: section.exempts_api(),
            // Validation has refused what is no network.
            allowlist: section.allowlist_ips.iter().filter_map(|cidr| cidr.parse().ok()).collect(),
            token: environment_token
                .filter(|token| !token.is_empty())
                .map_or_else(|| section.api_token.clone(), Secret::from),
            separate_api,
            own_paths_only: config.muselet.strictness == Strictness::Hardened,
        }
    }

    /// `kill_switch.enabled`: the source that the configuration itself is.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// `kill_switch.sentinel_file`, where one is configured.
    #[must_use]
    pub fn sentinel(&self) -> Option<&Path> {
        self.sentinel.as_deref()
    }

    /// `kill_switch.message`
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The token of the remote control and of the session API; empty: none.
    #[must_use]
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// What a request on the main listener is told while `source` is active; `None`: it is exempt. spec: http-proxy §12.2
    #[must_use]
    pub fn denial(&self, source: Source, asked: &Asked<'_>) -> Option<Denial> {
        let by_path = !asked.connect && (asked.origin_form || !self.own_paths_only);
        let exempt = (by_path && self.health_exempt && asked.path == "/health")
            || (by_path && self.metrics_exempt && asked.path == "/metrics")
            || self.lists(asked.peer)
            || (by_path && self.api_exempt && !self.separate_api && is_admin_path(asked.path));
        (!exempt).then(|| self.told(source))
    }

    /// What a request inside an intercepted tunnel is told while `source` is active: only the address list exempts.
    #[must_use]
    pub fn inner_denial(&self, source: Source, peer: IpAddr) -> Option<Denial> {
        (!self.lists(peer)).then(|| self.told(source))
    }

    fn lists(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.allowlist.iter().any(|net| net.contains(&peer))
    }

    fn told(&self, source: Source) -> Denial {
        Denial { source, message: self.message.clone() }
    }
}

/// The variable that overrides `kill_switch.api_token`.
pub const TOKEN_VARIABLE: &str = "PIPELOCK_KILLSWITCH_API_TOKEN";

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

    fn rules(change: impl FnOnce(&mut Config), environment_token: Option<&str>) -> Rules {
        let mut config = Config::defaults();
        change(&mut config);
        Rules::of(&config, environment_token.map(str::to_owned), false)
    }

    fn asked(path: &str) -> Asked<'_> {
        Asked { path, origin_form: true, connect: false, peer: IpAddr::from([10, 0, 0, 5]) }
    }

    #[test]
    fn exempts_its_own_paths_and_listed_peers() {
        let on = |strictness| {
            rules(
                |c| {
                    c.kill_switch.allowlist_ips = vec!["192.0.2.0/24".to_owned()].into();
                    c.muselet.strictness = strictness;
                },
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
            for rules in [&reference, &hardened] {
                assert_eq!(rules.denial(Source::Api, &asked(path)).is_none(), exempt, "{path}");
            }
            let absolute = Asked { origin_form: false, ..asked(path) };
            assert_eq!(reference.denial(Source::Api, &absolute).is_none(), exempt, "{path} as a URL");
            assert!(hardened.denial(Source::Api, &absolute).is_some(), "{path} as a URL");
        }
        let listed = Asked { peer: "::ffff:192.0.2.7".parse().unwrap(), ..asked("/fetch") };
        assert_eq!(reference.denial(Source::Api, &listed), None);
        assert_eq!(reference.inner_denial(Source::Api, "192.0.2.7".parse().unwrap()), None);
        assert!(reference.inner_denial(Source::Api, "192.0.3.7".parse().unwrap()).is_some());
    }

    #[test]
    fn paths_of_an_api_on_another_port_are_not_exempt_here() {
        let rules = Rules::of(&Config::defaults(), None, true);
        assert!(rules.denial(Source::Config, &asked("/api/v1/killswitch")).is_some());
        assert_eq!(rules.denial(Source::Config, &asked("/health")), None);
    }

    #[test]
    fn the_environment_token_wins_when_it_is_not_empty() {
        let with = |environment| {
            let rules = rules(|c| c.kill_switch.api_token = Secret::from("file"), environment);
            rules.token().expose().to_owned()
        };
        assert_eq!(with(None), "file");
        assert_eq!(with(Some("")), "file");
        assert_eq!(with(Some("env")), "env");
    }
}
