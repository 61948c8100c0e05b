use super::*;
use crate::dlp::{Settings, builtin_examples, core_examples, merge};
use proptest::prelude::*;

fn scanner() -> Scanner {
    Scanner::new(Settings { rules: merge(true, &[]), ..Settings::default() }).expect("the built-in rules")
}

fn plain(scanner: &Scanner, text: &[u8]) -> bool {
    [RuleList::Core, RuleList::Main].iter().any(|&list| scanner.first_hit(list, text, |_, _| true).is_some())
}

#[test]
fn never_misses_an_example_of_a_rule() {
    let scanner = scanner();
    let screen = Screen::new(&scanner);
    for example in builtin_examples().iter().chain(core_examples()) {
        let may = screen.may_match(&scanner, example.text.as_bytes());
        assert!(may || !plain(&scanner, example.text.as_bytes()), "{:?}", example.rule);
    }
}

#[test]
fn settles_ordinary_urls() {
    let scanner = scanner();
    let screen = Screen::new(&scanner);
    for text in
        ["https://docs.python.org/3/library/os.html", "httpsdocspythonorg3libraryoshtml", "q=hello&page=1"]
    {
        assert!(!screen.may_match(&scanner, text.as_bytes()), "{text}");
    }
}

/// Texts that are likely to come near a rule.
fn near() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("AKIA".to_owned()),
        Just("sk-ant-".to_owned()),
        Just("ghp_".to_owned()),
        Just("token=".to_owned()),
        Just("&".to_owned()),
        Just("4111".to_owned()),
        Just("123-45-6789".to_owned()),
        Just("GB29".to_owned()),
        Just("SK".to_owned()),
        Just("\u{200b}".to_owned()),
        Just("%".to_owned()),
        Just("Ａ".to_owned()),
        "[A-Za-z0-9_-]{1,24}",
        "[0-9]{1,17}",
        "[a-f0-9]{8,40}",
        ".{0,3}",
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(600), ..ProptestConfig::default() })]

    #[test]
    fn never_says_no_to_a_text_that_matches(text in near()) {
        let scanner = scanner_once();
        let may = scanner.1.may_match(&scanner.0, text.as_bytes());
        prop_assert!(may || !plain(&scanner.0, text.as_bytes()), "{}", text);
    }

    #[test]
    fn never_says_no_to_a_join_that_matches(values in prop::collection::vec(near(), 3..6)) {
        let scanner = scanner_once();
        let values: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
        let mut joined = Values::default();
        values.iter().for_each(|value| joined.push_with(|out| out.extend_from_slice(value)));
        if scanner.1.joins(&scanner.0, &joined) == Some(false) {
            prop_assert!(!plain(&scanner.0, &values.concat()));
            for a in 0..values.len() {
                for b in a + 1..values.len() {
                    prop_assert!(!plain(&scanner.0, &[values[a], values[b]].concat()));
                    for c in b + 1..values.len() {
                        prop_assert!(!plain(&scanner.0, &[values[a], values[b], values[c]].concat()));
                        for d in c + 1..values.len() {
                            let joined = [values[a], values[b], values[c], values[d]].concat();
                            prop_assert!(!plain(&scanner.0, &joined));
                        }
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(600), ..ProptestConfig::default() })]

    #[test]
    fn a_settled_text_has_no_part_that_matches(
        parts in prop::collection::vec((near(), prop::sample::select(vec!["/", "?", "&", "=", "://"])), 1..6),
        padding in prop::sample::select(vec![0, 600]),
    ) {
        let (scanner, screen) = scanner_once();
        let mut whole: String = parts.iter().flat_map(|(part, end)| [part.as_str(), end]).collect();
        whole.extend("lorem/ipsum/".chars().cycle().take(padding));
        if screen.settles(scanner, whole.as_bytes()) {
            prop_assert!(!plain(scanner, whole.as_bytes()));
            for (part, _) in &parts {
                prop_assert!(!plain(scanner, part.as_bytes()), "{}", part);
            }
        }
        let stripped = whole.replace(['/', '?'], "");
        if screen.settles_without(scanner, whole.as_bytes(), |byte| matches!(byte, b'/' | b'?')) {
            prop_assert!(!plain(scanner, stripped.as_bytes()));
        }
    }
}

fn scanner_once() -> &'static (Scanner, Screen) {
    static ONCE: std::sync::OnceLock<(Scanner, Screen)> = std::sync::OnceLock::new();
    ONCE.get_or_init(|| {
        let scanner = scanner();
        let screen = Screen::new(&scanner);
        (scanner, screen)
    })
}
#[test]
fn follows_every_rule_without_a_literal() {
    let (_, screen) = scanner_once();
    assert!(is_empty(&screen.loose), "{:?}", screen.loose);
    assert_eq!(numbers(&screen.rowed).count(), 8);
}

fn cases(usual: u32) -> u32 {
    std::env::var("MUSELET_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}
