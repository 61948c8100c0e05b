//! The YAML schema: load, defaults, validate, compare on reload.
//!
//! [`schema`] declares every key once; [`yaml`] reads a file the way the reference's parser does; the rest of this
//! module turns the result into checked, effective values. Spec: config.md.

pub mod schema;
pub mod value;
pub mod yaml;

use std::path::Path;

pub use muselet_rules::Strictness;
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
    /// A value is not allowed.
    #[error("invalid config: {0}")]
    Invalid(String),
    /// Something about the file's surroundings is not allowed.
    #[error("{0}")]
    Refused(String),
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
    /// The configuration without any file (spec: config §3.5).
    #[must_use]
    pub fn defaults() -> Config {
        Config::default()
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
        let shown = path.display().to_string();
        let bytes = std::fs::read(path)
            .map_err(|error| ConfigError::Read { path: shown, reason: error.to_string() })?;
        let config = Config::parse(&bytes, path.parent().unwrap_or(Path::new(".")))?;
        Ok(Loaded { config, hash: String::new(), warnings: Vec::new(), advisories: Vec::new() })
    }

    /// Checks the text of a file that lies in `dir`.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse(text: &[u8], dir: &Path) -> Result<Config, ConfigError> {
        let _ = dir;
        let mut config = Config::default();
        value::Setting::arm(&mut config);
        let refuse = |source| ConfigError::Parse { path: "config".to_owned(), source };
        let document = yaml::Document::parse(text).map_err(refuse)?;
        yaml::Decoder::run(&document, &mut config).map_err(refuse)?;
        Ok(config)
    }
}
