//! A proxy in this process, for tests that speak to it in raw bytes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use muselet::config::{Config, Strictness};
use muselet::events::Events;
use muselet::policy::{Policy, Surroundings};
use muselet::server::{KillSwitch, Server, Shared};
use muselet::upstream::tls::{TlsClient, TrustLocations};
use muselet::upstream::{Resolver, Upstream};

/// Starts a proxy on a free port; it logs nothing, resolves nothing and trusts no certificate.
///
/// # Panics
/// Where the configuration is not valid or no port is free.
pub async fn start(yaml: &str, strictness: Strictness) -> (SocketAddr, Arc<KillSwitch>) {
    let mut config = Config::parse(yaml.as_bytes(), Path::new("/")).expect("valid configuration");
    config.muselet.strictness = strictness;
    let kill_switch = Arc::new(KillSwitch::new(&config, None));
    let (policy, _) =
        Policy::compile(Arc::new(config), String::new(), &Surroundings::default()).expect("compiles");
    let trust = TrustLocations { files: Vec::new(), directories: Vec::new() };
    let upstream = Upstream::new(Resolver::hosts_only("/nonexistent"), TlsClient::new(trust));
    let shared = Shared::new(Arc::new(policy), Events::discard(), upstream, Arc::clone(&kill_switch), None);
    let server = Server::bind(shared, "127.0.0.1:0").await.expect("bound");
    let address = server.local_addr().expect("an address");
    tokio::spawn(server.serve());
    (address, kill_switch)
}
