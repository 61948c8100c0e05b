//! A program with a proxy of its own: starts it, makes one request through it, prints the decision, changes the policy, and
//! ends. Run with `cargo run -p muselet --example embedded`; it needs no network.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use muselet::config::Config;
use muselet::embed::{Options, Proxy};

const YAML: &str = "forward_proxy: {enabled: true}\nssrf: {ip_allowlist: [127.0.0.0/8]}\n";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let here = std::env::current_dir()?;
    let proxy = Proxy::start(Config::parse(YAML.as_bytes(), &here)?, Options::default()).await?;
    println!("the proxy listens on {}", proxy.address());
    let mut decisions = proxy.events();

    let origin = origin()?;
    println!("{}", get(proxy.address(), format!("http://{origin}/hello")).await?);
    println!("decision: {}", decisions.recv().await?);

    let strict = format!("{YAML}mode: strict\napi_allowlist: [api.example.com]\n");
    proxy.reload(Config::parse(strict.as_bytes(), &here)?)?;
    println!("decision: {}", decisions.recv().await?);
    println!("{}", get(proxy.address(), format!("http://{origin}/hello")).await?);
    println!("decision: {}", decisions.recv().await?);

    proxy.shutdown().await;
    Ok(())
}

/// An origin that answers every connection with the same page.
fn origin() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        }
    });
    Ok(address)
}

/// One request through the proxy, as any client would make it.
async fn get(proxy: SocketAddr, url: String) -> Result<String, Box<dyn std::error::Error>> {
    let answer = tokio::task::spawn_blocking(move || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(proxy)?;
        write!(stream, "GET {url} HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    let answer = answer.await??;
    let status = answer.lines().next().unwrap_or_default();
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    Ok(format!("{status}: {}", body.trim()))
}
