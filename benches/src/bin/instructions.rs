//! Instruction counts of the hot paths, which do not wobble on a shared machine as times do.
//!
//! `instructions check` runs itself under callgrind, compares every count with `benches/instructions.tsv` (or the file named
//! behind it) and exits with 1 when one has grown by more than its tolerance, or a scenario or a row has no partner;
//! `instructions record` writes the table anew. Each scenario runs three times to
//! warm up and then once inside [`measured`]; callgrind counts only there and dumps what it has counted whenever that function
//! is entered again. Counts depend on the compiler and on what the processor's features make the SIMD crates choose, so record on the
//! kind of machine that checks.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use muselet::config::Config;
use muselet::policy::body::BodyPolicy;
use muselet::policy::host::{Dialect, HostList};
use muselet::policy::injection_settings;
use muselet::policy::secrets::scanner;
use muselet_benches::counts::{Outcome, Row, Table};
use muselet_benches::{corpus, leaves, say, urls};
use muselet_rules::injection;

const KIB: usize = 1024;
/// Growth that is no regression, in percent.
const TOLERANCE: f64 = 3.0;
/// The same for what uses random numbers: the lengths of their encodings differ.
const TOLERANCE_OF_RANDOM: f64 = 12.0;
/// How callgrind knows [`measured`]. Of two options with one pattern it takes only the first, hence two that mean the same.
const COUNTED: &str = "*instructions*measured*";
const DUMPED: &str = "instructions::measured*";

/// The only function that is counted.
#[inline(never)]
fn measured(scenario: &mut dyn FnMut()) {
    scenario();
    // Keeps the call above from becoming a jump that leaves this function.
    black_box(());
}

/// Runs every scenario; without callgrind this only shows that they work.
fn run_all(mut seen: impl FnMut(&str)) -> anyhow::Result<()> {
    let mut scenario = |name: &str, run: &mut dyn FnMut()| {
        (0..3).for_each(|_| run());
        measured(run);
        seen(name);
    };
    let config = Config::defaults();

    let pipeline = urls::pipeline();
    let start = Instant::now();
    for (name, url) in urls::cases() {
        let allowed = name.starts_with("allowed");
        scenario(&format!("url/{name}"), &mut || {
            assert_eq!(urls::scan(&pipeline, black_box(&url), start), allowed, "{url}");
        });
    }

    let (dlp, _) = scanner(&config, [("CI_DEPLOY_KEY", "zQ7xN2pLw9RtKv4m")], None)?;
    let dlp = Arc::new(dlp);
    let text = corpus::chat(4 * KIB);
    scenario("dlp/text-4k", &mut || assert!(dlp.scan_text(black_box(&text)).matches.is_empty()));

    let bodies = BodyPolicy::new(&config, Arc::clone(&dlp))?;
    let json = corpus::chat(64 * KIB);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    scenario("body/json-64k", &mut || {
        assert!(bodies.scan(black_box(&json), &headers, "example.com").finding.is_none());
    });

    let responses = injection::Scanner::new(injection_settings(&config))?;
    let page = corpus::chat(16 * KIB);
    scenario("injection/text-16k", &mut || assert!(responses.scan(black_box(&page)).is_clean()));

    let patterns: Vec<String> = (0..10_000).map(|number| format!("*.host{number}.example.com")).collect();
    let hosts = HostList::new(&patterns, Dialect::Domains);
    scenario("host/miss-in-10000", &mut || assert!(!hosts.matches(black_box("docs.python.org"))));
    scenario("host/hit-in-10000", &mut || assert!(hosts.matches(black_box("a.b.host9999.example.com"))));

    let directory = tempfile::tempdir()?;
    let leaves = leaves::cache(directory.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut number = 0;
    scenario("ca/mint-leaf", &mut || {
        number += 1;
        let host = format!("host{number}.example.com");
        assert!(runtime.block_on(leaves.get(black_box(&host))).is_ok());
    });
    scenario("ca/cached-leaf", &mut || {
        assert!(runtime.block_on(leaves.get(black_box("host1.example.com"))).is_ok());
    });
    // Has the last scenario's counts dumped.
    measured(&mut || {});
    Ok(())
}

/// Runs the scenarios under callgrind.
fn count() -> anyhow::Result<Vec<Row>> {
    let directory = tempfile::tempdir()?;
    let base = directory.path().join("counts");
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg("--collect-atstart=no")
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--dump-before={DUMPED}"))
        .arg(format!("--callgrind-out-file={}", base.display()))
        .arg(std::env::current_exe()?)
        .arg("measure")
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "the run under callgrind failed:\n{errors}");
    let names = String::from_utf8(output.stdout)?;
    // The first dump is what was counted before the first scenario: nothing.
    let rows = names.lines().enumerate().map(|(at, name)| {
        let path = PathBuf::from(format!("{}.{}", base.display(), at + 2));
        let dump = std::fs::read_to_string(&path)?;
        let total = dump.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap_or_default();
        let count: u64 = total.trim().parse()?;
        anyhow::ensure!(count > 0, "{name}: nothing was counted; is the binary stripped?");
        let tolerance = if name == "ca/mint-leaf" { TOLERANCE_OF_RANDOM } else { TOLERANCE };
        Ok(Row { name: name.to_owned(), count, tolerance })
    });
    rows.collect()
}

fn table() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.tsv")
}

fn record() -> anyhow::Result<()> {
    let rows = count()?;
    std::fs::write(table(), Table::of(&rows).to_string())?;
    Ok(())
}

/// Whether nothing has grown. Prints a line for each scenario.
fn check(path: &Path) -> anyhow::Result<bool> {
    let table: Table = std::fs::read_to_string(path)?.parse()?;
    let outcomes = table.compare(&count()?);
    for outcome in &outcomes {
        say!("{outcome}");
    }
    Ok(!outcomes.iter().any(Outcome::fails))
}

fn main() -> anyhow::Result<ExitCode> {
    let command = std::env::args().nth(1).unwrap_or_default();
    if command == "measure" {
        run_all(|name| say!("{name}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        say!("skipped: valgrind is not installed");
        return Ok(ExitCode::SUCCESS);
    }
    match command.as_str() {
        "check" => {
            let path = std::env::args_os().nth(2).map_or_else(table, PathBuf::from);
            Ok(if check(&path)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        "record" => record().map(|()| ExitCode::SUCCESS),
        _ => anyhow::bail!("usage: instructions check [TABLE] | record | measure"),
    }
}
