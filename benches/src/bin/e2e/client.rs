//! The load: workers that each start their next operation when the last one has ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use muselet_benches::corpus;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::material::{HOST, Material};
use crate::origin::Origin;

/// What one operation is.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// A GET of this many bytes, on a connection that is kept.
    ForwardGet(usize),
    /// A POST of this many bytes.
    ForwardPost(usize, Bodies),
    /// The same inside an intercepted tunnel that is kept.
    TunnelGet(usize),
    TunnelPost(usize, Bodies),
    /// Connect, CONNECT, a full handshake, one small GET.
    NewTunnel,
    /// A megabyte through an open tunnel.
    Bulk,
}

/// What is sent, time after time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// Each body differs from all before it.
    New,
    /// One body, as when a request is tried again.
    Same,
}

/// A request to send again and again.
struct Request {
    bytes: Vec<u8>,
    /// Where in its body a number of its own stands, if it has one.
    number: Option<usize>,
}

impl From<Arc<[u8]>> for Request {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self { bytes: bytes.to_vec(), number: None }
    }
}

impl Request {
    fn next(&mut self) -> &[u8] {
        static SENT: AtomicU64 = AtomicU64::new(0);
        if let Some(at) = self.number {
            let number = format!("{:016x}", SENT.fetch_add(1, Ordering::Relaxed));
            self.bytes[at..at + number.len()].copy_from_slice(number.as_bytes());
        }
        &self.bytes
    }
}

/// Runs `connections` workers for `time`; the number of operations.
pub async fn drive(
    load: Load,
    proxy: SocketAddr,
    material: &Material,
    origin: &Origin,
    time: Duration,
    connections: usize,
) -> anyhow::Result<f64> {
    let trusted = match load {
        Load::NewTunnel | Load::TunnelGet(_) | Load::TunnelPost(..) => {
            Some(trust(material, proxy, origin).await?)
        }
        _ => None,
    };
    let end = Instant::now() + time;
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        workers.spawn(work(load, proxy, *origin, trusted.clone(), end));
    }
    let mut operations = 0.0;
    while let Some(done) = workers.join_next().await {
        operations += done??;
    }
    Ok(operations)
}

/// Who signs the certificates that this proxy shows: the origin's authority, unless it intercepts.
pub async fn trust(material: &Material, proxy: SocketAddr, origin: &Origin) -> anyhow::Result<TlsConnector> {
    let direct = TlsConnector::from(material.origin().client()?);
    let stream = tunnel(proxy, origin.tls.port()).await?;
    match direct.connect(HOST.try_into()?, stream).await {
        Ok(_) => Ok(direct),
        Err(_) => Ok(TlsConnector::from(material.proxy().client()?)),
    }
}

async fn work(
    load: Load,
    proxy: SocketAddr,
    origin: Origin,
    trusted: Option<TlsConnector>,
    end: Instant,
) -> anyhow::Result<f64> {
    match load {
        Load::ForwardGet(size) => {
            let request = get(&format!("http://{HOST}:{}/{size}", origin.plain.port()), origin.plain.port());
            repeat(dial(proxy).await?, request, end).await
        }
        Load::ForwardPost(size, bodies) => {
            let target = format!("http://{HOST}:{}/", origin.plain.port());
            repeat(dial(proxy).await?, post(&target, origin.plain.port(), size, bodies), end).await
        }
        Load::TunnelGet(size) => {
            let request = get(&format!("/{size}"), origin.tls.port());
            repeat(encrypted(trusted, proxy, &origin).await?, request, end).await
        }
        Load::TunnelPost(size, bodies) => {
            let request = post("/", origin.tls.port(), size, bodies);
            repeat(encrypted(trusted, proxy, &origin).await?, request, end).await
        }
        Load::NewTunnel => {
            let request = get("/128", origin.tls.port());
            let mut operations = 0.0;
            while Instant::now() < end {
                let mut stream = encrypted(trusted.clone(), proxy, &origin).await?;
                exchange(&mut stream, &request, &mut Vec::new()).await?;
                operations += 1.0;
            }
            Ok(operations)
        }
        Load::Bulk => {
            let mut stream = tunnel(proxy, origin.bulk.port()).await?;
            // The name check waits for the client's first byte.
            stream.write_all(b"x").await?;
            let mut buffer = vec![0; 256 << 10];
            let mut bytes = 0;
            while Instant::now() < end {
                let n = stream.read(&mut buffer).await?;
                anyhow::ensure!(n > 0, "the tunnel ended");
                bytes += n;
            }
            Ok(bytes as f64 / 1e6)
        }
    }
}

async fn repeat<S>(mut stream: S, request: impl Into<Request>, end: Instant) -> anyhow::Result<f64>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = request.into();
    let mut buffer = Vec::new();
    let mut operations = 0.0;
    while Instant::now() < end {
        exchange(&mut stream, request.next(), &mut buffer).await?;
        operations += 1.0;
    }
    Ok(operations)
}

pub async fn dial(proxy: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(proxy).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A tunnel to a port of the host, opened and unused.
pub async fn tunnel(proxy: SocketAddr, port: u16) -> anyhow::Result<TcpStream> {
    let mut stream = dial(proxy).await?;
    let request = format!("CONNECT {HOST}:{port} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        anyhow::ensure!(stream.read_buf(&mut head).await? > 0, "no answer to CONNECT");
    }
    anyhow::ensure!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    Ok(stream)
}

/// A tunnel in which the handshake is done.
pub async fn encrypted(
    trusted: Option<TlsConnector>,
    proxy: SocketAddr,
    origin: &Origin,
) -> anyhow::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let connector = trusted.context("no certificates")?;
    Ok(connector.connect(HOST.try_into()?, tunnel(proxy, origin.tls.port()).await?).await?)
}

pub fn get(target: &str, port: u16) -> Arc<[u8]> {
    format!("GET {target} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
        .into_bytes()
        .into()
}

/// A POST of a chat of about so many bytes.
fn post(target: &str, port: u16, size: usize, bodies: Bodies) -> Request {
    const ID: &str = r#"{"id":""#;
    let body = format!(r#"{ID}{:016x}",{}"#, 0, &String::from_utf8_lossy(&corpus::chat(size))[1..]);
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUser-Agent: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let number = (bodies == Bodies::New).then_some(head.len() + ID.len());
    Request { bytes: (head + &body).into_bytes(), number }
}

/// One request and its response, which must have a length.
pub async fn exchange<S>(stream: &mut S, request: &[u8], buffer: &mut Vec<u8>) -> anyhow::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    stream.write_all(request).await?;
    stream.flush().await?;
    buffer.clear();
    loop {
        anyhow::ensure!(stream.read_buf(buffer).await? > 0, "the connection was closed");
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(buffer)? else { continue };
        anyhow::ensure!(response.code == Some(200), "answer {:?}", response.code);
        let length =
            response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = length.context("an answer without a length")?.value;
        let whole = head + std::str::from_utf8(length)?.parse::<usize>()?;
        while buffer.len() < whole {
            anyhow::ensure!(stream.read_buf(buffer).await? > 0, "the connection was closed");
        }
        return Ok(());
    }
}
