//! The pipeline with its shortcuts against its plain twin.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use data_encoding::{BASE32, BASE64URL_NOPAD};
use muselet_rules::text;
use proptest::prelude::*;

use super::super::hardened::ROUNDS;
use super::super::scan::Scan;
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
    (0..twins().len()).try_for_each(|twin| assert_same_of(url, twin))
}

/// The same for one of the pairs.
pub(super) fn assert_same_of(url: &[u8], twin: usize) -> Result<(), TestCaseError> {
    let now = Instant::now();
    let (name, quick, plain) = &twins()[twin % twins().len()];
    // The second time it is a known URL.
    for time in 1..=2 {
        let (quick, plain) = (quick.scan(url, now, resolve), plain.scan(url, now, resolve));
        prop_assert_eq!(quick, plain, "{} {}, time {}", name, String::from_utf8_lossy(url), time);
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

/// A text that a rule matches, or nearly matches, as it is or encoded.
fn secret() -> impl Strategy<Value = Vec<u8>> {
    let examples: Vec<String> =
        dlp::builtin_examples().iter().chain(dlp::core_examples()).map(|e| e.text.to_string()).collect();
    let encode = |(text, how): (String, u8)| {
        let hex = |separator: &str| {
            let pairs: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            pairs.join(separator)
        };
        match how {
            0 => BASE64.encode(&text),
            1 => BASE64URL_NOPAD.encode(text.as_bytes()),
            2 => hex(""),
            3 => hex(":"),
            4 => BASE32.encode(text.as_bytes()),
            5 => BASE64.encode(BASE64.encode(&text)),
            6 => format!("%{}", hex("%")),
            7 => text.replace(['a', 'e', 'o'], "\u{200b}"),
            8 => text.chars().flat_map(|c| [c, '\u{ad}']).collect(),
            9 => text.to_uppercase(),
            _ => text,
        }
        .into_bytes()
    };
    (prop::sample::select(examples), 0..24u8).prop_map(encode)
}

/// A secret cut into pieces, which stand in order in one place of a URL, with other texts between them.
fn scattered() -> impl Strategy<Value = Vec<u8>> {
    let decoy = prop::sample::select(vec![
        "1",
        "x",
        "en",
        "true",
        "hello",
        "2024-05-01",
        "%20",
        "%e2%80%8b",
        "%FF",
        "a=b",
    ]);
    let decoys = prop::collection::vec(prop::option::weighted(0.3, decoy), 5);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    (secret(), cuts, decoys, 0..10u8, any::<u16>()).prop_map(|(secret, cuts, decoys, place, salt)| {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(secret.len().max(1))).collect();
        cuts.extend([0, secret.len()]);
        cuts.sort_unstable();
        let (start, before, between, end): (&str, &str, &str, &str) = match place {
            0 => ("https://example.com/", "", "/", ""),
            1 => ("https://", "", ".", ".example.com/"),
            2 => ("https://example.com/", "", "", "?a=1&b=2&c=3"),
            3 => ("https://example.com/#", "", "/", ""),
            4 => ("https://user:", "", "", "@[::1]:8080/"),
            5 => ("https://[2001:db8::1]/?q=", "", "+", ""),
            6 => ("https://b\u{fc}cher.example/p?", "k=", ";", ""),
            _ => ("https://example.com/search?", "k=", "&", ""),
        };
        let mut url = start.as_bytes().to_vec();
        for (at, range) in cuts.windows(2).enumerate() {
            if at > 0 {
                url.extend_from_slice(between.as_bytes());
            }
            if let Some(decoy) = decoys[at] {
                url.extend_from_slice([before, decoy, between].concat().as_bytes());
            }
            url.extend_from_slice(before.as_bytes());
            for &byte in &secret[range[0]..range[1]] {
                let is_unsafe = byte <= b' ' || matches!(byte, b'#' | b'?' | b'"');
                // Now and then an escape where none is needed, or of an escape.
                match (u16::from(byte).wrapping_mul(31) ^ salt) % 64 {
                    _ if is_unsafe => url.extend_from_slice(format!("%{byte:02X}").as_bytes()),
                    0 => url.extend_from_slice(format!("%{byte:02x}").as_bytes()),
                    1 => url.extend_from_slice(format!("%25{byte:02x}").as_bytes()),
                    _ => url.push(byte),
                }
            }
        }
        url.extend_from_slice(end.as_bytes());
        // Beyond one block of the vector kernels, and beyond the length from which texts are searched otherwise.
        let padding = [0, 0, 0, 20, 31, 64, 500, 600][usize::from(salt % 8)];
        if place != 1 && place != 4 && padding > 0 {
            url.extend_from_slice(if place > 4 { b"&p=" } else { b"/" });
            url.extend("lorem-ipsum.".bytes().cycle().take(padding));
        }
        url
    })
}

/// Queries of values that may be parts of a match of a rule without a literal.
fn digits_and_letters() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        "[0-9]{1,6}",
        "[0-9]{2,4}[ +-]?[0-9]{2,4}",
        "[0-9]{3}-[0-9]{2}-?",
        "[A-Z]{2}[0-9]{2}[A-Z0-9]{0,8}",
        "[5KL][1-9A-HJ-NP-Za-km-z]{10,26}",
        "(SK|0x)?[a-f0-9]{8,16}",
        "ey[A-Za-z0-9]{10,14}\\.?",
        "[MN][A-Za-z0-9]{10,24}\\.[a-z]{0,6}",
        "(%E2%80%8B|%FF|%CC%81|%8B|%E2%80|é|Ｋ)",
    ];
    prop::collection::vec(value, 0..8).prop_map(|values| {
        let query: Vec<String> = values.iter().map(|value| format!("k={value}")).collect();
        format!("https://example.com/?{}", query.join("&")).into_bytes()
    })
}

proptest! {
    #[test]
    fn what_is_decoded_leniently_is_not_taken_from_elsewhere(query in "(%|25|2B|2b|2|41|\\+|a|&|=|é){0,12}") {
        let url = format!("https://example.com/?{query}");
        let scan = Scan::new(url.as_bytes()).expect("any query parses");
        prop_assert_eq!(scan.lenient_canonical(), text::percent_decode_lenient(scan.canonical(), ROUNDS));
        prop_assert_eq!(scan.lenient_query(), &*text::percent_decode_lenient(query.as_bytes(), ROUNDS));
        prop_assert_eq!(scan.query(), &*text::percent_decode_all(query.as_bytes()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_scattered_secret_gets_the_same_verdict_from_both(url in scattered(), twin in 0..16usize) {
        assert_same_of(&url, twin)?;
    }

    #[test]
    fn near_matches_in_values_get_the_same_verdict_from_both(url in digits_and_letters(), twin in 0..16usize) {
        assert_same_of(&url, twin)?;
    }
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
