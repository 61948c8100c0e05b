//! `bottle cleanup`: finds by label what belongs to launchers that are gone, and removes it (spec: launcher §8).

use std::collections::BTreeMap;

use super::{engine, stop};
use crate::engine::{Engine, Found};
use crate::names::label;
use crate::{Error, Result, stage};

pub(super) async fn run(dry_run: bool) -> Result<i64> {
    let engine = engine().await?;
    let failed = |e: crate::engine::EngineError| Error::step("list", "instances", e);
    let mut found = engine.containers(label::PID).await.map_err(failed)?;
    found.extend(engine.networks(label::PID).await.map_err(failed)?);
    let mut orphans: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for thing in found.into_iter().filter(|thing| !is_alive(thing)) {
        if let Some(slug) = thing.labels.get(label::SLUG) {
            orphans.entry(slug.clone()).or_default().push(thing.name);
        }
    }
    for left in stage::list(&stage::root_of_process()) {
        if left.pid.is_none_or(|pid| started_at(pid).is_none()) {
            orphans.entry(left.slug).or_default().push(left.dir.display().to_string());
        }
    }
    if orphans.is_empty() {
        println!("nothing to clean up");
        return Ok(0);
    }
    let mut failed = false;
    for (slug, things) in orphans {
        for name in things {
            println!("{} {name}", if dry_run { "would remove" } else { "removing" });
        }
        if !dry_run {
            for warning in stop::remove(&engine, &slug).await {
                eprintln!("bottle: warning: {warning}");
                failed = true;
            }
        }
    }
    Ok(i64::from(failed))
}

/// Whether the launcher of a thing still runs: its process exists and is not a later one that got the same number.
fn is_alive(thing: &Found) -> bool {
    let number = |key: &str| thing.labels.get(key).and_then(|text| text.parse::<u64>().ok());
    let (Some(pid), Some(labelled)) = (number(label::PID), number(label::STARTED)) else { return false };
    u32::try_from(pid).ok().and_then(started_at).is_some_and(|started| started <= labelled + 2)
}

/// When a process started, in seconds since the epoch; none when there is none.
fn started_at(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the fields after it are numbers.
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let boot = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: u64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + ticks / rustix::param::clock_ticks_per_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(pid: u32, started: u64) -> Found {
        let labels = [(label::PID, pid.to_string()), (label::STARTED, started.to_string())];
        Found {
            name: "x".into(),
            labels: labels.map(|(key, value)| (key.to_owned(), value)).into(),
            state: String::new(),
        }
    }

    #[test]
    fn a_living_launcher_keeps_its_things_and_a_reused_number_does_not() {
        let me = std::process::id();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(is_alive(&thing(me, now)));
        assert!(!is_alive(&thing(me, 1_000_000)), "this process started long after that");
        assert!(!is_alive(&thing(u32::MAX - 1, now)));
    }
}
