//! The fast scan against the plain one, and each kernel against its twin.

use proptest::prelude::*;

use super::super::{RuleSpec, Scanner, Secrets, SeedSettings, Settings, merge, plain};
use super::runs::{self, Class};
use super::shape::Set;
use super::windows::Windows;
use crate::Strictness;

fn scanner() -> Scanner {
    let env = [("KEY", "zQ7xN2pLw9RtKv4m"), ("OTHER", "pX3-vB8_kT5+nR1/wY6=qL0.")];
    Scanner::new(Settings {
        rules: merge(true, &[]),
        strictness: Strictness::Reference,
        seed: Some(SeedSettings::default()),
        env_secrets: Secrets::from_env(env, 16),
        ..Settings::default()
    })
    .unwrap()
}

/// Texts that hold a secret of some rule or nearly do: the rule files' examples.
fn secrets() -> Vec<String> {
    let mut all: Vec<String> = super::super::builtin_examples().iter().map(|e| e.text.clone()).collect();
    all.extend(super::super::core_examples().iter().map(|e| e.text.clone()));
    all.push("zQ7xN2pLw9RtKv4m".into());
    all.push("pX3-vB8_kT5+nR1/wY6=qL0.".into());
    all.push(format!("{}about", "abandon ".repeat(11)));
    all.push(format!("{}about", "abandon\n".repeat(11)));
    all.push("legal winner thank year wave sausage worth useful legal winner thank yellow".into());
    all
}

fn encode(text: &[u8], how: u8) -> Vec<u8> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
    let hex = |by: &str| text.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(by).into_bytes();
    match how {
        1 => STANDARD.encode(text).into_bytes(),
        2 => STANDARD_NO_PAD.encode(text).into_bytes(),
        3 => URL_SAFE.encode(text).into_bytes(),
        4 => hex(""),
        5 => hex(":"),
        6 => hex(" ").to_ascii_uppercase(),
        7 => data_encoding::BASE32.encode(text).into_bytes(),
        8 => text.iter().flat_map(|b| format!("%{b:02X}").into_bytes()).collect(),
        9 => text.iter().flat_map(|b| format!("%25{b:02x}").into_bytes()).collect(),
        10 => text.iter().flat_map(|b| [*b, 0xE2, 0x80, 0x8B]).collect(),
        11 => text.chunks(5).flat_map(|c| [c, b"."].concat()).collect(),
        12 => text.chunks(7).flat_map(|c| [c, b"\n"].concat()).collect(),
        13 => text
            .iter()
            .map(|b| if *b == b'a' { "а".into() } else { (*b as char).to_string() })
            .collect::<String>()
            .into(),
        14 => text.chunks(6).flat_map(|c| [c, "\u{301}".as_bytes()].concat()).collect(),
        15 => text.to_ascii_uppercase(),
        16 => text.to_ascii_lowercase(),
        17 => text.chunks(9).flat_map(|c| [c, b"\xff"].concat()).collect(),
        _ => text.to_vec(),
    }
}

fn filler() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-zA-Z0-9 ,.:;/?&=\"'_+%-]{0,90}".prop_map(String::into_bytes),
        "[0-9a-f -]{0,80}".prop_map(String::into_bytes),
        "[A-Za-z0-9+/=]{0,130}".prop_map(String::into_bytes),
        "(abandon |zoo |the |wrong\t|able-|legal, ){0,20}".prop_map(String::into_bytes),
        "[а-яα-ωé\u{301}\u{308}\u{212A}\u{130}ﬁ①Ａ\u{AD}\u{3000} a-z]{0,30}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..70),
        Just(Vec::new()),
        (0usize..140).prop_map(|n| vec![b'x'; n]),
    ]
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let secrets = secrets();
    (0..secrets.len(), 0u8..24, 0u8..24, 0u8..30).prop_map(move |(i, first, second, cut)| {
        let mut text = encode(secrets[i].as_bytes(), first);
        if second > 12 {
            text = encode(&text, second - 12);
        }
        if cut == 1 {
            text.pop();
        }
        text
    })
}

/// Generated inputs for each property: `MUSELET_CASES`, or what a test run has time for.
fn cases() -> u32 {
    let asked = std::env::var("MUSELET_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(if cfg!(debug_assertions) { 3000 } else { 200_000 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn fast_and_plain_scan_agree(parts in proptest::collection::vec((filler(), piece(), 0u8..3), 0..3), tail in filler()) {
        thread_local!(static SCANNER: Scanner = scanner());
        let mut text = Vec::new();
        for (filler, piece, which) in parts {
            if which != 0 { text.extend(filler); }
            if which != 1 { text.extend(piece); }
        }
        text.extend(tail);
        SCANNER.with(|s| {
            let (fast, plain) = (s.scan_text(&text), plain::scan_text(s, &text));
            prop_assert_eq!(fast, plain, "{:?}", String::from_utf8_lossy(&text));
            Ok(())
        })?;
    }

    #[test]
    fn quick_normalisation_equals_the_steps(text in proptest::collection::vec(filler(), 0..4)) {
        let text = text.concat();
        let mut buffer = Vec::new();
        let quick = crate::text::norm_dlp_quick(&text, &mut buffer).unwrap_or(&text).to_vec();
        prop_assert_eq!(&*String::from_utf8_lossy(&quick), &*crate::text::norm_dlp_by_steps(&text));
        prop_assert_eq!(&*crate::text::norm_match(&text), &*crate::text::norm_match_by_steps(&text));
    }

    #[test]
    fn runs_are_all_found(text in "[ab ]{0,300}", min in 2u32..60) {
        const CLASS: Class = Class::new(b"ab");
        let text = text.replace("  ", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        let mut found = Vec::new();
        runs::each(text.as_bytes(), &CLASS, min, &mut Vec::new(), |s, e| { found.push((s, e)); false });
        let mut wanted = Vec::new();
        let mut at = 0;
        for word in text.split(' ') {
            if word.len() >= min as usize { wanted.push((at, at + word.len())); }
            at += word.len() + 1;
        }
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn vector_kernels_equal_their_twins(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let windows = Windows::plan(&["sk-a", "GHP_", "1234", ".ey-"].map(|w| {
            let w = w.as_bytes();
            (std::array::from_fn(|i| Set::one(w[i] & 0x4f)), u32::from(w[0]))
        }));
        let mut vector = Vec::new();
        windows.search(&text, |at, buckets| { vector.push((at, buckets)); false });
        let scalar: Vec<_> = (0..text.len())
            .map(|at| (at, windows.tables.at(&text, at)))
            .filter(|&(_, b)| b != 0)
            .collect();
        prop_assert_eq!(vector, scalar);
        let low: [u8; 16] = std::array::from_fn(|i| (i * 37) as u8);
        let high: [u8; 16] = std::array::from_fn(|i| (i * 91) as u8);
        let mut masks = Vec::new();
        super::simd::class_masks(&low, &high, &text, &mut masks);
        let twins: Vec<u64> = text.chunks_exact(64).chain([text.chunks_exact(64).remainder()])
            .map(|block| super::simd::class_mask(&low, &high, block))
            .collect();
        prop_assert_eq!(masks, twins);
        let mut digits = Vec::new();
        super::simd::digits(&text, &mut digits);
        for (block, have) in text.chunks(64).zip(digits) {
            let twin = super::simd::digits_of(block);
            prop_assert_eq!((have.run, have.percent), (twin.run, twin.percent));
            prop_assert_eq!(have.bits.map(|b| b & have.run), twin.bits);
        }
    }
}

#[test]
fn every_example_is_found_at_every_offset_of_a_block() {
    let scanner = scanner();
    let mut wrong = Vec::new();
    for secret in secrets() {
        for offset in 0..67 {
            for filling in ["x", " ", "-", "5"] {
                let text = format!("{}{secret}{}", filling.repeat(offset), " tail".repeat(offset % 3));
                let (fast, plain) =
                    (scanner.scan_text(text.as_bytes()), plain::scan_text(&scanner, text.as_bytes()));
                if fast != plain {
                    wrong.push(format!(
                        "{offset} {filling:?} {secret:?}: {:?} / {:?}",
                        fast.matches, plain.matches
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong, first: {}", wrong.len(), wrong[0]);
}

#[test]
fn user_rules_of_every_shape_are_found() {
    let rule = |regex: &str| RuleSpec {
        name: regex.into(),
        regex: regex.into(),
        severity: "low".into(),
        validator: None,
        exempt_domains: Vec::new(),
        warn: false,
        bundle: "".into(),
        bundle_version: "".into(),
    };
    let patterns = [
        "abc",
        "ab",
        "a",
        r"\bzeta\d+\b",
        "foo|bar",
        "x*y",
        "(?:foo|ba[rz]){2}q",
        r"\d+",
        "",
        "é+",
        "[^a]bcd",
        "acme_[a-z]{12}",
        r"(ab){3,}c",
        r"^start",
        r"end$",
        r"a.c.e",
        r"k[0-9]?v=\S{3}",
        r"(?s)a.*z",
        "[[:alpha:]]{4}-[[:digit:]]{4}",
    ];
    let texts = [
        "",
        "a",
        "ab",
        "xabcx",
        "zeta12",
        "xzeta12",
        "zeta12x",
        "bar",
        "y",
        "xxy",
        "foobazq",
        "bazfooq",
        "foobaq",
        "7",
        "é",
        "zbcd",
        "abcd",
        "acme_abcdefghijkl",
        "abababc",
        "ababc",
        "start",
        "xstart",
        "the end",
        "end.",
        "a1c2e",
        "k=v",
        "kv=abc",
        "k1v=abc",
        "a\nz",
        "word-1234",
        "wor-1234",
        "éabcdé",
        "A.B.C",
        "%61bc",
        "YWJj",
    ];
    for pattern in patterns {
        let settings =
            Settings { rules: vec![rule(pattern)], strictness: Strictness::Reference, ..Settings::default() };
        let scanner = Scanner::new(settings).unwrap();
        for text in texts {
            let (fast, plain) =
                (scanner.scan_text(text.as_bytes()), plain::scan_text(&scanner, text.as_bytes()));
            assert_eq!(fast, plain, "{pattern:?} on {text:?}");
        }
    }
}
