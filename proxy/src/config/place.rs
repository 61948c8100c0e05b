//! Where in a file the value stands that a failed check is about.
//!
//! Checks work on values without positions, and their texts are the reference's. So the place is found from the text, which names
//! the keys or quotes the value: the node of which most is named. Nothing is told where two are named alike.

use std::fmt;

use super::grammar::quoted;
use super::yaml::{Document, NodeId, NodeKind};

/// A value's line and column, counted from 1, and its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    line: usize,
    column: usize,
    key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({})", self.line, self.column, self.key)
    }
}

/// How well a text fits a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    /// Keys named; a quoted value counts as two.
    named: usize,
    /// Its place in a list is named.
    item: bool,
}

/// The place that the text of a failed check is about.
pub(super) fn find(document: &Document, reason: &str) -> Option<Place> {
    let reason = reason.to_lowercase();
    let words: Vec<&str> = reason.split(|c: char| c != '_' && !c.is_alphanumeric()).collect();
    let is_named = |key: &str| {
        let key = key.to_lowercase();
        words.iter().any(|word| *word == key || Some(*word) == key.strip_suffix('s'))
    };
    let mut best: Option<(Fit, Place)> = None;
    let mut alike = false;
    // Node, its keys, how many of them are not named, whether its place in a list is named.
    let mut open: Vec<(NodeId, Vec<String>, usize, bool)> =
        document.root().map(|root| (root, Vec::new(), 0, false)).into_iter().collect();
    while let Some((id, keys, unnamed, item)) = open.pop() {
        let node = document.node(id);
        let is_quoted = match &node.kind {
            NodeKind::Scalar { text, .. } if !text.is_empty() => {
                let text = text.to_lowercase();
                reason.contains(&quoted(&text)) || reason.contains(&format!("`{text}`"))
            }
            _ => false,
        };
        let all = unnamed == 0 && !keys.is_empty();
        if all || is_quoted {
            let named = if all { keys.len() } else { 0 } + 2 * usize::from(is_quoted);
            let fit = Fit { named, item };
            let known = best.as_ref().map(|(fit, _)| *fit);
            alike = known == Some(fit) || alike && known > Some(fit);
            if known < Some(fit) {
                best = Some((fit, Place { line: node.line, column: node.column, key: keys.concat() }));
            }
        }
        match &node.kind {
            NodeKind::Mapping(pairs) => {
                for (key, value) in pairs {
                    let NodeKind::Scalar { text, .. } = &document.node(*key).kind else { continue };
                    let dot = if keys.is_empty() { "" } else { "." };
                    let keys = keys.iter().cloned().chain([format!("{dot}{text}")]).collect();
                    open.push((*value, keys, unnamed + usize::from(!is_named(text)), item));
                }
            }
            NodeKind::Sequence(items) => {
                for (index, value) in items.iter().enumerate() {
                    let place = format!("[{index}]");
                    let item = item || reason.contains(&place);
                    let keys = keys.iter().cloned().chain([place]).collect();
                    open.push((*value, keys, unnamed, item));
                }
            }
            NodeKind::Scalar { .. } | NodeKind::Alias(_) => {}
        }
    }
    best.filter(|_| !alike).map(|(_, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(yaml: &str, reason: &str) -> Option<String> {
        let document = Document::parse(yaml.as_bytes()).ok()?;
        find(&document, reason).map(|place| place.to_string())
    }

    #[test]
    fn the_value_that_a_text_is_about_is_found() {
        let yaml = "mode: wrong\nresponse_scanning:\n  enabled: true\n  action: explode\ndlp:\n  patterns:\n    - name: x\n      \
                    regex: '('\n    - name: y\n      regex: ok\nflight_recorder: {enabled: true}\napi_allowlist: [a.example, 'b c']\n";
        for (reason, wanted) in [
            (r#"invalid mode "wrong": must be strict, balanced, or audit"#, Some("1:7 (mode)")),
            (
                r#"invalid response_scanning action "explode": must be strip, warn, block, or ask"#,
                Some("4:11 (response_scanning.action)"),
            ),
            (
                r#"DLP pattern "x" has invalid regex: error parsing regexp: missing closing ): `(`"#,
                Some("8:14 (dlp.patterns[0].regex)"),
            ),
            ("flight_recorder.dir is required when enabled", Some("11:28 (flight_recorder.enabled)")),
            (r#"api_allowlist[1] "b c" is no host"#, Some("12:28 (api_allowlist[1])")),
            ("something else is wrong", None),
        ] {
            assert_eq!(place(yaml, reason).as_deref(), wanted, "{reason}");
        }
    }

    #[test]
    fn of_two_that_fit_alike_none_is_told() {
        let yaml = "dlp:\n  patterns:\n    - {name: a, severity: odd}\n    - {name: b, severity: odd}\n";
        assert_eq!(place(yaml, r#"DLP pattern has invalid severity "odd""#), None);
    }
}
