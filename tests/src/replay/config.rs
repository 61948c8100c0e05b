//! Replays recorded configuration documents: accepted or refused alike, for the same reason, with the same effective values.
//!
//! The recordings were made by a build of the reference without agent support, in a directory of its own; both are
//! named here and nowhere else. A refusal agrees when the essential text does: for values the whole sentence, for keys
//! and types every line, for broken syntax only that it is broken, because that wording is the parser's own.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::LazyLock;

use anyhow::Context as _;
use muselet::Strictness;
use muselet::config::yaml::YamlError;
use muselet::config::{Config, ConfigError, Edition, Surroundings, patterns};
use serde_json::Value as Json;

use super::{Comparison, Recording};

/// Where our side believes the documents lie. Nothing is there, as nothing but the document was there.
const DIR: &str = "/nonexistent/conformance";

/// Differences that a refusal may name.
const NAMED: &[&str] = &["D-301"];

/// Our side of the comparison.
#[derive(Debug)]
pub struct Replay {
    surroundings: Surroundings,
    empty: BTreeMap<String, Json>,
}

impl Replay {
    /// Prepares for documents that do not say their strictness.
    ///
    /// # Errors
    /// When an empty file is refused.
    pub fn new(mode: Strictness) -> anyhow::Result<Self> {
        let surroundings = Surroundings {
            home: Some("/tmp/nohome".to_owned()),
            temp_dir: "/tmp".to_owned(),
            edition: Edition::Core,
            strictness: mode,
            ..Surroundings::default()
        };
        let empty = Config::parse_in(b"", Path::new(DIR), &surroundings)?.config;
        Ok(Self { surroundings, empty: ours_only_hidden(empty.effective_values()) })
    }

    /// Loads the document of a recording and compares.
    ///
    /// # Errors
    /// When the recording lacks a field.
    pub fn compare(&self, recording: &Recording) -> anyhow::Result<Comparison> {
        if recording.id == "base/no-file" {
            return Ok(all_values(recording, Config::without_file("/tmp").effective_values()));
        }
        let yaml: String = recording.get("yaml")?;
        let outcome = Config::parse_in(yaml.as_bytes(), Path::new(DIR), &self.surroundings);
        let values = outcome.map(|loaded| ours_only_hidden(loaded.config.effective_values()));
        if recording.id == "base/empty-file" {
            return Ok(all_values(recording, values?));
        }
        let accepted: bool = recording.get("ok")?;
        let show = |refusal: &str| format!("{yaml:?} refused: {refusal}");
        let (wanted, got, is_stricter) = match (accepted, values) {
            (true, Ok(values)) => {
                let changed = recording.answer.get("changed").context("no changed values")?;
                let (wanted, got) = values_differ(changed, &self.empty, &values).unwrap_or_default();
                (wanted, got, false)
            }
            (true, Err(error)) => (format!("{yaml:?} accepted"), show(&essence(&error)), true),
            (false, Ok(_)) => (show(&recording.get::<String>("error")?), format!("{yaml:?} accepted"), false),
            (false, Err(error)) => {
                let theirs = essence_of_recording(&recording.get::<String>("error")?);
                let ours = essence(&error);
                let theirs = if values_hidden(&theirs) == ours { ours.clone() } else { theirs };
                (show(&theirs), show(&ours), false)
            }
        };
        let named = NAMED.iter().filter(|id| got.contains(*id)).map(|id| Some(*id)).collect();
        Ok(Comparison { agrees: wanted == got, is_stricter, named, is_random: false, wanted, got })
    }
}

/// Our own section is not part of a recording.
fn ours_only_hidden(mut values: BTreeMap<String, Json>) -> BTreeMap<String, Json> {
    values.retain(|key, _| !key.starts_with("muselet"));
    values
}

fn all_values(recording: &Recording, ours: BTreeMap<String, Json>) -> Comparison {
    let theirs = recording.answer.get("effective").map(changed_map).unwrap_or_default();
    let ours: BTreeMap<_, _> =
        ours_only_hidden(ours).into_iter().map(|(key, value)| (key, builtin_hidden(&value))).collect();
    let differing = |ours: &BTreeMap<String, Json>, theirs: &BTreeMap<String, Json>| {
        let lines = ours.iter().filter(|(key, value)| theirs.get(*key) != Some(value));
        lines.map(|(key, value)| format!("{key}={value} ")).collect::<String>()
    };
    let (wanted, got) = (differing(&theirs, &ours), differing(&ours, &theirs));
    let agrees = wanted.is_empty() && got.is_empty();
    Comparison { agrees, is_stricter: false, named: Vec::new(), is_random: false, wanted, got }
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
    let ours = Json::from_iter(changed).to_string().replace(DIR, "DIR");
    let theirs = recorded_dir_hidden(&Json::from_iter(changed_map(recorded)).to_string());
    let same = |text: &str| serde_json::from_str::<Json>(text).ok();
    (same(&ours) != same(&theirs)).then_some((theirs, ours))
}

/// Names and expressions of what is built in.
static BUILTIN: LazyLock<HashSet<(String, String)>> = LazyLock::new(|| {
    let dlp = patterns::builtin_dlp().into_iter().map(|rule| (rule.name, rule.regex));
    let response = patterns::builtin_response().into_iter().map(|rule| (rule.name, rule.regex));
    dlp.chain(response).collect()
});

/// Expressions of built-in rules are not part of a recording.
fn builtin_hidden(value: &Json) -> Json {
    let Json::Array(items) = value else { return value.clone() };
    let builtin = |item: &Json| {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        BUILTIN.contains(&(text("name"), text("regex")))
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

fn essence(error: &ConfigError) -> String {
    match error {
        ConfigError::Parse { source: YamlError::Syntax(_), .. } => "parsing: broken syntax".to_owned(),
        ConfigError::Parse { source: YamlError::Content(problems), .. } => {
            let lines =
                problems.iter().map(|problem| format!("\n  line {}: {}", problem.line, problem.message));
            format!("parsing: unmarshal errors:{}", lines.collect::<String>())
        }
        ConfigError::Parse { source, .. } => format!("parsing: {source}"),
        error => error.to_string().replace(DIR, "DIR"),
    }
}
