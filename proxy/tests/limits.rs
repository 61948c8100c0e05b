//! What large, slow and endless bodies cost: memory of the process, and the time of everybody else.
//!
//! These run the program itself, which only this package's tests can name. Figures are printed (`--nocapture`); what is
//! asserted holds on a busy machine and without optimisation. (design: latency and memory)

mod process;

use std::time::{Duration, Instant};

use process::{Proxy, exchange, head, in_chunks, origin};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const MIB: u64 = 1 << 20;
/// Default of `request_body_scanning.max_body_bytes`.
const BODY_LIMIT: u64 = 5 * MIB;
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A conversation as agents send it, `bytes` long.
fn conversation(bytes: usize) -> Vec<u8> {
    const TURN: &str =
        r#"{"role":"user","content":"Please look at the second function and say why the loop never ends."},"#;
    let end = r#"{"role":"user","content":""}]}"#;
    let mut text = String::from(r#"{"model":"m","messages":["#);
    while text.len() + TURN.len() + end.len() <= bytes {
        text.push_str(TURN);
    }
    text.push_str(end);
    // White space behind the value belongs to no string of it.
    text.extend(std::iter::repeat_n(' ', bytes - text.len()));
    text.into_bytes()
}

fn post(origin: &str, length: usize) -> String {
    format!(
        "POST http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

/// A proxy that has scanned in both directions, so that what it builds once is not counted, and an origin.
async fn warm() -> (Proxy, String) {
    let (proxy, origin) = (Proxy::start().await, origin().await);
    for size in [100, 200_000] {
        let request = [post(&origin, size).as_bytes(), &conversation(size)].concat();
        let answer = exchange(proxy.connect().await, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    (proxy, origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_uploads_of_five_megabytes_stay_under_one_and_a_half_gigabytes() {
    const UPLOADS: usize = 100;
    let (proxy, origin) = (Proxy::start().await, origin().await);
    let body: bytes::Bytes = conversation(5_000_000).into();
    let began = Instant::now();
    let mut uploads = JoinSet::new();
    for _ in 0..UPLOADS {
        let (mut stream, head, body) = (proxy.connect().await, post(&origin, body.len()), body.clone());
        let address = proxy.address.clone();
        uploads.spawn(async move {
            loop {
                let _ = stream.write_all(head.as_bytes()).await;
                let (mut read, mut write) = stream.split();
                let mut seen = Vec::new();
                let (sent, _) = tokio::join!(write.write_all(&body), read.read_to_end(&mut seen));
                let answer = String::from_utf8_lossy(&seen).into_owned();
                // On a busy machine all of them may take longer than a request may; the answer may be lost to a reset.
                let late = answer.is_empty() || answer.contains("i/o timeout");
                if !late || began.elapsed() > PATIENCE {
                    return (sent.is_ok(), answer);
                }
                stream = TcpStream::connect(&address).await.expect("connected");
            }
        });
    }
    while let Some(done) = uploads.join_next().await {
        let (sent, answer) = done.expect("no panic");
        assert!(sent && answer.starts_with("HTTP/1.1 200") && answer.ends_with("5000000"), "{answer}");
    }
    let most = proxy.memory("VmHWM");
    println!("{UPLOADS} uploads of 5 MB: {:?}, at most {} MiB resident", began.elapsed(), most / MIB);
    assert!(most < 1_500_000_000, "{most} bytes resident");
}

/// Sends all requests at once, each with a pause in the middle, so that none is done before all have begun; the answers.
async fn at_once(proxy: &Proxy, request: Vec<u8>, number: usize) -> Vec<String> {
    let request: bytes::Bytes = request.into();
    let mut under_way = JoinSet::new();
    for _ in 0..number {
        let (mut stream, request) = (proxy.connect().await, request.clone());
        under_way.spawn(async move {
            let (mut read, mut write) = stream.split();
            let mut seen = Vec::new();
            let send = async {
                let (first, second) = request.split_at(request.len() / 2);
                let _ = write.write_all(first).await;
                tokio::time::sleep(process::PAUSE).await;
                let _ = write.write_all(second).await;
            };
            let ((), _) = tokio::join!(send, read.read_to_end(&mut seen));
            String::from_utf8_lossy(&seen[..seen.len().min(500)]).into_owned()
        });
    }
    under_way.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_share_little_room_take_turns() {
    const ROOM: u64 = 16;
    const LENGTH: usize = 1_000_000;
    let (proxy, origin) = (Proxy::start_with("muselet: {held_mb: 16}\n").await, origin().await);
    let body = conversation(LENGTH);
    let stated = [post(&origin, LENGTH).as_bytes(), &body].concat();
    let chunked = post(&origin, 0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
    let chunked = [chunked.as_bytes(), &in_chunks(&body)].concat();
    let get = format!("GET http://{origin}/chunks/{LENGTH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    // More than there is room for, and no more: each waits five seconds at most, on a busy machine too. What does not say how long
    // it is takes room for five megabytes.
    for (name, request, number) in [
        ("uploads with a length", stated, 20),
        ("uploads in chunks", chunked, 10),
        ("downloads", get.into_bytes(), 10),
    ] {
        let began = Instant::now();
        for answer in at_once(&proxy, request, number).await {
            assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
        }
        println!("{number} {name}: {:?}", began.elapsed());
    }
    let most = proxy.memory("VmHWM");
    println!("at most {} MiB resident", most / MIB);
    assert!(most < 12 * ROOM * MIB, "{most} bytes resident");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_body_is_refused_at_the_limit() {
    let (proxy, origin) = warm().await;
    let before = proxy.memory("VmHWM");
    let mut stream = proxy.connect().await;
    let head = post(&origin, 0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    let chunk = [b"10000\r\n".as_slice(), &[b'a'; 65_536], b"\r\n"].concat();
    let mut sent = 0_u64;
    let send = async {
        // As much as the proxy takes, far beyond anything that sockets could hold.
        while sent < 64 * BODY_LIMIT && write.write_all(&chunk).await.is_ok() {
            sent += 65_536;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = send => {}
        _ = read.read_to_end(&mut answer) => {}
    }
    let answer = String::from_utf8_lossy(&answer);
    // The client may see the reset before the answer; what counts is that it stopped.
    assert!(
        answer.is_empty() || answer.contains("request body exceeds max_body_bytes (5242880)"),
        "{answer}"
    );
    let grown = proxy.memory("VmHWM") - before;
    println!("an endless body: {} KiB sent until the end, {} KiB more resident", sent / 1024, grown / 1024);
    assert!(sent < 4 * BODY_LIMIT, "{sent} bytes were taken");
    assert!(grown < 4 * BODY_LIMIT, "{grown} bytes more resident");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_length_over_the_limit_is_refused_before_any_of_the_body() {
    let (proxy, origin) = warm().await;
    let request = post(&origin, usize::try_from(BODY_LIMIT).expect("small") + 1);
    let answer = exchange(proxy.connect().await, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("exceeds max_body_bytes"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_uploads_hold_what_they_sent_and_not_what_they_promised() {
    slow_uploads(200, 64 * 1024, 5_000_000, 4 * 64 * 1024).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_bodies_of_which_a_part_was_sent_hold_little() {
    slow_uploads(open_files().saturating_sub(700).clamp(300, 3000), 16 * 1024, 256 * 1024, 128 * 1024).await;
}

/// How many descriptors a process may have, as each client takes one here and some in the proxy's process. The usual limit would not
/// do for the tests that run beside this one.
fn open_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    getrlimit(Resource::Nofile).current.and_then(|limit| limit.try_into().ok()).unwrap_or(usize::MAX)
}

/// So many clients each send the first bytes of a body: it may hold at most so much memory.
async fn slow_uploads(clients: usize, sent: usize, length: usize, most: u64) {
    let (proxy, origin) = warm().await;
    let before = proxy.memory("VmRSS");
    let part = vec![b'a'; sent];
    let mut open = Vec::with_capacity(clients);
    for _ in 0..clients {
        let mut stream = proxy.connect().await;
        stream.write_all(post(&origin, length).as_bytes()).await.expect("sent");
        stream.write_all(&part).await.expect("sent");
        open.push(stream);
    }
    // Whatever the proxy reads at once it has read before it answers one more request.
    let answer = exchange(proxy.connect().await, post(&origin, 0).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let each = proxy.memory("VmRSS").saturating_sub(before) / clients as u64;
    println!("slow uploads of {length}: {} KiB resident each, {} KiB of it sent", each / 1024, sent / 1024);
    assert!(each < most, "{each} bytes resident for each");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_downloads_hold_what_came_and_not_what_was_announced() {
    const DOWNLOADS: usize = 200;
    let (proxy, origin) = warm().await;
    let before = proxy.memory("VmRSS");
    let mut open = Vec::with_capacity(DOWNLOADS);
    for n in 0..DOWNLOADS {
        let mut stream = proxy.connect().await;
        let request = format!("GET http://{origin}/stall/{n} HTTP/1.1\r\nHost: {origin}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        open.push(stream);
    }
    let answer = exchange(proxy.connect().await, post(&origin, 0).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let each = proxy.memory("VmRSS").saturating_sub(before) / DOWNLOADS as u64;
    println!("slow downloads: {} KiB resident each, 64 KiB of it came", each / 1024);
    assert!(each < 256 * 1024, "{each} bytes resident for each");
}

#[tokio::test(flavor = "multi_thread")]
async fn tunnels_whose_client_does_not_read_hold_no_more_than_their_buffers() {
    const TUNNELS: usize = 50;
    let proxy = Proxy::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let origin = listener.local_addr().expect("an address").to_string();
    let before = proxy.memory("VmRSS");
    let mut open: Vec<(TcpStream, TcpStream)> = Vec::with_capacity(TUNNELS);
    for _ in 0..TUNNELS {
        let mut client = proxy.connect().await;
        client
            .write_all(format!("CONNECT {origin} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
            .await
            .expect("sent");
        let (server, answer) = tokio::join!(listener.accept(), head(&mut client));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // The tunnel begins with the client's first bytes.
        client.write_all(b"begin").await.expect("sent");
        let mut server = server.expect("accepted").0;
        server.read_exact(&mut [0; 5]).await.expect("relayed");
        open.push((client, server));
    }
    let block = vec![b'a'; 64 * 1024];
    let mut taken = 0;
    for (_, server) in &mut open {
        // Until nothing more is taken.
        while let Ok(sent) = tokio::time::timeout(Duration::from_millis(100), server.write(&block)).await {
            taken += sent.expect("an open tunnel");
        }
    }
    let each = proxy.memory("VmRSS").saturating_sub(before) / TUNNELS as u64;
    println!("unread tunnels: {} KiB taken and {} KiB resident each", taken / TUNNELS / 1024, each / 1024);
    assert!(each < 256 * 1024, "{each} bytes resident for each");
}

#[tokio::test(flavor = "multi_thread")]
async fn small_requests_are_answered_while_large_bodies_are_scanned() {
    const UPLOADS: usize = 8;
    const REQUESTS: usize = 200;
    let (proxy, origin) = warm().await;
    let body: bytes::Bytes = conversation(5_000_000).into();
    let mut uploads = JoinSet::new();
    let (finished, mut count) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..UPLOADS {
        let (address, origin, body) = (proxy.address.clone(), origin.clone(), body.clone());
        let finished = finished.clone();
        // One after another until the test ends: more large scans than cores, all the time.
        uploads.spawn(async move {
            loop {
                let began = Instant::now();
                let stream = TcpStream::connect(&address).await.expect("connected");
                let request = [post(&origin, body.len()).as_bytes(), &body].concat();
                let answer = exchange(stream, &request).await;
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                let _ = finished.send(began.elapsed());
            }
        });
    }
    let request = format!("GET http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\nConnection: close\r\n\r\n");
    let mut times = Vec::with_capacity(REQUESTS);
    count.recv().await.expect("the first upload ends");
    for _ in 0..REQUESTS {
        let began = Instant::now();
        let answer = exchange(proxy.connect().await, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        times.push(began.elapsed());
    }
    // Not before a scan has surely run beside them.
    let upload = count.recv().await.expect("another upload ends");
    uploads.abort_all();
    while let Some(ended) = uploads.join_next().await {
        assert!(ended.is_err_and(|why| why.is_cancelled()), "an upload failed");
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!(
        "small requests beside {UPLOADS} uploads of 5 MB that take {upload:?}: p50 {:?}, p99 {:?}, max {:?}",
        at(50),
        at(99),
        at(100)
    );
    // Who waited for a scan would take about as long as an upload, however slow the machine is.
    let most = (upload / 4).max(Duration::from_secs(1));
    assert!(at(99) < most, "p99 {:?}, an upload {upload:?}", at(99));
}
