//! What a reload may change, what it puts back, and what it warns about. Spec: config §9.4, §9.5, §11.6.
//!
//! Pure functions of the running and the new configuration, called by the reload loop in this order: [`rejection`],
//! [`put_back`], the loop's own de-duplication, [`put_back_listeners`], [`comparison`]. Messages are whole lines for
//! standard error.

mod compare;

#[cfg(test)]
mod tests;

use muselet_rules::Strictness;

use super::grammar::quoted;
use super::schema::Config;
use super::value::{List, Map};

pub use compare::{Warning, comparison};

/// Why a reload is refused as a whole.
#[must_use]
pub fn rejection(running: &Config, new: &Config) -> Option<&'static str> {
    if !running.forward_proxy.enabled && new.forward_proxy.enabled {
        return Some("rejected: forward proxy cannot be enabled via reload (requires restart)");
    }
    if !running.websocket_proxy.enabled && new.websocket_proxy.enabled {
        return Some("rejected: WebSocket proxy cannot be enabled via reload (requires restart)");
    }
    None
}

/// The text of a refusal because of warnings in strict mode.
pub const STRICT_DOWNGRADE: &str = "rejected: security downgrade from strict mode";

/// Puts values back that only a restart can change. Returns the lines to print.
pub fn put_back(running: &Config, new: &mut Config) -> Vec<String> {
    const RESTART: &str = "requires restart, ignoring";
    let mut lines = Vec::new();
    keep(
        &mut lines,
        "kill_switch.api_listen",
        &running.kill_switch.api_listen,
        &mut new.kill_switch.api_listen,
        RESTART,
    );
    keep(&mut lines, "metrics_listen", &running.metrics_listen, &mut new.metrics_listen, RESTART);
    let (old, scan) = (&running.scan_api, &mut new.scan_api);
    let same = old.listen == scan.listen
        && old.connection_limit == scan.connection_limit
        && old.timeouts.read == scan.timeouts.read
        && old.timeouts.write == scan.timeouts.write;
    if !same {
        lines.push(line("scan_api listener settings changed", RESTART));
        scan.listen.clone_from(&old.listen);
        scan.connection_limit = old.connection_limit;
        scan.timeouts = old.timeouts.clone();
    }
    keep(
        &mut lines,
        "flight_recorder.signing_key_path",
        &running.flight_recorder.signing_key_path,
        &mut new.flight_recorder.signing_key_path,
        "receipt chain cannot rotate at runtime, ignoring (restart required)",
    );
    lines
}

/// D-304: the lines about changes that are accepted and have no effect until a restart. The reference says nothing.
#[must_use]
pub fn ignored_until_restart(running: &Config, new: &Config) -> Vec<String> {
    if running.muselet.strictness == Strictness::Reference {
        return Vec::new();
    }
    let changed = [
        ("fetch_proxy.listen", running.fetch_proxy.listen != new.fetch_proxy.listen),
        (
            "fetch_proxy.timeout_seconds",
            running.fetch_proxy.timeout_seconds != new.fetch_proxy.timeout_seconds,
        ),
        ("logging settings", running.logging != new.logging),
        ("emit.instance_id", running.emit.instance_id != new.emit.instance_id),
        (
            "websocket_proxy.max_concurrent_connections",
            running.websocket_proxy.max_concurrent_connections
                != new.websocket_proxy.max_concurrent_connections,
        ),
        ("muselet.strictness", running.muselet.strictness != new.muselet.strictness),
        ("muselet.held_mb", running.muselet.held_mb != new.muselet.held_mb),
        ("muselet.dns settings", running.muselet.dns != new.muselet.dns),
    ];
    let lines = changed.iter().filter(|(_, changed)| *changed);
    lines.map(|(what, _)| line(&format!("{what} changed"), "requires restart, ignoring")).collect()
}

fn line(what: &str, consequence: &str) -> String {
    format!("WARNING: config reload: {what} — {consequence}")
}

fn keep(lines: &mut Vec<String>, key: &str, old: &String, new: &mut String, consequence: &str) {
    if old != new {
        lines.push(line(&format!("{key} changed from {} to {}", quoted(old), quoted(new)), consequence));
        new.clone_from(old);
    }
}

/// What became of the agent profiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenersPutBack {
    /// Lines to print.
    pub lines: Vec<String>,
    /// There were agent profiles and now there are none: their listeners are to be shut down.
    pub close_agent_listeners: bool,
}

/// Puts back what belongs to listeners of the reverse proxy and of agents, and what the licence decides.
pub fn put_back_listeners(running: &Config, new: &mut Config) -> ListenersPutBack {
    let mut result = ListenersPutBack::default();
    if running.reverse_proxy != new.reverse_proxy {
        result.lines.push(line("reverse_proxy settings changed", "requires restart, ignoring"));
        new.reverse_proxy = running.reverse_proxy.clone();
    }
    let licence = |config: &Config| {
        (config.license_key.clone(), config.license_file.clone(), config.license_public_key.clone())
    };
    if !running.agents.is_empty() && new.agents.is_empty() {
        result.lines.push("pipelock: license revoked agents, shutting down agent listeners".to_owned());
        result.close_agent_listeners = true;
    } else if licence(running) != licence(new) {
        result.lines.push(
            "WARNING: config reload: license key inputs changed (license_key, license_file, or license_public_key) \
             - requires restart for license re-verification"
                .to_owned(),
        );
        new.agents = running.agents.clone();
        (new.license_key, new.license_file, new.license_public_key) = licence(running);
    } else if keep_agent_listeners(running, new) {
        result.lines.push(line("agents[*].listeners changed", "requires restart, ignoring listener changes"));
    }
    new.license_expires_at = running.license_expires_at;
    result
}

/// Existing agents keep their listeners, a removed agent that had some is kept whole, a new one gets none.
fn keep_agent_listeners(running: &Config, new: &mut Config) -> bool {
    let mut changed = false;
    for (name, profile) in new.agents.iter_mut() {
        let old = running.agents.get(name).map_or_else(List::unset, |old| old.listeners.clone());
        if *profile.listeners != *old {
            changed = true;
            profile.listeners = old;
        }
    }
    let mut agents: Map<_> = new.agents.clone();
    for (name, old) in &running.agents {
        if !old.listeners.is_empty() && !agents.contains_key(name) {
            changed = true;
            agents.insert(name.clone(), old.clone());
        }
    }
    new.agents = agents;
    changed
}
