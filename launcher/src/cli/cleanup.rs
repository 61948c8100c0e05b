//! `bottle cleanup`: finds by label what belongs to launchers that are gone, and removes it (spec: launcher §8). Each thing is
//! judged by itself, never by its slug: a slug that one launcher lost may be another's by now.

use super::engine;
use super::output::{print, say};
use crate::engine::{Engine, EngineError, Found};
use crate::names::{self, label};
use crate::stage::{self, Leftover};
use crate::teardown::{self, Thing};
use crate::{Error, Result};

/// How long a stage directory may be without its launcher's number, in seconds.
const CLAIMING: u64 = 60;

pub(super) async fn run(dry_run: bool) -> Result<i64> {
    let engine = engine().await?;
    let failed = |e: EngineError| Error::step("list", "instances", e);
    let host = names::host();
    let mut orphans = Vec::new();
    for container in engine.containers(label::PID).await.map_err(failed)? {
        orphans.extend(is_orphan(&container, &host).then_some(Thing::Container(container.name)));
    }
    for network in engine.networks(label::PID).await.map_err(failed)? {
        orphans.extend(is_orphan(&network, &host).then_some(Thing::Network(network.name)));
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    for left in stage::list(&stage::root_of_process()) {
        orphans.extend(is_abandoned(&left, now).then_some(Thing::Stage(left.dir)));
    }
    if orphans.is_empty() {
        print("nothing to clean up")?;
        return Ok(0);
    }
    let mut failed = false;
    for thing in orphans {
        // Without a reader it goes on all the same.
        let _ = print(&format!("{} {thing}", if dry_run { "would remove" } else { "removing" }));
        if !dry_run && let Err(warning) = teardown::remove(&engine, &thing).await {
            say(format_args!("warning: {warning}"));
            failed = true;
        }
    }
    Ok(i64::from(failed))
}

/// Whether the launcher of a thing is gone: its process does not exist, or is a later one that got the same number. Of
/// launchers on other hosts nothing is known.
fn is_orphan(thing: &Found, host: &str) -> bool {
    if let Some(other) = thing.labels.get(label::HOST).filter(|other| *other != host) {
        say(format_args!("{} was launched on {other}: run cleanup there, or 'bottle stop'", thing.name));
        return false;
    }
    let number = |key: &str| thing.labels.get(key).and_then(|text| text.parse::<u64>().ok());
    let (Some(pid), Some(labelled)) = (number(label::PID), number(label::STARTED)) else { return true };
    !is_alive(u32::try_from(pid).ok(), labelled)
}

/// Whether the launcher of a stage directory is gone. One without a number may be about to be claimed.
fn is_abandoned(left: &Leftover, now: u64) -> bool {
    match left.pid {
        Some(pid) => !is_alive(Some(pid), left.since),
        None => left.since + CLAIMING < now,
    }
}

/// Whether a process exists that started no later than `since`, with room for the rounding of both clocks.
fn is_alive(pid: Option<u32>, since: u64) -> bool {
    pid.and_then(started_at).is_some_and(|started| started <= since + 2)
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

    fn thing(pid: u32, started: u64, host: &str) -> Found {
        let labels = [
            (label::PID, pid.to_string()),
            (label::STARTED, started.to_string()),
            (label::HOST, host.to_owned()),
        ];
        Found {
            name: "x".into(),
            labels: labels.map(|(key, value)| (key.to_owned(), value)).into(),
            state: String::new(),
        }
    }

    fn now() -> u64 {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    }

    #[test]
    fn a_living_launcher_keeps_its_things_and_a_reused_number_does_not() {
        let me = std::process::id();
        assert!(!is_orphan(&thing(me, now(), "h"), "h"));
        assert!(is_orphan(&thing(me, 1_000_000, "h"), "h"), "this process started long after that");
        assert!(is_orphan(&thing(u32::MAX - 1, now(), "h"), "h"));
    }

    #[test]
    fn what_another_host_launched_is_left_alone() {
        assert!(!is_orphan(&thing(u32::MAX - 1, 1, "elsewhere"), "here"));
        let mut unlabelled = thing(u32::MAX - 1, 1, "");
        unlabelled.labels.remove(label::HOST);
        assert!(is_orphan(&unlabelled, "here"), "made by an older launcher");
    }

    #[test]
    fn a_stage_directory_is_abandoned_when_its_launcher_is_gone_and_not_while_it_is_claimed() {
        let left = |pid, since| Leftover { dir: "/x".into(), slug: "x".into(), pid, since };
        let me = std::process::id();
        for (left, wanted) in [
            (left(Some(me), now()), false),
            (left(Some(me), 1_000_000), true),
            (left(Some(u32::MAX - 1), now()), true),
            (left(None, now()), false),
            (left(None, now() - CLAIMING - 1), true),
        ] {
            assert_eq!(is_abandoned(&left, now()), wanted, "{left:?}");
        }
    }
}
