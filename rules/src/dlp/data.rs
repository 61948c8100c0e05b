//! Reader of the rule files under `builtin/`.
//!
//! The files are compiled in and fixed, so the reader understands just their form: a list of flat mappings whose values
//! are scalars or lists of scalars. A malformed entry would be a defect of the build; tests read every file and check
//! the number of entries.

use saphyr_parser::{Event, Parser};

/// A text with what one rule, alone, must say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The rule.
    pub rule: String,
    /// The text.
    pub text: String,
    /// Whether the rule matches.
    pub matches: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) severity: String,
    pub(crate) pattern: String,
    pub(crate) validator: Option<String>,
    /// The pattern and examples are those of the core rule of the same name (injection rules).
    pub(crate) core: bool,
    examples: Vec<Example>,
}

/// The rules of a file. Their examples are left out: no process but a test wants them in memory.
pub(crate) fn parse(yaml: &str) -> Vec<Entry> {
    read(yaml, false)
}

/// The examples of a file.
pub(crate) fn examples(yaml: &str) -> impl Iterator<Item = Example> {
    read(yaml, true).into_iter().flat_map(|entry| entry.examples)
}

fn read(yaml: &str, with_examples: bool) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut key: Option<String> = None;
    let mut in_list = false;
    for event in Parser::new_from_str(yaml) {
        let Ok((event, _)) = event else { break };
        match event {
            Event::MappingStart(..) => entries.push(Entry::default()),
            // The outer list has no key; a list under a key holds examples.
            Event::SequenceStart(..) => in_list = key.is_some(),
            Event::SequenceEnd => {
                in_list = false;
                key = None;
            }
            Event::Scalar(value, ..) => {
                let Some(entry) = entries.last_mut() else { continue };
                match key.take() {
                    None => key = Some(value.into_owned()),
                    Some(name) => {
                        if with_examples || !in_list {
                            set(entry, &name, value.into_owned());
                        }
                        if in_list {
                            key = Some(name);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    entries
}

fn set(entry: &mut Entry, key: &str, value: String) {
    match key {
        "name" => entry.name = value,
        "severity" => entry.severity = value,
        "pattern" => entry.pattern = value,
        "core" => entry.core = value == "true",
        "validator" => entry.validator = Some(value),
        "must_match" | "must_not_match" => entry.examples.push(Example {
            rule: entry.name.clone(),
            text: value,
            matches: key == "must_match",
        }),
        _ => {}
    }
}
