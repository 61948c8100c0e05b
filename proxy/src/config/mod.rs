//! The YAML schema: load, defaults, validate, compare on reload.
//!
//! [`schema`] declares every key once; [`yaml`] reads a file the way the reference's parser does; the rest of this
//! module turns the result into checked, effective values. Spec: config.md.

mod defaults;
pub mod domains;
pub mod grammar;
pub mod hash;
mod keys;
mod licence;
mod load;
pub mod patterns;
mod place;
mod preset;
pub mod reload;
pub mod schema;
mod unimplemented;
mod validate;
pub mod value;
pub(crate) mod write;
pub mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

pub use load::{Edition, Surroundings};
pub use muselet_rules::Strictness;
pub use preset::Preset;
pub use schema::*;
pub use value::{List, Map, Secret};

/// Why a configuration was refused. The text names the key or value, what is allowed, and the place in the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("reading config {path}: {reason}")]
    Read { path: String, reason: String },
    /// The file is not a document of the schema.
    #[error("parsing config {path}: {source}")]
    Parse { path: String, source: yaml::YamlError },
    /// A value is not allowed. The text is the reference's, so the place stands apart: see [`ConfigError::place`].
    #[error("invalid config: {reason}")]
    Invalid {
        /// What is wrong, and mostly what is allowed.
        reason: String,
        /// File, line, column and key, where these can be told.
        place: Option<String>,
    },
    /// Something about the file's surroundings is not allowed.
    #[error("{0}")]
    Refused(String),
}

impl ConfigError {
    /// Where the value stands that the text is about (`FILE:LINE:COLUMN (KEY)`), unless the text tells, or it cannot be told.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        match self {
            ConfigError::Invalid { place, .. } => place.as_deref(),
            _ => None,
        }
    }

    /// The text; for people, with the place on a line of its own. Programs that read a command's output get the reference's.
    pub(crate) fn for_terminal(&self) -> String {
        self.told(std::io::stderr().is_terminal())
    }

    fn told(&self, to_people: bool) -> String {
        match self.place().filter(|_| to_people) {
            Some(place) => format!("{self}\n  at {place}"),
            None => self.to_string(),
        }
    }
}

/// A loaded configuration and what came with it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The effective values.
    pub config: Config,
    /// SHA-256 of the file in lower-case hex, or `defaults` (spec: config §12.1).
    pub hash: String,
    /// Lines for standard error, in order.
    pub warnings: Vec<String>,
    /// Things that are allowed but probably not meant.
    pub advisories: Vec<Advisory>,
}

/// A remark that does not stop the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advisory {
    /// The key it is about.
    pub field: &'static str,
    /// The remark.
    pub message: String,
}

impl Config {
    /// All effective values by dotted path; lists are values, empty maps too.
    #[must_use]
    pub fn effective_values(&self) -> BTreeMap<String, serde_json::Value> {
        let mut out = BTreeMap::new();
        flatten("", value::Setting::dump(self), &mut out);
        out
    }

    /// All keys of the schema with their types and documentation, in declaration order.
    #[must_use]
    pub fn keys() -> Vec<value::KeyInfo> {
        let mut out = Vec::new();
        value::Setting::keys(&Config::default(), "", "", &mut out);
        out
    }
}

fn flatten(path: &str, value: serde_json::Value, out: &mut BTreeMap<String, serde_json::Value>) {
    match value {
        serde_json::Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                flatten(&path, value, out);
            }
        }
        value => {
            out.insert(path.to_owned(), value);
        }
    }
}
