//! What goes into a decision about a response and what comes out: plain values, so that any transport can ask and any
//! test can answer. The server acts on [`Outcome`] and [`Refusal`]; the events module turns [`Note`]s into log lines and
//! counters. spec: response-scan §6, §11

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use muselet_rules::injection::Match;

use super::media::MediaExposure;
use super::sse::SseScanner;

/// The way a response takes to the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `/fetch`.
    Fetch,
    /// Absolute-form plain requests.
    Forward,
    /// Inside an intercepted tunnel.
    Connect,
    /// The reverse proxy listener.
    Reverse,
    /// Server-to-client messages of `/ws`.
    WebSocket,
}

impl Transport {
    /// The label in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Forward => "forward",
            Self::Connect => "connect",
            Self::Reverse => "reverse",
            Self::WebSocket => "websocket",
        }
    }
}

/// What adaptive enforcement asks for at the session's level; all false below level 1. spec: response-scan §6.1
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Escalation {
    /// The level blocks everything.
    pub block_all: bool,
    /// `upgrade_warn` is `block`.
    pub upgrade_warn: bool,
    /// `upgrade_ask` is `block`.
    pub upgrade_ask: bool,
}

/// What is known about a response before its body.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The way it takes.
    pub transport: Transport,
    /// Host that exemptions are matched with: the final one after redirects (fetch, forward), the CONNECT host, the
    /// WebSocket target or the reverse upstream. Without port.
    pub host: &'a str,
    /// URL that `suppress` paths are matched with. spec: response-scan §6.3
    pub target: &'a str,
    /// Upstream's headers.
    pub headers: &'a HeaderMap,
    /// The session's level.
    pub escalation: Escalation,
}

/// How to treat the body, decided on the head alone.
#[derive(Debug)]
pub enum Plan {
    /// Answer with this instead; do not read the body.
    Refuse(Refusal),
    /// Deliver the body unread.
    Pass,
    /// Feed the body to the scanner and deliver what it releases.
    Stream(Box<SseScanner>),
    /// Read the body up to a limit, then ask [`super::ResponsePolicy::judge`].
    Buffer(Buffering),
}

/// A plan with what is to be reported whatever follows.
#[derive(Debug)]
pub struct Planned {
    /// What to do.
    pub plan: Plan,
    /// What to report now.
    pub notes: Vec<Note>,
}

/// How a body is to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Buffering {
    /// Most bytes to keep. To see whether a body is longer, one byte more has to be read.
    pub limit: u64,
    /// What a longer body means.
    pub over: Over,
    /// What a failed read means.
    pub read_error: Refusal,
    pub(super) stage: Stage,
}

/// What a body longer than the limit means.
#[derive(Debug, Clone, PartialEq)]
pub enum Over {
    /// It is cut at the limit, and the part before it judged and delivered.
    Cut,
    /// It is refused, with something to report beside the refusal.
    Refuse(Refusal, Option<Note>),
}

/// Which checks a buffered body goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Shield, media, injection.
    All,
    /// Reverse proxy: media only.
    ReverseMedia,
    /// Reverse proxy: shield within its size, injection.
    ReverseText,
}

/// A decision about a whole body.
#[derive(Debug)]
pub struct Judgement {
    /// What the client gets.
    pub outcome: Outcome,
    /// What is to be reported, in order, before the outcome itself.
    pub notes: Vec<Note>,
    /// Points for the adaptive score. spec: response-scan §6.13
    pub score: Option<Signal>,
    /// An unsuppressed finding: the request does not count as clean.
    pub finding: bool,
    /// The source is hostile, for the taint record. spec: response-scan §10
    pub prompt_hit: bool,
}

/// What the client gets.
#[derive(Debug)]
pub enum Outcome {
    /// The body, possibly rewritten.
    Deliver {
        /// Bytes to send.
        body: Bytes,
        /// What has to change in the headers because of the rewriting.
        edits: HeaderEdits,
    },
    /// An answer of ours.
    Refuse(Refusal),
}

/// Header changes that a rewritten body needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// `Content-Length` is to be the new length.
    pub set_length: bool,
    /// Remove `ETag` and `Digest`.
    pub drop_validators: bool,
    /// Remove `Content-MD5`.
    pub drop_md5: bool,
}

/// Points for the adaptive score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// +3.
    Block,
    /// +2.
    Strip,
    /// +1.
    NearMiss,
}

/// A response that the client does not get.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// HTTP status of our answer.
    pub status: u16,
    /// The reason as the client reads it: after `blocked: ` in texts, as `block_reason` in JSON.
    pub reason: Cow<'static, str>,
    /// On `/fetch` the reason is the field `error` instead and nothing counts as blocked.
    pub as_error: bool,
    /// How it is logged.
    pub log: RefusalLog,
    /// The `reason` label of `tls_response_blocked_total` and `reverse_proxy_scan_blocked_total`.
    pub counter: &'static str,
    /// Whether fetch and forward count it in `scanner_hits_total` under the scanner's label.
    pub counted: bool,
    /// Id of the listed difference without which it would not be refused.
    pub difference: Option<&'static str>,
}

impl Refusal {
    /// A refusal inside an intercepted tunnel that the transport itself has to make.
    #[must_use]
    pub fn in_tunnel(counter: &'static str, reason: &'static str) -> Self {
        let log = RefusalLog::Blocked { scanner: "tls_response_blocked", reason: reason.into() };
        Self {
            status: 403,
            reason: reason.into(),
            as_error: false,
            log,
            counter,
            counted: false,
            difference: None,
        }
    }
}

/// How a refusal is logged. spec: response-scan §6.4, §11.1
#[derive(Debug, Clone, PartialEq)]
pub enum RefusalLog {
    /// Event `blocked`.
    Blocked {
        /// Label.
        scanner: &'static str,
        /// Text.
        reason: Cow<'static, str>,
    },
    /// Event `response_scan` (reverse proxy).
    ResponseScan {
        /// `block` or `ask`.
        action: &'static str,
        /// Number of matches.
        count: usize,
        /// Rule names, or what else was found.
        patterns: Vec<Arc<str>>,
    },
    /// Event `error`.
    Error,
}

/// Something to report that does not decide. spec: response-scan §11
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// Event `response_scan_exempt`, counter with reason `exempt_domain`.
    Exempt,
    /// Counter with reason `suppress`, that many times.
    Suppressed(usize),
    /// Event `response_scan` for a response that is delivered.
    Scan {
        /// `warn`, `strip`, `ask:allow`, `ask:strip`.
        action: &'static str,
        /// The findings.
        matches: Vec<Match>,
    },
    /// Event `adaptive_upgrade` with scanner `response_scan`.
    Upgrade {
        /// Action before.
        from: &'static str,
    },
    /// Event `media_exposure`.
    Media(MediaExposure),
    /// Events `shield_rewrite`, counters of the shield.
    Shield(super::shield::Report, Duration),
    /// Counter `shield_skipped_total`.
    ShieldSkipped(&'static str),
    /// Event `anomaly`.
    Anomaly {
        /// Label.
        scanner: &'static str,
        /// Text.
        reason: String,
        /// 0.0-1.0.
        score: f64,
    },
}
