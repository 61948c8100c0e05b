//! Emission of events to outside collectors: webhook, syslog, OTLP.
//!
//! A request only pays for copying the event's fields into a queue. Each sink has a bounded queue and one thread that encodes
//! and sends; a full queue drops the event and says so on standard error. The reference writes to syslog from the request
//! itself, so a stalled collector stalls its traffic; the bytes sent are the same here. spec: http-proxy §18

mod fields;
mod names;
mod otlp;
mod post;
mod queue;
mod syslog;
mod webhook;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use muselet_rules::Strictness;
use muselet_rules::order::sort_few;

use self::fields::{Collected, FieldValue};
use super::event::Event;
use crate::config::Emit;

/// How urgent an emitted event is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    Info,
    Warn,
    Critical,
}

impl Severity {
    /// The word in payloads and configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Critical => "critical",
        }
    }

    /// Validation has refused other words; the default is `warn`.
    fn of(word: &str) -> Severity {
        match word {
            "info" => Severity::Info,
            "critical" => Severity::Critical,
            _ => Severity::Warn,
        }
    }
}

/// One event on its way out.
pub(super) struct Emitted {
    severity: Severity,
    kind: &'static str,
    at: SystemTime,
    fields: Vec<(&'static str, FieldValue)>,
}

/// One collector.
trait Sink: Send + Sync {
    /// Takes the event if there is room. Never waits.
    fn emit(&self, event: &Arc<Emitted>);
    /// Sends what is queued, within ten seconds.
    fn close(&self);
}

/// A sink could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    #[error("{0}")]
    Setup(String),
    #[error("starting a sender: {0}")]
    Thread(#[from] std::io::Error),
}

/// The configured sinks, in the order webhook, syslog, OTLP.
pub struct Emitters {
    sinks: Vec<(Severity, Box<dyn Sink>)>,
}

impl Emitters {
    /// No sink at all.
    #[must_use]
    pub fn none() -> Emitters {
        Emitters { sinks: Vec::new() }
    }

    /// Connects the sinks that `config` names. `instance` is fixed at the start of the process ([`instance_id`]).
    ///
    /// # Errors
    /// An address that cannot be used, or a syslog collector that cannot be reached.
    pub fn connect(config: &Emit, instance: &str) -> Result<Emitters, EmitError> {
        let mut sinks: Vec<(Severity, Box<dyn Sink>)> = Vec::new();
        if !config.webhook.url.is_empty() {
            let sink = webhook::Webhook::start(&config.webhook, instance)?;
            sinks.push((Severity::of(&config.webhook.min_severity), Box::new(sink)));
        }
        if !config.syslog.address.is_empty() {
            let sink = syslog::Syslog::start(&config.syslog, instance)?;
            sinks.push((Severity::of(&config.syslog.min_severity), Box::new(sink)));
        }
        if !config.otlp.endpoint.is_empty() {
            let sink = otlp::Otlp::start(&config.otlp, instance)?;
            sinks.push((Severity::of(&config.otlp.min_severity), Box::new(sink)));
        }
        Ok(Emitters { sinks })
    }

    /// Whether there is nothing to emit to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sinks.is_empty()
    }

    pub(super) fn emit(&self, severity: Severity, event: &Event<'_>, strictness: Strictness) {
        if self.sinks.iter().all(|(least, _)| severity < *least) {
            return;
        }
        let mut collected = Collected::default();
        event.fields(strictness, &mut collected);
        let mut fields = collected.fields;
        sort_few(&mut fields, |(a, _), (b, _)| a < b);
        let emitted = Arc::new(Emitted { severity, kind: event.name(), at: SystemTime::now(), fields });
        for (least, sink) in &self.sinks {
            if severity >= *least {
                sink.emit(&emitted);
            }
        }
    }

    /// Sends what is queued, at most ten seconds a sink, and ends the senders. Blocks.
    pub fn close(&self) {
        for (_, sink) in &self.sinks {
            sink.close();
        }
    }
}

/// `emit.instance_id`, else the host's name, else `pipelock`.
#[must_use]
pub fn instance_id(configured: &str) -> String {
    if !configured.is_empty() {
        return configured.to_owned();
    }
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "pipelock".to_owned() } else { name }
}

/// Tells the operator; losing an event must not be silent.
fn complain(text: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "emit: {text}");
}
