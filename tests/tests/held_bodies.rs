//! Bodies that share little room (D-630): they take turns, and one that comes slowly keeps nobody waiting for long.

mod tunnels;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use http::Request;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tunnels::World;

const ROOM: &str = "muselet: {held_mb: 16}\n";
/// Longer than a body waits for room.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_tunnel_take_turns() {
    // More than there is room for, and no more: each waits five seconds at most, on a busy machine too.
    const NUMBER: usize = 8;
    const PIECE: usize = 10_000;
    const PIECES: usize = 150;
    let world = World::intercepting_with(ROOM).await;
    let sender = world.http2().await;
    let piece = Bytes::from(vec![b' '; PIECE]);
    let began = Instant::now();
    let uploads = join_all((0..NUMBER).map(|_| {
        let (mut sender, piece) = (sender.clone(), piece.clone());
        let frames = futures_util::stream::iter(0..PIECES).then(move |n| {
            let piece = piece.clone();
            async move {
                if n == PIECES / 2 {
                    // None is done before all have begun.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Ok::<_, Infallible>(Frame::data(piece))
            }
        });
        let body = StreamBody::new(Box::pin(frames));
        let request = Request::post(format!("https://{}/echo", world.origin)).body(body).expect("a request");
        async move {
            let answer = sender.send_request(request).await.expect("an answer");
            let status = answer.status();
            (status.as_u16(), answer.into_body().collect().await.expect("a body").to_bytes().len())
        }
    }));
    let answers = timeout(PATIENCE, uploads).await.expect("answers in time");
    println!("{NUMBER} streams: {:?}", began.elapsed());
    for (status, length) in answers {
        assert_eq!(status, 200);
        assert!(length > PIECE * PIECES, "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_given_up_for_others() {
    const LENGTH: usize = 5_000_000;
    let world = World::intercepting_with(ROOM).await;
    let head = |length: usize| {
        format!("POST /echo HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n", world.origin)
    };
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut tunnel = world.tunnel(b"http/1.1").await;
        tunnel.write_all(head(LENGTH).as_bytes()).await.expect("sent");
        tunnel.write_all(&[b' '; 100]).await.expect("sent");
        tunnel.flush().await.expect("sent");
        slow.push(tunnel);
    }
    let honest = async {
        let mut tunnel = world.tunnel(b"http/1.1").await;
        tunnel.write_all(head(LENGTH).as_bytes()).await.expect("sent");
        tunnel.write_all(&vec![b' '; LENGTH]).await.expect("sent");
        let mut status = [0; 12];
        tunnel.read_exact(&mut status).await.expect("an answer");
        String::from_utf8_lossy(&status).into_owned()
    };
    assert_eq!(timeout(PATIENCE, honest).await.expect("an answer in time"), "HTTP/1.1 200");
    let log = world.logged();
    assert_eq!(log.matches("the body came slowly, and others waited").count(), 1, "{log}");
}
