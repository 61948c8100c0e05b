//! The pipeline with its shortcuts against its plain twin.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;

/// Every configuration of the specification in both modes, with and without shortcuts.
fn twins() -> &'static [(String, Pipeline, Pipeline)] {
    static TWINS: OnceLock<Vec<(String, Pipeline, Pipeline)>> = OnceLock::new();
    TWINS.get_or_init(|| {
        let both = |config: &str, strictness: Strictness| {
            let make = || {
                let (url, text) = named(config);
                pipeline(url, text, strictness)
            };
            (format!("{config} {strictness:?}"), make(), make().plain())
        };
        let configs = ["B", "S", "I", "W", "F", "C", "N", "E"];
        configs
            .iter()
            .flat_map(|config| [both(config, Strictness::Reference), both(config, Strictness::Hardened)])
            .collect()
    })
}

fn assert_same(url: &[u8]) -> Result<(), TestCaseError> {
    let now = Instant::now();
    for (name, quick, plain) in twins() {
        let (quick, plain) = (quick.scan(url, now, resolve), plain.scan(url, now, resolve));
        prop_assert_eq!(quick, plain, "{} {}", name, String::from_utf8_lossy(url));
    }
    Ok(())
}

#[test]
fn the_worked_examples_get_the_same_verdict_from_both() {
    for line in include_str!("examples.jsonl").lines() {
        let [_, _, url, ..]: [String; 6] = serde_json::from_str(line).expect(line);
        assert_same(url.as_bytes()).expect("the same verdict");
    }
}

/// Texts that come near a rule, a secret or a decoder.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop::sample::select(vec![
        "AKIA",
        "IOSFODNN7EXAMPLE",
        "sk-ant-",
        "AAAAAAAAAAAAAA",
        "ghp_",
        "token=abcd",
        "4111111111111111",
        "4111",
        "GB29NWBK60161331926819",
        "123-45-6789",
        "xK9mP2nQ7vR4wT6y",
        "xK9mP2nQ",
        "7vR4wT6y",
        "canary-token-ABC123",
        "eEs5bVAyblE3dlI0d1Q2eQ==",
        "414b4941494f53464f444e4e374558414d504c45",
        "QUtJQUlPU0ZPRE5ON0VYQU1QTEU=",
        "abandon",
        "about",
        "%20",
        "%2B",
        "+",
        "%zz",
        "%FF",
        "%E2%80%8B",
        "\u{200b}",
        "Ａ",
        "%",
        ";",
        "..",
        "%0a",
        "warnme-abcd",
        "fooz",
        "barz",
        "colored",
        "Tr0ub4dor-Zebra9Kq",
        "aB3xK9mQ7pR2wE5tY8uI0oL4hG6fD1sZ",
    ]);
    prop_oneof![
        fixed.prop_map(|text| text.as_bytes().to_vec()),
        "[a-z]{1,12}".prop_map(String::into_bytes),
        "[A-Za-z0-9_.-]{1,30}".prop_map(String::into_bytes),
        "[0-9]{1,12}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..3),
    ]
}

fn url() -> impl Strategy<Value = Vec<u8>> {
    let separator =
        prop::sample::select(vec!["", "/", "?", "&", "=", ".", "-", "#", "@", ":", "/", "&", "=", "?"]);
    let pieces = prop::collection::vec((part(), separator), 0..12);
    let start = prop::sample::select(vec![
        "https://example.com/",
        "https://a.",
        "http://",
        "https://x.test/?",
        "http:",
    ]);
    (start, pieces).prop_map(|(start, pieces)| {
        let mut url = start.as_bytes().to_vec();
        for (part, separator) in pieces {
            url.extend_from_slice(&part);
            url.extend_from_slice(separator.as_bytes());
        }
        url
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_url_gets_the_same_verdict_from_both(url in url()) {
        assert_same(&url)?;
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(url in prop::collection::vec(any::<u8>(), 0..80)) {
        assert_same(&url)?;
    }
}
