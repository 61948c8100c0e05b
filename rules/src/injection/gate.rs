//! The reference's keyword gate: a rule is only run when the lower-cased text contains one of the keywords that were
//! extracted from the rule's text. For some expressions the extraction is wrong and silences the rule (of the built-in
//! ones for one: 没有任限制); reference mode does the same, hardened mode asks no gate (D-201). spec: response-scan §4.5

use crate::text;

/// Shortest keyword, bytes. With a shorter one the rule always runs.
const SHORTEST: usize = 3;

/// Keywords of one expression; none: always open.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Gate {
    keywords: Vec<String>,
}

impl Gate {
    pub(super) fn of(source: &str) -> Self {
        let keywords = keywords(source).unwrap_or_default();
        Self { keywords: keywords.iter().map(|k| text::to_lower(k).into_owned()).collect() }
    }

    /// Whether the rule would be looked at for this lower-cased text.
    pub(super) fn is_open(&self, lower: &str) -> bool {
        self.keywords.is_empty() || self.keywords.iter().any(|k| lower.contains(k.as_str()))
    }

    /// Whether the gate depends on the text.
    pub(super) fn is_set(&self) -> bool {
        !self.keywords.is_empty()
    }
}

fn keywords(source: &str) -> Option<Vec<String>> {
    let rest = without_anchors(without_flags(source));
    if let Some(body) = rest.strip_prefix('(').and_then(group_body) {
        let branches = split_top_level(body);
        if body.contains('|') {
            return branches
                .into_iter()
                .map(|b| Some(literal_run(without_group_opener(b))).filter(|k| k.len() >= SHORTEST))
                .collect();
        }
    }
    let start = source.strip_prefix("(?i)").unwrap_or(source);
    let unwrapped = unwrap_group(start);
    let keyword = literal_run(&unwrapped);
    (keyword.len() >= SHORTEST).then(|| vec![keyword])
}

/// Leading flag groups of lower-case letters and `-`, repeatedly.
fn without_flags(mut source: &str) -> &str {
    while let Some((flags, rest)) = source.strip_prefix("(?").and_then(|r| r.split_once(')')) {
        if !flags.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
            break;
        }
        source = rest;
    }
    source
}

/// `^`, `\s*`, `\s+` and `\b` at the start; of `\b` one character too many goes, as in the reference.
fn without_anchors(mut rest: &str) -> &str {
    loop {
        if let Some(after) = rest.strip_prefix('^') {
            rest = after;
        } else if rest.starts_with(r"\s*") || rest.starts_with(r"\s+") || rest.starts_with(r"\b") {
            let mut chars = rest.chars();
            for _ in 0..3 {
                chars.next();
            }
            rest = chars.as_str();
        } else {
            return rest;
        }
    }
}

/// Text up to the parenthesis that closes the one just read.
fn group_body(rest: &str) -> Option<&str> {
    let (mut depth, mut escaped, mut in_class) = (1, false, false);
    for (i, b) in rest.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'(' if !in_class => depth += 1,
            b')' if !in_class => {
                depth -= 1;
                if depth == 0 {
                    return Some(&rest[..i]);
                }
            }
            _ => {}
        }
    }
    None
}

/// Branches of an alternation that are not inside a group or class.
fn split_top_level(body: &str) -> Vec<&str> {
    let (mut depth, mut escaped, mut in_class) = (0usize, false, false);
    let (mut branches, mut start) = (Vec::new(), 0);
    for (i, b) in body.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'(' if !in_class => depth += 1,
            b')' if !in_class => depth = depth.saturating_sub(1),
            b'|' if !in_class && depth == 0 => {
                branches.push(&body[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    branches.push(&body[start..]);
    branches
}

/// A branch without `?:`, `?-i:`, a nested flag group's opening and word boundaries at its ends.
fn without_group_opener(branch: &str) -> &str {
    let mut rest = branch.strip_prefix("?:").or_else(|| branch.strip_prefix("?-i:")).unwrap_or(branch);
    rest = rest.strip_prefix(r"\b").unwrap_or(rest);
    if let Some((flags, after)) = rest.strip_prefix("(?").and_then(|r| r.split_once(':'))
        && flags.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    {
        rest = after;
    }
    rest = rest.strip_prefix(r"\b").unwrap_or(rest);
    rest.strip_suffix(r"\b").unwrap_or(rest)
}

/// A leading non-capturing group without `|` and without a quantifier behind it, opened.
fn unwrap_group(source: &str) -> String {
    if let Some(body) = source.strip_prefix("(?:").and_then(group_body) {
        let after = &source["(?:".len() + body.len() + 1..];
        if !body.contains('|') && !after.starts_with(['?', '*', '+', '{']) {
            return format!("{body}{after}");
        }
    }
    source.to_owned()
}

/// The leading run of literal characters; escaped punctuation counts as literal.
fn literal_run(source: &str) -> String {
    let mut run = String::new();
    let mut chars = source.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(e) if e.is_ascii_punctuation() => run.push(e),
                _ => break,
            },
            '[' | '(' | ')' | '.' | '*' | '+' | '?' | '{' | '}' | '^' | '$' | '|' => break,
            c => run.push(c),
        }
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_is_wrong_where_the_references_is() {
        let table = [
            (r"(?i)colou?r\s+scheme", "color scheme", false),
            (r"(?i)purple monkey|green donkey", "green donkey", false),
            (r"(?i)(purple|green)?monkey", "monkey", false),
            (r"(?i)(purple|green)?monkey", "a green thing and a monkey", true),
            (r"(?i)\b((purple|green)|(blue|grey)) monkey", "blue monkey", false),
            (r"(?i)purple*", "purpl", false),
            (r"(?i)(let'?s|maybe) dance", "lets dance", false),
            (r"(?i)(purple|x) monkey", "x monkey", true),
            (r"(?s)purple monkey", "purple monkey", true),
            (r"\bpurple monkey", "purple monkey", true),
            (r"^(purple|green) monkey", "purple monkey", true),
        ];
        for (source, text, open) in table {
            assert_eq!(Gate::of(source).is_open(text), open, "{source:?} on {text:?}");
        }
    }
    #[test]
    fn of_the_built_in_rules_the_gate_closes_one_on_what_it_matches() {
        let closed: Vec<&str> = crate::injection::builtin_examples()
            .filter(|example| example.matches)
            .filter(|example| {
                let rules = crate::injection::core_rules().iter().chain(crate::injection::builtin_rules());
                let spec = rules.into_iter().find(|rule| *rule.name == example.rule).unwrap();
                !Gate::of(&spec.regex).is_open(&text::to_lower(&example.text))
            })
            .map(|example| example.text.as_str())
            .collect();
        assert_eq!(closed, ["没有任限制"]);
    }
}
