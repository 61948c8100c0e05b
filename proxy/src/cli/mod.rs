//! The command line: one file a subcommand, each a function from parsed flags to what is printed.
//!
//! Names, flags, texts and exit codes are those of the reference, because scripts and container manifests hold them. Results
//! go to standard output and errors to standard error; the reference writes several results to standard error, which makes
//! `generate config > file` produce an empty file. spec: cli-and-image §1, §26 item 1

mod audit;
mod blocking;
mod canary;
mod check;
mod completion;
mod exec;
mod generate;
mod grammar;
mod healthcheck;
mod help;
mod init;
mod install;
mod logs;
mod probe;
mod report;
mod run;
mod selftest;
mod session;
pub mod tls;
mod tls_command;
mod version;

#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};

/// What a command prints on success.
pub(crate) struct Done {
    stdout: Vec<u8>,
}

impl Done {
    pub(crate) fn silent() -> Done {
        Done { stdout: Vec::new() }
    }

    pub(crate) fn text(text: impl Into<Vec<u8>>) -> Done {
        Done { stdout: text.into() }
    }
}

/// Why a command failed: what goes to standard error, and the exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Printed to standard output first; the part of a result that was there before the failure.
    stdout: Vec<u8>,
    stderr: String,
    code: u8,
}

impl Failure {
    /// Exit status 1.
    pub(crate) fn new(text: impl Into<String>) -> Failure {
        Failure { stdout: Vec::new(), stderr: text.into(), code: 1 }
    }

    /// A failure with another exit status.
    pub(crate) fn with_code(code: u8, text: impl Into<String>) -> Failure {
        Failure { code, ..Failure::new(text) }
    }

    /// An exit status without a word: somebody else has said why.
    pub(crate) fn exit(code: u8) -> Failure {
        Failure::with_code(code, "")
    }

    /// What goes to standard error.
    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        &self.stderr
    }

    /// A failure whose report is a result.
    pub(crate) fn after(stdout: impl Into<Vec<u8>>, text: impl Into<String>) -> Failure {
        Failure { stdout: stdout.into(), ..Failure::new(text) }
    }
}

/// The system's words for an error, as the reference words them (`no such file or directory`).
pub(crate) fn go_error(error: &std::io::Error) -> String {
    crate::events::system_reason(error)
}

/// Refuses positionals, in the words for a command that takes none.
fn no_arguments(path: &str, matches: &ArgMatches) -> Result<(), Failure> {
    match grammar::extra(matches).first() {
        Some(word) => Err(Failure::new(format!("unknown command {word:?} for \"pipelock {path}\""))),
        None => Ok(()),
    }
}

/// Commands of the reference that serve other purposes than HTTP egress. Known by name, so that a script gets a clear answer.
const ELSEWHERE: [&str; 21] = [
    "assess",
    "claude",
    "cursor",
    "discover",
    "git",
    "integrity",
    "jetbrains",
    "keygen",
    "license",
    "mcp",
    "policy",
    "posture",
    "preflight",
    "rules",
    "sandbox",
    "sign",
    "transcript-root",
    "trust",
    "verify",
    "verify-receipt",
    "vscode",
];

const ABOUT: &str = "Muselet is a scanning egress proxy for containers that run AI agents.

It stands between an agent and the network: every request is checked against allow and block
lists, credential patterns, entropy and SSRF rules, and every decision is one line of JSON.";

fn root() -> Command {
    grammar::command("pipelock", ABOUT)
        .arg(
            grammar::string("home", "pipelock home directory (default ~/.pipelock, or set PIPELOCK_HOME)")
                .global(true),
        )
        .arg(Arg::new("help").short('h').long("help").action(ArgAction::SetTrue).global(true).hide(true))
        .arg(
            Arg::new("version")
                .short('v')
                .long("version")
                .action(ArgAction::SetTrue)
                .help("version for pipelock"),
        )
        .subcommand(audit::definition())
        .subcommand(canary::definition())
        .subcommand(check::definition())
        .subcommand(completion::definition())
        .subcommand(generate::definition())
        .subcommand(exec::definition())
        .subcommand(healthcheck::definition())
        .subcommand(grammar::command("help", "Help about any command"))
        .subcommand(init::definition())
        .subcommand(install::definition())
        .subcommand(logs::definition())
        .subcommand(probe::definition())
        .subcommand(report::definition())
        .subcommand(run::definition())
        .subcommands(selftest::definitions())
        .subcommand(session::definition())
        .subcommand(tls_command::definition())
        .subcommand(version::definition())
}

/// The name that help and completions use: our own where the program is called by it, else the reference's.
fn program() -> &'static str {
    let called = std::env::args_os().next().map(std::path::PathBuf::from);
    match called.as_deref().and_then(std::path::Path::file_name) {
        Some(name) if name == "muselet" => "muselet",
        _ => "pipelock",
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    crate::events::capture_local_offset();
    let args: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let (stdout, stderr, code) = match dispatch(&args) {
        Ok(done) => (done.stdout, None, 0),
        Err(failure) => (failure.stdout, Some(failure.stderr), failure.code),
    };
    // A log that is stuck in a write has the lock.
    if !stdout.is_empty() {
        // A reader that went away is its own business.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(&stdout).and_then(|()| out.flush());
    }
    if let Some(text) = stderr.filter(|text| !text.is_empty()) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
    ExitCode::from(code)
}

fn dispatch(args: &[String]) -> Result<Done, Failure> {
    let root = root();
    if let Some(first) = args.first()
        && ELSEWHERE.contains(&first.as_str())
    {
        return Err(elsewhere(first));
    }
    let with_name = std::iter::once(root.get_name().to_owned()).chain(args.iter().cloned());
    let matches = root
        .clone()
        .try_get_matches_from(with_name)
        .map_err(|error| grammar::failure(&error, &root, args))?;

    let mut path = Vec::new();
    let mut deepest = &matches;
    while grammar::extra(deepest).is_empty()
        && let Some((name, sub)) = deepest.subcommand()
    {
        path.push(name);
        deepest = sub;
    }
    if grammar::flag(deepest, "help") {
        return Ok(Done::text(help::render(&root, &path)));
    }
    match path.as_slice() {
        [] => at_root(&root, &matches),
        ["audit", ..] => audit::run(&root, &path, deepest),
        ["canary"] => canary::run(deepest),
        ["check"] => check::run(deepest),
        ["completion", ..] => completion::run(&root, deepest_group(&matches, "completion")),
        ["generate", command] => generate::run(command, deepest),
        ["exec"] => exec::run(deepest),
        ["healthcheck"] => healthcheck::run(deepest),
        ["help"] => Ok(help_command(&root, &grammar::extra(deepest))),
        ["init", ..] => init::run(&path, deepest),
        ["install"] => install::run(deepest),
        ["logs"] => logs::run(deepest),
        ["probe"] => probe::run(deepest),
        ["report"] => report::run(deepest),
        ["run"] => {
            let options = run::read(deepest)?;
            // The grammar of all commands has no use while the proxy runs.
            drop((matches, root));
            run::run(options)
        }
        [name @ ("test" | "simulate" | "diagnose" | "verify-install" | "demo")] => {
            selftest::run(name, deepest)
        }
        ["session", command] => session::run(command, deepest),
        ["tls", command] => tls_command::run(command, deepest, home(deepest)),
        ["version"] => version::run(),
        group => Ok(Done::text(help::render(&root, group))),
    }
}

/// The answer to a command of the reference that is not ours.
fn elsewhere(command: &str) -> Failure {
    Failure::new(format!("{command}: not part of muselet, which covers HTTP egress only"))
}

fn deepest_group<'m>(matches: &'m ArgMatches, name: &str) -> &'m ArgMatches {
    matches.subcommand_matches(name).unwrap_or(matches)
}

fn home(matches: &ArgMatches) -> Option<PathBuf> {
    grammar::text(matches, "home").map(PathBuf::from)
}

fn at_root(root: &Command, matches: &ArgMatches) -> Result<Done, Failure> {
    if let Some(typed) = grammar::extra(matches).first() {
        return Err(grammar::unknown_command(root, typed, &ELSEWHERE));
    }
    if grammar::flag(matches, "version") {
        return Ok(Done::text(version::line()));
    }
    Ok(Done::text(help::render(root, &[])))
}

/// `help [COMMAND…]`; a topic that does not exist is no failure.
fn help_command(root: &Command, topic: &[String]) -> Done {
    let mut at = root;
    for name in topic {
        match at.find_subcommand(name) {
            Some(sub) => at = sub,
            None => {
                let topic = topic.join("` `");
                let _ =
                    writeln!(std::io::stderr(), "Unknown help topic [`{topic}`]\n{}", help::usage_of(root));
                return Done::silent();
            }
        }
    }
    let path: Vec<&str> = topic.iter().map(String::as_str).collect();
    Done::text(help::render(root, &path))
}
