//! What a process costs beside its requests: its start, its memory, the latency that it adds, and events of a stream.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use muselet_benches::say;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::material::{HOST, Material};
use crate::origin::{self, Origin};
use crate::peer::{Kind, Peer};
use crate::{client, median};

const STARTS: usize = 20;
const TUNNELS: u32 = 1000;
const STREAMS: usize = 32;
const STREAM_TIME: Duration = Duration::from_secs(3);
/// Requests for the latency, one every five milliseconds.
const PACED: u32 = 1000;
const PACE: Duration = Duration::from_millis(5);

/// Prints everything.
pub async fn report(material: &Material, origin: &Origin) -> anyhow::Result<()> {
    let mut ready = Vec::new();
    for _ in 0..STARTS {
        ready.push(start(material, origin).await?);
    }
    let resident = fresh(material, origin).await?;
    say!(
        "fresh process: /health answered after {:.1} ms (median of {STARTS}), {:.1} MiB resident",
        median(ready),
        resident / 1024.0
    );
    for intercepts in [false, true] {
        let kind = if intercepts { "intercepted" } else { "plain" };
        let each = idle(intercepts, material, origin).await?;
        say!("idle {kind} tunnel: {each:.1} KiB each, of {TUNNELS}");
    }
    for kind in [Kind::Relay, Kind::Muselet] {
        let [p50, p99] = added_latency(kind, material, origin).await?;
        say!(
            "added to an intercepted GET of 1 KiB at 200 a second, {kind:?}: p50 {p50:.0} us, p99 {p99:.0} us"
        );
    }
    for intercepts in [false, true] {
        let of = if intercepts { "intercepted" } else { "plain" };
        for kind in [Kind::Relay, Kind::Muselet] {
            let [p50, p99, cpu] = events(kind, intercepts, material, origin).await?;
            say!(
                "{STREAMS} {of} event streams, {kind:?}: p50 {p50:.0} us, p99 {p99:.0} us, CPU {cpu:.1} us an event"
            );
        }
    }
    Ok(())
}

/// Milliseconds from the start of the process to its first answer.
async fn start(material: &Material, origin: &Origin) -> anyhow::Result<f64> {
    let mut peer = Peer::spawn(Kind::Muselet, false, material, origin).await?;
    loop {
        if let Ok(mut stream) = TcpStream::connect(peer.address).await {
            stream.write_all(b"GET /health HTTP/1.1\r\nHost: proxy\r\n\r\n").await?;
            let mut answer = [0; 64];
            let n = stream.read(&mut answer).await?;
            anyhow::ensure!(answer[..n].starts_with(b"HTTP/1.1 200"), "/health is not answered with 200");
            return Ok(peer.began.elapsed().as_secs_f64() * 1e3);
        }
        peer.wait(Duration::from_micros(100)).await?;
    }
}

async fn fresh(material: &Material, origin: &Origin) -> anyhow::Result<f64> {
    let peer = Peer::start(Kind::Muselet, false, material, origin).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    peer.resident()
}

/// KiB of resident memory for each tunnel that does nothing after its handshake.
async fn idle(intercepts: bool, material: &Material, origin: &Origin) -> anyhow::Result<f64> {
    let peer = Peer::start(Kind::Muselet, intercepts, material, origin).await?;
    let trusted = client::trust(material, peer.address, origin).await?;
    // What is made once, with the first tunnel.
    let mut tunnels = vec![client::encrypted(Some(trusted.clone()), peer.address, origin).await?];
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = peer.resident()?;
    for _ in 0..TUNNELS {
        tunnels.push(client::encrypted(Some(trusted.clone()), peer.address, origin).await?);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = peer.resident()?;
    Ok((after - before) / f64::from(TUNNELS))
}

/// How much slower requests at a steady pace are through the proxy: medians and 99th percentiles, microseconds.
async fn added_latency(kind: Kind, material: &Material, origin: &Origin) -> anyhow::Result<[f64; 2]> {
    let peer = Peer::start(kind, true, material, origin).await?;
    let trusted = client::trust(material, peer.address, origin).await?;
    let mut through = client::encrypted(Some(trusted), peer.address, origin).await?;
    let direct = TlsConnector::from(material.origin().client()?);
    let mut direct = direct.connect(HOST.try_into()?, client::dial(origin.tls).await?).await?;
    let request = client::get("/1024", origin.tls.port());
    let mut times = (Vec::new(), Vec::new());
    let mut timer = tokio::time::interval(PACE);
    // In turns, so that both see the same machine; the first ones warm up.
    for round in 0..2 * PACED + 100 {
        timer.tick().await;
        let began = Instant::now();
        let (stream, times): (&mut (dyn Stream + Send), _) = match round % 2 {
            0 => (&mut direct, &mut times.0),
            _ => (&mut through, &mut times.1),
        };
        client::exchange(stream, &request, &mut Vec::new()).await?;
        if round >= 100 {
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.0.sort_by(f64::total_cmp);
    times.1.sort_by(f64::total_cmp);
    let difference = |share| Some(percentile(&times.1, share)? - percentile(&times.0, share)?);
    Ok([difference(0.5).context("no times")?, difference(0.99).context("no times")?])
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    sorted.get((sorted.len() as f64 * share) as usize).copied()
}

/// From an event's being sent to its arrival, median and 99th percentile, and the process's CPU for each; microseconds.
async fn events(
    kind: Kind,
    intercepts: bool,
    material: &Material,
    origin: &Origin,
) -> anyhow::Result<[f64; 3]> {
    let peer = Peer::start(kind, intercepts, material, origin).await?;
    let trusted = if intercepts { Some(client::trust(material, peer.address, origin).await?) } else { None };
    let before = peer.cpu()?;
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        let (address, origin, trusted) = (peer.address, *origin, trusted.clone());
        streams.spawn(async move {
            if trusted.is_some() {
                let stream = client::encrypted(trusted, address, &origin).await?;
                listen(stream, &client::get(origin::EVENTS, origin.tls.port())).await
            } else {
                let port = origin.plain.port();
                let request = client::get(&format!("http://{HOST}:{port}{}", origin::EVENTS), port);
                listen(client::dial(address).await?, &request).await
            }
        });
    }
    let mut times = Vec::new();
    while let Some(done) = streams.join_next().await {
        times.extend(done??);
    }
    let cpu = (peer.cpu()? - before).as_secs_f64() * 1e6 / times.len() as f64;
    times.sort_by(f64::total_cmp);
    let at = |share| percentile(&times, share).context("no events");
    Ok([at(0.5)?, at(0.99)?, cpu])
}

/// Reads events for a while; how long each was under way.
async fn listen<S: Stream>(mut stream: S, request: &[u8]) -> anyhow::Result<Vec<f64>> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let end = Instant::now() + STREAM_TIME;
    let (mut buffer, mut times) = (Vec::new(), Vec::new());
    while Instant::now() < end {
        anyhow::ensure!(stream.read_buf(&mut buffer).await? > 0, "the stream ended");
        let now = origin::clock();
        let mut done = 0;
        while let Some(at) = memchr::memmem::find(&buffer[done..], b"}\n\n") {
            let event = &buffer[done..done + at];
            let sent = memchr::memmem::rfind(event, b"\"sent\":").context("an event without a time")?;
            let sent: u64 = std::str::from_utf8(&event[sent + 7..])?.parse()?;
            times.push(now.saturating_sub(sent) as f64);
            done += at + 3;
        }
        buffer.drain(..done);
    }
    anyhow::ensure!(!times.is_empty(), "no event came");
    Ok(times)
}
