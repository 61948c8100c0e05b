//! `completion SHELL`: a completion script made from the command definitions. spec: cli-and-image §16

use clap::{ArgMatches, Command};
use clap_complete::Shell;

use super::grammar::{boolean, command, extra};
use super::{Done, Failure, help};

pub(super) fn definition() -> Command {
    let mut group = command("completion", "Generate the autocompletion script for the specified shell");
    for (name, about) in [
        ("bash", "Generate the autocompletion script for bash"),
        ("fish", "Generate the autocompletion script for fish"),
        ("powershell", "Generate the autocompletion script for powershell"),
        ("zsh", "Generate the autocompletion script for zsh"),
    ] {
        group = group.subcommand(
            command(name, about).arg(boolean("no-descriptions", "disable completion descriptions")),
        );
    }
    group
}

pub(super) fn run(root: &Command, matches: &ArgMatches) -> Result<Done, Failure> {
    let shell = match matches.subcommand() {
        Some(("bash", _)) => Shell::Bash,
        Some(("zsh", _)) => Shell::Zsh,
        Some(("fish", _)) => Shell::Fish,
        Some(("powershell", _)) => Shell::PowerShell,
        _ => {
            let _ = extra(matches);
            return Ok(Done::text(help::render(root, &["completion"])));
        }
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut root.clone(), super::program(), &mut script);
    Ok(Done::text(String::from_utf8_lossy(&script).into_owned()))
}
