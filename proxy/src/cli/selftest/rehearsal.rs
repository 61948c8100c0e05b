//! A configuration tried out before it is used: does its proxy start and answer, and does it find a credential?

use super::diagnose::status_is;
use super::samples;
use super::throwaway::Throwaway;
use super::{Aim, Trial, environment};
use crate::config::Config;

/// What came of it.
pub(in crate::cli) struct Rehearsal {
    /// The proxy started and took a connection.
    pub(in crate::cli) reachable: bool,
    /// What `/health` said; the error says what was wrong.
    pub(in crate::cli) health: Result<String, String>,
    /// Who found a made-up credential.
    pub(in crate::cli) canary: Result<String, String>,
}

impl Rehearsal {
    /// On an address of its own. Interception is left out: its CA is not where this runs.
    pub(in crate::cli) fn of(mut config: Config) -> Rehearsal {
        config.tls_interception.enabled = false;
        let proxy = match Throwaway::start(config, environment()) {
            Ok(proxy) => proxy,
            Err(why) => {
                let why = format!("starting proxy: {why}");
                return Rehearsal { reachable: false, health: Err(why.clone()), canary: Err(why) };
            }
        };
        let answer = proxy.get("/health");
        let reachable = answer.is_ok();
        let health = answer.and_then(|reply| status_is(&reply, 200));
        let trial = Trial { policy: proxy.proxy.policy() };
        let verdict = trial.judge(Aim::Text, samples::ANTHROPIC_IN_TEXT);
        let canary = match verdict.blocked {
            true => Ok(verdict.reason),
            false => Err("a credential in a text was not found".to_owned()),
        };
        Rehearsal { reachable, health, canary }
    }
}
