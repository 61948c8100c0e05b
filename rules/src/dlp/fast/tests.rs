//! The fast scan against the plain one, and each kernel against its twin.

use proptest::prelude::*;

use super::super::plain::{self, Matcher};
use super::super::{
    Encoding, RuleList, RuleSpec, SEED_PHRASE, Scanner, Secrets, SeedSettings, Settings, TextResult,
};
use super::super::{hardened, merge, seed};
use super::decoded::Stretches;
use super::encoded::{Encoded, Survey, encoded_runs};
use super::overview::Overview;
use super::runs::{self, Class};
use super::shape::Set;
use super::windows::Windows;
use crate::Strictness;
use crate::text::Again;

mod gates;
mod noise;
mod texts;

use texts::{binary, encode, encoded_binary, filler, piece, secrets};

fn scanner() -> Scanner {
    scanner_of(Strictness::Reference)
}

fn scanner_of(strictness: Strictness) -> Scanner {
    let env = [("KEY", "zQ7xN2pLw9RtKv4m"), ("OTHER", "pX3-vB8_kT5+nR1/wY6=qL0.")];
    Scanner::new(Settings {
        rules: merge(true, &[]),
        strictness,
        seed: Some(SeedSettings::default()),
        env_secrets: Secrets::from_env(env, 16),
        ..Settings::default()
    })
    .unwrap()
}

/// What [`encoded_runs`] finds, found by decoding every run and running every rule.
fn runs_one_by_one(s: &Scanner, norm: &[u8]) -> Vec<(String, Encoding)> {
    fn decoded(
        s: &Scanner,
        bytes: &[u8],
        encoded: Encoding,
        depth: u32,
        found: &mut Vec<(String, Encoding)>,
    ) {
        if s.seed_in(&crate::text::lossy(bytes)) {
            found.push((SEED_PHRASE.into(), encoded));
        }
        let norm = crate::text::norm_dlp(bytes);
        for list in [RuleList::Core, RuleList::Main] {
            s.for_each_hit(list, &norm, Matcher::EachRule, |rule, _| {
                found.push((rule.spec().name.to_string(), encoded));
                false
            });
        }
        if depth == 2 {
            return;
        }
        runs(s, bytes, depth + 1, found);
        if std::str::from_utf8(bytes).is_ok_and(|text| text != norm) {
            runs(s, norm.as_bytes(), depth + 1, found);
        }
        if let Some(plain) = crate::decode::hex_delimited(bytes) {
            decoded(s, &plain, Encoding::Hex, depth + 1, found);
        }
        if let Some(plain) = crate::text::unescaped(bytes) {
            decoded(s, &plain, encoded, depth + 1, found);
        }
        let plain = crate::text::percent_decode_lenient(bytes, 3);
        if *plain != *bytes {
            decoded(s, &plain, Encoding::Url, depth + 1, found);
        }
    }
    fn runs(s: &Scanner, text: &[u8], depth: u32, found: &mut Vec<(String, Encoding)>) {
        for piece in text.split(|b| !super::is_run(*b)).filter(|p| p.len() >= 16) {
            run(s, piece, depth, found);
            // Behind a name, and each part.
            let parts: Vec<&[u8]> = piece.split(|b| !b.is_ascii_alphanumeric()).collect();
            if parts.len() == 1 || piece.len() > 512 {
                continue;
            }
            for (i, part) in parts.iter().enumerate().skip(1) {
                let rest = &piece[parts[0].len() + 1..];
                if i == 1 && parts[0].len() <= 32 && rest.len() >= 16 && parts.len() > 2 {
                    run(s, rest, depth, found);
                }
                if part.len() >= 16 {
                    run(s, part, depth, found);
                }
            }
        }
    }
    fn run(s: &Scanner, run: &[u8], depth: u32, found: &mut Vec<(String, Encoding)>) {
        use crate::decode;
        let whole = &run[..run.len() - usize::from(run.len() % 4 == 1)];
        if let Some(bytes) = decode::base64(whole) {
            decoded(s, &bytes.bytes, Encoding::Base64, depth, found);
        }
        let pairs = &run[..run.len() & !1];
        if run.iter().all(u8::is_ascii_hexdigit)
            && let Some(bytes) = decode::hex_plain(pairs)
        {
            decoded(s, &bytes, Encoding::Hex, depth, found);
        }
        let upper = run.to_ascii_uppercase();
        let padding = (8 - upper.len() % 8) % 8;
        let cut = [0, 1, 0, 1, 0, 0, 1, 0][upper.len() % 8];
        let padded = [&upper[..upper.len() - cut], &vec![b'='; (padding + cut) % 8]].concat();
        if !upper.iter().any(|b| matches!(b, b'0' | b'1' | b'8' | b'9' | b'+' | b'/' | b'-' | b'_'))
            && let Some(bytes) = decode::base32(&padded)
        {
            decoded(s, &bytes, Encoding::Base32, depth, found);
        }
    }
    let mut found = Vec::new();
    runs(s, norm, 0, &mut found);
    found
}

/// Each of them once, in the order in which they come first.
fn distinct(all: Vec<(String, Encoding)>) -> Vec<(String, Encoding)> {
    all.into_iter().fold(Vec::new(), |mut distinct, found| {
        if !distinct.contains(&found) {
            distinct.push(found);
        }
        distinct
    })
}

fn runs_at_once(s: &Scanner, norm: &[u8]) -> Vec<(String, Encoding)> {
    let mut all = Vec::new();
    encoded_runs(s, norm, &Survey::new(norm), |found| name_encoded(s, found, &mut all));
    all
}

/// Adds what an encoded run holds by name.
fn name_encoded(s: &Scanner, found: Encoded<'_>, all: &mut Vec<(String, Encoding)>) {
    match found {
        Encoded::Phrase(bytes, encoded) => {
            if s.seed_in(&crate::text::lossy(bytes)) {
                all.push((SEED_PHRASE.into(), encoded));
            }
        }
        Encoded::Rules(norm, encoded) => {
            for list in [RuleList::Core, RuleList::Main] {
                s.for_each_hit(list, norm, Matcher::EachRule, |rule, _| {
                    all.push((rule.spec().name.to_string(), encoded));
                    false
                });
            }
        }
    }
}

/// What hardened strictness adds when nothing is known of the text beforehand.
fn add_ungated(s: &Scanner, text: &[u8], norm: &str, result: &mut TextResult) {
    let mut digits = Survey::new(norm.as_bytes());
    digits.cards = 0..text.len().max(norm.len()).max(1);
    let looked = hardened::Looked {
        digits: &digits,
        views: None,
        again: &Again::new(norm.as_bytes()),
        overview: &Overview::of_nothing(text),
        no_words: false,
        no_secret: false,
        secret_without_dots: true,
        part: None,
        noise: None,
    };
    hardened::add(s, text, norm.as_bytes(), &looked, result);
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
    fn encoded_text_is_found_as_by_the_plain_scan(parts in proptest::collection::vec((filler(), encoded_binary()), 1..4)) {
        thread_local!(static SCANNERS: [Scanner; 2] = [Strictness::Reference, Strictness::Hardened].map(scanner_of));
        let text: Vec<u8> = parts.into_iter().flat_map(|(a, b)| [a, b].concat()).collect();
        SCANNERS.with(|[reference, hard]| {
            let (fast, plain) = (reference.scan_text(&text), plain::scan_text(reference, &text));
            prop_assert_eq!(fast, plain, "{:?}", String::from_utf8_lossy(&text));
            let norm = crate::text::norm_dlp(&text);
            prop_assert_eq!(
                distinct(runs_at_once(hard, norm.as_bytes())),
                distinct(runs_one_by_one(hard, norm.as_bytes())),
                "{:?}", String::from_utf8_lossy(&text)
            );
            let fast = hard.scan_text(&text);
            let mut plain = plain::scan_text(hard, &text);
            add_ungated(hard, &text, &norm, &mut plain);
            prop_assert_eq!(fast, plain, "{:?}", String::from_utf8_lossy(&text));
            Ok(())
        })?;
    }

    #[test]
    fn binary_data_that_cannot_match_does_not(bytes in binary()) {
        thread_local!(static SCANNER: Scanner = scanner_of(Strictness::Hardened));
        SCANNER.with(|s| {
            let possible = Stretches::new().possible(&s.kernel, &bytes);
            let phrase = seed::detect(&crate::text::lossy(&bytes), SeedSettings::default());
            prop_assert!(possible.phrase || !phrase, "{:?}", String::from_utf8_lossy(&bytes));
            prop_assert!(possible.rule || !s.has_hit(&crate::text::norm_dlp(&bytes)), "{:?}", String::from_utf8_lossy(&bytes));
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
        prop_assert!(crate::text::every_way_normalises_alike(&text), "{:?}", text);
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
    fn windows_are_found_wherever_their_tails_may_be(
        text in prop_oneof!["[a-dé]{0,300}", "[a-dé -]{0,300}", "[bB3?_\\x1f\\x7f-]{0,300}"],
        windows in proptest::collection::vec(
            (prop_oneof!["[a-d]{4}", "[bB3?_\\x1f\\x7f-]{4}"], "[a-d.]{4}"), 1..40),
        apart in 0u32..4,
    ) {
        let set = |b: u8| if b == b'.' { Set::ALL } else { Set::one(b) };
        let sets = |s: &str| std::array::from_fn(|i| set(s.as_bytes()[i]));
        let planned: Vec<_> = windows.iter().zip(0..).map(|((w, tail), i)| (sets(w), sets(tail), i)).collect();
        // Of every so many, the first wants no word character before it.
        let at_boundary = |i: u32| apart > 0 && i.is_multiple_of(apart);
        let plan = Windows::plan_apart(&planned, at_boundary);
        let text = text.as_bytes();
        let mut found = Vec::new();
        plan.search(text, |at, buckets| plan.owners(text, at, buckets, |i| { found.push((at, i)); false }));
        for (i, (window, tail)) in windows.iter().enumerate() {
            for at in 0..text.len() {
                let is_there = text[at..].starts_with(window.as_bytes());
                let tail_is = text.iter().skip(at + 4).zip(tail.bytes()).all(|(&b, t)| t == b'.' || t == b);
                let is_found = found.contains(&(at, i as u32));
                let in_word = at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_');
                let may_go = in_word && at_boundary(i as u32);
                prop_assert!(is_found || may_go || !(is_there && tail_is), "{window}{tail} at {at}");
                prop_assert!(is_there || !is_found, "{window}{tail} at {at}");
            }
        }
    }

    #[test]
    fn vector_kernels_equal_their_twins(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let windows = Windows::plan(&["sk-a", "GHP_", "1234", ".ey-"].map(|w| {
            let w = w.as_bytes();
            (std::array::from_fn(|i| Set::one(w[i] & 0x4f)), [Set::ALL; 4], u32::from(w[0]))
        }));
        let mut vector = Vec::new();
        windows.search(&text, |at, buckets| {
            windows.owners(&text, at, buckets, |owner| { vector.push((at, owner)); false })
        });
        let (mut narrow, mut scalar) = (Vec::new(), Vec::new());
        let done = super::simd::narrow_windows(&windows.tables, &text, &mut |at, buckets| {
            narrow.push((at, buckets));
            false
        });
        let twins: Vec<_> = (0..done.unwrap_or(0))
            .map(|at| (at, windows.tables.with_tail(&text, at, windows.tables.at(&text, at))))
            .filter(|&(_, buckets)| buckets != 0)
            .collect();
        prop_assert_eq!(narrow, twins);
        for at in 0..text.len() {
            let buckets = windows.tables.with_tail(&text, at, windows.tables.at(&text, at));
            windows.owners(&text, at, buckets, |owner| { scalar.push((at, owner)); false });
        }
        prop_assert_eq!(vector, scalar);
        let low: [u8; 16] = std::array::from_fn(|i| (i * 37) as u8);
        let high: [u8; 16] = std::array::from_fn(|i| (i * 91) as u8);
        let mut masks = Vec::new();
        super::simd::class_masks(&low, &high, &text, &mut masks);
        let twins: Vec<u64> = text.chunks_exact(64).chain([text.chunks_exact(64).remainder()])
            .map(|block| super::simd::class_mask(&low, &high, block))
            .collect();
        prop_assert_eq!(&masks, &twins);
        super::simd::narrow_class_masks(&low, &high, &text, &mut masks);
        prop_assert_eq!(masks, twins);
        let of_digits: Vec<u8> = text.iter().map(|b| b"AZaz09+/-_ =gGf"[usize::from(b % 15)]).collect();
        for text in [&text, &of_digits] {
            let mut before: &[u8] = &[];
            let twins: Vec<_> = text.chunks_exact(64).chain([text.chunks_exact(64).remainder()])
                .map(|block| {
                    let last = std::mem::replace(&mut before, block);
                    (super::simd::runs_by_one(block), [last, block].map(super::simd::signs_by_one))
                })
                .collect();
            prop_assert_eq!(&super::simd::runs(text, Vec::new()), &twins);
            prop_assert_eq!(super::simd::narrow_runs(text, Vec::new()), twins);
        }
        let removed: [u8; 3] = std::array::from_fn(|i| text.get(7 * i).copied().unwrap_or(0) & 0x7f);
        let (mut joined, mut twin) = (b"before".to_vec(), b"before".to_vec());
        super::simd::without(removed, &text, &mut joined);
        super::simd::without_by_runs(&removed, &text, &mut twin);
        let kept = text.iter().filter(|b| !removed.contains(b));
        prop_assert_eq!(&joined, &b"before".iter().chain(kept).copied().collect::<Vec<_>>());
        prop_assert_eq!(joined, twin);
        let replaced: Vec<u8> = text
            .iter()
            .flat_map(|b| match b {
                0xE0.. => "\u{FFFD}".as_bytes(),
                b => std::slice::from_ref(b),
            })
            .copied()
            .collect();
        for text in [&text, &replaced] {
            let (mut rest, mut twin) = (b"before".to_vec(), b"before".to_vec());
            super::simd::without_replacements(text, &mut rest);
            super::simd::without_replacements_by_runs(text, &mut twin);
            prop_assert_eq!(rest, twin);
            let mut end = 0;
            while text.get(end).is_some_and(u8::is_ascii) || text[end..].starts_with("\u{FFFD}".as_bytes()) {
                end += if text[end].is_ascii() { 1 } else { 3 };
            }
            for lines in [false, true] {
                let kept = |b: &&u8| matches!(b, b' '..=b'~' | 0x80..) || lines && b"\t\n\r".contains(b);
                let by_one: Vec<u8> = text[..end].iter().filter(kept).copied().collect();
                for printable in [super::simd::printable, super::simd::printable_by_words] {
                    let mut out = Vec::new();
                    prop_assert_eq!(printable(text, lines, &mut out), end);
                    prop_assert_eq!(&out, &by_one);
                }
            }
        }
        struct All(Vec<super::simd::Bytes>);
        impl super::simd::Outlined for All {
            fn block(&mut self, block: super::simd::Bytes) {
                self.0.push(block);
            }
        }
        let mut twins: Vec<_> = text.chunks_exact(64).chain([text.chunks_exact(64).remainder()])
            .map(super::simd::bytes_of)
            .collect();
        prop_assert_eq!(&super::simd::outline(&text, All(Vec::new())).0, &twins);
        twins.pop();
        prop_assert_eq!(super::simd::narrow_outline(text.as_chunks::<64>().0, All(Vec::new())).0, twins);
    }

    #[test]
    fn vector_decoders_equal_their_twins(mut text in "[A-Za-z0-9+/_-]{0,300}", hex in "[0-9a-fA-F]{0,300}", other in any::<u8>(), at in 0usize..300) {
        let mut cases = vec![text.clone().into_bytes(), hex.clone().into_bytes()];
        text.push_str(&hex);
        cases.push(text.into_bytes());
        for i in 0..3 {
            let mut broken = cases[i].clone();
            if let Some(b) = broken.get_mut(at) { *b = other; }
            cases.push(broken);
        }
        for text in cases {
            let (mut vector, mut scalar) = (vec![7], vec![7]);
            let digits = super::simd::base64(&text, &mut vector);
            prop_assert_eq!(digits, super::simd::base64_groups(&text, &mut scalar));
            prop_assert_eq!(&vector, &scalar);
            if let Some(decoded) = crate::decode::base64(&text)
                && text.iter().all(|&b| super::is_run(b))
            {
                crate::decode::base64_digits_into(&text, &mut vector);
                prop_assert_eq!(&vector, &decoded.bytes);
            }
            let (mut vector, mut scalar) = (vec![7], vec![7]);
            let digits = super::simd::hex(&text, &mut vector);
            prop_assert_eq!(digits, super::simd::hex_pairs(&text, &mut scalar));
            prop_assert_eq!(&vector, &scalar);
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
fn a_wallet_key_is_found_among_any_number_of_long_runs() {
    const KEY: &str = "KwntMbt59tTsj8xqpqYqRRWufyjGunvhSyeMo3NTYpFYzZbXJ5Hp";
    let scanner = scanner();
    for runs in 1..=20 {
        for place in 0..runs {
            for gap in [1, 40, 200] {
                let mut parts = vec!["a".repeat(120); runs];
                parts[place] = KEY.into();
                let text = parts.join(&" -".repeat(gap));
                let found = scanner.scan_text(text.as_bytes());
                let names: Vec<&str> = found.matches.iter().map(|hit| &*hit.name).collect();
                assert!(names.contains(&"Bitcoin WIF Private Key"), "{place} of {runs}, {gap}: {names:?}");
                assert_eq!(found, plain::scan_text(&scanner, text.as_bytes()));
            }
        }
    }
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

#[test]
fn no_character_becomes_more_ascii_than_the_length_of_stretches_allows() {
    for c in '\u{80}'..=char::MAX {
        let mut utf8 = [0; 4];
        let text = c.encode_utf8(&mut utf8);
        let norm = crate::text::norm_dlp(text.as_bytes());
        let most = norm.split(|c: char| !c.is_ascii()).map(str::len).max().unwrap_or(0);
        assert!(most <= if text.len() == 2 { 2 } else { 4 }, "{c:?} becomes {norm:?}");
    }
}

#[test]
fn characters_that_become_equals_signs_or_more_characters_begin_with_the_bytes_that_are_looked_for() {
    use unicode_normalization::UnicodeNormalization as _;
    let is_looked_for = |c: &char| {
        let mut utf8 = [0; 4];
        let bytes = super::simd::bytes_of(c.encode_utf8(&mut utf8).as_bytes());
        bytes.equals == 1 || bytes.compatible == 1
    };
    for c in '\u{80}'..=char::MAX {
        let norm = crate::text::norm_dlp(c.to_string().as_bytes()).into_owned();
        let ascii = norm.bytes().filter(u8::is_ascii).count();
        if norm.contains('=') || ascii > c.len_utf8() || (ascii > 0 && c.len_utf8() > 2) {
            assert!(is_looked_for(&c), "{c:?} becomes {norm:?}");
            let parts: Vec<char> = std::iter::once(c).nfd().collect();
            let few = !norm.contains('=') && ascii <= parts.iter().map(|c| c.len_utf8()).sum();
            assert!(few || parts.iter().any(is_looked_for), "{c:?} is composed of {parts:?}");
        }
    }
}

#[test]
fn a_secret_is_found_at_every_offset_in_encoded_noise() {
    let scanner = scanner_of(Strictness::Hardened);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = |len: usize| -> Vec<u8> {
        let mut byte = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..len).map(|_| byte()).collect()
    };
    for secret in ["AKIAIOSFODNN7EXAMPLE", "token=hunter2!", "078-05-1120", "xapp-1-A-1-a"] {
        for offset in 0..200 {
            // A digit or letter beside it could hide it.
            let bytes = [
                &noise(offset),
                "\u{2028}\u{FFFD};".as_bytes(),
                secret.as_bytes(),
                b";\xff",
                &noise(offset % 67),
            ]
            .concat();
            for how in [1, 2, 3, 4, 7] {
                let text = format!("x \"{}\"", String::from_utf8(encode(&bytes, how)).unwrap());
                let found = runs_at_once(&scanner, text.as_bytes());
                assert_eq!(found, runs_one_by_one(&scanner, text.as_bytes()), "{secret} {offset} {how}");
                // Decoding is from the start of the run.
                assert!(!found.is_empty(), "{secret} {offset} {how} {text}");
            }
        }
    }
}

#[test]
fn only_assignments_match_with_few_ascii_characters() {
    let kernel = scanner().kernel;
    assert_eq!((kernel.stretch(), kernel.stretch_without_equals()), (6, 11));
}

#[test]
fn groups_of_hex_digits_are_seen_wherever_they_stand() {
    let bytes = b"AKIAIOSFODNN7EXAMPLE";
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // A group may begin with a byte of something else.
    let texts = [hex.clone(), format!("00{hex}"), format!("001122{hex}00")];
    for (text, group) in texts.iter().flat_map(|text| [2, 4, 8, 16].map(|group| (text, group))) {
        for (before, between) in
            ["", "0x"].into_iter().flat_map(|b| [":", "-", "_", ", ", "\",\"", "\", \""].map(|c| (b, c)))
        {
            let groups: Vec<String> = text
                .as_bytes()
                .chunks(group)
                .map(|digits| format!("{before}{}", String::from_utf8_lossy(digits)))
                .collect();
            let row = groups.join(between);
            for offset in 0..64 {
                let text = format!("{}{row} and what follows", " ".repeat(offset));
                let mut found = false;
                Survey::new(text.as_bytes()).each_row_of_hex(|row| {
                    found |= memchr::memmem::find(row, bytes).is_some();
                });
                assert!(found, "{text}");
            }
        }
    }
}
