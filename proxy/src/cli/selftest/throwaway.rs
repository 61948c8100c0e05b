//! A proxy of this process on an ephemeral loopback port, and an origin for it to reach; both end with the process.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use tokio::runtime::Runtime;

use crate::cli::blocking::wait;
use crate::config::Config;
use crate::embed::{Options, Proxy};
use crate::policy::url::parse::{Part, encode_into};
use crate::upstream::client::Client;
use crate::upstream::proxies::Proxies;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is read, bytes.
const LONGEST: usize = 1 << 20;
/// What the origin answers.
pub(super) const MARK: &str = "muselet mock upstream";

/// A running proxy.
pub(super) struct Throwaway {
    client: Client,
    pub(super) proxy: Proxy,
    runtime: Option<Runtime>,
}

/// An answer of the proxy.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Throwaway {
    /// Starts the proxy of a configuration, on an address of its own and without a reverse listener.
    pub(super) fn start(mut config: Config, env: Vec<(String, String)>) -> Result<Throwaway, String> {
        config.reverse_proxy.enabled = false;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|e| format!("starting the runtime: {e}"))?;
        let options = Options { env, ..Options::default() };
        let mut started = None;
        wait(&runtime, Box::pin(async { started = Some(Proxy::start_alone(config, options).await) }));
        let proxy = started.ok_or("the proxy did not start")?.map_err(|e| e.to_string())?;
        let client = Client::through(Proxies::only(proxy.address())).map_err(|e| crate::cli::go_error(&e))?;
        Ok(Throwaway { client, proxy, runtime: Some(runtime) })
    }

    /// `GET` of a target: a path of the proxy's own, or a URL that it is to forward.
    pub(super) fn get(&self, target: &str) -> Result<Reply, String> {
        let own = || format!("http://{}{target}", self.proxy.address());
        let url = if target.starts_with('/') { own() } else { target.to_owned() };
        let url: Uri = url.parse().map_err(|e| format!("{url:?}: {e}"))?;
        let headers = HeaderMap::new();
        let call = self.client.request(&Method::GET, &url, &headers, Bytes::new(), LONGEST);
        let answer = self.client.wait(PATIENCE, call).ok_or("no answer in time")??;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        Ok(Reply { status: answer.status.as_u16(), body })
    }

    /// `/fetch` of a URL.
    pub(super) fn fetch(&self, url: &str) -> Result<Reply, String> {
        let mut target = b"/fetch?url=".to_vec();
        encode_into(&mut target, url.as_bytes(), Part::Query);
        self.get(&String::from_utf8_lossy(&target))
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        // Nobody waits for its connections.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Starts an origin that answers every request with [`MARK`], and says where it is.
pub(super) fn origin() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 64 * 1024 {
        match stream.read(&mut chunk) {
            Ok(n @ 1..) => head.extend_from_slice(&chunk[..n]),
            _ => return,
        }
    }
    let _ = stream.write_all(
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{MARK}",
            MARK.len()
        )
        .as_bytes(),
    );
}
