//! What a configuration says about secrets, as settings of the text scanner.
//!
//! The environment and the contents of the secrets file are passed in: reading them belongs to the start of the program, and
//! a test or a replay gives its own. (spec: url-scan §1.1, §12.4; dlp §1)

use muselet_rules::dlp::{
    self, Canary, FileSecretsError, FileWarning, RuleSpec, Scanner, Secrets, SeedSettings, Validator,
};

use crate::config::{Config, DlpPattern};

/// Why no scanner can be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule's expression is wrong.
    #[error(transparent)]
    Rule(#[from] dlp::Error),
    /// The secrets file has a line that is far too long.
    #[error("reading secrets_file: {0}")]
    SecretsFile(#[from] FileSecretsError),
}

/// The scanner of a configuration, and what there is to say about lines of the secrets file that were skipped.
///
/// `env` is the environment as (name, value) in its order; `secrets_file` the contents of `dlp.secrets_file`, if one is
/// configured. Neither is looked at when the configuration switches it off.
///
/// # Errors
/// See [`Error`].
pub fn scanner<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    config: &Config,
    env: impl IntoIterator<Item = (N, V)>,
    secrets_file: Option<&[u8]>,
) -> Result<(Scanner, Vec<FileWarning>), Error> {
    let shortest = config.dlp.effective_min_env_secret_length();
    let env_secrets = if config.dlp.scan_env { Secrets::from_env(env, shortest) } else { Secrets::default() };
    let (file_secrets, warnings) = match secrets_file {
        Some(text) => Secrets::from_file(text, shortest, &env_secrets)?,
        None => (Secrets::default(), Vec::new()),
    };
    let canaries = if config.canary_tokens.enabled { config.canary_tokens.tokens.as_slice() } else { &[] };
    let seeds = &config.seed_phrase_detection;
    let settings = dlp::Settings {
        rules: rules(config),
        strictness: config.muselet.strictness,
        canaries: canaries
            .iter()
            .map(|token| Canary { name: token.name.clone(), value: token.value.expose().to_owned() })
            .collect(),
        seed: seeds.is_enabled().then(|| SeedSettings {
            min_words: usize::try_from(seeds.min_words).ok().filter(|&words| words > 0).unwrap_or(12),
            verify_checksum: seeds.verifies_checksum(),
        }),
        env_secrets,
        file_secrets,
    };
    Ok((Scanner::new(settings)?, warnings))
}

/// The merged rule list. A loaded configuration holds it already, and merging it again changes nothing.
fn rules(config: &Config) -> Vec<RuleSpec> {
    let user: Vec<RuleSpec> = config.dlp.patterns.iter().map(rule).collect();
    dlp::merge(config.dlp.include_defaults.unwrap_or(true), &user)
}

fn rule(pattern: &DlpPattern) -> RuleSpec {
    RuleSpec {
        name: pattern.name.as_str().into(),
        regex: pattern.regex.clone(),
        severity: pattern.severity.as_str().into(),
        validator: Validator::parse(&pattern.validator),
        exempt_domains: pattern.exempt_domains.to_vec(),
        warn: pattern.action == "warn",
        bundle: pattern.bundle.as_str().into(),
        bundle_version: pattern.bundle_version.as_str().into(),
    }
}
