//! `muselet session` against a running proxy.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_muselet");
const TOKEN: &str = "operator-7";

struct Proxy {
    child: Child,
    listen: String,
    directory: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").to_string()
}

impl Proxy {
    /// With an admin API on a port of its own, and one session that did something forbidden.
    fn start() -> Proxy {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("muselet.yaml");
        let (listen, admin) = (free_address(), free_address());
        let text = format!(
            "forward_proxy: {{enabled: true}}\nsession_profiling: {{enabled: true}}\nadaptive_enforcement: {{enabled: true}}\n\
             airlock: {{enabled: true}}\nkill_switch: {{api_listen: \"{admin}\", api_token: {TOKEN}}}\n\
             fetch_proxy: {{monitoring: {{blocklist: [forbidden.example]}}}}\n"
        );
        std::fs::write(&config, text).expect("written");
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).expect("ours");
        let child = Command::new(PROGRAM)
            .args(["run", "--listen", &listen, "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let proxy = Proxy { child, listen, directory };
        let began = Instant::now();
        while !proxy.healthy() {
            assert!(began.elapsed() < Duration::from_secs(30), "no health answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut stream = TcpStream::connect(&proxy.listen).expect("listens");
        let request =
            b"GET http://forbidden.example/ HTTP/1.1\r\nHost: forbidden.example\r\nConnection: close\r\n\r\n";
        stream.write_all(request).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        proxy
    }

    fn healthy(&self) -> bool {
        let check = Command::new(PROGRAM).args(["healthcheck", "--addr", &self.listen]).output();
        check.is_ok_and(|output| output.status.success())
    }

    fn session(&self, args: &[&str]) -> Output {
        self.session_with(args, b"")
    }

    fn session_with(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(PROGRAM)
            .arg("session")
            .args(args)
            .arg("--config")
            .arg(self.directory.path().join("muselet.yaml"))
            .env_remove("PIPELOCK_API_URL")
            .env_remove("PIPELOCK_KILLSWITCH_API_TOKEN")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        child.stdin.take().expect("piped").write_all(input).expect("taken");
        child.wait_with_output().expect("ended")
    }

    fn ok(&self, args: &[&str]) -> String {
        told(self.session(args), 0)
    }
}

/// Standard output of a success, standard error of a failure.
fn told(output: Output, code: i32) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    if code == 0 { out.into_owned() } else { err.into_owned() }
}

#[test]
fn an_operator_finds_and_recovers_a_session() {
    let proxy = Proxy::start();
    let table = proxy.ok(&["list"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("KEY") && lines.len() == 2, "{table}");
    let key = lines[1].split_whitespace().next().expect("a key");
    assert!(key.contains("127.0.0.1") && lines[1].ends_with("s ago"), "{table}");
    assert_eq!(proxy.ok(&["list", "--tier", "hard"]), "No sessions match.\n");
    let listed: serde_json::Value = serde_json::from_str(&proxy.ok(&["list", "--json"])).expect("JSON");
    assert_eq!(listed["count"], 1);

    assert!(proxy.ok(&["inspect", key]).starts_with(&format!("Session {key}\n")));
    assert!(proxy.ok(&["explain", key]).contains("session not quarantined"));
    assert_eq!(proxy.ok(&["release", key]), format!("released {key}: none -> none (changed=false)\n"));
    let refusal = told(proxy.session(&["release", key, "--to", "soft"]), 2);
    assert!(refusal.starts_with("refusing to escalate session: current tier \"none\""), "{refusal}");
    let recovered = proxy.ok(&["recover", key, "--choice", "leave"]);
    assert!(recovered.contains("== inspect ==") && recovered.ends_with(&format!("left {key} as it is\n")));
    let asked = told(proxy.session_with(&["recover", key], b"3\n"), 0);
    assert!(asked.contains("4) leave as it is\n> terminated "), "{asked}");
}

#[test]
fn what_cannot_be_done_has_a_text_and_an_exit_code() {
    let proxy = Proxy::start();
    let nobody = free_address();
    for (args, code, wanted) in [
        (&["inspect", "nobody|10.0.0.1"][..], 1, "session not found\n"),
        (&["inspect"], 1, "accepts 1 arg(s), received 0\n"),
        (&["inspect", "a/b"], 2, "bad request: missing or invalid session key in URL path\n"),
        (
            &["list", "--tier", "warm"],
            2,
            "invalid --tier \"warm\": must be none, soft, hard, drain or normal\n",
        ),
        (&["release", "k", "--to", "hard"], 2, "invalid --to \"hard\": must be none or soft\n"),
        (&["recover", "k", "--choice", "x"], 2, "invalid --choice \"x\""),
        (&["recover", "k", "--no-prompt"], 2, "--no-prompt needs --choice"),
        (
            &["list", "--api-token", "another"],
            2,
            "unauthorized — check --api-token or PIPELOCK_KILLSWITCH_API_TOKEN: unauthorized\n",
        ),
        (&["list", "--api-url", &nobody], 1, "GET \"http://127.0.0.1:"),
        (&["list", "--api-url", "ftp://x"], 2, "invalid API URL \"ftp://x\"\n"),
    ] {
        let text = told(proxy.session(args), code);
        assert!(text.starts_with(wanted), "{args:?}: {text}");
        assert!(!text.contains(TOKEN), "{args:?}: {text}");
    }
    let config = proxy.directory.path().join("muselet.yaml");
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let text = told(proxy.session(&["list"]), 2);
    assert!(text.contains("(mode 644); restrict to 0o600"), "{text}");
}
