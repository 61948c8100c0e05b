//! Every recorded configuration document is accepted or refused as recorded, with the same effective values.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use muselet_tests::replay::config::replay_config;

#[test]
fn recorded_documents_load_as_in_the_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/config.jsonl.gz");
    let file = std::fs::File::open(&path).expect("the recordings are part of the repository");
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    let cases =
        lines.map(|line| serde_json::from_str(&line.expect("a readable line")).expect("a line of JSON"));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let disagreements = replay_config(cases, dir.path()).expect("recordings of configurations");
    for disagreement in disagreements.iter().take(400) {
        eprintln!("{disagreement:#?}");
    }
    assert!(disagreements.is_empty(), "{} documents differ", disagreements.len());
}
