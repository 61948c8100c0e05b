//! `replay RECORDINGS.jsonl.gz CONFIG_DIR [--mode reference|hardened]`: how far our answers agree with the reference's.
//!
//! Prints every disagreement and ends with `N agreed, M differed, K excused`; exit code 1 when M is not 0.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use muselet::Strictness;
use muselet_tests::replay::{Differences, conformance, run};

#[derive(Parser)]
#[command(about = "Replays recorded answers of the reference")]
struct Arguments {
    /// Recordings, one JSON object a line, gzip.
    recordings: PathBuf,
    /// Folder of the configurations that the recordings name.
    configs: PathBuf,
    /// Which of our two strictness modes answers.
    #[arg(long, value_parser = ["reference", "hardened"], default_value = "reference")]
    mode: String,
    /// The list of intended differences.
    #[arg(long)]
    differences: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mode = if arguments.mode == "hardened" { Strictness::Hardened } else { Strictness::Reference };
    let listed = arguments.differences.unwrap_or_else(|| conformance().join("differences.yaml"));
    let report = run(&arguments.recordings, &arguments.configs, mode, &Differences::load(&listed)?)?;
    for line in &report.differed {
        println!("{line}");
    }
    println!("{}", report.summary());
    Ok(if report.differed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
