//! The specification's examples and the rule files' own.

mod hardened;
mod notation;

use super::*;
use crate::text::norm_dlp;
use notation::expand;

fn user(name: &str, regex: &str) -> RuleSpec {
    RuleSpec {
        name: name.into(),
        regex: regex.into(),
        severity: "low".into(),
        validator: None,
        exempt_domains: Vec::new(),
        warn: false,
        bundle: "".into(),
        bundle_version: "".into(),
    }
}

fn warning(rule: RuleSpec) -> RuleSpec {
    RuleSpec { warn: true, ..rule }
}

fn configuration(name: &str, argument: &str) -> Settings {
    let defaults = Settings { seed: Some(SeedSettings::default()), ..Settings::default() };
    let c = || Settings { strictness: Strictness::Reference, ..defaults.clone() };
    let d = |own: &[RuleSpec]| Settings { rules: merge(true, own), ..c() };
    let rules = |own: Vec<RuleSpec>| Settings { rules: own, ..c() };
    let secret = || Secrets::from_env([("SECRET", expand(argument))], 16);
    let anthropic = "sk-ant-[A-Za-z0-9_-]{10,}";
    let zzz = || user("U", "zzz_[0-9]{4}");
    let aba = || rules(vec![RuleSpec { validator: Some(Validator::Aba), ..user("ABA", r"\b[0-9]{9}\b") }]);
    match name {
        "C" => c(),
        "D" => d(&[]),
        "HA" => Settings { seed: Some(SeedSettings { min_words: 15, verify_checksum: true }), ..c() },
        "HB" => Settings { seed: Some(SeedSettings { min_words: 12, verify_checksum: false }), ..c() },
        "Ie" => Settings { env_secrets: secret(), ..c() },
        "If" => {
            let (file_secrets, _) = Secrets::from_file(&expand(argument), 16, &Secrets::default()).unwrap();
            Settings { file_secrets, ..c() }
        }
        "J" => {
            let token = Canary { name: "c1".into(), value: "CANARY-Token_42.xyz".into() };
            Settings { canaries: vec![token], ..c() }
        }
        "K" | "Kh" => {
            let strictness = if name == "K" { Strictness::Reference } else { Strictness::Hardened };
            let pattern = String::from_utf8(expand(argument)).unwrap();
            Settings { strictness, ..rules(vec![user("U", &pattern)]) }
        }
        "L1" | "L2" | "L3" | "L4" | "L5" | "L6" => d(&[warning(user("W", "warnme-[a-z]{4}"))]),
        "L7" => {
            let aws = builtin_rules().iter().find(|r| &*r.name == "AWS Access ID").unwrap();
            d(&[warning(user("AWS Access ID", &aws.regex))])
        }
        "L8" => d(&[warning(user("Anthropic API Key", anthropic))]),
        "L9" => d(&[user("Anthropic API Key", "zzz")]),
        "L10" => rules(vec![warning(zzz()), zzz()]),
        "L11" => rules(vec![zzz(), warning(zzz())]),
        "L12" | "L13" => aba(),
        other => panic!("unknown configuration {other}"),
    }
}

fn written(list: &[Match]) -> String {
    let one = |m: &Match| match m.encoded {
        Encoding::Plain => format!("`{}`", m.name),
        e => format!("`{}` [{}]", m.name, e.as_str()),
    };
    list.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn result_in_notation(result: &TextResult) -> String {
    let mut out = if result.clean() { "clean".to_owned() } else { written(&result.matches) };
    if !result.informational.is_empty() {
        out += &format!(" (info: {})", written(&result.informational));
    }
    out
}

struct Row {
    id: &'static str,
    configuration: &'static str,
    text: &'static str,
    argument: &'static str,
    wanted: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    include_str!("../../testdata/dlp-examples.tsv").lines().filter(|l| !l.starts_with('#')).map(|line| {
        let f: Vec<&str> = line.split('\t').collect();
        Row { id: f[0], configuration: f[1], text: f[2], argument: f[3], wanted: f[4] }
    })
}

#[test]
fn every_example_of_the_specification_gives_its_result() {
    let mut wrong = Vec::new();
    let mut scanners = std::collections::HashMap::new();
    for row in rows().filter(|r| !matches!(r.configuration, "gate" | "norm" | "norm2")) {
        let scanner = scanners
            .entry((row.configuration, row.argument))
            .or_insert_with(|| Scanner::new(configuration(row.configuration, row.argument)).unwrap());
        let text = expand(row.text);
        for (how, result) in [("fast", scanner.scan_text(&text)), ("plain", plain::scan_text(scanner, &text))]
        {
            let got = result_in_notation(&result);
            // The column about hardened strictness only says whether the rule matches.
            let same = match row.configuration {
                "Kh" if how == "plain" => true,
                // D-110 is not what that column is about.
                "Kh" => {
                    result.matches.iter().any(|m| m.difference != Some("D-110")) == (row.wanted != "clean")
                }
                _ => got == row.wanted,
            };
            if !same {
                wrong.push(format!("{} {how}: {:?} wanted {} got {got}", row.id, row.text, row.wanted));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_built_in_rule_is_found_in_each_encoding() {
    let scanner = Scanner::new(configuration("D", "")).unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for row in rows().filter(|r| r.id.starts_with('A') && r.id.ends_with('a')) {
        for (code, label) in [
            ("B64", "base64"),
            ("B64UN", "base64"),
            ("HEX", "hex"),
            ("HEXC", "hex"),
            ("B32", "base32"),
            ("PCT", "url"),
        ] {
            let text = expand(&format!("«{code}:{}»", row.text));
            let got = result_in_notation(&scanner.scan_text(&text));
            if got != format!("{} [{label}]", row.wanted) {
                wrong.push(format!("{} {code}: got {got}", row.id));
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 288);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_rule_matches_its_own_examples_and_not_its_counterexamples() {
    assert_eq!((builtin_rules().len(), core_rules().len()), (48, 8));
    for (specs, examples) in [(builtin_rules(), builtin_examples()), (core_rules(), core_examples())] {
        let table = RuleTable::new(specs.to_vec()).unwrap();
        for rule in &table.rules {
            let own: Vec<_> = examples.iter().filter(|e| *e.rule == *rule.spec().name).collect();
            assert!(own.iter().any(|e| e.matches), "{} has no must_match example", rule.spec().name);
            assert!(own.iter().any(|e| !e.matches), "{} has no must_not_match example", rule.spec().name);
            for example in own {
                let norm = norm_dlp(example.text.as_bytes());
                assert_eq!(rule.matches(&norm), example.matches, "{}: {:?}", example.rule, example.text);
            }
        }
    }
}

#[test]
fn gates_are_derived_as_the_reference_derives_them() {
    for row in rows().filter(|r| r.configuration == "gate") {
        let pattern = String::from_utf8(expand(row.text)).unwrap();
        assert_eq!(compiled::gate(&pattern).into_bytes(), expand(row.wanted), "{pattern}");
    }
}

#[test]
fn normalisation_follows_the_table() {
    for row in rows().filter(|r| r.configuration.starts_with("norm")) {
        let once = norm_dlp(&expand(row.text)).into_owned();
        let got = if row.configuration == "norm2" { norm_dlp(once.as_bytes()).into_owned() } else { once };
        assert_eq!(got.as_bytes(), expand(row.wanted), "{} {}", row.id, row.text);
    }
}

#[test]
fn user_rules_replace_built_in_rules_of_exactly_their_name() {
    let names = |rules: &[RuleSpec]| rules.iter().map(|r| r.name.to_string()).collect::<Vec<_>>();
    let merged = names(&merge(true, &[user("JWT Token", "x")]));
    assert_eq!((merged.len(), merged.last().map(String::as_str)), (48, Some("JWT Token")));
    assert_eq!(merge(true, &[user("jwt token", "x")]).len(), 49);
    assert_eq!(names(&merge(false, &[user("a", "x"), user("a", "y")])), ["a", "a"]);
    assert_eq!(merge(true, &[]).len(), 48);
}

#[test]
fn secrets_are_collected_by_length_entropy_and_name() {
    let env = [
        ("TOKEN_A", "zQ7xN2pLw9RtKv4m"),
        ("PATH", "zQ7xN2pLw9RtKv4m"),
        ("path", "zQ7xN2pLw9RtKv4m"),
        ("XDG_SECRET", "zQ7xN2pLw9RtKv4m"),
        ("SHORT", "zQ7xN2pLw9RtKv4"),
        ("EVEN", "aaaabbbbccccdddd"),
    ];
    assert_eq!(Secrets::from_env(env, 16).len(), 1);
    let file = "\u{feff}# comment\n\n  zQ7xN2pLw9RtKv4m\r\nshort\nnew-secret-value-1\nnew-secret-value-1\nnul\0nul-nul-nul-nul-nul\n";
    let (found, warnings) = Secrets::from_file(file.as_bytes(), 16, &Secrets::from_env(env, 16)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(warnings, [FileWarning::TooShort { line: 4, len: 5, min: 16 }, FileWarning::NullByte(7)]);
    let long = [b'x'; 12288];
    assert_eq!(
        Secrets::from_file(&long, 16, &Secrets::default()).err(),
        Some(FileSecretsError::LineTooLong(1))
    );
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let secrets = Secrets::from_env([("A", "zQ7xN2pLw9RtKv4m")], 16);
    let canary = Canary { name: "n".into(), value: "zQ7xN2pLw9RtKv4m".into() };
    let settings = Settings { env_secrets: secrets, canaries: vec![canary], ..Settings::default() };
    let scanner = Scanner::new(settings.clone()).unwrap();
    assert!(!format!("{settings:?} {scanner:?}").contains("zQ7xN2"));
}

#[test]
fn a_secret_in_neighbouring_pieces_is_found_whatever_is_beside_it() {
    let d = Scanner::new(Settings { rules: merge(true, &[]), ..Settings::default() }).expect("rules");
    let encoded = String::from_utf8(expand("«B64:AKIAIOSFODNN7EXAMPLE»")).expect("ASCII");
    let (a, b) = encoded.split_at(12);
    let decoy = ["zghp_777777", "KKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKK"];
    let found = |pieces: &[&str]| {
        let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        d.scan_pieces(&pieces).map(|found| found.name.to_string())
    };
    let key = Some("AWS Access ID".to_owned());
    assert_eq!(found(&[a, b]), key);
    assert_eq!(found(&["z", a, b]), key);
    assert_eq!(found(&["yes", "no", a, b, "perhaps"]), key);
    assert_eq!(found(&["AKIAIOSFOD", "NN7EXAMPLE", decoy[0], decoy[1]]), key);
    assert_eq!(found(&["AKI", "AIOSFODNN7EXAMPLE"]), None);
    assert_eq!(found(&["yes", "no", "AKIAIOSFOD", "NN7"]), None);
    assert_eq!(found(&["AKIAIOSFODNN7EXAMPLE"]), None);
    assert_eq!(found(&["asia", "0b2f5c1e8d1c4a57"]), None);
    assert_eq!(found(&["asia", "japan", "tokyo", "125700000"]), None);
    // An encoded key that begins like a word and goes on beyond what looks like a key by chance.
    let encoded = String::from_utf8(expand("asia«B64:AKIAIOSFODNN7EXAMPLE»")).expect("ASCII");
    let (word, next, last) = (&encoded[..6], &encoded[6..22], &encoded[22..]);
    assert_eq!(found(&[word, next, last]), key);
    assert_eq!(found(&[word, next]), None);
    assert_eq!(found(&[next, last]), None);
}

/// D-102: as encoders wrap their lines, behind a line of words or indented.
#[test]
fn a_credential_across_lines_of_encoded_text_is_found() {
    use base64::Engine as _;
    let settings = |strictness| Settings { strictness, ..configuration("D", "") };
    let [reference, hardened] =
        [Strictness::Reference, Strictness::Hardened].map(|s| Scanner::new(settings(s)).expect("rules"));
    let secret = expand("sk-ant-«a*10»");
    for before in 0..120 {
        let text =
            [&b"0123456789 ".repeat(12)[..before], b" ", &secret, b" and so on, and on, and on"].concat();
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        let wrap = |indent: &str| {
            let lines: Vec<_> =
                encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
            lines.join(&format!("\n{indent}"))
        };
        for text in [
            format!("some words\n{}\nand more", wrap("")),
            format!("x\n\n{}\n", wrap("")),
            format!("data: |\n  {}\n", wrap("  ")),
            format!("key: {}\r\n", wrap("").replace('\n', "\r\n")),
        ] {
            let found = |s: &Scanner| {
                s.scan_text(text.as_bytes()).matches.iter().any(|m| m.name.contains("Anthropic"))
            };
            assert!(found(&hardened), "{text}");
            if found(&reference) {
                assert!(!text.starts_with("some words"), "{text}");
            }
        }
    }
}

/// D-113: decodings that lead to each other, each of the last one in two ways.
#[test]
fn what_decodes_to_more_and_more_is_refused_at_once() {
    let scanner =
        Scanner::new(Settings { strictness: Strictness::Hardened, ..configuration("D", "") }).expect("rules");
    for depth in [30, 300, 3000] {
        let references =
            format!("note \\u0025{}5cu0041 &#38;{}#65; end", "5cu0025".repeat(depth), "#38;".repeat(depth));
        let escapes =
            format!("\\u0025{}5cu0041 %u0025{}u0041", "5cu0025".repeat(depth), "(u0025)".repeat(depth));
        let escapes = escapes.replace(['(', ')'], "");
        for text in [references, escapes] {
            let found = scanner.scan_text(text.as_bytes()).matches;
            assert!(found.iter().any(|m| &*m.name == "Expanding Characters"), "{depth}: {found:?}");
        }
    }
    // Strings within strings, and what people write.
    for text in [
        r#"{"a":"{\"b\":\"{\\\"c\\\":\\\"\\\\u0041\\\"}\"}"}"#,
        "100%25 of &amp;#65; \\u0041 %u0041",
        "a\\nb",
    ] {
        assert_eq!(scanner.scan_text(text.as_bytes()).matches.len(), 0, "{text}");
    }
}

/// D-102: as PowerShell takes commands.
#[test]
fn a_seed_phrase_in_encoded_utf_16_is_found() {
    use base64::Engine as _;
    let settings = Settings { strictness: Strictness::Hardened, ..configuration("C", "") };
    let scanner = Scanner::new(settings).expect("rules");
    let phrase = expand("«SEED12»");
    let little: Vec<u8> = phrase.iter().flat_map(|&byte| [byte, 0]).collect();
    let big: Vec<u8> = phrase.iter().flat_map(|&byte| [0, byte]).collect();
    for written in [little, big] {
        let text = format!("run \"{}\"", base64::engine::general_purpose::STANDARD.encode(written));
        let found = scanner.scan_text(text.as_bytes()).matches;
        assert_eq!(found.iter().map(|m| &*m.name).collect::<Vec<_>>(), ["BIP-39 Seed Phrase"]);
    }
}

#[test]
fn a_seed_phrase_in_neighbouring_pieces_is_found() {
    let settings = Settings { seed: Some(SeedSettings::default()), ..configuration("D", "") };
    let d = Scanner::new(Settings { strictness: Strictness::Hardened, ..settings }).expect("rules");
    let phrase = String::from_utf8(expand("«SEED12»")).expect("ASCII");
    let words: Vec<&[u8]> = phrase.split(' ').map(str::as_bytes).collect();
    let with = |before: &[&'static [u8]], words: &[&[u8]], after: &[&'static [u8]]| {
        let pieces = [before, words, after].concat();
        d.phrase_in_pieces(&pieces).map(|found| found.name.to_string())
    };
    let found = Some("BIP-39 Seed Phrase".to_owned());
    assert_eq!(with(&[], &words, &[]), found);
    assert_eq!(with(&[b"m/44", b"english"], &words, &[b"words", b"12"]), found);
    assert_eq!(with(&[], &words[1..], &[]), None);
    assert_eq!(with(&[], &[&words[..6], &[b"7"], &words[6..]].concat(), &[]), None);
    let mut turned = words.clone();
    turned.swap(0, 11);
    assert_eq!(with(&[], &turned, &[]), None);
}

#[test]
fn secret_in_pieces_is_found_when_the_pieces_are_joined() {
    use crossreq::{Fragments, scan_fragments};
    use std::time::Duration;
    let scanner = Scanner::new(configuration("D", "")).unwrap();
    let cases: [(&[&str], &[&[&str]]); 8] = [
        (&["AKIA", "«A*16»"], &[&[], &["AWS Access ID"]]),
        (&["AKIA", "«A*8»", "«A*8»"], &[&[], &[], &["AWS Access ID"]]),
        (&["AKIA«A*16»", "x"], &[&[], &[]]),
        (&["AKIA«A*16»", "AKIA", "«A*16»"], &[&[], &[], &[]]),
        (&["sk-ant-", "«a*10»", "more"], &[&[], &["Anthropic API Key"], &["Anthropic API Key"]]),
        (&["{\"a\":\"AKIA\"}", "{\"a\":\"«A*16»\"}"], &[&[], &[]]),
        (&["k=4111", "«1*12»"], &[&[], &["Credit Card Number"]]),
        (&["«abandon *6»", "«abandon *5»about"], &[&[], &["BIP-39 Seed Phrase"]]),
    ];
    for (pieces, wanted) in cases {
        let mut buffer = Fragments::new(65536, Duration::from_secs(300));
        for (i, (piece, wanted)) in pieces.iter().zip(wanted).enumerate() {
            let now = Duration::from_secs(i as u64);
            buffer.append("c", &expand(piece), now);
            let found = scan_fragments(&scanner, &buffer.live("c", now), &mut Vec::new());
            let names: Vec<&str> = found.iter().map(|m| &*m.name).collect();
            assert_eq!(names, *wanted, "{pieces:?} after {i}");
        }
    }
}

#[test]
fn fragments_leave_by_age_and_by_size() {
    use crossreq::Fragments;
    use std::time::Duration;
    let at = Duration::from_secs;
    let mut buffer = Fragments::new(10, at(5));
    buffer.append("c", b"aaaa", at(0));
    buffer.append("c", b"bbbb", at(1));
    assert_eq!(buffer.live("c", at(5)).len(), 2, "an age of exactly the window counts");
    assert!(buffer.live("c", at(6)).is_empty());
    buffer.append("c", b"cccc", at(1));
    assert_eq!(buffer.bytes(), 8, "the oldest fragment makes room");
    buffer.append("c", b"0123456789abc", at(2));
    assert_eq!(buffer.bytes(), 10, "a fragment is cut to the cap");
    buffer.clean_up(at(60));
    assert_eq!(buffer.bytes(), 0);
}

#[test]
fn entropy_budget_is_used_up_at_exactly_its_value() {
    use crossreq::Entropy;
    use std::time::Duration;
    let at = Duration::from_secs;
    let mut tracker = Entropy::new(4096.0, at(300));
    tracker.record("c", &[b'a'; 1000], at(0));
    assert_eq!(tracker.used("c", at(0)), 0.0);
    tracker.record("c", "abcd".repeat(512).as_bytes(), at(1));
    assert!(tracker.exceeded("c", at(1)));
    assert!(!tracker.exceeded("c", at(301)), "an age of exactly the window no longer counts");
}

#[test]
fn a_fragment_is_scanned_alone_once_and_its_rules_stay_excluded() {
    use crossreq::{Fragments, scan_fragments};
    use std::time::Duration;
    let scanner = Scanner::new(configuration("D", "")).unwrap();
    let mut buffer = Fragments::new(65536, Duration::from_secs(300));
    let now = Duration::ZERO;
    for piece in ["AKIA«A*16» ", "sk-ant-", "«a*10»", "more"] {
        buffer.append("c", &expand(piece), now);
    }
    for round in 0..3 {
        let found = scan_fragments(&scanner, &buffer.live("c", now), &mut Vec::new());
        let names: Vec<&str> = found.iter().map(|m| &*m.name).collect();
        assert_eq!(names, ["Anthropic API Key"], "round {round}");
    }
    assert!(buffer.forget("c") && !buffer.forget("c"));
    assert_eq!(buffer.bytes(), 0);
}
