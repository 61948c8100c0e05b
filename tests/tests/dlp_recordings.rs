//! Replays the recorded text-DLP verdicts against the scanner alone.
//!
//! The `replay` binary does the same through the configuration loader; this test needs nothing but the rules crate and
//! names its five configurations itself, so that a failure here is a failure of the scanner.

use std::io::{BufRead, BufReader};

use flate2::read::GzDecoder;
use muselet_rules::Strictness;
use muselet_rules::dlp::{
    self, Canary, RuleSpec, Scanner, Secrets, SeedSettings, Settings, TextResult, Validator,
};

/// The environment of the recordings.
const ENV: [(&str, &str); 8] = [
    ("HOME", "/tmp"),
    ("PATH", "/usr/bin"),
    ("CI_DEPLOY_KEY", "zQ7xN2pLw9RtKv4m"),
    ("SERVICE_CREDENTIAL", "pX3-vB8_kT5+nR1/wY6=qL0."),
    ("LONG_ENV_VALUE", "T9fK2mQ8xW4nB7vL1cR5jH3gD6sA0pZyEuIoXk"),
    ("LOW_ENTROPY_VALUE", "aaaaaaaaaaaaaaaaaaaaaaab"),
    ("SHORT_SECRET", "k9X2m"),
    ("FIFTEEN", "aB3dE6gH9jK2mN5"),
];

#[derive(serde::Deserialize)]
struct Recording {
    id: String,
    config: String,
    tag: String,
    input: String,
    clean: bool,
    matches: Vec<String>,
}

fn recordings() -> Vec<Recording> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/dlp.jsonl.gz");
    let file = std::fs::File::open(path).unwrap();
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    lines.map(|l| serde_json::from_str(&l.unwrap()).unwrap()).collect()
}

fn rule(name: &str, severity: &str, regex: &str) -> RuleSpec {
    RuleSpec {
        name: name.into(),
        regex: regex.into(),
        severity: severity.into(),
        validator: None,
        exempt_domains: Vec::new(),
        warn: false,
        bundle: "".into(),
        bundle_version: "".into(),
    }
}

fn settings(config: &str, strictness: Strictness) -> Settings {
    let mut s = Settings {
        rules: dlp::merge(true, &[]),
        strictness,
        seed: Some(SeedSettings::default()),
        env_secrets: Secrets::from_env(ENV, 16),
        ..Settings::default()
    };
    match config {
        "default" => {}
        "noseed" => s.seed = None,
        "nochecksum" => s.seed = Some(SeedSettings { verify_checksum: false, ..SeedSettings::default() }),
        "canary" => {
            let token = |name: &str, value: &str| Canary { name: name.into(), value: value.into() };
            s.canaries = vec![
                token("aws_canary", "AKIACANARY7Q2W4E6R8T"),
                token("plain_canary", "canary-7f3a9c1e5b8d2460"),
            ];
        }
        "custom" => {
            s.env_secrets = Secrets::default();
            s.rules = dlp::merge(
                false,
                &[
                    rule("Acme Token", "high", "acme_[A-Za-z0-9]{12}"),
                    RuleSpec { warn: true, ..rule("Acme Warn", "low", r"acmewarn-\d{6}") },
                    rule("Anthropic API Key", "low", r"sk-ant-[a-zA-Z0-9\-_]{30,}"),
                    rule("Word Boundary", "medium", r"\bzeta\d+\b"),
                    RuleSpec { validator: Some(Validator::Aba), ..rule("Routing", "low", r"\b\d{9}\b") },
                ],
            );
        }
        other => panic!("unknown configuration {other}"),
    }
    s
}

fn as_recorded(result: &TextResult) -> Vec<String> {
    let mut list: Vec<String> = (result.matches.iter())
        .map(|m| format!("{}|{}|{}", m.name, m.severity, m.encoded.as_str()))
        .collect();
    list.sort();
    list
}

fn scanners(strictness: Strictness) -> impl FnMut(&str) -> std::rc::Rc<Scanner> {
    let mut cache = std::collections::HashMap::new();
    move |config: &str| {
        std::rc::Rc::clone(
            cache
                .entry(config.to_owned())
                .or_insert_with(|| std::rc::Rc::new(Scanner::new(settings(config, strictness)).unwrap())),
        )
    }
}

#[test]
fn reference_strictness_gives_every_recorded_verdict() {
    let mut scanner = scanners(Strictness::Reference);
    let (mut agreed, mut differing) = (0, Vec::new());
    for r in recordings() {
        let result = scanner(&r.config).scan_text(r.input.as_bytes());
        let mut wanted = r.matches.clone();
        wanted.sort();
        let got = as_recorded(&result);
        if result.clean() == r.clean && got == wanted {
            agreed += 1;
        } else {
            differing.push(format!(
                "{} {} [{}] wanted {wanted:?} got {got:?}: {:?}",
                r.id, r.tag, r.config, r.input
            ));
        }
    }
    assert!(differing.is_empty(), "{agreed} agree, {} differ:\n{}", differing.len(), differing.join("\n"));
    assert!(agreed > 7000, "only {agreed} recordings");
}

#[test]
fn hardened_strictness_is_only_ever_stricter_and_never_on_benign_texts() {
    let mut scanner = scanners(Strictness::Hardened);
    let mut wrong = Vec::new();
    for r in recordings() {
        let result = scanner(&r.config).scan_text(r.input.as_bytes());
        let got = as_recorded(&result);
        let missing = r.matches.iter().filter(|m| !got.contains(m)).count();
        let unexplained = (result.matches.iter())
            .filter(|m| {
                let written = format!("{}|{}|{}", m.name, m.severity, m.encoded.as_str());
                m.difference.is_none() && !r.matches.contains(&written)
            })
            .count();
        let newly_blocked_benign = r.tag.contains("benign") && r.clean && !result.clean();
        if missing > 0 || unexplained > 0 || newly_blocked_benign {
            wrong.push(format!(
                "{} {} [{}] recorded {:?} got {got:?}: {:?}",
                r.id, r.tag, r.config, r.matches, r.input
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
