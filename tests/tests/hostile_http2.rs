//! HTTP/2 that is made to cost the proxy more than the client: it ends, or it is held back, and it never takes much memory or
//! keeps others from being served.

mod tunnels;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use tunnels::World;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// How long each attack goes on that need not end.
const TIME: Duration = Duration::from_secs(2);
/// How much memory one may take, KiB.
const MEMORY: u64 = 64 << 10;
/// An honest request is answered within this time, whatever else goes on.
const PATIENCE: Duration = Duration::from_secs(60);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields of a GET of `/` (or, with `post`, of a POST) in HPACK: three from the static table, the authority in letters.
fn fields(authority: &str, post: bool) -> Vec<u8> {
    let method = if post { 0x83 } else { 0x82 };
    let length = u8::try_from(authority.len()).expect("a short name");
    [&[method, 0x87, 0x84, 0x01, length][..], authority.as_bytes()].concat()
}

/// Client streams are odd.
fn stream(number: u32) -> u32 {
    2 * number + 1
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// The proxy closes the connection, however long that takes a busy machine.
    Ended,
    /// That, or it goes on, or it stops reading.
    Anything,
}

struct Attack {
    name: &'static str,
    /// Whether the client reads what it is sent.
    reads: bool,
    want: Want,
    /// What is sent first, and then over and over; the number counts from zero.
    sends: fn(authority: &str, number: u32) -> Vec<u8>,
}

/// A field that fills most of the dynamic table of 4,096 bytes: its value has 127 + 61 + 29 * 128 = 3,900.
fn large_field() -> Vec<u8> {
    [&[0x40, 1, b'x', 0x7F, 0xBD, 0x1D][..], &[b'y'; 3900]].concat()
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "requests that are reset at once",
        reads: true,
        want: Want::Anything,
        sends: |authority, number| {
            let fields = fields(authority, false);
            (0..100)
                .flat_map(|i| {
                    let stream = stream(number * 100 + i);
                    let open = frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields);
                    [open, frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())].concat()
                })
                .collect()
        },
    },
    Attack {
        name: "a header list without end",
        reads: true,
        want: Want::Ended,
        sends: |authority, number| match number {
            0 => frame(HEADERS, END_STREAM, 1, &fields(authority, false)),
            // Fields that are not indexed, of 120 bytes each.
            _ => {
                let field = [&[0x00, 1, b'x', 117][..], &[b'y'; 117]].concat();
                frame(CONTINUATION, 0, 1, &field.repeat(100))
            }
        },
    },
    Attack {
        name: "empty continuations without end",
        reads: true,
        want: Want::Ended,
        sends: |authority, number| match number {
            0 => frame(HEADERS, END_STREAM, 1, &fields(authority, false)),
            _ => frame(CONTINUATION, 0, 1, &[]).repeat(100),
        },
    },
    Attack {
        name: "a small header list that unpacks to 60 MB",
        reads: true,
        want: Want::Anything,
        sends: |authority, number| {
            let mut list = fields(authority, false);
            if number == 0 {
                list.extend(large_field());
            }
            // The newest entry of the dynamic table.
            list.resize(16_000, 0x80 | 62);
            frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &list)
        },
    },
    Attack {
        name: "pings whose answers are not read",
        reads: false,
        want: Want::Anything,
        sends: |_, number| frame(PING, 0, 0, &u64::from(number).to_be_bytes()).repeat(500),
    },
    Attack {
        name: "settings whose acknowledgements are not read",
        reads: false,
        want: Want::Anything,
        sends: |_, _| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]).repeat(500),
    },
    Attack {
        name: "empty pieces of a body without end",
        reads: true,
        want: Want::Anything,
        sends: |authority, number| match number {
            0 => frame(HEADERS, END_HEADERS, 1, &fields(authority, true)),
            _ => frame(DATA, 0, 1, &[]).repeat(500),
        },
    },
    Attack {
        name: "a window that overflows",
        reads: true,
        want: Want::Ended,
        sends: |_, _| frame(WINDOW_UPDATE, 0, 0, &0x7FFF_FFFFu32.to_be_bytes()),
    },
    Attack {
        name: "requests that are never finished",
        reads: true,
        want: Want::Anything,
        sends: |authority, number| {
            let fields = fields(authority, true);
            (0..100).flat_map(|i| frame(HEADERS, END_HEADERS, stream(number * 100 + i), &fields)).collect()
        },
    },
    Attack {
        name: "a frame longer than was agreed",
        reads: true,
        want: Want::Ended,
        sends: |_, _| frame(DATA, 0, 1, &vec![0; (1 << 20) + 1]),
    },
    Attack {
        name: "noise",
        reads: true,
        want: Want::Ended,
        sends: |_, number| {
            (0..2000u32).map(|i| (number.wrapping_add(i).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
        },
    },
];

/// Resident memory of this process, which the proxy is part of, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim_end_matches("kB").trim().parse().expect("a number")
}

/// Whether the proxy closed the connection.
async fn attack(world: &World, attack: &Attack) -> bool {
    let (mut read, mut write) = tokio::io::split(world.tunnel(b"h2").await);
    let reads = attack.reads;
    let reader = tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 16];
        while reads && !matches!(read.read(&mut buffer).await, Ok(0) | Err(_)) {}
        read
    });
    let end = Instant::now() + if attack.want == Want::Ended { PATIENCE } else { TIME };
    let start = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let mut sent = timeout_at(end, write.write_all(&start)).await;
    let mut number = 0;
    while matches!(sent, Ok(Ok(()))) && Instant::now() < end && !(reads && reader.is_finished()) {
        let bytes = (attack.sends)(&world.origin, number);
        number += 1;
        sent = timeout_at(end, async {
            write.write_all(&bytes).await?;
            write.flush().await
        })
        .await;
    }
    let closed = matches!(sent, Ok(Err(_))) || reads && reader.is_finished();
    reader.abort();
    closed
}

async fn honest(world: &World) {
    let mut sender = world.http2().await;
    let target = format!("https://{}/honest", world.origin);
    let request = Request::get(target).body(Empty::<Bytes>::new()).expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    assert_eq!(&body[..], b"hello from /honest");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hostile_http2_is_bounded() {
    let world = World::intercepting().await;
    honest(&world).await;
    for case in ATTACKS {
        let before = resident();
        let (closed, ()) = tokio::join!(attack(&world, case), async {
            tokio::time::sleep(TIME / 2).await;
            timeout(PATIENCE, honest(&world)).await.unwrap_or_else(|_| panic!("{}: others wait", case.name));
        });
        let grown = resident().saturating_sub(before);
        println!("{}: closed {closed}, {grown} KiB", case.name);
        assert!(closed || case.want == Want::Anything, "{}: goes on", case.name);
        assert!(grown < MEMORY, "{}: {grown} KiB", case.name);
    }
    honest(&world).await;
}
