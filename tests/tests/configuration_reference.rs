//! `docs/configuration.md` lists every key of the schema with its defaults: it is written from the schema by this test
//! when `UPDATE_DOCS` is set, and compared with it otherwise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use muselet::config::value::KeyInfo;
use muselet::config::{Config, Edition, Surroundings};
use serde_json::Value as Json;

const INTRODUCTION: &str = "# Configuration

One YAML file, given with `--config`. It is read strictly: unknown keys, repeated keys and a second document are errors
that name the line, the column and what is allowed. There is no variable substitution and no inclusion.

Two things surprise people:

- **No file is not an empty file.** Without `--config` the proxy starts with an allowlist, a blocklist and other values
  that a file does not inherit; the column *without a file* shows them where they differ.
- **Zero is often *not given*.** Where a default stands beside a number, 0 gives the default; large values are the way
  to switch a limit off.

The schema is pipelock's, key for key; `muselet:` holds what is ours alone. `muselet check --config FILE` says whether a
file is valid, `muselet generate config` writes one with every key, and a running proxy reads the file again when it
changes or on SIGHUP.

Kinds: `?` after a kind means that *not given* is a state of its own. *list of* and *map of* say what is inside; `[]` and
`NAME` in a key stand for an item and for a name of one's own. Durations are texts such as `90s` or `1h30m`.
";

fn render() -> String {
    let surroundings = Surroundings {
        home: Some("/root".to_owned()),
        temp_dir: "/tmp".to_owned(),
        edition: Edition::Release,
        ..Surroundings::default()
    };
    let file = Config::parse_in(b"", Path::new("/etc"), &surroundings).expect("an empty file is valid");
    let mut none = Config::without_file("/tmp");
    none.finish(&surroundings).1.expect("the values without a file are valid");
    let (file, none) = (file.config.effective_values(), none.effective_values());
    let keys = Config::keys();
    let section = |key: &KeyInfo| key.path.split(['.', '[']).next().unwrap_or_default().to_owned();
    let is_alone = |name: &str| keys.iter().filter(|key| section(key) == name).count() == 1;
    let mut out = INTRODUCTION.to_owned();
    let header = "\n| key | kind | default | without a file | meaning |\n|---|---|---|---|---|\n";
    out.push_str("\n## Keys outside of sections\n");
    out.push_str(header);
    for key in keys.iter().filter(|key| is_alone(&section(key))) {
        row(&mut out, key, &file, &none);
    }
    let mut current = String::new();
    for key in keys.iter().filter(|key| !is_alone(&section(key))) {
        if section(key) != current {
            current = section(key);
            let _ = writeln!(out, "\n## `{current}`\n\n{}", key.doc);
            out.push_str(header);
            continue;
        }
        row(&mut out, key, &file, &none);
    }
    out
}

fn row(out: &mut String, key: &KeyInfo, file: &BTreeMap<String, Json>, none: &BTreeMap<String, Json>) {
    let default = value(file.get(&key.path));
    let without = value(none.get(&key.path));
    let without = if default == without { String::new() } else { without };
    let kind = if key.kind == "section" { "" } else { &key.kind };
    let _ = writeln!(
        out,
        "| `{}` | {kind} | {default} | {without} | {} |",
        key.path,
        key.doc.replace('|', "\\|")
    );
}

fn value(value: Option<&Json>) -> String {
    match value {
        None => String::new(),
        Some(Json::Null) => "not given".to_owned(),
        Some(Json::Array(items)) if items.is_empty() => "none".to_owned(),
        Some(Json::Array(items)) => match items.iter().map(Json::as_str).collect::<Option<Vec<_>>>() {
            Some(texts) => format!("`{}`", texts.join("`, `")),
            None => format!("{} built in", items.len()),
        },
        Some(Json::Object(_)) => "none".to_owned(),
        Some(Json::String(text)) if text.is_empty() => "empty".to_owned(),
        Some(Json::String(text)) => format!("`{text}`"),
        Some(other) => other.to_string(),
    }
}

#[test]
fn reference_of_keys_is_that_of_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let wanted = render();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the docs folder can be made");
        std::fs::write(&path, &wanted).expect("the document can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let line = wanted.lines().zip(found.lines()).position(|(wanted, found)| wanted != found);
    assert!(
        found == wanted,
        "docs/configuration.md is not up to date, first in line {}; run this test with UPDATE_DOCS=1",
        line.map_or_else(|| found.lines().count() + 1, |line| line + 1)
    );
}

#[test]
fn every_key_is_explained() {
    for key in Config::keys() {
        assert!(key.doc.ends_with('.') && key.doc.len() > 3, "{}: {:?}", key.path, key.doc);
    }
}
