//! `version` and `--version`. spec: cli-and-image §5

use clap::Command;

use super::grammar::command;
use super::{Done, Failure};

pub(super) fn definition() -> Command {
    command("version", "Show version and build information")
}

/// One line, the form scripts take the third word of.
pub(super) fn line() -> String {
    format!("pipelock version {}\n", crate::VERSION)
}

/// Four lines. What a build does not know about itself is `unknown`.
pub(super) fn run() -> Result<Done, Failure> {
    let known = |value: Option<&'static str>| value.unwrap_or("unknown");
    Ok(Done::text(format!(
        "{}  build date: {}\n  git commit: {}\n  go version: none (muselet, Rust {})\n",
        line(),
        known(option_env!("MUSELET_BUILD_DATE")),
        known(option_env!("MUSELET_GIT_COMMIT")),
        env!("CARGO_PKG_RUST_VERSION"),
    )))
}
