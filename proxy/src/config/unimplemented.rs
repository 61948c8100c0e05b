//! Sections that parse and that nothing acts on yet.
//!
//! A switched-on section without effect is a hole that the operator believes is closed, so `run` refuses it by name.
//! This table is the only list of them; a line leaves it with the work that implements its section. Sections of other
//! programs (MCP wrapping, sandboxing, git and file watching, crash reports) are not here: they say nothing about
//! traffic that passes through the proxy, and are accepted.

use super::schema::Config;

/// A section and whether a configuration switches it on.
type Entry = (&'static str, fn(&Config) -> bool);

const UNIMPLEMENTED: &[Entry] = &[
    ("mediation_envelope", |config| config.mediation_envelope.enabled),
    ("flight_recorder", |config| config.flight_recorder.enabled),
    ("a2a_scanning", |config| config.a2a_scanning.enabled),
    ("behavioral_baseline", |config| config.behavioral_baseline.enabled),
    ("agents", |config| !config.agents.is_empty()),
];

impl Config {
    /// Names of the sections that are switched on and not implemented; empty when the configuration can be run.
    #[must_use]
    pub fn unimplemented_sections(&self) -> Vec<&'static str> {
        UNIMPLEMENTED.iter().filter(|(_, is_on)| is_on(self)).map(|(name, _)| *name).collect()
    }
}
