//! What to do with a response before its body is read. Every transport has its own order of checks; each is one function
//! that reads like the specification's list. spec: response-scan §6.5-6.8, §7.1, §8.2

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::ResponsePolicy;
use super::media::{self, MediaExposure};
use super::sse::SseScanner;
use super::types::{Buffering, Head, Note, Over, Plan, Planned, Refusal, RefusalLog, Stage, Transport};

/// Limit of a body on the reverse listener, bytes. spec: response-scan §5
const REVERSE_LIMIT: u64 = 1_048_576;

const COMPRESSED: &str = "compressed response cannot be scanned";
const TOO_LARGE: &str = "response too large for scanning";

impl ResponsePolicy {
    /// Decides how the body is to be read.
    #[must_use]
    pub fn plan(self: &Arc<Self>, head: &Head<'_>) -> Planned {
        let mut notes = Vec::new();
        let plan = match head.transport {
            Transport::Fetch => self.plan_fetch(head, &mut notes),
            Transport::Forward => self.plan_forward(head, &mut notes),
            Transport::Connect => self.plan_connect(head, &mut notes),
            Transport::Reverse => self.plan_reverse(head, &mut notes),
            // Messages are judged one by one; the handshake's answer has no body.
            Transport::WebSocket => Plan::Pass,
        };
        Planned { plan, notes }
    }

    fn plan_fetch(&self, head: &Head<'_>, notes: &mut Vec<Note>) -> Plan {
        if self.is_compressed(head.headers) {
            return Plan::Refuse(self.compressed(head, refuse("response_scan", "compressed", COMPRESSED)));
        }
        self.note_exempt(head, notes);
        let limit = self.settings.max_response_bytes;
        let reason = format!("response size {} exceeds max_response_mb {limit}", limit.saturating_add(1));
        let over = Refusal { status: 502, ..refuse("response_size", "oversized", reason) };
        Plan::Buffer(Buffering {
            limit,
            over: Over::Refuse(over, None),
            read_error: Refusal {
                status: 502,
                as_error: true,
                log: RefusalLog::Error,
                counted: false,
                ..refuse("response_scan", "read_error", "reading response")
            },
            stage: Stage::All,
        })
    }

    fn plan_forward(self: &Arc<Self>, head: &Head<'_>, notes: &mut Vec<Note>) -> Plan {
        self.note_exempt(head, notes);
        if self.is_event_stream(head.headers) {
            if self.is_compressed(head.headers) {
                let text = "compressed sse_stream response cannot be scanned";
                return Plan::Refuse(self.compressed(head, refuse("sse_stream", "sse_stream", text)));
            }
            return self.stream(head);
        }
        if self.is_compressed(head.headers) {
            return Plan::Refuse(self.compressed(head, refuse("response_scan", "compressed", COMPRESSED)));
        }
        // The reference delivers the first part as if it were all (D-517).
        let over = match self.hardened() {
            true => Over::Refuse(refuse("response_scan", "oversized", TOO_LARGE), None),
            false => Over::Cut,
        };
        Plan::Buffer(Buffering {
            limit: self.settings.max_response_bytes,
            over,
            read_error: Refusal {
                log: RefusalLog::Error,
                counted: false,
                ..refuse("response_scan", "read_error", "response read error")
            },
            stage: Stage::All,
        })
    }

    fn plan_connect(self: &Arc<Self>, head: &Head<'_>, notes: &mut Vec<Note>) -> Plan {
        const SCANNER: &str = "tls_response_blocked";
        if self.is_compressed(head.headers) {
            return Plan::Refuse(self.compressed(head, refuse(SCANNER, "compressed", COMPRESSED)));
        }
        self.note_exempt(head, notes);
        if self.is_event_stream(head.headers) {
            return self.stream(head);
        }
        Plan::Buffer(Buffering {
            limit: self.settings.max_intercepted_bytes,
            over: Over::Refuse(refuse(SCANNER, "oversized", TOO_LARGE), None),
            read_error: refuse(SCANNER, "read_error", "response read error"),
            stage: Stage::All,
        })
    }

    fn plan_reverse(self: &Arc<Self>, head: &Head<'_>, notes: &mut Vec<Note>) -> Plan {
        let media_type = media::canonical_type(content_type(head.headers));
        let kind = media::kind(&media_type);
        let generic = media::is_generic(&media_type);
        let policy = &self.settings.media;
        if policy.enabled && (kind.is_some() || generic) {
            if matches!(kind, Some(media::Kind::Audio | media::Kind::Video)) {
                let verdict = media::judge(policy, &media_type, &[]);
                notes.extend(verdict.exposure(policy, &media_type, 0, Transport::Reverse).map(Note::Media));
                return match verdict.blocked {
                    Some(reason) => Plan::Refuse(refuse("media_policy", "media_policy", reason)),
                    None => Plan::Pass,
                };
            }
            return Plan::Buffer(self.reverse_media(&media_type));
        }
        if kind.is_some() || !self.settings.enabled {
            return Plan::Pass;
        }
        self.note_exempt(head, notes);
        if self.is_compressed(head.headers) {
            let refusal = reverse_refusal("compressed", COMPRESSED, Some("compressed_response"));
            return Plan::Refuse(self.compressed(head, refusal));
        }
        if self.is_event_stream(head.headers) {
            return self.stream(head);
        }
        Plan::Buffer(Buffering {
            limit: REVERSE_LIMIT,
            over: Over::Refuse(
                reverse_refusal("oversized", "response exceeds scanning limit", Some("oversized_response")),
                None,
            ),
            read_error: reverse_refusal("read_error", "response read error", None),
            stage: Stage::ReverseText,
        })
    }

    /// Images and bodies of unknown type on the reverse listener.
    fn reverse_media(&self, media_type: &str) -> Buffering {
        let limit = self.settings.media.max_image_bytes as u64;
        let size = limit.saturating_add(1);
        let reason = format!("media_policy: image size {size} exceeds limit {limit}");
        let exposure = MediaExposure {
            transport: Transport::Reverse,
            content_type: media_type.to_owned(),
            format: None,
            size: usize::try_from(size).unwrap_or(usize::MAX),
            segments_removed: 0,
            bytes_removed: 0,
            blocked: Some(reason.clone()),
        };
        Buffering {
            limit,
            over: Over::Refuse(refuse("media_policy", "media_policy", reason), Some(Note::Media(exposure))),
            read_error: Refusal {
                log: RefusalLog::Error,
                ..refuse("media_policy", "read_error", "media response read error")
            },
            stage: Stage::ReverseMedia,
        }
    }

    fn stream(self: &Arc<Self>, head: &Head<'_>) -> Plan {
        if self.settings.sse.enabled {
            let exempt = self.is_exempt(head.host);
            Plan::Stream(Box::new(SseScanner::new(Arc::clone(self), head.target.to_owned(), exempt)))
        } else {
            Plan::Pass
        }
    }

    fn note_exempt(&self, head: &Head<'_>, notes: &mut Vec<Note>) {
        if self.is_exempt(head.host) {
            notes.push(Note::Exempt);
        }
    }

    /// An event stream that the stream scanner is responsible for.
    fn is_event_stream(&self, headers: &HeaderMap) -> bool {
        const PREFIX: &str = "text/event-stream";
        let value = content_type(headers);
        let value = value.trim();
        self.settings.enabled
            && value.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    }

    /// Whether a content coding other than `identity` is in force. The reference looks at the first header line only;
    /// the others count as well in hardened mode (D-203).
    fn is_compressed(&self, headers: &HeaderMap) -> bool {
        coded_lines(headers).take(if self.hardened() { usize::MAX } else { 1 }).any(|coded| coded)
    }

    /// The refusal of a compressed response, with the difference it rests on.
    fn compressed(&self, head: &Head<'_>, refusal: Refusal) -> Refusal {
        let first = coded_lines(head.headers).next().unwrap_or_default();
        Refusal { difference: (!first).then_some("D-203"), ..refusal }
    }
}

/// For each `Content-Encoding` line whether it names a coding other than `identity`.
fn coded_lines(headers: &HeaderMap) -> impl Iterator<Item = bool> {
    headers.get_all(CONTENT_ENCODING).iter().map(|line| {
        String::from_utf8_lossy(line.as_bytes())
            .split(',')
            .map(str::trim)
            .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
    })
}

/// The first `Content-Type` line; empty when there is none.
pub(super) fn content_type(headers: &HeaderMap) -> Cow<'_, str> {
    headers.get(CONTENT_TYPE).map_or(Cow::Borrowed(""), |value| String::from_utf8_lossy(value.as_bytes()))
}

/// A 403 that is logged as `blocked` with the reason that the client reads.
pub(super) fn refuse(
    scanner: &'static str,
    counter: &'static str,
    reason: impl Into<Cow<'static, str>>,
) -> Refusal {
    let reason = reason.into();
    Refusal {
        status: 403,
        log: RefusalLog::Blocked { scanner, reason: reason.clone() },
        reason,
        as_error: false,
        counter,
        counted: true,
        difference: None,
    }
}

/// A refusal of the reverse listener's injection part; `pattern` is what its `response_scan` event names.
fn reverse_refusal(counter: &'static str, what: &str, pattern: Option<&str>) -> Refusal {
    let log = match pattern {
        Some(pattern) => {
            RefusalLog::ResponseScan { action: "block", count: 0, patterns: vec![Arc::from(pattern)] }
        }
        None => RefusalLog::Error,
    };
    Refusal {
        status: 403,
        reason: format!("injection: {what}").into(),
        as_error: false,
        log,
        counter,
        counted: false,
        difference: None,
    }
}
