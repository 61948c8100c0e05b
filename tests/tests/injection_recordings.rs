//! Every recorded verdict of the response-injection scan against ours: the same in reference mode; in hardened mode the
//! same or a finding that names its difference.

use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::read::GzDecoder;
use muselet_rules::Strictness;
use muselet_rules::injection::{Scanner, Settings, builtin_rules};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recording {
    id: String,
    tag: String,
    config: String,
    input: String,
    clean: bool,
    matches: Vec<String>,
}

fn recordings() -> Vec<Recording> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/inj.jsonl.gz");
    let lines = BufReader::new(GzDecoder::new(std::fs::File::open(path).unwrap())).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

fn scanner(strictness: Strictness) -> Scanner {
    Scanner::new(Settings { standard: Some(builtin_rules().to_vec()), strictness }).unwrap()
}

#[test]
fn reference_mode_agrees_with_every_recording() {
    let scanner = scanner(Strictness::Reference);
    let all = recordings();
    assert!(all.len() > 1900, "{}", all.len());
    let mut differ = Vec::new();
    for case in &all {
        assert_eq!(case.config, "default", "{}", case.id);
        let result = scanner.scan(case.input.as_bytes());
        let mut got: Vec<&str> = result.matches.iter().map(|m| &*m.name).collect();
        let mut want: Vec<&str> = case.matches.iter().map(String::as_str).collect();
        got.sort_unstable();
        want.sort_unstable();
        if got != want || result.is_clean() != case.clean {
            differ.push(format!("{} {} {:?}: wanted {want:?}, got {got:?}", case.id, case.tag, case.input));
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

#[test]
fn hardened_mode_differs_only_by_named_findings_and_never_on_benign_text() {
    let scanner = scanner(Strictness::Hardened);
    for case in recordings() {
        let result = scanner.scan(case.input.as_bytes());
        if case.clean != result.is_clean() {
            assert!(case.clean, "{} {:?}: lost a finding", case.id, case.input);
            assert!(!case.tag.contains("benign"), "{} {:?}: {}", case.id, case.input, result.names());
            assert!(result.matches.iter().all(|m| m.difference.is_some()), "{} {:?}", case.id, case.input);
        }
    }
}
