//! Unmodified clients through intercepted and relayed tunnels: curl, Python, Node, git, Rust.
//!
//! Nothing here needs a network. A program that is not installed is skipped with a message, unless `REQUIRE_CLIENTS` is set.

mod tunnels;

use std::process::Command;

use tunnels::{World, has, origin, run, stdout};

const SECRET: &str = "AKIAIOSFODNN7EXAMPLE";

fn curl(world: &World, args: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command
        .args(["-sS", "--max-time", "120", "-x", &world.proxy_url(), "--cacert"])
        .arg(world.ca())
        .args(args);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_over_both_versions_of_http() {
    if !has("curl", &["--version"]) {
        return;
    }
    let world = World::intercepting().await;
    let url = format!("https://{}/echo", world.origin);
    for (version, shown) in [("--http1.1", "HTTP/2.0"), ("--http2", "HTTP/2.0")] {
        // Whatever the client speaks, the origin chose HTTP/2 of the proxy's offer.
        let said = stdout(curl(&world, &[version, "-d", "plain words", &url])).await;
        assert_eq!(said, format!("POST {shown}\nplain words"), "{version}");
        let said = stdout(curl(&world, &[version, "-d", SECRET, &url])).await;
        assert_eq!(said, "blocked: request body contains secret: AWS Access ID\n", "{version}");
    }
    let trace = stdout(curl(&world, &["-w", "%{num_connects} ", &url, &url, &url])).await;
    assert!(trace.contains("1 GET") && trace.ends_with("0 "), "one tunnel for three requests: {trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_uploads_more_than_one_window() {
    if !has("curl", &["--version"]) {
        return;
    }
    let world = World::intercepting().await;
    let url = format!("https://{}/echo", world.origin);
    let file = world.path("upload");
    std::fs::write(&file, "harmless text, again and again. ".repeat(80_000)).expect("written");
    let data = format!("@{}", file.display());
    for version in ["--http1.1", "--http2"] {
        let said = stdout(curl(&world, &[version, "--data-binary", &data, &url])).await;
        assert_eq!(said.len(), "POST HTTP/2.0\n".len() + 32 * 80_000, "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_urllib_and_requests() {
    const URLLIB: &str = "
import ssl, sys, urllib.request
proxy, ca, url = sys.argv[1:]
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({'https': proxy}),
    urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)))
print(opener.open(url, timeout=120).read().decode(), end='')
";
    const REQUESTS: &str = "
import requests, sys
proxy, ca, url = sys.argv[1:]
session = requests.Session()
session.trust_env = False
for n in range(3):
    answer = session.get(url, proxies={'https': proxy}, verify=ca, timeout=120)
print(answer.text, end='')
";
    let world = World::intercepting().await;
    let url = format!("https://{}/page", world.origin);
    for (needs, script) in [("import urllib", URLLIB), ("import requests", REQUESTS)] {
        if has("python3", &["-c", needs]) {
            let mut command = Command::new("python3");
            command.args(["-c", script, &world.proxy_url()]).arg(world.ca()).arg(&url);
            assert_eq!(stdout(command).await, "hello from /page", "{needs}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_over_both_versions_of_http() {
    const HTTP1: &str = "
const http = require('http'), https = require('https'), fs = require('fs');
const [proxy, ca, origin] = process.argv.slice(1);
const [host, port] = proxy.split(':');
http.request({ host, port, method: 'CONNECT', path: origin }).on('connect', (answer, socket) => {
  const name = origin.split(':')[0];
  https.get({ host: name, port: origin.split(':')[1], path: '/page', socket, agent: false, servername: name,
              ca: fs.readFileSync(ca) }, (answer) => answer.pipe(process.stdout)).on('error', (e) => { throw e; });
}).end();
";
    const HTTP2: &str = "
const http = require('http'), http2 = require('http2'), tls = require('tls'), fs = require('fs');
const [proxy, ca, origin] = process.argv.slice(1);
const [host, port] = proxy.split(':');
http.request({ host, port, method: 'CONNECT', path: origin }).on('connect', (answer, socket) => {
  const inner = tls.connect({ socket, servername: origin.split(':')[0], ALPNProtocols: ['h2'], ca: fs.readFileSync(ca) });
  const session = http2.connect('https://' + origin, { createConnection: () => inner });
  const stream = session.request({ ':path': '/page' });
  stream.pipe(process.stdout);
  stream.on('end', () => { session.close(); socket.destroy(); });
}).end();
";
    let world = World::intercepting().await;
    for script in [HTTP1, HTTP2] {
        if has("node", &["-e", "0"]) {
            let mut command = Command::new("node");
            command.args(["-e", script, &world.proxy.to_string()]).arg(world.ca()).arg(&world.origin);
            assert_eq!(stdout(command).await, "hello from /page", "{script}");
        }
    }
}

/// `undici` is not part of what Node lets programs import: it is taken from `NODE_PATH`, or from npm, which brings a copy.
fn node_path() -> String {
    let root = Command::new("npm").args(["root", "-g"]).output().map(|o| o.stdout).unwrap_or_default();
    let with_npm = format!("{}/npm/node_modules", String::from_utf8_lossy(&root).trim());
    let given = std::env::var("NODE_PATH").unwrap_or_default();
    if given.is_empty() { with_npm } else { format!("{given}:{with_npm}") }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_fetch_by_a_proxy_agent_and_by_the_environment() {
    const AGENT: &str = "
const { fetch, ProxyAgent } = require('undici'), fs = require('fs');
const [proxy, origin, secret] = process.argv.slice(1);
const dispatcher = new ProxyAgent({ uri: proxy, requestTls: { ca: fs.readFileSync(process.env.TEST_CA) } });
";
    // By the variables that every client knows, for all requests of the program.
    const ENVIRONMENT: &str = "
const { fetch, EnvHttpProxyAgent, setGlobalDispatcher } = require('undici');
const [proxy, origin, secret] = process.argv.slice(1);
const dispatcher = new EnvHttpProxyAgent();
setGlobalDispatcher(dispatcher);
";
    const REST: &str = "
(async () => {
  const page = await fetch('https://' + origin + '/page', { dispatcher });
  const leak = await fetch('https://' + origin + '/echo', { dispatcher, method: 'POST', body: secret });
  process.stdout.write(`${page.status} ${await page.text()}, ${leak.status} ${await leak.text()}`);
  await dispatcher.close();
})();
";
    let path = node_path();
    let found = Command::new("node").env("NODE_PATH", &path).args(["-e", "require('undici')"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        tunnels::skip("node with undici");
        return;
    }
    let world = World::intercepting().await;
    for script in [AGENT, ENVIRONMENT] {
        let mut command = Command::new("node");
        command
            .args(["-e", &format!("{script}{REST}"), &world.proxy_url(), &world.origin, SECRET])
            .env("NODE_PATH", &path)
            .env("TEST_CA", world.ca())
            .env("NODE_EXTRA_CA_CERTS", world.ca())
            .env("https_proxy", world.proxy_url());
        let said = stdout(command).await;
        let wanted = "200 hello from /page, 403 blocked: request body contains secret: AWS Access ID\n";
        assert_eq!(said, wanted, "{script}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rust_client_over_both_versions_of_http() {
    // The client library has no cryptography of its own choice here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::intercepting().await;
    let pem = std::fs::read(world.ca()).expect("the CA");
    for version in [http::Version::HTTP_11, http::Version::HTTP_2] {
        let builder = reqwest::Client::builder()
            .proxy(reqwest::Proxy::all(world.proxy_url()).expect("an address"))
            .tls_certs_only([reqwest::Certificate::from_pem(&pem).expect("a certificate")]);
        let client = if version == http::Version::HTTP_2 { builder } else { builder.http1_only() };
        let client = client.build().expect("a client");
        let page = client.get(format!("https://{}/page", world.origin)).send().await.expect("an answer");
        assert_eq!(page.version(), version);
        assert_eq!(page.text().await.expect("text"), "hello from /page", "{version:?}");

        let echo = format!("https://{}/echo", world.origin);
        let large = "harmless text, again and again. ".repeat(60_000);
        let answer = client.post(&echo).body(large.clone()).send().await.expect("an answer");
        let said = answer.text().await.expect("text");
        assert!(said == format!("POST HTTP/2.0\n{large}"), "{version:?}: {} bytes", said.len());

        let refused = client.post(&echo).body(SECRET).send().await.expect("an answer");
        assert_eq!(refused.status(), http::StatusCode::FORBIDDEN, "{version:?}");
        let said = refused.text().await.expect("text");
        assert_eq!(said, "blocked: request body contains secret: AWS Access ID\n", "{version:?}");
    }
}

async fn clone_and_push(world: &World) {
    origin::make_repository(&world.path("git"));
    let url = format!("https://{}/git/repo.git", world.origin);
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .arg("-c")
            .arg(format!("http.proxy={}", world.proxy_url()))
            // Stronger than any variable or file that names another bundle.
            .env("GIT_SSL_CAINFO", world.ca())
            .args(["-c", "user.name=t", "-c", "user.email=t@t.test"])
            .args(args);
        command
    };
    let copy = world.path("copy");
    let copy = copy.to_str().expect("text");
    stdout(git(&["clone", "-q", &url, copy])).await;
    assert_eq!(std::fs::read_to_string(format!("{copy}/README")).expect("cloned"), "A small repository.\n");
    std::fs::write(format!("{copy}/MORE"), "One more file.\n").expect("written");
    stdout(git(&["-C", copy, "add", "."])).await;
    stdout(git(&["-C", copy, "commit", "-q", "-m", "Second"])).await;
    stdout(git(&["-C", copy, "push", "-q", "origin", "main"])).await;
    let bare = world.path("git/repo.git");
    let log = stdout(git(&["-C", bare.to_str().expect("text"), "log", "--format=%s"])).await;
    assert_eq!(log, "Second\nFirst\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn git_clones_and_pushes_through_an_intercepted_tunnel() {
    if has("git", &["--version"]) {
        clone_and_push(&World::intercepting().await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn git_clones_and_pushes_through_a_relayed_tunnel() {
    if has("git", &["--version"]) {
        clone_and_push(&World::relaying().await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_trust_the_ca_gets_no_answer() {
    if !has("curl", &["--version"]) {
        return;
    }
    let world = World::intercepting().await;
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "120", "-x", &world.proxy_url()]);
    command.arg(format!("https://{}/page", world.origin));
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(60), "{}", String::from_utf8_lossy(&output.stderr));
}
