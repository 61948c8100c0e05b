//! Recordings of kind `dlp`: the matches of the text scanner, as a multiset.

use std::sync::Arc;

use muselet_rules::dlp::{Match, Scanner};

use super::{Comparison, Recording};

/// The text scanner of one configuration.
pub struct Replay {
    scanner: Arc<Scanner>,
}

impl Replay {
    pub(super) fn new(scanner: Arc<Scanner>) -> Self {
        Self { scanner }
    }

    pub(super) fn compare(&self, recording: &Recording) -> anyhow::Result<Comparison> {
        let ours = self.scanner.scan_text(recording.input.as_bytes());
        let shown = |found: &Match| format!("{}|{}|{}", found.name, found.severity, found.encoded.as_str());
        let clean: bool = recording.get("clean")?;
        let wanted: Vec<String> = recording.get("matches")?;
        // What the reference has too is taken off its list; what then remains on either side is the disagreement.
        let mut missing = wanted.clone();
        let mut extra: Vec<&Match> = Vec::new();
        for found in &ours.matches {
            let text = shown(found);
            match missing.iter().position(|other| *other == text) {
                Some(at) => drop(missing.swap_remove(at)),
                None => extra.push(found),
            }
        }
        Ok(Comparison {
            agrees: missing.is_empty() && extra.is_empty() && ours.clean() == clean,
            is_stricter: missing.is_empty(),
            named: extra.iter().map(|found| found.difference).collect(),
            is_random: false,
            wanted: format!("{wanted:?}  {:?}", recording.input),
            got: format!("{:?}", ours.matches.iter().map(shown).collect::<Vec<_>>()),
        })
    }
}
