//! A compiled rule list, evaluated rule by rule as the specification says (spec: dlp §2.1, §6.5, §9).

use super::{Encoding, Error, Match, RuleSpec};
use crate::goregex::{self, Regex};
use crate::text;

/// A rule with its compiled expression and its gate.
#[derive(Debug)]
pub struct Rule {
    spec: RuleSpec,
    regex: Regex,
    /// Lower-cased literal that the lower-cased text must contain before the rule is looked at; empty: no gate.
    gate: String,
}

impl Rule {
    /// The rule as configured.
    pub fn spec(&self) -> &RuleSpec {
        &self.spec
    }

    /// Whether the rule matches a normalised text: its expression does, and the validator, if any, accepts one of the
    /// successive matches. The gate is not asked.
    pub fn matches(&self, norm: &str) -> bool {
        match self.spec.validator {
            None => self.regex.is_match(norm),
            Some(validator) => self.regex.find_iter(norm).any(|m| validator.check(&norm[m])),
        }
    }

    /// The expression's intermediate form.
    pub fn hir(&self) -> &regex_syntax::hir::Hir {
        self.regex.hir()
    }

    /// Whether the reference's gate could skip the rule on a text that it matches; false when every match is known to
    /// hold the gate's literal.
    pub fn may_be_gated_wrongly(&self) -> bool {
        !self.gate.is_empty() && !crate::dlp::builtin_rules().iter().any(|rule| rule.regex == self.spec.regex)
    }

    /// The compiled expression.
    pub(super) fn regex(&self) -> &Regex {
        &self.regex
    }

    /// Whether the expression looks for the start or end of the text.
    pub(super) fn looks_at_edges(&self) -> bool {
        self.regex.hir().properties().look_set().contains_anchor()
    }

    pub(super) fn to_match(&self, encoded: Encoding) -> Match {
        Match {
            name: self.spec.name.clone(),
            severity: self.spec.severity.clone(),
            encoded,
            bundle: self.spec.bundle.clone(),
            bundle_version: self.spec.bundle_version.clone(),
            warn: self.spec.warn,
            difference: None,
        }
    }

    /// Whether the gate keeps the rule from being evaluated on a text, given lower-cased.
    pub(super) fn gated_out(&self, lower: &str) -> bool {
        !self.gate.is_empty() && memchr::memmem::find(lower.as_bytes(), self.gate.as_bytes()).is_none()
    }
}

/// A list of rules in evaluation order.
#[derive(Debug)]
pub(super) struct RuleTable {
    pub(super) rules: Vec<Rule>,
}

impl RuleTable {
    pub(super) fn new(specs: Vec<RuleSpec>) -> Result<RuleTable, Error> {
        let known: Vec<&str> =
            super::builtin_rules().iter().chain(super::core_rules()).map(|r| &*r.regex).collect();
        let regex = |pattern: &str| match known.contains(&pattern) {
            // Compiling all of them takes longer than starting the program otherwise does.
            true => goregex::compile_rule_later(pattern),
            false => goregex::compile_rule(pattern),
        };
        let compile = |spec: RuleSpec| match regex(&spec.regex) {
            Ok(regex) => Ok(Rule { gate: gate(&spec.regex), regex, spec }),
            Err(source) => Err(Error { name: spec.name.to_string(), source }),
        };
        Ok(RuleTable { rules: specs.into_iter().map(compile).collect::<Result<_, _>>()? })
    }

    /// Calls `hit` for every rule that matches the normalised text, in list order, until it returns true. Its second
    /// argument says whether the reference's gate keeps the rule from matching.
    pub(super) fn for_each_match<'r>(&'r self, norm: &str, mut hit: impl FnMut(&'r Rule, bool) -> bool) {
        let lower = text::to_lower(norm);
        for rule in self.rules.iter().filter(|r| r.matches(norm)) {
            if hit(rule, rule.gated_out(&lower)) {
                return;
            }
        }
    }
}

/// The gate literal of a pattern, lower-cased; empty when there is none (spec: dlp §9). It is wrong for some patterns
/// exactly as the reference's is: see the specification's table.
pub(super) fn gate(pattern: &str) -> String {
    let mut rest = pattern.strip_prefix("(?i)").unwrap_or(pattern).to_owned();
    if let Some(body) = rest.strip_prefix("(?:") {
        let Some(end) = body.find(')') else { return String::new() };
        let (group, after) = (&body[..end], &body[end + 1..]);
        if group.contains('|') || after.starts_with(['?', '*', '+', '{']) {
            return String::new();
        }
        rest = format!("{group}{after}");
    }
    let mut literal = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(
                    e @ ('.' | '\\' | '-' | '_' | '[' | ']' | '(' | ')' | '{' | '}' | '+' | '*' | '?' | '^'
                    | '$' | '|' | '/'),
                ) => literal.push(e),
                _ => break,
            },
            '[' | '(' | '.' | '*' | '+' | '?' | '{' | '}' | '^' | '$' | '|' => break,
            c => literal.push(c),
        }
    }
    text::to_lower(&literal).into_owned()
}
