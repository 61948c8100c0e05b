//! `report`: what it counts of a log, and what it shows of it.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const LOG: &str = r#"{"level":"info","component":"pipelock","event":"startup","listen":"127.0.0.1:8888","mode":"balanced","version":"2.3.0","config_hash":"abc","time":"2026-03-01T10:00:00Z","message":"pipelock started"}
{"level":"info","component":"pipelock","event":"forward_http","method":"GET","url":"http://good.example/?q=words","client_ip":"10.0.0.7","agent":"bot","time":"2026-03-01T10:59:59Z","message":"forward proxy request"}
{"level":"warn","component":"pipelock","event":"blocked","method":"GET","url":"http://evil.example:81/?k=whole-query","client_ip":"10.0.0.7","scanner":"dlp","reason":"DLP match: OpenAI API Key (critical)","agent":"bot","mitre_technique":"T1048","time":"2026-03-02T11:00:00Z","message":"request blocked"}

not json
{"level":"warn","component":"pipelock","agent":"a","event":"anomaly","url":"http://[2001:db8::1]/<script>alert(1)</script>","reason":"odd","agent":"b","time":"2026-03-03T12:00:00+01:00","message":"anomaly detected"}
{"level":"info"}
"#;

fn report(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_muselet"))
        .arg("report")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A command that fails at once does not read it.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("ended")
}

fn document(args: &[&str]) -> Value {
    let args: Vec<&str> = ["--input", "-", "--format", "json"].iter().chain(args).copied().collect();
    serde_json::from_slice(&report(&args, LOG).stdout).expect("JSON")
}

#[test]
fn a_log_is_counted() {
    let ran = report(&["--input", "-", "--format", "json", "--title", "T"], LOG);
    assert_eq!(
        String::from_utf8_lossy(&ran.stderr),
        "WARNING: 2 malformed line(s) skipped during parsing\nReport generated: red risk, 4 events, 1 blocks\n"
    );
    let mut report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    report["generated"] = Value::Null;
    let entry = |name: &str, count: i32, blocks: i32| json!({"name": name, "count": count, "blocks": blocks});
    let evil = json!({"time": "2026-03-02T11:00:00Z", "level": "warn", "event": "blocked", "scanner": "dlp",
        "reason": "DLP match: OpenAI API Key (critical)", "method": "GET", "url": "http://evil.example:81/?[REDACTED]",
        "agent": "bot", "mitre_technique": "T1048"});
    let odd = json!({"time": "2026-03-03T12:00:00+01:00", "level": "warn", "event": "anomaly", "reason": "odd",
        "url": "http://[2001:db8::1]/<script>alert(1)</script>", "agent": "b"});
    let wanted = json!({
        "title": "T", "generated": null, "version": env!("CARGO_PKG_VERSION"), "config_hashes": ["abc"], "mode": "balanced",
        "time_range": {"start": "2026-03-01T10:00:00Z", "end": "2026-03-03T12:00:00+01:00"}, "risk": "red",
        "summary": {"total_events": 4, "blocks": 1, "warnings": 1, "criticals": 1, "allowed": 1, "errors": 0, "unique_domains": 3},
        "categories": [entry("anomaly", 1, 0), entry("dlp", 1, 1)],
        "domains": [entry("2001:db8::1", 1, 0), entry("evil.example", 1, 1), entry("good.example", 1, 0)],
        "timeline": [entry("2026-03-01T10:00", 2, 0), entry("2026-03-02T11:00", 1, 1), entry("2026-03-03T12:00", 1, 0)],
        "evidence": [evil, odd],
        "dlp_breakdown": [entry("OpenAI API Key", 1, 1)], "transport_breakdown": [entry("forward", 1, 0)],
        "agent_breakdown": [entry("bot", 2, 1), entry("b", 1, 0)], "mitre_techniques": [entry("T1048", 1, 1)],
    });
    assert_eq!(report, wanted, "{report:#}");
}

#[test]
fn only_a_part_is_looked_at() {
    for (args, events) in [
        (&["--since", "2026-03-02"][..], 2),
        (&["--since", "2026-03-02T11:00:01Z"], 1),
        (&["--until", "2026-03-02"], 3),
        (&["--until", "2026-03-01T10:00:01Z"], 1),
        (&["--since", "2026-03-03T10:59:59Z", "--until", "2026-03-03T11:00:01Z"], 1),
        (&["--days", "1"], 0),
    ] {
        assert_eq!(document(args)["summary"]["total_events"], events, "{args:?}");
    }
    assert_eq!(document(&["--max-evidence", "1"])["evidence"].as_array().map(Vec::len), Some(1));
    let whole = document(&["--no-redact"]);
    assert_eq!(whole["evidence"][0]["url"], "http://evil.example:81/?k=whole-query");
    assert_eq!(whole["evidence"][0]["client_ip"], "10.0.0.7");
    assert_eq!(document(&["--since", "2027-01-01"])["risk"], "green");
}

#[test]
fn a_page_holds_no_markup_of_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let (log, out) = (directory.path().join("log"), directory.path().join("out"));
    std::fs::write(&log, LOG).expect("written");
    let (log, out) = (log.to_str().expect("a name"), out.to_str().expect("a name"));
    let ran = report(&["--input", log, "-o", out, "--title", "<b>"], "");
    assert!(ran.status.success() && ran.stdout.is_empty());
    let page = std::fs::read_to_string(out).expect("a file");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("&lt;script&gt;alert(1)"), "{page}");
    assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("whole-query"), "{page}");
    assert_eq!(std::fs::metadata(out).expect("a file").permissions().mode() & 0o777, 0o600);
    let bundle = format!("{out}.d");
    assert!(report(&["--input", log, "--format", "bundle", "-o", &bundle], "").status.success());
    assert_eq!(std::fs::read_dir(bundle).expect("a directory").count(), 2);
}

#[test]
fn misuse_is_told() {
    for (args, wanted) in [
        (&[][..], "--input is required (file path or - for stdin)\n"),
        (&["--input", "-", "--format", "foo"], "unsupported format \"foo\" (use html, json, or bundle)\n"),
        (&["--input", "-", "--sign"], "--sign requires --format bundle\n"),
        (&["--input", "-", "--format", "bundle"], "--format bundle requires --output directory\n"),
        (&["--input", "/nowhere/log"], "opening input: open /nowhere/log: no such file or directory\n"),
        (&["--input", "-", "--since", "soon"], "invalid --since \"soon\": use RFC 3339 or YYYY-MM-DD\n"),
    ] {
        let ran = report(args, "");
        assert_eq!(
            (ran.status.code(), String::from_utf8_lossy(&ran.stderr).as_ref()),
            (Some(1), wanted),
            "{args:?}"
        );
    }
}
