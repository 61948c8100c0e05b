//! The acceptance tests of the launcher with a real engine (spec: launcher §14). Without an engine each says `skipped: no
//! container engine` and passes; with `REQUIRE_DOCKER=1` it fails instead.

#![allow(clippy::unwrap_used, clippy::panic)]

mod faults;
mod network;
mod support;
mod traffic;

use muselet_launcher::engine::{ContainerSpec, Engine};
use muselet_launcher::names::DEFAULT_IMAGE;
use support::{Place, bottle, engine, expect, left, sh};

const MANIFEST: &str = r#"{
  "bottles": { "b": {
    "env": { "LITERAL": "shown", "FROM_HOST": { "from_host": "PATH" } },
    "egress": { "defaults": false, "allowlist": ["allowed.test", "*.wild.test"] } } },
  "agents": { "a": { "bottle": "b", "image": "muselet-test-agent:1", "command": ["bash", "-c", "echo ran"] } }
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_image_has_the_reference_s_shape() {
    let Some(engine) = engine().await else { return };
    assert_eq!(
        engine.image_command(DEFAULT_IMAGE).await.unwrap(),
        ["/pipelock", "run", "--listen", "0.0.0.0:8888"]
    );
    let name = "claude-bottle-test-version";
    engine.remove_container(name).await.unwrap();
    let spec = ContainerSpec {
        name: name.to_owned(),
        image: DEFAULT_IMAGE.to_owned(),
        command: vec!["--version".to_owned()],
        network: "none".to_owned(),
        hardened: true,
        ..ContainerSpec::default()
    };
    engine.create_container(&spec).await.unwrap();
    engine.start_container(name).await.unwrap();
    let code = engine.wait_container(name).await.unwrap();
    let output = engine.last_logs(name, 5).await.unwrap();
    engine.remove_container(name).await.unwrap();
    assert_eq!(code, 0, "{output}");
    assert!(output.starts_with("pipelock version "), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn start_runs_the_command_and_passes_its_exit_code() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(MANIFEST);
    let run = |command: &str| {
        let mut bottle = place.bottle();
        bottle.args(["start", "a", "--yes", "--name", "code", "--", "bash", "-c", command]);
        bottle.stdin(std::process::Stdio::null()).output().unwrap()
    };
    let output = run("echo out; echo err >&2; echo $LITERAL; [ -n \"$FROM_HOST\" ] && exit 42");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(42), "{err}");
    assert_eq!(out, "out\nshown\n");
    assert!(err.contains("err\n") && err.contains("Environment:    LITERAL, FROM_HOST"), "{err}");
    assert_eq!(left(&engine, "code").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_leaves_its_input_keeps_its_exit_code() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(MANIFEST);
    let mut bottle = place.bottle();
    bottle.args([
        "start",
        "a",
        "--yes",
        "--name",
        "unread",
        "--",
        "bash",
        "-c",
        "for i in {1..40}; do printf '%0100000d' $i; done; exit 3",
    ]);
    let mut child = bottle
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::thread::spawn(move || while std::io::Write::write_all(&mut input, &[b'y'; 64 * 1024]).is_ok() {});
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 4_000_000), "{err}");
    assert_eq!(left(&engine, "unread").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_is_only_a_number_and_in_no_list_will_do() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(&MANIFEST.replace("\"command\"", "\"user\": \"4321:4321\", \"command\""));
    let mut bottle = place.bottle();
    bottle.args(["start", "a", "--yes", "--name", "number", "--", "bash", "-c"]);
    bottle.arg("id -u; cat $SSL_CERT_FILE >/dev/null && ls -ln $NODE_EXTRA_CA_CERTS");
    let output = bottle.stdin(std::process::Stdio::null()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    assert!(out.starts_with("4321\n-rw-r--r-- 1 0 0 "), "{out}");
    assert_eq!(left(&engine, "number").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_creates_nothing_and_nobody_is_asked_without_a_terminal() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(MANIFEST);
    for args in
        [&["start", "a", "--name", "dry", "--dry-run", "--json"][..], &["start", "a", "--name", "dry"]]
    {
        let output = place.bottle().args(args).stdin(std::process::Stdio::null()).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        if args.contains(&"--dry-run") {
            let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(plan["allowlist"], serde_json::json!(["*.wild.test", "allowed.test"]));
            assert!(output.status.success() && err.contains("dry run: nothing was created"), "{err}");
        } else {
            assert_eq!(output.status.code(), Some(1), "{err}");
            assert!(err.contains("--yes"), "{err}");
        }
        assert_eq!(left(&engine, "dry").await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_and_removing_twice_is_fine() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(MANIFEST);
    for _ in 0..2 {
        let output = place.bottle().args(["stop", "never-started"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        engine.remove_container("claude-bottle-never-started").await.unwrap();
        engine.remove_network("claude-bottle-net-never-started").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_with_the_reference_s_command_line_is_driven_alike() {
    let Some(engine) = engine().await else { return };
    const STUB: &str = "muselet-test-stub:1";
    engine.build_image(STUB, support::stub_context(), &|_| {}).await.unwrap();
    let place = Place::new(MANIFEST);
    let plan = place.plan("stub", STUB);
    let body = async |launched: muselet_launcher::launch::Launched<'_, _>| {
        let log = engine.last_logs(&launched.plan.names.sidecar, 20).await.unwrap();
        expect(log.contains("argv: run --config /etc/pipelock.yaml --listen 0.0.0.0:8888"), || log.clone())?;
        for file in ["/etc/pipelock.yaml", "/etc/pipelock-ca.pem", "/etc/pipelock-ca-key.pem"] {
            let line = log.lines().find(|line| line.ends_with(file)).unwrap_or_default();
            expect(line.starts_with("-rw-------") && line.contains(" 0 0 "), || format!("{file} in {log}"))?;
        }
        Ok(0)
    };
    place.launch(&engine, &plan, body).await.unwrap();
    assert_eq!(left(&engine, "stub").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_s_environment_and_trust_are_set() {
    let Some(engine) = engine().await else { return };
    let place = Place::new(MANIFEST);
    let plan = place.plan("env", support::SIDECAR_IMAGE);
    let body = async |launched: muselet_launcher::launch::Launched<'_, _>| {
        let agent = &launched.plan.names.agent;
        let (_, env) = sh(&engine, agent, "env").await;
        for wanted in [
            "https_proxy=http://claude-bottle-pipelock-env:8888",
            "NO_PROXY=localhost,127.0.0.1",
            "LITERAL=shown",
        ] {
            expect(env.lines().any(|line| line == wanted), || format!("{wanted} in {env}"))?;
        }
        expect(!env.contains("FROM_HOST"), || "a value from the host is stored in the container".to_owned())?;
        let (_, bundle) = sh(&engine, agent, "cat $SSL_CERT_FILE").await;
        let count = bundle.matches("BEGIN CERTIFICATE").count();
        expect(count > 100, || format!("{count} certificates"))?;
        let (code, text) = sh(&engine, agent, "ls /etc/pipelock-ca-key.pem").await;
        expect(code != 0, || text).map(|()| 0)
    };
    place.launch(&engine, &plan, body).await.unwrap();
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for args in [&["frob"][..], &["start"], &["stop"], &[]] {
        assert_eq!(bottle().args(args).output().unwrap().status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn without_an_engine_nothing_is_created_and_the_message_is_one_line() {
    let place = Place::new(MANIFEST);
    let output = place
        .bottle()
        .env("DOCKER_HOST", "unix:///nonexistent.sock")
        .args(["start", "a", "--yes"])
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    let last = err.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(1));
    assert!(last.starts_with("bottle: no container engine: DOCKER_HOST does not answer"), "{err}");
    assert_eq!(std::fs::read_dir(place.runtime_dir()).unwrap().count(), 0);
}
