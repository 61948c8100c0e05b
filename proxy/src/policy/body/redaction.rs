//! Where redaction applies: which bodies are JSON, which hosts may get other bodies unredacted.
//!
//! The type test is stricter than that of the scan: a type with a malformed parameter is not JSON here.
//!
//! spec: tls-and-request-bodies §14.2, §14.4, dlp §12.5-12.6

use std::sync::Arc;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use muselet_rules::redact::{self, CompileError, Redactor, Refusal};

use super::media_type::MediaType;
use super::verdict::{BodyFinding, Label, Redaction};

/// The redaction of a configuration.
#[derive(Debug)]
pub(super) struct RedactionPolicy {
    redactor: Arc<Redactor>,
    allowlist: Vec<String>,
}

/// A redaction section that cannot be put to work.
#[derive(Debug, thiserror::Error)]
pub enum RedactionError {
    /// The matcher does not compile.
    #[error("redact: {0}")]
    Compile(#[from] CompileError),
    /// `default_profile` or something it names is missing; the configuration's validation says so first.
    #[error("redact: default_profile {0:?} not defined in profiles")]
    NoProfile(String),
    /// A dictionary whose entries are only in a file, which the reference never reads.
    #[error(
        "redact: build dictionary {name:?}: entries_file {file:?} was not resolved before BuildMatcher (caller must load file contents into Entries)"
    )]
    EntriesFile {
        /// Name of the dictionary.
        name: String,
        /// The path.
        file: String,
    },
}

/// A body that goes on in place of the one received.
pub(super) struct Rewritten {
    pub body: Vec<u8>,
    /// What was replaced, if anything was.
    pub summary: Option<Redaction>,
}

impl RedactionPolicy {
    /// `None` if redaction is off.
    pub(super) fn new(section: &crate::config::Redaction) -> Result<Option<Self>, RedactionError> {
        if !section.enabled {
            return Ok(None);
        }
        let missing = || RedactionError::NoProfile(section.default_profile.clone());
        let profile = section.profiles.get(section.default_profile.as_str()).ok_or_else(missing)?;
        let mut dictionaries = Vec::new();
        for name in &profile.dictionaries {
            let dictionary = section.dictionaries.get(name.as_str()).ok_or_else(missing)?;
            if dictionary.entries.is_empty() && !dictionary.entries_file.is_empty() {
                return Err(RedactionError::EntriesFile {
                    name: name.clone(),
                    file: dictionary.entries_file.clone(),
                });
            }
            dictionaries.push(redact::Dictionary {
                name: name.clone(),
                class: dictionary.class.clone(),
                entries: dictionary.entries.iter().map(|entry| entry.expose().to_owned()).collect(),
                case_insensitive: dictionary.case_insensitive,
                word_boundary: dictionary.word_boundary,
                priority: dictionary.priority,
            });
        }
        let settings = redact::Settings {
            profile: section.default_profile.clone(),
            classes: profile.classes.to_vec(),
            dictionaries,
            limits: redact::Limits {
                max_body_bytes: section.limits.max_body_bytes,
                max_redactions: section.limits.max_redactions_per_request,
                max_depth: section.limits.max_depth,
            },
        };
        Ok(Some(Self {
            redactor: Arc::new(Redactor::new(&settings)?),
            allowlist: section.allowlist_unparseable.to_vec(),
        }))
    }

    /// The new body; `None` if the body passes as it is.
    pub(super) fn apply(
        &self,
        body: &[u8],
        headers: &HeaderMap,
        host: &str,
    ) -> Result<Option<Rewritten>, Refusal> {
        let media = headers.get(CONTENT_TYPE).map(|line| MediaType::parse(line.as_bytes()));
        if !matches!(&media, Some(Ok(media)) if is_json(&media.name)) {
            return if self.exempt(host) { Ok(None) } else { Err(Refusal::NonJsonBody) };
        }
        let done = self.redactor.rewrite(body)?;
        let summary = (done.total > 0).then(|| Redaction {
            profile: self.redactor.profile().to_owned(),
            total: done.total,
            by_class: done.by_class,
        });
        Ok(Some(Rewritten { body: done.body, summary }))
    }

    /// Whether bodies that are not JSON may go to `host` unredacted. `*.d` does not cover `d` itself.
    fn exempt(&self, host: &str) -> bool {
        let host = without_port(host).to_ascii_lowercase();
        self.allowlist.iter().any(|entry| match entry.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('.') => host.ends_with(suffix),
            _ => *entry == host,
        })
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_json(name: &str) -> bool {
    matches!(name, "application/json" | "text/json") || name.ends_with("+json")
}

/// The finding for a refusal.
pub(super) fn finding(refusal: Refusal) -> BodyFinding {
    let reason = format!("redaction blocked request: {refusal}");
    BodyFinding::fail_closed(Label::Redaction, reason)
}
