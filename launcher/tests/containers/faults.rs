//! Faults with a real engine (spec: launcher §13): nothing is ever left behind.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use muselet_launcher::engine::Engine;

use super::MANIFEST;
use super::support::{AGENT_IMAGE, Place, engine, left};

/// After what time the engine has surely done what it was asked for.
const LATE: Duration = Duration::from_secs(30);

/// `bottle start` of an agent that sleeps, its announcements in a pipe.
fn started(place: &Place, slug: &str) -> Child {
    place
        .bottle()
        .args(["start", "a", "--yes", "--name", slug, "--", "sleep", "60"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Starts `bottle start` and sends a signal when its `n`th step is announced. None when there is no such step.
fn interrupted_at(place: &Place, slug: &str, step: usize, signal: &str) -> Option<(String, Child)> {
    let mut child = started(place, slug);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let announced = lines.by_ref().map_while(Result::ok).filter(|line| line.starts_with("bottle: "));
    let Some(line) = announced.take_while(|line| !line.contains("removing what")).nth(step) else {
        child.wait().unwrap();
        return None;
    };
    let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    // Its output must not block it.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Some((line, child))
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_during_any_step_leaves_nothing() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(MANIFEST);
    let mut steps = 0;
    loop {
        let slug = format!("term-{steps}");
        let Some((line, mut child)) = interrupted_at(&place, &slug, steps, "-TERM") else {
            panic!("no step {steps}")
        };
        let status = child.wait().unwrap();
        assert_eq!(left(&engine, &slug).await, Vec::<String>::new(), "{line}");
        assert_eq!(
            std::fs::read_dir(place.runtime_dir().join("bottle")).map_or(0, Iterator::count),
            0,
            "{line}"
        );
        assert_eq!(status.code(), Some(1), "{line}");
        steps += 1;
        if line.contains("running the agent") {
            break;
        }
    }
    assert!(steps >= 12, "only {steps} steps were seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn cleanup_finds_everything_after_sigkill_during_any_step() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(MANIFEST);
    for step in 0.. {
        let slug = format!("kill-{step}");
        let Some((line, mut child)) = interrupted_at(&place, &slug, step, "-KILL") else {
            panic!("no step {step}")
        };
        child.wait().unwrap();
        let began = Instant::now();
        loop {
            let output = place.bottle().arg("cleanup").output().unwrap();
            let rest = left(&engine, &slug).await;
            if output.status.success() && rest.is_empty() {
                break;
            }
            // A request that was on its way may still have been worked on by the engine.
            let err = String::from_utf8_lossy(&output.stderr);
            assert!(began.elapsed() < LATE, "{line}: {rest:?} {err}");
        }
        assert_eq!(
            std::fs::read_dir(place.runtime_dir().join("bottle")).map_or(0, Iterator::count),
            0,
            "{line}"
        );
        if line.contains("running the agent") {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_is_closed_during_any_step_leaves_nothing() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(MANIFEST);
    for (slug, last) in [("closed-1", "creating the egress"), ("closed-2", "running the agent")] {
        let mut child = started(&place, slug);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains(last)));
        drop(lines);
        let sent = std::process::Command::new("kill").args(["-HUP", &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(1), "{last}");
        assert_eq!(left(&engine, slug).await, Vec::<String>::new(), "{last}");
    }
    assert_eq!(std::fs::read_dir(place.runtime_dir().join("bottle")).map_or(0, Iterator::count), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_dies_takes_the_launch_down() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(MANIFEST);
    let mut child = place
        .bottle()
        .args(["start", "a", "--yes", "--name", "widow", "--", "sleep", "60"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("running the agent")));
    engine.remove_container("claude-bottle-pipelock-widow").await.unwrap();
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("no way out")), "{rest:?}");
    assert_eq!(left(&engine, "widow").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_cannot_start_is_named_and_leaves_nothing() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(MANIFEST);
    // This image has no /pipelock.
    let output = place
        .bottle()
        .env("CLAUDE_BOTTLE_PIPELOCK_IMAGE", AGENT_IMAGE)
        .args(["start", "a", "--yes", "--name", "stillborn"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("claude-bottle-pipelock-stillborn"), "{err}");
    assert_eq!(left(&engine, "stillborn").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_image_is_an_error_that_says_how_to_build_it() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(MANIFEST);
    let output = place
        .bottle()
        .env("CLAUDE_BOTTLE_PIPELOCK_IMAGE", "localhost:1/muselet/not-there:1")
        .args(["start", "a", "--yes", "--name", "imageless"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("bottle image build"), "{err}");
    assert_eq!(left(&engine, "imageless").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_starts_at_once_get_two_slugs() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(&MANIFEST.replace("\"a\":", "\"twin\":"));
    // Each agent runs until the end of its input: none ends before both run.
    let start = || {
        place
            .bottle()
            .args(["start", "twin", "--yes", "--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut slugs = Vec::new();
    let running = [start(), start()].map(|mut child| {
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said: Vec<String> = Vec::new();
        while !said.last().is_some_and(|line| line.contains("running the agent")) {
            said.push(lines.next().unwrap_or_else(|| panic!("{said:?}")));
        }
        let agent = said.iter().rfind(|line| line.contains("creating the agent")).unwrap();
        slugs.push(agent.rsplit(' ').next().unwrap().to_owned());
        (child, lines)
    });
    for (mut child, lines) in running {
        drop(child.stdin.take());
        let rest: Vec<String> = lines.collect();
        assert!(child.wait().unwrap().success(), "{rest:?}");
    }
    slugs.sort();
    assert_eq!(slugs, ["claude-bottle-twin", "claude-bottle-twin-2"]);
    for slug in ["twin", "twin-2"] {
        assert_eq!(left(&engine, slug).await, Vec::<String>::new());
    }
}
