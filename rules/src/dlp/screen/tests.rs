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
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn never_says_no_to_a_text_that_matches(text in near()) {
        let scanner = scanner_once();
        let may = scanner.1.may_match(&scanner.0, text.as_bytes());
        prop_assert!(may || !plain(&scanner.0, text.as_bytes()), "{}", text);
    }

    #[test]
    fn never_says_no_to_a_join_that_matches(values in prop::collection::vec(near(), 2..6)) {
        let scanner = scanner_once();
        let values: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
        if !scanner.1.joins(&scanner.0, &values) {
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

fn scanner_once() -> &'static (Scanner, Screen) {
    static ONCE: std::sync::OnceLock<(Scanner, Screen)> = std::sync::OnceLock::new();
    ONCE.get_or_init(|| {
        let scanner = scanner();
        let screen = Screen::new(&scanner);
        (scanner, screen)
    })
}
