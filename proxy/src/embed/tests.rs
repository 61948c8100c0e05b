mod sessions;
mod shutdown;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

fn config(yaml: &str) -> Config {
    Config::parse(yaml.as_bytes(), Path::new("/")).unwrap()
}

const OPEN: &str = "internal: []\nssrf: {ip_allowlist: [127.0.0.0/8]}\nforward_proxy: {enabled: true}\n";

/// An origin that answers one line to every request on a fresh connection.
async fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
            let _ = stream.write_all(answer).await;
        }
    });
    address
}

async fn get(proxy: &Proxy, url: &str) -> String {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let request = format!("GET {url} HTTP/1.1\r\nHost: ignored\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_in_a_program_serves_tells_reloads_and_ends() {
    let origin = origin().await;
    let proxy = Proxy::start(config(OPEN), Options::default()).await.unwrap();
    let mut decisions = proxy.events();
    let url = format!("http://{origin}/a");
    assert!(get(&proxy, &url).await.ends_with("hello"));
    let line = decisions.recv().await.unwrap();
    assert!(line.contains("\"event\":\"forward_http\"") && line.contains(&url), "{line}");

    let strict = format!("{OPEN}mode: strict\napi_allowlist: [allowed.example]\n");
    proxy.reload(config(&strict)).unwrap();
    assert!(decisions.recv().await.unwrap().contains("config_reload"));
    let refused = get(&proxy, &url).await;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    assert!(decisions.recv().await.unwrap().contains("\"scanner\":\"allowlist\""));

    let address = proxy.address();
    proxy.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_run_leaves_the_old_one_in_force() {
    let origin = origin().await;
    let proxy = Proxy::start(config(OPEN), Options::default()).await.unwrap();
    let mut broken = config(OPEN);
    broken.mode = "lenient".to_owned();
    let error = proxy.reload(broken).unwrap_err().to_string();
    assert!(error.contains("mode"), "{error}");
    assert!(get(&proxy, &format!("http://{origin}/")).await.ends_with("hello"));
    proxy.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_proxies_live_side_by_side_and_the_environment_is_the_caller_s() {
    let secret = "zQ7xN2pLw9RtKv4mXc";
    let env = vec![("DEPLOY_KEY".to_owned(), secret.to_owned())];
    let origin = origin().await;
    let guarded = Proxy::start(config(OPEN), Options { env, ..Options::default() }).await.unwrap();
    let plain = Proxy::start(config(OPEN), Options::default()).await.unwrap();
    let url = format!("http://{origin}/?k={secret}");
    assert!(get(&guarded, &url).await.starts_with("HTTP/1.1 403"));
    assert!(get(&plain, &url).await.ends_with("hello"));
    guarded.shutdown().await;
    plain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_whose_body_never_ends_is_reported_before_the_time_is_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await;
        let answer = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 100\r\n\r\na part";
        stream.write_all(answer).await.unwrap();
        // Nothing more, until the proxy gives up.
        stream.read(&mut head).await
    });
    // Longer than it takes a busy machine to get the first answer.
    let yaml = format!("{OPEN}fetch_proxy: {{timeout_seconds: 4}}\n");
    let proxy = Proxy::start(config(&yaml), Options::default()).await.unwrap();
    let mut decisions = proxy.events();
    let answer = get(&proxy, &format!("http://{origin}/")).await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    let hop = decisions.recv().await.unwrap();
    assert!(hop.contains("\"event\":\"redirect\"") && hop.contains("\"hop\":1"), "{hop}");
    assert!(hop.contains(&format!("http://{origin}/next")), "{hop}");
    let late = decisions.recv().await.unwrap();
    assert!(late.contains("deadline exceeded"), "{late}");
    assert!(!matches!(serving.await.unwrap(), Ok(1..)), "a second request on a connection that is busy");
    proxy.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_shield_rewrites_pages_on_their_way() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = listener.local_addr().unwrap();
    let page = "<html><head><title>t</title></head><body>\
        <img src=\"https://t.example/pixel.gif\" width=\"1\" height=\"1\">\
        <script src=\"chrome-extension://abcdefghijklmnopabcdefghijklmnop/x.js\"></script>text</body></html>";
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let length = page.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let yaml = format!(
        "{OPEN}browser_shield: {{enabled: true, strictness: standard, oversize_action: block,\
         max_shield_bytes: 100000, strip_extension_probing: true, strip_tracking_pixels: true}}\n"
    );
    let proxy = Proxy::start(config(&yaml), Options::default()).await.unwrap();
    let mut decisions = proxy.events();
    let answer = get(&proxy, &format!("http://{origin}/page")).await;
    assert!(answer.contains("text</body>"), "{answer}");
    assert!(!answer.contains("chrome-extension://abcdefghijklmnop"), "{answer}");
    let told = decisions.recv().await.unwrap();
    assert!(told.contains("\"event\":\"shield_rewrite\""), "{told}");
    proxy.shutdown().await;
}
