//! URLs up to 8 KiB that are made to hurt: no panic, and the verdict of the plain pipeline.

use proptest::prelude::*;

use super::twin::assert_same_of;

/// `MUSELET_CASES`, or what a test run has time for.
fn cases(usual: u32) -> u32 {
    std::env::var("MUSELET_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

/// A few characters that stand many times in one place.
fn repeated() -> impl Strategy<Value = String> {
    let unit = prop::sample::select(vec![
        "%25",
        "%2525",
        "%41",
        "%c3%a9",
        "%C3",
        "%e2%80%8b",
        "%zz",
        "%",
        "%2e",
        "%2E%2e/",
        "&",
        "=",
        "a=",
        "&a=1",
        "&=",
        "?",
        "#",
        "@",
        ":",
        "[",
        "]",
        "[::1]",
        ".",
        "..",
        "/..",
        "/./",
        "//",
        "\\",
        ";",
        "+",
        " ",
        "a.",
        "xn--",
        "é",
        "日本",
        "İ",
        "\u{301}",
        "\u{200b}",
        "Ａ",
        "4111",
        "4111-",
        "4111 1111 ",
        "&k=4111",
        "&k=5500-",
        "&k=GB29NWBK",
        "&k=60161331926819",
        "&k=L1aW4aub",
        "&k=5HueCGU8",
        "&k=SK0123456789abcdef",
        "&k=%CC%81x",
        "&k=%A0b%C2",
        "eyJhbGci.",
        "abandon ",
        "abandon+",
        "&w=abandon",
        "about",
        "AKIA",
        "QUtJ",
        "414b4941",
        "token=abcd",
        "sk-ant-",
        "-",
        "_",
        "0",
        "A",
        "~",
    ]);
    (unit, prop_oneof![3 => 1..6usize, 2 => 6..40usize, 1 => 40..400usize])
        .prop_map(|(unit, times)| unit.repeat(times))
}

fn url() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec![
        "https://example.com/",
        "https://example.com/?k=v",
        "https://example.com/?",
        "https://",
        "http://user@",
        "HTTPS://EXAMPLE.com:443/%",
        "http://[",
    ]);
    (start, prop::collection::vec(repeated(), 1..8)).prop_map(|(start, parts)| {
        let mut url = [start, &parts.concat()].concat().into_bytes();
        url.truncate(8192);
        url
    })
}

/// A query of as many values as take part in joins, near one rule.
fn joins() -> impl Strategy<Value = Vec<u8>> {
    let value = prop::sample::select(vec![
        "[0-9]{4}",
        "(4[0-9]{3}|5[1-5][0-9]{2})[ -]?",
        "4[0-9]{7}",
        "[3-6][0-9]{4}",
        "[0-9]{4}-[0-9]{4}",
        "(NO|BE)[0-9]{2}|[0-9]{5,6}",
        "(GB[0-9]{2}NWBK|[0-9]{7})",
        "([5KL][A-Za-z1-9]{12}|[A-Za-z1-9]{13})",
        "[0-9]{3}-|[0-9]{2}-|[0-9]{4}",
        "(SK|[a-f0-9]{11})",
        "(0x|[a-f0-9]{21,22})",
        "ey[a-z]{10,12}\\.?",
        "(ghp_|[a-z]{12}|-)",
        "(AKIA|[A-Z0-9]{8})",
        "(token|secret|=|[a-z]{4})",
        "(%C3|%A9|%CC%81|e|é|Ａ|[0-9]{4})",
        "(%A0|%80)?(AKIA|[A-Z0-9]{8}|sk-ant-)(%C2|%E3%80|%E3)?",
        "(%CC%81|%A0|%85%A1)?([0-9]{4}|4111)(%C3%A9|%CC|%E1)?",
    ]);
    (value, 3..11usize).prop_flat_map(|(value, count)| {
        prop::collection::vec(value, count).prop_map(|values| {
            let query: Vec<String> = values.iter().map(|value| format!("k={value}")).collect();
            format!("https://example.com/?{}", query.join("&")).into_bytes()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(200), ..ProptestConfig::default() })]

    #[test]
    fn hostile_urls_get_the_same_verdict_from_both(url in url(), twin in 0..16usize) {
        assert_same_of(&url, twin)?;
    }

    #[test]
    fn values_near_one_rule_get_the_same_verdict_from_both(url in joins(), twin in 0..16usize) {
        assert_same_of(&url, twin)?;
    }
}

#[test]
fn thousands_of_empty_parameters_are_judged() {
    for piece in ["&", "&=", "&a", "&a=", "=", "&%", ";", "&;", "?"] {
        let url = format!("https://example.com/?{}", piece.repeat(4000));
        for twin in [0, 1] {
            assert_same_of(url.as_bytes(), twin).expect("the same verdict");
        }
    }
}
