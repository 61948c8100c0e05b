//! Everything that one configuration decides, compiled once and never changed.
//!
//! A request takes the snapshot that is current when it begins and keeps it to its end; a reload builds a new one beside the
//! old and swaps a pointer. State that must survive a reload lives elsewhere; what a reload is to discard (rate windows, data
//! budgets, cross-request trackers) is in here. (spec: http-proxy §4 "Snapshot", §19)

use std::sync::Arc;

use muselet_rules::{dlp, injection};

use super::body::{BodyPolicy, RedactionError};
use super::cross_request::CrossRequest;
use super::dial::DialRules;
use super::headers::HeaderPolicy;
use super::host::{Dialect, HostList};
use super::response::{self, ResponsePolicy};
use super::{secrets, url};
use crate::config::Config;

/// See the module.
#[derive(Debug)]
pub struct Policy {
    /// The effective values.
    pub config: Arc<Config>,
    /// Lower-case hex SHA-256 of the file, or `defaults`.
    pub config_hash: String,
    /// Text DLP.
    pub dlp: Arc<dlp::Scanner>,
    /// The URL pipeline with its rate and data limits.
    pub url: url::Pipeline,
    /// What may be connected to.
    pub dial: DialRules,
    /// Request headers.
    pub headers: HeaderPolicy,
    /// `adaptive_enforcement.exempt_domains`: findings on their hosts are no evidence.
    pub adaptive_exempt: HostList,
    /// What is looked for across requests, with what is remembered for it.
    pub cross_request: Option<Arc<CrossRequest>>,
    /// Request bodies.
    pub body: Arc<BodyPolicy>,
    /// Responses.
    pub response: Arc<ResponsePolicy>,
}

/// A configuration that cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A rule or the secrets file.
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    /// The redaction profile.
    #[error("redaction runtime build: {0}")]
    Redaction(#[from] RedactionError),
    /// A response rule.
    #[error(transparent)]
    Injection(#[from] injection::RuleError),
    /// An address range; the loader has refused those with a better message.
    #[error("invalid address range: {0}")]
    Range(#[from] ipnet::AddrParseError),
}

/// What a configuration is compiled against, read by the caller.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The environment, in order.
    pub env: Vec<(String, String)>,
    /// Contents of `dlp.secrets_file`, if one is configured.
    pub secrets_file: Option<Vec<u8>>,
}

impl Policy {
    /// Compiles a configuration. The second value is what there is to say about skipped lines of the secrets file.
    ///
    /// # Errors
    /// See [`CompileError`].
    pub fn compile(
        config: Arc<Config>,
        config_hash: String,
        around: &Surroundings,
    ) -> Result<(Self, Vec<dlp::FileWarning>), CompileError> {
        let env = around.env.iter().map(|(name, value)| (name, value));
        let (scanner, warnings) = secrets::scanner(&config, env, around.secrets_file.as_deref())?;
        let dlp = Arc::new(scanner);
        let policy = Self {
            url: url::Pipeline::new(url::Settings::from(&*config), Arc::clone(&dlp))?,
            dial: DialRules::new(&config)?,
            adaptive_exempt: HostList::new(&config.adaptive_enforcement.exempt_domains, Dialect::Domains),
            cross_request: CrossRequest::new(&config).map(Arc::new),
            headers: HeaderPolicy::new(&config, Arc::clone(&dlp)),
            body: Arc::new(BodyPolicy::new(&config, Arc::clone(&dlp))?),
            response: Arc::new(ResponsePolicy::new(
                response::Settings::from(&*config),
                injection::Scanner::new(injection_settings(&config))?,
                Arc::clone(&dlp),
            )),
            dlp,
            config_hash,
            config,
        };
        Ok((policy, warnings))
    }
}

/// The effective response rules, which the loader has already merged; `compiled` marks the built-in ones.
#[must_use]
pub fn injection_settings(config: &Config) -> injection::Settings {
    let section = &config.response_scanning;
    let rules = section.patterns.iter().map(|pattern| injection::RuleSpec {
        bundle: pattern.bundle.as_str().into(),
        bundle_version: pattern.bundle_version.as_str().into(),
        builtin: pattern.compiled,
        ..injection::RuleSpec::user(&pattern.name, &pattern.regex)
    });
    injection::Settings {
        standard: section.enabled.then(|| rules.collect()),
        strictness: config.muselet.strictness,
    }
}
