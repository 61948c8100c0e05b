//! What is told from the text as it was sent, against what the views hold.

use proptest::prelude::*;

use super::super::super::plain;
use super::super::super::seed::{Between, possible, word_index};
use super::super::super::{Scanner, SeedSettings};
use super::super::overview::Overview;
use super::super::simd::{self, Blocks, Eight, Row};
use super::super::{Whole, runs_at_line_ends};
use super::{
    add_ungated, cases, encoded_binary, filler, name_encoded, runs_at_once, scanner, scanner_of, secrets,
};
use crate::Strictness;
use crate::text::{norm_dlp, norm_match};

/// Wallet keys, seed phrases and cards, some characters of which are written in another way, with something between others.
fn broken_secret() -> impl Strategy<Value = Vec<u8>> {
    let is_long = |s: &String| {
        s.split_whitespace().count() > 10
            || s.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| w.len() > 50)
    };
    let mut long: Vec<String> = secrets().into_iter().filter(is_long).collect();
    for card in ["4111 1111 1111 1111 123", "378282246310005-1234", "4111-1-1-1-1-1-1-1-1-1-1-1-1 123"] {
        long.push(card.into());
    }
    let between = prop_oneof![
        Just("."),
        Just("\n"),
        Just("\r\n"),
        Just("\t"),
        Just("\0"),
        Just("\u{200b}"),
        Just("\u{301}"),
        Just("\u{A0}"),
        Just("%2E"),
        Just("%0a"),
        Just("%252e"),
        Just("+"),
        Just("%"),
        Just("\" \""),
        Just("\u{a7}"),
        Just("\u{2014}"),
        Just("Ａ"),
        Just("⑽"),
        Just("x"),
        Just("\u{ff0e}"),
    ];
    let breaks = proptest::collection::vec((0usize..300, between, 0u8..6), 0..8);
    (0..long.len(), breaks, 0u8..12).prop_map(move |(which, breaks, everywhere)| {
        let mut text = String::new();
        for (i, c) in long[which].chars().enumerate() {
            let written = match (breaks.iter().find(|(at, _, _)| *at == i), everywhere) {
                (Some((_, between, 0..3)), _) => {
                    text.push_str(between);
                    c.to_string()
                }
                (Some((_, _, 3)), _) if c.is_ascii_graphic() => {
                    char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c).to_string()
                }
                (Some((_, _, 4)), _) => format!("%{:02x}", u32::from(c)),
                (None, 0) if i % 10 == 9 => format!(".{c}"),
                (None, 1) if c == ' ' => "\n".into(),
                (None, 2) if c == ' ' => "\", \"".into(),
                (None, 3) if c == ' ' => "+".into(),
                (None, 4) if c == ' ' => "\u{3000}".into(),
                (None, 5) => c.to_ascii_uppercase().to_string(),
                _ => c.to_string(),
            };
            text.push_str(&written);
        }
        text.into_bytes()
    })
}

impl Blocks for (Vec<Row>, bool) {
    fn blocks(&mut self, rows: &[Row], wide: bool) {
        self.0.extend_from_slice(rows);
        self.1 |= wide;
    }
}

/// Words of the list and others, with much between them.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        12 => prop_oneof![Just("abandon"), Just("zoo"), Just("Legal"), Just("winner"), Just("act"), Just("ABOUT")],
        1 => prop_oneof![Just("a"), Just("of"), Just("xyz"), Just("notalist"), Just("abandonment"), Just("\u{212A}ind"), Just("Ａct"), Just("ac\u{301}t"), Just("")],
    ];
    let between = prop_oneof![
        12 => prop_oneof![Just(" "), Just("\n"), Just(", "), Just(";")],
        1 => prop_oneof![Just(". "), Just("\u{2014}"), Just("\0"), Just("\u{a7} "), Just("1"), Just("\u{301} "), Just("-                                                              -"), Just("")],
    ];
    proptest::collection::vec((word, between), 0..60)
        .prop_map(|words| words.into_iter().flat_map(|(word, between)| [word, between]).collect())
}

/// Whether so many runs of letters in a row are words of the list.
fn has_words_in_a_row(text: &str, min_words: usize) -> bool {
    let mut row = 0;
    text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()).any(|word| {
        row = if word_index(&word.to_ascii_lowercase()).is_some() { row + 1 } else { 0 };
        row >= min_words
    })
}

/// What may stand between two lines of encoded text.
fn line_ends() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "\n",
        "\r\n",
        "\t",
        "\n\t\t",
        " \n",
        "\n ",
        "\u{200b}\n",
        "é\n",
        "\nA",
        "\0\n",
        "",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn nothing_is_ruled_out_that_a_view_holds(before in filler(), secret in broken_secret(), after in filler()) {
        thread_local!(static SCANNERS: [Scanner; 2] = [scanner(), scanner_of(Strictness::Hardened)]);
        let text = [before, secret, after].concat();
        SCANNERS.with(|[reference, hard]| {
            let shown = String::from_utf8_lossy(&text);
            prop_assert_eq!(reference.scan_text(&text), plain::scan_text(reference, &text), "{:?}", shown);
            let mut plain = plain::scan_text(hard, &text);
            add_ungated(hard, &text, &norm_dlp(&text), &mut plain);
            prop_assert_eq!(hard.scan_text(&text), plain, "{:?}", shown);
            Ok(())
        })?;
    }

    #[test]
    fn words_in_a_row_are_found(before in filler(), words in words(), min_words in prop_oneof![Just(12usize), Just(15), Just(24)]) {
        let text = [&before[..], words.as_bytes()].concat();
        let norm = norm_match(&text);
        let in_a_row = has_words_in_a_row(&norm, min_words);
        prop_assert_eq!(possible(norm.as_bytes(), min_words, Between::AnyPunctuation), in_a_row, "{:?}", norm);
        let overview = Overview::new(&text);
        let found = overview.may_hold_words(&text, min_words);
        prop_assert!(found || !in_a_row, "{:?}", String::from_utf8_lossy(&text));
        prop_assert!(in_a_row || !found || !overview.keeps_lines(), "{:?}", String::from_utf8_lossy(&text));
        let settings = SeedSettings { min_words, verify_checksum: false };
        let phrase = super::super::super::seed::detect(&norm, settings);
        prop_assert!(!phrase || possible(norm.as_bytes(), min_words, Between::Separators), "{:?}", norm);
    }

    #[test]
    fn eight_sets_are_those_of_the_twin(text in proptest::collection::vec(prop_oneof![any::<u8>(), 0u8..0x80], 0..700)) {
        static SETS: Eight =
            Eight::new([b"abc", b"", b"\0\x7f", b"0123456789", b" ", b"~!", b"ABCxyz", b"\n"], 1 << 6 | 1 << 1, b"\x01?");
        let vector = simd::eight(&SETS, &text, (Vec::new(), false));
        let narrow = simd::narrow_eight(&SETS, &text, (Vec::new(), false));
        let blocks = text.chunks_exact(64);
        let rest = blocks.remainder();
        let (twins, wide): (Vec<_>, Vec<_>) = blocks.chain([rest]).map(|block| simd::sets_of(&SETS, block)).unzip();
        let twins = (twins, wide.contains(&true));
        prop_assert_eq!(&vector, &twins);
        prop_assert_eq!(narrow, twins);
    }

    #[test]
    fn normalised_texts_that_are_settled_stay(text in proptest::collection::vec(filler(), 0..4)) {
        let text = text.concat();
        let norm = norm_dlp(&text);
        let mut overview = Overview::new(&text);
        overview.note_settled(norm.as_bytes());
        prop_assert!(!overview.is_printable() || norm.as_bytes() == text);
        prop_assert!(!overview.keeps_lines() || norm_match(&text).as_bytes() == text);
        if overview.settled {
            let dotless = norm.replace('.', "");
            prop_assert_eq!(&*norm_dlp(dotless.as_bytes()), &*dotless);
        }
    }

    #[test]
    fn runs_beside_line_ends_are_all_that_these_change(parts in proptest::collection::vec((line_ends(), encoded_binary()), 1..4)) {
        thread_local!(static SCANNER: Scanner = scanner_of(Strictness::Hardened));
        let text: Vec<u8> = parts.into_iter().flat_map(|(a, b)| [a.as_bytes(), &b].concat()).collect();
        let (norm, spaced) = (norm_dlp(&text), text.iter().map(|&b| if b"\t\n\r".contains(&b) { b' ' } else { b }));
        let lines = norm_dlp(&spaced.collect::<Vec<u8>>()).into_owned();
        SCANNER.with(|s| {
            let mut have = runs_at_once(s, norm.as_bytes());
            let want = runs_at_once(s, lines.as_bytes());
            let noise = std::cell::RefCell::new(Vec::new());
            let note = |run| noise.borrow_mut().push(run);
            let told = runs_at_line_ends(s, &text, &Overview::new(&text), note, |found| name_encoded(s, found, &mut have));
            for run in noise.take() {
                prop_assert!(Whole::new(s).is_noise(&text[run.clone()]), "{:?} in {:?}", run, String::from_utf8_lossy(&text));
            }
            prop_assert!(!told || want.iter().all(|found| have.contains(found)), "{:?}", String::from_utf8_lossy(&text));
            Ok(())
        })?;
    }
}
