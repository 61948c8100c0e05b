//! What a request costs from end to end: our proxy beside a relay without any policy, built on the same crates.
//!
//! ```text
//! cargo build --release -p muselet -p muselet-benches --bins && target/release/e2e
//! ```
//! This process is the client and the origin; the proxy (the program `muselet` beside this one) and the relay (this program
//! once more) are processes of their own, so that the system accounts for their CPU time. Each row drives both in turns with the
//! same load, and compares user plus system time for each operation: that figure hardly depends on what else the machine does.
//! Everything happens on loopback. Arguments, all optional: seconds a round, rounds, connections.
//!
//! After the table: what a process costs beside its requests (see `process`). With `process` as its only argument nothing
//! but that is measured.

mod client;
mod material;
mod origin;
mod peer;
mod process;
mod relay;

use std::time::Duration;

use anyhow::Context as _;
use muselet_benches::say;

use client::{Bodies, Load};
use material::Material;
use peer::{Kind, Peer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Name, load, and whether tunnels are opened up.
const ROWS: [(&str, Load, bool); 11] = [
    ("forward GET 1 KiB", Load::ForwardGet(1024), false),
    ("forward POST 64 KiB", Load::ForwardPost(64 << 10, Bodies::New), false),
    ("... the same again", Load::ForwardPost(64 << 10, Bodies::Same), false),
    ("forward POST 1 MiB", Load::ForwardPost(1 << 20, Bodies::New), false),
    ("... the same again", Load::ForwardPost(1 << 20, Bodies::Same), false),
    ("intercepted GET 1 KiB", Load::TunnelGet(1024), true),
    ("intercepted POST 64 KiB", Load::TunnelPost(64 << 10, Bodies::New), true),
    ("... the same again", Load::TunnelPost(64 << 10, Bodies::Same), true),
    ("intercepted new tunnel", Load::NewTunnel, true),
    ("new tunnel", Load::NewTunnel, false),
    ("bulk, per MB", Load::Bulk, false),
];

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if args.first().is_some_and(|first| first == peer::RELAY) {
        return runtime.block_on(relay::serve(&args[1..]));
    }
    if args.first().is_some_and(|first| first == "process") {
        return runtime.block_on(processes());
    }
    let number = |index: usize, default: u64| match args.get(index) {
        None => Ok(default),
        Some(text) => text.parse().with_context(|| format!("not a number: {text}")),
    };
    let (seconds, rounds) = (number(0, 1)?, number(1, 5)?);
    let connections = usize::try_from(number(2, 32)?)?;
    runtime.block_on(async {
        compare(Duration::from_secs(seconds), rounds, connections).await?;
        processes().await
    })
}

async fn processes() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let material = Material::write(dir.path())?;
    let origin = origin::start(&material).await?;
    process::report(&material, &origin).await
}

async fn compare(time: Duration, rounds: u64, connections: usize) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let material = Material::write(dir.path())?;
    let origin = origin::start(&material).await?;
    say!(
        "{connections} connections, medians of {rounds} rounds of {} s; CPU in microseconds",
        time.as_secs()
    );
    say!("{:<26}{:>10}{:>10}{:>8}{:>14}", "", "relay", "muselet", "ratio", "muselet op/s");
    for intercepts in [false, true] {
        let relay = Peer::start(Kind::Relay, intercepts, &material, &origin).await?;
        let muselet = Peer::start(Kind::Muselet, intercepts, &material, &origin).await?;
        for (name, load, _) in ROWS.into_iter().filter(|row| row.2 == intercepts) {
            let mut costs = (Vec::new(), Vec::new());
            let mut rates = Vec::new();
            for _ in 0..rounds {
                let (cost, _) = measure(&relay, load, &material, &origin, time, connections).await?;
                costs.0.push(cost);
                let (cost, rate) = measure(&muselet, load, &material, &origin, time, connections).await?;
                costs.1.push(cost);
                rates.push(rate);
            }
            let (relay, muselet) = (median(costs.0), median(costs.1));
            let rate = median(rates);
            say!("{name:<26}{relay:>10.1}{muselet:>10.1}{:>8.2}{rate:>14.0}", muselet / relay);
        }
    }
    Ok(())
}

/// CPU of the peer for each operation in microseconds, and operations a second.
async fn measure(
    peer: &Peer,
    load: Load,
    material: &Material,
    origin: &origin::Origin,
    time: Duration,
    connections: usize,
) -> anyhow::Result<(f64, f64)> {
    let before = peer.cpu()?;
    let began = std::time::Instant::now();
    let operations = client::drive(load, peer.address, material, origin, time, connections).await?;
    let took = began.elapsed();
    let used = peer.cpu()? - before;
    anyhow::ensure!(operations > 0.0, "nothing was finished in {took:?}");
    Ok((used.as_secs_f64() * 1e6 / operations, operations / took.as_secs_f64()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
