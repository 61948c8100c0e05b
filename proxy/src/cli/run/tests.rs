use std::time::Duration;

use super::options::{Options, Overrides};
use super::prepare::{apply, built_in};
use super::reload::Newest;
use super::watch::Watch;
use super::{banner, definition};
use crate::config::Config;

/// For a change to be noticed.
const PATIENCE: Duration = Duration::from_secs(60);

fn options(line: &str) -> Result<Options, crate::cli::Failure> {
    let args = std::iter::once("run").chain(line.split_whitespace());
    Options::read(&definition().try_get_matches_from(args).unwrap())
}

#[test]
fn refuses_flags_that_do_not_go_together() {
    for (line, wanted) in [
        ("extra", r#"unexpected arguments ["extra"]; pass agent args after --"#),
        ("extra -- agent", r#"unexpected arguments before --: ["extra"]"#),
        ("--mcp-listen :1", "--mcp-listen requires --mcp-upstream"),
        ("--mcp-upstream http://x", "--mcp-upstream requires --mcp-listen"),
        (
            "--mcp-listen :1 --mcp-upstream foo",
            r#"invalid --mcp-upstream "foo": must be http:// or https:// with a host"#,
        ),
        ("--reverse-proxy", "--reverse-proxy requires --reverse-upstream"),
        ("--reverse-upstream http://x", "--reverse-upstream requires --reverse-proxy"),
        (
            "--reverse-proxy --reverse-upstream ftp://x",
            r#"invalid --reverse-upstream "ftp://x": must be http:// or https:// with a host"#,
        ),
    ] {
        let failure = options(line).err().unwrap_or_else(|| panic!("{line} passes"));
        assert_eq!(failure.message(), wanted, "{line}");
    }
    assert_eq!(options("-- myagent a b").unwrap().agent, ["myagent", "a", "b"]);
}

#[test]
fn only_a_plain_local_start_forwards() {
    for (line, listen, forwards) in [
        ("", "127.0.0.1:8888", true),
        ("--listen [::1]:1", "[::1]:1", true),
        ("--listen localhost:1", "localhost:1", true),
        ("--listen 0.0.0.0:8888", "0.0.0.0:8888", false),
        ("--listen :8888", ":8888", false),
        ("--mode strict", "127.0.0.1:8888", false),
        ("--reverse-proxy --reverse-upstream http://x", "127.0.0.1:8888", false),
    ] {
        let overrides = options(line).unwrap().overrides;
        let mut config = Config::defaults();
        apply(&overrides, &mut config);
        built_in(&mut config, &overrides);
        assert_eq!(config.fetch_proxy.listen, listen, "{line}");
        assert_eq!(config.forward_proxy.enabled, forwards, "{line}");
    }
}

#[test]
fn overrides_hold_after_a_reload() {
    let overrides = Overrides {
        mode: Some("strict".into()),
        listen: Some("127.0.0.1:1".into()),
        reverse: None,
        decompress: true,
    };
    let mut reloaded = Config::defaults();
    apply(&overrides, &mut reloaded);
    assert!(reloaded.muselet.decompress);
    assert_eq!((reloaded.mode.as_str(), reloaded.fetch_proxy.listen.as_str()), ("strict", "127.0.0.1:1"));
}

#[test]
fn the_banner_shows_addresses_and_no_credentials() {
    let mut config = Config::defaults();
    config.forward_proxy.enabled = true;
    config.metrics_listen = "127.0.0.1:9".into();
    config.emit.webhook.url = "https://user:pass@h.example/p?token=x#f".into();
    config.emit.webhook.min_severity = "warn".into();
    let options = Options { config: Some("/c.yaml".into()), ..Options::default() };
    let text = banner::text(&config, &options);
    for line in [
        "  Stats:  http://127.0.0.1:9/stats (separate port)\n",
        "  Proxy:  HTTP/HTTPS forward proxy enabled (CONNECT + absolute-URI)\n",
        "  Emit:   webhook -> https://h.example/p (min_severity: warn)\n",
        "  Config: /c.yaml (hot-reload enabled, SIGHUP to reload)\n",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
}

#[tokio::test]
async fn notices_a_file_that_is_replaced_by_renaming() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.yaml");
    std::fs::write(&path, "a").unwrap();
    let mut watch = Watch::start(&path, false).unwrap();
    std::fs::write(dir.path().join("new"), "b").unwrap();
    std::fs::rename(dir.path().join("new"), &path).unwrap();
    tokio::time::timeout(PATIENCE, watch.changed()).await.unwrap();
}

#[tokio::test]
async fn the_last_of_several_files_is_applied() {
    let newest = Newest::default();
    for file in ["first", "second", "third"] {
        newest.put(file);
    }
    assert_eq!(newest.take().await, "third");
    let (waiting, ()) = tokio::join!(newest.take(), async { newest.put("fourth") });
    assert_eq!(waiting, "fourth");
}

#[tokio::test]
async fn notices_a_file_that_is_swapped_behind_a_link() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = other.path().join("data.yaml");
    std::fs::write(&target, "a").unwrap();
    let path = dir.path().join("p.yaml");
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let mut watch = Watch::start(&path, true).unwrap();
    std::fs::write(&target, "bb").unwrap();
    tokio::time::timeout(PATIENCE, watch.changed()).await.unwrap();
}
