//! What blocks tell, against the scan of the whole.

use std::cell::Cell;

use proptest::prelude::*;

use super::super::joined::tests::{cases, part, scanner_with};
use super::*;
use crate::Strictness;

fn prose(letters: usize) -> Vec<u8> {
    let words = "The words around it are many and they say little but they are enough to be cut in half ";
    words.bytes().cycle().take(letters).collect()
}

/// Parts within words, so that blocks are cut before, behind and within them.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let piece = (part(), part(), 0usize..900, 0u8..3).prop_map(|(a, b, letters, kind)| match kind {
        0 => [&prose(letters)[..], &a, b" and ", &b].concat(),
        1 => [&prose(letters)[..], &a, &b].concat(),
        _ => [&prose(letters)[..], b" and ", &a, b" or "].concat(),
    });
    proptest::collection::vec(piece, 1..5).prop_map(|mut pieces| {
        pieces.push(prose(1200));
        pieces.concat()
    })
}

#[test]
fn blocks_with_nothing_in_them_make_a_text_with_nothing_in_it() {
    for strictness in [Strictness::Reference, Strictness::Hardened] {
        let s = scanner_with(strictness, &[r"\bACME-[0-9]{6}\b"], Vec::new());
        let (quick, clean) = (Cell::new(0), Cell::new(0));
        proptest!(ProptestConfig::with_cases(cases()), |(text in texts(), length in 1usize..700)| {
            let told = s.tell(&text, length, &mut Noted::default());
            let found = s.scan(&text, false, None, None).map(|(found, _)| found).unwrap_or_default();
            if found == TextResult::default() {
                clean.set(clean.get() + 1);
                quick.set(quick.get() + u32::from(told == Told::Nothing));
            } else {
                prop_assert!(told != Told::Nothing, "{:?} in {:?}", found, String::from_utf8_lossy(&text));
            }
        });
        let (quick, clean) = (quick.get(), clean.get());
        println!("{strictness:?}: of {clean} clean, {quick} were shown");
        assert!(quick * 10 > clean * 5, "of {clean} only {quick} were shown clean");
    }
}

#[test]
fn knows_across_how_many_words_a_match_goes() {
    let table = [
        (r"ghp_[a-z]{36,}", Some(40)),
        (r"key\s*=\s*[a-z]{4,}", Some(8)),
        (r"key=[a-z]+;[0-9]{4}", Some(4 + WORD + 5)),
        (r"(?:[a-z]+\.)+key", Some(WORD + 3)),
        (r"key.*=", None),
        (r"key[^;]+=", None),
    ];
    for (regex, want) in table {
        let spec = super::super::RuleSpec {
            regex: regex.into(),
            validator: None,
            ..super::super::builtin_rules()[0].clone()
        };
        let table = RuleTable::new(vec![spec]).unwrap();
        assert_eq!(span_of(&table.rules[0]), want, "{regex}");
    }
    let core = RuleTable::new(super::super::core_rules().to_vec()).unwrap();
    let main = RuleTable::new(super::super::builtin_rules().to_vec()).unwrap();
    assert_eq!(span(&core, &main, &[]), Some(PHRASE));
}

#[test]
fn finds_what_is_cut_wherever_it_stands() {
    let mut s = scanner_with(Strictness::Reference, &[], Vec::new());
    let span = s.span;
    let cut = [
        "abandon ability able about above absent absorb abstract absurd abuse access accident",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ];
    let mut missed = 0;
    for (hidden, letters) in cut.into_iter().flat_map(|hidden| (0..300).map(move |letters| (hidden, letters)))
    {
        let text = [&prose(letters)[..], b" is ", hidden.as_bytes(), b" it ", &prose(1500)].concat();
        s.span = span;
        assert_ne!(s.tell(&text, 200, &mut Noted::default()), Told::Nothing, "{letters} before {hidden}");
        s.span = Some(1);
        missed += u32::from(s.tell(&text, 200, &mut Noted::default()) == Told::Nothing);
    }
    assert!(missed > 0, "blocks that share less would do");
}

#[test]
fn what_makes_a_text_data_may_stand_in_another_block() {
    let s = scanner_with(Strictness::Hardened, &[], Vec::new());
    // Two digits that look like a length before the encoded key.
    let key = ["\u{fe6a}41O2Z3X2Fh".as_bytes(), &b"YWFh".repeat(8), b"Yf8", &[b'A'; 220]].concat();
    let text = [&prose(500)[..], &key, &prose(900), b" and \xef", &prose(1500)].concat();
    let found = s.scan(&text, false, None, None).map(|(found, _)| found).unwrap_or_default();
    assert_ne!(found, TextResult::default());
    for length in [1, 100, 500] {
        assert_ne!(s.tell(&text, length, &mut Noted::default()), Told::Nothing, "{length}");
    }
}

#[test]
fn the_checks_of_all_blocks_add_up() {
    let mut noted = Noted::default();
    noted.spend(1 << 13);
    assert!(!noted.may_hold());
    noted.spend(1 << 13);
    assert!(noted.may_hold());
}
