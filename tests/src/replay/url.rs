//! Recordings of kind `url`: verdict, label and reason of the URL pipeline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use muselet::config::Config;
use muselet::policy::url::{LookupFailure, Pipeline, Settings};
use muselet_rules::dlp::Scanner;

use super::{Comparison, Recording};

/// The pipeline of one configuration.
pub struct Replay {
    pipeline: Pipeline,
    start: Instant,
}

impl Replay {
    pub(super) fn new(config: &Config, scanner: Arc<Scanner>) -> anyhow::Result<Self> {
        Ok(Self { pipeline: Pipeline::new(Settings::from(config), scanner)?, start: Instant::now() })
    }

    pub(super) fn compare(&self, number: usize, recording: &Recording) -> anyhow::Result<Comparison> {
        // Every case has a minute of its own, so that no limit carries over from one to the next.
        let now = self.start + Duration::from_secs(61) * u32::try_from(number)?;
        let no_such_host = |host: &str| Err(LookupFailure::Failed(format!("lookup {host}: no such host")));
        let ours = self.pipeline.scan(recording.input.as_bytes(), now, no_such_host);
        let allowed: bool = recording.get("allowed")?;
        let scanner: String = recording.get("scanner")?;
        let reason: String = recording.get("reason")?;
        let class: u8 = recording.get("class")?;
        let score: f64 = recording.get("score")?;
        Ok(Comparison {
            agrees: ours.allowed == allowed
                && ours.label.as_str() == scanner
                && ours.reason == reason
                && ours.class.code() == class
                && (ours.score - score).abs() < 1e-6,
            is_stricter: allowed && !ours.allowed,
            named: vec![ours.difference],
            wanted: format!("{scanner} {reason:?} class {class} score {score}  {:?}", recording.input),
            got: format!(
                "{} {:?} class {} score {} {}",
                ours.label,
                ours.reason,
                ours.class.code(),
                ours.score,
                ours.difference.unwrap_or_default()
            ),
        })
    }
}
