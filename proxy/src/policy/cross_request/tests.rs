use std::sync::Arc;

use super::*;
use crate::policy::{Policy, Surroundings};

fn policy(yaml: &str) -> Policy {
    let text = format!("cross_request_detection:\n  enabled: true\n{yaml}");
    let config = Config::parse(text.as_bytes(), std::path::Path::new("/")).expect("valid configuration");
    Policy::compile(Arc::new(config), String::new(), &Surroundings::default()).expect("compiles").0
}

/// What the requests with these queries lead to, in order.
fn outcomes(policy: &Policy, host: &str, queries: &[&str]) -> Vec<Vec<(String, bool)>> {
    let trackers = policy.cross_request.as_ref().expect("switched on");
    let judge = |query: &&str| {
        let payload = Payload::of_query(query.as_bytes());
        let admission = trackers.admit(trackers, &policy.dlp, "c", host, &payload, Instant::now());
        admission.findings.iter().map(|finding| (finding.detail(), finding.blocks())).collect()
    };
    queries.iter().map(judge).collect()
}

#[test]
fn the_payload_is_what_the_query_says() {
    let cases: &[(&str, &str, &str)] = &[
        ("", "", ""),
        ("a=1&b=2", "12", "ab"),
        ("a=1=2&=3&c&d=&&", "1=23c", "ad"),
        ("a%20b=%41+x&%zz=%4", "A x%4", "a b%zz"),
        ("x;y=1", "1", "x;y"),
    ];
    for (query, outbound, names) in cases {
        let payload = Payload::of_query(query.as_bytes());
        assert_eq!(payload.outbound, outbound.as_bytes(), "{query}");
        assert_eq!(payload.names, names.as_bytes(), "{query}");
    }
}

#[test]
fn only_the_beginning_of_a_body_counts() {
    let mut payload = Payload::of_query(b"a=1");
    payload.add_body(&vec![b'x'; BODY_PREFIX + 1]);
    assert_eq!(payload.outbound.len(), 1 + BODY_PREFIX);
}

#[test]
fn a_secret_in_pieces_is_found_in_values_and_in_names() {
    let policy = policy("  fragment_reassembly: {enabled: true}\n");
    let found = vec![("fragment reassembly DLP match: Anthropic API Key".to_owned(), true)];
    let pieces = [["p=sk-ant-", "p=aabbccddeeffgghh1122"], ["sk-ant-=", "aabbccddeeffgghh1122="]];
    for queries in pieces {
        let trackers = policy.cross_request.as_ref().unwrap();
        assert_eq!(outcomes(&policy, "up.test", &queries), [vec![], found.clone()], "{queries:?}");
        assert!(trackers.stats().bytes > 0);
        assert!(trackers.forget("c"), "{queries:?}");
        assert!(!trackers.forget("c"), "{queries:?}");
        assert_eq!(trackers.stats().bytes, 0);
    }
}

#[test]
fn a_budget_is_used_up_by_values_and_names_except_on_exempt_hosts() {
    let policy = policy(
        "  entropy_budget: {enabled: true, bits_per_window: 60, action: block, exempt_domains: ['*.ok.test']}\n",
    );
    let queries = ["q=hello-world", "q=hello-there-you"];
    let exceeded = vec![("entropy budget exceeded: 77/60 bits".to_owned(), true)];
    assert_eq!(outcomes(&policy, "A.OK.test", &queries), [vec![], vec![]]);
    assert_eq!(outcomes(&policy, "up.test", &queries), [vec![], exceeded]);
    let trackers = policy.cross_request.as_ref().unwrap();
    let now = Instant::now();
    assert!(trackers.exhausted(trackers, "c", now).is_some_and(|finding| finding.blocks()));
    assert!(trackers.exhausted(trackers, "d", now).is_none(), "another client");
}

#[test]
fn without_enforcement_findings_are_only_reported() {
    let policy = policy(
        "  entropy_budget: {enabled: true, bits_per_window: 1, action: block}\n  fragment_reassembly: {enabled: true}\nenforce: false\n",
    );
    let found = outcomes(&policy, "up.test", &["p=sk-ant-", "p=aabbccddeeffgghh1122"]);
    assert_eq!(found[1].len(), 2, "{found:?}");
    assert!(found.iter().flatten().all(|(_, blocks)| !blocks), "{found:?}");
}

#[test]
fn a_binary_message_counts_but_is_not_put_together() {
    let policy = policy("  fragment_reassembly: {enabled: true}\n");
    let trackers = policy.cross_request.as_ref().unwrap();
    for (text, want) in [(false, 0), (true, 1)] {
        let mut found = 0;
        for message in [b"sk-ant-".as_slice(), b"aabbccddeeffgghh1122"] {
            let payload = Payload::of_message(message, text);
            let now = Instant::now();
            found += trackers.admit(trackers, &policy.dlp, "c", "up.test", &payload, now).findings.len();
        }
        assert_eq!(found, want, "text: {text}");
    }
}

#[test]
fn what_clients_sent_is_not_shown() {
    let policy = policy("  fragment_reassembly: {enabled: true}\n");
    let _ = outcomes(&policy, "up.test", &["p=zQ7xN2"]);
    let shown = format!("{policy:?} {:?}", Payload::of_query(b"p=zQ7xN2"));
    assert!(!shown.contains("zQ7xN2"));
}
