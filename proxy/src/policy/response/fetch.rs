//! `/fetch`: a page is judged in two parts, what a reader does not see and what is returned, and the operator may be
//! asked. The extraction of the main content is the caller's; this module says what follows from its result.
//! spec: response-scan §6.5, §6.6, §6.10

use bytes::Bytes;
use muselet_rules::injection::Match;

use super::inspect::difference;
use super::judge::Case;
use super::plan::{content_type, refuse};
use super::types::{Head, Note, Refusal, RefusalLog, Signal};
use super::{Action, ResponsePolicy, hidden};

/// What extracting the main content of a page gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extraction {
    /// Title and plain text; the text may be empty.
    Text {
        /// The page's title.
        title: String,
        /// Its text.
        content: String,
    },
    /// It failed, with the error's text.
    Failed(String),
}

/// What would be put to the operator. spec: response-scan §6.10
#[derive(Debug, Clone, PartialEq)]
pub struct Question(Vec<Match>);

impl Question {
    /// The refusal if there is nobody to ask: the action was not `ask` when the program started.
    #[must_use]
    pub fn no_approver(&self) -> Refusal {
        let names = super::inspect::names(&self.0);
        injection(format!("response contains prompt injection: {names} (no HITL approver)"), &self.0)
    }

    /// What no answer leads to.
    #[must_use]
    pub fn unanswered(&self) -> Refusal {
        injection(format!("response blocked by operator: {}", super::inspect::names(&self.0)), &self.0)
    }
}

/// What `/fetch` answers.
#[derive(Debug)]
pub enum FetchOutcome {
    /// The answer's fields.
    Deliver {
        /// Field `content`; omitted when empty.
        content: String,
        /// Field `title`.
        title: Option<String>,
        /// Bytes after shield and media policy, for the event `allowed`.
        size: usize,
    },
    /// A refusal.
    Refuse(Refusal),
    /// The operator decides.
    Ask(Question),
}

/// A decision with what is to be reported, as for the other transports.
#[derive(Debug)]
pub struct FetchJudgement {
    /// What to answer.
    pub outcome: FetchOutcome,
    /// What to report before it.
    pub notes: Vec<Note>,
    /// Points for the adaptive score; a refusal by the operator adds [`Signal::Block`].
    pub scores: Vec<Signal>,
    /// An unsuppressed finding.
    pub finding: bool,
    /// The source is hostile.
    pub prompt_hit: bool,
}

/// The refusal, or the content still to be judged.
enum Stage {
    Done(FetchOutcome),
    Scan { content: String, title: Option<String>, size: usize },
}

impl ResponsePolicy {
    /// Judges a fetched body. `extract` is called for HTML with the body after shield and media policy.
    #[must_use]
    pub fn judge_fetch(
        &self,
        head: &Head<'_>,
        body: Bytes,
        extract: impl FnOnce(&[u8]) -> Extraction,
    ) -> FetchJudgement {
        let mut case = Case::new(head);
        let mut scores = Vec::new();
        let rewritten = self.apply_shield(&mut case, body).and_then(|b| self.apply_media(&mut case, b));
        let outcome = match rewritten {
            Err(refusal) => FetchOutcome::Refuse(refusal),
            Ok(body) => match self.before_content(&mut case, &mut scores, &body, extract) {
                Stage::Done(outcome) => outcome,
                Stage::Scan { content, title, size } => {
                    self.judge_content(&mut case, &mut scores, content, title, size)
                }
            },
        };
        FetchJudgement {
            outcome,
            notes: case.notes,
            scores,
            finding: case.finding,
            prompt_hit: case.prompt_hit,
        }
    }

    /// Hidden fragments and extraction.
    fn before_content(
        &self,
        case: &mut Case<'_>,
        scores: &mut Vec<Signal>,
        body: &[u8],
        extract: impl FnOnce(&[u8]) -> Extraction,
    ) -> Stage {
        let size = body.len();
        let raw = || String::from_utf8_lossy(body).into_owned();
        let declared = content_type(case.head.headers);
        if !declared.contains("text/html") && !declared.contains("application/xhtml") {
            return Stage::Scan { content: raw(), title: None, size };
        }
        let mut hidden_hit = false;
        if self.settings.enabled {
            let fragments = hidden::fragments(&self.without_script(case, body));
            let found = self.inspect(&fragments, case.head, &mut case.notes);
            if !fragments.is_empty() && !found.matches.is_empty() {
                hidden_hit = true;
                match self.act(case, scores, found.matches, found.transformed) {
                    Acted::Refuse(refusal) => {
                        return Stage::Done(FetchOutcome::Refuse(Refusal { counted: false, ..refusal }));
                    }
                    Acted::Ask(question) => return Stage::Done(FetchOutcome::Ask(question)),
                    Acted::Keep | Acted::Replace(_) => case.prompt_hit = true,
                }
            }
        }
        let (title, content) = match extract(body) {
            Extraction::Text { title, content } => (Some(title), content),
            Extraction::Failed(error) => {
                case.notes.push(Note::Anomaly {
                    scanner: "",
                    reason: format!("readability extraction failed: {error}"),
                    score: 0.3,
                });
                (None, String::new())
            }
        };
        if !content.is_empty() {
            return Stage::Scan { content, title, size };
        }
        if hidden_hit {
            let reason = "hidden injection detected and readability extraction failed (fail-closed)";
            return Stage::Done(FetchOutcome::Refuse(refuse("response_scan", "injection", reason)));
        }
        Stage::Scan { content: raw(), title: None, size }
    }

    fn judge_content(
        &self,
        case: &mut Case<'_>,
        scores: &mut Vec<Signal>,
        content: String,
        title: Option<String>,
        size: usize,
    ) -> FetchOutcome {
        let title = match self.judge_title(case, scores, title) {
            Ok(title) => title,
            Err(outcome) => return *outcome,
        };
        let found = self.inspect(content.as_bytes(), case.head, &mut case.notes);
        if found.matches.is_empty() {
            return FetchOutcome::Deliver { content, title, size };
        }
        case.prompt_hit = true;
        match self.act(case, scores, found.matches, found.transformed) {
            Acted::Refuse(refusal) => FetchOutcome::Refuse(refusal),
            Acted::Ask(question) => FetchOutcome::Ask(question),
            Acted::Keep => FetchOutcome::Deliver { content, title, size },
            Acted::Replace(content) => FetchOutcome::Deliver { content, title, size },
        }
    }

    /// The reference returns the title as it is; the hardened mode judges it like the content (D-213).
    fn judge_title(
        &self,
        case: &mut Case<'_>,
        scores: &mut Vec<Signal>,
        title: Option<String>,
    ) -> Result<Option<String>, Box<FetchOutcome>> {
        let Some(shown) = title.as_deref().filter(|title| self.hardened() && !title.is_empty()) else {
            return Ok(title);
        };
        let found = self.inspect(shown.as_bytes(), case.head, &mut case.notes);
        if found.matches.is_empty() {
            return Ok(title);
        }
        case.prompt_hit = true;
        match self.act(case, scores, found.matches, found.transformed) {
            Acted::Refuse(refusal) => {
                Err(Box::new(FetchOutcome::Refuse(Refusal { difference: Some("D-213"), ..refusal })))
            }
            Acted::Ask(question) => Err(Box::new(FetchOutcome::Ask(question))),
            Acted::Keep => Ok(title),
            Acted::Replace(title) => Ok(Some(title)),
        }
    }

    /// What the action makes of a finding.
    fn act(
        &self,
        case: &mut Case<'_>,
        scores: &mut Vec<Signal>,
        matches: Vec<Match>,
        transformed: Option<String>,
    ) -> Acted {
        case.finding = true;
        let exempt = self.is_exempt(case.head.host);
        let (action, raised_from) = self.effective_action(case.head, exempt);
        if let Some(from) = raised_from {
            case.notes.push(Note::Upgrade { from: from.as_str() });
        }
        match action {
            Action::Warn => {
                if !exempt {
                    scores.push(Signal::NearMiss);
                }
                case.notes.push(Note::Scan { action: "warn", matches });
                Acted::Keep
            }
            Action::Strip => {
                scores.push(Signal::Strip);
                case.notes.push(Note::Scan { action: "strip", matches });
                Acted::Replace(transformed.unwrap_or_default())
            }
            Action::Block => {
                scores.push(Signal::Block);
                let names = super::inspect::names(&matches);
                Acted::Refuse(injection(format!("response contains prompt injection: {names}"), &matches))
            }
            Action::Ask => Acted::Ask(Question(matches)),
        }
    }
}

enum Acted {
    Keep,
    Replace(String),
    Refuse(Refusal),
    Ask(Question),
}

/// A 403 by the injection scan.
fn injection(reason: String, matches: &[Match]) -> Refusal {
    Refusal {
        difference: difference(matches),
        log: RefusalLog::Blocked { scanner: "response_scan", reason: reason.clone().into() },
        ..refuse("response_scan", "injection", reason)
    }
}
