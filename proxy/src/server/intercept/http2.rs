//! HTTP/2 on the client's side of the tunnel. spec: tls-and-request-bodies §7.1.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, DATE, Entry, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::request::Inner;
use super::{ClientTls, Tunnel, steps};
use crate::server::answer::{self, Answer, Body};
use crate::server::report;
use crate::server::wire;

/// Streams at once.
const STREAMS: u32 = 250;
/// Largest frame that is read.
const FRAME: u32 = 1 << 20;
/// What a client may send before it has to wait for us, bytes: on one stream, and on all. Bodies that wait for room leave what they
/// were sent unread, and must not keep those that have room from being read: a quarter of all streams can wait so.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// What a field takes beside its name and value.
const FIELD: usize = 128;
/// Longest header list, in the protocol's way of counting.
const HEADERS: u32 = 1_048_896;

pub(super) async fn serve<S>(tunnel: Arc<Tunnel>, tls: ClientTls<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let drain = tunnel.exchange.shared.stop.drain.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let tunnel = Arc::clone(&tunnel);
        async move {
            let mut lease = tunnel.room.lease();
            let answer = match lease.cover(memory(request.headers())).await {
                Err(why) => report::no_room(&tunnel.exchange, why),
                Ok(()) => {
                    let _kept = lease.keep();
                    match Inner::from_http2(request) {
                        Some(inner) => steps::handle::<ClientTls<S>>(&tunnel, inner).await,
                        None => answer::text(StatusCode::BAD_REQUEST, "400 Bad Request"),
                    }
                }
            };
            Ok::<_, Infallible>(finish(answer))
        }
    });
    let mut connection = std::pin::pin!(
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .auto_date_header(false)
            .max_concurrent_streams(STREAMS)
            .max_frame_size(FRAME)
            .max_header_list_size(HEADERS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .serve_connection(TokioIo::new(tls), service)
    );
    // Errors end the connection; the client caused them and knows.
    let _ = tokio::select! {
        result = connection.as_mut() => result,
        () = drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}

/// What a list of fields takes, about: names, values, and the table they are in.
fn memory(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD).sum()
}

/// A length that is there more than once, in several lines or in one.
fn one_length<'h>(lines: impl Iterator<Item = &'h HeaderValue>) -> Option<HeaderValue> {
    let mut lengths =
        lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    let first = lengths.next()?;
    let number: u64 = std::str::from_utf8(first).ok()?.parse().ok()?;
    lengths.all(|length| length == first).then(|| number.into())
}

/// What the server layer adds, and what HTTP/2 does not carry.
fn finish(answer: Answer) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    for name in [http::header::CONNECTION, TRANSFER_ENCODING, HeaderName::from_static("keep-alive")] {
        parts.headers.remove(name);
    }
    // Origins may say it twice, and clients of HTTP/2 take no answer that does.
    if let Entry::Occupied(mut lengths) = parts.headers.entry(CONTENT_LENGTH)
        && let Some(length) = one_length(lengths.iter())
    {
        lengths.insert(length);
    }
    if !parts.headers.contains_key(DATE) {
        parts.headers.insert(DATE, wire::now());
    }
    if let Some(length) = body.known_len()
        && !parts.headers.contains_key(CONTENT_LENGTH)
        && !matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, body)
}
