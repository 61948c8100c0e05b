//! A proxy under test as a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};

use crate::material::Material;
use crate::origin::Origin;

/// First argument of this program when it is to be the relay.
pub const RELAY: &str = "relay";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Relay,
    Muselet,
}

/// A process that is ended when this is dropped.
pub struct Peer {
    child: Child,
    pub address: SocketAddr,
    /// When it was started.
    pub began: Instant,
}

impl Peer {
    /// Starts it and waits until it accepts connections.
    pub async fn start(
        kind: Kind,
        intercepts: bool,
        material: &Material,
        origin: &Origin,
    ) -> anyhow::Result<Self> {
        let mut peer = Self::spawn(kind, intercepts, material, origin).await?;
        while TcpStream::connect(peer.address).await.is_err() {
            peer.wait(Duration::from_millis(5)).await?;
        }
        Ok(peer)
    }

    /// Starts it; it may not be ready yet.
    pub async fn spawn(
        kind: Kind,
        intercepts: bool,
        material: &Material,
        origin: &Origin,
    ) -> anyhow::Result<Self> {
        // Free a moment ago, which on a quiet loopback is good enough.
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let this = std::env::current_exe()?;
        let mut command = match kind {
            Kind::Relay => {
                let mut command = Command::new(&this);
                command.args([RELAY, &address.to_string()]).arg(&material.dir);
                command.arg(origin.plain.to_string()).arg(intercepts.to_string());
                command
            }
            Kind::Muselet => {
                let program = this.with_file_name("muselet");
                anyhow::ensure!(program.exists(), "{} has not been built", program.display());
                let mut command = Command::new(program);
                command.args(["run", "--config"]).arg(configuration(address, intercepts, material)?);
                command.env("SSL_CERT_FILE", material.origin().root);
                command
            }
        };
        let began = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { child, address, began })
    }

    /// Waits while it is not ready; fails when it never will be.
    pub async fn wait(&mut self, pause: Duration) -> anyhow::Result<()> {
        let ended = self.child.try_wait()?;
        anyhow::ensure!(
            ended.is_none() && self.began.elapsed() < Duration::from_secs(20),
            "a process does not start"
        );
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in status")?;
        Ok(line.trim_end_matches("kB").trim().parse()?)
    }

    /// User and system time so far.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may hold anything; fields 14 and 15 are the 12th and 13th after it.
        let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
        let mut fields = fields.split_ascii_whitespace().skip(11);
        let mut ticks =
            || fields.next().and_then(|field| field.parse::<u64>().ok()).context("no times in stat");
        let ticks = ticks()? + ticks()?;
        Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every scan on, no limit of requests, loopback allowed.
fn configuration(address: SocketAddr, intercepts: bool, material: &Material) -> anyhow::Result<PathBuf> {
    let authority = material.proxy();
    let text = format!(
        "mode: balanced
internal: []
fetch_proxy:
  listen: {address}
  monitoring: {{max_requests_per_minute: 1000000000}}
forward_proxy: {{enabled: true, max_tunnel_seconds: 3600}}
tls_interception: {{enabled: {intercepts}, ca_cert: {}, ca_key: {}}}
request_body_scanning: {{enabled: true, action: block, scan_headers: true}}
",
        authority.root.display(),
        authority.root_key.display()
    );
    let path = material.dir.join(format!("muselet-{intercepts}.yaml"));
    std::fs::write(&path, text)?;
    Ok(path)
}
