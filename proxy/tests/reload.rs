//! What a running proxy makes of changes of its configuration file.

mod process;

use process::Proxy;

/// D-608
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_emptied_leaves_the_old_policy_in_force() {
    let mut proxy = Proxy::start().await;
    let config = proxy.config();
    let text = std::fs::read(&config).expect("the configuration");
    std::fs::write(&config, "").expect("emptied");
    let said = proxy.says("config reload failed").await;
    assert!(said.ends_with("is empty"), "{said}");
    let health = proxy.ask(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(health.contains("\"forward_proxy_enabled\":true"), "{health}");
    // A file that is written meanwhile counts, whatever was made of it before.
    std::fs::write(&config, [b"enforce: false\n".as_slice(), &text].concat()).expect("written");
    assert!(proxy.says("enforcement disabled").await.starts_with("WARNING"));
}
