//! The commands that try out a configuration: what they print, where, and how they end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What a command printed and how it ended.
struct Ran {
    stdout: String,
    stderr: String,
    code: i32,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect(&self.stderr)
    }
}

fn muselet(args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_muselet"))
        .args(args)
        .env("MUSELET_TEST_SECRET", "environment-secret-5f3a9c11")
        .output()
        .expect("the program runs");
    Ran {
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
        code: output.status.code().expect("no signal"),
    }
}

/// Runs a command with a configuration file of this text.
fn with_config(yaml: &str, args: &[&str]) -> Ran {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("muselet.yaml");
    std::fs::write(&path, yaml).expect("written");
    let mut args = args.to_vec();
    args.extend(["-c", path.to_str().expect("a name")]);
    muselet(&args)
}

const REFERENCE: &str = "muselet: {strictness: reference}\n";
/// What the built-in configuration blocks by name.
const PASTE_SITES: &str = "fetch_proxy: {monitoring: {blocklist: [\"*.pastebin.com\", \"*.transfer.sh\"]}}\n";

#[test]
fn test_tries_every_vector_of_what_is_switched_on() {
    let ran = muselet(&["test"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    for part in [
        "\nPipelock Test Suite — 30 vectors, config: defaults\n=====",
        "\n\n  blocklist\n    [PASS] Paste site  blocked: domain blocked: pastebin.com matches *.pastebin.com\n",
        "\n    [PASS] Clean host  allowed (expected)\n",
        "\n    [SKIP] Clean tool call  MCP input scanning disabled\n",
        "=\nResults: 23 passed, 0 failed, 7 skipped\n  Gaps detected:\n",
    ] {
        assert!(ran.stdout.contains(part), "{part:?} in {}", ran.stdout);
    }
    assert!(ran.stdout.starts_with('\n') && ran.stdout.ends_with("\n\n") && !ran.stdout.contains('\x1b'));

    let strict = muselet(&["test", "--fail-on-gap", "--json"]);
    assert_eq!((strict.code, strict.stderr.as_str()), (1, "security gaps detected\n"));
    let document = strict.json();
    let keys: Vec<&String> = document.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["config_file", "mode", "total", "passed", "failed", "skipped", "vectors", "gaps"]);
    assert_eq!(
        document["gaps"],
        serde_json::json!([
            "mcp_input: MCP input scanning disabled",
            "mcp_tools: MCP tool scanning disabled"
        ])
    );
    assert_eq!(
        document["vectors"][0],
        serde_json::json!({"name": "Anthropic API key in query", "category": "dlp",
        "status": "pass", "blocked": true, "expected": true,
        "detail": "blocked: DLP match: Anthropic API Key (critical)"})
    );

    let some = muselet(&["test", "--category", "scheme, clean", "--json", "--fail-on-gap"]).json();
    assert_eq!((&some["total"], &some["passed"]), (&5.into(), &5.into()));
}

#[test]
fn test_follows_the_configuration() {
    let counts = |yaml: &str| {
        let ran = with_config(yaml, &["test", "--json"]);
        let document = ran.json();
        (ran.code, document["passed"].as_u64(), document["failed"].as_u64(), document["skipped"].as_u64())
    };
    let tools = "mcp_input_scanning: {enabled: true}\nmcp_tool_scanning: {enabled: true}\n";
    for mode in ["", REFERENCE] {
        assert_eq!(counts(&format!("{PASTE_SITES}{mode}")), (0, Some(23), Some(0), Some(7)));
        assert_eq!(counts(&format!("{PASTE_SITES}{tools}{mode}")), (0, Some(30), Some(0), Some(0)));
        // Nothing is blocked by name, and answers are not looked at.
        let off = format!("response_scanning: {{enabled: false}}\n{mode}");
        assert_eq!(counts(&off), (0, Some(14), Some(0), Some(16)));
        // Hosts that the vectors take for allowed are not.
        let strict = format!("mode: strict\napi_allowlist: [only.example]\n{PASTE_SITES}{mode}");
        let (code, _, failed, _) = counts(&strict);
        assert_eq!((code, failed), (1, Some(6)));
    }
    let failed = with_config("mode: strict\napi_allowlist: [only.example]\n", &["test"]);
    assert_eq!(failed.stderr, "test vectors failed\n");
    let line = "[FAIL] Repository  expected allow, got: blocked — domain not in allowlist: github.com\n";
    assert!(failed.stdout.contains(line), "{}", failed.stdout);
    let other_sites = with_config(
        "fetch_proxy: {monitoring: {blocklist: [other.example]}}\n",
        &["test", "--category", "blocklist"],
    );
    assert!(other_sites.stdout.contains("[FAIL] Paste site  expected block, got: allowed\n"));
}

#[test]
fn a_wrong_configuration_ends_each_command_in_its_own_way() {
    let why = "invalid config: invalid mode \"bogus\": must be strict, balanced, or audit\n";
    for command in ["test", "diagnose", "verify-install"] {
        let ran = with_config("mode: bogus\n", &[command]);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr), (2, "", format!("config load error: {why}")));
    }
    for command in [&["simulate"][..], &["audit", "score"], &["audit", "capsule"]] {
        let ran = with_config("mode: bogus\n", command);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        let said = ran.stderr;
        assert!(said.starts_with("loading config: loading config \"/") && said.ends_with(why), "{said}");
    }
    let missing = muselet(&["test", "-c", "/nowhere/muselet.yaml"]);
    assert_eq!(missing.code, 2, "{}", missing.stderr);
}

#[test]
fn simulate_grades_the_scanners() {
    for yaml in [None, Some(""), Some(REFERENCE), Some("internal: []\n")] {
        let ran = match yaml {
            None => muselet(&["simulate", "--json"]),
            Some(yaml) => with_config(yaml, &["simulate", "--json"]),
        };
        let document = ran.json();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        assert_eq!(
            (&document["total"], &document["passed"], &document["percentage"], &document["grade"]),
            (&24.into(), &24.into(), &100.into(), &"A".into()),
            "{yaml:?}: {document:#}"
        );
        assert_eq!(document.get("config_file").is_some(), yaml.is_some());
    }
    let ran = muselet(&["simulate"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    for part in [
        "\nConfig: defaults (mode: balanced)\n",
        "\n\n  URL Evasion\n    + Percent-encoded AWS key in path               BLOCKED\n",
        "\n    + Private key (WIF format) in URL               BLOCKED\n",
        "\nScore: 24/24 (100%)  Grade: A\n",
    ] {
        assert!(ran.stderr.contains(part), "{part:?} in {}", ran.stderr);
    }
}

#[test]
fn simulate_tells_what_passes_from_what_another_layer_stops() {
    let blocked = "fetch_proxy: {monitoring: {blocklist: [evil.com]}}\n";
    let blocked = with_config(blocked, &["simulate", "--json"]).json();
    let limitation = &blocked["scenarios"][0]["limitation"];
    assert_eq!(limitation, "stopped by blocklist before dlp could look at it");
    assert_eq!((&blocked["failed"], &blocked["passed"]), (&0.into(), &18.into()));
    let open = "dlp: {include_defaults: false}\ninternal: []\n";
    let ran = with_config(open, &["simulate"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.stderr.contains("\n    - OpenAI API key in URL                         MISSED\n"),
        "{}",
        ran.stderr
    );
}

/// An agent can send to the hosts of an allowlist what it would else send elsewhere.
#[test]
fn simulate_grades_what_guards_the_hosts_of_an_allowlist() {
    let strict = "mode: strict\napi_allowlist: [only.example]\n";
    for (more, passed, grade) in [("", 24, "A"), ("dlp: {include_defaults: false}\n", 20, "B")] {
        let document = with_config(&format!("{strict}{more}"), &["simulate", "--json"]).json();
        assert_eq!(
            (&document["passed"], &document["grade"]),
            (&passed.into(), &grade.into()),
            "{document:#}"
        );
        assert_eq!(document["mode"], "strict");
    }
    let reference = with_config(&format!("{strict}{REFERENCE}"), &["simulate", "--json"]).json();
    let limitation = &reference["scenarios"][0]["limitation"];
    assert_eq!(limitation, "stopped by allowlist before dlp could look at it");
}

#[test]
fn simulate_sends_canaries_and_shows_none() {
    let canary = "canary-5f3a9c11-Zk2v";
    let yaml = format!(
        "canary_tokens: {{enabled: true, tokens: [{{name: trap, value: {canary}}}]}}\nfetch_proxy: {{monitoring: {{entropy_threshold: 7.9}}}}\n"
    );
    for args in [&["simulate"][..], &["simulate", "--json"], &["test"], &["diagnose"]] {
        let ran = with_config(&yaml, args);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains(canary) && !said.contains("5f3a9c11"), "{said}");
        assert!(args[0] != "simulate" || said.contains("trap: Base64 in URL"), "{said}");
    }
    let document = with_config(&yaml, &["simulate", "--json"]).json();
    assert_eq!((&document["total"], &document["passed"]), (&30.into(), &30.into()), "{document:#}");
    let reference = format!("{yaml}{REFERENCE}");
    assert_eq!(with_config(&reference, &["simulate", "--json"]).json()["passed"], 30);
    let off = yaml.replace("enabled: true", "enabled: false");
    assert_eq!(with_config(&off, &["simulate", "--json"]).json()["total"], 24);
}

#[test]
fn diagnose_sends_requests_through_a_proxy() {
    let ran = muselet(&["diagnose"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    let wanted = "Pipelock Diagnostics\nConfig: defaults  Mode: balanced\n\n  PASS  health                status 200\n";
    assert!(ran.stdout.starts_with(wanted), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n  SKIP  rules                 no bundles installed\n"));
    assert!(ran.stdout.ends_with("\n\n5 passed, 0 failed, 2 skipped\n"));

    for (yaml, counts) in [
        (REFERENCE, (5, 0, 2)),
        ("explain_blocks: true\n", (6, 0, 1)),
        (
            "mode: strict\napi_allowlist: [only.example]\nexplain_blocks: true\nmuselet: {strictness: reference}\n",
            (6, 0, 1),
        ),
        // Sessions do not turn what one check does against the next.
        (
            "session_profiling: {enabled: true, anomaly_action: block}\nadaptive_enforcement: {enabled: true, escalation_threshold: 0.5}\nairlock: {enabled: true}\n",
            (5, 0, 2),
        ),
        (
            "response_scanning: {enabled: false}\nfetch_proxy: {monitoring: {max_requests_per_minute: 1}}\n",
            (5, 0, 2),
        ),
        (
            "dlp: {include_defaults: false}\nreverse_proxy: {enabled: true, upstream: \"http://127.0.0.1:1\", listen: \"127.0.0.1:1\"}\n",
            (5, 0, 2),
        ),
        // Everything is denied: the three that want an answer of the origin fail, and what is denied is denied for another reason.
        ("kill_switch: {enabled: true}\n", (1, 4, 2)),
    ] {
        let ran = with_config(yaml, &["diagnose", "--json"]);
        let document = ran.json();
        let count = |name: &str| document[name].as_i64().expect("a number");
        assert_eq!((count("passed"), count("failed"), count("skipped")), counts, "{yaml}: {document:#}");
        assert_eq!(ran.code, i32::from(counts.1 > 0), "{yaml}");
        if counts.1 > 0 {
            assert_eq!(ran.stderr, format!("{} check(s) failed\n", counts.1));
        }
    }
    let unimplemented = with_config("a2a_scanning: {enabled: true}\n", &["diagnose"]);
    assert_eq!(unimplemented.code, 2);
    let why = "starting proxy: a2a_scanning is switched on, but muselet does not implement it\n";
    assert_eq!(unimplemented.stderr, why);
    assert_eq!(muselet(&["diagnose", "--sandbox"]).code, 1);
}

/// Whether something gets around the proxy depends on where the tests run, so only the scanning part is looked at.
#[test]
fn verify_install_looks_at_the_proxy_and_for_ways_around_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let report = directory.path().join("report.json");
    let ran = muselet(&["verify-install", "-o", report.to_str().expect("a name")]);
    assert!(ran.stdout.contains("\nScanning: verified\nContainment: "), "{}{}", ran.stdout, ran.stderr);
    assert!(!ran.stdout.contains("environment-secret"));
    let mode = std::fs::metadata(&report).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let document: Value = serde_json::from_slice(&std::fs::read(&report).expect("a file")).expect("JSON");
    let checks = document["checks"].as_array().expect("a list");
    let named: Vec<&str> = checks.iter().filter_map(|check| check["name"].as_str()).collect();
    assert_eq!(
        named,
        [
            "config_valid",
            "proxy_health",
            "fetch_dlp",
            "forward_blocked",
            "scanning_dlp",
            "scanning_injection",
            "scanning_policy",
            "no_direct_http",
            "no_direct_dns",
            "no_direct_https"
        ]
    );
    for check in &checks[..7] {
        assert_eq!((&check["status"], &check["category"]), (&"pass".into(), &"scanning".into()), "{check}");
    }
    let summary = &document["summary"];
    assert_eq!((&summary["total"], &summary["scanning"]), (&10.into(), &"verified".into()));
    let context = document["run_context"].as_str().expect("a word");
    let (containment, skipped) = (summary["containment"].as_str(), summary["not_applicable"].as_i64());
    assert_eq!(containment == Some("unknown"), context == "host");
    assert_eq!(skipped, Some(if context == "host" { 3 } else { 0 }));
    assert_eq!(ran.code, i32::from(containment == Some("exposed")));

    let scanning = |yaml: &str| with_config(yaml, &["verify-install", "--json"]).json();
    let status = |document: &Value, name: &str| {
        let checks = document["checks"].as_array().expect("a list");
        let check = checks.iter().find(|check| check["name"] == name).expect("the check");
        check["status"].as_str().expect("a word").to_owned()
    };
    // As it is: without forwarding nothing is forwarded.
    let plain = scanning(REFERENCE);
    assert_eq!(plain["summary"]["scanning"], "verified", "{plain:#}");
    assert_eq!(status(&plain, "forward_blocked"), "not_applicable");
    let open =
        scanning("enforce: false\nforward_proxy: {enabled: true}\nresponse_scanning: {enabled: false}\n");
    assert_eq!(open["summary"]["scanning"], "degraded");
    for name in ["fetch_dlp", "forward_blocked", "scanning_injection"] {
        assert_eq!(status(&open, name), "fail", "{name}");
    }
    let unimplemented = scanning("a2a_scanning: {enabled: true}\n");
    assert_eq!(unimplemented["summary"]["scanning"], "degraded");
    assert_eq!(status(&unimplemented, "config_valid"), "fail");

    let signed = muselet(&["verify-install", "--sign", "key"]);
    assert_eq!((signed.code, signed.stdout.as_str()), (2, ""));
    assert!(signed.stderr.starts_with("--sign: "));
}

#[test]
fn demo_shows_seven_attacks_that_are_blocked() {
    let ran = muselet(&["demo"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert_eq!(ran.stderr.matches("      BLOCKED by ").count(), 7, "{}", ran.stderr);
    assert!(ran.stderr.ends_with("\nResults: 7/7 attacks blocked\n"), "{}", ran.stderr);
}

#[test]
fn audit_scores_and_writes_what_to_keep() {
    let document = muselet(&["audit", "score", "--json"]).json();
    let score = (&document["total_score"], &document["max_score"], &document["grade"]);
    assert_eq!(score, (&35.into(), &100.into(), &"F".into()));
    assert_eq!(
        document["categories"][0],
        serde_json::json!({"name": "DLP", "score": 15, "max_score": 15,
        "detail": "48 patterns"})
    );
    let ran = muselet(&["audit", "score"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    for part in [
        "\nConfig: (built-in defaults)\n",
        "\n  DLP                       [##########] 15/15 (48 patterns)\n",
        "\nOverall: 35/100 (35%) Grade: F\n\nRecommendations:\n  [WARNING]  ",
        "\n  [INFO]     ",
    ] {
        assert!(ran.stderr.contains(part), "{part:?} in {}", ran.stderr);
    }
    let off = with_config("enforce: false\nresponse_scanning: {enabled: false}\n", &["audit", "score"]);
    assert_eq!(off.stderr.matches("\n  [CRITICAL] ").count(), 2, "{}", off.stderr);

    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("new/proof");
    let shown = out.to_str().expect("a name");
    let ran = muselet(&["audit", "capsule", "-o", shown, "--ci-gate", "90"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, "score 35% is below CI gate threshold 90%\n"));
    let wrote: String =
        ["json", "md", "svg"].map(|format| format!("Wrote {shown}/proof.{format}\n")).concat();
    assert_eq!(ran.stdout, wrote);
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&out), mode(&out.join("proof.svg"))), (0o750, 0o600));
    let proof: Value =
        serde_json::from_slice(&std::fs::read(out.join("proof.json")).expect("a file")).expect("JSON");
    assert_eq!((&proof["score"]["percentage"], &proof["simulation"]["grade"]), (&35.into(), &"A".into()));

    let one = muselet(&["audit", "capsule", "-o", shown, "--format", "md", "--ci-gate", "35"]);
    assert_eq!((one.code, one.stdout), (0, format!("Wrote {shown}/proof.md\n")));
    let unknown = muselet(&["audit", "capsule", "-o", shown, "--format", "pdf"]);
    assert_eq!(unknown.stderr, "unknown format \"pdf\" (use json, md, or svg)\n");
}
