//! Bodies that share little room (D-630): one that comes slowly keeps nobody waiting for long.

mod tunnels;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tunnels::World;

const ROOM: &str = "muselet: {held_mb: 16}\n";
/// Longer than a body waits for room.
const PATIENCE: Duration = Duration::from_secs(20);

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
