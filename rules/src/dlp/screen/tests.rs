use super::*;
use crate::dlp::{Settings, builtin_examples, core_examples, merge};
use proptest::prelude::*;
use std::ops::ControlFlow;

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

#[test]
fn values_are_kept_as_they_are_whatever_their_length() {
    let text: Vec<u8> = (0..200).collect();
    for lengths in [[0, 1, 15], [16, 17, 0], [40, 16, 3], [100, 60, 16], [100, 83, 17], [1, 0, 199]] {
        let (mut values, mut start) = (Values::default(), 0);
        for length in lengths {
            values.push_part(&text, start..start + length);
            start += length;
        }
        assert_eq!(values.iter().map(<[u8]>::len).collect::<Vec<_>>(), lengths);
        assert_eq!(values.joined(), &text[..start]);
        let spaced: Vec<u8> = values.iter().flat_map(|value| [b" ", value].concat()).collect();
        assert_eq!(values.spaced(), spaced);
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
        joins_are_screened(&values.iter().map(|value| value.clone().into_bytes()).collect::<Vec<_>>())?;
    }

    #[test]
    fn never_says_no_to_a_join_of_split_characters_that_matches(
        values in prop::collection::vec((pieces_of_characters(), near(), pieces_of_characters()), 3..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 4),
        example in prop::sample::select(builtin_examples()),
        between in prop::sample::select(vec!["\u{a0}", "\u{3000}", "\u{e0020}", "\u{301}", "\u{212a}", "\u{1f1e6}"]),
    ) {
        let around = |(a, b, c): (Vec<u8>, String, Vec<u8>)| [a, b.into_bytes(), c].concat();
        joins_are_screened(&values.into_iter().map(around).collect::<Vec<_>>())?;
        // A secret with characters between its parts, cut in the midst of those.
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(example.text.len() + 1)).collect();
        cuts.sort_unstable();
        let mut parts = vec![Vec::new()];
        for (at, &byte) in example.text.as_bytes().iter().enumerate() {
            for _ in cuts.iter().filter(|&&cut| cut == at) {
                let (before, after) = between.as_bytes().split_at(1 + at % (between.len() - 1));
                parts.last_mut().expect("there is one").extend_from_slice(before);
                parts.push(after.to_vec());
            }
            parts.last_mut().expect("there is one").push(byte);
        }
        joins_are_screened(&parts)?;
    }
}

/// Characters, some of which change with what stands beside them, and parts of some.
pub(super) fn pieces_of_characters() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop::sample::select(vec![
        "",
        "a",
        "K",
        "e",
        " ",
        "\u{430}",
        "\u{301}",
        "\u{338}",
        "\u{e9}",
        "\u{200b}",
        "\u{a0}",
        "\u{212a}",
        "\u{ff21}",
        "\u{fb01}",
        "\u{1100}",
        "\u{1161}",
        "\u{11a8}",
        "\u{ac00}",
        "\u{3b1}",
        "\u{345}",
        "\u{10a}",
        "\u{93f}",
        "\u{915}",
        "\u{1f1e6}",
        "\u{e0020}",
        "\n",
        "\u{2126}",
        "\u{fffd}",
        "\u{3164}",
        "\u{4e2d}",
    ]);
    let stray = prop::sample::select(vec![
        &b"\xC2"[..],
        b"\xA0",
        b"\xE3",
        b"\xE3\x80",
        b"\x80\x80",
        b"\x80",
        b"\xF0\x9F",
        b"\xCC",
        b"\x81",
        b"\xFF",
        b"\xC0",
        b"\xB5\xC4",
        b"\xF4",
        b"\xE1\x85",
        b"\xA1",
    ]);
    let piece = prop_oneof![
        3 => whole.prop_map(|text| text.as_bytes().to_vec()),
        2 => stray.prop_map(<[u8]>::to_vec),
        1 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
        1 => any::<char>().prop_map(|c| {
            let bytes = c.to_string().into_bytes();
            bytes[bytes.len() / 2..].to_vec()
        }),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// Compares what the screen says of all joins, and which ones it names, with the rules themselves.
fn joins_are_screened(values: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let (scanner, screen) = scanner_once();
    let mut joined = Values::default();
    values.iter().for_each(|value| joined.push_with(|out| out.extend_from_slice(value)));
    let answer = screen.joins(scanner, &joined);
    prop_assert!(answer != Some(false) || !plain(scanner, &values.concat()), "{:?}", values);
    let mut named: Vec<Vec<u8>> = Vec::new();
    for list in [RuleList::Core, RuleList::Main] {
        let visited = screen.visit_joins(scanner, list, &joined, &mut |text| {
            named.push(text.to_vec());
            ControlFlow::<()>::Continue(())
        });
        if visited.is_none() {
            return Ok(());
        }
    }
    for chosen in 0u32..1 << values.len().min(MOST_VALUES) {
        if values.len() > 2 && (2..=4).contains(&chosen.count_ones()) {
            let chosen = values.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
            let join: Vec<u8> = chosen.flat_map(|(_, value)| value.clone()).collect();
            if plain(scanner, &join) {
                prop_assert!(answer != Some(false), "{:?}", values);
                prop_assert!(named.contains(&join), "{:?}", values);
            }
        }
    }
    Ok(())
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

pub(super) fn cases(usual: u32) -> u32 {
    std::env::var("MUSELET_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}
