use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::*;
use crate::config::Config;
use crate::server::connect::splice;

const HOUR: Duration = Duration::from_secs(3600);

/// Two ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// Bytes whose order shows.
fn numbered(fours: u32) -> Vec<u8> {
    (0..fours).flat_map(u32::to_be_bytes).collect()
}

/// Sends `sent` through one direction; what arrives.
async fn relayed(sent: &[u8]) -> Vec<u8> {
    let switch = KillSwitch::new(&Config::defaults(), None);
    let ((mut source, from), (to, mut sink)) = (pair().await, pair().await);
    let moved = Moved::default();
    let mut arrived = Vec::new();
    let relay = async {
        direction(&from, &to, HOUR, Instant::now() + HOUR, &moved.up, &switch).await;
    };
    let send = async {
        source.write_all(sent).await.unwrap();
        source.shutdown().await.unwrap();
    };
    let (_, (), read) = tokio::join!(relay, send, sink.read_to_end(&mut arrived));
    read.unwrap();
    assert_eq!(moved.up.get(), sent.len() as u64);
    arrived
}

#[tokio::test]
async fn a_bulk_transfer_goes_on_by_copies_where_the_kernel_does_not_splice() {
    let sent = numbered(1 << 19);
    splice::offer_unusable();
    let (mut pipe, (end, mut far)) = (Pipe::take().unwrap(), pair().await);
    far.write_all(b"x").await.unwrap();
    end.readable().await.unwrap();
    assert_eq!(pipe.fill(&end).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    // An empty pipe goes back to where the next one is taken from.
    drop(pipe);
    assert!(relayed(&sent).await == sent, "bytes differ");
}

#[tokio::test]
async fn a_bulk_transfer_arrives_in_order() {
    let sent = numbered(1 << 19);
    assert!(relayed(&sent).await == sent, "bytes differ");
}
