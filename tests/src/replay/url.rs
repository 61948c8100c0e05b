//! Recordings of kind `url`: verdict, label and reason of the URL pipeline.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use muselet::config::Config;
use muselet::policy::url::{LookupFailure, Pipeline, Settings};
use muselet::policy::verdict::UrlVerdict;
use muselet_rules::dlp::Scanner;

use super::{Comparison, Recording, key_order};

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
        let scan = |url: &[u8]| {
            let no_such_host = |host: &str| -> Result<Vec<IpAddr>, LookupFailure> {
                Err(LookupFailure::Failed(format!("lookup {host}: no such host")))
            };
            self.pipeline.scan(url, now, no_such_host)
        };
        let wanted = Answer {
            allowed: recording.get("allowed")?,
            label: recording.get("scanner")?,
            reason: recording.get("reason")?,
            class: recording.get("class")?,
            score: recording.get("score")?,
        };
        let verdict = scan(recording.input.as_bytes());
        let got = Answer::from(&verdict);
        let agrees = got.agrees(&wanted);
        let is_random = !agrees
            && !wanted.allowed
            && wanted.label == got.label
            && key_order::variants(recording.input.as_bytes())
                .iter()
                .any(|variant| Answer::from(&scan(variant)).agrees(&wanted));
        Ok(Comparison {
            agrees,
            is_stricter: wanted.allowed && !got.allowed,
            named: vec![verdict.difference],
            is_random,
            wanted: format!("{wanted:?} for {:?}", recording.input),
            got: format!("{got:?} {}", verdict.difference.unwrap_or_default()),
        })
    }
}

/// The recorded part of a verdict.
#[derive(Debug)]
struct Answer {
    allowed: bool,
    label: String,
    reason: String,
    class: u8,
    score: f64,
}

impl From<&UrlVerdict> for Answer {
    fn from(verdict: &UrlVerdict) -> Self {
        Self {
            allowed: verdict.allowed,
            label: verdict.label.to_string(),
            reason: verdict.reason.to_string(),
            class: verdict.class.code(),
            score: verdict.score,
        }
    }
}

impl Answer {
    fn agrees(&self, other: &Self) -> bool {
        self.allowed == other.allowed
            && self.label == other.label
            && self.reason == other.reason
            && self.class == other.class
            && (self.score - other.score).abs() < 1e-6
    }
}
