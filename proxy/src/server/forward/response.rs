//! The response of a plain request on its way to the client. (spec: http-proxy §5.7)

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::events::Event;
use crate::policy::url::GoUrl;
use crate::server::answer::{self, Answer, Body};
use crate::server::exchange::Exchange;
use crate::server::scrub;
use crate::upstream::http::IncomingBody;

/// A body that ended early.
#[derive(Debug)]
struct Unfinished(String);

/// Judges and answers. `host` is the one of the request, `final_url` the one that answered.
pub(super) async fn deliver(
    exchange: Exchange,
    host: &str,
    final_url: &GoUrl<'static>,
    response: Response<IncomingBody>,
    deadline: Instant,
) -> Answer {
    let _ = final_url;
    let (parts, body) = response.into_parts();
    if is_compressed(&parts.headers) {
        return refuse(&exchange, host, "response_scan", "compressed response cannot be scanned");
    }
    let limit = usize::try_from(exchange.policy.config.fetch_proxy.max_response_mb).unwrap_or(0) << 20;
    let bytes = match read(body, limit, deadline).await {
        Ok(bytes) => bytes,
        Err(Unfinished(error)) => {
            exchange.record(&Event::Error { ctx: exchange.context(), error: &error });
            return answer::text(StatusCode::FORBIDDEN, "blocked: response read error");
        }
    };
    let size = bytes.len() as u64;
    let mut headers = parts.headers;
    scrub::strip_hop_by_hop(&mut headers);
    headers.remove(CONTENT_LENGTH);
    exchange.policy.url.record_transfer(host, size, std::time::Instant::now());
    exchange.count_allowed();
    exchange.record(&Event::ForwardHttp {
        ctx: exchange.context(),
        status_code: parts.status.as_u16(),
        size_bytes: size,
        duration: exchange.elapsed(),
    });
    let mut answer = Response::new(Body::from(bytes));
    *answer.status_mut() = parts.status;
    *answer.headers_mut() = headers;
    answer
}

fn refuse(exchange: &Exchange, host: &str, scanner: &str, reason: &str) -> Answer {
    exchange.record(&Event::Blocked { ctx: exchange.context(), scanner, reason });
    exchange.count_blocked(host, scanner);
    answer::text(StatusCode::FORBIDDEN, &format!("blocked: {reason}"))
}

/// The non-identity encoding test: only the first header line counts. (spec: http-proxy §4)
fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|value| {
        value
            .as_bytes()
            .split(|b| *b == b',')
            .map(<[u8]>::trim_ascii)
            .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
    })
}

/// At most `limit` bytes; a longer body is cut there, as the reference does.
async fn read(mut body: IncomingBody, limit: usize, deadline: Instant) -> Result<Bytes, Unfinished> {
    let mut out = BytesMut::new();
    while out.len() < limit {
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(Unfinished("unexpected EOF".to_owned())),
            Err(_) => {
                return Err(Unfinished(
                    "context deadline exceeded (Client.Timeout or context cancellation while reading body)"
                        .to_owned(),
                ));
            }
        };
        if let Ok(data) = frame.into_data() {
            let room = limit - out.len();
            if out.is_empty() && data.len() <= room && http_body::Body::is_end_stream(&body) {
                // The usual small response is one frame: no copy.
                return Ok(data);
            }
            out.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(out.freeze())
}
