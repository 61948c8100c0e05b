//! The measure: a proxy that forwards, tunnels and intercepts with hyper, rustls and tokio, and looks at nothing.
//!
//! It does what any proxy on these crates has to do: parse requests, keep connections to the origin, end TLS on both sides. It
//! has no rules, no log, no limits, no deadlines, and knows one origin.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::material::{HOST, Material};

type Idle = Arc<Mutex<Vec<SendRequest<Incoming>>>>;
type Body = UnsyncBoxBody<Bytes, hyper::Error>;

struct Relay {
    origin: SocketAddr,
    intercepts: bool,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    plain: Idle,
    encrypted: Idle,
}

/// Arguments: own address, directory of the certificates, the plain origin, whether to intercept.
pub async fn serve(args: &[String]) -> anyhow::Result<()> {
    let [listen, dir, origin, intercepts] = args else { anyhow::bail!("four arguments") };
    let material = Material::at(Path::new(dir));
    let relay = Arc::new(Relay {
        origin: origin.parse()?,
        intercepts: intercepts.parse()?,
        acceptor: TlsAcceptor::from(material.proxy().server()?),
        connector: TlsConnector::from(material.origin().client()?),
        plain: Idle::default(),
        encrypted: Idle::default(),
    });
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let _ = stream.set_nodelay(true);
        let relay = Arc::clone(&relay);
        tokio::spawn(async move {
            let service = service_fn(|request| outer(Arc::clone(&relay), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
        });
    }
}

async fn outer(relay: Arc<Relay>, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
    if request.method() != Method::CONNECT {
        let open = || async { Ok(dial(relay.origin).await?) };
        return pass(&relay.plain, request, open).await;
    }
    let port = request.uri().port_u16().context("no port")?;
    let origin = dial(SocketAddr::new(relay.origin.ip(), port)).await?;
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
        let mut client = parts.io.into_inner();
        let mut origin = origin;
        if relay.intercepts {
            let _ = inner(&relay, client, origin).await;
        } else {
            let _ = tokio::io::copy_bidirectional(&mut client, &mut origin).await;
        }
    });
    Ok(Response::new(Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync()))
}

/// Requests inside a tunnel.
async fn inner(relay: &Arc<Relay>, client: TcpStream, origin: TcpStream) -> anyhow::Result<()> {
    let address = origin.peer_addr()?;
    let spare = Arc::new(Mutex::new(Some(origin)));
    let client = relay.acceptor.accept(client).await?;
    let service = service_fn(|request| {
        let (relay, spare) = (Arc::clone(relay), Arc::clone(&spare));
        async move {
            let open = || async {
                let dialled = spare.lock().unwrap_or_else(PoisonError::into_inner).take();
                let stream = match dialled {
                    Some(stream) => stream,
                    None => dial(address).await?,
                };
                Ok(relay.connector.connect(HOST.try_into()?, stream).await?)
            };
            pass(&relay.encrypted, request, open).await
        }
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service).await?;
    Ok(())
}

/// Sends a request on an idle connection or on a new one.
async fn pass<S, F>(
    idle: &Idle,
    request: Request<Incoming>,
    open: impl Fn() -> F,
) -> anyhow::Result<Response<Body>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = anyhow::Result<S>>,
{
    let (mut parts, body) = request.into_parts();
    if let Some(authority) = parts.uri.authority() {
        parts.headers.insert(header::HOST, HeaderValue::from_str(authority.as_str())?);
    }
    parts.uri = parts.uri.path_and_query().map_or_else(Uri::default, |path| path.clone().into());
    let request = Request::from_parts(parts, body);
    // Those that are still busy with an answer stay where they are.
    let kept = {
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|sender| !sender.is_closed());
        idle.iter().rposition(SendRequest::is_ready).map(|at| idle.swap_remove(at))
    };
    let mut sender = match kept {
        Some(sender) => sender,
        None => {
            let (sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(open().await?)).await?;
            tokio::spawn(connection);
            sender
        }
    };
    let response = sender.send_request(request).await?;
    // It is ready again when this answer has been read.
    idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
    Ok(response.map(BodyExt::boxed_unsync))
}

async fn dial(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
