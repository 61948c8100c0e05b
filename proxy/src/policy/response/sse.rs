//! The event-stream scanner: bytes in, whole judged events out. An event is held back until its blank line has come, is
//! judged alone, and is then written anew; nothing of a bad one reaches the client. spec: response-scan §7
//!
//! Memory is bounded by `max_event_bytes`, a few lines and [`RELEASED`]: an event that is already too large is remembered only by
//! its size, which gives the reference's verdict without its memory (O-19), and what is released goes out before more is read.

mod parser;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use parser::{Event, Parsed, Parser};

use super::ResponsePolicy;
use super::inspect::{difference, names};

/// Bytes of type, id and retry of an event (D-212). The id comes again with every later event, in the text that is scanned and in
/// what the client gets: a long one would multiply the stream.
const MAX_METADATA: usize = 4096;
/// A step that has released so much takes no more.
const RELEASED: usize = 64 * 1024;

/// Something an event was found guilty of that does not end the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// `sse stream finding: …`.
    pub reason: String,
    /// Id of the listed difference without which there would be no finding.
    pub difference: Option<&'static str>,
}

/// Why a stream ends before its source does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// `sse stream finding: …` or `sse stream read: …`.
    pub reason: String,
    /// A finding, as opposed to a stream that cannot be read.
    pub finding: bool,
    /// Id of the listed difference without which the stream would go on.
    pub difference: Option<&'static str>,
}

/// What feeding bytes led to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Bytes to send to the client now, whole events.
    pub release: Vec<u8>,
    /// Findings to report; the stream goes on.
    pub reported: Vec<Reported>,
    /// The stream ends here, after `release`.
    pub cut: Option<Cut>,
    /// Some text matched an injection rule, suppressed or not.
    pub prompt_hit: bool,
}

/// One stream.
pub struct SseScanner {
    policy: Arc<ResponsePolicy>,
    target: String,
    exempt: bool,
    parser: Parser,
    ended: bool,
}

impl fmt::Debug for SseScanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseScanner").field("exempt", &self.exempt).finish_non_exhaustive()
    }
}

impl SseScanner {
    pub(super) fn new(policy: Arc<ResponsePolicy>, target: String, exempt: bool) -> Self {
        let limit = policy.settings().sse.max_event_bytes;
        let parser = Parser::new(limit, policy.hardened());
        Self { parser, policy, target, exempt, ended: false }
    }

    /// Takes bytes of the source, until there are no more or 64 KiB are released. After a cut nothing more is.
    pub fn push(&mut self, source: &mut Bytes) -> Step {
        let mut step = Step::default();
        let bytes = source.clone();
        let mut rest = &bytes[..];
        while !self.ended && !rest.is_empty() && step.release.len() < RELEASED {
            match self.parser.feed(&mut rest) {
                Parsed::More => {}
                Parsed::Event(event) => self.deliver(event, &mut step),
                Parsed::LineTooLong => {
                    let reason = "sse stream read: bufio.Scanner: token too long".to_owned();
                    self.cut(&mut step, Cut { reason, finding: false, difference: None });
                }
            }
        }
        source.advance(if self.ended { bytes.len() } else { bytes.len() - rest.len() });
        step
    }

    /// The source has ended: an event without its blank line counts as whole.
    pub fn finish(&mut self) -> Step {
        let mut step = Step::default();
        if !self.ended
            && let Some(event) = self.parser.finish()
        {
            self.deliver(event, &mut step);
        }
        self.ended = true;
        step
    }

    fn deliver(&mut self, event: Event, step: &mut Step) {
        match self.judge(&event, step) {
            Judged::Send => event.write(&mut step.release),
            Judged::Drop => {}
            Judged::Cut(Reported { reason, difference }) => {
                self.cut(step, Cut { reason, finding: true, difference });
            }
        }
    }

    /// The checks on one event, in order. spec: response-scan §7.3
    fn judge(&self, event: &Event, step: &mut Step) -> Judged {
        let settings = &self.policy.settings().sse;
        let size = event.data_size();
        let unreadable = |step: &mut Step, reason: String, difference| {
            let finding = Reported { reason, difference };
            if settings.warn_only {
                step.reported.push(finding);
                Judged::Drop
            } else {
                Judged::Cut(finding)
            }
        };
        if size > settings.max_event_bytes {
            let limit = settings.max_event_bytes;
            let reason =
                format!("sse stream finding: sse event exceeds max_event_bytes (size={size}, limit={limit})");
            return unreadable(step, reason, None);
        }
        let metadata = event.metadata_size();
        if metadata > MAX_METADATA && self.policy.hardened() {
            let reason = format!(
                "sse stream finding: sse event has too long a type, id or retry (size={metadata}, limit={MAX_METADATA})"
            );
            return unreadable(step, reason, Some("D-212"));
        }
        // The reference does not look at the metadata of an event without text; it is scanned in hardened mode (D-204).
        let metadata_only = size == 0;
        if metadata_only && !(self.policy.hardened() && metadata > 0) {
            return Judged::Send;
        }
        if event.data_is_broken() {
            let reason = format!("sse stream finding: sse event contains invalid UTF-8 (size={size})");
            return unreadable(step, reason, None);
        }
        let text = event.scan_text();
        self.judge_text(&text, metadata_only.then_some("D-204"), step)
    }

    fn judge_text(&self, text: &[u8], known: Option<&'static str>, step: &mut Step) -> Judged {
        let settings = self.policy.settings();
        let covered = |rule: &str| settings.suppress.covers(rule, &self.target);
        let found = self.policy.unsuppressed(text, &self.target);
        step.prompt_hit |= found.any;
        let matches = found.result.matches;
        if !matches.is_empty() {
            let reason = format!("sse stream finding: injection: {}", names(&matches));
            let finding = Reported { reason, difference: known.or_else(|| difference(&matches)) };
            if !self.exempt && !settings.sse.warn_only {
                return Judged::Cut(finding);
            }
            step.reported.push(finding);
        }
        let mut secrets = self.policy.dlp.scan_text(text).matches;
        secrets.retain(|m| !covered(&m.name));
        if !secrets.is_empty() {
            let names: Vec<&str> = secrets.iter().map(|m| &*m.name).collect();
            let reason = format!("sse stream finding: dlp: {}", names.join(", "));
            let exact = secrets.iter().any(|m| m.difference.is_none());
            let found_by = secrets.iter().find_map(|m| m.difference).filter(|_| !exact);
            let finding = Reported { reason, difference: known.or(found_by) };
            if !settings.sse.warn_only {
                return Judged::Cut(finding);
            }
            step.reported.push(finding);
        }
        Judged::Send
    }

    fn cut(&mut self, step: &mut Step, cut: Cut) {
        self.ended = true;
        step.cut = Some(cut);
    }
}

enum Judged {
    Send,
    Drop,
    Cut(Reported),
}
