//! The program as a process of its own, so that its memory can be read from outside, and an origin in the test's process.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::{Child, Command};

/// Forwarding to loopback is allowed, and nothing is counted against a client.
const CONFIG: &str = "
internal: []
ssrf: {ip_allowlist: [127.0.0.0/8]}
fetch_proxy:
  monitoring: {max_requests_per_minute: 1000000}
forward_proxy: {enabled: true}
request_body_scanning: {action: block}
logging: {output: file, file: /dev/null}
";

/// In the middle of bodies of which several are to be under way.
pub const PAUSE: Duration = Duration::from_millis(100);

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_muselet");

/// The program, for [`Proxy::start_as`].
pub fn program() -> Command {
    Command::new(PROGRAM)
}

/// The program with so many descriptors at most.
fn limited(descriptors: usize) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!(r#"ulimit -n {descriptors}; exec "$0" "$@""#), PROGRAM]);
    command
}

/// An address that is given to nobody else while the test runs: a socket stays bound to it, and only who asks for this very port
/// may share it. Until somebody does, connections are refused.
pub fn free_address() -> String {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("shared");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("bound");
    let address = socket.local_addr().expect("an address").to_string();
    std::mem::forget(socket);
    address
}

/// A running proxy; it ends with the value.
pub struct Proxy {
    child: Child,
    pub address: String,
    directory: tempfile::TempDir,
    stderr: tokio::io::Lines<tokio::io::BufReader<tokio::process::ChildStderr>>,
}

impl Proxy {
    pub async fn start() -> Self {
        Self::start_as(program(), CONFIG, Stdio::null()).await
    }

    /// With more sections in its configuration.
    pub async fn start_with(more: &str) -> Self {
        Self::start_as(program(), &format!("{CONFIG}{more}"), Stdio::null()).await
    }

    /// One that may have so many descriptors, with more sections in its configuration.
    pub async fn start_with_descriptors(number: usize, more: &str) -> Self {
        Self::start_as(limited(number), &format!("{CONFIG}{more}"), Stdio::null()).await
    }

    /// The same, to which a file says whom to trust.
    pub async fn start_trusting(roots: &Path, number: usize, more: &str) -> Self {
        let mut command = limited(number);
        command.env("SSL_CERT_FILE", roots);
        Self::start_as(command, &format!("{CONFIG}{more}"), Stdio::null()).await
    }

    /// With another configuration, which nobody else may read, and another standard output.
    pub async fn start_as(mut command: Command, config_text: &str, stdout: Stdio) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("muselet.yaml");
        std::fs::write(&config, config_text).expect("written");
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).expect("ours");
        let address = free_address();
        let mut child = command
            .args(["run", "--listen", &address, "--config"])
            .arg(&config)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let stderr = tokio::io::BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut proxy = Self { child, address, directory, stderr };
        let began = Instant::now();
        while !proxy.healthy().await {
            let ended = proxy.child.try_wait().expect("our child");
            assert!(
                ended.is_none() && began.elapsed() < Duration::from_secs(30),
                "no health answer: {ended:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        proxy
    }

    pub async fn healthy(&self) -> bool {
        let Ok(stream) = TcpStream::connect(&self.address).await else { return false };
        let answer = exchange(stream, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        answer.starts_with("HTTP/1.1 200")
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.expect("connected")
    }

    /// Asks it to end, and waits until it has.
    pub async fn terminate(&mut self) -> std::process::ExitStatus {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").arg(id).status().await.expect("sent");
        assert!(sent.success());
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        ended.expect("an end in time").expect("our child")
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("muselet.yaml")
    }

    /// The next line on standard error that holds a text.
    pub async fn says(&mut self, text: &str) -> String {
        let line = async {
            loop {
                let line = self.stderr.next_line().await.expect("readable").expect("another line");
                if line.contains(text) {
                    return line;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), line).await.expect("a line in time")
    }

    /// One request on a connection of its own.
    pub async fn ask(&self, request: &[u8]) -> String {
        exchange(self.connect().await, request).await
    }

    /// `VmRSS` (now) or `VmHWM` (the most ever), in bytes.
    pub fn memory(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().expect("it runs"));
        let status = std::fs::read_to_string(path).expect("the child's status");
        let line = status.lines().find(|line| line.starts_with(field)).expect("the field");
        let kib: u64 = line.split_ascii_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
        kib * 1024
    }
}

/// Sends, then reads to the end.
pub async fn exchange(mut stream: TcpStream, request: &[u8]) -> String {
    let mut seen = Vec::new();
    let _ = stream.write_all(request).await;
    let _ = stream.read_to_end(&mut seen).await;
    String::from_utf8_lossy(&seen).into_owned()
}

/// Head of a request or answer.
pub async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// An origin that takes any body and says how long it was. The paths below `/stall` get the first 64 KiB of a long answer and
/// nothing after them; those below `/chunks/N`, N bytes in chunks with a pause in the middle.
pub async fn origin() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

async fn answer(mut stream: TcpStream) {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let head = head(&mut stream).await.to_ascii_lowercase();
        if head.is_empty() {
            return;
        }
        let length =
            head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next()?.parse().ok());
        let mut left: usize = length.unwrap_or_default();
        let mut whole = left;
        while left > 0 {
            match stream.read(&mut buffer).await {
                Ok(n @ 1..) => left = left.saturating_sub(n),
                _ => return,
            }
        }
        if head.contains("transfer-encoding: chunked") {
            let Some(length) = chunks(&mut stream).await else { return };
            whole = length;
        }
        if let Some((_, rest)) = head.split_once(" /chunks/") {
            let length = rest.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
            let begin = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
            let answer = [begin.as_slice(), &in_chunks(&vec![b' '; length])].concat();
            let (first, second) = answer.split_at(answer.len() / 2);
            let _ = stream.write_all(first).await;
            tokio::time::sleep(PAUSE).await;
            let _ = stream.write_all(second).await;
            continue;
        }
        if head.contains(" /stall") {
            let begin = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4000000\r\n\r\n";
            let _ = stream.write_all(begin).await;
            let _ = stream.write_all(&[b'a'; 64 * 1024]).await;
            // Until the proxy goes away.
            let _ = stream.read(&mut buffer).await;
            return;
        }
        let body = whole.to_string();
        let text = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A body in chunks of 16 KiB.
pub fn in_chunks(body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(body.len() + body.len() / 1024);
    for chunk in body.chunks(16 * 1024) {
        framed.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        framed.extend(chunk);
        framed.extend(b"\r\n");
    }
    framed.extend(b"0\r\n\r\n");
    framed
}

/// Reads a body in chunks; how long it was.
async fn chunks(stream: &mut TcpStream) -> Option<usize> {
    let mut stream = tokio::io::BufReader::new(stream);
    let mut whole = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
        tokio::io::copy(&mut (&mut stream).take(length as u64 + 2), &mut tokio::io::sink()).await.ok()?;
        whole += length;
        if length == 0 {
            return Some(whole);
        }
    }
}
