use super::*;

const ALL: &[&str] = &[
    "aws-access-key",
    "google-api-key",
    "github-token",
    "slack-token",
    "jwt",
    "ssh-private-key",
    "ssn",
    "ad-user",
    "hash-sha512",
    "credit-card",
    "hash-sha256",
    "hash-sha1",
    "hash-md5",
    "cidr",
    "ipv4",
    "ipv6",
    "mac",
    "email",
    "fqdn",
];

fn redactor(classes: &[&str], limits: Limits) -> Redactor {
    Redactor::new(&Settings {
        profile: "p".to_owned(),
        classes: classes.iter().map(|&class| class.to_owned()).collect(),
        dictionaries: Vec::new(),
        limits,
    })
    .expect("known classes")
}

fn rewritten(redactor: &Redactor, body: &[u8]) -> Result<String, Refusal> {
    redactor.rewrite(body).map(|done| String::from_utf8(done.body).expect("UTF-8"))
}

#[test]
fn rewrites_bodies_as_specified() {
    let all = redactor(ALL, Limits::default());
    let aws = redactor(&["aws-access-key"], Limits::default());
    let cases: &[(&Redactor, &[u8], Result<&str, Refusal>)] = &[
        (
            &all,
            br#"{"ip":"10.0.0.1 10.0.0.2 10.0.0.1"}"#,
            Ok(r#"{"ip":"<pl:ipv4:1> <pl:ipv4:2> <pl:ipv4:1>"}"#),
        ),
        (
            &all,
            br#"{"t":"user@example.com and example.com and CORP\\user1"}"#,
            Ok(r#"{"t":"<pl:email:1> and <pl:fqdn:1> and <pl:ad-user:1>"}"#),
        ),
        (&all, br#"{ "b": 1.0, "a": 1e5 }"#, Ok(r#"{"a":1e5,"b":1.0}"#)),
        (&all, br#"{"b":"10.0.0.2","a":"10.0.0.1"}"#, Ok(r#"{"a":"<pl:ipv4:1>","b":"<pl:ipv4:2>"}"#)),
        (&all, br#"{"10.0.0.1":"10.0.0.1"}"#, Ok(r#"{"<pl:ipv4:1>":"<pl:ipv4:1>"}"#)),
        (&all, br#"{"<pl:ipv4:1>":1,"10.0.0.1":2}"#, Err(Refusal::KeyCollision)),
        (&all, br#"{"a":1,"a":2}"#, Err(Refusal::DuplicateObjectKey)),
        (&all, br#"[[{"x":{"a":1,"\u0061":2}}]]"#, Err(Refusal::DuplicateObjectKey)),
        (&all, b"{\"\xff\":1,\"\xfe\":2}", Err(Refusal::DuplicateObjectKey)),
        (&all, br#"{"n":4111111111111112}"#, Err(Refusal::SecretInNumericScalar)),
        (&all, br#"{"n":41111111111111111}"#, Ok(r#"{"n":41111111111111111}"#)),
        (&all, br#""10.0.0.1""#, Ok(r#""<pl:ipv4:1>""#)),
        (&all, b"  ", Err(Refusal::BodyUnparseable)),
        (&all, br#"{"a":1}x"#, Err(Refusal::BodyUnparseable)),
        (&all, b"\xef\xbb\xbf{}", Err(Refusal::BodyUnparseable)),
        (
            &aws,
            br#"{"prompt":"use AKIAIOSFODNN7EXAMPLE now"}"#,
            Ok(r#"{"prompt":"use <pl:aws-access-key:1> now"}"#),
        ),
        (&aws, br#"{"b": 1, "a": 2}"#, Ok(r#"{"a":2,"b":1}"#)),
        (
            &aws,
            br#"{"x":"AKIAIOSFODNN7EXAMPLE","y":"AKIAIOSFODNN7EXAMPLE"}"#,
            Ok(r#"{"x":"<pl:aws-access-key:1>","y":"<pl:aws-access-key:1>"}"#),
        ),
        (&aws, br#"{"AKIAIOSFODNN7EXAMPLE":"v"}"#, Ok(r#"{"<pl:aws-access-key:1>":"v"}"#)),
        (&aws, br#"{"n":1e999}"#, Ok(r#"{"n":1e999}"#)),
        (
            &aws,
            br#"[true,false,null,-0,"\u2028<>&\u0001\ud800"]"#,
            Ok("[true,false,null,-0,\"\\u2028<>&\\u0001\u{fffd}\"]"),
        ),
    ];
    for (redactor, body, wanted) in cases {
        let found = rewritten(redactor, body);
        assert_eq!(found.as_deref(), wanted.as_ref().copied(), "{}", body.escape_ascii());
    }
}

#[test]
fn redacts_strings_as_specified() {
    let all = redactor(ALL, Limits::default());
    let cases: &[(&str, &str)] = &[
        ("10.0.0.0/8", "<pl:cidr:1>"),
        ("10.0.0.0/33", "<pl:ipv4:1>/33"),
        ("10.0.0.256", "10.0.0.256"),
        ("10.0.0.01", "10.0.0.01"),
        ("v10.0.0.1", "v10.0.0.1"),
        ("1.2.3.4.5", "<pl:ipv4:1>.5"),
        ("::1", "<pl:ipv6:1>"),
        ("fe80::1", "<pl:ipv6:1>"),
        ("dead::beef", "<pl:ipv6:1>"),
        ("a::b", "<pl:ipv6:1>"),
        ("2001:db8::", "2001:db8::"),
        ("::", "::"),
        ("std::cout", "std::cout"),
        ("AKIAAAAAAAAAAAAAAAAAA", "AKIAAAAAAAAAAAAAAAAAA"),
        ("akiaaaaaaaaaaaaaaaaa", "akiaaaaaaaaaaaaaaaaa"),
        ("xAKIAIOSFODNN7EXAMPLE", "xAKIAIOSFODNN7EXAMPLE"),
        ("foo.py", "<pl:fqdn:1>"),
        ("example.com:443", "<pl:fqdn:1>:443"),
        ("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----"),
        ("-----BEGIN RSA PRIVATE KEY-----", "<pl:ssh-private-key:1>"),
        ("000-00-0000", "<pl:ssn:1>"),
        ("\u{e9}10.0.0.1\u{e9}", "\u{e9}<pl:ipv4:1>\u{e9}"),
        ("00:1a:2B:3c:4d:5e", "<pl:mac:1>"),
    ];
    for (text, wanted) in cases {
        let mut body = Vec::new();
        crate::json::push_escaped(text, &mut body);
        let mut expected = Vec::new();
        crate::json::push_escaped(wanted, &mut expected);
        assert_eq!(rewritten(&all, &body).as_deref().ok(), std::str::from_utf8(&expected).ok(), "{text}");
    }
}

#[test]
fn keeps_to_the_limits() {
    let deep = |levels: usize| [b"{\"a\":".repeat(levels), b"1".to_vec(), b"}".repeat(levels)].concat();
    let ips = ["ipv4"];
    let limits = |bytes, redactions, depth| Limits {
        max_body_bytes: bytes,
        max_redactions: redactions,
        max_depth: depth,
    };
    let cases: &[(Limits, Vec<u8>, Option<Refusal>)] = &[
        (Limits::default(), deep(64), None),
        (Limits::default(), deep(65), Some(Refusal::JsonDepthExceeded)),
        (limits(0, 0, 1), br#"{"a":{"b":"x"}}"#.to_vec(), Some(Refusal::JsonDepthExceeded)),
        (limits(0, 0, 1), br#"{"a":"x"}"#.to_vec(), None),
        (limits(0, 0, 1000), deep(256), None),
        (limits(0, 0, 1000), deep(257), Some(Refusal::JsonDepthExceeded)),
        (
            limits(0, 3, 0),
            br#"["10.0.0.1 10.0.0.2","10.0.0.3 10.0.0.4"]"#.to_vec(),
            Some(Refusal::RedactionOverflow),
        ),
        (limits(0, 1, 0), br#"{"x":"10.0.0.1 10.0.0.2"}"#.to_vec(), Some(Refusal::RedactionOverflow)),
        (limits(0, 1, 0), br#"{"x":"10.0.0.1 10.0.0.1"}"#.to_vec(), None),
        (limits(4, 0, 0), b"[12]".to_vec(), None),
        (limits(4, 0, 0), b"[123]".to_vec(), Some(Refusal::BodyTooLarge)),
    ];
    for (limits, body, wanted) in cases {
        let found = redactor(&ips, *limits).rewrite(body).err();
        assert_eq!(found, *wanted, "{limits:?} {}", body.escape_ascii());
    }
}

#[test]
fn dictionaries_beat_classes_by_priority() {
    let dictionary = |class: &str, entries: &[&str], priority| Dictionary {
        name: "d".to_owned(),
        class: class.to_owned(),
        entries: entries.iter().map(|&entry| entry.to_owned()).collect(),
        case_insensitive: true,
        word_boundary: true,
        priority,
    };
    let build = |dictionaries| {
        Redactor::new(&Settings {
            profile: "p".to_owned(),
            classes: vec!["fqdn".to_owned()],
            dictionaries,
            limits: Limits::default(),
        })
    };
    let cases: &[(Dictionary, &[u8], &str)] = &[
        (dictionary("host", &["dc01"], 51), br#""dc01.corp.local""#, r#""<pl:host:1>.corp.local""#),
        (dictionary("host", &["dc01"], 49), br#""dc01.corp.local""#, r#""<pl:fqdn:1>""#),
        (
            dictionary("codename", &["", "bluebird", "bluebird"], 0),
            br#""Bluebird, bluebirds""#,
            r#""<pl:codename:1>, bluebirds""#,
        ),
        (dictionary("x", &["ab", "ab cd"], 0), br#""ab cd ab""#, r#""<pl:x:1> <pl:x:2>""#),
    ];
    for (dictionary, body, wanted) in cases {
        let redactor = build(vec![dictionary.clone()]).expect("compiles");
        assert_eq!(rewritten(&redactor, body).as_deref(), Ok(*wanted), "{dictionary:?}");
    }
    let empty = build(vec![dictionary("x", &[""], 0)]).expect_err("no entries");
    assert_eq!(empty, CompileError::EmptyDictionary { name: "d".to_owned() });
}

#[test]
fn counts_replacements_and_keeps_values_out_of_debug() {
    let all = redactor(ALL, Limits::default());
    let done = all.rewrite(br#"["10.0.0.1","10.0.0.1","a@b.example"]"#).expect("rewritten");
    assert_eq!((done.total, done.by_class["ipv4"], done.by_class["email"]), (3, 2, 1));
    assert!(!format!("{done:?}").contains("pl:"));
}
