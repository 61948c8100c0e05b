//! What is judged of a request's target is what the origin is asked for. (spec: url-scan §1.2; differences D-411, D-419, D-521, D-817)

mod tunnels;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tunnels::World;

/// Sends a request of the last kind on a connection, and reads all that comes.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, target: &[u8], host: &str) -> String {
    let head = format!(" HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(&[b"GET ", target, head.as_bytes()].concat()).await.expect("sent");
    let mut answer = Vec::new();
    // Who is refused early may not be told the end of the TLS stream.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// An address at which nobody listens, for as long as the socket lives.
fn nowhere() -> (TcpSocket, std::net::SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("bound");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

const SECRET: &str = "AKIAIOSFODNN7EXAMPLE";

#[tokio::test(flavor = "multi_thread")]
async fn a_number_sign_hides_nothing() {
    let world = World::intercepting().await;
    let random = "aB3xK9mQ7pR2wE5tY8uI0oL4hG6fD1sZvC";
    let (_bound, plain) = nowhere();
    for query in ["?a#{}", "?#{}", "?a=b#c={}&d=1"] {
        for (hidden, refused) in
            [(escaped(SECRET), true), (random.to_owned(), true), ("top".to_owned(), false)]
        {
            let query = query.replace("{}", &hidden);
            let target = format!("http://{plain}/{query}");
            let answer =
                ask(TcpStream::connect(world.proxy).await.expect("connected"), target.as_bytes(), "x").await;
            // Nobody listens there.
            let wanted = if refused { "HTTP/1.1 403 " } else { "HTTP/1.1 502 " };
            assert!(answer.starts_with(wanted), "{target}: {answer}");
            let target = format!("/{query}");
            let answer = ask(world.tunnel(b"http/1.1").await, target.as_bytes(), &world.origin).await;
            assert_eq!(answer.starts_with("HTTP/1.1 403 "), refused, "{target}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_info_is_scanned_like_the_header_that_it_becomes() {
    let world = World::intercepting().await;
    let (_bound, plain) = nowhere();
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    for (user, refused) in [
        (format!("user:{hex}"), true),
        (hex, true),
        ("AKIAIOSFOD:NN7EXAMPLE".to_owned(), true),
        (format!("u:{}", escaped(&escaped(SECRET))), true),
        ("user:password".to_owned(), false),
    ] {
        for path in ["", "/fetch?url="] {
            let target = format!("{path}http://{user}@{plain}/");
            let connection = TcpStream::connect(world.proxy).await.expect("connected");
            let answer = ask(connection, target.as_bytes(), "x").await;
            // Nobody listens there.
            let wanted = if refused { "HTTP/1.1 403 " } else { "HTTP/1.1 502 " };
            assert!(answer.starts_with(wanted), "{target}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_text_split_no_secret_in_a_tunnel() {
    let world = World::intercepting().await;
    for (target, refused) in [(&b"/?AKIAIOSFOD\xffNN7EXAMPLE"[..], true), (b"/?AKIB\xffNN7EXAMPLE", false)] {
        let answer = ask(world.tunnel(b"http/1.1").await, target, &world.origin).await;
        assert_eq!(answer.starts_with("HTTP/1.1 403 "), refused, "{}: {answer}", target.escape_ascii());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_no_path_is_refused_in_a_tunnel() {
    let world = World::intercepting().await;
    for target in ["a:b", "localhost:443/", "a:#x", "http:x?y"] {
        let answer = ask(world.tunnel(b"http/1.1").await, target.as_bytes(), &world.origin).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{target}: {answer}");
    }
}
