//! Replays recorded answers of the reference and compares them with ours.
//!
//! One line of a recording is one input, the name of the configuration it ran under, and the answer. Each kind of recording
//! has a module that knows how to ask our side and how to compare; this one reads the files, builds the scanners once per
//! configuration, spreads the work over the cores and applies the rule for differences: in hardened mode a disagreement is
//! excused when ours is only stricter, every finding that makes it so names a listed difference, and the input is not a
//! benign one. In either mode a disagreement is excused when the recorded answer is one of several that the reference gives
//! at random; `random-answers.txt` beside the recordings lists those cases with the reason.

mod config;
mod differences;
mod dlp;
mod environment;
mod inj;
mod key_order;
mod recording;
mod url;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, bail};
use muselet::Strictness;
use muselet::config::Config;

pub use differences::Differences;
pub use environment::ENVIRONMENT;
pub use recording::{Recording, read};

/// What our side says about one input, beside what the reference said.
#[derive(Debug)]
pub struct Comparison {
    /// Both say the same.
    pub agrees: bool,
    /// Ours blocks or finds everything that the reference's does, and more.
    pub is_stricter: bool,
    /// The differences that ours names for what it finds beyond the reference; `None` stands for a finding without one.
    pub named: Vec<Option<&'static str>>,
    /// The recorded answer is one of several that the reference gives to this input at random, and ours is another.
    pub is_random: bool,
    /// The reference's answer, for people.
    pub wanted: String,
    /// Ours, for people.
    pub got: String,
}

/// How one recording came out.
#[derive(Debug)]
pub enum Outcome {
    /// The same answer.
    Agreed,
    /// Another answer, for listed reasons.
    Excused,
    /// Another answer: the line that says so.
    Differed(String),
}

/// All outcomes of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Number of recordings with the same answer.
    pub agreed: usize,
    /// Ids of the recordings with another answer for listed reasons.
    pub excused: Vec<String>,
    /// One line for each other disagreement.
    pub differed: Vec<String>,
}

impl Report {
    /// `N agreed, M differed, K excused`.
    #[must_use]
    pub fn summary(&self) -> String {
        format!("{} agreed, {} differed, {} excused", self.agreed, self.differed.len(), self.excused.len())
    }

    fn add(&mut self, recording: &Recording, outcome: Outcome) {
        match outcome {
            Outcome::Agreed => self.agreed += 1,
            Outcome::Excused => self.excused.push(recording.id.clone()),
            Outcome::Differed(line) => self.differed.push(line),
        }
    }

    fn merge(mut self, other: Self) -> Self {
        self.agreed += other.agreed;
        self.excused.extend(other.excused);
        self.differed.extend(other.differed);
        self
    }
}

/// Everything that is compiled from one configuration file.
struct Scanners {
    url: url::Replay,
    dlp: dlp::Replay,
    inj: inj::Replay,
}

/// Replays every recording of `file` under the configurations of `configs`.
///
/// # Errors
/// A file that cannot be read, a configuration that is refused, a recording of an unknown kind.
pub fn run(
    file: &Path,
    configs: &Path,
    mode: Strictness,
    differences: &Differences,
) -> anyhow::Result<Report> {
    let recordings = read(file)?;
    let mut scanners: HashMap<&str, Scanners> = HashMap::new();
    for name in recordings.iter().filter_map(|recording| recording.config.as_deref()) {
        if !scanners.contains_key(name) {
            scanners.insert(name, compile(&configs.join(format!("{name}.yaml")), mode)?);
        }
    }
    let documents = config::Replay::new(mode)?;
    let judge = |number: usize, recording: &Recording| -> anyhow::Result<Outcome> {
        let comparison = match recording.kind.as_str() {
            "config" => documents.compare(recording)?,
            _ => compare(number, recording, &scanners)?,
        };
        Ok(decide(recording, comparison, mode, differences))
    };
    in_parallel(&recordings, judge)
}

fn compile(path: &Path, mode: Strictness) -> anyhow::Result<Scanners> {
    let loaded = Config::load(path).with_context(|| format!("loading {}", path.display()))?;
    let mut config = loaded.config;
    config.muselet.strictness = mode;
    let (scanner, _) = muselet::policy::secrets::scanner(&config, ENVIRONMENT, None)?;
    let scanner = std::sync::Arc::new(scanner);
    Ok(Scanners {
        url: url::Replay::new(&config, scanner.clone())?,
        dlp: dlp::Replay::new(scanner),
        inj: inj::Replay::new(&config)?,
    })
}

fn compare(
    number: usize,
    recording: &Recording,
    scanners: &HashMap<&str, Scanners>,
) -> anyhow::Result<Comparison> {
    let scanners = || {
        let name = recording.config.as_deref().unwrap_or_default();
        scanners.get(name).with_context(|| format!("{}: no configuration {name:?}", recording.id))
    };
    match recording.kind.as_str() {
        "url" => scanners()?.url.compare(number, recording),
        "dlp" => scanners()?.dlp.compare(recording),
        "inj" => scanners()?.inj.compare(recording),
        kind => bail!("{}: recordings of kind {kind:?} are not supported", recording.id),
    }
}

fn decide(
    recording: &Recording,
    comparison: Comparison,
    mode: Strictness,
    differences: &Differences,
) -> Outcome {
    if comparison.agrees {
        return Outcome::Agreed;
    }
    if comparison.is_random {
        return Outcome::Excused;
    }
    let is_listed = |named: &Option<&'static str>| named.is_some_and(|id| differences.contains(id));
    let excused = mode == Strictness::Hardened
        && comparison.is_stricter
        && !comparison.named.is_empty()
        && comparison.named.iter().all(is_listed)
        && !recording.is_benign();
    if excused {
        return Outcome::Excused;
    }
    Outcome::Differed(format!(
        "{} {} [{}]\n  wanted {}\n  got    {}",
        recording.id,
        recording.tag,
        recording.config.as_deref().unwrap_or("-"),
        comparison.wanted,
        comparison.got,
    ))
}

/// Spreads `items` over the cores; the report keeps their order.
fn in_parallel(
    items: &[Recording],
    judge: impl Fn(usize, &Recording) -> anyhow::Result<Outcome> + Sync,
) -> anyhow::Result<Report> {
    const CHUNK: usize = 64;
    let next = AtomicUsize::new(0);
    let work = || -> anyhow::Result<Vec<(usize, Report)>> {
        let mut done = Vec::new();
        loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            let start = chunk * CHUNK;
            if start >= items.len() {
                return Ok(done);
            }
            let mut report = Report::default();
            for (offset, item) in items[start..items.len().min(start + CHUNK)].iter().enumerate() {
                report.add(item, judge(start + offset, item)?);
            }
            done.push((chunk, report));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut reports = std::thread::scope(|scope| -> anyhow::Result<Vec<(usize, Report)>> {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut reports = Vec::new();
        for handle in handles {
            match handle.join() {
                Ok(done) => reports.extend(done?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(reports)
    })?;
    reports.sort_by_key(|(chunk, _)| *chunk);
    Ok(reports.into_iter().map(|(_, report)| report).fold(Report::default(), Report::merge))
}

/// The folder of the vendored recordings, configurations and differences.
#[must_use]
pub fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")
}
