//! Commands that try out what a configuration stops: `test`, `simulate`, `diagnose`, `verify-install`, `demo`.
//!
//! All of them give made-up attacks ([`samples`]) to the scanners or to a throw-away proxy ([`throwaway`]) that the given
//! configuration is compiled into, so that what they report is what `run` would do. spec: cli-and-image §11

mod demo;
mod diagnose;
mod rehearsal;
mod samples;
mod simulate;
mod throwaway;
mod vectors;
mod verify;

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use clap::{Arg, ArgMatches, Command};
use serde_json::Value;

use self::samples::Aim;
use super::blocking::resolve;
use super::grammar::{boolean, flag, string, text};
use super::run::prepare::say;
use super::{Done, Failure};
use crate::config::Config;
use crate::embed;
use crate::policy::Policy;

pub(super) fn definitions() -> [Command; 5] {
    [
        vectors::definition(),
        simulate::definition(),
        diagnose::definition(),
        verify::definition(),
        demo::definition(),
    ]
}

pub(super) fn run(name: &str, matches: &ArgMatches) -> Result<Done, Failure> {
    match name {
        "test" => vectors::run(matches),
        "simulate" => simulate::run(matches),
        "diagnose" => diagnose::run(matches),
        "demo" => demo::run(matches),
        _ => verify::run(matches),
    }
}

fn config_flag() -> Arg {
    string("config", "config file path (default: built-in configuration)").short('c')
}

fn json_flag() -> Arg {
    boolean("json", "print the result as JSON")
}

fn no_color_flag() -> Arg {
    boolean("no-color", "print without colours")
}

/// The configuration that a command was given.
pub(super) struct Chosen {
    pub(super) config: Config,
    /// SHA-256 of the file, or `defaults`.
    pub(super) hash: String,
    /// As typed; `None`: the built-in configuration.
    pub(super) path: Option<String>,
}

impl Chosen {
    /// Loads it; the error is the path and what is wrong with the file.
    pub(super) fn load(matches: &ArgMatches) -> Result<Chosen, (String, String)> {
        let Some(path) = text(matches, "config").filter(|path| !path.is_empty()) else {
            return Ok(Chosen { config: Config::defaults(), hash: "defaults".to_owned(), path: None });
        };
        let loaded = Config::load(Path::new(path)).map_err(|e| (path.to_owned(), e.for_terminal()))?;
        for warning in &loaded.warnings {
            say(warning);
        }
        Ok(Chosen { config: loaded.config, hash: loaded.hash, path: Some(path.to_owned()) })
    }

    /// The same for commands that tell a wrong configuration (2) from what they found (1).
    fn load_or_2(matches: &ArgMatches) -> Result<Chosen, Failure> {
        Chosen::load(matches).map_err(|(_, why)| Failure::with_code(2, format!("config load error: {why}")))
    }

    /// The same for commands that fail with 1 only when there is no configuration.
    pub(super) fn load_or_1(matches: &ArgMatches) -> Result<Chosen, Failure> {
        Chosen::load(matches)
            .map_err(|(path, why)| Failure::new(format!("loading config: loading config {path:?}: {why}")))
    }
}

/// What a configuration is called.
fn label(path: Option<&str>) -> &str {
    path.unwrap_or("defaults")
}

/// What a scanner said about a sample.
struct Verdict {
    blocked: bool,
    /// The layer that objected; empty when none did.
    scanner: &'static str,
    reason: String,
}

/// The scanners of a configuration. Samples do not count against each other: rate limit and data budget are off.
struct Trial {
    policy: Arc<Policy>,
}

impl Trial {
    /// With an environment whose values are secrets, where the configuration looks for those.
    fn new(mut config: Config, env: Vec<(String, String)>) -> Result<Trial, String> {
        let monitoring = &mut config.fetch_proxy.monitoring;
        monitoring.max_requests_per_minute = 0;
        monitoring.max_data_per_minute = 0;
        let (policy, _) = embed::compile(&Arc::new(config), String::new(), env)?;
        Ok(Trial { policy: Arc::new(policy) })
    }

    fn judge(&self, aim: Aim, sample: &str) -> Verdict {
        match aim {
            Aim::Url => {
                let verdict = self.policy.url.scan(sample.as_bytes(), Instant::now(), resolve);
                let scanner = if verdict.allowed { "" } else { verdict.label.as_str() };
                Verdict { blocked: !verdict.allowed, scanner, reason: verdict.reason.into_owned() }
            }
            Aim::Text => self.secrets(sample),
            Aim::Answer => self.injections(sample),
            Aim::Call => match self.secrets(sample) {
                verdict if verdict.blocked => verdict,
                _ => self.injections(sample),
            },
        }
    }

    fn secrets(&self, sample: &str) -> Verdict {
        match self.policy.dlp.scan_text(sample.as_bytes()).matches.first() {
            Some(hit) => found("dlp", format!("DLP match: {} ({})", hit.name, hit.severity)),
            None => nothing(),
        }
    }

    fn injections(&self, sample: &str) -> Verdict {
        let found_here = self.policy.response.injection().scan(sample.as_bytes());
        match found_here.matches.first() {
            Some(hit) => found("response_scan", format!("injection: {}", hit.name)),
            None => nothing(),
        }
    }
}

/// The environment of this process.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}

fn found(scanner: &'static str, reason: String) -> Verdict {
    Verdict { blocked: true, scanner, reason }
}

fn nothing() -> Verdict {
    Verdict { blocked: false, scanner: "", reason: String::new() }
}

/// What became of one vector or check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Pass,
    Fail,
    /// Not tried, which is neither.
    Skip,
}

impl Status {
    fn of(passed: bool) -> Status {
        if passed { Status::Pass } else { Status::Fail }
    }

    /// As JSON has it.
    fn word(self) -> &'static str {
        ["pass", "fail", "skip"][self as usize]
    }
}

/// How many of each.
fn tally(statuses: impl Iterator<Item = Status>) -> [usize; 3] {
    let mut counts = [0; 3];
    statuses.for_each(|status| counts[status as usize] += 1);
    counts
}

/// Whether there are colours.
struct Paint(bool);

impl Paint {
    fn stdout(matches: &ArgMatches) -> Paint {
        Paint::on(matches, std::io::stdout().is_terminal())
    }

    fn on(matches: &ArgMatches, is_terminal: bool) -> Paint {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Paint(is_terminal && wanted && !flag(matches, "no-color"))
    }

    /// A word in the colour of a status.
    fn word(&self, status: Status, word: &str) -> String {
        let colour = [32, 31, 33][status as usize];
        if self.0 { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() }
    }
}

/// Adds rows to a text, below the headings of their categories.
fn list<'a>(out: &mut String, indent: usize, rows: impl Iterator<Item = (&'a str, String)>) {
    let pad = " ".repeat(indent);
    let mut heading = "";
    for (category, row) in rows {
        if category != heading {
            heading = category;
            let _ = write!(out, "\n{pad}{category}\n");
        }
        let _ = writeln!(out, "{pad}  {row}");
    }
}

/// A JSON object under construction. The functions are there to be called: the `json!` macro writes them out at each place.
#[derive(Default)]
pub(super) struct Object(serde_json::Map<String, Value>);

impl Object {
    #[inline(never)]
    pub(super) fn put(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    #[inline(never)]
    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.put(key, Value::from(text));
    }

    /// As [`text`](Self::text), unless it is empty.
    #[inline(never)]
    pub(super) fn some_text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.text(key, text);
        }
    }

    #[inline(never)]
    pub(super) fn count(&mut self, key: &str, count: usize) {
        self.put(key, Value::from(count));
    }

    /// How many passed, failed and were skipped.
    fn counts(&mut self, [passed, failed, skipped]: [usize; 3]) {
        self.count("passed", passed);
        self.count("failed", failed);
        self.count("skipped", skipped);
    }

    pub(super) fn value(self) -> Value {
        Value::Object(self.0)
    }

    /// As commands print it.
    #[inline(never)]
    pub(super) fn printed(self) -> String {
        format!("{:#}\n", self.value())
    }
}

/// A share in whole per cent, rounded down, and its grade.
pub(super) fn graded(part: usize, whole: usize) -> (usize, &'static str) {
    let percentage = part * 100 / whole.max(1);
    let grade = match percentage {
        90.. => "A",
        80.. => "B",
        70.. => "C",
        60.. => "D",
        _ => "F",
    };
    (percentage, grade)
}

pub(super) use rehearsal::Rehearsal;
pub(super) use simulate::{Simulation, simulation};

#[cfg(test)]
mod tests;
