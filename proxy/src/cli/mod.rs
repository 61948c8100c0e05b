//! The command line: one file a subcommand.

pub mod go_duration;
pub mod tls;

/// Runs the command line of this process.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
