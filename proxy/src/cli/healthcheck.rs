//! `healthcheck`: asks a running proxy for `/health`, for images without a shell or curl. spec: cli-and-image §4

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use clap::{ArgMatches, Command};

use super::grammar::{command, string, text};
use super::{Done, Failure, go_error};

/// All of it: name, connection, answer, redirects.
const BUDGET: Duration = Duration::from_secs(3);

const REDIRECTS: usize = 10;

pub(super) fn definition() -> Command {
    command("healthcheck", "Check if the proxy is healthy (for Docker HEALTHCHECK)")
        .arg(string("addr", "proxy address to check (default \"127.0.0.1:8888\")"))
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    let address = text(matches, "addr").unwrap_or("127.0.0.1:8888");
    match check(address) {
        Ok(200) => Ok(Done::silent()),
        Ok(status) => Err(Failure::new(format!("unhealthy: status {status}"))),
        Err(why) => Err(Failure::new(format!("health check failed: {why}"))),
    }
}

/// Final status of the probe, redirects followed.
fn check(address: &str) -> Result<u16, String> {
    let deadline = Instant::now() + BUDGET;
    let mut host = address.to_owned();
    let mut path = "/health".to_owned();
    for _ in 0..=REDIRECTS {
        let url = format!("http://{host}{path}");
        if let Some(bad) =
            host.chars().find(|c| c.is_whitespace() || c.is_control() || "\"<>\\^`{|}".contains(*c))
        {
            return Err(format!("parse {url:?}: invalid character {:?} in host name", bad.to_string()));
        }
        let (status, location) = get(&host, &path, deadline).map_err(|why| format!("Get {url:?}: {why}"))?;
        let Some(location) = location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308)) else {
            return Ok(status);
        };
        match location.strip_prefix("http://") {
            Some(rest) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                host = rest[..end].to_owned();
                path = if rest[end..].starts_with('/') {
                    rest[end..].to_owned()
                } else {
                    format!("/{}", &rest[end..])
                };
            }
            None if location.starts_with('/') => path = location,
            None => return Err(format!("Get {location:?}: unsupported protocol scheme")),
        }
    }
    Err(format!("Get \"http://{host}{path}\": stopped after 10 redirects"))
}

/// One request; the status and a `Location`.
fn get(host: &str, path: &str, deadline: Instant) -> Result<(u16, Option<String>), String> {
    let left = || deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let late = || "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned();
    let dial = if host.rsplit(':').next().is_some_and(|p| p.parse::<u16>().is_ok()) && host.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let addresses =
        dial.to_socket_addrs().map_err(|_| format!("dial tcp: lookup {}: no such host", dial_host(&dial)))?;
    let mut last = format!("dial tcp {dial}: no addresses");
    let mut stream = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, left()) {
            Ok(connected) => {
                stream = Some(connected);
                break;
            }
            Err(e) if e.kind() == std::io::ErrorKind::TimedOut => last = late(),
            Err(e) => last = format!("dial tcp {address}: connect: {}", go_error(&e)),
        }
    }
    let mut stream = stream.ok_or(last)?;
    let wire = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => late(),
        _ => go_error(&e),
    };
    stream.set_write_timeout(Some(left())).map_err(wire)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: muselet-healthcheck\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).map_err(wire)?;
    let mut head = Vec::with_capacity(1024);
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") && head.len() < 64 * 1024 {
        stream.set_read_timeout(Some(left())).map_err(wire)?;
        match stream.read(&mut chunk).map_err(wire)? {
            0 => break,
            n => head.extend_from_slice(&chunk[..n]),
        }
        if Instant::now() >= deadline {
            return Err(late());
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    if head.is_empty() {
        return Err("EOF".into());
    }
    match response.parse(&head) {
        Ok(_) => {
            let location = response
                .headers
                .iter()
                .find(|h| h.name.eq_ignore_ascii_case("location"))
                .map(|h| String::from_utf8_lossy(h.value).into_owned());
            response.code.map(|code| (code, location)).ok_or_else(|| "unexpected EOF".to_owned())
        }
        Err(e) => Err(format!("net/http: malformed HTTP response: {e}")),
    }
}

fn dial_host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}
