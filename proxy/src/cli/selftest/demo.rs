//! `demo`: seven attacks against the built-in configuration, one after the other. spec: cli-and-image §11.4

use std::io::{BufRead as _, IsTerminal as _};
use std::thread::sleep;
use std::time::Duration;

use clap::{ArgMatches, Command};

use super::samples::{self, Aim};
use super::{Paint, Status, Trial, no_color_flag};
use crate::cli::grammar::{boolean, command, flag};
use crate::cli::run::prepare::say;
use crate::cli::{Done, Failure};
use crate::config::Config;

pub(super) fn definition() -> Command {
    command("demo", "Show what the built-in configuration stops")
        .arg(boolean("interactive", "wait for Enter between the scenarios").short('i'))
        .arg(no_color_flag())
}

/// Before and behind the answer, so that it can be read.
const BEFORE: Duration = Duration::from_millis(150);
const BEHIND: Duration = Duration::from_millis(80);
/// Characters of a sample that are shown.
const SHOWN: usize = 72;

/// What the agent does, and the sample.
const SCENARIOS: [(&str, Aim, &str); 7] = [
    ("An agent sends an API key in a URL", Aim::Url, samples::ANTHROPIC_IN_QUERY),
    ("The same with a token in Base64", Aim::Url, samples::GITHUB_ENCODED),
    ("Data leaves as the name of a host", Aim::Url, samples::RANDOM_HOST),
    ("An upload to a paste site", Aim::Url, samples::PASTEBIN),
    ("A request for the cloud's credentials", Aim::Url, samples::METADATA),
    ("A header smuggled in by a line break", Aim::Url, samples::LINE_BREAK),
    ("A web page gives the agent orders", Aim::Answer, samples::IGNORE),
];

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    let mut config = Config::defaults();
    config.response_scanning.action = "block".to_owned();
    let trial =
        Trial::new(config, Vec::new()).map_err(|why| Failure::new(format!("creating scanner: {why}")))?;
    let paint = Paint::on(matches, std::io::stderr().is_terminal());
    let wait = flag(matches, "interactive");
    let count = SCENARIOS.len();
    let mut blocked = 0;
    say(&format!("Pipelock Demo — {count} attacks against the built-in configuration"));
    for (number, (title, aim, sample)) in SCENARIOS.into_iter().enumerate() {
        let shown: String = sample.chars().take(SHOWN).collect();
        let rest = if shown.len() < sample.len() { "…" } else { "" };
        say(&format!("\n[{}/{count}] {title}\n      {shown}{rest}", number + 1));
        sleep(BEFORE);
        let verdict = trial.judge(aim, sample);
        blocked += usize::from(verdict.blocked);
        say(&if verdict.blocked {
            let word = paint.word(Status::Pass, "BLOCKED");
            format!("      {word} by {}: {}", verdict.scanner, verdict.reason)
        } else {
            format!("      {}", paint.word(Status::Fail, "ALLOWED"))
        });
        sleep(BEHIND);
        if wait && number + 1 < count {
            say("      (Enter goes on)");
            // Where there is nobody to press it, it goes on by itself.
            let _ = std::io::stdin().lock().read_line(&mut String::new());
        }
    }
    say(&format!("\nResults: {blocked}/{count} attacks blocked"));
    Ok(Done::silent())
}
