//! What sessions of an agent are like, learned when they end. Nothing is compared with it: the reference learns only.
//! spec: http-proxy §11.9

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::BehavioralBaseline;

/// Agents that are learned at a time: names come from clients, and of more the one that was seen first is forgotten.
const MOST_AGENTS: usize = 1000;
/// Samples that say which of them stand apart.
const LEAST_SAMPLES: usize = 3;
/// How far those stand apart, standard deviations.
const APART: f64 = 3.0;

/// The figures of a session, in the order of a profile.
const METRICS: [&str; 6] = [
    "tool_calls_per_session",
    "unique_tools_per_session",
    "domains_per_session",
    "bytes_per_session",
    "session_duration_sec",
    "requests_per_session",
];

/// A session that has ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// The agent's name, or the address of a client without one.
    pub agent: String,
    /// Distinct hosts in its last window.
    pub hosts: usize,
    /// From its first request to its last, seconds.
    pub seconds: f64,
    /// Requests in it.
    pub requests: u64,
}

impl Sample {
    /// Tools are a matter of MCP, and bytes are not counted over HTTP.
    fn metrics(&self) -> [f64; METRICS.len()] {
        [0.0, 0.0, self.hosts as f64, 0.0, self.seconds, self.requests as f64]
    }
}

/// Learns profiles.
#[derive(Debug)]
pub struct Learner {
    window: usize,
    ratifies: bool,
    resists: bool,
    samples: HashMap<String, Vec<[f64; METRICS.len()]>>,
    /// Agents in the order in which they were first seen.
    order: VecDeque<String>,
}

impl Learner {
    /// For a configuration; `None` where nothing is learned.
    #[must_use]
    pub fn of(config: &BehavioralBaseline) -> Option<Learner> {
        (config.enabled && config.seasonality_mode == "none").then(|| Learner {
            window: usize::try_from(config.learning_window).unwrap_or(usize::MAX).max(1),
            ratifies: config.auto_ratify,
            resists: config.poison_resistance,
            samples: HashMap::new(),
            order: VecDeque::new(),
        })
    }

    /// Adds a session; the profile of its agent where that is the last one of the window.
    pub fn add(&mut self, sample: &Sample, now: OffsetDateTime) -> Option<Value> {
        if !self.samples.contains_key(&sample.agent) {
            if self.order.len() >= MOST_AGENTS
                && let Some(first) = self.order.pop_front()
            {
                self.samples.remove(&first);
            }
            self.order.push_back(sample.agent.clone());
        }
        let samples = self.samples.entry(sample.agent.clone()).or_default();
        samples.push(sample.metrics());
        if samples.len() < self.window {
            return None;
        }
        let samples = self.samples.remove(&sample.agent)?;
        self.order.retain(|agent| *agent != sample.agent);
        Some(self.profile(&sample.agent, &samples, now))
    }

    fn profile(&self, agent: &str, samples: &[[f64; METRICS.len()]], now: OffsetDateTime) -> Value {
        let all: Vec<_> = samples.iter().collect();
        let is_usual = |sample: &[f64; METRICS.len()]| {
            (0..METRICS.len()).all(|metric| {
                let usual = Figures::of(metric, &all);
                (sample[metric] - usual.mean).abs() <= APART * usual.deviation
            })
        };
        let kept: Vec<_> = match self.resists && samples.len() >= LEAST_SAMPLES {
            true => samples.iter().filter(|sample| is_usual(sample)).collect(),
            false => all.clone(),
        };
        let metrics: Map<String, Value> = METRICS
            .iter()
            .enumerate()
            .map(|(metric, name)| ((*name).to_owned(), Figures::of(metric, &kept).json()))
            .collect();
        let stamp = now.format(&Rfc3339).unwrap_or_default();
        let mut profile = json!({
            "agent_key": agent,
            "state": if self.ratifies { "locked" } else { "ratify" },
            "learned_at": stamp,
            "session_count": kept.len(),
            "ratified": self.ratifies,
        });
        if self.ratifies {
            profile["ratified_at"] = stamp.into();
        }
        profile["metrics"] = metrics.into();
        profile
    }
}

/// One figure over all samples.
struct Figures {
    least: f64,
    most: f64,
    mean: f64,
    deviation: f64,
}

impl Figures {
    fn of(metric: usize, samples: &[&[f64; METRICS.len()]]) -> Figures {
        let values = || samples.iter().map(|sample| sample[metric]);
        let count = samples.len().max(1) as f64;
        let mean = values().sum::<f64>() / count;
        let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        Figures {
            least: values().reduce(f64::min).unwrap_or_default(),
            most: values().reduce(f64::max).unwrap_or_default(),
            mean,
            deviation,
        }
    }

    fn json(&self) -> Value {
        // Whole numbers without a fraction.
        let number = |value: f64| match value as i64 {
            whole if whole as f64 == value => json!(whole),
            _ => json!(value),
        };
        let fields =
            [("min", self.least), ("max", self.most), ("mean", self.mean), ("stddev", self.deviation)];
        fields.into_iter().map(|(name, value)| (name.to_owned(), number(value))).collect::<Map<_, _>>().into()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn learner(change: impl FnOnce(&mut BehavioralBaseline)) -> Learner {
        let mut config = BehavioralBaseline {
            enabled: true,
            learning_window: 10,
            seasonality_mode: "none".to_owned(),
            ..BehavioralBaseline::default()
        };
        change(&mut config);
        Learner::of(&config).unwrap()
    }

    fn sample(agent: &str, requests: u64) -> Sample {
        Sample { agent: agent.to_owned(), hosts: 2, seconds: 1.5, requests }
    }

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);

    #[test]
    fn a_window_of_sessions_makes_one_profile() {
        let mut learner = learner(|config| config.auto_ratify = true);
        for requests in 1..10 {
            assert_eq!(learner.add(&sample("bot", requests), NOW), None);
            assert_eq!(learner.add(&sample("other", 1), NOW), None);
        }
        let profile = learner.add(&sample("bot", 10), NOW).unwrap();
        let expected = json!({
            "agent_key": "bot",
            "state": "locked",
            "learned_at": "2026-03-01T12:00:00Z",
            "session_count": 10,
            "ratified": true,
            "ratified_at": "2026-03-01T12:00:00Z",
            "metrics": {
                "tool_calls_per_session": {"min": 0, "max": 0, "mean": 0, "stddev": 0},
                "unique_tools_per_session": {"min": 0, "max": 0, "mean": 0, "stddev": 0},
                "domains_per_session": {"min": 2, "max": 2, "mean": 2, "stddev": 0},
                "bytes_per_session": {"min": 0, "max": 0, "mean": 0, "stddev": 0},
                "session_duration_sec": {"min": 1.5, "max": 1.5, "mean": 1.5, "stddev": 0},
                "requests_per_session": {"min": 1, "max": 10, "mean": 5.5, "stddev": 8.25f64.sqrt()},
            },
        });
        assert_eq!(serde_json::to_string(&profile).unwrap(), serde_json::to_string(&expected).unwrap());
    }

    #[test]
    fn sessions_that_stand_apart_are_left_out_unless_told_otherwise() {
        for (resists, most) in [(true, 5), (false, 9000)] {
            let mut learner = learner(|config| {
                config.learning_window = 20;
                config.poison_resistance = resists;
            });
            let mut profile = None;
            for _ in 0..19 {
                profile = learner.add(&sample("bot", 5), NOW);
            }
            assert_eq!(profile, None);
            let profile = learner.add(&sample("bot", 9000), NOW).unwrap();
            assert_eq!(profile["metrics"]["requests_per_session"]["max"], most);
            assert_eq!(profile["state"], "ratify");
            assert!(profile.get("ratified_at").is_none());
        }
    }

    #[test]
    fn no_more_agents_are_learned_than_there_is_room_for() {
        let mut learner = learner(|config| config.learning_window = 2);
        for agent in 0..MOST_AGENTS + 10 {
            assert_eq!(learner.add(&sample(&agent.to_string(), 1), NOW), None);
        }
        assert_eq!((learner.samples.len(), learner.order.len()), (MOST_AGENTS, MOST_AGENTS));
        assert_eq!(learner.add(&sample("5", 1), NOW), None);
        assert!(learner.add(&sample("500", 1), NOW).is_some());
        assert_eq!(learner.samples.len(), learner.order.len());
    }

    #[test]
    fn seasons_switch_learning_off() {
        for mode in ["labeled", "time"] {
            let config = BehavioralBaseline {
                enabled: true,
                seasonality_mode: mode.to_owned(),
                ..BehavioralBaseline::default()
            };
            assert!(Learner::of(&config).is_none());
        }
    }
}
