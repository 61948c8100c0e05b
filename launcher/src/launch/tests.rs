use std::path::Path;
use std::sync::Mutex;

use super::*;
use crate::engine::fake::{Fake, Fault};
use crate::manifest::Manifest;
use crate::plan::Variables;

#[derive(Default)]
struct Told {
    steps: Mutex<Vec<String>>,
    warnings: Mutex<Vec<String>>,
}

impl Report for Told {
    fn step(&self, text: &str) {
        self.steps.lock().unwrap().push(text.to_owned());
    }

    fn warning(&self, text: &str) {
        self.warnings.lock().unwrap().push(text.to_owned());
    }
}

fn plan() -> Plan {
    let text = r#"{"bottles":{"b":{}},"agents":{"a":{"bottle":"b","image":"i","command":["c"]}}}"#;
    let variables = Variables { image: Some("reference:1".into()), ..Variables::default() };
    Plan::new(&Manifest::parse("bottles.json", text).unwrap(), "a", "a", &[], &variables).unwrap()
}

async fn launch(
    engine: &Fake,
    root: &Path,
    options: &Options,
    cancel: &CancellationToken,
    told: &Told,
) -> Result<i64> {
    let body = async |launched: Launched<'_, Fake>| {
        if launched.cancel.is_cancelled() { Err(Error::Interrupted("a signal")) } else { Ok(7) }
    };
    run(engine, &plan(), root, options, cancel, told, body).await
}

fn root(dir: &tempfile::TempDir) -> std::path::PathBuf {
    dir.path().join("stages")
}

fn nothing_left(engine: &Fake, root: &Path, when: &str) {
    assert_eq!(engine.left(), Vec::<String>::new(), "{when}: {:?}", engine.calls());
    assert_eq!(crate::stage::list(root), [], "{when}");
}

#[tokio::test]
async fn a_launch_makes_everything_in_order_and_removes_it_in_reverse() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, told) = (Fake::default(), Told::default());
    let code =
        launch(&engine, &root(&dir), &Options::default(), &CancellationToken::new(), &told).await.unwrap();
    assert_eq!(code, 7);
    let calls = engine.calls();
    let changes: Vec<&str> = calls
        .iter()
        .map(String::as_str)
        .filter(|call| {
            !["info", "image", "inspect", "get_file", "last_logs"].iter().any(|read| call.starts_with(read))
        })
        .collect();
    assert_eq!(
        changes,
        [
            "create_network claude-bottle-net-a",
            "create_network claude-bottle-egress-a",
            "remove claude-bottle-probe-a",
            "create_container claude-bottle-probe-a",
            "start claude-bottle-probe-a",
            "wait claude-bottle-probe-a",
            "remove claude-bottle-probe-a",
            "create_container claude-bottle-pipelock-a",
            "put_files claude-bottle-pipelock-a",
            "connect claude-bottle-pipelock-a claude-bottle-egress-a",
            "start claude-bottle-pipelock-a",
            "exec claude-bottle-pipelock-a /pipelock healthcheck --addr 127.0.0.1:8888",
            "create_container claude-bottle-a",
            "start claude-bottle-a",
            "put_files claude-bottle-a",
            "exec claude-bottle-a update-ca-certificates",
            "put_files claude-bottle-a",
            "remove claude-bottle-a",
            "remove claude-bottle-pipelock-a",
            "remove claude-bottle-probe-a",
            "remove_network claude-bottle-egress-a",
            "remove_network claude-bottle-net-a",
        ]
    );
    nothing_left(&engine, &root(&dir), "after a whole launch");
    let files = engine.files("claude-bottle-pipelock-a");
    let seen: Vec<(&str, u32)> = files.iter().map(|f| (f.path.as_str(), f.mode)).collect();
    assert_eq!(
        seen,
        [("/etc/pipelock.yaml", 0o600), ("/etc/pipelock-ca.pem", 0o600), ("/etc/pipelock-ca-key.pem", 0o600)]
    );
    assert!(
        String::from_utf8_lossy(&files[0].bytes).contains("\"172.20.0.0/16\""),
        "rewritten with the subnet"
    );
    let agent = engine.files("claude-bottle-a");
    assert!(agent.iter().all(|f| !String::from_utf8_lossy(&f.bytes).contains("PRIVATE KEY")));
    assert_eq!(agent.last().unwrap().path, "/etc/ssl/certs/ca-certificates.crt");
}

/// Every call at which something can happen: all up to the teardown.
async fn calls_of_a_launch() -> usize {
    let dir = tempfile::tempdir().unwrap();
    let (engine, told) = (Fake::default(), Told::default());
    launch(&engine, &root(&dir), &Options::default(), &CancellationToken::new(), &told).await.unwrap();
    engine.calls().iter().position(|call| call == "remove claude-bottle-a").unwrap()
}

#[tokio::test]
async fn a_failure_of_any_call_leaves_nothing() {
    for n in 0..calls_of_a_launch().await {
        for after in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let engine = Fake::with_fault(n, if after { Fault::FailAfter } else { Fault::Fail });
            let told = Told::default();
            let result =
                launch(&engine, &root(&dir), &Options::default(), &CancellationToken::new(), &told).await;
            let call = &engine.calls()[n];
            // Adding the certificate by hand is the way out when the image's own program is not there or fails, and a
            // health check that fails once is tried again.
            if !call.starts_with("exec") {
                let error = result.expect_err(call).to_string();
                assert!(error.contains("injected"), "{call}: {error}");
            }
            nothing_left(&engine, &root(&dir), call);
        }
    }
}

#[tokio::test]
async fn a_signal_during_any_call_leaves_nothing() {
    for n in 0..calls_of_a_launch().await {
        let dir = tempfile::tempdir().unwrap();
        let cancel = CancellationToken::new();
        let engine = Fake::with_fault(n, Fault::Signal(cancel.clone()));
        let result = launch(&engine, &root(&dir), &Options::default(), &cancel, &Told::default()).await;
        assert!(matches!(result, Err(Error::Interrupted(_))), "{}", engine.calls()[n]);
        nothing_left(&engine, &root(&dir), &engine.calls()[n]);
    }
}

#[tokio::test]
async fn a_panic_leaves_nothing() {
    let total = calls_of_a_launch().await;
    for n in [7, 12, total - 1] {
        let dir = tempfile::tempdir().unwrap();
        let engine = Fake::with_fault(n, Fault::Panic);
        let (told, cancel, options) = (Told::default(), CancellationToken::new(), Options::default());
        let path = root(&dir);
        let launched =
            AssertUnwindSafe(launch(&engine, &path, &options, &cancel, &told)).catch_unwind().await;
        assert!(launched.is_err());
        nothing_left(&engine, &path, &engine.calls()[n]);
    }
}

#[tokio::test]
async fn a_taken_name_gives_the_next_suffix_unless_the_user_chose_it() {
    for name in
        ["claude-bottle-net-a", "claude-bottle-egress-a", "claude-bottle-pipelock-a", "claude-bottle-a"]
    {
        let dir = tempfile::tempdir().unwrap();
        let engine = Fake { taken: vec![name.to_owned()], ..Fake::default() };
        let cancel = CancellationToken::new();
        launch(&engine, &root(&dir), &Options::default(), &cancel, &Told::default()).await.unwrap();
        assert!(engine.calls().iter().any(|call| call == "start claude-bottle-a-2"), "{name}");
        assert!(!engine.calls().contains(&format!("remove_network {name}")), "{name} is somebody else's");
        nothing_left(&engine, &root(&dir), name);
        let fixed = Options { fixed_name: true, ..Options::default() };
        let error = launch(&engine, &root(&dir), &fixed, &cancel, &Told::default()).await.unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
    }
}

#[tokio::test]
async fn two_launches_at_once_get_two_slugs() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Fake::default();
    let (cancel, told, options) = (CancellationToken::new(), Told::default(), Options::default());
    let path = root(&dir);
    let (a, b) = tokio::join!(
        launch(&engine, &path, &options, &cancel, &told),
        launch(&engine, &path, &options, &cancel, &told)
    );
    assert_eq!((a.unwrap(), b.unwrap()), (7, 7));
    nothing_left(&engine, &path, "after two");
}

#[tokio::test]
async fn a_leaky_network_stops_the_launch_unless_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let leaky = || Fake { probe: Some((3, "reached 172.20.0.1:22\n".into())), ..Fake::default() };
    let cancel = CancellationToken::new();
    let engine = leaky();
    let error =
        launch(&engine, &root(&dir), &Options::default(), &cancel, &Told::default()).await.unwrap_err();
    assert!(error.to_string().contains("172.20.0.1:22"), "{error}");
    nothing_left(&engine, &root(&dir), "leaky");
    let (engine, told) = (leaky(), Told::default());
    let options = Options { allow_leaky_network: true, ..Options::default() };
    assert_eq!(launch(&engine, &root(&dir), &options, &cancel, &told).await.unwrap(), 7);
    assert!(told.warnings.lock().unwrap()[0].contains("not isolated"));
}

#[tokio::test]
async fn where_containers_have_ipv6_the_agent_is_made_without() {
    let dir = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    for (ipv6, probes) in [(false, 1), (true, 2)] {
        let engine = Fake { ipv6, ..Fake::default() };
        launch(&engine, &root(&dir), &Options::default(), &cancel, &Told::default()).await.unwrap();
        assert_eq!(engine.made("claude-bottle-probe-a").len(), probes);
        let agent = &engine.made("claude-bottle-a")[0];
        let wanted = if ipv6 { networks::without_ipv6() } else { BTreeMap::new() };
        assert_eq!(agent.sysctls, wanted);
        assert!(agent.no_raw_sockets);
    }
}

#[tokio::test]
async fn a_probe_that_cannot_run_stops_the_launch() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Fake { probe: Some((1, "unknown command \"probe\"\n".into())), ..Fake::default() };
    let cancel = CancellationToken::new();
    let error =
        launch(&engine, &root(&dir), &Options::default(), &cancel, &Told::default()).await.unwrap_err();
    assert!(error.to_string().contains("bottle image build"), "{error}");
    nothing_left(&engine, &root(&dir), "no probe");
}
