//! From a file to effective values, in the reference's order of steps. Spec: config §1.2, §1.3, §1.5.

use std::path::Path;

use muselet_rules::Strictness;

use super::grammar::{clean_path, join_path, os_error, quoted};
use super::schema::Config;
use super::value::{List, Secret, Setting};
use super::yaml::{Decoder, Document};
use super::{Advisory, ConfigError, Loaded, defaults, hash, licence, place, validate};

/// Which of the reference's builds is followed where they differ: agents and their licence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edition {
    /// The released binaries and images: agent profiles are checked and need a licence.
    #[default]
    Release,
    /// Built from the open sources: agent profiles parse and are not used.
    Core,
}

/// What loading reads besides the file. Tests give it; the program takes it from the process.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `HOME`.
    pub home: Option<String>,
    /// `PIPELOCK_LICENSE_KEY`.
    pub licence_key: Secret,
    /// Whether `PIPELOCK_KILLSWITCH_API_TOKEN` is set and not empty.
    pub has_kill_switch_token: bool,
    /// The strictness of files that do not say.
    pub strictness: Strictness,
    /// Directory of temporary files.
    pub temp_dir: String,
    /// Seconds since 1970, for the licence.
    pub now_unix: i64,
    /// The build that is followed.
    pub edition: Edition,
    /// The caller brings a CA for interception: the configured files need not exist.
    pub own_ca: bool,
}

impl Surroundings {
    /// Of this process, now.
    #[must_use]
    pub fn of_process() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Surroundings {
            home: std::env::var("HOME").ok().filter(|home| !home.is_empty()),
            licence_key: std::env::var("PIPELOCK_LICENSE_KEY").unwrap_or_default().into(),
            has_kill_switch_token: std::env::var_os("PIPELOCK_KILLSWITCH_API_TOKEN")
                .is_some_and(|token| !token.is_empty()),
            strictness: Strictness::default(),
            temp_dir: std::env::temp_dir().display().to_string(),
            now_unix: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            edition: Edition::Release,
            own_ca: false,
        }
    }
}

impl Config {
    /// The configuration without a file, filled (spec: config §3.5).
    #[must_use]
    pub fn defaults() -> Config {
        let mut config = Config::without_file(&Surroundings::of_process().temp_dir);
        defaults::fill(&mut config);
        config
    }

    /// The configuration without a file before filling, as `generate config` writes it.
    #[must_use]
    pub fn without_file(temp_dir: &str) -> Config {
        defaults::no_file(temp_dir)
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
        Config::load_in(path, &Surroundings::of_process())
    }

    /// As [`Config::load`] with everything given.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load_in(path: &Path, surroundings: &Surroundings) -> Result<Loaded, ConfigError> {
        let shown = path.display().to_string();
        let cleaned = clean_path(&shown);
        let bytes = std::fs::read(&cleaned).map_err(|error| {
            // The operation that failed is part of the reference's sentence.
            let doing = if error.kind() == std::io::ErrorKind::IsADirectory { "read" } else { "open" };
            ConfigError::Read {
                path: shown.clone(),
                reason: format!("{doing} {cleaned}: {}", os_error(&error)),
            }
        })?;
        let dir = match shown.rfind('/') {
            Some(at) => clean_path(&shown[..=at]),
            None => ".".to_owned(),
        };
        let parts = from_text(&bytes, &shown, &dir, surroundings)?;
        Ok(Loaded { hash: hash::of_file(&bytes), ..parts })
    }

    /// Checks the text of a file that lies in `dir`.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse(text: &[u8], dir: &Path) -> Result<Config, ConfigError> {
        Config::parse_in(text, dir, &Surroundings::of_process()).map(|loaded| loaded.config)
    }

    /// As [`Config::parse`] with everything given.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse_in(text: &[u8], dir: &Path, surroundings: &Surroundings) -> Result<Loaded, ConfigError> {
        let dir = dir.display().to_string();
        let name = join_path(&dir, "config.yaml");
        let parts = from_text(text, &name, &dir, surroundings)?;
        Ok(Loaded { hash: hash::of_file(text), ..parts })
    }

    /// The second pass at start-up, after the command line had its say: fill and check again, because a changed value
    /// may need both. The remarks are to be printed even when there is an error.
    pub fn finish(&mut self, surroundings: &Surroundings) -> (Vec<Advisory>, Result<(), ConfigError>) {
        defaults::fill(self);
        let (advisories, result) = validate::run(self, surroundings);
        (advisories, result.map_err(|reason| ConfigError::Invalid { reason, place: None }))
    }
}

fn from_text(
    bytes: &[u8],
    path: &str,
    dir: &str,
    surroundings: &Surroundings,
) -> Result<Loaded, ConfigError> {
    let refuse = |source| ConfigError::Parse { path: path.to_owned(), source };
    let document = Document::parse(bytes).map_err(refuse)?;
    let mut config = Config::default();
    config.arm();
    config.muselet.strictness = surroundings.strictness;
    Decoder::run(&document, &mut config).map_err(refuse)?;
    defaults::fill(&mut config);
    licence::resolve_token(&mut config, dir, surroundings).map_err(ConfigError::Refused)?;
    let warnings = licence::gate(&mut config, surroundings).into_iter().collect();
    resolve_paths(&mut config, dir).map_err(ConfigError::Refused)?;
    let (advisories, result) = validate::run(&mut config, surroundings);
    result.map_err(|reason| {
        let place = place::find(&document, &reason).map(|place| format!("{path}:{place}"));
        ConfigError::Invalid { reason, place }
    })?;
    Ok(Loaded { config, hash: String::new(), warnings, advisories })
}

/// Relative paths count from the directory of the file, for the keys where the reference says so.
fn resolve_paths(config: &mut Config, dir: &str) -> Result<(), String> {
    let files = [
        &mut config.dlp.secrets_file,
        &mut config.tls_interception.ca_cert,
        &mut config.tls_interception.ca_key,
    ];
    for file in files {
        if !file.is_empty() && !file.starts_with('/') {
            *file = join_path(dir, file);
        }
    }
    let base = clean_path(dir);
    let mut watched = Vec::new();
    for (i, path) in config.file_sentry.watch_paths.iter().enumerate() {
        if path.starts_with('/') {
            watched.push(clean_path(path));
            continue;
        }
        let inner = clean_path(path);
        if inner == ".." || inner.starts_with("../") {
            return Err(format!(
                "file_sentry: watch_paths[{i}] {} escapes config directory (use absolute path instead)",
                quoted(path)
            ));
        }
        watched.push(join_path(&base, path));
    }
    if config.file_sentry.watch_paths.is_given() {
        config.file_sentry.watch_paths = List::from(watched);
    }
    Ok(())
}
