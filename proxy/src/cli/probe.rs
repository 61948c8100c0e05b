//! `probe ADDRESS…` (hidden): tries to reach addresses that a container on an isolated network must not reach, for the
//! launcher's proof of isolation. spec: launcher §7
//!
//! An address counts as reached when anything comes back from it: a connection, or a refusal, which only a host that got
//! the packet can send. Exit status 0: nothing was reached; 3: something was, one line each on standard output.
//!
//! Where an engine gives the bridge no address, the first of the network may be the container's own, which says nothing. In
//! the host's namespace several would be own: then none is left out.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use clap::{ArgMatches, Command};

use super::grammar::{command, extra};
use super::{Done, Failure};

/// Ports that are tried at each address: usual services of a host, and one that nothing listens on, whose refusal tells as much.
const PORTS: [u16; 7] = [22, 53, 80, 443, 2375, 8080, 47_811];
/// How long an attempt may take. On one machine an answer takes microseconds.
const PATIENCE: Duration = Duration::from_millis(700);
/// Exit status when something was reached.
const REACHED: u8 = 3;

pub(super) fn definition() -> Command {
    command("probe", "Check that addresses cannot be reached").hide(true).after_help("ADDRESS...")
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    let mut addresses = Vec::new();
    for arg in extra(matches) {
        addresses.extend(targets(&arg).ok_or_else(|| Failure::new(format!("{arg:?} is no address")))?);
    }
    if addresses.is_empty() {
        return Err(Failure::new("no address given"));
    }
    let own: HashSet<IpAddr> = addresses.iter().map(SocketAddr::ip).filter(is_own).collect();
    if own.len() == 1 {
        addresses.retain(|address| !own.contains(&address.ip()));
    }
    let attempts: Vec<_> =
        addresses.into_iter().map(|address| thread::spawn(move || attempt(address))).collect();
    let mut report = String::new();
    for attempt in attempts {
        let found = attempt.join().map_err(|_| Failure::new("an attempt failed"))?;
        report.extend(found.map(|line| line + "\n"));
    }
    if report.is_empty() {
        return Ok(Done::silent());
    }
    Err(Failure { code: REACHED, ..Failure::after(report, "something was reached") })
}

/// An address with a port is tried as it is, one without at every port of [`PORTS`].
fn targets(text: &str) -> Option<Vec<SocketAddr>> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(vec![address]);
    }
    let ip: IpAddr = text.parse().ok()?;
    Some(PORTS.iter().map(|port| SocketAddr::new(ip, *port)).collect())
}

/// Whether an address is one of this network namespace's, loopback aside.
fn is_own(ip: &IpAddr) -> bool {
    !ip.is_loopback() && UdpSocket::bind((*ip, 0)).is_ok()
}

/// What came back from an address, if anything.
fn attempt(address: SocketAddr) -> Option<String> {
    match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(_) => Some(format!("reached {address} (connected)")),
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset) => {
            Some(format!("reached {address} (refused)"))
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listener_and_a_refusal_both_count_as_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        assert_eq!(attempt(open), Some(format!("reached {open} (connected)")));
        drop(listener);
        assert_eq!(attempt(open), Some(format!("reached {open} (refused)")));
    }

    #[test]
    fn neither_loopback_nor_an_address_of_another_is_own() {
        for ip in ["127.0.0.1", "::1", "203.0.113.9", "1.1.1.1"] {
            assert!(!is_own(&ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn an_address_without_a_port_is_tried_at_every_port() {
        assert_eq!(targets("127.0.0.1:80").unwrap().len(), 1);
        assert_eq!(targets("::1").unwrap().len(), PORTS.len());
        assert_eq!(targets("example.com"), None);
    }
}
