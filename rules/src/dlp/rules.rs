//! The rule list: built-in and core rules, and how user rules are merged into them (spec: dlp §2-4).

use std::sync::{Arc, OnceLock};

use super::Validator;
use super::data::{self, Example};

/// A rule as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSpec {
    /// Name in findings. Not necessarily unique.
    pub name: Arc<str>,
    /// Go regular expression, without the case flag that compiling adds.
    pub regex: String,
    /// Any text; copied to findings.
    pub severity: Arc<str>,
    /// A check on what the expression matched.
    pub validator: Option<Validator>,
    /// Host patterns for which the URL pipeline ignores the rule (§4.4).
    pub exempt_domains: Vec<String>,
    /// `action: warn`: findings are informational (§4.5).
    pub warn: bool,
    /// Rule bundle it came from; empty for built-in and YAML rules.
    pub bundle: Arc<str>,
    /// Version of that bundle.
    pub bundle_version: Arc<str>,
}

const BUILTIN: &str = include_str!("../../builtin/dlp.yaml");
const CORE: &str = include_str!("../../builtin/core.yaml");

fn load(yaml: &str) -> Vec<RuleSpec> {
    let spec = |entry: data::Entry| RuleSpec {
        name: Arc::from(entry.name.as_str()),
        regex: entry.pattern,
        severity: Arc::from(entry.severity.as_str()),
        validator: entry.validator.and_then(|v| Validator::parse(&v)),
        exempt_domains: Vec::new(),
        warn: false,
        bundle: Arc::from(""),
        bundle_version: Arc::from(""),
    };
    data::parse(yaml).into_iter().map(spec).collect()
}

/// The 48 built-in rules, in evaluation order.
pub fn builtin_rules() -> &'static [RuleSpec] {
    static RULES: OnceLock<Vec<RuleSpec>> = OnceLock::new();
    RULES.get_or_init(|| load(BUILTIN))
}

/// The 8 core rules, in evaluation order.
pub fn core_rules() -> &'static [RuleSpec] {
    static RULES: OnceLock<Vec<RuleSpec>> = OnceLock::new();
    RULES.get_or_init(|| load(CORE))
}

/// The examples that stand beside the built-in rules.
pub fn builtin_examples() -> &'static [Example] {
    static EXAMPLES: OnceLock<Vec<Example>> = OnceLock::new();
    EXAMPLES.get_or_init(|| data::examples(BUILTIN).collect())
}

/// The examples that stand beside the core rules.
pub fn core_examples() -> &'static [Example] {
    static EXAMPLES: OnceLock<Vec<Example>> = OnceLock::new();
    EXAMPLES.get_or_init(|| data::examples(CORE).collect())
}

/// The list in force (spec: dlp §4.2): the user's alone without defaults; otherwise the built-ins that no user rule
/// names (exact comparison), then the user's.
pub fn merge(include_defaults: bool, user: &[RuleSpec]) -> Vec<RuleSpec> {
    merge_profile(if include_defaults { builtin_rules() } else { &[] }, true, user)
}

/// A profile's list on top of a base list: without `include_defaults` the profile's rules alone, otherwise the base
/// rules whose names do not recur, then the profile's.
pub fn merge_profile(base: &[RuleSpec], include_defaults: bool, own: &[RuleSpec]) -> Vec<RuleSpec> {
    let base = if include_defaults { base } else { &[] };
    let kept = base.iter().filter(|b| !own.iter().any(|u| u.name == b.name));
    kept.chain(own).cloned().collect()
}
