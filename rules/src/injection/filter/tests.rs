//! The filter against the plain scan: on texts built from the rules' own words, disguised in every way that the passes
//! undo, both have to say the same.

use proptest::prelude::*;

use super::super::{ScanResult, Scanner, Settings, builtin_rules};
use crate::Strictness;

/// Words and phrases that rules are made of, and their neighbours.
const WORDS: &[&str] = &[
    "ignore",
    "disregard",
    "forget",
    "forgot",
    "all",
    "previous",
    "prior",
    "above",
    "earlier",
    "instructions",
    "prompts",
    "rules",
    "roles",
    "context",
    "system",
    "System",
    "system:",
    "\nsystem :",
    "you",
    "are",
    "now",
    "a",
    "DAN",
    "Dan",
    "don't",
    "done",
    "evil",
    "level",
    "unrestricted",
    "do not",
    "reveal",
    "this to the user",
    "hidden",
    "instruction",
    "invisible to",
    "the user",
    "cannot see this",
    "send",
    "thousand",
    "provide",
    "return",
    "include",
    "password",
    "token",
    "taken",
    "api key",
    "api_key",
    "api",
    "secret",
    "private-key",
    "session cookie",
    "read",
    "get",
    "cat",
    "copy",
    ".ssh/",
    ".aws\\credentials",
    ".env",
    "id_rsa",
    "/etc/passwd",
    "secretly",
    "silently",
    "quietly",
    "past",
    "post",
    "run",
    "without the user knowing",
    "execute",
    "<|im_start|>",
    "[INST]",
    "[ONST]",
    "<<SYS>>",
    "new",
    "updated",
    "directives",
    "developer",
    "mode",
    "sudo",
    "from now on",
    "will",
    "must ",
    "decode",
    "this",
    "base64",
    "and",
    "eval(",
    "atob(",
    "must call the",
    "function",
    "tool",
    "have",
    "full",
    "root",
    "access",
    "treat",
    "consider",
    "existing",
    "text",
    "outdated",
    "as",
    "set",
    "put",
    "aside",
    "away",
    "prioritize",
    "request",
    "to complete",
    "required",
    "save",
    "store",
    "for later",
    "next time",
    "permanently",
    "always",
    "prefer",
    "use",
    "my tool",
    "the remote",
    "never",
    "mention",
    "log",
    "忽略",
    "之前的",
    "指令",
    "前",
    "指示",
    "無視",
    "이전",
    "지시를",
    "무시",
    "开发者模式",
    "$3nd",
    "p@ss",
    "t@ken",
    "5y5tem:",
    "@",
    "$",
    "the",
    "report",
    "stable",
    "status",
    "user",
];

const GLUE: &[&str] =
    &[" ", "", " ", "  ", "\n", "\t", "-", ".", "_", ", ", "\u{200b}", "\u{a0}", "\u{2028}", "x"];

/// What a disguise does to a whole text.
fn disguise(kind: u8, text: &str) -> Vec<u8> {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let map = |f: fn(char) -> char| text.chars().map(f).collect::<String>().into_bytes();
    match kind {
        1 => text.to_uppercase().into_bytes(),
        2 => map(|c| match c {
            'o' => '0',
            'i' => '1',
            'e' => '3',
            'a' => '@',
            's' => '$',
            't' => '7',
            c => c,
        }),
        3 => map(|c| match c {
            'e' | 'o' => 'u',
            'i' => 'a',
            c => c,
        }),
        4 => text.chars().flat_map(|c| [c, '\u{200b}']).collect::<String>().into_bytes(),
        5 => STANDARD.encode(text).into_bytes(),
        6 => format!("see {} end", URL_SAFE_NO_PAD.encode(text)).into_bytes(),
        7 => text.bytes().map(|b| format!("{b:02x}")).collect::<String>().into_bytes(),
        8 => map(|c| match c {
            'o' => '\u{43e}',
            'e' => '\u{451}',
            'a' => '\u{ff41}',
            c => c,
        }),
        9 => [text.as_bytes(), b"\xff\xfe ", text.as_bytes()].concat(),
        10 => STANDARD.encode(STANDARD.encode(text)).into_bytes(),
        11 => text.replace(' ', "\u{200b}").into_bytes(),
        12 => text.replace(' ', "").into_bytes(),
        _ => text.as_bytes().to_vec(),
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let part = (0..WORDS.len(), 0..GLUE.len());
    (proptest::collection::vec(part, 1..9), 0u8..20).prop_map(|(parts, kind)| {
        let text: String = parts.iter().flat_map(|&(w, g)| [WORDS[w], GLUE[g]]).collect();
        disguise(kind, &text)
    })
}

/// What a rule says by itself, in random order with something between: nearly always a match or nearly one.
fn example() -> impl Strategy<Value = Vec<u8>> {
    let examples: Vec<&'static str> = super::super::builtin_examples().map(|e| e.text.as_str()).collect();
    let pick = proptest::sample::select(examples);
    (pick.clone(), pick, 0u8..20, proptest::option::of(any::<(u16, char)>()), 0usize..120).prop_map(
        |(first, second, kind, change, gap)| {
            let mut text = format!("{first}{}{second}", " x".repeat(gap / 2));
            if let Some((place, c)) = change {
                let at = text.floor_char_boundary(place as usize % (text.len() + 1));
                text.insert(at, c);
            }
            disguise(kind, &text)
        },
    )
}

fn user_rules() -> Vec<super::super::RuleSpec> {
    let rules = [
        ("Every", "(?i)zq+"),
        ("Class", "[a-f]{3}x[0-9]"),
        ("Alternatives", "(?i)purple monkey|green donkey|fo?o@bar"),
        ("Accent", "café nu"),
        ("Start", r"(?m)^\s*user\s*>"),
        ("Short", "ab"),
        ("Vowels", "[e-g]pq-rst"),
        ("Word", r"\bset\b.{0,20}\$aside\b"),
    ];
    let own = rules.map(|(name, regex)| super::super::RuleSpec::user(name, regex));
    super::super::merge(true, &own)
}

fn scanner(rules: Vec<super::super::RuleSpec>, strictness: Strictness) -> Scanner {
    Scanner::new(Settings { standard: Some(rules), strictness }).unwrap()
}

fn compare(scanner: &Scanner, text: &[u8]) -> Result<ScanResult, TestCaseError> {
    let (fast, plain) = (scanner.scan(text), scanner.scan_plainly(text));
    prop_assert_eq!(&fast, &plain, "{:?}", String::from_utf8_lossy(text));
    Ok(fast)
}

fn cases() -> u32 {
    std::env::var("INJECTION_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(4000)
}

#[test]
fn filtered_and_plain_scan_agree_on_texts_made_of_the_rules_words() {
    let reference = scanner(builtin_rules().to_vec(), Strictness::Reference);
    let hardened = scanner(builtin_rules().to_vec(), Strictness::Hardened);
    proptest!(ProptestConfig::with_cases(cases()), |(text in prop_oneof![text(), example()])| {
        compare(&reference, &text)?;
        compare(&hardened, &text)?;
    });
}

#[test]
fn filtered_and_plain_scan_agree_on_user_rules() {
    let rules =
        scanner(user_rules().into_iter().filter(|r| &*r.name != "Short").collect(), Strictness::Hardened);
    let extra = prop_oneof![
        text(),
        "(a?b?c?d?e?f?x5?|purple|pürplé|monk[e3]y|green| d0nkey|foo@bar|fo@bär|café|cafe| nu|user ?>|\n| set|\\$aside|5aside|zq|gpq-rst|apq-rst){0,6}"
            .prop_map(String::into_bytes),
    ];
    proptest!(ProptestConfig::with_cases(cases()), |(text in extra)| {
        compare(&rules, &text)?;
    });
}

#[test]
fn ordinary_prose_names_no_rule() {
    let scanner = scanner(builtin_rules().to_vec(), Strictness::Hardened);
    let text = "The council met on Tuesday to discuss the budget. Don't be late, she wrote; the level of the river \
        had risen again. He took the photo in 1953 and sold it for $40 to a museum in Den Haag (mail: info@example.org). \
        Most people in the system of canals travel by boat, and the roads are stable. You are done when it is dark.";
    let suspects = scanner.suspects(text.as_bytes());
    let named: Vec<_> = scanner
        .rules
        .all()
        .enumerate()
        .filter(|(i, _)| suspects.0.has(*i))
        .map(|(_, r)| &r.spec.name)
        .collect();
    assert!(!suspects.0.any(), "{named:?}");
}
