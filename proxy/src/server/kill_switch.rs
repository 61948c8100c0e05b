//! The kill switch of the process: the states of its sources, over the rules of [`crate::policy::kill_switch`].
//!
//! The rules follow the configuration and are swapped on reload; the API and signal states are the operator's and survive
//! it. The sentinel file is looked at on every question, because an emergency stop that is noticed late is none; the cost
//! is one `stat` and only where a sentinel is configured. spec: http-proxy §12

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use arc_swap::ArcSwap;

use crate::config::{Config, Secret};
use crate::policy::kill_switch::{Asked, Denial, Rules, Source};

/// State of the switch. One for the process.
#[derive(Debug)]
pub struct KillSwitch {
    rules: ArcSwap<Rules>,
    api: AtomicBool,
    signal: AtomicBool,
    /// Whether the admin API has a port of its own; fixed at start.
    separate_api: bool,
    /// Whether there was a token at start: without one the session API does not exist until a restart.
    had_token: bool,
}

impl KillSwitch {
    /// `environment_token`: the value of [`crate::policy::kill_switch::TOKEN_VARIABLE`].
    #[must_use]
    pub fn new(config: &Config, environment_token: Option<String>) -> KillSwitch {
        let separate_api = !config.kill_switch.api_listen.is_empty();
        let rules = Rules::of(config, environment_token, separate_api);
        KillSwitch {
            separate_api,
            had_token: !rules.token().is_empty(),
            rules: ArcSwap::from_pointee(rules),
            api: AtomicBool::new(false),
            signal: AtomicBool::new(false),
        }
    }

    /// Takes over the rules of a reloaded configuration.
    pub fn configure(&self, config: &Config, environment_token: Option<String>) {
        self.rules.store(Arc::new(Rules::of(config, environment_token, self.separate_api)));
    }

    /// The first active source, without any exemption.
    #[must_use]
    pub fn active(&self) -> Option<Source> {
        self.first(&self.rules.load())
    }

    fn first(&self, rules: &Rules) -> Option<Source> {
        if rules.enabled() {
            Some(Source::Config)
        } else if self.api.load(SeqCst) {
            Some(Source::Api)
        } else if self.signal.load(SeqCst) {
            Some(Source::Signal)
        } else if rules.sentinel().is_some_and(stops) {
            Some(Source::Sentinel)
        } else {
            None
        }
    }

    /// Whether a request on the main listener is denied, and why.
    #[must_use]
    pub fn denies(&self, asked: &Asked<'_>) -> Option<Denial> {
        let rules = self.rules.load();
        rules.denial(self.first(&rules)?, asked)
    }

    /// Whether a request inside an intercepted tunnel is denied.
    #[must_use]
    pub fn denies_inner(&self, peer: IpAddr) -> Option<Denial> {
        let rules = self.rules.load();
        rules.inner_denial(self.first(&rules)?, peer)
    }

    /// Every source with its state, in the order of the answer of the status endpoint.
    #[must_use]
    pub fn sources(&self) -> [(&'static str, bool); 4] {
        let rules = self.rules.load();
        [
            ("api", self.api.load(SeqCst)),
            ("config", rules.enabled()),
            ("sentinel", rules.sentinel().is_some_and(stops)),
            ("signal", self.signal.load(SeqCst)),
        ]
    }

    /// `kill_switch.message`
    #[must_use]
    pub fn message(&self) -> String {
        self.rules.load().message().to_owned()
    }

    /// The token of the remote control and of the session API; empty: none.
    #[must_use]
    pub fn token(&self) -> Secret {
        self.rules.load().token().clone()
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

/// A sentinel stops traffic when it is there, and when that cannot be found out.
fn stops(sentinel: &Path) -> bool {
    match std::fs::metadata(sentinel) {
        Ok(_) => true,
        Err(e) => e.kind() != std::io::ErrorKind::NotFound,
    }
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

    #[test]
    fn any_source_denies_and_the_first_is_named() {
        let asked =
            Asked { path: "/fetch", origin_form: true, connect: false, peer: IpAddr::from([10, 0, 0, 5]) };
        let switch = KillSwitch::new(&config(|_| {}), None);
        assert_eq!(switch.denies(&asked), None);
        assert!(switch.toggle_signal());
        assert_eq!(switch.active(), Some(Source::Signal));
        switch.set_api(true);
        assert_eq!(switch.active(), Some(Source::Api));
        switch.configure(&config(|c| c.kill_switch.enabled = true), None);
        let denial = Denial { source: Source::Config, message: "stop".into() };
        assert_eq!(switch.denies(&asked), Some(denial.clone()));
        assert_eq!(switch.denies_inner(asked.peer), Some(denial));
        switch.configure(&config(|_| {}), None);
        switch.set_api(false);
        assert!(!switch.toggle_signal());
        assert_eq!(switch.active(), None);
    }

    #[test]
    fn a_sentinel_that_cannot_be_looked_at_counts_as_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stop");
        let at = |path: &Path| {
            let path = path.display().to_string();
            KillSwitch::new(&config(|c| c.kill_switch.sentinel_file = path), None)
        };
        let switch = at(&file);
        assert_eq!(switch.active(), None);
        std::fs::write(&file, "").unwrap();
        assert_eq!(switch.active(), Some(Source::Sentinel));
        assert_eq!(at(&file.join("below-a-file")).active(), Some(Source::Sentinel));
    }
}
