//! The two networks: one without a way out, one that only sidecars join (spec: launcher §7).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use crate::engine::{Engine, EngineInfo, NetworkInfo, NetworkSpec};
use crate::{Error, Result};

/// Engine version from which the gateway can be isolated by mode.
const GATEWAY_MODE_SINCE: u32 = 28;
/// A public address that no isolated container reaches; documentation names it as a resolver, nothing is sent to it but a
/// connection attempt from inside the probed network.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);

/// Bridge options that take the host's own address off the internal network. `internal` alone leaves the bridge address
/// reachable, and behind it every service of the host. Podman gives the bridge of an internal network an address only to answer
/// look-ups there, so that is switched off instead (see [`internal`]).
pub fn isolation_options(engine: &EngineInfo) -> BTreeMap<String, String> {
    let option = |key: &str, value: &str| (format!("com.docker.network.bridge.{key}"), value.to_owned());
    if engine.podman {
        BTreeMap::new()
    } else if engine.major() >= GATEWAY_MODE_SINCE {
        BTreeMap::from([option("gateway_mode_ipv4", "isolated"), option("gateway_mode_ipv6", "isolated")])
    } else {
        BTreeMap::from([option("inhibit_ipv4", "true")])
    }
}

/// Settings of a network namespace that has no IPv6. Docker makes such ones where a network has none; Podman leaves every
/// interface its link-local address, and so a way to the host's.
pub fn without_ipv6() -> BTreeMap<String, String> {
    BTreeMap::from([("net.ipv6.conf.all.disable_ipv6".to_owned(), "1".to_owned())])
}

/// The internal network of an instance.
pub fn internal(name: &str, engine: &EngineInfo, labels: BTreeMap<String, String>) -> NetworkSpec {
    NetworkSpec {
        name: name.to_owned(),
        internal: true,
        dns: !engine.podman,
        options: isolation_options(engine),
        labels,
    }
}

/// The egress network of an instance.
pub fn egress(name: &str, labels: BTreeMap<String, String>) -> NetworkSpec {
    NetworkSpec { name: name.to_owned(), internal: false, dns: true, options: BTreeMap::new(), labels }
}

/// Looks at the internal network, which must have an IPv4 subnet.
///
/// # Errors
/// When the engine fails or gave it none.
pub async fn inspect<E: Engine>(engine: &E, name: &str) -> Result<NetworkInfo> {
    let info = engine.inspect_network(name).await.map_err(|e| Error::step("inspect network", name, e))?;
    match info.subnet {
        Some(_) => Ok(info),
        None => Err(Error::step("inspect network", name, "the engine gave it no IPv4 subnet")),
    }
}

/// Addresses that nothing on the internal network may reach: the bridge, the host's primary address, a public one.
pub fn forbidden_addresses(network: &NetworkInfo) -> Vec<Ipv4Addr> {
    let bridge = network.gateway.or_else(|| network.subnet.and_then(|net| net.hosts().next()));
    let mut addresses: Vec<Ipv4Addr> = bridge.into_iter().chain(primary_address()).collect();
    addresses.push(PUBLIC);
    addresses.dedup();
    addresses
}

/// The host's own address on the way to the outside; none without a route. No packet is sent.
fn primary_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SocketAddr::from((PUBLIC, 53))).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) if !address.is_unspecified() => Some(address),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(version: &str, podman: bool) -> EngineInfo {
        EngineInfo { version: version.to_owned(), podman, runtimes: vec![] }
    }

    #[test]
    fn isolation_follows_the_engine() {
        let key = |name: &str| format!("com.docker.network.bridge.{name}");
        for (version, wanted) in
            [("20.10.24+dfsg1", "inhibit_ipv4"), ("27.5.1", "inhibit_ipv4"), ("28.0.0", "gateway_mode_ipv4")]
        {
            assert!(isolation_options(&engine(version, false)).contains_key(&key(wanted)), "{version}");
        }
        assert!(isolation_options(&engine("4.3.1", true)).is_empty());
    }

    #[test]
    fn the_bridge_address_is_forbidden_even_when_the_engine_does_not_name_it() {
        let network = NetworkInfo { subnet: Some("172.20.0.0/16".parse().unwrap()), gateway: None };
        assert_eq!(forbidden_addresses(&network)[0], Ipv4Addr::new(172, 20, 0, 1));
    }
}
