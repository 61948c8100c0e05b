//! The injection scan of one text with everything that turns matches into an action: exemption, escalation,
//! suppression. spec: response-scan §6.1-6.4

use bytes::Bytes;
use muselet_rules::injection::{Match, ScanResult};

use super::types::{Head, Note, Transport};
use super::{Action, ResponsePolicy, media};

/// What a scan of one text came to.
pub(super) struct Inspection {
    /// Unsuppressed matches; empty when the text counts as clean.
    pub matches: Vec<Match>,
    /// Something matched, even if all of it was suppressed.
    pub any: bool,
    /// The text with its findings cut out, where that is possible and configured.
    pub transformed: Option<String>,
}

/// What a scan found that is not suppressed.
pub(super) struct Unsuppressed {
    pub result: ScanResult,
    /// Something matched, even if all of it was suppressed.
    pub any: bool,
    /// How many matches were suppressed.
    pub dropped: usize,
}

impl Inspection {
    /// Rule names joined as reasons print them.
    pub fn names(&self) -> String {
        names(&self.matches)
    }
}

/// All names, repeats included, joined by `, `.
pub(super) fn names(matches: &[Match]) -> String {
    matches.iter().map(|m| &*m.name).collect::<Vec<_>>().join(", ")
}

/// The difference without which there would be no finding; `None` when the reference finds something too.
pub(super) fn difference(matches: &[Match]) -> Option<&'static str> {
    if matches.iter().any(|m| m.difference.is_none()) {
        return None;
    }
    matches.iter().find_map(|m| m.difference)
}

/// What a WebSocket message from the server comes to. spec: response-scan §6.11
#[derive(Debug, Clone, PartialEq)]
pub enum MessageVerdict {
    /// Forward it.
    Pass,
    /// Forward it and report the findings as `ws_scan` with action `warn`.
    Warn(Vec<Match>),
    /// Forward this text instead and report as `ws_scan` with action `strip`.
    Replace(String, Vec<Match>),
    /// Close both sides with 1008 `injection detected`; event `ws_blocked` with this reason.
    Close(String, Vec<Match>),
}

/// What a binary WebSocket message from the server comes to. spec: response-scan §6.11
#[derive(Debug)]
pub struct BinaryJudgement {
    /// What to forward, or the reason to close with 1008 `media blocked`.
    pub message: Result<Bytes, String>,
    /// What to report.
    pub notes: Vec<Note>,
}

impl ResponsePolicy {
    /// Whether findings on this host are only reported. spec: response-scan §6.2
    #[must_use]
    pub fn is_exempt(&self, host: &str) -> bool {
        self.settings.exempt_domains.matches(host.trim_start_matches('[').trim_end_matches(']'))
    }

    /// The action that a finding leads to, and the one it replaces if the session's level raised it.
    pub(super) fn effective_action(&self, head: &Head<'_>, exempt: bool) -> (Action, Option<Action>) {
        let base = if self.settings.enabled { self.settings.action } else { Action::Block };
        if exempt {
            return (Action::Warn, None);
        }
        let e = head.escalation;
        let raised = head.transport != Transport::Reverse
            && match base {
                Action::Block => false,
                Action::Warn => e.block_all || e.upgrade_warn,
                Action::Ask => e.block_all || e.upgrade_ask,
                Action::Strip => e.block_all,
            };
        if raised { (Action::Block, Some(base)) } else { (base, None) }
    }

    /// Scans one text and drops what is suppressed. Suppressed matches are noted.
    pub(super) fn inspect(&self, text: &[u8], head: &Head<'_>, notes: &mut Vec<Note>) -> Inspection {
        let suppresses = head.transport != Transport::WebSocket;
        let Unsuppressed { result, any, dropped } =
            self.unsuppressed(text, if suppresses { head.target } else { "" });
        if dropped > 0 {
            notes.push(Note::Suppressed(dropped));
        }
        let transformed = if result.is_clean() { None } else { self.transformed(text, &result) };
        Inspection { matches: result.matches, any, transformed }
    }

    /// What is found in a text and not suppressed at `target`. The scan ends with the first rules that find something, and so
    /// suppressed findings hide others; not in hardened mode, where the scan goes on without those rules (D-210).
    pub(super) fn unsuppressed(&self, text: &[u8], target: &str) -> Unsuppressed {
        let covered = |rule: &str| self.settings.suppress.covers(rule, target);
        let mut result = self.injection.scan(text);
        let found = result.matches.len();
        result.matches.retain(|m| !covered(&m.name));
        let dropped = found - result.matches.len();
        if dropped > 0 && result.is_clean() && self.hardened() {
            result = self.injection.scan_without(text, &covered);
            result.matches.iter_mut().for_each(|m| m.difference = Some("D-210"));
        }
        Unsuppressed { result, any: found > 0, dropped }
    }

    /// The replacement text exists only under the configured actions that may need it. spec: response-scan §4.8
    fn transformed(&self, text: &[u8], result: &ScanResult) -> Option<String> {
        matches!(self.settings.action, Action::Strip | Action::Ask)
            .then(|| self.injection.transformed(text, result))
            .flatten()
    }

    /// Judges a complete binary message of a WebSocket's server: media policy on what the bytes themselves say they are.
    #[must_use]
    pub fn judge_binary(&self, message: Bytes) -> BinaryJudgement {
        let policy = &self.settings.media;
        let media_type = media::effective_type("", &message);
        let verdict = media::judge(policy, &media_type, &message);
        let exposure = verdict.exposure(policy, &media_type, message.len(), Transport::WebSocket);
        let notes = exposure.map(Note::Media).into_iter().collect();
        let message = match verdict.blocked {
            Some(reason) => Err(reason),
            None => Ok(verdict.stripped.map_or(message, Bytes::from)),
        };
        BinaryJudgement { message, notes }
    }

    /// Judges a complete text message of a WebSocket's server. Suppression does not apply here.
    #[must_use]
    pub fn judge_message(&self, head: &Head<'_>, text: &str, notes: &mut Vec<Note>) -> MessageVerdict {
        let exempt = self.is_exempt(head.host);
        let found = self.inspect(text.as_bytes(), head, notes);
        if found.matches.is_empty() {
            return MessageVerdict::Pass;
        }
        let (action, raised_from) = self.effective_action(head, exempt);
        if let Some(from) = raised_from {
            notes.push(Note::Upgrade { from: from.as_str() });
        }
        let names = found.names();
        match action {
            Action::Warn => MessageVerdict::Warn(found.matches),
            Action::Strip => match found.transformed {
                Some(text) => MessageVerdict::Replace(text, found.matches),
                None => MessageVerdict::Close(
                    format!("injection detected (strip failed): {names}"),
                    found.matches,
                ),
            },
            Action::Block => MessageVerdict::Close(format!("injection detected: {names}"), found.matches),
            Action::Ask => MessageVerdict::Close(
                format!("injection detected (ask not supported for WS): {names}"),
                found.matches,
            ),
        }
    }
}
