//! `bottle image build`.

use std::path::PathBuf;
use std::time::Instant;

use super::engine;
use super::output::say;
use crate::names::DEFAULT_IMAGE;
use crate::{Result, image};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Build the sidecar image from this checkout, without a registry
    Build {
        /// The checkout
        #[arg(long, value_name = "DIR", default_value = ".")]
        source: PathBuf,
        /// Pack this static binary instead of building one
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
        /// Name of the image
        #[arg(long, default_value = DEFAULT_IMAGE)]
        tag: String,
        /// User the image runs as, for people who mount readable files; default: root, without any capability needed
        #[arg(long, value_name = "UID")]
        user: Option<String>,
    },
}

pub(super) async fn run(command: Command) -> Result<i64> {
    let Command::Build { source, binary, tag, user } = command;
    let engine = engine().await?;
    let started = Instant::now();
    let binary = match binary {
        Some(binary) => binary,
        None => {
            say("building the static binary");
            image::build_binary(&source)?
        }
    };
    say(format_args!("packing {tag}"));
    image::build(&engine, &tag, &binary, user.as_deref(), &|text| say(text)).await?;
    say(format_args!("built {tag} in {:.1} s", started.elapsed().as_secs_f64()));
    Ok(0)
}
