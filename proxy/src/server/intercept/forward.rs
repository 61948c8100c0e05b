//! The request to the origin: framing, connection, failures. spec: tls-and-request-bodies §9.3, §9.4, §10.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRAILER, TRANSFER_ENCODING};
use http::{Method, Response, StatusCode};

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Tunnel;
use super::steps::{Case, CaseBody};
use crate::Strictness;
use crate::policy::headers::canonical;
use crate::server::answer::{self, Answer};
use crate::server::deliver;
use crate::server::wire::Framing;
use crate::upstream::DialError;
use crate::upstream::http::TLS_TIMEOUT;
use crate::upstream::pool::{IncomingBody, OriginKey, Outgoing, OutgoingBody, SendError, Transport};
use crate::upstream::tls::{Protocols, TlsError};

/// Why there is no connection to the origin.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Sends the request; a failure has been recorded when its answer comes back. `alone`: the connection may become another
/// protocol's.
pub(super) async fn send(case: &mut Case<'_>, alone: bool) -> Result<Response<IncomingBody>, Answer> {
    let request = outgoing(case);
    let connect_method = request.method == Method::CONNECT;
    let tunnel = case.tunnel;
    let key = OriginKey { authority: tunnel.authority().into(), tls: true, http2: !alone && !connect_method };
    let pool = &tunnel.exchange.shared.upstream.pool;
    let protocols = if key.http2 { Protocols::Http2OrHttp1 } else { Protocols::Http1 };
    let sent = if alone || connect_method {
        match connect(tunnel, protocols).await {
            Ok(transport) if connect_method => pool.send_connect(&key, request, transport).await,
            Ok(transport) => pool.send_alone(&key, request, transport).await,
            Err(error) => Err(SendError::Connect(error)),
        }
    } else {
        let spare = if request.repeatable() { request.again() } else { None };
        pool.send(&key, request, || spare, || connect(tunnel, protocols)).await
    };
    // One that was not needed does not wait for a later request.
    drop(tunnel.dialled.take());
    sent.map_err(|error| {
        deliver::record_error(&case.exchange, &error.to_string());
        let shortage = matches!(&error, SendError::Connect(ConnectError::Dial(dial)) if dial.is_shortage());
        answer::unreached(shortage, || answer::text(StatusCode::BAD_GATEWAY, "upstream error"))
    })
}

/// A checked address, then TLS for the CONNECT's host. The dial rules are the live ones, not the tunnel's.
async fn connect(tunnel: &Arc<Tunnel>, protocols: Protocols) -> Result<Transport, ConnectError> {
    let shared = &tunnel.exchange.shared;
    let began = Instant::now();
    let tls = match tunnel.dialled.take() {
        Some(stream) => match handshake(tunnel, protocols, stream).await {
            // The origin gave up on it meanwhile.
            Err(TlsError::Handshake(error)) if is_gone(&error) => fresh(tunnel, protocols).await?,
            connected => connected?,
        },
        None => fresh(tunnel, protocols).await?,
    };
    shared.events.metrics().tls_handshake("upstream", began.elapsed());
    Ok(Transport::Tls(Box::new(tls)))
}

async fn fresh(tunnel: &Tunnel, protocols: Protocols) -> Result<TlsStream<TcpStream>, ConnectError> {
    let shared = &tunnel.exchange.shared;
    let policy = shared.policy.load_full();
    let stream = shared.upstream.dial(&policy.dial, &tunnel.host, &tunnel.port).await?;
    Ok(handshake(tunnel, protocols, stream).await?)
}

/// TLS with the origin, in hardened mode within the time of plain requests (D-518): one that is silent held the request until the
/// tunnel's end.
async fn handshake(
    tunnel: &Tunnel,
    protocols: Protocols,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let shared = &tunnel.exchange.shared;
    let handshake = shared.upstream.tls.connect(&tunnel.host, protocols, stream);
    match shared.fixed.strictness {
        Strictness::Reference => handshake.await,
        Strictness::Hardened => {
            tokio::time::timeout(TLS_TIMEOUT, handshake).await.unwrap_or(Err(TlsError::Timeout))
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn outgoing(case: &mut Case<'_>) -> Outgoing {
    let mut headers = std::mem::take(&mut case.headers);
    let body = std::mem::replace(&mut case.body, CaseBody::Empty);
    let body = frame(&mut headers, body, case.framing, &case.method);
    Outgoing {
        method: case.method.clone(),
        target: std::mem::take(&mut case.target),
        host: case.host.clone(),
        headers,
        body,
    }
}

/// Framing follows the original: chunks stay chunks, a length becomes the length of what is sent.
fn frame(headers: &mut HeaderMap, body: CaseBody, framing: Framing, method: &Method) -> OutgoingBody {
    let chunked = HeaderValue::from_static("chunked");
    match body {
        CaseBody::Empty => {
            if matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
            }
            OutgoingBody::Empty
        }
        CaseBody::Held(bytes, trailers) => {
            if trailers.is_none() && framing != Framing::Chunked {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                return OutgoingBody::Full(bytes);
            }
            headers.insert(TRANSFER_ENCODING, chunked);
            match trailers {
                Some(trailers) => {
                    announce(headers, &trailers);
                    OutgoingBody::Chunks(bytes, Some(Box::new(trailers)))
                }
                None => OutgoingBody::Full(bytes),
            }
        }
        CaseBody::Unread(body) => {
            match framing {
                Framing::Length(length) => headers.insert(CONTENT_LENGTH, HeaderValue::from(length)),
                Framing::Chunked | Framing::None => headers.insert(TRANSFER_ENCODING, chunked),
            };
            OutgoingBody::Stream(body)
        }
    }
}

/// Trailers are announced whether the client did or not: that is what makes them legal.
fn announce(headers: &mut HeaderMap, trailers: &HeaderMap) {
    let names: Vec<String> = trailers.keys().map(|name| canonical(name.as_str())).collect();
    // Header names joined by commas are a valid value.
    if let Ok(value) = HeaderValue::from_str(&names.join(", ")) {
        headers.insert(TRAILER, value);
    }
}
