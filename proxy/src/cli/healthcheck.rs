//! `healthcheck`: asks a running proxy for `/health`, for images without a shell or curl. spec: cli-and-image §4
//!
//! Names are looked up as the proxy does it, in the hosts file and DNS: a static binary in an empty image has no other resolver.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use clap::{ArgMatches, Command};

use super::grammar::{command, string, text};
use super::{Done, Failure, go_error};
use crate::upstream::Resolver;

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
    let (name, port) = match host.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
        Some((name, Ok(port))) => (name, port),
        _ => (host, 80),
    };
    let mut last = format!("dial tcp {name}:{port}: no addresses");
    let mut stream = None;
    for address in addresses(name, left()).map_err(|why| why.unwrap_or_else(late))? {
        let address = SocketAddr::new(address, port);
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

/// All addresses of a literal or a name; the error is `None` when the time is over.
fn addresses(name: &str, left: Duration) -> Result<Vec<IpAddr>, Option<String>> {
    // As the dialler of the reference takes it: no host is this machine.
    if name.is_empty() {
        return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
    }
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if let Ok(address) = literal.parse() {
        return Ok(vec![address]);
    }
    let missing = || Some(format!("dial tcp: lookup {name}: no such host"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|_| missing())?;
    let found = runtime.block_on(async {
        let resolver = Resolver::system();
        tokio::time::timeout(left, resolver.lookup(name)).await
    });
    match found {
        Err(_) => Err(None),
        Ok(Err(_)) => Err(missing()),
        Ok(Ok(found)) => Ok(found.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_the_empty_name_need_no_lookup() {
        for (name, address) in
            [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("::1", "::1"), ("", "127.0.0.1")]
        {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(addresses(name, Duration::ZERO), Ok(vec![address]), "{name}");
        }
    }

    #[test]
    fn names_come_from_the_hosts_file() {
        let found = addresses("localhost", BUDGET).unwrap();
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_name_that_cannot_be_asked_for_does_not_exist() {
        let why = "dial tcp: lookup a..b: no such host".to_owned();
        assert_eq!(addresses("a..b", BUDGET), Err(Some(why)));
    }
}
