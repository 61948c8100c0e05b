//! The response on its way back: judged like any other, answered in this listener's own shapes. Its length and its trailers are
//! kept, as a client of the origin itself would see them. spec: http-proxy §9.2, response-scan §6.8

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, TRAILER};
use http::{Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, StreamBody};
use tokio::time::Instant;

use super::Refused;
use crate::policy::headers::canonical;
use crate::policy::response::{Refusal, Transport};
use crate::server::answer::{Answer, Body};
use crate::server::deliver::{Delivery, Kind};
use crate::server::exchange::Exchange;
use crate::server::forward::response::InTime;
use crate::server::wire::KeepLength;
use crate::upstream::pool::IncomingBody;

/// A response that the client does not get.
pub(in crate::server) fn refusal(refusal: &Refusal) -> Answer {
    let refused = Refused {
        error: "response blocked by pipelock",
        blocked: true,
        block_reason: &refusal.reason,
        direction: "response",
    };
    let mut answer = crate::server::answer::json(StatusCode::FORBIDDEN, &refused);
    if let Body::Full(bytes) = answer.body_mut() {
        // No line feed here.
        bytes.truncate(bytes.len() - 1);
    }
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.extensions_mut().insert(KeepLength);
    answer
}

/// Judges and answers.
pub(super) async fn deliver(
    exchange: Exchange,
    host: &str,
    response: Response<IncomingBody>,
    deadline: Instant,
) -> Answer {
    let delivery = Delivery {
        exchange: &exchange,
        policy: &exchange.policy.response,
        offload: &exchange.shared.offload,
        room: &exchange.shared.room,
        transport: Transport::Reverse,
        host,
        counted_for: host,
    };
    let announced = response.headers().get(TRAILER).cloned();
    let has_length = response.headers().contains_key(CONTENT_LENGTH);
    let trailers = Trailers::default();
    let response =
        response.map(|body| Watched { body: InTime::new(body, deadline), trailers: trailers.clone() });
    let delivered = delivery.run(response, |_| {}, |_| {}).await;
    let mut answer = delivered.answer;
    match delivered.kind {
        Kind::Refused => answer,
        Kind::Streamed => {
            if let Some(announced) = announced {
                answer.headers_mut().insert(TRAILER, announced);
            }
            if has_length && answer.headers().contains_key(CONTENT_LENGTH) {
                answer.extensions_mut().insert(KeepLength);
            }
            answer
        }
        Kind::Whole { .. } => match trailers.take() {
            Some(trailers) => with_trailers(answer, trailers),
            None => {
                if has_length {
                    answer.extensions_mut().insert(KeepLength);
                }
                answer
            }
        },
    }
}

/// The same answer in chunks, with what came behind the body.
fn with_trailers(answer: Answer, trailers: HeaderMap) -> Answer {
    let names: Vec<String> = trailers.keys().map(|name| canonical(name.as_str())).collect();
    let (mut parts, body) = answer.into_parts();
    // Header names joined by commas are always a header value.
    if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
        parts.headers.insert(TRAILER, names);
    }
    let data = match body {
        Body::Full(bytes) => Some(bytes),
        Body::Empty | Body::Stream(_) => None,
    };
    let frames = data.map(Frame::data).into_iter().chain([Frame::trailers(trailers)]).map(Ok);
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    Response::from_parts(parts, Body::Stream(body))
}

/// Trailers of a body that is read elsewhere.
#[derive(Debug, Clone, Default)]
struct Trailers(Arc<Mutex<Option<HeaderMap>>>);

impl Trailers {
    fn take(&self) -> Option<HeaderMap> {
        // One assignment: it cannot be seen half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().filter(|trailers| !trailers.is_empty())
    }
}

/// A body whose trailers are remembered.
struct Watched {
    body: InTime,
    trailers: Trailers,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            *self.trailers.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(trailers.clone());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
