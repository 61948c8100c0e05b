//! The origin: HTTP/1.1 plain and over TLS, and a port that sends bytes without end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::material::Material;

/// Where it listens.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    pub bulk: SocketAddr,
}

/// Starts it in this runtime.
pub async fn start(material: &Material) -> anyhow::Result<Origin> {
    let acceptor = TlsAcceptor::from(material.origin().server()?);
    let (plain, tls, bulk) = (listener().await?, listener().await?, listener().await?);
    let origin = Origin { plain: plain.local_addr()?, tls: tls.local_addr()?, bulk: bulk.local_addr()? };
    tokio::spawn(each(plain, answer));
    tokio::spawn(each(tls, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream).await;
            }
        }
    }));
    tokio::spawn(each(bulk, |mut stream| async move {
        let block = vec![7; 256 << 10];
        // Not before the client has seen the answer to its CONNECT.
        let mut first = [0];
        if !matches!(stream.read(&mut first).await, Ok(1)) {
            return;
        }
        while stream.write_all(&block).await.is_ok() {}
    }));
    Ok(origin)
}

async fn listener() -> std::io::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0").await
}

async fn each<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> F,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(stream));
    }
}

/// Path of an event stream.
pub const EVENTS: &str = "/events";
/// Time between two events of a stream.
const PAUSE: Duration = Duration::from_millis(10);

/// Microseconds on the clock that events carry.
pub fn clock() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// `GET /N` is answered with N bytes of JSON, `GET /events` with a stream of events without end, anything with a body with a
/// short text.
async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) {
    let service = service_fn(|request: Request<Incoming>| async move {
        let (kind, body) = if request.uri().path() == EVENTS {
            ("text/event-stream", events())
        } else {
            let asked = request.uri().path().trim_start_matches('/').parse().unwrap_or(2);
            let mut body = request.into_body();
            let mut posted = 0;
            while let Some(Ok(frame)) = body.frame().await {
                posted += frame.data_ref().map_or(0, Bytes::len);
            }
            let text = if posted > 0 { format!("{{\"read\":{posted}}}") } else { json(asked) };
            ("application/json", Full::new(Bytes::from(text)).boxed_unsync())
        };
        let mut response = Response::new(body);
        response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
        Ok::<_, Infallible>(response)
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Events of about 100 bytes, each with the time at which it was sent.
fn events() -> UnsyncBoxBody<Bytes, Infallible> {
    let timer = tokio::time::interval(PAUSE);
    let stream = futures_util::stream::unfold(timer, |mut timer| async move {
        timer.tick().await;
        let text = format!(
            "data: {{\"delta\":\"came back with little to show and so the morning went\",\"sent\":{}}}\n\n",
            clock()
        );
        Some((Ok(Frame::data(Bytes::from(text))), timer))
    });
    StreamBody::new(stream).boxed_unsync()
}

/// A JSON object of `length` bytes (at least 20) of plain English.
pub fn json(length: usize) -> String {
    let mut text = String::with_capacity(length + 64);
    text.push_str("{\"text\":\"");
    while text.len() + 2 < length {
        text.push_str("The harbour was quiet when the morning boats came back with little to show. ");
    }
    text.truncate(length.saturating_sub(2).max(9));
    text.push_str("\"}");
    text
}
