//! `init`: a first configuration, checked and tried out. `init sidecar`: the same beside a Kubernetes workload.
//!
//! What the reference does about editors and MCP clients on the machine is not part of this: it is said, and nothing is touched.
//! spec: cli-and-image §15

mod manifests;
mod sidecar;
mod workload;

use std::fmt::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command};
use serde_json::Value;

use super::grammar::{boolean, command, flag, string, text};
use super::selftest::{Object, Rehearsal};
use super::{Done, Failure, go_error, no_arguments};
use crate::config::{Config, Preset};

pub(super) fn definition() -> Command {
    command("init", "Write a configuration, check it and try it out")
        .arg(string("preset", "config preset: strict, balanced, audit (default \"balanced\")"))
        .arg(
            string(
                "output",
                "output file path (default: pipelock/pipelock.yaml in the user's configuration directory)",
            )
            .short('o'),
        )
        .arg(force_flag())
        .arg(boolean("dry-run", "write nothing"))
        .arg(skip_canary_flag())
        .arg(boolean("skip-validate", "do not check and start what was written"))
        .arg(string("scan-home", "directory of editor configurations (not part of muselet)"))
        .arg(boolean("json", "print the result as JSON"))
        .subcommand(sidecar::definition())
        // It runs without a subcommand, too.
        .subcommand_negates_reqs(true)
}

fn force_flag() -> Arg {
    boolean("force", "overwrite existing files")
}

fn skip_canary_flag() -> Arg {
    boolean("skip-canary", "do not try whether a made-up credential is found")
}

pub(super) fn run(path: &[&str], matches: &ArgMatches) -> Result<Done, Failure> {
    if path.last() == Some(&"sidecar") {
        return sidecar::run(matches);
    }
    no_arguments("init", matches)?;
    let preset = Preset::named(text(matches, "preset").unwrap_or("balanced")).map_err(set_up)?;
    let output = match text(matches, "output").filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => default_path()?,
    };
    let dry_run = flag(matches, "dry-run");
    let document = preset.document(&std::env::temp_dir().display().to_string());
    if !dry_run {
        write_new(&output, &document, flag(matches, "force"))?;
    }
    let config = Config::parse(document.as_bytes(), Path::new("/")).map_err(|e| set_up(e.to_string()))?;
    let tried = Tried::of(config, flag(matches, "skip-validate"), flag(matches, "skip-canary"));

    let shown = output.display();
    let report = if flag(matches, "json") {
        let mut discover = Object::default();
        discover.put("skipped", true.into());
        discover.text("detail", NO_DISCOVERY);
        let mut setup = Object::default();
        setup.text("preset", preset.name());
        setup.text("output_path", &shown.to_string());
        setup.put("written", (!dry_run).into());
        setup.put("dry_run", dry_run.into());
        let mut report = Object::default();
        report.put("discover", discover.value());
        report.put("setup", setup.value());
        tried.add_to(&mut report);
        report.printed()
    } else {
        let what = if dry_run { "Would write" } else { "Written" };
        let mut out = format!(
            "[1/4] Discovering editor configurations...\n  {NO_DISCOVERY}\n\
             [2/4] Writing configuration...\n  {what}: {shown} (preset {})\n",
            preset.name()
        );
        let [verified, found] = tried.told();
        let _ = write!(
            out,
            "[3/4] Checking it...\n  {verified}\n[4/4] Running canary...\n  {found}\n\n\
             Next: set forward_proxy.enabled to true in it, run 'muselet run --config {shown}',\n\
             and point HTTP_PROXY and HTTPS_PROXY at http://127.0.0.1:8888\n",
        );
        out
    };
    tried.outcome(report)
}

const NO_DISCOVERY: &str = "not part of muselet, which covers HTTP egress only";

/// A failure to set up, as opposed to one that was found.
fn set_up(why: impl Into<String>) -> Failure {
    Failure::with_code(2, why)
}

fn default_path() -> Result<PathBuf, Failure> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let directory = directory.or_else(|| set("HOME").map(|home| home.join(".config")));
    let directory =
        directory.ok_or_else(|| set_up("no configuration directory: give --output, or set HOME"))?;
    Ok(directory.join("pipelock").join("pipelock.yaml"))
}

/// Writes a file for its owner alone; over an old one only by `force`.
fn write_new(path: &Path, document: &str, force: bool) -> Result<(), Failure> {
    let shown = path.display();
    if !force && path.symlink_metadata().is_ok() {
        return Err(set_up(format!("{shown} already exists (use --force to overwrite)")));
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_directory(parent)?;
    }
    super::generate::write(&shown.to_string(), document, "writing file")
        .map_err(|failure| Failure { code: 2, ..failure })
}

fn create_directory(path: &Path) -> Result<(), Failure> {
    let created = std::fs::DirBuilder::new().recursive(true).mode(0o750).create(path);
    created.map_err(|e| set_up(format!("creating {}: {}", path.display(), go_error(&e))))
}

/// What a trial of a configuration said, part by part.
struct Tried {
    reachable: bool,
    /// `None`: skipped.
    health: Option<Result<String, String>>,
    canary: Option<Result<String, String>>,
}

impl Tried {
    fn of(config: Config, skip_health: bool, skip_canary: bool) -> Tried {
        if skip_health && skip_canary {
            return Tried { reachable: false, health: None, canary: None };
        }
        let rehearsal = Rehearsal::of(config);
        Tried {
            reachable: rehearsal.reachable && !skip_health,
            health: (!skip_health).then_some(rehearsal.health),
            canary: (!skip_canary).then_some(rehearsal.canary),
        }
    }

    /// Both parts in words.
    fn told(&self) -> [String; 2] {
        [("valid, healthy", &self.health), ("found", &self.canary)].map(|(good, part)| match part {
            None => "skipped".to_owned(),
            Some(Ok(detail)) => format!("{good} ({detail})"),
            Some(Err(why)) => format!("FAILED: {why}"),
        })
    }

    /// Both parts for programs.
    fn add_to(&self, report: &mut Object) {
        let passed = |part: &Option<Result<String, String>>| matches!(part, Some(Ok(_)));
        let part = |object: Object, part: &Option<Result<String, String>>| -> Value {
            let mut object = object;
            object.put("skipped", part.is_none().into());
            let detail = part.as_ref().map(|part| part.as_ref().unwrap_or_else(|why| why).as_str());
            object.text("detail", detail.unwrap_or_default());
            object.value()
        };
        let mut verify = Object::default();
        verify.put("reachable", self.reachable.into());
        verify.put("healthy", passed(&self.health).into());
        report.put("verify", part(verify, &self.health));
        let mut canary = Object::default();
        canary.put("detected", passed(&self.canary).into());
        report.put("canary", part(canary, &self.canary));
    }

    /// The end of the command.
    fn outcome(&self, report: String) -> Result<Done, Failure> {
        match (&self.health, &self.canary) {
            (Some(Err(_)), _) => Err(Failure::after(report, "verification failed")),
            (_, Some(Err(_))) => Err(Failure::after(report, "canary failed")),
            _ => Ok(Done::text(report)),
        }
    }
}

#[cfg(test)]
mod tests;
