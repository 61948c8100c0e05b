//! `run`: from flags and a file to a serving process, and down again.
//!
//! [`options`] reads the flags, [`prepare`] makes every check that can fail before anything is bound, [`banner`] says what will
//! run, [`serve`] binds, serves, reacts to signals and shuts down, [`reload`] follows the file. The order of all of that is
//! interface: supervisors match on lines and exit codes. spec: cli-and-image §3

mod banner;
mod options;
pub(super) mod prepare;
mod reload;
mod serve;
mod watch;

#[cfg(test)]
mod tests;

use clap::{ArgMatches, Command};

use super::grammar::{boolean, command, duration, string};
use super::{Done, Failure};
pub(super) use options::Options;

pub(super) fn definition() -> Command {
    command("run", "Start the Pipelock proxy")
        .after_help("[-- AGENT_ARGS...]")
        .arg(string("config", "config file path (default: built-in configuration)").short('c'))
        .arg(string("mode", "operating mode: strict, balanced, audit (default \"balanced\")").short('m'))
        .arg(string("listen", "listen address (default 127.0.0.1:8888)").short('l'))
        .arg(boolean("reverse-proxy", "enable the reverse proxy listener"))
        .arg(string("reverse-upstream", "upstream URL of the reverse proxy"))
        .arg(string("reverse-listen", "listen address of the reverse proxy (default \":8890\")"))
        .arg(string("mcp-listen", "not available: MCP is outside of what muselet covers"))
        .arg(string("mcp-upstream", "not available: MCP is outside of what muselet covers"))
        .arg(string("capture-output", "not available: verdict capture is not implemented"))
        .arg(duration("capture-duration", "not available: verdict capture is not implemented"))
        .arg(string("capture-escrow-public-key", "not available: verdict capture is not implemented"))
        .arg(clap::Arg::new("agent").last(true).num_args(0..).hide(true))
}

/// What the command line asks for; [`run`] does it.
pub(super) fn read(matches: &ArgMatches) -> Result<Options, Failure> {
    Options::read(matches)
}

pub(super) fn run(options: Options) -> Result<Done, Failure> {
    let prepared = prepare::prepare(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("starting the runtime: {e}")))?;
    let outcome = runtime.block_on(serve::serve(prepared));
    // Tunnels that were not waited for end with the process.
    runtime.shutdown_background();
    outcome.map(|()| Done::silent())
}
