//! Replays recorded configuration documents: accepted or refused alike, for the same reason, with the same effective values.
//!
//! The recordings were made by a build of the reference without agent support, in a directory of its own; both are
//! named here and nowhere else. A refusal agrees when the essential text does: for values the whole sentence, for keys
//! and types every line, for broken syntax only that it is broken, because that wording is the parser's own.

use std::collections::BTreeMap;
use std::path::Path;

use muselet::config::{Config, ConfigError, Edition, Surroundings, yaml::YamlError};
use serde_json::Value as Json;

/// A document on which the two sides do not agree.
#[derive(Debug)]
pub struct Disagreement {
    /// Name of the case.
    pub id: String,
    /// The document.
    pub yaml: String,
    /// What the reference did.
    pub theirs: String,
    /// What ours did.
    pub ours: String,
}

/// Compares every case; `dir` must exist and be empty.
///
/// # Errors
/// When a line is not a recording of this kind.
pub fn replay_config(cases: impl Iterator<Item = Json>, dir: &Path) -> anyhow::Result<Vec<Disagreement>> {
    let surroundings = Surroundings {
        home: Some("/tmp/nohome".to_owned()),
        temp_dir: "/tmp".to_owned(),
        edition: Edition::Core,
        ..Surroundings::default()
    };
    let load = |yaml: &str| Config::parse_in(yaml.as_bytes(), dir, &surroundings);
    let empty = load("")?.config.effective_values();
    let mut disagreements = Vec::new();
    for case in cases {
        let id = case["id"].as_str().unwrap_or_default().to_owned();
        let yaml = case["yaml"].as_str().unwrap_or_default().to_owned();
        if id == "base/no-file" {
            let ours = Config::without_file("/tmp").effective_values();
            compare_values(&case["effective"], &ours, &id, &mut disagreements);
            continue;
        }
        let outcome = load(&yaml);
        if id == "base/empty-file" {
            compare_values(&case["effective"], &outcome?.config.effective_values(), &id, &mut disagreements);
            continue;
        }
        let (theirs, ours) = match (case["ok"].as_bool().unwrap_or_default(), outcome) {
            (true, Ok(loaded)) => {
                match values_differ(&case["changed"], &empty, &loaded.config.effective_values(), dir) {
                    Some(pair) => pair,
                    None => continue,
                }
            }
            (true, Err(error)) => ("accepted".to_owned(), format!("refused: {error}")),
            (false, Ok(_)) => (format!("refused: {}", case["error"]), "accepted".to_owned()),
            (false, Err(error)) => {
                let theirs = essence_of_recording(case["error"].as_str().unwrap_or_default());
                let ours = essence(&error, dir);
                if theirs == ours || values_hidden(&theirs) == ours {
                    continue;
                }
                (theirs, ours)
            }
        };
        disagreements.push(Disagreement { id, yaml, theirs, ours });
    }
    Ok(disagreements)
}

fn compare_values(theirs: &Json, ours: &BTreeMap<String, Json>, id: &str, out: &mut Vec<Disagreement>) {
    let theirs = changed_map(theirs);
    for key in theirs.keys().chain(ours.keys().filter(|key| !theirs.contains_key(*key))) {
        let (theirs, ours) = (theirs.get(key), ours.get(key).map(builtin_hidden));
        if theirs != ours.as_ref() {
            out.push(Disagreement {
                id: format!("{id} {key}"),
                yaml: String::new(),
                theirs: format!("{theirs:?}"),
                ours: format!("{ours:?}"),
            });
        }
    }
}

fn changed_map(recorded: &Json) -> BTreeMap<String, Json> {
    let fields = recorded.as_object().into_iter().flatten();
    fields.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The two sets of values that are not those of an empty file, when they differ.
fn values_differ(
    recorded: &Json,
    empty: &BTreeMap<String, Json>,
    ours: &BTreeMap<String, Json>,
    dir: &Path,
) -> Option<(String, String)> {
    if recorded.as_str().is_some_and(|text| text.starts_with("unencodable")) {
        let unencodable = ours.values().any(|value| matches!(value.as_str(), Some("NaN" | "+Inf" | "-Inf")));
        return (!unencodable).then(|| (recorded.to_string(), "only finite numbers".to_owned()));
    }
    let mut changed = BTreeMap::new();
    for key in empty.keys().chain(ours.keys()) {
        if empty.get(key) != ours.get(key) {
            let value = ours.get(key).map_or(Json::from("(absent)"), builtin_hidden);
            changed.insert(key.clone(), value);
        }
    }
    let ours = Json::from_iter(changed).to_string().replace(&dir.display().to_string(), "DIR");
    let theirs = recorded_dir_hidden(&Json::from_iter(changed_map(recorded)).to_string());
    let same = |text: &str| serde_json::from_str::<Json>(text).ok();
    (same(&ours) != same(&theirs)).then_some((theirs, ours))
}

/// Expressions of built-in rules are not part of a recording.
fn builtin_hidden(value: &Json) -> Json {
    let Json::Array(items) = value else { return value.clone() };
    let builtin = |item: &Json| {
        let name = item["name"].as_str().unwrap_or_default();
        let regex = item["regex"].as_str().unwrap_or_default();
        let dlp = muselet::config::patterns::builtin_dlp();
        let response = muselet::config::patterns::builtin_response();
        dlp.iter().any(|rule| rule.name == name && rule.regex == regex)
            || response.iter().any(|rule| rule.name == name && rule.regex == regex)
    };
    let hide = |item: &Json| {
        let mut item = item.clone();
        if item.get("regex").is_some() && builtin(&item) {
            item["regex"] = Json::from("(built-in)");
        }
        item
    };
    Json::Array(items.iter().map(hide).collect())
}

/// Where ours does not show a value because it may be a secret.
fn values_hidden(error: &str) -> String {
    let parts = error.split('`').enumerate();
    let hidden = parts.map(|(i, part)| if i % 2 == 1 { "[hidden]" } else { part });
    hidden.collect::<Vec<_>>().join("`")
}

/// The recorder's own directory under its random name.
fn recorded_dir_hidden(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("/tmp/cfgrec") {
        out.push_str(&rest[..at]);
        out.push_str("DIR");
        rest = rest[at + "/tmp/cfgrec".len()..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out.push_str(rest);
    out
}

fn essence_of_recording(error: &str) -> String {
    let error = error.replace("parsing config DIR/c.yaml: ", "parsing: ");
    match error.strip_prefix("parsing: yaml: ") {
        Some(content) if content.starts_with("unmarshal errors:") => format!("parsing: {content}"),
        Some(_) => "parsing: broken syntax".to_owned(),
        None => error,
    }
}

fn essence(error: &ConfigError, dir: &Path) -> String {
    match error {
        ConfigError::Parse { source: YamlError::Syntax(_), .. } => "parsing: broken syntax".to_owned(),
        ConfigError::Parse { source: YamlError::Content(problems), .. } => {
            let lines =
                problems.iter().map(|problem| format!("\n  line {}: {}", problem.line, problem.message));
            format!("parsing: unmarshal errors:{}", lines.collect::<String>())
        }
        ConfigError::Parse { source, .. } => format!("parsing: {source}"),
        error => error.to_string().replace(&dir.display().to_string(), "DIR"),
    }
}
