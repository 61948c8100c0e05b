//! `bottle start`: preflight, question, launch, the agent's command in this terminal.

use std::io::IsTerminal;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::output::{print_json, say, tell};
use super::{ManifestArg, engine};
use crate::engine::Engine;
use crate::launch::{self, Options, Report, attach};
use crate::names;
use crate::plan::{Plan, Variables};
use crate::{Error, Result, agent, preflight, stage};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The agent, as the manifest names it
    agent: String,
    /// Name of the instance; default: from the agent's name, with -2, -3, … while taken
    #[arg(long, value_name = "SLUG")]
    name: Option<String>,
    /// Start without asking
    #[arg(long, short)]
    yes: bool,
    /// Print the plan and create nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the plan as one JSON document
    #[arg(long)]
    json: bool,
    /// Keep the agent running when the sidecar dies (it has no way out then)
    #[arg(long)]
    keep: bool,
    /// Start even when the internal network is found not to be isolated
    #[arg(long)]
    allow_leaky_network: bool,
    #[command(flatten)]
    manifest: ManifestArg,
    /// Command to run instead of the manifest's
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

struct ToStderr;

impl Report for ToStderr {
    fn step(&self, text: &str) {
        say(format_args!("{text}"));
    }

    fn warning(&self, text: &str) {
        say(format_args!("warning: {text}"));
    }
}

pub(super) async fn run(args: Args) -> Result<i64> {
    let manifest = args.manifest.load()?;
    let slug = match &args.name {
        Some(name) if names::is_slug(name) => name.clone(),
        Some(name) => {
            return Err(Error::Refused(format!(
                "--name {name:?}: must be lower-case letters, digits and hyphens, at most {} characters",
                names::MAX_SLUG
            )));
        }
        None => names::slug(&args.agent),
    };
    let plan = Plan::new(&manifest, &args.agent, &slug, &args.command, &Variables::of_process())?;
    // A missing variable is found before anything is created.
    agent::command(&plan, Vec::new(), false, |name| std::env::var(name))?;
    if args.json {
        print_json(&plan.to_json())?;
    } else {
        tell(&preflight::text(&plan));
    }
    if args.dry_run {
        tell("dry run: nothing was created\n");
        return Ok(0);
    }
    let engine = engine().await?;
    if !args.yes && !confirmed()? {
        say("not started");
        return Ok(1);
    }
    let cancel = cancel_on_signal()?;
    let options = Options {
        fixed_name: args.name.is_some(),
        allow_leaky_network: args.allow_leaky_network,
        sidecar_only: false,
    };
    let keep = args.keep;
    let body = async |launched: launch::Launched<'_, crate::engine::docker::Docker>| {
        let command = match launched.plan.command.clone() {
            command if !command.is_empty() => command,
            _ => image_command(launched.engine, &launched.plan.image).await?,
        };
        let tty = attach::has_terminal();
        let spec = agent::command(launched.plan, command, tty, |name| std::env::var(name))?;
        attach::run(launched, &spec, keep).await
    };
    launch::run(&engine, &plan, &stage::root_of_process(), &options, &cancel, &ToStderr, body).await
}

async fn image_command<E: Engine>(engine: &E, image: &str) -> Result<Vec<String>> {
    let command = engine.image_command(image).await.map_err(|e| Error::step("inspect image", image, e))?;
    if command.is_empty() {
        return Err(Error::Refused(format!("the image {image} has no command: give one after --")));
    }
    Ok(command)
}

fn confirmed() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::Refused("standard input is no terminal to ask on: start with --yes".to_owned()));
    }
    tell("Start? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|e| Error::step("read", "the answer", e))?;
    Ok(preflight::is_yes(&answer))
}

/// A token that the first SIGINT, SIGTERM or SIGHUP sets; later ones change nothing, so that teardown is never skipped.
pub(super) fn cancel_on_signal() -> Result<CancellationToken> {
    let cancel = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut signals = signal(kind).map_err(|e| Error::step("watch", "signals", e))?;
        let cancel = cancel.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                cancel.cancel();
            }
        });
    }
    Ok(cancel)
}
