//! The checks of a filled configuration, in the reference's order: the first that fails is the error.
//!
//! Checks also normalise in place (host lists, trimmed names), because run time, hashes and the comparison on reload
//! must see what was checked. Spec: config §7.

mod agents;
mod content;
mod operations;
mod proxies;
mod remarks;
mod scanning;
mod sessions;
mod tools;

pub use content::canonical_media_type;
pub use sessions::strength;

use super::grammar::quoted;
use super::schema::Config;
use super::{Advisory, Surroundings};

/// One check: what it may read is the whole configuration, what it may change is its own section.
type Check = fn(&mut Config, &mut Context<'_>) -> Result<(), String>;

/// The order of the checks (spec: config §7.1).
const ORDER: &[Check] = &[
    proxies::mode,
    operations::logging,
    scanning::dlp,
    proxies::fetch_proxy,
    scanning::response,
    tools::mcp_input_scanning,
    tools::mcp_tool_scanning,
    tools::mcp_tool_policy,
    tools::git_protection,
    proxies::websocket_proxy,
    sessions::profiling,
    sessions::adaptive_enforcement,
    tools::mcp_session_binding,
    tools::a2a_scanning,
    scanning::request_body,
    scanning::seed_phrase,
    scanning::cross_request,
    proxies::tls_interception,
    tools::tool_chain_detection,
    tools::mcp_ws_listener,
    operations::suppress,
    operations::kill_switch,
    operations::metrics_listen,
    operations::emit,
    scanning::address_protection,
    operations::sentry,
    proxies::internal,
    proxies::ssrf,
    proxies::trusted_domains,
    operations::rules,
    tools::file_sentry,
    agents::agents,
    operations::scan_api,
    proxies::listen_advisories,
    proxies::reverse_proxy,
    tools::sandbox,
    operations::flight_recorder,
    tools::mcp_binary_integrity,
    tools::mcp_tool_provenance,
    sessions::behavioral_baseline,
    sessions::airlock,
    content::browser_shield,
    sessions::taint,
    operations::identity,
    content::mediation_envelope,
    content::media_policy,
    content::redaction,
    proxies::muselet,
    remarks::without_effect,
];

/// What the checks know besides the configuration, and what they have to say besides errors.
pub struct Context<'s> {
    /// Environment and edition.
    pub surroundings: &'s Surroundings,
    /// Remarks so far.
    pub advisories: Vec<Advisory>,
}

impl Context<'_> {
    fn advise(&mut self, field: &'static str, message: String) {
        self.advisories.push(Advisory { field, message });
    }
}

/// Checks everything. The remarks made before an error are returned with it.
pub fn run(config: &mut Config, surroundings: &Surroundings) -> (Vec<Advisory>, Result<(), String>) {
    let mut context = Context { surroundings, advisories: Vec::new() };
    let result = ORDER.iter().try_for_each(|check| check(config, &mut context));
    (context.advisories, result)
}

/// `words` as `a`, `a or b`, `a, b, or c`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first, second] => format!("{first} or {second}"),
        [init @ .., last] => format!("{}, or {last}", init.join(", ")),
    }
}

/// One of a few words: `invalid NAME "X": must be a or b`.
fn choice(name: &str, value: &str, words: &[&str]) -> Result<(), String> {
    if words.contains(&value) {
        return Ok(());
    }
    Err(format!("invalid {name} {}: must be {}", quoted(value), listed(words)))
}

/// An error unless `holds`.
fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

/// A pattern in Go's dialect; the error is Go's.
fn regex(pattern: &str) -> Result<(), String> {
    super::patterns::check_regex(pattern)
}

fn permissions(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o777
}
