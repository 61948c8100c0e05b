//! Emission of events to outside collectors. spec: http-proxy §18

use muselet_rules::Strictness;

use super::event::Event;

/// How urgent an emitted event is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    Info,
    Warn,
    Critical,
}

impl Severity {
    /// The word in payloads and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Critical => "critical",
        }
    }
}

/// The configured sinks, in the order webhook, syslog, OTLP.
pub struct Emitters {
    sinks: Vec<Box<dyn Sink>>,
}

/// One collector.
pub(super) trait Sink: Send + Sync {
    /// Takes the event if it is severe enough. Never waits.
    fn emit(&self, severity: Severity, event: &Event<'_>, strictness: Strictness);
}

impl Emitters {
    /// No sink at all.
    pub fn none() -> Emitters {
        Emitters { sinks: Vec::new() }
    }

    /// Whether there is nothing to emit to.
    pub fn is_empty(&self) -> bool {
        self.sinks.is_empty()
    }

    pub(super) fn emit(&self, severity: Severity, event: &Event<'_>, strictness: Strictness) {
        for sink in &self.sinks {
            sink.emit(severity, event, strictness);
        }
    }
}
