//! The built-in patterns and how a file's own are joined with them. Spec: config §8.

use super::schema::{DlpPattern, ResponseScanPattern};
use super::value::List;

/// What is common to both kinds of pattern.
pub trait Pattern: Clone {
    /// The pattern's name.
    fn name(&self) -> &str;
}

impl Pattern for DlpPattern {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Pattern for ResponseScanPattern {
    fn name(&self) -> &str {
        &self.name
    }
}

/// The built-in data-loss patterns in their order, marked as built in.
#[must_use]
pub fn builtin_dlp() -> Vec<DlpPattern> {
    let pattern = |rule: &muselet_rules::dlp::RuleSpec| DlpPattern {
        name: rule.name.to_string(),
        regex: rule.regex.clone(),
        severity: rule.severity.to_string(),
        validator: rule.validator.map(|validator| validator.as_str().to_owned()).unwrap_or_default(),
        compiled: true,
        ..DlpPattern::default()
    };
    muselet_rules::dlp::builtin_rules().iter().map(pattern).collect()
}

/// The built-in response patterns in their order, marked as built in.
#[must_use]
pub fn builtin_response() -> Vec<ResponseScanPattern> {
    let pattern = |rule: &muselet_rules::injection::RuleSpec| ResponseScanPattern {
        name: rule.name.to_string(),
        regex: rule.regex.to_string(),
        compiled: true,
        ..ResponseScanPattern::default()
    };
    muselet_rules::injection::builtin_rules().iter().map(pattern).collect()
}

/// Joins a file's patterns with the built-in ones, unless `include_defaults` is false: a built-in whose exact name the
/// file uses gives way, the file's come last.
#[must_use]
pub fn merge<P: Pattern>(include_defaults: Option<bool>, builtin: Vec<P>, own: &List<P>) -> Option<List<P>> {
    if include_defaults == Some(false) {
        return None;
    }
    let kept = builtin.into_iter().filter(|pattern| !own.iter().any(|mine| mine.name() == pattern.name()));
    Some(kept.chain(own.iter().cloned()).collect())
}

/// Checks a pattern in Go's dialect.
///
/// # Errors
/// `error parsing regexp: REASON`.
pub fn check_regex(pattern: &str) -> Result<(), String> {
    muselet_rules::goregex::compile(pattern).map(|_| ()).map_err(|error| error.to_string())
}
