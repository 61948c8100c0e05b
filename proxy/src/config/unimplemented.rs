//! Sections that parse and that nothing acts on yet.
//!
//! A switched-on section without effect is a hole that the operator believes is closed, so `run` refuses it by name.
//! This table is the only list of them; a line leaves it with the work that implements its section. Sections of other
//! programs (MCP wrapping, sandboxing, git and file watching, crash reports) are not here: they say nothing about
//! traffic that passes through the proxy, and are accepted.

use std::path::PathBuf;

use super::schema::Config;

/// A section and whether a configuration switches it on.
type Entry = (&'static str, fn(&Config) -> bool);

const UNIMPLEMENTED: &[Entry] = &[
    ("mediation_envelope", |config| config.mediation_envelope.enabled),
    ("flight_recorder", |config| config.flight_recorder.enabled),
    ("a2a_scanning", |config| config.a2a_scanning.enabled),
    ("agents", |config| !config.agents.is_empty()),
];

impl Config {
    /// Names of the sections that are switched on and not implemented; empty when the configuration can be run.
    #[must_use]
    pub fn unimplemented_sections(&self) -> Vec<&'static str> {
        UNIMPLEMENTED.iter().filter(|(_, is_on)| is_on(self)).map(|(name, _)| *name).collect()
    }

    /// Rule bundles that lie where this configuration looks for them, each with a line that says that it is not applied, as the
    /// reference says of a bundle that it skips (spec: config §8.4).
    #[must_use]
    pub fn skipped_bundles(&self) -> Vec<String> {
        let data = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let dir = match self.rules.rules_dir.as_str() {
            "" => data("XDG_DATA_HOME")
                .or_else(|| Some(data("HOME")?.join(".local/share")))
                .map(|dir| dir.join("pipelock/rules")),
            dir => Some(PathBuf::from(dir)),
        };
        let entries = dir.and_then(|dir| std::fs::read_dir(dir).ok()).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.') && !name.ends_with(".bak"))
            .collect();
        names.sort();
        names
            .iter()
            .map(|name| format!("bundle {name:?}: not applied, muselet does not implement rule bundles"))
            .collect()
    }
}
