//! The files of learned behaviour: `behavioral_baseline.profile_dir`, one JSON file an agent. spec: http-proxy §11.9

use std::collections::HashSet;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use time::OffsetDateTime;

use crate::config::{BehavioralBaseline, Config};
use crate::events::{Context, Event, Events};
use crate::policy::session::baseline::{Learner, Sample};

/// Profiles that are kept: names come from clients.
const MOST_PROFILES: usize = 1000;

/// What is learned, if anything is.
#[derive(Debug, Default)]
pub struct Baseline(Mutex<Option<Learning>>);

#[derive(Debug)]
struct Learning {
    config: BehavioralBaseline,
    learner: Learner,
    dir: PathBuf,
    /// Agents with a profile, which is written once.
    known: HashSet<String>,
}

impl Baseline {
    /// Follows a configuration. What was learned so far is kept while its section is the same.
    pub fn configure(&self, config: &Config) {
        let section = &config.behavioral_baseline;
        let mut learning = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if learning.as_ref().is_some_and(|learning| learning.config == *section) {
            return;
        }
        *learning = Learner::of(section).filter(|_| config.session_profiling.enabled).map(|learner| {
            let dir = PathBuf::from(&section.profile_dir);
            // As in the reference an error is ignored here; writing a profile says what is wrong.
            let _ = DirBuilder::new().recursive(true).mode(0o750).create(&dir);
            Learning { config: section.clone(), learner, known: profiles(&dir), dir }
        });
    }

    /// Learns from a session that has ended, and writes the profile that this completes.
    pub fn learn(&self, sample: &Sample, events: &Events) {
        let mut learning = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(learning) = learning.as_mut() else { return };
        let agent = &sample.agent;
        if !is_file_name(agent) || learning.known.contains(agent) || learning.known.len() >= MOST_PROFILES {
            return;
        }
        let Some(profile) = learning.learner.add(sample, OffsetDateTime::now_utc()) else { return };
        learning.known.insert(agent.clone());
        let path = learning.dir.join(format!("{agent}.json"));
        let events = events.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = write(&path, &profile) {
                let error = format!("behavioral baseline: writing {}: {error}", path.display());
                events.record(&Event::Error { ctx: Context::default(), error: &error });
            }
        });
    }
}

/// Names of the agents whose profiles are in a directory.
fn profiles(dir: &Path) -> HashSet<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let name = |path: PathBuf| {
        let is_profile = path.extension().is_some_and(|extension| extension == "json");
        path.file_stem().filter(|_| is_profile).and_then(|stem| stem.to_str()).map(str::to_owned)
    };
    entries.filter_map(|entry| name(entry.path())).collect()
}

fn is_file_name(agent: &str) -> bool {
    let is_usual = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !agent.is_empty() && agent.bytes().all(is_usual) && !agent.contains("..")
}

fn write(path: &Path, profile: &Value) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(profile)?;
    // Whole or not at all: a file that is there is not written again.
    let unfinished = path.with_extension("json.tmp");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(unfinished, path)
}
