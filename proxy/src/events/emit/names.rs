//! Addresses of collectors.
//!
//! By the proxy's own resolver: the system's needs files and libraries that an image with one static binary does not have.

use std::net::{IpAddr, SocketAddr};

use tokio::runtime::Builder;

use crate::upstream::Resolver;

/// All addresses of `host` at `port`, on the caller's runtime.
pub(super) async fn lookup(resolver: &Resolver, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let addresses = resolver.lookup(host).await.map_err(|why| why.to_string())?;
    Ok(addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
}

/// The same for `host:port`, for callers without a runtime or within one that must not be blocked twice.
pub(super) fn resolve(address: &str) -> std::io::Result<Vec<SocketAddr>> {
    let invalid =
        || std::io::Error::new(std::io::ErrorKind::InvalidInput, format!("{address} is not HOST:PORT"));
    let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
    let port: u16 = port.parse().map_err(|_| invalid())?;
    let host = host.trim_matches(['[', ']']);
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    std::thread::scope(|scope| {
        let found = scope.spawn(|| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(lookup(&Resolver::system(), host, port)).map_err(std::io::Error::other)
        });
        found.join().unwrap_or_else(|_| Err(std::io::Error::other("the look-up was lost")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_names_of_the_hosts_file_need_no_server() {
        let cases = [
            ("127.0.0.1:514", "127.0.0.1:514"),
            ("[::1]:514", "[::1]:514"),
            ("localhost:6514", "127.0.0.1:6514"),
        ];
        for (address, want) in cases {
            let found = resolve(address).unwrap();
            assert!(found.contains(&want.parse().unwrap()), "{address}: {found:?}");
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up_from_within_a_runtime_too() {
        assert!(!resolve("localhost:1").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        for address in ["collector", "collector:", "collector:syslog", "collector:70000"] {
            let error = resolve(address).unwrap_err().to_string();
            assert!(error.contains(address) && error.contains("HOST:PORT"), "{error}");
        }
    }
}
