//! The rules that are compiled in. Their files are data with examples beside each rule; tests run every example.
//! spec: response-scan §2.2, §2.3

use std::sync::OnceLock;

use super::RuleSpec;
use crate::dlp::Example;
use crate::dlp::data;

const CORE: &str = include_str!("../../builtin/injection/core.yaml");
const STANDARD: &str = include_str!("../../builtin/injection/standard.yaml");

fn spec(name: &str, regex: &str) -> RuleSpec {
    RuleSpec { builtin: true, ..RuleSpec::user(name, regex) }
}

/// The 8 core rules, in evaluation order.
pub fn core_rules() -> &'static [RuleSpec] {
    static RULES: OnceLock<Vec<RuleSpec>> = OnceLock::new();
    RULES.get_or_init(|| data::parse(CORE).iter().map(|e| spec(&e.name, &e.pattern)).collect())
}

/// The 25 built-in standard rules, in evaluation order.
pub fn builtin_rules() -> &'static [RuleSpec] {
    static RULES: OnceLock<Vec<RuleSpec>> = OnceLock::new();
    RULES.get_or_init(|| {
        let rule = |entry: data::Entry| {
            let shared = core_rules().iter().find(|c| entry.core && *c.name == entry.name);
            shared.cloned().unwrap_or_else(|| spec(&entry.name, &entry.pattern))
        };
        data::parse(STANDARD).into_iter().map(rule).collect()
    })
}

/// The examples that stand beside the core and the standard rules.
pub fn builtin_examples() -> impl Iterator<Item = &'static Example> {
    static EXAMPLES: OnceLock<Vec<Example>> = OnceLock::new();
    EXAMPLES.get_or_init(|| data::examples(CORE).chain(data::examples(STANDARD)).collect()).iter()
}
