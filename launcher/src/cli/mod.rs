//! The command line of `bottle` (spec: launcher §12). Exit codes: 0 done, 1 refused or failed, 2 wrong usage, else the
//! agent's own.

mod cleanup;
mod doctor;
mod image;
mod logs;
mod output;
mod ps;
mod show;
mod start;
mod stop;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::engine::connect::Surroundings;
use crate::engine::docker::Docker;
use crate::manifest::Manifest;
use crate::{Error, Result};

/// Starts agent containers whose only way out is the muselet proxy.
#[derive(Debug, Parser)]
#[command(name = "bottle", version, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Launch an agent and run its command in this terminal
    Start(start::Args),
    /// List what runs
    Ps {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show a sidecar's decisions in readable lines
    Logs(logs::Args),
    /// Remove an instance: agent, sidecar and both networks
    Stop(stop::Args),
    /// Remove what launchers that are gone left behind
    Cleanup {
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the hosts an agent may reach, one a line
    Allowlist(show::Args),
    /// Print the sidecar configuration that an agent would get
    Config(show::Args),
    /// Check the engine, the images and one whole round trip
    Doctor(doctor::Args),
    /// Work with the sidecar image
    Image {
        #[command(subcommand)]
        command: image::Command,
    },
}

#[derive(Debug, clap::Args)]
struct ManifestArg {
    /// The manifest; else ./bottles.json, ./bottles.yaml, then the same in ~/.config/bottle/
    #[arg(long, value_name = "PATH")]
    manifest: Option<PathBuf>,
}

impl ManifestArg {
    fn load(&self) -> Result<Manifest> {
        let dir = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        Manifest::find(self.manifest.as_deref(), dir("XDG_CONFIG_HOME").as_deref(), dir("HOME").as_deref())
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::say(format_args!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(cli.command));
    // A thread that still reads standard input must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        // Whoever reads the output has seen enough.
        Err(Error::ReaderGone) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<i64> {
    match command {
        Command::Start(args) => start::run(args).await,
        Command::Ps { json } => ps::run(json).await,
        Command::Logs(args) => logs::run(args).await,
        Command::Stop(args) => stop::run(args).await,
        Command::Cleanup { dry_run } => cleanup::run(dry_run).await,
        Command::Allowlist(args) => show::allowlist(&args),
        Command::Config(args) => show::config(&args),
        Command::Doctor(args) => doctor::run(args).await,
        Command::Image { command } => image::run(command).await,
    }
}

/// Connects to the engine.
async fn engine() -> Result<Docker> {
    let address = Surroundings::of_process().address()?.ok_or_else(|| {
        Error::NoEngine("no socket found; start Docker or Podman, or set DOCKER_HOST".to_owned())
    })?;
    Docker::connect(&address).await.map_err(|e| {
        let text = e.to_string().trim().to_owned();
        let hint = if text.contains("ermission denied") {
            "this user may not use it: join its group, or use a rootless engine"
        } else if address.host.starts_with("ssh://") {
            "forward its socket with 'ssh -NL /tmp/engine.sock:/var/run/docker.sock HOST' and set DOCKER_HOST=unix:///tmp/engine.sock"
        } else if text.contains("URI scheme") {
            "allowed are unix://, tcp://, http:// and https://"
        } else if text.contains("to an HTTPS server") {
            "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory of its certificates"
        } else if text.contains("certificate") {
            "the directory of the certificates must hold ca.pem, cert.pem and key.pem"
        } else {
            "is it running?"
        };
        Error::NoEngine(format!("{} does not answer: {text}; {hint}", address.source))
    })
}
