//! `bottle ps`: the instances and the state of their containers.

use std::collections::BTreeMap;

use serde_json::json;

use super::engine;
use super::output::{print, print_json};
use crate::engine::Engine;
use crate::names::label;
use crate::{Error, Result};

#[derive(Debug, Default)]
struct Row {
    agent: String,
    states: BTreeMap<String, String>,
    started: String,
}

pub(super) async fn run(as_json: bool) -> Result<i64> {
    let engine = engine().await?;
    let found = engine.containers(label::SLUG).await.map_err(|e| Error::step("list", "instances", e))?;
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for container in found {
        let label_of = |key: &str| container.labels.get(key).cloned().unwrap_or_default();
        let row = rows.entry(label_of(label::SLUG)).or_default();
        row.agent = label_of(label::AGENT);
        row.started = label_of(label::STARTED);
        row.states.insert(label_of(label::ROLE), container.state);
    }
    if as_json {
        let list: Vec<_> = rows
            .iter()
            .map(|(slug, row)| {
                json!({
                    "slug": slug, "agent": row.agent, "containers": row.states,
                    "started": row.started.parse::<u64>().ok(),
                })
            })
            .collect();
        print_json(&json!(list))?;
        return Ok(0);
    }
    let state = |row: &Row, role: &str| row.states.get(role).cloned().unwrap_or_else(|| "-".to_owned());
    let head = format!("{:<40} {:<24} {:<10} {:<10} STARTED", "SLUG", "AGENT", "SIDECAR", "AGENT");
    print(&head)?;
    for (slug, row) in &rows {
        let started =
            row.started.parse().ok().and_then(|at| time::OffsetDateTime::from_unix_timestamp(at).ok());
        let format = time::format_description::well_known::Rfc3339;
        let started = started.and_then(|at| at.format(&format).ok()).unwrap_or_else(|| "-".to_owned());
        let (sidecar, agent) = (state(row, "sidecar"), state(row, "agent"));
        print(&format!("{slug:<40} {:<24} {sidecar:<10} {agent:<10} {started}", row.agent))?;
    }
    Ok(0)
}
