//! The answer for all strings at once against the scan of each text.

use std::cell::Cell;

use proptest::prelude::*;

use super::super::{Canary, RuleSpec, Secrets, SeedSettings, Settings, builtin_examples, builtin_rules};
use super::*;
use crate::Strictness;

fn rule(regex: &str) -> RuleSpec {
    RuleSpec { name: "own".into(), regex: regex.to_owned(), validator: None, ..builtin_rules()[0].clone() }
}

fn scanner(strictness: Strictness, own: &[&str]) -> Scanner {
    scanner_with(strictness, own, vec![Canary { name: "decoy".into(), value: "canary7f3a9b2c4d".into() }])
}

pub(in super::super) fn scanner_with(strictness: Strictness, own: &[&str], canaries: Vec<Canary>) -> Scanner {
    let own = own.iter().map(|regex| rule(regex));
    Scanner::new(Settings {
        rules: builtin_rules().iter().cloned().chain(own).collect(),
        strictness,
        seed: Some(SeedSettings { min_words: 12, verify_checksum: false }),
        canaries,
        env_secrets: Secrets::from_env([("CI_DEPLOY_KEY", "zQ7xN2pLw9RtKv4m")], 16),
        ..Settings::default()
    })
    .unwrap()
}

/// Parts that strings are made of: what rules match, its encodings, all of it whole or cut in two; what stands around it.
pub(in super::super) fn part() -> impl Strategy<Value = Vec<u8>> {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let examples: Vec<&'static str> = builtin_examples().iter().map(|e| e.text.as_str()).collect();
    let more = [
        "4111 1111 1111 1111",
        "4111111111111111",
        "078-05-1120",
        "GB82WEST12345698765432",
        "zQ7xN2pLw9RtKv4m",
        "canary7f3a9b2c4d",
        "ACME-123456",
        "password = hunter22",
        "abandon ability able about above absent absorb",
        "abstract absurd abuse access accident",
        "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
    ];
    let examples: Vec<String> = examples.into_iter().chain(more).map(str::to_owned).collect();
    let encoded = (proptest::sample::select(examples), 0u8..12, any::<prop::sample::Index>(), 0u8..3);
    let encoded = encoded.prop_map(|(text, kind, cut, side)| {
        let hex = |sep: &str| text.bytes().map(|b| format!("{b:02x}{sep}")).collect::<String>();
        let text = match kind {
            0 => STANDARD.encode(&text),
            1 => URL_SAFE_NO_PAD.encode(&text),
            2 => hex(""),
            3 => hex(":"),
            4 => data_encoding::BASE32.encode(text.as_bytes()),
            5 => text.bytes().map(|b| format!("%{b:02X}")).collect(),
            6 => text.replace(' ', "+"),
            7 => text
                .chars()
                .map(|c| if c.is_ascii_alphabetic() { char::from_u32(c as u32 + 0xFEE0).unwrap() } else { c })
                .collect(),
            8 => text.chars().flat_map(|c| [c, '.']).collect(),
            9 => hex(" "),
            10 => text.bytes().map(|b| format!("%u{b:04X}")).collect(),
            _ => text,
        };
        let at = cut.index(text.len() + 1);
        match side {
            0 => text.as_bytes()[..at].to_vec(),
            1 => text.as_bytes()[at..].to_vec(),
            _ => text.into_bytes(),
        }
    });
    // A secret at any offset in encoded noise, or beside it.
    let examples = builtin_examples().iter().map(|e| e.text.as_bytes());
    let known = [b"zQ7xN2pLw9RtKv4m".as_slice(), b"canary7f3a9b2c4d"].repeat(8);
    let hidden = (
        proptest::sample::select(examples.chain(known).collect::<Vec<_>>()),
        proptest::collection::vec(any::<u8>(), 0..300),
        proptest::collection::vec(any::<u8>(), 0..300),
        0u8..8,
    );
    let hidden = hidden.prop_map(|(secret, before, after, kind)| {
        let text = match kind {
            0..3 => [&before, &b";"[..], secret, b"\xff", &after].concat(),
            3 => [secret, b"\xff", &after].concat(),
            4 => [&before, &b";"[..], secret].concat(),
            _ => [before, after].concat(),
        };
        match kind {
            0 => URL_SAFE_NO_PAD.encode(text),
            2 => STANDARD.encode(STANDARD.encode(text)),
            5 => format!("{}/{}", STANDARD.encode(text), String::from_utf8_lossy(secret)),
            6 => format!("{}/{}", String::from_utf8_lossy(secret), STANDARD.encode(text)),
            7 => STANDARD.encode(&text).replace(['A', 'e'], "/"),
            _ => STANDARD.encode(&text),
        }
        .into_bytes()
    });
    let filler = proptest::sample::select(vec![
        " ",
        "a",
        "the",
        "and then some ordinary words of prose that go on for a while",
        "7",
        "1234 ",
        "12",
        "-",
        "_",
        ".",
        "/",
        "=",
        "&",
        "?",
        ";",
        "+",
        "%",
        "%41",
        "%2",
        "%25",
        ":",
        ",",
        "\\x",
        "\n",
        "\t",
        "\r\n",
        "\u{200b}",
        "\u{301}",
        "\u{ff21}",
        "\u{4f60}\u{597d}",
        "\u{431}\u{430}",
        "\u{1161}",
        "\u{1112}",
        "\u{212a}",
        "\u{fe6a}41",
        "\u{2800}",
        "\u{fffd}",
        "\u{3000}",
        "K",
        "L",
        "5",
        "QUJD",
        "MZXW6===",
        "deadbeef",
        "token",
        "secret=",
        "ghp_",
        "sk-ant-",
        "eyJ",
        "ab1cd2",
        " x y ",
    ]);
    prop_oneof![2 => encoded, 1 => hidden, 3 => filler.prop_map(|t| t.as_bytes().to_vec()), 1 => Just(vec![b'z'; 90])]
}

fn strings() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let string = proptest::collection::vec(part(), 0..5).prop_map(|parts| parts.concat()).boxed();
    // With much around it, so that it is cut.
    let prose =
        "The words around it are many. They say little, but they are enough to be cut in half and more. "
            .repeat(3);
    let long = (string.clone(), string.clone(), 0u8..4).prop_map(move |(mut a, b, kind)| {
        match kind {
            0 => a.extend_from_slice(prose.as_bytes()),
            1 => a.splice(0..0, prose.bytes()).for_each(drop),
            2 => a.extend_from_slice("你好世界这是一个很长的句子".repeat(20).as_bytes()),
            _ => {
                a.extend_from_slice(prose.as_bytes());
                a.extend_from_slice(&b);
            }
        }
        a
    });
    let all = proptest::collection::vec(prop_oneof![2 => string, 1 => long], 2..6);
    all.prop_map(|mut all| {
        all.sort();
        all
    })
}

pub(in super::super) fn cases() -> u32 {
    std::env::var("JOINED_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(4000)
}

#[test]
fn finding_nothing_means_that_no_scan_finds_anything() {
    let own = [r"\bACME-[0-9]{6}\b", r"[a-z]{3}[0-9]+\b", r"ab1cd2"];
    for (strictness, canaries) in
        [Strictness::Reference, Strictness::Hardened].into_iter().flat_map(|s| [(s, false), (s, true)])
    {
        let s = match canaries {
            true => scanner(strictness, &own[..1]),
            false => scanner_with(strictness, &own[..1], Vec::new()),
        };
        assert!(s.reach.is_some());
        assert!(scanner(strictness, &own[1..2]).reach.is_none(), "its match cannot be made shorter");
        assert_eq!(scanner(strictness, &own[2..]).reach, scanner(strictness, &[]).reach);
        let (quick, clean) = (Cell::new(0), Cell::new(0));
        proptest!(ProptestConfig::with_cases(cases()), |(strings in strings(), apart in proptest::option::of(part()))| {
            let joined = strings.join(&b'\n');
            let apart = apart.as_slice();
            let scanned = strings.iter().chain(apart).chain([&joined]);
            let found = scanned.filter_map(|text| {
                let found = s.scan_text(text);
                (found != TextResult::default()).then(|| (String::from_utf8_lossy(text).into_owned(), found))
            }).next();
            clean.set(clean.get() + u32::from(found.is_none()));
            if s.finds_nothing(&joined, strings.iter().map(Vec::as_slice), apart.iter().map(Vec::as_slice)) {
                quick.set(quick.get() + 1);
                let shown: Vec<_> = strings.iter().map(|t| String::from_utf8_lossy(t)).collect();
                prop_assert!(found.is_none(), "{:?} in {:?}", found, shown);
            }
        });
        let (quick, clean) = (quick.get(), clean.get());
        assert!(quick * 10 > clean * 5, "of {clean} only {quick} were shown clean");
        println!("{strictness:?}: of {clean} clean, {quick} were shown");
    }
}

#[test]
fn a_row_of_hex_groups_is_not_lengthened_by_its_neighbour() {
    let s = scanner_with(Strictness::Hardened, &[], Vec::new());
    let strings: [&[u8]; 2] = [b"1%61%61%61", b":54:4f:4b:45:4e:3d:61:62:63:64:65:66:67:68:c2s"];
    assert_ne!(s.scan_text(strings[1]), TextResult::default());
    assert!(!s.finds_nothing(&strings.join(&b'\n'), strings.into_iter(), std::iter::empty()));
}

#[test]
fn knows_how_far_an_end_reaches() {
    let table: [(&str, Option<usize>); 9] = [
        (r"ghp_[a-z]{36,}", Some(0)),
        (r"\bACME-[0-9]{6}\b", Some(11)),
        (r"[A-Z]+_KEY\b\s*=\s*\S{8,}", Some(0)),
        (r"\bkey\s*=\s*[a-z]{4,}", Some(8)),
        (r"\bkey[a-z]*=", None),
        (r"[a-z]+\b", None),
        (r"^secret [0-9]{4}", None),
        (r"(?:^|[?&;])secret=[0-9]{4,}", Some(12)),
        (r"secret[0-9]{4}$", None),
    ];
    for (regex, want) in table {
        let table = RuleTable::new(vec![rule(regex)]).unwrap();
        assert_eq!(reach(&RuleTable::new(Vec::new()).unwrap(), &table), want, "{regex}");
    }
}

#[test]
fn knows_every_character_that_becomes_a_percent_or_plus_sign() {
    use unicode_normalization::UnicodeNormalization as _;
    for (sign, others) in [('%', PERCENT_SIGNS), ('+', PLUS_SIGNS)] {
        for c in '\u{80}'..=char::MAX {
            let text = c.to_string();
            if text::norm_dlp(text.as_bytes()).contains(sign) {
                assert!(others.contains(&&*text), "{c:?} becomes {sign}");
                assert_eq!(text.nfd().collect::<String>(), text);
            }
        }
    }
}
