//! An origin behind TLS: plain answers, an event stream and a gRPC-like service under the test's control, WebSocket echo, git,
//! files.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::header::{CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

type Body = BoxBody<Bytes, Infallible>;

/// What the test sends goes out as one frame of the answer that is under way (`/events`, `/grpc/stream`).
pub struct Control {
    pub send: mpsc::UnboundedSender<Bytes>,
}

struct Origin {
    frames: Mutex<Option<mpsc::UnboundedReceiver<Bytes>>>,
    git: PathBuf,
    files: PathBuf,
}

/// Repositories and files are those below `git/` and `files/` of the directory.
pub async fn start(tls: Arc<rustls::ServerConfig>, directory: &Path) -> (SocketAddr, Control) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let (send, frames) = mpsc::unbounded_channel();
    let origin = Arc::new(Origin {
        frames: Mutex::new(Some(frames)),
        git: directory.join("git"),
        files: directory.join("files"),
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&tls));
            let origin = Arc::clone(&origin);
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = hyper::service::service_fn(move |request| {
                    let origin = Arc::clone(&origin);
                    async move { Ok::<_, Infallible>(origin.answer(request).await) }
                });
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                drop(server.serve_connection_with_upgrades(TokioIo::new(stream), service).await);
            });
        }
    });
    (address, Control { send })
}

fn text(body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// A gRPC message: no compression, length, bytes.
pub fn message(payload: &[u8]) -> Bytes {
    let length = u32::try_from(payload.len()).expect("a short message");
    [&[0][..], &length.to_be_bytes(), payload].concat().into()
}

fn ok_trailers() -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))])
}

impl Origin {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/echo" => {
                let seen = format!("{} {:?}\n", request.method(), request.version());
                let body = request.into_body().collect().await.expect("a body").to_bytes();
                text([seen.as_bytes(), &body].concat())
            }
            "/many-lines" => {
                let mut response = text(format!("{:?}", request.version()));
                for n in 0..300 {
                    let name = HeaderName::try_from(format!("x-line-{n}")).expect("a name");
                    response.headers_mut().insert(name, HeaderValue::from(n));
                }
                response
            }
            "/events" => self.stream("text/event-stream", false).await,
            "/grpc/stream" => self.stream("application/grpc", true).await,
            "/grpc/unary" => {
                let wants = request.headers().get("te").cloned();
                assert_eq!(wants.as_ref().map(HeaderValue::as_bytes), Some(&b"trailers"[..]));
                let body = request.into_body().collect().await.expect("a body").to_bytes();
                let frames = [Frame::data(body), Frame::trailers(ok_trailers())].map(Ok);
                let mut response = text("");
                *response.body_mut() = BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames)));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                response
            }
            "/grpc/failed" => {
                let mut response = text("");
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                response.headers_mut().insert("grpc-status", HeaderValue::from_static("5"));
                response
            }
            "/socket" => websocket(request),
            _ if path.starts_with("/git/") => self.git(request).await,
            _ if path.starts_with("/files/") => self.file(path.trim_start_matches("/files/")),
            _ => text(format!("hello from {path}")),
        }
    }

    async fn stream(&self, kind: &'static str, trailers: bool) -> Response<Body> {
        let frames = self.frames.lock().await.take().expect("one stream for each world");
        let data = futures_util::stream::unfold(frames, |mut frames| async move {
            let bytes = frames.recv().await?;
            Some((Ok(Frame::data(bytes)), frames))
        });
        let last = trailers.then(|| Ok(Frame::trailers(ok_trailers())));
        let mut response = text("");
        *response.body_mut() = BodyExt::boxed(StreamBody::new(SyncStream(std::sync::Mutex::new(Box::pin(
            data.chain(futures_util::stream::iter(last)),
        )))));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }

    /// A file as a static server gives it, a directory by its index.
    fn file(&self, path: &str) -> Response<Body> {
        let path = self.files.join(path);
        let candidates = [path.clone(), path.join("index.html"), path.join("index.json")];
        let Some(path) = candidates.iter().find(|path| path.is_file()) else {
            let mut response = text("no such file\n");
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        };
        let kind = match path.extension().and_then(|extension| extension.to_str()) {
            Some("html") => "text/html; charset=utf-8",
            Some("json") => "application/json",
            _ => "application/octet-stream",
        };
        let mut response = text(std::fs::read(path).expect("readable"));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }

    /// `git http-backend` as a CGI program.
    async fn git(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let header = |name: &str| {
            parts.headers.get(name).map(|v| v.to_str().expect("text").to_owned()).unwrap_or_default()
        };
        let mut command = Command::new("git");
        command
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.git)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REMOTE_USER", "test")
            .env("REMOTE_ADDR", "127.0.0.1")
            .env("PATH_INFO", parts.uri.path().trim_start_matches("/git"))
            .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
            .env("REQUEST_METHOD", parts.method.as_str())
            .env("CONTENT_TYPE", header("content-type"))
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("GIT_PROTOCOL", header("git-protocol"))
            .env("CONTENT_LENGTH", body.len().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let output = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().expect("git starts");
            child.stdin.take().expect("a pipe").write_all(&body).expect("read by git");
            child.wait_with_output().expect("git ends")
        });
        cgi(&output.await.expect("no panic").stdout)
    }
}

fn cgi(output: &[u8]) -> Response<Body> {
    let end = output.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(&output[end + 4..])).boxed());
    for line in std::str::from_utf8(&output[..end]).expect("text").lines() {
        let (name, value) = line.split_once(": ").expect("a header");
        if name.eq_ignore_ascii_case("status") {
            *response.status_mut() = StatusCode::from_bytes(&value.as_bytes()[..3]).expect("a status");
        } else {
            let name: HeaderName = name.parse().expect("a name");
            response.headers_mut().insert(name, HeaderValue::from_str(value).expect("a value"));
        }
    }
    response
}

/// Says everything back, and its key when it is asked.
fn websocket(mut request: Request<Incoming>) -> Response<Body> {
    let mut response = text("");
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).cloned() else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let got = Message::text(key.to_str().expect("text"));
    tokio::spawn(async move {
        let io = TokioIo::new(upgrade.await.expect("an upgrade"));
        let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        while let Some(Ok(said)) = socket.next().await {
            let said = if said == Message::text("key?") { got.clone() } else { said };
            if (said.is_text() || said.is_binary()) && socket.send(said).await.is_err() {
                return;
            }
        }
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let accept = derive_accept_key(key.as_bytes());
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).expect("base64"));
    response
}

/// A bare repository with one commit, at `/git/repo.git`.
pub fn make_repository(root: &Path) {
    let git = |args: &[&str], dir: &Path| {
        let output = Command::new("git").args(args).current_dir(dir).output().expect("git starts");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let bare = root.join("repo.git");
    let work = root.join("work");
    std::fs::create_dir_all(&work).expect("a directory");
    git(&["init", "-q", "--bare", "-b", "main", bare.to_str().expect("text")], root);
    git(&["config", "http.receivepack", "true"], &bare);
    git(&["init", "-q", "-b", "main"], &work);
    std::fs::write(work.join("README"), "A small repository.\n").expect("written");
    git(&["add", "."], &work);
    git(&["-c", "user.name=t", "-c", "user.email=t@t.test", "commit", "-q", "-m", "First"], &work);
    git(&["push", "-q", bare.to_str().expect("text"), "main"], &work);
}

/// A stream that hyper's boxed bodies take: they want `Sync`, which a lock gives.
struct SyncStream<S>(std::sync::Mutex<S>);

impl<S: futures_util::Stream + Unpin> futures_util::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        self.get_mut().0.get_mut().expect("no panic while locked").poll_next_unpin(cx)
    }
}
