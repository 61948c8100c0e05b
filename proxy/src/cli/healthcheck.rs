//! `healthcheck`: asks a running proxy for `/health`, for images without a shell or curl. spec: cli-and-image §4
//!
//! Names are looked up as the proxy does it, in the hosts file and DNS: a static binary in an empty image has no other resolver.
//! Proxy variables are followed, as the reference does it, but never to this machine.

use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::{ArgMatches, Command};
use http::header::{CONNECTION, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use http::{Method, Uri};

use super::grammar::{command, string, text};
use super::{Done, Failure, go_error};
use crate::upstream::client::Client;

/// All of it: name, connection, answer, redirects.
const BUDGET: Duration = Duration::from_secs(3);

const REDIRECTS: usize = 10;

pub(super) fn definition() -> Command {
    command("healthcheck", "Check if the proxy is healthy (for Docker HEALTHCHECK)")
        .arg(string("addr", "proxy address to check (default \"127.0.0.1:8888\")"))
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    let address = text(matches, "addr").unwrap_or("127.0.0.1:8888");
    let client = Client::new().map_err(|e| Failure::new(format!("health check failed: {}", go_error(&e))))?;
    match check(&client, address) {
        Ok(200) => Ok(Done::silent()),
        Ok(status) => Err(Failure::new(format!("unhealthy: status {status}"))),
        Err(why) => Err(Failure::new(format!("health check failed: {why}"))),
    }
}

/// Final status of the probe, redirects followed.
fn check(client: &Client, address: &str) -> Result<u16, String> {
    let deadline = Instant::now() + BUDGET;
    let headers: HeaderMap = [
        (USER_AGENT, HeaderValue::from_static("muselet-healthcheck")),
        (CONNECTION, HeaderValue::from_static("close")),
    ]
    .into_iter()
    .collect();
    let mut url = format!("http://{address}/health");
    for _ in 0..=REDIRECTS {
        let uri = parse(&url)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = client
            .wait(left, client.request(&Method::GET, &uri, &headers, Bytes::new(), 0))
            .unwrap_or_else(|| {
                Err("context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned())
            })
            .map_err(|why| format!("Get {url:?}: {why}"))?;
        let status = answer.status.as_u16();
        let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let Some(location) = location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308)) else {
            return Ok(status);
        };
        url = match location {
            path if path.starts_with('/') => {
                let authority = uri.authority().map_or("", |authority| authority.as_str());
                format!("{}://{authority}{path}", uri.scheme_str().unwrap_or("http"))
            }
            whole if whole.starts_with("http://") || whole.starts_with("https://") => whole.to_owned(),
            other => return Err(format!("Get {other:?}: unsupported protocol scheme")),
        };
    }
    Err(format!("Get {url:?}: stopped after 10 redirects"))
}

/// An address that can be asked; no host is this machine.
fn parse(url: &str) -> Result<Uri, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some(bad) =
        host.chars().find(|c| c.is_whitespace() || c.is_control() || "\"<>\\^`{|}".contains(*c))
    {
        return Err(format!("parse {url:?}: invalid character {:?} in host name", bad.to_string()));
    }
    let local = if host.is_empty() || host.starts_with(':') { "127.0.0.1" } else { "" };
    format!("{scheme}://{local}{rest}").parse().map_err(|e| format!("parse {url:?}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::client::tests::origin;
    use crate::upstream::proxies::Proxies;

    fn request_lines(heads: Vec<String>) -> Vec<String> {
        heads.iter().map(|head| head.lines().next().unwrap_or_default().to_owned()).collect()
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn follows_redirects_to_their_end() {
        let (address, asked) =
            origin(&["HTTP/1.1 301 Moved Permanently\r\nLocation: /a?b\r\nContent-Length: 0\r\n\r\n", OK]);
        let client = Client::through(Proxies::of(|_| None)).unwrap();
        assert_eq!(check(&client, &address.to_string()), Ok(200));
        assert_eq!(request_lines(asked.join().unwrap()), ["GET /health HTTP/1.1", "GET /a?b HTTP/1.1"]);
    }

    #[test]
    fn other_machines_are_asked_through_the_proxy_of_the_variables() {
        let (address, asked) = origin(&["HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"]);
        let proxies = Proxies::of(|name| {
            (name == "HTTP_PROXY").then(|| format!("http://127.0.0.1:{}", address.port()))
        });
        let client = Client::through(proxies).unwrap();
        assert_eq!(check(&client, "sidecar.example:8888"), Ok(503));
        assert_eq!(request_lines(asked.join().unwrap()), ["GET http://sidecar.example:8888/health HTTP/1.1"]);
    }

    #[test]
    fn no_host_is_this_machine_and_never_behind_a_proxy() {
        let (address, asked) = origin(&[OK]);
        let proxies = Proxies::of(|name| (name == "HTTP_PROXY").then(|| "http://127.0.0.1:1".to_owned()));
        let client = Client::through(proxies).unwrap();
        assert_eq!(check(&client, &format!(":{}", address.port())), Ok(200));
        assert_eq!(request_lines(asked.join().unwrap()), ["GET /health HTTP/1.1"]);
    }

    #[test]
    fn says_which_address_cannot_be_used_or_reached() {
        let client = Client::through(Proxies::of(|_| None)).unwrap();
        for (address, why) in [
            ("bad addr", "parse \"http://bad addr/health\": invalid character \" \" in host name"),
            (
                "127.0.0.1:1",
                "Get \"http://127.0.0.1:1/health\": dial tcp 127.0.0.1:1: connect: connection refused",
            ),
            ("a..b:1", "Get \"http://a..b:1/health\": dial tcp: lookup a..b: no such host"),
        ] {
            assert_eq!(check(&client, address), Err(why.to_owned()));
        }
    }
}
