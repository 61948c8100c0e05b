//! Many at once, on loopback: idle tunnels up to the limit, and a steady stream of requests beside them.
//!
//! The short form is part of the suite; `cargo test -p muselet-tests --test load -- --ignored` runs the long one.

mod raw;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use muselet::config::Strictness;
use raw::World;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Simultaneous tunnels that the proxy allows in reference mode. (spec: http-proxy §6.2 C13)
const LIMIT: usize = 1024;

/// Each tunnel has two connections, and both ends of both are in this process.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

async fn connect(world: &World) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(world.proxy).await.expect("connected");
    let request = format!("CONNECT {} HTTP/1.1\r\nHost: x\r\n\r\n", world.origin);
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert!(stream.read_buf(&mut head).await.expect("answered") > 0, "closed early");
        if head.windows(4).any(|window| window == b" 503") {
            break;
        }
    }
    (stream, String::from_utf8_lossy(&head).into_owned())
}

async fn echoes(stream: &mut TcpStream, text: &[u8]) -> bool {
    let mut back = vec![0; text.len()];
    stream.write_all(text).await.is_ok() && stream.read_exact(&mut back).await.is_ok() && back == text
}

async fn get(world: &World) -> Duration {
    let began = Instant::now();
    let mut stream = TcpStream::connect(world.proxy).await.expect("connected");
    let request = format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", world.origin);
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut seen = Vec::new();
    stream.read_to_end(&mut seen).await.expect("answered");
    assert!(seen.starts_with(b"HTTP/1.1 200 OK"), "{:?}", String::from_utf8_lossy(&seen));
    began.elapsed()
}

/// Opens `tunnels`, then sends `per_second` requests a second for `seconds`, then uses every tunnel. The slowest request.
async fn tunnels_and_requests(world: &World, tunnels: usize, per_second: u32, seconds: u32) -> Duration {
    let mut open = Vec::with_capacity(tunnels);
    while open.len() < tunnels {
        let batch = join_all((open.len()..tunnels).take(64).map(|_| connect(world))).await;
        for (mut stream, head) in batch {
            assert_eq!(head, "HTTP/1.1 200 Connection Established\r\n\r\n");
            // The tunnel begins with the client's first bytes.
            assert!(echoes(&mut stream, b"begin").await);
            open.push(stream);
        }
    }
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut slowest = Duration::ZERO;
    for _ in 0..per_second * seconds / 10 {
        let mut ten = Vec::with_capacity(10);
        for _ in 0..10 {
            ticks.tick().await;
            ten.push(get(world));
        }
        slowest = join_all(ten).await.into_iter().fold(slowest, Duration::max);
    }
    let used = join_all(open.iter_mut().map(|stream| echoes(stream, b"still here"))).await;
    assert!(used.iter().all(|ok| *ok), "{} tunnels lost", used.iter().filter(|ok| !**ok).count());
    slowest
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_tunnels_and_requests_do_not_disturb_each_other() {
    allow_many_files();
    let world = World::start().await;
    let slowest = tunnels_and_requests(&world, 100, 200, 1).await;
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

/// Bytes whose order shows: the number of each four.
fn numbered(from: u32, fours: u32) -> Vec<u8> {
    (from..from + fours).flat_map(u32::to_be_bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_tunnels_deliver_every_byte_in_order_and_none_of_another() {
    const FOURS: u32 = 1 << 20;
    let world = World::start().await;
    let tunnels = (0..4).map(|number: u32| {
        let world = &world;
        async move {
            let (mut stream, head) = connect(world).await;
            assert_eq!(head, "HTTP/1.1 200 Connection Established\r\n\r\n");
            let sent = numbered(number * FOURS, FOURS);
            let mut back = Vec::with_capacity(sent.len());
            let (mut read, mut write) = stream.split();
            let writing = async {
                write.write_all(&sent).await.expect("sent");
                // The end of this direction reaches the origin, whose end then comes back.
                write.shutdown().await.expect("half-closed");
            };
            let (_, result) = tokio::join!(writing, read.read_to_end(&mut back));
            result.expect("read");
            assert_eq!(back.len(), sent.len(), "tunnel {number}");
            assert!(back == sent, "tunnel {number}: bytes differ");
        }
    });
    join_all(tunnels).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute and four thousand descriptors"]
async fn the_limit_of_tunnels_holds_and_one_more_is_refused() {
    allow_many_files();
    let world = World::start_as(Strictness::Reference).await;
    let idle = join_all((0..1000).map(|_| TcpStream::connect(world.proxy))).await;
    assert!(idle.iter().all(Result::is_ok));
    let slowest = tunnels_and_requests(&world, LIMIT - 1, 200, 10).await;
    println!("slowest of 2000 requests beside {} tunnels: {slowest:?}", LIMIT - 1);
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let first = join_all((0..=LIMIT).map(|_| connect(&world))).await;
    assert!(first.iter().any(|(_, head)| head.starts_with("HTTP/1.1 503")), "no refusal above the limit");
}
