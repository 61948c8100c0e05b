//! `probe [ipv6] ADDRESS…` (hidden): tries to reach addresses that a container on an isolated network must not reach, for the
//! launcher's proof of isolation. spec: launcher §7
//!
//! An address counts as reached when anything comes back from it: a connection, or a refusal, which only a host that got
//! the packet can send. Exit status 0: nothing was reached; 3: something was, one line each on standard output.
//!
//! `ipv6` asks whether IPv6 is on here. Then every neighbour has an address that nobody gave it, the host's end of the network
//! among them, and behind that one is whatever listens on the host: no list of addresses would name it.
//!
//! Where an engine gives the bridge no address, the first of the network may be the container's own, which says nothing. In
//! the host's namespace several would be own: then none is left out.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::Duration;

use clap::{ArgMatches, Command};

use super::grammar::{command, extra};
use super::{Done, Failure};

/// Ports that are tried at each address: usual services of a host, and one that nothing listens on, whose refusal tells as much.
const PORTS: [u16; 7] = [22, 53, 80, 443, 2375, 8080, 47_811];
/// How long an attempt may take. On one machine an answer takes microseconds.
const PATIENCE: Duration = Duration::from_millis(700);
/// Asks for the check of IPv6.
const IPV6: &str = "ipv6";
/// One directory an interface, where the kernel has IPv6.
const INTERFACES: &str = "/proc/sys/net/ipv6/conf";
/// Exit status when something was reached.
const REACHED: u8 = 3;

pub(super) fn definition() -> Command {
    command("probe", "Check that addresses cannot be reached").hide(true).after_help("[ipv6] ADDRESS...")
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    let mut addresses = Vec::new();
    let mut report = String::new();
    for arg in extra(matches) {
        if arg == IPV6 {
            report.extend(
                linked(Path::new(INTERFACES))
                    .map(|name| format!("reached the neighbours of {name} over IPv6\n")),
            );
            continue;
        }
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

/// The first interface, other than the loopback, that speaks IPv6.
fn linked(interfaces: &Path) -> Option<String> {
    let names = std::fs::read_dir(interfaces).ok()?.flatten().map(|entry| entry.file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    let mut others = names.filter(|name| !["all", "default", "lo"].contains(&name.as_str()));
    others.find(|name| {
        let off = std::fs::read_to_string(interfaces.join(name).join("disable_ipv6"));
        off.is_ok_and(|off| off.trim() == "0")
    })
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
        // Bound, so that nobody else listens there either.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let closed = socket.local_addr().unwrap().as_socket().unwrap();
        assert_eq!(attempt(closed), Some(format!("reached {closed} (refused)")));
    }

    #[test]
    fn neither_loopback_nor_an_address_of_another_is_own() {
        for ip in ["127.0.0.1", "::1", "203.0.113.9", "1.1.1.1"] {
            assert!(!is_own(&ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn an_interface_that_speaks_ipv6_is_named_and_the_loopback_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let set = |name: &str, value: &str| {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("disable_ipv6"), value).unwrap();
        };
        for (name, value) in [("all", "0\n"), ("default", "0\n"), ("lo", "0\n"), ("eth0", "1\n")] {
            set(name, value);
        }
        assert_eq!(linked(dir.path()), None);
        set("eth1", "0\n");
        assert_eq!(linked(dir.path()).as_deref(), Some("eth1"));
        assert_eq!(linked(&dir.path().join("absent")), None, "a kernel without IPv6");
    }

    #[test]
    fn an_address_without_a_port_is_tried_at_every_port() {
        assert_eq!(targets("127.0.0.1:80").unwrap().len(), 1);
        assert_eq!(targets("::1").unwrap().len(), PORTS.len());
        assert_eq!(targets("example.com"), None);
    }
}
