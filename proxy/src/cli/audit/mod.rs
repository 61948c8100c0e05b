//! `audit score` and `audit capsule`: how much of what can protect a configuration switches on. spec: cli-and-image §12

mod capsule;
mod score;

use clap::{ArgMatches, Command};

use super::grammar::{boolean, command, extra, flag, integer, string};
use super::selftest::Chosen;
use super::{Done, Failure, help, no_arguments};

pub(super) fn definition() -> Command {
    let config = || string("config", "config file path (default: built-in configuration)").short('c');
    command("audit", "Score a configuration's security posture")
        .subcommand(
            command("score", "Score the security posture of a configuration")
                .arg(config())
                .arg(boolean("json", "print the result as JSON")),
        )
        .subcommand(
            command("capsule", "Write the score and a simulation as files to keep")
                .arg(config())
                .arg(integer("ci-gate", "fail when the score is below this percentage"))
                .arg(super::grammar::duration("expires", "how long the result counts (default 720h0m0s)"))
                .arg(string("format", "files to write: json, md, svg (default \"json,md,svg\")"))
                .arg(boolean("json", "print the proof as JSON"))
                .arg(string("output-dir", "directory to write to (default \".\")").short('o')),
        )
}

pub(super) fn run(root: &Command, path: &[&str], matches: &ArgMatches) -> Result<Done, Failure> {
    match path {
        [_, "score"] => {
            no_arguments("audit score", matches)?;
            let chosen = Chosen::load_or_1(matches)?;
            let score = score::of(&chosen.config);
            if flag(matches, "json") {
                return Ok(Done::text(score.document(chosen.path.as_deref()).printed()));
            }
            super::run::prepare::say(score.text(chosen.path.as_deref()).trim_end());
            Ok(Done::silent())
        }
        [_, "capsule"] => {
            no_arguments("audit capsule", matches)?;
            capsule::run(matches)
        }
        // `audit DIR` searches source trees.
        _ if !extra(matches).is_empty() => Err(super::elsewhere("audit DIR")),
        group => Ok(Done::text(help::render(root, group))),
    }
}
