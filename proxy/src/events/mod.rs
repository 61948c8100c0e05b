//! Every event type, and the only place that turns one into log lines, metrics and emissions.
//!
//! A handler describes what happened as an [`Event`] that borrows everything it names, and calls [`Events::record`].
//! The line is serialised at once into a shared buffer that a thread of its own writes out in batches: a request never
//! waits for a slow disk or pipe, and never pays for more than copying its line. The buffer is bounded; what does not fit
//! is counted, and the count is written as an `error` line as soon as there is room, so a gap in the log is never silent.
//! Counters are fed through [`Metrics`] by typed methods, because one event may count differently by transport.
//! spec: http-proxy §15.2, §16, §17, §18.

pub mod emit;
mod encode;
mod event;
mod fields;
mod log;
mod metrics;
mod redact;
mod registry;
mod stamp;
mod stats;
mod text;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use muselet_rules::Strictness;

pub use emit::{EmitError, Emitters, Severity, instance_id};
pub use event::{BundleRule, Context, Direction, Event, technique};
pub use log::{LogError, LogFormat, LogOptions, LogOutput};
pub(crate) use log::{open_file, reason as system_reason};
pub use metrics::{CrossRequestStats, EXPOSITION_TYPE, Metrics, SniCategory};
pub use stamp::capture_local_offset;

/// Handle to the decision log, the emission sinks and the counters. Cloning it is cheap.
#[derive(Clone)]
pub struct Events {
    inner: Arc<Inner>,
}

struct Inner {
    log: log::Log,
    /// Swapped as a whole on reload (spec: http-proxy §18).
    emitters: ArcSwap<Emitters>,
    metrics: Metrics,
    strictness: Strictness,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// Opens the log as `options` say. Errors: the log file cannot be opened, or the writer thread cannot start.
    pub fn open(options: LogOptions, strictness: Strictness) -> Result<Events, LogError> {
        Ok(Events {
            inner: Arc::new(Inner {
                log: log::Log::open(options)?,
                emitters: ArcSwap::from_pointee(Emitters::none()),
                metrics: Metrics::new(),
                strictness,
            }),
        })
    }

    /// A handle that writes nothing and still counts: for embedding and for tests that look at counters only.
    pub fn discard() -> Events {
        Events {
            inner: Arc::new(Inner {
                log: log::Log::discard(),
                emitters: ArcSwap::from_pointee(Emitters::none()),
                metrics: Metrics::new(),
                strictness: Strictness::Hardened,
            }),
        }
    }

    /// Writes the event's log line and hands it to the emission sinks, each subject to its filter.
    pub fn record(&self, event: &Event<'_>) {
        self.record_tagged("", event);
    }

    /// As [`Events::record`], for the handlers whose lines carry the agent even where the event has no such field
    /// (`/fetch` and `/ws`, spec: http-proxy §16.1). The agent is written once.
    pub fn record_tagged(&self, agent: &str, event: &Event<'_>) {
        let inner = &*self.inner;
        let strictness = inner.strictness;
        inner.log.write(event, agent, strictness);
        let emitters = inner.emitters.load();
        if !emitters.is_empty()
            && let Some(severity) = event.severity()
            && inner.log.passes_for_emission(event)
        {
            emitters.emit(severity, event, strictness);
        }
    }

    /// The counters behind `/metrics` and `/stats`.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Puts new emission sinks in place and gives back the old ones, which the caller closes (they drain).
    pub fn replace_emitters(&self, emitters: Emitters) -> Arc<Emitters> {
        self.inner.emitters.swap(Arc::new(emitters))
    }

    /// Waits until every line recorded so far has been written, at most five seconds.
    pub fn flush(&self) {
        self.inner.log.flush();
    }
}
