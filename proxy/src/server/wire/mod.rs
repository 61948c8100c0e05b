//! HTTP/1 on the client's side: from bytes to a judged [`Request`], and from an [`Answer`] back to bytes.
//!
//! [`serve`] runs one connection. hyper decodes bodies, frames answers and keeps the connection alive; `guard` feeds it;
//! this module turns what comes out into the program's own request type and puts the finishing touches on answers (`Date`,
//! sniffed type, length or chunks) that the reference's server layer adds. Used by the listeners and, inside TLS, by the
//! interception. (spec: http-proxy §1.2–1.5)

mod body;
mod chunks;
mod deadline;
mod finish;
mod guard;
pub mod head;
mod inflow;
mod minimal;
mod patience;
mod rarely;
mod slot;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Method, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use muselet_rules::Strictness;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

pub use body::{ReadError, RequestBody};
pub use finish::{KeepLength, NoDate, http_date, now};
pub use guard::Limits;
pub use head::{Expect, Framing, Head};
pub use patience::{Ended, Patience};
pub use slot::Slot;

use super::answer::{self, Answer};
use guard::Guard;
use rarely::Rarely;

/// One request, judged and ready for routing.
#[derive(Debug)]
pub struct Request {
    /// Everything before the body. It is handed on often, and is large.
    pub head: Box<Head>,
    /// The body; empty when none is declared.
    pub body: RequestBody,
    /// The way to take the connection over after a 2xx to CONNECT (or a 101).
    pub takeover: Takeover,
    /// The connection's.
    pub patience: Arc<Patience>,
}

/// Becomes the raw connection once the answer that accepts it has been written.
#[derive(Debug)]
pub struct Takeover(OnUpgrade);

impl Takeover {
    /// The connection, and the bytes that the client sent after its request.
    ///
    /// # Errors
    /// The answer was not one that gives the connection away, or could not be written.
    pub async fn complete<S>(self) -> io::Result<(S, Bytes)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let upgraded = self.0.await.map_err(io::Error::other)?;
        let parts = upgraded
            .downcast::<TokioIo<Guard<S>>>()
            .map_err(|_| io::Error::other("the connection is of another type"))?;
        let (io, held_back) = parts.io.into_inner().into_parts();
        let early =
            if parts.read_buf.is_empty() { held_back } else { [parts.read_buf, held_back].concat().into() };
        Ok((io, early))
    }
}

/// What a connection is about, beside its bytes.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Our end.
    pub local: SocketAddr,
    /// The client's end.
    pub peer: SocketAddr,
    /// Deadlines.
    pub limits: Limits,
    /// Which malformed requests are refused.
    pub strictness: Strictness,
    /// Inside a tunnel: CONNECT is a method like any other there, and opens nothing.
    pub inner: bool,
    /// Tells whether a request is under way.
    pub slot: Arc<Slot>,
}

/// Serves requests on `io` until one side closes. When `drain` fires, the request under way is finished and the connection
/// closed.
pub async fn serve<S, H, F>(io: S, connection: Connection, drain: CancellationToken, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request) -> F + Send + Sync,
    F: Future<Output = Answer> + Send,
{
    let slot = connection.slot;
    let patience = Arc::new(Patience::default());
    let ends = (connection.local, connection.peer);
    let inner = connection.inner;
    let mut guard = Guard::new(io, ends, connection.limits, connection.strictness, inner, Arc::clone(&slot));
    // hyper takes its buffers when it first reads; a connection on which nothing was said yet does without.
    // A request that has come is answered, even where the connection is to end.
    tokio::select! {
        biased;
        () = std::future::poll_fn(|cx| guard.poll_first(cx)) => {}
        () = drain.cancelled() => {}
    }
    let handler = &handler;
    let service = service_fn(|request: http::Request<Incoming>| {
        let (slot, patience) = (Arc::clone(&slot), Arc::clone(&patience));
        async move { Ok::<_, std::convert::Infallible>(handle(request, slot, patience, inner, handler).await) }
    });
    let mut connection = std::pin::pin!(
        hyper::server::conn::http1::Builder::new()
            .auto_date_header(false)
            .title_case_headers(true)
            .serve_connection(TokioIo::new(guard), service)
            .with_upgrades()
    );
    let mut drained = Rarely::new(drain.cancelled());
    // Errors end the connection and are the client's doing or the network's; there is nobody to tell.
    let _ = tokio::select! {
        biased;
        result = connection.as_mut() => result,
        () = &mut drained => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}

async fn handle<H, F>(
    mut request: http::Request<Incoming>,
    slot: Arc<Slot>,
    patience: Arc<Patience>,
    inner: bool,
    handler: &H,
) -> http::Response<finish::Framed>
where
    H: Fn(Request) -> F,
    F: Future<Output = Answer>,
{
    let takeover = Takeover(hyper::upgrade::on(&mut request));
    let Some((head, inflow)) = slot.take() else {
        // hyper only sees heads that the guard has put there first.
        return finish::finish(answer::empty(StatusCode::INTERNAL_SERVER_ERROR), &Method::GET, inner, slot);
    };
    let method = head.method.clone();
    let version = head.version;
    let waits =
        head.expect == Expect::Continue && head.framing != Framing::None && version == Version::HTTP_11;
    let connect_body = !inner && method == Method::CONNECT && head.framing != Framing::None;
    let (body, unread) = body::split(request.into_body(), inflow, &head, waits);
    let mut answer = match server_layer(&head) {
        Some(answer) => {
            drop((body, takeover));
            answer
        }
        None => handler(Request { head, body, takeover, patience }).await,
    };
    if !unread.finish().await || connect_body {
        slot.set_cut_short(waits);
        if version == Version::HTTP_11 {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
    finish::finish(answer, &method, inner, slot)
}

/// What the reference's server layer answers before any handler: expectations, `OPTIONS *`, `*`, the HTTP/2 preface.
fn server_layer(head: &Head) -> Option<Answer> {
    let close = |mut answer: Answer| {
        if head.version == Version::HTTP_11 {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Some(answer)
    };
    if head.expect == Expect::Other {
        return close(answer::empty(StatusCode::EXPECTATION_FAILED));
    }
    let is_star = head.url.scheme.is_empty() && head.url.host.is_empty() && &*head.url.path == b"*";
    if is_star && head.method == Method::OPTIONS {
        return Some(answer::empty(StatusCode::OK));
    }
    if is_star || head.h2_preface {
        return close(answer::empty(StatusCode::BAD_REQUEST));
    }
    None
}
