//! Connecting to a checked address, and only to such. (spec: http-proxy §10)
//!
//! A name is resolved once, every answer is checked, and one of these very answers is connected to: a name server that changes
//! its mind between check and connect gains nothing. The check is the second, independent one after the URL scan's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::resolver::Resolver;
use crate::descriptors::{Descriptors, is_shortage};
use crate::policy::address::parse_literal;
use crate::policy::dial::{DialRules, Refusal};
use crate::policy::url::LookupFailure;

/// Time for connecting, over all addresses.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Head start of one address before the next is tried beside it (RFC 8305 recommends 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// Why there is no connection. The texts are those of the reference.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name does not resolve.
    #[error("ssrfSafeDialContext: DNS lookup {}: {failure}", crate::policy::url::quote(.host.as_bytes()))]
    Lookup {
        /// The name.
        host: String,
        /// The resolver's words.
        failure: LookupFailure,
    },
    /// An address that must not be connected to.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The port is not one.
    #[error("dial tcp: address {0}: invalid port")]
    Port(String),
    /// No descriptor is left for it.
    #[error("dial tcp {0}: socket: too many open files")]
    Descriptors(SocketAddr),
    /// No connection in time.
    #[error("dial tcp {0}: i/o timeout")]
    Timeout(SocketAddr),
    /// The system's refusal.
    #[error("dial tcp {address}: connect: {}", describe(.error))]
    Connect {
        /// What was connected to.
        address: SocketAddr,
        /// Why it failed.
        error: io::Error,
    },
}

impl DialError {
    /// Whether it is for want of descriptors.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        matches!(self, Self::Descriptors(_))
    }
}

/// Connects to `host:port`. Where the rules say so, further addresses are tried when the first is slow or fails (D-506).
///
/// # Errors
/// See [`DialError`].
pub(crate) async fn dial(
    resolver: &Resolver,
    descriptors: &Arc<Descriptors>,
    rules: &DialRules,
    host: &str,
    port: &str,
) -> Result<TcpStream, DialError> {
    let port = parse_port(port)?;
    let addresses: Arc<[IpAddr]> = match parse_literal(host) {
        Some(address) => {
            rules.check_literal(host, address)?;
            [address].into()
        }
        None => {
            let addresses = resolver
                .lookup(host)
                .await
                .map_err(|failure| DialError::Lookup { host: host.to_owned(), failure })?;
            rules.check_resolved(host, &addresses)?;
            addresses
        }
    };
    match &addresses[..] {
        // No race to run, so no tasks to run it with.
        [only] => connect(descriptors, SocketAddr::new(*only, port), Instant::now() + CONNECT_TIMEOUT).await,
        [first, ..] if !rules.falls_back() => {
            connect(descriptors, SocketAddr::new(*first, port), Instant::now() + CONNECT_TIMEOUT).await
        }
        all => connect_any(descriptors, all, port).await,
    }
}

fn parse_port(port: &str) -> Result<u16, DialError> {
    if port.is_empty() {
        return Ok(0);
    }
    port.parse().map_err(|_| DialError::Port(port.to_owned()))
}

/// Staggered attempts; the first connection wins, the first failure is reported.
async fn connect_any(
    descriptors: &Arc<Descriptors>,
    addresses: &[IpAddr],
    port: u16,
) -> Result<TcpStream, DialError> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let mut attempts = tokio::task::JoinSet::new();
    let mut waiting = addresses.iter().map(|ip| SocketAddr::new(*ip, port));
    let mut next_start = Instant::now();
    let mut first_error = None;
    loop {
        let more = waiting.len() > 0;
        tokio::select! {
            biased;
            Some(done) = attempts.join_next(), if !attempts.is_empty() => match done {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => {
                    first_error.get_or_insert(error);
                    next_start = Instant::now();
                }
                // The attempt's task cannot panic and is only aborted by dropping the set.
                Err(_) => {}
            },
            () = sleep_until(next_start), if more => {
                if let Some(address) = waiting.next() {
                    let descriptors = Arc::clone(descriptors);
                    attempts.spawn(async move { connect(&descriptors, address, deadline).await });
                    next_start = Instant::now() + STAGGER;
                }
            }
            else => break,
        }
    }
    Err(first_error.unwrap_or_else(|| DialError::Connect {
        address: SocketAddr::new(IpAddr::from([0, 0, 0, 0]), port),
        error: io::ErrorKind::AddrNotAvailable.into(),
    }))
}

async fn connect(
    descriptors: &Descriptors,
    address: SocketAddr,
    deadline: Instant,
) -> Result<TcpStream, DialError> {
    let socket = descriptors.socket(address).map_err(|error| match error {
        error if is_shortage(&error) => DialError::Descriptors(address),
        error => DialError::Connect { address, error },
    })?;
    let stream = timeout_at(deadline, socket.connect(address))
        .await
        .map_err(|_| DialError::Timeout(address))?
        .map_err(|error| DialError::Connect { address, error })?;
    tune(&stream, KEEP_ALIVE);
    Ok(stream)
}

/// No Nagle, keep-alive probes. Failing to set an option is no reason to lose a connection.
pub fn tune<S: AsFd>(socket: &S, keep_alive: Duration) {
    let socket = SockRef::from(socket);
    let _ = socket.set_tcp_nodelay(true);
    let probes = TcpKeepalive::new().with_time(keep_alive).with_interval(keep_alive);
    let _ = socket.set_tcp_keepalive(&probes);
}

/// An I/O error in Go's words.
#[must_use]
pub fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        io::ErrorKind::BrokenPipe => "broken pipe".to_owned(),
        io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
        io::ErrorKind::TimedOut if error.raw_os_error().is_some() => "connection timed out".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    async fn dial_names(hosts: &str, name: &str, port: &str, fallback: bool) -> Result<SocketAddr, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, hosts).unwrap();
        let strictness = if fallback { "" } else { "muselet: {strictness: reference}\n" };
        let config = Config::parse(
            format!("internal: [10.0.0.0/8]\nssrf: {{ip_allowlist: [127.0.0.0/8]}}\n{strictness}").as_bytes(),
            std::path::Path::new("/"),
        );
        let rules = DialRules::new(&config.unwrap()).unwrap();
        let descriptors = Arc::new(Descriptors::new(None, None));
        let stream = dial(&Resolver::hosts_only(file.path()), &descriptors, &rules, name, port).await;
        stream.map(|stream| stream.peer_addr().unwrap()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_further_address_is_tried_only_with_fallback_and_only_if_all_are_allowed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let hosts = "127.0.0.3 two.test\n127.0.0.2 two.test\n127.0.0.2 bad.test\n10.0.0.1 bad.test\n";
        let reached = dial_names(hosts, "two.test", &port, true).await.unwrap();
        assert_eq!(reached.ip().to_string(), "127.0.0.2");
        let refused = dial_names(hosts, "two.test", &port, false).await.unwrap_err();
        assert_eq!(refused, format!("dial tcp 127.0.0.3:{port}: connect: connection refused"));
        let refused = dial_names(hosts, "bad.test", &port, true).await.unwrap_err();
        assert_eq!(refused, "SSRF blocked: bad.test resolves to internal IP 10.0.0.1");
    }

    #[tokio::test]
    async fn what_is_not_a_port_or_a_name_fails_in_the_reference_s_words() {
        let cases = [
            ("127.0.0.1", "99999", "dial tcp: address 99999: invalid port"),
            ("10.0.0.1", "80", "SSRF blocked: connection to internal IP 10.0.0.1"),
            (
                "no such name",
                "80",
                "ssrfSafeDialContext: DNS lookup \"no such name\": lookup no such name: no such host",
            ),
        ];
        for (host, port, want) in cases {
            assert_eq!(dial_names("", host, port, true).await.unwrap_err(), want, "{host}:{port}");
        }
    }
}
