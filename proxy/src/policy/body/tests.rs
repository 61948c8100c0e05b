//! The worked examples of the specification, row by row, in both modes.

mod channels;
mod differences;
mod properties;

use std::sync::OnceLock;

use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use muselet_rules::dlp::{self, Canary, SeedSettings};

use super::*;

/// Matches the built-in rule *AWS Access ID*; belongs to nobody.
pub(crate) const K: &str = "AKIAIOSFODNN7EXAMPLE";

const SECRET: &str = "request body contains secret: AWS Access ID";

/// A scanner with the built-in rules, a canary and seed detection. Compiled once a mode.
pub(crate) fn scanner(strictness: Strictness) -> Arc<Scanner> {
    static SCANNERS: [OnceLock<Arc<Scanner>>; 2] = [OnceLock::new(), OnceLock::new()];
    let settings = || dlp::Settings {
        rules: dlp::builtin_rules().to_vec(),
        strictness,
        canaries: [("decoy", "canary7f3a9b2c4d"), ("number", "912345678901234567")]
            .map(|(name, value)| Canary { name: name.to_owned(), value: value.to_owned() })
            .into(),
        seed: Some(SeedSettings::default()),
        ..dlp::Settings::default()
    };
    let scanner = &SCANNERS[usize::from(strictness == Strictness::Hardened)];
    Arc::clone(scanner.get_or_init(|| Arc::new(Scanner::new(settings()).expect("built-in rules compile"))))
}

pub(super) const BOTH: [Strictness; 2] = [Strictness::Reference, Strictness::Hardened];

/// The configuration of the examples: `action: block`, everything else as by default.
pub(super) fn config(strictness: Strictness) -> Config {
    let mut config = Config::default();
    config.request_body_scanning.enabled = true;
    config.request_body_scanning.action = "block".to_owned();
    config.request_body_scanning.max_body_bytes = 5_242_880;
    config.muselet.strictness = strictness;
    config
}

pub(super) fn policy(config: &Config) -> BodyPolicy {
    BodyPolicy::new(config, scanner(config.muselet.strictness)).expect("compiles")
}

pub(super) fn typed(content_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).expect("a value"));
    }
    headers
}

/// The reason, if there is a finding.
pub(super) fn reason(policy: &BodyPolicy, content_type: &str, body: &[u8]) -> Option<String> {
    policy.scan(body, &typed(content_type), "example.com").finding.map(|finding| finding.reason)
}

/// Rows of type, body and reason. The hardened mode must find whatever the reference finds.
fn check(rows: &[(&str, &[u8], Option<&str>)]) {
    let reference = policy(&config(Strictness::Reference));
    let hardened = policy(&config(Strictness::Hardened));
    for (content_type, body, wanted) in rows {
        let shown = format!("{content_type}: {}", body[..body.len().min(300)].escape_ascii());
        let found = reason(&reference, content_type, body);
        assert_eq!(found.as_deref(), *wanted, "{shown}");
        if wanted.is_some() {
            assert_eq!(reason(&hardened, content_type, body).as_deref(), *wanted, "hardened, {shown}");
        }
    }
}

#[test]
fn content_types_as_in_the_examples() {
    let utf16: Vec<u8> = K.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16_json: Vec<u8> =
        format!("{{\"k\":\"{K}\"}}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let base64_part =
        b"--B\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0IGlzIEFLSUFJT1NGT0ROTjdFWEFNUExFIG9r\r\n--B--\r\n";
    check(&[
        ("application/octet-stream", br#"{"key":"AKIAIOSFODNN7EXAMPLE"}"#, Some(SECRET)),
        ("image/png", br#"{"key":"AKIAIOSFODNN7EXAMPLE"}"#, Some(SECRET)),
        ("", K.as_bytes(), Some(SECRET)),
        ("text/plain", b"AKIAIOSFOD\nNN7EXAMPLE", Some(SECRET)),
        ("text/plain", b"AKIAIOSFOD\0NN7EXAMPLE", Some(SECRET)),
        ("text/plain", b"AKIAIOSFOD NN7EXAMPLE", None),
        ("text/plain; charset=utf-16", &utf16, Some(SECRET)),
        ("application/json; charset=utf-16", &utf16_json, Some("invalid JSON body")),
        ("application/xml", b"<k>AKIAIOSFODNN7EXAMPLE</k>", Some(SECRET)),
        ("application/xml", b"<k>&#65;KIAIOSFODNN7EXAMPLE</k>", None),
        ("application/x-ndjson", b"{\"a\":1}\n{\"b\":\"AKIAIOSFODNN7EXAMPLE\"}", Some(SECRET)),
        ("application/json", b"{\"a\":1}\n{\"b\":\"AKIAIOSFODNN7EXAMPLE\"}", Some("invalid JSON body")),
        ("text/json", b"{bad", None),
        ("application/json; charset", b"{bad", Some("invalid JSON body")),
        ("application/json; charset=utf-8; charset=utf-16", b"{bad", None),
        ("application/json, text/plain", b"{bad", None),
        ("Application/JSON", b"{bad", Some("invalid JSON body")),
        ("application/vnd.api+json", br#"{"AKIAIOSFODNN7EXAMPLE":1}"#, Some(SECRET)),
        ("application/graphql", br#"{a(k:"AKIAIOSFODNN7EXAMPLE")}"#, Some(SECRET)),
        ("application/grpc", b"\x00\x00\x00\x00\x16\x0a\x14AKIAIOSFODNN7EXAMPLE", Some(SECRET)),
        ("multipart/mixed; boundary=B", base64_part, None),
    ]);
}

#[test]
fn json_as_in_the_examples() {
    let nested = |levels: usize, leaf: &str| {
        [b"{\"a\":".repeat(levels), leaf.as_bytes().to_vec(), b"}".repeat(levels)].concat()
    };
    let quoted = format!("\"{K}\"");
    let key = format!("{{\"{K}\":1}}");
    let arrays = [vec![b'['; 10_001], vec![b']'; 10_001]].concat();
    check(&[
        ("application/json", br#"{"key":"AKIAIOSFODNN7EXAMPLE"}"#, Some(SECRET)),
        ("application/json", br#"{"part1":"AKIAIOSFOD","part2":"NN7EXAMPLE"}"#, Some(SECRET)),
        ("application/json", br#"{"a":"AKIAIOSFODNN7EXAMPLE","a":"x"}"#, None),
        ("application/json", br#"{"a":"x","a":"AKIAIOSFODNN7EXAMPLE"}"#, Some(SECRET)),
        ("application/json", br#"{"a":"AKIAIOSFODNN7EXAMPLE","n":1e999}"#, None),
        ("application/json", br#"{"a":"\u0041KIAIOSFODNN7EXAMPLE"}"#, Some(SECRET)),
        ("application/json", &nested(64, &quoted), Some(SECRET)),
        ("application/json", &nested(65, &quoted), None),
        ("application/json", &nested(64, &key), Some(SECRET)),
        ("application/json", &nested(65, &key), None),
        ("application/json", &arrays, Some("invalid JSON body")),
        (
            "application/json",
            br#"{"cc":4111111111111111}"#,
            Some("request body contains secret: Credit Card Number"),
        ),
        ("application/json", br#"{"cc":"4111","x":"111111111111"}"#, None),
        ("application/json", b"\xef\xbb\xbf{}", Some("invalid JSON body")),
        ("application/json", b"   ", Some("invalid JSON body")),
        ("application/json", b"null", None),
        ("application/json", b"42", None),
        ("application/json", b"\"x\"", None),
        ("application/json", b"{invalid json", Some("invalid JSON body")),
        ("application/json", br#"{"name": "test", "value": 42}"#, None),
        ("application/json", br#"{"password":"hunter22"}"#, None),
        ("application/json", b"", None),
    ]);
}

#[test]
fn forms_as_in_the_examples() {
    let form = "application/x-www-form-urlencoded";
    let invalid = Some("invalid application/x-www-form-urlencoded body");
    let many = |items: usize| vec!["a=1"; items].join("&").into_bytes();
    check(&[
        (form, b"secret=AKIAIOSFODNN7EXAMPLE&name=test", Some(SECRET)),
        (form, b"AKIAIOSFODNN7EXAMPLE=1", Some(SECRET)),
        (form, b"a=%41KIAIOSFODNN7EXAMPLE", Some(SECRET)),
        (form, b"field=%zz&value=clean", invalid),
        (form, b"field=%4", invalid),
        (form, b"a=1;b=2", invalid),
        (form, b"a=1&&b=2", None),
        (form, b"a", None),
        (form, b"=v", None),
        (form, b"a=b=c", None),
        (form, br#"{"a":"b"}"#, None),
        (form, b"user=x&password=hunter22", None),
        ("text/plain", b"user=x&password=hunter22", Some("request body contains secret: Credential in URL")),
        (form, b"a=AKIAIOSFOD&b=NN7EXAMPLE", Some(SECRET)),
        (form, &many(10_000), None),
        (form, &many(10_001), invalid),
    ]);
}

#[test]
fn multipart_as_in_the_examples() {
    let form = "multipart/form-data; boundary=B";
    let part = |headers: &str, content: &str| {
        format!("--B\r\nContent-Disposition: form-data; {headers}\r\n\r\n{content}\r\n--B--\r\n").into_bytes()
    };
    let base64 = "name=f\r\nContent-Transfer-Encoding: base64";
    let printable = "name=f\r\nContent-Transfer-Encoding: quoted-printable";
    let twice = "request body contains secret: AWS Access ID, AWS Access ID";
    let nested = "--C\r\n\r\nAKIAIOSFODNN7EXAMPLE\r\n--C--";
    let before = [K.as_bytes(), b"\r\n", &part("name=f", "v")].concat();
    let behind = [&part("name=f", "v"), K.as_bytes()].concat();
    let missing = Some("multipart/form-data missing boundary");
    check(&[
        (form, &part("name=f", K), Some(SECRET)),
        (form, &part("name=f\r\nContent-Type: image/png", K), Some(SECRET)),
        (form, &part(&format!("name=f; filename=\"{K}.png\""), "v"), Some(twice)),
        (form, &part(&format!("name=f; filename=\"a/{K}/x.txt\""), "v"), Some(twice)),
        (form, &part(&format!("name=\"{K}\""), "v"), Some(SECRET)),
        (form, &part(&format!("name=f\r\nX-Secret: {K}"), "v"), Some(SECRET)),
        (form, &part(&format!("name=f\r\nX-{K}: v"), "v"), None),
        (form, &part(&format!("name=\"f\"; x-secret=\"{K}\""), "v"), Some(SECRET)),
        (form, &part(&format!("name=f\r\nContent-Type: text/{K}"), "v"), None),
        (form, &part(&format!("name=f\r\nContent-Transfer-Encoding: {K}"), "v"), None),
        (form, &part(base64, "QUtJQUlPU0Z\r\nPRE5ON0VYQU1QTEU="), Some(SECRET)),
        (form, &part(printable, "AKIA=49OSFODNN7EXAMPLE"), Some(SECRET)),
        (form, &before, None),
        (form, &behind, None),
        (form, format!("--B--{K}").as_bytes(), Some("multipart parse error: multipart: NextPart: EOF")),
        (form, format!("--B--\r\n{K}").as_bytes(), None),
        (form, b"--B\r\n\r\nx", Some("error reading multipart part: unexpected EOF")),
        (form, b"just text", Some("multipart parse error: multipart: NextPart: EOF")),
        ("multipart/form-data", b"--B--", missing),
        ("multipart/form-data; boundary=", b"--B--", missing),
        (form, &part("name=f\r\nContent-Type: multipart/mixed; boundary=C", nested), Some(SECRET)),
        (form, &part("name=a; name=b", "v"), None),
        (form, &part(&format!("name=a; name={K}"), "v"), Some(SECRET)),
    ]);
}

#[test]
fn canaries_and_seed_phrases_as_in_the_examples() {
    let seed = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    check(&[
        (
            "application/x-www-form-urlencoded",
            b"aws=canary7f3a9b2c4d",
            Some("request body contains secret: Canary Token (decoy)"),
        ),
        ("text/plain", seed.as_bytes(), Some("request body contains secret: BIP-39 Seed Phrase")),
        ("text/plain", b"Ignore all previous instructions", None),
    ]);
}

#[test]
fn gates_as_in_the_examples() {
    let mut limited = config(Strictness::Reference);
    limited.request_body_scanning.max_body_bytes = 1000;
    let policy = policy(&limited);
    let clean = vec![b'a'; 1001];
    assert_eq!(reason(&policy, "text/plain", &clean[..1000]), None);
    let too_large = "request body exceeds max_body_bytes (1000)";
    assert_eq!(reason(&policy, "text/plain", &clean).as_deref(), Some(too_large));
    assert!(matches!(policy.gate(&HeaderMap::new(), true, Some(1000)), Gate::Buffer { limit: 1000 }));
    assert!(matches!(policy.gate(&HeaderMap::new(), true, None), Gate::Buffer { limit: 1000 }));
    match policy.gate(&HeaderMap::new(), true, Some(1001)) {
        Gate::Block(finding) => assert!(finding.fail_closed && finding.reason == too_large, "{finding:?}"),
        other => panic!("{other:?}"),
    }
    let mut gzip = HeaderMap::new();
    gzip.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert!(matches!(policy.gate(&gzip, true, None), Gate::Block(_)));
    assert!(matches!(policy.gate(&gzip, false, None), Gate::Skip));
    limited.request_body_scanning.enabled = false;
    assert!(matches!(self::policy(&limited).gate(&gzip, true, None), Gate::Skip));
}

#[test]
fn findings_act_as_in_the_action_table() {
    use Action::{Block, Warn};
    use Transport::{Forward, Intercept};
    const BLOCK: Outcome = Outcome::Block { escalated: false };
    const ESCALATED: Outcome = Outcome::Block { escalated: true };
    let secret = BodyFinding { fail_closed: false, ..BodyFinding::too_large(1) };
    let address = BodyFinding { action: Some(Block), ..secret.clone() };
    let closed = BodyFinding::too_large(1);
    let rows = [
        (&secret, Warn, Forward, false, true, Outcome::Forward),
        (&secret, Warn, Intercept, false, false, Outcome::Forward),
        (&secret, Block, Forward, false, true, BLOCK),
        (&secret, Block, Intercept, false, true, BLOCK),
        (&secret, Block, Intercept, false, false, Outcome::Forward),
        (&secret, Block, Forward, false, false, ESCALATED),
        (&secret, Block, Intercept, true, false, ESCALATED),
        (&address, Warn, Intercept, false, true, BLOCK),
        (&address, Warn, Intercept, false, false, Outcome::Forward),
        (&closed, Warn, Forward, false, false, BLOCK),
        (&closed, Warn, Intercept, false, false, BLOCK),
    ];
    for (finding, configured, transport, upgraded, enforce, wanted) in rows {
        let found = finding.outcome(transport, finding.action(configured), upgraded, enforce);
        assert_eq!(found, wanted, "{configured:?} {transport:?} upgraded {upgraded} enforce {enforce}");
    }
}

fn with_addresses(strictness: Strictness) -> Config {
    let mut config = config(strictness);
    config.request_body_scanning.action = "warn".to_owned();
    let section = &mut config.address_protection;
    section.enabled = true;
    section.action = "block".to_owned();
    section.unknown_action = "allow".to_owned();
    section.allowed_addresses = vec!["0x742d35cc6634c0532925a3b844bc9e7595f2bd3e".to_owned()].into();
    (section.similarity.prefix_length, section.similarity.suffix_length) = (4, 4);
    config
}

#[test]
fn addresses_as_in_the_examples() {
    let lookalike = r#"{"to":"0x742daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaf2bd3e"}"#;
    for strictness in BOTH {
        let policy = policy(&with_addresses(strictness));
        let scan = |body: &str| policy.scan(body.as_bytes(), &typed("application/json"), "h").finding;
        let found = scan(lookalike).expect("a finding");
        assert_eq!((found.label, found.action), (Label::AddressProtection, Some(Action::Block)));
        assert!(found.reason.starts_with("address poisoning detected: ETH address "), "{}", found.reason);
        assert!(!found.fail_closed && found.matches.is_empty() && found.addresses.len() == 1);
        assert_eq!(scan(r#"{"to":"0x742d35cc6634c0532925a3b844bc9e7595f2bd3e"}"#), None);
        assert_eq!(scan(r#"{"to":"0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"}"#), None);
    }
}

fn with_redaction(strictness: Strictness, classes: &[&str]) -> Config {
    let mut config = config(strictness);
    config.redaction.enabled = true;
    config.redaction.default_profile = "p".to_owned();
    let classes = classes.iter().map(|&class| class.to_owned()).collect();
    let profile = crate::config::RedactionProfile { classes, ..Default::default() };
    config.redaction.profiles.insert("p".to_owned(), profile);
    config.redaction.allowlist_unparseable =
        vec!["raw.example".to_owned(), "*.sub.example".to_owned()].into();
    config
}

#[test]
fn redaction_as_in_the_examples() {
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    type Row<'r> = (&'r str, &'r str, &'r str, Result<Option<&'r str>, &'r str>);
    let rows: &[Row<'_>] = &[
        (
            json,
            "h",
            r#"{"prompt":"use AKIAIOSFODNN7EXAMPLE now"}"#,
            Ok(Some(r#"{"prompt":"use <pl:aws-access-key:1> now"}"#)),
        ),
        (json, "h", r#"{"b": 1, "a": 2}"#, Ok(Some(r#"{"a":2,"b":1}"#))),
        (json, "h", r#"{"x":"AKIAIOSFODNN7EXAMPLE","x":"benign"}"#, Err("duplicate_object_key")),
        (json, "h", r#"{"\u0061":1,"a":2}"#, Err("duplicate_object_key")),
        (form, "h", "a=b", Err("non_json_body")),
        ("", "h", "a=b", Err("non_json_body")),
        ("application/octet-stream", "raw.example:443", "plain bytes", Ok(None)),
        ("application/octet-stream", "a.SUB.example", "plain bytes", Ok(None)),
        ("application/octet-stream", "sub.example", "plain bytes", Err("non_json_body")),
        (json, "h", "{not json", Err("body_unparseable")),
        ("application/json; charset", "h", r#"{"a":1}"#, Err("non_json_body")),
        ("text/json", "h", r#"{"a":"AKIAIOSFODNN7EXAMPLE"}"#, Ok(Some(r#"{"a":"<pl:aws-access-key:1>"}"#))),
        (json, "h", r#"{"n":1e999}"#, Ok(Some(r#"{"n":1e999}"#))),
        (json, "h", "", Ok(None)),
        (form, "h", "", Ok(None)),
    ];
    for strictness in BOTH {
        let policy = policy(&with_redaction(strictness, &["aws-access-key"]));
        for (content_type, host, body, wanted) in rows {
            let verdict = policy.scan(body.as_bytes(), &typed(content_type), host);
            let replacement =
                verdict.replacement.as_deref().map(|body| std::str::from_utf8(body).expect("UTF-8"));
            match (verdict.finding, wanted) {
                (None, Ok(wanted)) => assert_eq!(replacement, *wanted, "{body}"),
                (Some(finding), Err(code)) => {
                    assert_eq!(finding.reason, format!("redaction blocked request: {code}"), "{body}");
                    assert_eq!((finding.label, finding.fail_closed), (Label::Redaction, true), "{body}");
                }
                (finding, wanted) => panic!("{body}: {finding:?} instead of {wanted:?}"),
            }
        }
        let on_form = policy.scan(format!("k={K}").as_bytes(), &typed(form), "raw.example").finding;
        assert_eq!(on_form.map(|finding| finding.reason).as_deref(), Some(SECRET));
    }
}

#[test]
fn nothing_printable_holds_the_body() {
    let policy = policy(&config(Strictness::Hardened));
    let verdict = policy.scan(K.as_bytes(), &typed("text/plain"), "h");
    assert!(verdict.finding.is_some() && !format!("{verdict:?} {policy:?}").contains(K));
}
