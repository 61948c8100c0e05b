//! The rules that are compiled in. Their files are data with examples beside each rule; tests run every example.
//! spec: response-scan §2.2, §2.3

use std::sync::OnceLock;

use super::RuleSpec;
use crate::dlp::Example;
use crate::dlp::data;

struct Builtin {
    rules: Vec<RuleSpec>,
    examples: Vec<Example>,
}

fn spec(name: &str, regex: &str) -> RuleSpec {
    RuleSpec { builtin: true, ..RuleSpec::user(name, regex) }
}

fn core() -> &'static Builtin {
    static RULES: OnceLock<Builtin> = OnceLock::new();
    RULES.get_or_init(|| {
        let entries = data::parse(include_str!("../../builtin/injection/core.yaml"));
        Builtin {
            rules: entries.iter().map(|e| spec(&e.name, &e.pattern)).collect(),
            examples: entries.into_iter().flat_map(|e| e.examples).collect(),
        }
    })
}

fn standard() -> &'static Builtin {
    static RULES: OnceLock<Builtin> = OnceLock::new();
    RULES.get_or_init(|| {
        let mut builtin = Builtin { rules: Vec::new(), examples: Vec::new() };
        for entry in data::parse(include_str!("../../builtin/injection/standard.yaml")) {
            let shared = core_rules().iter().find(|c| entry.core && *c.name == entry.name);
            builtin.rules.push(shared.cloned().unwrap_or_else(|| spec(&entry.name, &entry.pattern)));
            builtin.examples.extend(entry.examples);
        }
        builtin
    })
}

/// The 8 core rules, in evaluation order.
pub fn core_rules() -> &'static [RuleSpec] {
    &core().rules
}

/// The 25 built-in standard rules, in evaluation order.
pub fn builtin_rules() -> &'static [RuleSpec] {
    &standard().rules
}

/// The examples that stand beside the core and the standard rules.
pub fn builtin_examples() -> impl Iterator<Item = &'static Example> {
    core().examples.iter().chain(&standard().examples)
}
