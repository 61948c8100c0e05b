//! gRPC answers: a stream of length-prefixed messages, each judged and passed on by itself.
//!
//! The reference holds a whole answer back until it ends and drops its trailers, so no gRPC call survives it (§20 O26). Here each
//! message goes through the same judgement as a whole body would, and reaches the client as soon as it is whole; one
//! that is refused, compressed or larger than `tls_interception.max_response_bytes` ends the stream with an error. Requests need no
//! such care: they are judged as bodies like all others, and their trailers with them. A call whose client waits for answers
//! before it has sent all its messages therefore does not work.
//!
//! gRPC clients show their users nothing of an answer but its status and its message, so a refusal is told in those (D-707).

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};

use super::steps::Case;
use crate::policy::response::{Buffering, Head, Outcome, Plan, Refusal, ResponsePolicy, Transport};
use crate::server::answer::{self, Answer, Body};
use crate::server::deliver;
use crate::server::exchange::Exchange;
use crate::server::room::{Lease, NoRoom};
use crate::server::scrub;
use crate::upstream::pool::IncomingBody;

/// Compression flag and length of a message.
const PREFIX: usize = 5;
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// `application/grpc`, alone or with a suffix or parameters.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    const TYPE: &[u8] = b"application/grpc";
    headers.get(CONTENT_TYPE).map(|value| value.as_bytes()).is_some_and(|value| {
        value.get(..TYPE.len()).is_some_and(|start| start.eq_ignore_ascii_case(TYPE))
            && value.get(TYPE.len()).is_none_or(|next| matches!(next, b'+' | b';' | b' '))
    })
}

/// How a refusal is told to the client of a call.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    content_type: HeaderValue,
}

impl Caller {
    /// Who calls by this request, if it is a call: one of gRPC over HTTP/2, or one of gRPC-Web.
    pub(super) fn of(version: Version, headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?;
        let calls = is_web(content_type) || version == Version::HTTP_2 && is_grpc(headers);
        calls.then(|| Self { content_type: content_type.clone() })
    }

    /// A refusal in headers that end the call.
    pub(super) fn tell(self, refusal: Answer) -> Answer {
        let (mut parts, body) = refusal.into_parts();
        let Body::Full(text) = body else { return Response::from_parts(parts, body) };
        parts.headers.extend(status(parts.status, &text));
        parts.headers.insert(CONTENT_TYPE, self.content_type);
        parts.headers.remove(X_CONTENT_TYPE_OPTIONS);
        parts.status = StatusCode::OK;
        Response::from_parts(parts, Body::Empty)
    }
}

fn is_web(content_type: &HeaderValue) -> bool {
    const TYPE: &[u8] = b"application/grpc-web";
    content_type.as_bytes().get(..TYPE.len()).is_some_and(|start| start.eq_ignore_ascii_case(TYPE))
}

/// What clients make of a status of HTTP, and the line that says why.
fn status(status: StatusCode, text: &[u8]) -> [(HeaderName, HeaderValue); 2] {
    let code = match status.as_u16() {
        400 => "13",
        403 => "7",
        429 | 502..=504 => "14",
        _ => "2",
    };
    let mut message = Vec::with_capacity(text.len());
    for &byte in text.trim_ascii_end() {
        match byte {
            b' '..=b'~' if byte != b'%' => message.push(byte),
            _ => message.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    // Only printable bytes are left.
    let message =
        HeaderValue::from_maybe_shared(Bytes::from(message)).unwrap_or(HeaderValue::from_static(""));
    [(GRPC_STATUS, HeaderValue::from_static(code)), (GRPC_MESSAGE, message)]
}

/// The answer whose body judges messages as they come, or the refusal.
pub(super) fn deliver(case: &Case<'_>, response: Response<IncomingBody>) -> Result<Answer, Answer> {
    let (parts, body) = response.into_parts();
    let messages = Messages {
        exchange: case.exchange.clone(),
        policy: Arc::clone(&case.exchange.policy.response),
        host: case.tunnel.host.clone(),
        headers: parts.headers.clone(),
        source: body,
        held: BytesMut::new(),
        lease: case.tunnel.room.lease(),
        delivered: 0,
        state: State::Open,
        called: case.called,
    };
    let refused = match messages.buffering() {
        Ok(_) if is_compressed(&parts.headers) => Some(compressed()),
        Ok(_) => None,
        Err(refusal) => Some(refusal),
    };
    if let Some(refusal) = refused {
        deliver::record_refusal(&messages.exchange, Transport::Connect, &messages.host, &refusal);
        return Err(answer::text(StatusCode::FORBIDDEN, &format!("blocked: {}", refusal.reason)));
    }
    let mut headers = parts.headers;
    scrub::strip_hop_by_hop(&mut headers);
    headers.remove(CONTENT_LENGTH);
    let body = if http_body::Body::is_end_stream(&messages.source) {
        // A failed call is told by headers that end the stream: clients take data behind them for another failure.
        messages.account();
        Empty::new().map_err(|never| match never {}).boxed_unsync()
    } else {
        let stream = futures_util::stream::unfold(messages, |mut messages| async move {
            let next = messages.next().await?;
            Some((next, messages))
        });
        StreamBody::new(stream).boxed_unsync()
    };
    let mut answer = Response::new(Body::Stream(body));
    *answer.status_mut() = parts.status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get_all(GRPC_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn compressed() -> Refusal {
    Refusal::in_tunnel("compressed", "compressed response cannot be scanned")
}

struct Messages {
    exchange: Exchange,
    policy: Arc<ResponsePolicy>,
    host: String,
    headers: HeaderMap,
    source: IncomingBody,
    held: BytesMut,
    /// For what is held.
    lease: Lease,
    /// Bytes of the messages that went to the client.
    delivered: u64,
    state: State,
    /// The client takes trailers for the end of its call.
    called: bool,
}

#[derive(PartialEq, Eq)]
enum State {
    Open,
    Done,
}

impl Messages {
    fn head(&self) -> Head<'_> {
        Head {
            transport: Transport::Connect,
            host: &self.host,
            target: &self.exchange.url,
            headers: &self.headers,
            escalation: self.exchange.escalation(),
        }
    }

    /// How a body of these headers is judged; a message is one.
    fn buffering(&self) -> Result<Buffering, Refusal> {
        match self.policy.plan(&self.head()).plan {
            Plan::Buffer(buffering) => Ok(buffering),
            Plan::Refuse(refusal) => Err(refusal),
            // The type is neither an event stream's nor one that passes unread.
            Plan::Pass | Plan::Stream(_) => Err(Refusal::in_tunnel("read_error", "response read error")),
        }
    }

    /// The next whole messages, or the trailers.
    async fn next(&mut self) -> Option<Result<Frame<Bytes>, io::Error>> {
        if self.state == State::Done {
            return None;
        }
        // The messages before have reached the connection to the client.
        self.lease.shrink(self.held.len());
        loop {
            match self.whole().await {
                Ok(Some(bytes)) => return Some(Ok(Frame::data(bytes))),
                Ok(None) => {}
                Err(refusal) => {
                    self.state = State::Done;
                    deliver::record_refusal(&self.exchange, Transport::Connect, &self.host, &refusal);
                    let text = format!("blocked: {}", refusal.reason);
                    return Some(self.end(StatusCode::FORBIDDEN, &text, "message refused"));
                }
            }
            let frame = match self.lease.unless_given_up(self.source.frame()).await {
                Err(why) => return self.no_room(why),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    self.state = State::Done;
                    return Some(Err(error));
                }
                Ok(None) => {
                    self.state = State::Done;
                    self.account();
                    // Half a message at the end was never judged and is not delivered.
                    return None;
                }
            };
            match frame.into_data() {
                Ok(data) => {
                    if let Err(why) = self.lease.cover(self.held.len() + data.len()).await {
                        return self.no_room(why);
                    }
                    self.held.extend_from_slice(&data);
                }
                Err(frame) => {
                    self.state = State::Done;
                    self.account();
                    return Some(Ok(frame));
                }
            }
        }
    }

    fn no_room(&mut self, why: NoRoom) -> Option<Result<Frame<Bytes>, io::Error>> {
        self.state = State::Done;
        deliver::record_error(&self.exchange, &why.to_string());
        Some(self.end(StatusCode::SERVICE_UNAVAILABLE, answer::NO_ROOM, "no room for the message"))
    }

    /// The end of a stream that is not let finish. Without trailers only an error tells it from a whole one.
    fn end(&self, code: StatusCode, text: &str, error: &'static str) -> Result<Frame<Bytes>, io::Error> {
        if self.called {
            return Ok(Frame::trailers(HeaderMap::from_iter(status(code, text.as_bytes()))));
        }
        Err(io::Error::other(error))
    }

    /// Judges the first held message if it is whole.
    async fn whole(&mut self) -> Result<Option<Bytes>, Refusal> {
        let Some(prefix) = self.held.first_chunk::<PREFIX>() else { return Ok(None) };
        let [flags, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length) as usize;
        if flags & 1 != 0 {
            return Err(compressed());
        }
        let buffering = self.buffering()?;
        if length as u64 > buffering.limit {
            return Err(Refusal::in_tunnel("oversized", "response too large for scanning"));
        }
        if self.held.len() < PREFIX + length {
            return Ok(None);
        }
        let message = self.held.split_to(PREFIX + length).freeze();
        let mut payload = message.clone();
        payload.advance(PREFIX);
        let judgement = {
            let (policy, host) = (Arc::clone(&self.policy), self.host.clone());
            let (headers, target) = (self.headers.clone(), Arc::clone(&self.exchange.url));
            let (payload, escalation) = (payload.clone(), self.exchange.escalation());
            let judge = move || {
                let head = Head {
                    transport: Transport::Connect,
                    host: &host,
                    target: &target,
                    headers: &headers,
                    escalation,
                };
                policy.judge(&head, &buffering, payload)
            };
            self.exchange.shared.offload.run(length, judge).await
        };
        let Ok(judgement) = judgement else {
            return Err(Refusal::in_tunnel("read_error", "response read error"));
        };
        deliver::record_notes(&self.exchange, Transport::Connect, &self.host, &judgement.notes);
        deliver::note_findings(&self.exchange, &judgement);
        match judgement.outcome {
            Outcome::Refuse(refusal) => Err(refusal),
            Outcome::Deliver { body, .. } if body == payload => {
                self.delivered += message.len() as u64;
                Ok(Some(message))
            }
            // Text can be cut out of a page, not out of a protocol buffer.
            Outcome::Deliver { .. } => Err(Refusal::in_tunnel("injection", "response contains injection")),
        }
    }

    fn account(&self) {
        deliver::account(&self.exchange, &self.host, self.delivered);
        self.exchange.clean();
        self.exchange.shared.events.metrics().request_allowed("anonymous", self.exchange.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_to_those_who_call_only() {
        let refused = || answer::text(StatusCode::FORBIDDEN, "blocked: 100% ü");
        let cases = [
            (Version::HTTP_2, "application/grpc", true),
            (Version::HTTP_11, "application/grpc", false),
            (Version::HTTP_11, "application/grpc-web-text", true),
            (Version::HTTP_2, "application/json", false),
        ];
        for (version, kind, calls) in cases {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            let caller = Caller::of(version, &headers);
            assert_eq!(caller.is_some(), calls, "{version:?} {kind}");
            let Some(caller) = caller else { continue };
            let told = caller.tell(answer::with_hint(refused(), Some("why")));
            assert_eq!(told.status(), 200);
            assert!(http_body::Body::is_end_stream(told.body()));
            let wanted = [
                ("content-type", kind),
                ("grpc-status", "7"),
                ("grpc-message", "blocked: 100%25 %C3%BC"),
                ("x-pipelock-hint", "why"),
            ];
            for (name, value) in wanted {
                assert_eq!(told.headers()[name], value);
            }
            assert_eq!(told.headers().len(), wanted.len());
        }
    }

    #[test]
    fn only_grpc_types_are_taken_message_by_message() {
        let cases = [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/gRPC; x=y", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ];
        for (value, want) in cases {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_grpc(&headers), want, "{value}");
        }
    }
}
