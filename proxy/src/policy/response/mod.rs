//! Responses: what an agent may see of an answer, decided without I/O.
//!
//! [`ResponsePolicy::plan`] looks at the head and says how the body is to be read: refused, passed, streamed through the
//! event scanner or buffered. [`ResponsePolicy::judge`] looks at a buffered body: browser shield, media policy, injection
//! scan, in that order. Both return values; the server acts and the events module reports. The order of checks differs
//! by transport and stands in `plan.rs` and `judge.rs`, one function each. spec: response-scan §6-10

mod fetch;
mod hidden;
mod inspect;
mod judge;
mod media;
mod plan;
mod settings;
mod shield;
mod sse;
mod suppress;
mod taint;
#[cfg(test)]
mod tests;
mod types;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use muselet_rules::{dlp, injection};

pub use fetch::{Extraction, FetchJudgement, FetchOutcome, Question};
pub use inspect::{BinaryJudgement, MessageVerdict};
pub use media::MediaExposure;
pub use settings::{Action, MediaSettings, Settings, ShieldOversize, ShieldSettings, SseSettings};
pub use shield::Report as ShieldReport;
pub use sse::{Cut, Reported, SseScanner, Step};
pub(crate) use suppress::same_name;
pub use suppress::{Suppression, Suppressions};
pub use taint::{TaintLevel, source_level};
pub use types::{
    Buffering, Escalation, Head, HeaderEdits, Judgement, Note, Outcome, Over, Plan, Planned, Refusal,
    RefusalLog, Signal, Transport,
};

/// The response side of one configuration.
pub struct ResponsePolicy {
    settings: Settings,
    injection: injection::Scanner,
    dlp: Arc<dlp::Scanner>,
    shield: shield::Shield,
    used: AtomicBool,
}

impl fmt::Debug for ResponsePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponsePolicy").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl ResponsePolicy {
    /// Joins settings and scanners.
    #[must_use]
    pub fn new(settings: Settings, injection: injection::Scanner, dlp: Arc<dlp::Scanner>) -> Self {
        let shield = shield::Shield::new(&settings.shield);
        Self { settings, injection, dlp, shield, used: AtomicBool::new(false) }
    }

    /// Whether this is the first time that somebody asks: then it is time for [`warm`](Self::warm).
    pub fn first_use(&self) -> bool {
        !self.used.load(Ordering::Relaxed) && !self.used.swap(true, Ordering::Relaxed)
    }

    /// Builds what the first response would otherwise wait for. Takes some milliseconds of CPU.
    pub fn warm(&self) {
        self.injection.warm();
    }

    /// The settings this policy was made from.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The rules for injections, for who asks about a text alone.
    #[must_use]
    pub fn injection(&self) -> &injection::Scanner {
        &self.injection
    }

    fn hardened(&self) -> bool {
        self.settings.strictness == muselet_rules::Strictness::Hardened
    }
}
