//! One bypass for each difference: clean in reference strictness, found with the id in hardened strictness.

use super::{configuration, expand, user, warning};
use crate::Strictness;
use crate::dlp::{Canary, Scanner, Secrets, SeedSettings, Settings, builtin_rules, merge};

fn scan(settings: &Settings, strictness: Strictness, text: &str) -> Vec<(String, Option<&'static str>)> {
    let scanner = Scanner::new(Settings { strictness, ..settings.clone() }).unwrap();
    let result = scanner.scan_text(&expand(text));
    result.matches.iter().map(|m| (m.name.to_string(), m.difference)).collect()
}

#[test]
fn each_difference_finds_what_it_is_for() {
    let d = || configuration("D", "");
    let c = || configuration("C", "");
    let rule = |regex: &str| Settings { rules: vec![user("U", regex)], ..d() };
    let zzz = || user("U", "zzz_[0-9]{4}");
    let warned = || Settings { rules: merge(true, &[warning(user("W", "warnme-[a-z]{4}"))]), ..d() };
    let env = |value: &str| Settings { env_secrets: Secrets::from_env([("S", expand(value))], 16), ..d() };
    let known = || env("zQ7xN2pLw9RtKv4mYcB");
    let canary = || {
        let token = Canary { name: "c1".into(), value: "CANARY-Token_42.xyz".into() };
        Settings { canaries: vec![token], ..d() }
    };
    let cases: Vec<(&str, Settings, &str, &str)> = vec![
        ("D-100", rule("foo_[0-9]{4}|bar_[0-9]{4}"), "bar_1234", "U"),
        ("D-101", warned(), "«B64:warnme-abcd» «B64:sk-ant-«a*10»»", "Anthropic API Key"),
        ("D-101", Settings { rules: vec![warning(zzz()), zzz()], ..d() }, "zzz_1234", "U"),
        ("D-102", d(), "{\"k\":\"«B64:sk-ant-«a*10»»\"}", "Anthropic API Key"),
        ("D-102", d(), "data:«B64:sk-ant-«a*10»»", "Anthropic API Key"),
        ("D-102", d(), "\"«HEX:sk-ant-«a*10»»\"", "Anthropic API Key"),
        ("D-102", d(), "«B32L:sk-ant-«a*10»»", "Anthropic API Key"),
        ("D-102", d(), "«B32N:sk-ant-«a*10»»", "Anthropic API Key"),
        ("D-102", c(), "x «B64:AKIA«A*16»»", "AWS Access ID"),
        ("D-102", d(), "see«n»«B64:sk-ant-«a*10»»«n»end", "Anthropic API Key"),
        ("D-102", c(), "\"«B64:«SEED12»»\"", "BIP-39 Seed Phrase"),
        ("D-102", d(), "\"«B64:«B64:sk-ant-«a*10»»»\"", "Anthropic API Key"),
        ("D-102", d(), "\"«B64:«B64:sk-ant-«a*10»»«n»»\"", "Anthropic API Key"),
        ("D-102", d(), "\"«B64:{\"k\":\"«HEX:sk-ant-«a*10»»\"}»\"", "Anthropic API Key"),
        ("D-102", d(), "\"«HEX:sk%2Dant%2D«a*10»»\"", "Anthropic API Key"),
        ("D-102", d(), "\"«B64:«HEX:sk-ant-«a*5»»«U+200B»«HEX:«a*5»»»\"", "Anthropic API Key"),
        ("D-102", d(), "<a>«PCT:«HEX:sk-ant-«a*10»»»</a>", "Anthropic API Key"),
        ("D-102", d(), "see x-«HEX:sk-ant-«a*10»» there", "Anthropic API Key"),
        ("D-102", d(), "a-b-«HEX:sk-ant-«a*10»»-c", "Anthropic API Key"),
        ("D-102", d(), "{\"k\":\"id_«B64:sk-ant-«a*10»»\"}", "Anthropic API Key"),
        ("D-102", d(), "\"«B64:user:\\u0073k-ant-«a*10»»\"", "Anthropic API Key"),
        ("D-102", c(), "\"«B64:{\"k\": \"«SEED12»\"}»\"", "BIP-39 Seed Phrase"),
        ("D-102", d(), "key«U+00A0»«B64:sk-ant-«a*10»»", "Anthropic API Key"),
        ("D-102", d(), "key«U+3000»«HEX:sk-ant-«a*10»»«x0B»«x0B»end", "Anthropic API Key"),
        ("D-102", d(), "«x0A»8«B64:sk-ant-«a*10»»«x12»", "Anthropic API Key"),
        ("D-102", d(), "k=\"0x«HEX:sk-ant-«a*10»»\"", "Anthropic API Key"),
        ("D-102", d(), "k=\"0X«HEX:sk-ant-«a*10»»\"", "Anthropic API Key"),
        ("D-102", known(), "«B64:THINGS=zQ7xN2pLw9RtKv4mYcB«n»»", "Environment Variable Leak"),
        ("D-102", known(), "«B64:«B64:x=zQ7xN2pLw9RtKv4mYcB»»", "Environment Variable Leak"),
        ("D-102", known(), "«B32L:x=zQ7xN2pLw9RtKv4mYcB;»", "Environment Variable Leak"),
        ("D-102", known(), "\"«B64:«xff»«xfe»;zQ7xN2pLw9RtKv4mYcB«xff»»\"", "Environment Variable Leak"),
        ("D-102", canary(), "\"«B64:x: canary-token_42.XYZ!»\"", "Canary Token (c1)"),
        ("D-103", d(), "-----BEGIN«t»PRIVATE KEY-----", "Private Key Header"),
        ("D-103", d(), "ssn 000-00-0000«n»next", "Social Security Number"),
        ("D-104", d(), "v«U+0451»rcel_«a*24»", "Vercel Token"),
        ("D-104", d(), "sk-ant-«U+061C»«a*10»", "Anthropic API Key"),
        ("D-104", d(), "sk-ant-«x80»«a*10»", "Anthropic API Key"),
        (
            "D-112",
            d(),
            "«U+E0073»«U+E006B»-ant-«U+E0061»«U+E0061»«U+E0061»«U+E0061»«U+E0061»«U+E0061»«U+E0061»«U+E0061»«U+E0061»«U+E0061»",
            "Anthropic API Key",
        ),
        ("D-113", d(), r"{\u0022k\u0022: \u0022sk-\x61nt-«a*10»\u0022}", "Anthropic API Key"),
        ("D-113", d(), r#""{\"k\":\"{\\\"k\\\":\\\"\\\\u0073k-ant-«a*10»\\\"}\"}""#, "Anthropic API Key"),
        ("D-113", d(), r#"k = "\163\153\055ant-«a*10»""#, "Anthropic API Key"),
        ("D-113", d(), "k=%u0073%u006B-ant-«a*10»", "Anthropic API Key"),
        ("D-113", d(), "k=%5Cu0073k-ant-«a*10»", "Anthropic API Key"),
        ("D-113", d(), "k=%25u0073k-ant-«a*10»", "Anthropic API Key"),
        ("D-113", d(), r#"{\"content\":\"key:\n«B64:sk-ant-«a*10»»\n\"}"#, "Anthropic API Key"),
        ("D-113", d(), r#"{\\\"ssn\\\":\\\"see:\\n000-00-0000\\\"}"#, "Social Security Number"),
        ("D-113", d(), r"k=\u0026#115;k-ant-«a*10»", "Anthropic API Key"),
        ("D-113", d(), r"words:«\nabandon*11»\nabout", "BIP-39 Seed Phrase"),
        ("D-114", d(), "key«n»73 6b 2d 61 6e 74 2d 61 61 61 61 61 61 61 61 61 61«n»end", "Anthropic API Key"),
        ("D-114", d(), "<a>73 6b 2d 61 6e 74 2d 61 61 61 61 61 61 61 61 61 61</a>", "Anthropic API Key"),
        ("D-114", d(), "k=73:6B:2D:61:6E:74:2D:61:61:61:61:61:61:61:61:61:61;", "Anthropic API Key"),
        ("D-114", d(), "x 736b 2d61 6e74 2d61 6161 6161 6161 6161 61", "Anthropic API Key"),
        ("D-114", d(), "x 736b2d61 6e742d61 61616161 61616161 61", "Anthropic API Key"),
        (
            "D-114",
            d(),
            "[\"73\", \"6b\", \"2d\", \"61\", \"6e\", \"74\", \"2d\", \"61\", \"61\", \"61\", \"61\", \"61\", \"61\", \"61\", \"61\", \"61\", \"61\"]",
            "Anthropic API Key",
        ),
        (
            "D-114",
            d(),
            "x 0x30, 0x30, 0x30, 0x2d, 0x30, 0x30, 0x2d, 0x30, 0x30, 0x30, 0x30, 0x3b 0x20",
            "Social Security Number",
        ),
        (
            "D-114",
            d(),
            "00000000: 7878 7878 7878 7878 736b 2d61 6e74 2d61  xxxxxxxxsk-ant-a«n»00000010: 6161 6161 6161 6161 610a                 aaaaaaaaa.«n»",
            "Anthropic API Key",
        ),
        (
            "D-114",
            d(),
            "0  1«n»00000000  73 6b 2d 61 6e 74 2d 61  |sk-ant-a|«n»00000008  61 61 61 61 61 61 61 61  61 0a  |aaaaaaaaa.|«n»",
            "Anthropic API Key",
        ),
        (
            "D-114",
            known(),
            "x 7a51 3778 4e32 704c 7739 5274 4b76 346d 5963 4221",
            "Environment Variable Leak",
        ),
        (
            "D-115",
            d(),
            "bytes([115, 107, 45, 97, 110, 116, 45, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97])",
            "Anthropic API Key",
        ),
        (
            "D-115",
            d(),
            "{\"k\": {\"0\": 115, \"1\": 107, \"2\": 45, \"3\": 97, \"4\": 110, \"5\": 116, \"6\": 45, \"7\": 97, \"8\": 97, \"9\": 97, \"10\": 97, \"11\": 97, \"12\": 97, \"13\": 97, \"14\": 97, \"15\": 97, \"16\": 97}}",
            "Anthropic API Key",
        ),
        (
            "D-115",
            d(),
            "codes«n»115, 107, 45, 97, 110, 116, 45, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97",
            "Anthropic API Key",
        ),
        (
            "D-115",
            d(),
            "total 12«n»115, 107, 45, 97, 110, 116, 45, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97«n»3 apples",
            "Anthropic API Key",
        ),
        (
            "D-115",
            d(),
            "115«n»107«n»45«n»97«n»110«n»116«n»45«n»97«n»97«n»97«n»97«n»97«n»97«n»97«n»97«n»97«n»97",
            "Anthropic API Key",
        ),
        (
            "D-115",
            d(),
            "115«x09»107«x09»45«x09»97«x09»110«x09»116«x09»45«x09»97«x09»97«x09»97«x09»97«x09»97«x09»97«x09»97«x09»97«x09»97«x09»97",
            "Anthropic API Key",
        ),
        (
            "D-115",
            d(),
            "k=115, 107, 45, 97, 110, 116, 45, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97",
            "Anthropic API Key",
        ),
        (
            "D-115",
            d(),
            "a/115, 107, 45, 97, 110, 116, 45, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97;",
            "Anthropic API Key",
        ),
        ("D-105", d(), "sk%2Dant%2D«a*10»%", "Anthropic API Key"),
        ("D-106", d(), "4111111111111111 123", "Credit Card Number"),
        ("D-106", d(), "4111111111111111 12/27 123", "Credit Card Number"),
        ("D-106", d(), "card 4111-1111-1111-1111 03/2027", "Credit Card Number"),
        ("D-106", d(), "wallet«WIF»", "Bitcoin WIF Private Key"),
        ("D-106", d(), "5«WIF»", "Bitcoin WIF Private Key"),
        (
            "D-107",
            env("p«U+00E4»sswort-geheim-4711"),
            "p«U+00E4»sswort-geheim-4711",
            "Environment Variable Leak",
        ),
        (
            "D-107",
            env("line1-abcdefgh«n»line2-ijklmnop"),
            "line1-abcdefgh«n»line2-ijklmnop",
            "Environment Variable Leak",
        ),
        (
            "D-107",
            env("Zx9-Test_Secret/Value+1234"),
            "Zx9-Test_Secret%2FValue%2B1234",
            "Environment Variable Leak",
        ),
        ("D-107", known(), "zQ7xN2pL.w9RtKv4mYcB", "Environment Variable Leak"),
        ("D-107", known(), "z.Q.7.x.N.2.p.L.w.9.R.t.K.v.4.m.Y.c.B", "Environment Variable Leak"),
        ("D-108", canary(), "CANARYToken42xyz", "Canary Token (c1)"),
        ("D-109", c(), "\"«SEED12»\".", "BIP-39 Seed Phrase"),
        ("D-109", c(), "[\"«SEP:\",\"»\"]", "BIP-39 Seed Phrase"),
        ("D-109", c(), "«SEP: 1. »", "BIP-39 Seed Phrase"),
        ("D-110", rule("\u{e9}[0-9]{4}"), "«U+00E9»1234", "U"),
    ];
    for (id, settings, text, name) in cases {
        assert_eq!(
            scan(&settings, Strictness::Reference, text),
            [],
            "{id} {text} is not clean in the reference"
        );
        let found = scan(&settings, Strictness::Hardened, text);
        assert_eq!(found, [(name.to_owned(), Some(id))], "{id} {text}");
    }
}

/// D-104
#[test]
fn fields_of_binary_data_are_no_text_together() {
    let settings = Settings { strictness: Strictness::Hardened, ..configuration("D", "") };
    let scanner = Scanner::new(settings).unwrap();
    let found = |text: &[u8]| -> Vec<String> {
        scanner.scan_text(text).matches.iter().map(|m| m.name.to_string()).collect()
    };
    let key = "sk-ant-«a*16»";
    let key = expand(key);
    let clean: [&[u8]; 3] = [
        b"\xe3\x00\x00\x00\xda\x06Canvas\xda\x0cTurtleScreen\xda\x06Screen\xda\tRawTurtle\xa9\x00",
        b"\xda\x0danParseNextRow\xda\x13enableLeftRecursion\xda\x0denablePackrat\x00",
        b"f_canvasr\x0e\x00\x00\x00\xda\x05frame\xda\x04pack\xda\x0cFileTreeItem\xda\x07ICONDIR\x00",
    ];
    for text in clean {
        assert!(found(text).is_empty(), "{text:?}");
    }
    let whole = [b"\xda\x17".as_slice(), &key, b"\xda\x06Canvas\x00"].concat();
    let strewn: Vec<u8> = key.chunks(3).flat_map(|part| [part, b"\xda"].concat()).collect();
    let controls: Vec<u8> = key.chunks(1).flat_map(|part| [part, b"\xda\x01"].concat()).collect();
    let wrong: Vec<u8> = key.chunks(4).flat_map(|part| [part, b"\xda\x07"].concat()).collect();
    for text in [whole, strewn, controls, wrong] {
        assert_eq!(found(&text), ["Anthropic API Key"], "{text:?}");
    }
}

#[test]
fn text_made_to_cost_checksums_counts_as_a_seed_phrase() {
    let words: Vec<&str> = include_str!("../../../builtin/bip39-english.txt").lines().collect();
    let reference = Settings { seed: Some(SeedSettings::default()), ..configuration("D", "") };
    let scanner = Scanner::new(Settings { strictness: Strictness::Reference, ..reference.clone() }).unwrap();
    // Each word is chosen so that no checksum holds.
    let mut text: Vec<&str> = Vec::new();
    let mut next = 0;
    while text.len() < 1500 {
        next = (next * 5 + 7) % words.len();
        text.push(words[next]);
        let tail = text[text.len().saturating_sub(24)..].join(" ");
        if scanner.seed_in(&tail) {
            text.pop();
            next += 1;
        }
    }
    let named = [("BIP-39 Seed Phrase".to_owned(), Some("D-109"))];
    assert_eq!(scan(&reference, Strictness::Reference, &text.join(" ")), []);
    assert_eq!(scan(&reference, Strictness::Hardened, &text.join(" ")), named);
    assert_eq!(scan(&reference, Strictness::Hardened, &text.join("\", \"")), named);
    assert_eq!(scan(&reference, Strictness::Hardened, &text[..200].join(" ")), []);
    // Repetition costs nothing.
    assert_eq!(scan(&reference, Strictness::Hardened, &text[..40].join(" ").repeat(100)), []);
}

#[test]
fn ordinary_texts_stay_clean() {
    let settings = Settings {
        rules: builtin_rules().to_vec(),
        seed: Some(SeedSettings::default()),
        ..Settings::default()
    };
    let texts = [
        "def f():\n    token = get_token()\n    password = read()\n",
        "const config = {\n\tapi_key: process.env.API_KEY,\n};",
        "date\t2024-01-15\norder 4111-22\n",
        "The quick brown fox. \"Jumps\" over, the lazy dog; 1. One 2. Two 3. Three",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "100% of users, 5% off, a%b",
        "naïve café — Привет, мир… 日本語テキスト 😀",
        "1024 2048 4096 8192 16384 32768",
        // Small numbers are codes of digits, and so are those of a card number.
        "x = [0x41, 0x34, 0x31, 0x31, 0x31, 0x31, 0x31, 0x31, 0x31, 0x31, 0x31, 0x31, 0x31, 0x31, 0x31, 0x31, 0x31]",
        "[68, 65, 61, 6c, 69, 6e, 67, 20, 74, 65, 78, 74]",
        "aa:bb:cc:dd:ee:ff 52:54:00:12:34:56 2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        "2026-11-23 13:06:17 2026-11-24 14:07:18 0b2f5c1e-8d1c-4a57-9f0e-3d0a6c1b7e21",
        "node_modules/some-package/internationalisation/index-of-everything.js",
        "100%unit 50%u0 %u0041%u0042",
    ];
    // The word list as source code: some twelve neighbours in it have a valid checksum.
    let words: Vec<String> =
        include_str!("../../../builtin/bip39-english.txt").lines().map(|w| format!("\t\"{w}\",\n")).collect();
    for text in texts.into_iter().chain([words.concat().as_str()]) {
        assert_eq!(scan(&settings, Strictness::Hardened, text), [], "{text}");
    }
}

#[test]
fn columns_of_numbers_are_no_card() {
    let settings = configuration("D", "");
    let found = |text: &str| scan(&settings, Strictness::Hardened, text);
    for between in ["\n", "\r\n", "\t"] {
        let column: Vec<String> = (0..9000).map(|i| (1000 + i * 7919 % 9000).to_string()).collect();
        assert_eq!(found(&column.join(between)), []);
        let card = [("Credit Card Number".to_owned(), Some("D-103"))];
        assert_eq!(found(&format!("a1{between}4111 1111 1111 1111{between}b2")), card);
        assert_eq!(found(&format!("a1{between}4111.1111.1111.1111{between}b2")), card);
    }
}

#[test]
fn names_of_members_are_no_seed_phrase() {
    let settings = Settings { seed: Some(SeedSettings::default()), ..configuration("D", "") };
    let scanner = Scanner::new(settings.clone()).unwrap();
    let words: Vec<&str> = include_str!("../../../builtin/bip39-english.txt").lines().step_by(97).collect();
    let letters = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphabetic() { c } else { ' ' }).collect()
    };
    let mut by_chance = 0;
    for (i, word) in words.iter().enumerate() {
        let other = words[(i * 5 + 3) % words.len()];
        let text = format!(
            "{{\"input_token\": \"{word}\", \"output_token\": \"{other}\", \"limit_key\": \"{word}\", \"result_key\": \"{other}\", \"input_token\": 1}}"
        );
        by_chance += u32::from(scanner.seed_in(&letters(&text)));
        assert_eq!(scan(&settings, Strictness::Hardened, &text), [], "{text}");
    }
    assert!(by_chance > 0, "none of the texts was one by its checksum");
    // Sorted, as the strings of a document are when they are scanned together.
    let mut by_chance = 0;
    for first in 2..11 {
        for (i, word) in words.iter().enumerate() {
            let other = words[(i * 7 + 1) % words.len()];
            let text =
                [format!("{word}_3\n").repeat(first), format!("{other}_3\n").repeat(12 - first)].concat();
            by_chance += u32::from(scanner.seed_in(&letters(&text)));
            assert_eq!(scan(&settings, Strictness::Hardened, &text), [], "{text}");
        }
    }
    assert!(by_chance > 0, "none of the lists was one by its checksum");
    // The same two words before a phrase do not hide it.
    let named = [("BIP-39 Seed Phrase".to_owned(), Some("D-109"))];
    assert_eq!(scan(&settings, Strictness::Hardened, "abandon_about: \"«SEP:\", \"»\""), named);
}

#[test]
fn a_long_text_that_grows_is_a_finding() {
    let settings = configuration("D", "");
    let found = |text: &str| scan(&settings, Strictness::Hardened, text);
    let long = "\u{fdfa}".repeat(6000);
    assert_eq!(found(&long), [("Expanding Characters".to_owned(), Some("D-111"))]);
    assert_eq!(scan(&settings, Strictness::Reference, &long), []);
    // A short one, and one in which the character stands as it does in a book.
    assert_eq!(found(&"\u{fdfa}".repeat(5000)), []);
    assert_eq!(found(&"\u{642}\u{627}\u{644} \u{fdfa} \u{625}\u{646}\u{645}\u{627} ".repeat(1000)), []);
}

#[test]
fn tag_characters_are_read_in_texts_of_any_length() {
    let settings = configuration("D", "");
    let tags = |text: &str| -> String {
        text.bytes().filter_map(|b| char::from_u32(0xE0000 + u32::from(b))).collect()
    };
    let named = [("Anthropic API Key".to_owned(), Some("D-112"))];
    let text = |before: usize, hidden: &str| {
        ["zq xq zzq wq q qqxzq ".repeat(before / 21), tags(hidden), " zqxq".repeat(30_000)].concat()
    };
    for before in [0, 100, 65_300, 65_400, 65_500, 131_000] {
        let (long, padded) =
            (text(before, "sk-ant-abcdefghijk"), text(before, &format!("{:4000}sk-ant-abcdefghijk", "")));
        for text in [&long, &padded, &long[..long.len() - 150_000 + 1000]] {
            assert_eq!(scan(&settings, Strictness::Hardened, text), named, "{before}");
            assert_eq!(scan(&settings, Strictness::Reference, text), [], "{before}");
        }
    }
    // The rest of a credential may be visible.
    assert_eq!(scan(&settings, Strictness::Hardened, &format!("sk-ant-{}", tags("abcdefghijk"))), named);
    let flags = format!("sk-ant-\u{1f3f4}{}\u{e007f}abcdefg", tags("gbeng"));
    assert_eq!(scan(&settings, Strictness::Hardened, &flags), []);
}
