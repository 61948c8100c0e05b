use http::HeaderValue;

use super::*;
use crate::config::Strictness;
use crate::policy::body::tests::{K, config, policy, typed};

const JSON: &str = "application/json";

fn memory() -> Memory {
    Memory::new().expect("there are random numbers")
}

fn body() -> Vec<u8> {
    format!("[\"{}\"]", "the plain words of a chat ".repeat(200)).into_bytes()
}

/// Looks a body up as often as it takes to remember it, as if it was found clean.
fn remember(memory: &Memory, body: &[u8], headers: &HeaderMap) {
    assert!(matches!(memory.look_up(body, headers), Known::No));
    let Known::Seen(seen) = memory.look_up(body, headers) else { panic!("it was there before") };
    memory.remember(seen);
    assert!(matches!(memory.look_up(body, headers), Known::Clean));
}

#[test]
fn only_the_same_bytes_are_known() {
    let (body, headers) = (body(), typed(JSON));
    let changed = (0..body.len()).map(|at| {
        let mut other = body.clone();
        other[at] ^= 1;
        other
    });
    let resized = [body[1..].to_vec(), body[..body.len() - 1].to_vec(), [&body[..], b" "].concat()];
    for other in changed.chain(resized) {
        // Anew for each: others that look the same use up its patience.
        let memory = memory();
        remember(&memory, &body, &headers);
        for _ in 0..2 {
            assert!(!matches!(memory.look_up(&other, &headers), Known::Clean));
        }
    }
}

#[test]
fn the_type_belongs_to_the_body() {
    let (memory, body) = (memory(), body());
    remember(&memory, &body, &typed(JSON));
    remember(&memory, &body, &typed("text/plain"));
    remember(&memory, &body, &typed(""));
    let mut two = typed(JSON);
    two.append(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let mut coded = typed(JSON);
    coded.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let long = typed(&format!("text/plain; x={}", "y".repeat(MAX_TYPE)));
    for headers in [two, coded, long] {
        for _ in 0..3 {
            assert!(matches!(memory.look_up(&body, &headers), Known::No), "{headers:?}");
        }
    }
}

#[test]
fn bodies_that_look_the_same_are_told_apart_and_cost_a_tag_now_and_then() {
    let (memory, first, headers) = (memory(), body(), typed(JSON));
    let room = first.len() - SAMPLE;
    let between = room / SAMPLES - 1;
    let with = |byte: u8| {
        let mut other = first.clone();
        other[between] = byte;
        other
    };
    remember(&memory, &first, &headers);
    for byte in 0..PATIENCE {
        assert!(matches!(memory.look_up(&with(byte), &headers), Known::Seen(_)), "{byte}");
    }
    for byte in 0..REST {
        assert!(matches!(memory.look_up(&with(byte), &headers), Known::No), "{byte}");
    }
    let Known::Seen(seen) = memory.look_up(&with(b'!'), &headers) else { panic!("it has rested") };
    memory.remember(seen);
    for _ in 0..2 * PATIENCE {
        assert!(matches!(memory.look_up(&with(b'!'), &headers), Known::Clean));
    }
}

#[test]
fn a_body_that_comes_many_times_at_once_is_known_afterwards() {
    let (memory, body, headers) = (memory(), body(), typed(JSON));
    let lookups: Vec<Known> = (0..32).map(|_| memory.look_up(&body, &headers)).collect();
    for known in lookups {
        match known {
            Known::Seen(seen) => memory.remember(seen),
            Known::No => {}
            Known::Clean => panic!("nothing was found clean yet"),
        }
    }
    for _ in 0..2 * PATIENCE {
        assert!(matches!(memory.look_up(&body, &headers), Known::Clean));
    }
}

#[test]
fn what_has_a_finding_or_a_warning_is_found_each_time() {
    for strictness in [Strictness::Reference, Strictness::Hardened] {
        let policy = policy(&config(strictness));
        let secret = [&body()[..], format!(" {K}").as_bytes()].concat();
        for _ in 0..5 {
            assert!(policy.recall_or_scan(&secret, &typed("text/plain"), "example.com").finding.is_some());
            // Not JSON: refused for what it is.
            assert!(policy.recall_or_scan(&secret, &typed(JSON), "example.com").finding.is_some());
            assert!(policy.recall_or_scan(&body(), &typed(JSON), "example.com").is_clean());
        }
    }
}

#[test]
fn a_body_that_may_be_rewritten_is_not_remembered() {
    let mut config = config(Strictness::Hardened);
    assert!(policy(&config).memory.is_some());
    config.redaction.enabled = true;
    config.redaction.default_profile = "keys".to_owned();
    config.redaction.profiles.insert("keys".to_owned(), Default::default());
    assert!(policy(&config).memory.is_none());
}

#[test]
fn nothing_of_a_body_or_the_key_is_printed() {
    let memory = memory();
    remember(&memory, &body(), &typed(JSON));
    assert_eq!(format!("{memory:?}"), "Memory { .. }");
}
