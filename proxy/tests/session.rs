//! `muselet session` against a running proxy.

mod process;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use process::{PROGRAM, Proxy, free_address, program};

const TOKEN: &str = "operator-7";

/// A proxy with an admin API on a port of its own, and one session that did something forbidden.
struct Operated(Proxy);

impl Operated {
    async fn start() -> Self {
        let admin = free_address();
        let config = format!(
            "forward_proxy: {{enabled: true}}\nsession_profiling: {{enabled: true}}\nadaptive_enforcement: {{enabled: true}}\n\
             airlock: {{enabled: true}}\nkill_switch: {{api_listen: \"{admin}\", api_token: {TOKEN}}}\n\
             fetch_proxy: {{monitoring: {{blocklist: [forbidden.example]}}}}\n"
        );
        let proxy = Proxy::start_as(program(), &config, Stdio::null()).await;
        let request =
            b"GET http://forbidden.example/ HTTP/1.1\r\nHost: forbidden.example\r\nConnection: close\r\n\r\n";
        let answer = proxy.ask(request).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        Self(proxy)
    }

    fn session(&self, args: &[&str]) -> Output {
        self.session_with(args, b"")
    }

    fn session_with(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(PROGRAM)
            .arg("session")
            .args(args)
            .arg("--config")
            .arg(self.0.config())
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

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_finds_and_recovers_a_session() {
    let proxy = Operated::start().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_has_a_text_and_an_exit_code() {
    let proxy = Operated::start().await;
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
    std::fs::set_permissions(proxy.0.config(), std::fs::Permissions::from_mode(0o644)).expect("ours");
    let text = told(proxy.session(&["list"]), 2);
    assert!(text.contains("(mode 644); restrict to 0o600"), "{text}");
}
