//! Recordings of kind `inj`: the matches of the response-injection scan, as a multiset.

use muselet::config::Config;
use muselet::policy::injection_settings;
use muselet_rules::injection::{Match, Scanner};

use super::{Comparison, Recording};

/// The injection scanner of one configuration.
pub struct Replay {
    scanner: Scanner,
}

impl Replay {
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        Ok(Self { scanner: Scanner::new(injection_settings(config))? })
    }

    pub(super) fn compare(&self, recording: &Recording) -> anyhow::Result<Comparison> {
        let ours = self.scanner.scan(recording.input.as_bytes());
        let clean: bool = recording.get("clean")?;
        let wanted: Vec<String> = recording.get("matches")?;
        // What the reference has too is taken off its list; what then remains on either side is the disagreement.
        let mut missing = wanted.clone();
        let mut extra: Vec<&Match> = Vec::new();
        for found in &ours.matches {
            match missing.iter().position(|other| **other == *found.name) {
                Some(at) => drop(missing.swap_remove(at)),
                None => extra.push(found),
            }
        }
        Ok(Comparison {
            agrees: missing.is_empty() && extra.is_empty() && ours.is_clean() == clean,
            // The first view that matches decides, so a difference may replace the matches of a later view by others.
            is_stricter: !ours.is_clean(),
            named: extra.iter().map(|found| found.difference).collect(),
            is_random: false,
            wanted: format!("{wanted:?}  {:?}", recording.input),
            got: ours.names(),
        })
    }
}
