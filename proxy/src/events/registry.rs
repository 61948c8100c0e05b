//! How metrics are made and registered, and the bound on labels that clients choose.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Distinct values of a label that a client may choose freely.
const LABELS: usize = 1000;

/// Longest such value, in bytes.
const LABEL_LENGTH: usize = 256;

/// Makes metrics and registers each. All names and labels are literals of this file, unique and well formed, so neither
/// step can fail at run time; a test that makes them all keeps it so.
#[derive(Default)]
pub(super) struct Maker(Registry);

#[allow(clippy::expect_used)]
impl Maker {
    pub(super) fn into_registry(self) -> Registry {
        self.0
    }

    fn add<T: prometheus::core::Collector + Clone + 'static>(&self, made: prometheus::Result<T>) -> T {
        let metric = made.expect("names and labels are literals of this file, checked by a test");
        self.0.register(Box::new(metric.clone())).expect("each name is used once, checked by a test");
        metric
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(full(name), help))
    }

    pub(super) fn counters(&self, name: &str, labels: &[&str], help: &str) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(full(name), help), labels))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(full(name), help))
    }

    pub(super) fn gauges(&self, name: &str, labels: &[&str], help: &str) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(full(name), help), labels))
    }

    pub(super) fn histogram(&self, name: &str, buckets: &[f64], help: &str) -> Histogram {
        self.add(Histogram::with_opts(HistogramOpts::new(full(name), help).buckets(buckets.to_vec())))
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        labels: &[&str],
        buckets: &[f64],
        help: &str,
    ) -> HistogramVec {
        self.add(HistogramVec::new(HistogramOpts::new(full(name), help).buckets(buckets.to_vec()), labels))
    }
}

fn full(name: &str) -> String {
    format!("pipelock_{name}")
}

/// A client-controlled label, bounded in number and length.
#[derive(Default)]
pub(super) struct Bounded {
    seen: RwLock<HashSet<String>>,
}

impl Bounded {
    pub(super) fn label<'a>(&self, value: &'a str) -> &'a str {
        if value.len() > LABEL_LENGTH {
            return "other";
        }
        if self.seen.read().unwrap_or_else(PoisonError::into_inner).contains(value) {
            return value;
        }
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= LABELS && !seen.contains(value) {
            return "other";
        }
        seen.insert(value.to_owned());
        value
    }
}
