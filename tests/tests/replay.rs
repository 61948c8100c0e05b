//! The vendored recordings, in both strictness modes.

use muselet::Strictness;
use muselet_tests::replay::{Differences, conformance, run};

fn replay(file: &str, mode: Strictness) {
    let folder = conformance();
    let differences = Differences::load(&folder.join("differences.yaml")).expect("the list of differences");
    let report = run(&folder.join(file), &folder.join("configs"), mode, &differences).expect("a replay");
    let shown = report.differed.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(report.differed.is_empty(), "{file} {mode:?}: {}\n{shown}", report.summary());
    assert!(report.agreed > 0, "{file}: no recordings");
    if mode == Strictness::Reference {
        let listed =
            std::fs::read_to_string(folder.join("random-answers.txt")).expect("the list of random answers");
        let is_listed = |id: &String| listed.lines().any(|line| line.split_whitespace().next() == Some(id));
        assert!(report.excused.iter().all(is_listed), "{file}: excused but not listed: {:?}", report.excused);
    }
}

#[test]
fn urls_get_the_reference_verdicts_in_reference_mode() {
    replay("url.jsonl.gz", Strictness::Reference);
}

#[test]
fn urls_get_only_listed_stricter_verdicts_in_hardened_mode() {
    replay("url.jsonl.gz", Strictness::Hardened);
}

#[test]
fn texts_get_the_reference_matches_in_reference_mode() {
    replay("dlp.jsonl.gz", Strictness::Reference);
}

#[test]
fn texts_get_only_listed_extra_matches_in_hardened_mode() {
    replay("dlp.jsonl.gz", Strictness::Hardened);
}

#[test]
fn documents_load_as_in_the_reference_in_reference_mode() {
    replay("config.jsonl.gz", Strictness::Reference);
}

#[test]
fn documents_load_or_are_refused_for_listed_reasons_in_hardened_mode() {
    replay("config.jsonl.gz", Strictness::Hardened);
}

#[test]
fn responses_get_the_reference_matches_in_reference_mode() {
    replay("inj.jsonl.gz", Strictness::Reference);
}

#[test]
fn responses_get_only_listed_extra_matches_in_hardened_mode() {
    replay("inj.jsonl.gz", Strictness::Hardened);
}
