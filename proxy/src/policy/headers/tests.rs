use http::{HeaderName, HeaderValue};
use muselet_rules::dlp;

use super::*;

const K: &str = "AKIAIOSFODNN7EXAMPLE";

const DEFAULT_SENSITIVE: &[&str] =
    &["Authorization", "Cookie", "X-Api-Key", "X-Token", "Proxy-Authorization", "X-Goog-Api-Key"];

fn policy(mode: &str, sensitive: &[&str], ignore: &[&str], strictness: Strictness) -> HeaderPolicy {
    let mut config = Config::default();
    let section = &mut config.request_body_scanning;
    section.enabled = true;
    section.scan_headers = true;
    section.action = "block".to_owned();
    section.header_mode = mode.to_owned();
    section.sensitive_headers = sensitive.iter().map(|&name| name.to_owned()).collect();
    section.ignore_headers = ignore.iter().map(|&name| name.to_owned()).collect();
    config.muselet.strictness = strictness;
    HeaderPolicy::new(&config, crate::policy::body::tests::scanner(strictness))
}

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let parse = |&(name, value): &(&str, &str)| {
        (
            HeaderName::from_bytes(name.as_bytes()).expect("a name"),
            HeaderValue::from_str(value).expect("a value"),
        )
    };
    list.iter().map(parse).collect()
}

#[test]
fn scans_the_headers_of_the_mode_in_the_form_of_the_mode() {
    let sensitive = |strictness| policy("sensitive", DEFAULT_SENSITIVE, &[], strictness);
    let all =
        |strictness| policy("all", DEFAULT_SENSITIVE, &["User-Agent", "Host", "Content-Type"], strictness);
    let replaced = |strictness| policy("all", &[], &["X-A"], strictness);
    type Build<'b> = &'b dyn Fn(Strictness) -> HeaderPolicy;
    let bearer = format!("Bearer {K}");
    let cases: &[(Build<'_>, &[(&str, &str)], Option<&str>)] = &[
        (&sensitive, &[("authorization", &bearer)], Some("Authorization")),
        (&sensitive, &[("authorization", "Bearer nothing")], None),
        (&sensitive, &[("x-custom", K)], None),
        (&sensitive, &[("cookie", "session=AKIAIOSFODNN7EXAMPLE")], Some("Cookie")),
        (&sensitive, &[("authorization", "AKIAIOSFOD"), ("authorization", "NN7EXAMPLE")], Some(JOINED)),
        (
            &sensitive,
            &[("authorization", "Basic dXNlcjpBS0lBSU9TRk9ETk43RVhBTVBMRQ==")],
            Some("Authorization"),
        ),
        (&sensitive, &[("connection", "Authorization"), ("authorization", &bearer)], Some("Authorization")),
        (&sensitive, &[("x-goog-api-key", K)], Some("X-Goog-Api-Key")),
        (&all, &[("x-custom", K)], Some("X-Custom")),
        (&all, &[("user-agent", K)], None),
        (&replaced, &[("user-agent", K)], Some("User-Agent")),
        (&all, &[("x-part-a", "AKIAIOSFOD"), ("x-part-b", "NN7EXAMPLE")], Some(JOINED)),
        (&all, &[("x-akiaiosfodnn", "7EXAMPLEABCDEFGH")], Some("X-Akiaiosfodnn")),
        (&all, &[("x-akiaiosfodnn7example", "v")], Some("X-Akiaiosfodnn7example")),
        (&all, &[("sec-fetch-site", K)], Some("Sec-Fetch-Site")),
        (&all, &[("x-request-id", "0b2f5c1e-8d1c-4a57-9f0e-3d0a6c1b7e21"), ("accept-language", "en")], None),
        (&all, &[], None),
    ];
    for strictness in [Strictness::Reference, Strictness::Hardened] {
        for (build, list, wanted) in cases {
            let verdict = build(strictness).scan(&headers(list));
            let found = verdict.finding.as_ref().map(|finding| finding.header.as_str());
            assert_eq!(found, *wanted, "{list:?} in {strictness:?}");
            if let Some(finding) = verdict.finding {
                assert!(finding.blocks(true) && !finding.blocks(false));
                assert_eq!(finding.patterns()[0], "AWS Access ID", "{list:?}");
            }
        }
    }
}

#[test]
fn scans_nothing_when_switched_off() {
    let mut policy = policy("all", &[], &[], Strictness::Hardened);
    policy.enabled = false;
    assert_eq!(policy.scan(&headers(&[("authorization", K)])), HeaderVerdict::default());
    assert_eq!(policy.scan_trailers(&headers(&[("x-secret", K)])), HeaderVerdict::default());
}

#[test]
fn d_806_scans_trailers_in_hardened_mode_only() {
    let cases: &[(&[(&str, &str)], bool)] = &[
        (&[("x-secret", K)], true),
        (&[("x-akiaiosfodnn7example", "v")], true),
        (&[("x-a", "AKIAIOSFOD"), ("x-b", "NN7EXAMPLE")], true),
        (
            &[("grpc-status", "0"), ("x-checksum-sha256", "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=")],
            false,
        ),
    ];
    for (list, caught) in cases {
        let trailers = headers(list);
        let hardened =
            policy("sensitive", DEFAULT_SENSITIVE, &[], Strictness::Hardened).scan_trailers(&trailers);
        assert_eq!(hardened.finding.is_some(), *caught, "{list:?}");
        assert!(hardened.finding.is_none_or(|finding| finding.difference == Some("D-806")), "{list:?}");
        let reference =
            policy("sensitive", DEFAULT_SENSITIVE, &[], Strictness::Reference).scan_trailers(&trailers);
        assert_eq!(reference, HeaderVerdict::default(), "{list:?}");
    }
}

#[test]
fn d_815_scans_the_method_in_hardened_mode_only() {
    let none = headers(&[]);
    for (method, caught) in
        [(K, true), ("GET", false), ("VERSION-CONTROL", false), ("UPDATEREDIRECTREF", false)]
    {
        let build = |strictness| policy("sensitive", DEFAULT_SENSITIVE, &[], strictness);
        let verdict = build(Strictness::Hardened).scan_request(method, &none);
        let found = verdict.finding.map(|finding| (finding.header, finding.difference));
        assert_eq!(found, caught.then(|| ("(method)".to_owned(), Some("D-815"))), "{method}");
        assert_eq!(build(Strictness::Reference).scan_request(method, &none), HeaderVerdict::default());
    }
}

#[test]
fn d_822_finds_a_credential_in_neighbouring_cookies() {
    let among = |others: usize| {
        let others = (0..others).map(|n| format!("c{n}=dark; ")).collect::<String>();
        format!("{others}a=AKIAIOSFOD; b=NN7EXAMPLE")
    };
    let (few, many) = (among(30), among(31));
    let cases: &[(&[(&str, &str)], bool)] = &[
        (&[("cookie", &few)], true),
        (&[("cookie", &many)], false),
        (&[("cookie", "sid=1; a=AKIAIOSFOD; b=NN7EXAMPLE; c=dark")], true),
        (&[("cookie", "b=AKIAIOSFOD"), ("cookie", "a=NN7EXAMPLE")], true),
        (&[("cookie", "a=\"AKIAIOSFOD\"; b=\"NN7EXAMPLE\"")], true),
        (&[("cookie", "sid=1; AKIAIOSFOD; NN7EXAMPLE")], true),
        (&[("cookie", "a=AKIAIOSFOD, b=NN7EXAMPLE")], true),
        (&[("cookie", "a=AKIAIOSFOD; b=NN7")], false),
        (&[("cookie", "lang=sk; sid=d41d8cd98f00b204e9800998ecf8427e; a=123-45-; b=6789")], false),
        (&[("cookie", "a=4111; b=1111; c=1111; d=1111")], false),
    ];
    for (list, caught) in cases {
        let verdict =
            |strictness| policy("sensitive", DEFAULT_SENSITIVE, &[], strictness).scan(&headers(list));
        let found = verdict(Strictness::Hardened).finding.map(|finding| (finding.header, finding.difference));
        assert_eq!(found, caught.then(|| ("Cookie".to_owned(), Some("D-822"))), "{list:?}");
        let reference = verdict(Strictness::Reference);
        assert!(reference.finding.is_none() || list.len() > 1, "{list:?}");
    }
}

#[test]
fn d_823_reads_values_as_they_are_shown() {
    let base64 = "Basic dXNlcjpceDQxS0lBSU9TRk9ETk43RVhBTVBMRQ==";
    let cases: &[(&str, &str, bool)] = &[
        ("x-token", "&#65;KIAIOSFODNN7EXAMPLE", true),
        ("x-token", "a=%26%23x41%3BKIAIOSFODNN7EXAMPLE", true),
        ("x-token", "=?utf-8?Q?=41=4B=49=41IOSFODNN7EXAMPLE?=", true),
        ("authorization", "Basic dXNlcjomIzY1O0tJQUlPU0ZPRE5ON0VYQU1QTEU=", true),
        ("x-token", "a&amp;b &#8364; 100%25 =?utf-8?Q?=C3=A9?=", false),
        ("authorization", "Basic dXNlcjpwYXNzd29yZA==", false),
    ];
    for &(name, value, caught) in cases {
        let list = headers(&[(name, value)]);
        let verdict = |strictness| policy("sensitive", DEFAULT_SENSITIVE, &[], strictness).scan(&list);
        let found = verdict(Strictness::Hardened).finding.and_then(|finding| finding.difference);
        assert_eq!(found, caught.then_some("D-823"), "{value}");
        assert_eq!(verdict(Strictness::Reference), HeaderVerdict::default(), "{value}");
    }
    let high: Vec<u8> = K.bytes().map(|byte| byte | 0x80).chain(*b" &#65;").collect();
    let mut list = HeaderMap::new();
    list.insert("x-token", HeaderValue::from_bytes(&high).expect("a value"));
    let found = policy("sensitive", DEFAULT_SENSITIVE, &[], Strictness::Hardened).scan(&list).finding;
    assert_eq!(found.and_then(|finding| finding.difference), Some("D-823"));
    // Escapes in it are found as such.
    let login = policy("sensitive", DEFAULT_SENSITIVE, &[], Strictness::Hardened);
    assert!(login.scan(&headers(&[("authorization", base64)])).finding.is_some());
}

#[test]
fn d_824_reads_a_name_with_its_value() {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let all = |strictness| policy("all", &[], &["x-ignored-secret-access-key"], strictness);
    for (name, caught) in
        [("x-secret-access-key", true), ("x-ignored-secret-access-key", false), ("x-secret", false)]
    {
        let list = headers(&[("accept", "*/*"), (name, secret), ("x-zone", "a")]);
        let found = all(Strictness::Hardened).scan(&list).finding.and_then(|finding| finding.difference);
        assert_eq!(found, caught.then_some("D-824"), "{name}");
        assert_eq!(all(Strictness::Reference).scan(&list).finding, None, "{name}");
    }
}

#[test]
fn prints_names_in_canonical_form() {
    for (name, wanted) in
        [("x-api-key", "X-Api-Key"), ("TE", "Te"), ("", ""), ("a--b", "A--B"), ("x_y-z", "X_y-Z")]
    {
        assert_eq!(canonical(name), wanted);
    }
}

#[test]
fn warn_rules_do_not_make_headers_unclean() {
    let mut rules = dlp::builtin_rules().to_vec();
    let mut own = rules[0].clone();
    own.name = "Acme Id".into();
    own.regex = "ACME-[0-9]{6}".into();
    own.warn = true;
    rules.push(own);
    let settings = dlp::Settings { rules, ..dlp::Settings::default() };
    let scanner = Arc::new(Scanner::new(settings).expect("compiles"));
    let policy = HeaderPolicy { scanner, ..policy("sensitive", &["X-Token"], &[], Strictness::Reference) };
    let verdict = policy.scan(&headers(&[("x-token", "id ACME-123456")]));
    assert!(verdict.finding.is_none());
    assert_eq!(verdict.warnings.first().map(|hit| &*hit.name), Some("Acme Id"));
}
