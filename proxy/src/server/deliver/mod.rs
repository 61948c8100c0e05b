//! What becomes of an origin's response: asked of the policy, recorded, turned into an answer.
//!
//! The forward path and the intercepting path share this; they differ in what is counted and in what happens after a body that
//! was not read to its end, and [`ResponsePolicy`] knows the order of checks for each. A body is held once: frames are
//! joined only when there is more than one, and the judgement gives the same bytes back unless it rewrote them.
//!
//! spec: tls-and-request-bodies §11, response-scan §6.7, §7, §11

mod notes;
mod stream;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body as HttpBody;
use http_body_util::BodyExt;

pub(super) use notes::{record as record_notes, record_refusal};

use super::answer::{self, Answer, Body};
use super::exchange::Exchange;
use super::offload::Offload;
use super::report;
use super::room::{Lease, NoRoom, Room};
use super::scrub;
use super::wire::KeepLength;
use crate::Strictness;
use crate::events::Event;
use crate::policy::response::{
    self as policy, Buffering, Head, HeaderEdits, Judgement, Outcome, Over, Plan, Refusal, RefusalLog,
    ResponsePolicy, Transport,
};
use crate::policy::session::Signal;

const DIGEST: HeaderName = HeaderName::from_static("digest");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// What is wrong with a 101 that nobody asked for (D-515).
pub(super) const UNASKED_SWITCH: &str = "origin switched protocols unasked";

/// Where a response comes from and how it is judged.
pub(super) struct Delivery<'a> {
    pub exchange: &'a Exchange,
    pub policy: &'a Arc<ResponsePolicy>,
    pub offload: &'a Offload,
    /// Where the memory of its body is counted.
    pub room: &'a Room,
    pub transport: Transport,
    /// Host that exemptions are matched with, without port: of the last redirect, if there were any.
    pub host: &'a str,
    /// Host that refusals are counted for: of the request.
    pub counted_for: &'a str,
}

/// What the client gets, and what is to be accounted for.
pub(super) struct Delivered {
    pub answer: Answer,
    pub kind: Kind,
}

/// How a response ended up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Refused and recorded.
    Refused,
    /// Delivered whole.
    Whole {
        /// Bytes that came from the origin.
        received: u64,
        /// Bytes that go to the client.
        delivered: u64,
    },
    /// Delivered as it comes.
    Streamed,
}

impl Delivery<'_> {
    fn head<'h>(&'h self, headers: &'h HeaderMap) -> Head<'h> {
        Head {
            transport: self.transport,
            host: self.host,
            target: &self.exchange.url,
            headers,
            escalation: self.exchange.escalation(),
        }
    }

    /// Takes a response through plan, reading and judgement. Of a stream, `at_end` runs when it has ended cleanly, and `hostile`
    /// when an injection is first found in it.
    pub(super) async fn run<B>(
        self,
        response: Response<B>,
        at_end: impl FnOnce(&Exchange) + Send + 'static,
        hostile: impl FnOnce(&Exchange) + Send + 'static,
    ) -> Delivered
    where
        B: HttpBody<Data = Bytes, Error = io::Error> + Send + Unpin + 'static,
    {
        let (parts, body) = response.into_parts();
        let planned = self.policy.plan(&self.head(&parts.headers));
        record_notes(self.exchange, self.transport, self.host, &planned.notes);
        match planned.plan {
            Plan::Refuse(refusal) => self.refuse(&refusal),
            Plan::Pass => self.pass(parts.status, parts.headers, body),
            Plan::Stream(scanner) => {
                let stream = stream::Scanned::new(
                    scanner,
                    body,
                    self.exchange.clone(),
                    self.transport,
                    stream::Hooks {
                        counted_for: self.counted_for.to_owned(),
                        at_end: Box::new(at_end),
                        hostile: Some(Box::new(hostile)),
                    },
                );
                let body = stream.into_body().await;
                let mut headers = parts.headers;
                headers.remove(CONTENT_LENGTH);
                self.deliver(parts.status, headers, body, Kind::Streamed)
            }
            Plan::Buffer(buffering) => self.buffer(parts.status, parts.headers, body, buffering).await,
        }
    }

    fn pass<B>(&self, status: StatusCode, headers: HeaderMap, body: B) -> Delivered
    where
        B: HttpBody<Data = Bytes, Error = io::Error> + Send + Unpin + 'static,
    {
        let body = if body.is_end_stream() { Body::Empty } else { Body::Stream(body.boxed_unsync()) };
        self.deliver(status, headers, body, Kind::Streamed)
    }

    async fn buffer<B>(
        &self,
        status: StatusCode,
        mut headers: HeaderMap,
        body: B,
        buffering: Buffering,
    ) -> Delivered
    where
        B: HttpBody<Data = Bytes, Error = io::Error> + Unpin,
    {
        let limit = usize::try_from(buffering.limit).unwrap_or(usize::MAX);
        let mut lease = self.room.lease_for(&body, limit);
        let (body, longer) = match read(body, limit, &mut lease).await {
            Ok(read) => read,
            Err(ReadError::Io(error)) => return self.unreadable(&buffering.read_error, &error),
            Err(ReadError::Room(why)) => {
                return Delivered { answer: report::no_room(self.exchange, why), kind: Kind::Refused };
            }
        };
        let kept = lease.keep();
        let body = kept.tie(body);
        if longer && let Over::Refuse(refusal, note) = &buffering.over {
            record_notes(self.exchange, self.transport, self.host, note.as_slice());
            return self.refuse(refusal);
        }
        let received = body.len() as u64;
        let length = body.len();
        let judgement = if Offload::is_in_place(length) {
            Ok(self.policy.judge(&self.head(&headers), &buffering, body))
        } else {
            let (policy, host, target) =
                (Arc::clone(self.policy), self.host.to_owned(), Arc::clone(&self.exchange.url));
            let (transport, headers) = (self.transport, headers.clone());
            let escalation = self.exchange.escalation();
            let judge = move || {
                let head = Head { transport, host: &host, target: &target, headers: &headers, escalation };
                policy.judge(&head, &buffering, body)
            };
            self.offload.run(length, judge).await
        };
        let Ok(judgement) = judgement else {
            // The scan did not come back: what was not judged is not delivered.
            return self.abandoned();
        };
        record_notes(self.exchange, self.transport, self.host, &judgement.notes);
        note_findings(self.exchange, &judgement);
        match judgement.outcome {
            Outcome::Refuse(refusal) => self.refuse(&refusal),
            Outcome::Deliver { body, edits } => {
                apply(&mut headers, edits, body.len());
                let sent = body.len() as u64;
                // The reference drops the length of an answer to HEAD, which is all that the client asks for (D-529).
                let of_head = self.exchange.shared.fixed.strictness == Strictness::Hardened
                    && &*self.exchange.method == "HEAD";
                let keep =
                    (self.transport == Transport::Connect || of_head) && headers.contains_key(CONTENT_LENGTH);
                let body = kept.tie(body).into();
                let mut delivered =
                    self.deliver(status, headers, body, Kind::Whole { received, delivered: sent });
                if keep {
                    delivered.answer.extensions_mut().insert(KeepLength);
                }
                delivered
            }
        }
    }

    fn deliver(&self, status: StatusCode, mut headers: HeaderMap, body: Body, kind: Kind) -> Delivered {
        scrub::strip_hop_by_hop(&mut headers);
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Delivered { answer, kind }
    }

    /// Where a failed read is an `error` in the log, the log says why.
    fn unreadable(&self, refusal: &Refusal, error: &io::Error) -> Delivered {
        if refusal.log != RefusalLog::Error {
            return self.refuse(refusal);
        }
        record_error(self.exchange, &error.to_string());
        if self.transport == Transport::Reverse {
            self.exchange.shared.events.metrics().reverse_blocked("response", refusal.counter);
        }
        self.answer(refusal)
    }

    fn abandoned(&self) -> Delivered {
        let refusal = Refusal {
            status: 403,
            reason: "response read error".into(),
            as_error: false,
            log: RefusalLog::Error,
            counter: "read_error",
            counted: false,
            difference: None,
        };
        self.refuse(&refusal)
    }

    /// Records a refusal and makes the answer: JSON on the reverse listener, text elsewhere.
    fn refuse(&self, refusal: &Refusal) -> Delivered {
        record_refusal(self.exchange, self.transport, self.counted_for, refusal);
        self.answer(refusal)
    }

    fn answer(&self, refusal: &Refusal) -> Delivered {
        if self.transport == Transport::Reverse {
            return Delivered { answer: super::reverse::response_refusal(refusal), kind: Kind::Refused };
        }
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::FORBIDDEN);
        Delivered {
            answer: answer::text(status, &format!("blocked: {}", refusal.reason)),
            kind: Kind::Refused,
        }
    }
}

/// What a judgement means for the session. (spec: http-proxy §11.3, §11.6)
pub(super) fn note_findings(exchange: &Exchange, judgement: &Judgement) {
    if judgement.finding {
        exchange.findings.mark();
    }
    if judgement.prompt_hit {
        exchange.findings.mark_hostile();
    }
    if let Some(score) = judgement.score {
        exchange.signal(session_signal(score));
    }
}

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Room(#[from] NoRoom),
}

/// Up to `limit` bytes of a body, and whether there are more.
pub(super) async fn read<B>(mut body: B, limit: usize, lease: &mut Lease) -> Result<(Bytes, bool), ReadError>
where
    B: HttpBody<Data = Bytes, Error = io::Error> + Unpin,
{
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = lease.unless_given_up(body.frame()).await? {
        // Trailers are dropped, as by the reference: nobody looked at them.
        let Ok(data) = frame?.into_data() else { continue };
        let held = first.len() + rest.len();
        let data_fits = data.len().min(limit - held);
        lease.cover(held + data_fits).await?;
        let kept = data.slice(..data_fits);
        if first.is_empty() {
            first = kept;
        } else {
            rest.extend_from_slice(&kept);
        }
        if data_fits < data.len() {
            return Ok((join(first, rest), true));
        }
    }
    Ok((join(first, rest), false))
}

/// Most bodies come in one frame and are not copied.
fn join(first: Bytes, rest: BytesMut) -> Bytes {
    if rest.is_empty() {
        return first;
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    whole.freeze()
}

fn apply(headers: &mut HeaderMap, edits: HeaderEdits, length: usize) {
    if edits.set_length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if edits.drop_validators {
        headers.remove(ETAG);
        headers.remove(DIGEST);
    }
    if edits.drop_md5 {
        headers.remove(CONTENT_MD5);
    }
}

/// A response's points as evidence against the session.
pub(super) fn session_signal(score: policy::Signal) -> Signal {
    match score {
        policy::Signal::Block => Signal::Block,
        policy::Signal::Strip => Signal::Strip,
        policy::Signal::NearMiss => Signal::NearMiss,
    }
}

/// Records an `error` about an exchange.
pub(super) fn record_error(exchange: &Exchange, error: &str) {
    exchange.record(&Event::Error { ctx: exchange.context(), error });
}

/// The data budget of a domain counts what came from it.
pub(super) fn account(exchange: &Exchange, host: &str, bytes: u64) {
    exchange.policy.url.record_transfer(&host.to_ascii_lowercase(), bytes, Instant::now());
}
