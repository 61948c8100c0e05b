//! The verdict on a buffered body. Order: browser shield, media policy, injection scan; what is rewritten by one is what
//! the next one sees. spec: response-scan §6.4, §6.7, §6.8

use std::borrow::Cow;
use std::time::Instant;

use bytes::Bytes;

use super::inspect::{Inspection, difference};
use super::plan::{content_type, refuse};
use super::types::{
    Buffering, Head, HeaderEdits, Judgement, Note, Outcome, Refusal, RefusalLog, Signal, Stage, Transport,
};
use super::{Action, ResponsePolicy, ShieldOversize, media, shield};

/// What the client of a text transport reads when findings block.
const INJECTION: &str = "response contains injection";

impl ResponsePolicy {
    /// Judges a body read as [`super::Plan::Buffer`] asked. `body` is at most `buffering.limit` bytes long.
    #[must_use]
    pub fn judge(&self, head: &Head<'_>, buffering: &Buffering, body: Bytes) -> Judgement {
        let mut case = Case::new(head);
        let outcome = match buffering.stage {
            Stage::ReverseMedia => self.judge_reverse_media(&mut case, body),
            Stage::ReverseText if body.is_empty() => Ok(body),
            Stage::ReverseText => {
                let body = self.shield_small(&mut case, body);
                self.judge_injection(&mut case, body)
            }
            Stage::All => self
                .apply_shield(&mut case, body)
                .and_then(|body| self.apply_media(&mut case, body))
                .and_then(|body| self.judge_injection(&mut case, body)),
        };
        case.finish(outcome)
    }

    /// Reverse listener: an image or a body without a telling type. The reference stops here for both; in hardened mode
    /// what turns out not to be media is scanned like any other text (D-206).
    fn judge_reverse_media(&self, case: &mut Case<'_>, body: Bytes) -> Result<Bytes, Refusal> {
        let declared = media::canonical_type(content_type(case.head.headers));
        let is_media = media::kind(&media::effective_type(&declared, &body)).is_some();
        let body = self.apply_media(case, body)?;
        if is_media || !self.hardened() || !self.settings.enabled || body.is_empty() {
            return Ok(body);
        }
        self.judge_injection(case, body).map_err(|refusal| Refusal { difference: Some("D-206"), ..refusal })
    }

    /// Rewrites a page within the size limit. spec: response-scan §9.1
    pub(super) fn apply_shield(&self, case: &mut Case<'_>, body: Bytes) -> Result<Bytes, Refusal> {
        let settings = &self.settings.shield;
        if !settings.enabled {
            return Ok(body);
        }
        if settings.exempt_hosts.iter().any(|h| h.eq_ignore_ascii_case(case.head.host)) {
            case.notes.push(Note::ShieldSkipped("exempt_domain"));
            return Ok(body);
        }
        let declared = content_type(case.head.headers);
        let Some(pipeline) = shield::Pipeline::select(&declared, &body) else {
            case.notes.push(Note::ShieldSkipped("non_shieldable_content"));
            return Ok(body);
        };
        if body.len() <= settings.max_bytes {
            return Ok(self.rewrite(case, pipeline, &body, &[]));
        }
        case.notes.push(Note::ShieldSkipped("oversize"));
        let text = |action| {
            format!(
                "response body {} bytes exceeds max_shield_bytes {} (action: {action})",
                body.len(),
                settings.max_bytes
            )
        };
        match settings.oversize {
            ShieldOversize::Block => Err(Refusal {
                log: RefusalLog::Blocked { scanner: "shield_oversize", reason: text("block").into() },
                ..refuse(
                    "shield_oversize",
                    "shield_oversize",
                    "response body exceeds browser shield size limit",
                )
            }),
            ShieldOversize::ScanHead => {
                let (first, rest) = body.split_at(settings.max_bytes);
                Ok(self.rewrite(case, pipeline, first, rest))
            }
            ShieldOversize::Warn => {
                case.notes.push(Note::Anomaly {
                    scanner: "shield_oversize",
                    reason: text("warn"),
                    score: 0.0,
                });
                Ok(body)
            }
        }
    }

    /// The reverse listener's shield: anything it does not rewrite passes silently.
    fn shield_small(&self, case: &mut Case<'_>, body: Bytes) -> Bytes {
        let settings = &self.settings.shield;
        let exempt = settings.exempt_hosts.iter().any(|h| h.eq_ignore_ascii_case(case.head.host));
        if !settings.enabled || exempt || body.len() > settings.max_bytes {
            return body;
        }
        match shield::Pipeline::select(&content_type(case.head.headers), &body) {
            Some(pipeline) => self.rewrite(case, pipeline, &body, &[]),
            None => body,
        }
    }

    fn rewrite(&self, case: &mut Case<'_>, pipeline: shield::Pipeline, first: &[u8], rest: &[u8]) -> Bytes {
        let started = Instant::now();
        let nonce = shield::policy_nonce(case.head.headers);
        let (mut page, report) = self.shield.rewrite(pipeline, first, nonce.as_deref());
        page.extend_from_slice(rest);
        let before = first.len() + rest.len();
        if report.changed() {
            case.edits.set_length = true;
            // The reference forgets the validators when only the content changed; a stale one is never right (D-207).
            case.edits.drop_validators |= page.len() != before || self.hardened();
        }
        case.shield_script = report.script.clone();
        case.notes.push(Note::Shield(report, started.elapsed()));
        Bytes::from(page)
    }

    /// Media policy. spec: response-scan §8
    pub(super) fn apply_media(&self, case: &mut Case<'_>, body: Bytes) -> Result<Bytes, Refusal> {
        let policy = &self.settings.media;
        let declared = media::canonical_type(content_type(case.head.headers));
        let effective = media::effective_type(&declared, &body);
        let verdict = media::judge(policy, &effective, &body);
        case.notes
            .extend(verdict.exposure(policy, &effective, body.len(), case.head.transport).map(Note::Media));
        if let Some(reason) = verdict.blocked {
            if case.head.transport == Transport::Connect {
                case.score = Some(Signal::Block);
            }
            return Err(refuse("media_policy", "media_policy", reason));
        }
        match verdict.stripped {
            Some(stripped) => {
                case.edits = HeaderEdits { set_length: true, drop_validators: true, drop_md5: true };
                Ok(Bytes::from(stripped))
            }
            None => Ok(body),
        }
    }

    /// Injection scan with its action. Not for `/fetch`, whose content is scanned in two parts.
    fn judge_injection(&self, case: &mut Case<'_>, body: Bytes) -> Result<Bytes, Refusal> {
        let head = case.head;
        let exempt = self.is_exempt(head.host);
        let scanned = self.without_script(case, &body);
        let found = self.inspect(&scanned, head, &mut case.notes);
        case.prompt_hit |= found.any;
        if found.matches.is_empty() {
            return Ok(body);
        }
        case.finding = true;
        let (action, raised_from) = self.effective_action(head, exempt);
        if let Some(from) = raised_from {
            case.notes.push(Note::Upgrade { from: from.as_str() });
        }
        match action {
            Action::Warn => {
                case.notes.push(Note::Scan { action: "warn", matches: found.matches });
                Ok(body)
            }
            Action::Block | Action::Ask => {
                if head.transport == Transport::Connect {
                    case.score = Some(Signal::Block);
                }
                Err(self.injection_refusal(head.transport, action, &found, ""))
            }
            Action::Strip => {
                if matches!(head.transport, Transport::Forward | Transport::Connect) {
                    case.score = Some(Signal::Strip);
                }
                self.strip(case, found)
            }
        }
    }

    /// Delivers the transformed text, or what the transport does when there is none. spec: response-scan §6.4, O-7
    fn strip(&self, case: &mut Case<'_>, found: Inspection) -> Result<Bytes, Refusal> {
        let transport = case.head.transport;
        let text = match (found.transformed.as_ref(), transport) {
            (Some(text), _) => text.clone(),
            (None, Transport::Connect) => String::new(),
            (None, _) => {
                if transport == Transport::Forward {
                    case.score = None;
                }
                return Err(self.injection_refusal(transport, Action::Block, &found, " (strip failed)"));
            }
        };
        case.edits.set_length = true;
        // Inside a tunnel the reference keeps the validators of the body it replaced (D-207).
        if transport != Transport::Connect || self.hardened() {
            case.edits.drop_validators = true;
            case.edits.drop_md5 = true;
        }
        case.notes.push(Note::Scan { action: "strip", matches: found.matches });
        Ok(Bytes::from(text))
    }

    fn injection_refusal(
        &self,
        transport: Transport,
        action: Action,
        found: &Inspection,
        suffix: &str,
    ) -> Refusal {
        let names = found.names();
        let difference = difference(&found.matches);
        if transport == Transport::Reverse {
            return Refusal {
                difference,
                status: 403,
                reason: format!("injection: {names}").into(),
                as_error: false,
                log: RefusalLog::ResponseScan {
                    action: action.as_str(),
                    count: found.matches.len(),
                    patterns: found.matches.iter().map(|m| m.name.clone()).collect(),
                },
                counter: "injection",
                counted: false,
            };
        }
        Refusal {
            difference,
            log: RefusalLog::Blocked {
                scanner: "response_scan",
                reason: format!("response injection: {names}{suffix}").into(),
            },
            ..refuse("response_scan", "injection", INJECTION)
        }
    }

    /// The text to scan: in hardened mode without the script that the shield has just put in, whose own words would
    /// otherwise complete a finding (O-27).
    pub(super) fn without_script<'b>(&self, case: &Case<'_>, body: &'b [u8]) -> Cow<'b, [u8]> {
        match &case.shield_script {
            Some(range) if self.hardened() && range.end <= body.len() => {
                let mut text = Vec::with_capacity(body.len());
                text.extend_from_slice(&body[..range.start]);
                text.extend_from_slice(&body[range.end..]);
                Cow::Owned(text)
            }
            _ => Cow::Borrowed(body),
        }
    }
}

/// What accumulates while one body is judged.
pub(super) struct Case<'a> {
    pub head: &'a Head<'a>,
    pub notes: Vec<Note>,
    pub edits: HeaderEdits,
    pub score: Option<Signal>,
    pub finding: bool,
    pub prompt_hit: bool,
    /// Where the shield put its script.
    pub shield_script: Option<std::ops::Range<usize>>,
}

impl<'a> Case<'a> {
    pub fn new(head: &'a Head<'a>) -> Self {
        Self {
            head,
            notes: Vec::new(),
            edits: HeaderEdits::default(),
            score: None,
            finding: false,
            prompt_hit: false,
            shield_script: None,
        }
    }

    fn finish(self, outcome: Result<Bytes, Refusal>) -> Judgement {
        Judgement {
            outcome: match outcome {
                Ok(body) => Outcome::Deliver { body, edits: self.edits },
                Err(refusal) => Outcome::Refuse(refusal),
            },
            notes: self.notes,
            score: self.score,
            finding: self.finding,
            prompt_hit: self.prompt_hit,
        }
    }
}
