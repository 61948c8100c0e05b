//! What no recording shows: the second pass at start, files and their modes, agents and licences, value grammars, hashes,
//! presets. The worked documents themselves are replayed by the tests crate.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ring::signature::KeyPair as _;

use super::*;

fn surroundings() -> Surroundings {
    Surroundings { temp_dir: "/tmp".to_owned(), home: Some("/home/u".to_owned()), ..Surroundings::default() }
}

fn exact() -> Surroundings {
    Surroundings { strictness: Strictness::Reference, ..surroundings() }
}

fn load(yaml: &str, surroundings: &Surroundings) -> Result<Loaded, String> {
    Config::parse_in(yaml.as_bytes(), Path::new("/nowhere"), surroundings).map_err(|error| error.to_string())
}

fn accepted(yaml: &str) -> Config {
    match load(yaml, &exact()) {
        Ok(loaded) => loaded.config,
        Err(error) => panic!("{yaml:?}: {error}"),
    }
}

fn refused(yaml: &str) -> String {
    match load(yaml, &exact()) {
        Ok(_) => panic!("{yaml:?} was accepted"),
        Err(error) => error,
    }
}

#[test]
fn the_second_pass_refuses_what_one_dot_fewer_makes_wrong() {
    for (yaml, error) in [
        (
            "trusted_domains: [\"*.com..\"]",
            "invalid config: trusted_domains[0] \"*.com.\": wildcard must target a concrete domain like *.example.com",
        ),
        (
            "fetch_proxy: {monitoring: {subdomain_entropy_exclusions: [\"*.com.\"]}}",
            "invalid config: subdomain_entropy_exclusions[0] \"*.com\": wildcard must target a concrete domain like *.example.com",
        ),
        (
            "fetch_proxy: {monitoring: {subdomain_entropy_exclusions: [\".\"]}}",
            "invalid config: subdomain_entropy_exclusions[0] is empty",
        ),
    ] {
        let (_, result) = accepted(yaml).finish(&exact());
        assert_eq!(result.map_err(|error| error.to_string()), Err(error.to_owned()), "{yaml:?}");
    }
}

#[test]
fn refuses_at_once_what_the_reference_refuses_at_the_second_look() {
    for yaml in [
        "trusted_domains: [\"*.com..\"]",
        "fetch_proxy: {monitoring: {subdomain_entropy_exclusions: [\"*.com.\"]}}",
        "fetch_proxy: {monitoring: {subdomain_entropy_exclusions: [\".\"]}}",
    ] {
        let error = load(yaml, &surroundings()).map(|loaded| loaded.config).expect_err(yaml);
        assert!(error.ends_with("(D-301)"), "{yaml:?}: {error}");
    }
    assert!(load("trusted_domains: [\"a.example.\"]", &surroundings()).is_ok());
}

#[test]
fn the_second_pass_changes_nothing_else() {
    for yaml in [
        "",
        "mode: audit",
        "dlp: {patterns: [{name: X, regex: y}]}",
        "airlock: {}\nsession_profiling: {enabled: true}",
    ] {
        let first = accepted(yaml);
        let mut second = first.clone();
        assert!(second.finish(&exact()).1.is_ok(), "{yaml:?}");
        assert_eq!(second, first, "{yaml:?}");
    }
    let mut none = Config::without_file("/tmp");
    assert!(none.finish(&exact()).1.is_ok());
}

#[test]
fn the_environment_may_bring_the_admin_token() {
    let yaml = "kill_switch: {api_listen: \"127.0.0.1:9999\"}";
    let with_token = |strictness| Surroundings { has_kill_switch_token: true, strictness, ..surroundings() };
    assert!(load(yaml, &with_token(Strictness::Hardened)).is_ok());
    assert!(load(yaml, &with_token(Strictness::Reference)).is_err());
    assert!(load(yaml, &surroundings()).is_err());
}

#[test]
fn remarks_on_settings_that_do_not_do_what_they_seem_to() {
    let fields = |yaml: &str, surroundings: &Surroundings| -> Vec<&'static str> {
        let loaded = load(yaml, surroundings).unwrap_or_else(|error| panic!("{yaml:?}: {error}"));
        loaded.advisories.iter().map(|advisory| advisory.field).collect()
    };
    for (yaml, field) in [
        ("version: 99", "version"),
        ("mode: audit", "mode"),
        ("redaction: {strict_reload: true}", "redaction.strict_reload"),
        ("fetch_proxy: {listen: '127.0.0.1:99999'}", "fetch_proxy.listen"),
        ("airlock: {enabled: true}\nsession_profiling: {enabled: true}", "airlock.triggers"),
        (
            "cross_request_detection: {enabled: true, fragment_reassembly: {enabled: true}}",
            "bind_default_agent_identity",
        ),
        (
            "session_profiling: {enabled: true}\nadaptive_enforcement: {enabled: true, escalation_threshold: 5}",
            "bind_default_agent_identity",
        ),
        ("mode: strict\napi_allowlist: ['https://a.test/']", "api_allowlist"),
        ("mode: strict\napi_allowlist: ['$HOST']", "api_allowlist"),
        ("api_allowlist: [a.test]", "api_allowlist"),
        ("fetch_proxy: {listen: 'http://127.0.0.1:8888'}", "fetch_proxy.listen"),
        ("kill_switch: {api_token: '${TOKEN}'}", "kill_switch.api_token"),
        (
            "request_body_scanning: {enabled: true, sensitive_headers: ['X-Key: v']}",
            "request_body_scanning.sensitive_headers",
        ),
        ("fetch_proxy: {monitoring: {blocklist: ['a.test:443']}}", "fetch_proxy.monitoring.blocklist"),
        ("fetch_proxy: {monitoring: {blocklist: ['*a.test']}}", "fetch_proxy.monitoring.blocklist"),
        ("fetch_proxy: {monitoring: {blocklist: ['10.0.0.0/8']}}", "fetch_proxy.monitoring.blocklist"),
        ("fetch_proxy: {monitoring: {blocklist: ['.a.test']}}", "fetch_proxy.monitoring.blocklist"),
        ("fetch_proxy: {monitoring: {blocklist: ['b\u{fc}cher.test']}}", "fetch_proxy.monitoring.blocklist"),
        ("tls_interception: {passthrough_domains: ['*']}", "tls_interception.passthrough_domains"),
        ("forward_proxy: {redirect_websocket_hosts: ['a b']}", "forward_proxy.redirect_websocket_hosts"),
        ("suppress: [{rule: Jailbrake Attempt, path: '*'}]", "suppress"),
        ("suppress: [{rule: AWS Access ID, path: '*'}]", "suppress"),
    ] {
        assert_eq!(fields(yaml, &surroundings()), [field], "{yaml:?}");
        assert!(fields(yaml, &exact()).is_empty(), "{yaml:?}");
    }
    assert!(fields("mode: audit\nenforce: false", &surroundings()).is_empty());
    let usual = "fetch_proxy: {monitoring: {blocklist: [A.test., '*.b.test', '2001:db8::1', 192.0.2.1, localhost, x_y-z]}}";
    assert!(fields(usual, &surroundings()).is_empty());
    let suppressed = "suppress: [{rule: prompt injection, path: '*'}, {rule: own, path: '*'}]\nresponse_scanning: {patterns: [{name: Own, regex: zzz}]}";
    assert!(fields(suppressed, &surroundings()).is_empty());
}

#[test]
fn advises_about_exposed_listeners_and_dormant_lists() {
    for (yaml, fields) in [
        ("fetch_proxy: {listen: \"0.0.0.0:8888\"}", &["fetch_proxy.listen", "fetch_proxy.listen"] as &[&str]),
        ("fetch_proxy: {listen: \":8888\"}", &["fetch_proxy.listen"]),
        ("fetch_proxy: {listen: \"10.0.0.1:8888\"}", &["fetch_proxy.listen"]),
        ("fetch_proxy: {listen: \"myhost:8888\"}", &[]),
        ("websocket_proxy: {enabled: true, max_message_bytes: 8388608}", &["websocket_proxy"]),
        ("response_scanning: {enabled: false, exempt_domains: [A.B]}", &["response_scanning.exempt_domains"]),
    ] {
        let loaded = load(yaml, &exact()).unwrap_or_else(|error| panic!("{yaml:?}: {error}"));
        let named: Vec<_> = loaded.advisories.iter().map(|advisory| advisory.field).collect();
        assert_eq!(named, fields, "{yaml:?}: {:?}", loaded.advisories);
    }
}

fn fixture(files: &[(&str, &str, u32)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, text, mode) in files {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).expect("permissions");
    }
    dir
}

#[test]
fn checks_who_may_read_files() {
    const TLS: &str = "tls_interception: {enabled: true, ca_cert: ca.pem, ca_key: k.pem}";
    let cases: &[(&str, &[(&str, &str, u32)], Option<&str>)] = &[
        (TLS, &[("ca.pem", "", 0o644), ("k.pem", "", 0o600)], None),
        (TLS, &[("ca.pem", "", 0o644), ("k.pem", "", 0o640)], None),
        (
            TLS,
            &[("ca.pem", "", 0o644), ("k.pem", "", 0o644)],
            Some("invalid config: CA key DIR/k.pem is too permissive (mode 0644): restrict to 0600 or 0640"),
        ),
        (
            TLS,
            &[("ca.pem", "", 0o644), ("k.pem", "", 0o700)],
            Some("invalid config: CA key DIR/k.pem is too permissive (mode 0700): restrict to 0600 or 0640"),
        ),
        ("dlp: {secrets_file: s.txt}", &[("s.txt", "", 0o600)], None),
        ("dlp: {secrets_file: s.txt}", &[("s.txt", "", 0o700)], None),
        (
            "dlp: {secrets_file: s.txt}",
            &[("s.txt", "", 0o644)],
            Some(
                "invalid config: secrets_file \"DIR/s.txt\" has unsafe permissions (mode 0644): restrict to 0600 or 0640",
            ),
        ),
        ("license_file: l.tok\nlicense_key: inline", &[("l.tok", " tok \n", 0o640)], None),
        (
            "license_file: l.tok",
            &[("l.tok", "  \n", 0o600)],
            Some("license key: license_file l.tok is empty"),
        ),
        (
            "license_file: l.tok",
            &[("l.tok", "t", 0o644)],
            Some("license key: license_file l.tok is too permissive (mode 0644): restrict to 0600 or 0640"),
        ),
    ];
    for (yaml, files, error) in cases {
        let dir = fixture(files);
        let path = dir.path().join("c.yaml");
        std::fs::write(&path, yaml).expect("a file");
        let outcome = Config::load_in(&path, &exact());
        let text =
            outcome.as_ref().err().map(|e| e.to_string().replace(&dir.path().display().to_string(), "DIR"));
        assert_eq!(text.as_deref(), *error, "{yaml:?} {files:?}");
        if let Ok(loaded) = outcome
            && yaml.starts_with("license_file")
        {
            assert_eq!(loaded.config.license_key.expose(), "tok");
        }
    }
    let dir = fixture(&[("l.tok", &"x".repeat(16_385), 0o600)]);
    let outcome = Config::parse_in(b"license_file: l.tok", dir.path(), &exact());
    assert_eq!(
        outcome.map(|_| ()).map_err(|e| e.to_string()),
        Err("license key: license_file l.tok exceeds 16384 bytes".to_owned())
    );
}

#[test]
fn names_a_file_that_cannot_be_read() {
    let error =
        Config::load_in(Path::new("/nowhere/./p.yaml"), &exact()).map(|_| ()).map_err(|e| e.to_string());
    assert_eq!(
        error,
        Err("reading config /nowhere/./p.yaml: open /nowhere/p.yaml: no such file or directory".to_owned())
    );
}

#[test]
fn takes_the_licence_from_the_environment_first() {
    let with = |key: &str| Surroundings { licence_key: key.into(), ..exact() };
    let key = |yaml: &str, surroundings: &Surroundings| {
        load(yaml, surroundings).map(|loaded| loaded.config.license_key.expose().to_owned())
    };
    assert_eq!(key("license_file: missing", &with(" abc\n")), Ok("abc".to_owned()));
    assert_eq!(key("license_key: inl", &with("  ")), Ok("inl".to_owned()));
}

#[test]
fn drops_named_agents_without_a_licence() {
    let kept = |yaml: &str| {
        let loaded = load(yaml, &exact()).unwrap_or_else(|error| panic!("{yaml:?}: {error}"));
        let names: Vec<String> = loaded.config.agents.keys().cloned().collect();
        (names, loaded.warnings)
    };
    let (names, warnings) = kept("agents: {a: {mode: bogus}, _default: {mode: audit}}");
    assert_eq!(names, ["_default"]);
    assert_eq!(
        warnings,
        [
            "WARNING: agents: section requires a license key. Multi-agent profiles disabled. Single-agent protection is active."
        ]
    );
    let (names, warnings) = kept("license_key: x\nagents: {a: {mode: strict}}");
    assert!(names.is_empty());
    assert!(warnings[0].starts_with("WARNING: no license public key available."), "{warnings:?}");
    assert_eq!(kept("agents: {_default: {mode: strict}}"), (vec!["_default".to_owned()], Vec::new()));
}

#[test]
fn keeps_named_agents_under_a_valid_licence() {
    use base64::Engine as _;
    let key = ring::signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes");
    let token = |claims: &str| {
        let signature = key.sign(claims.as_bytes());
        let signed = [claims.as_bytes(), signature.as_ref()].concat();
        format!("pipelock_lic_v1_{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signed))
    };
    let public = data_encoding::HEXLOWER.encode(key.public_key().as_ref());
    let agents = |claims: &str, public: &str| {
        let yaml = format!(
            "license_key: {}\nlicense_public_key: \"{public}\"\nagents: {{a: {{mode: audit}}}}",
            token(claims)
        );
        let loaded = load(&yaml, &Surroundings { now_unix: 1000, ..exact() }).expect("a valid configuration");
        (loaded.config.agents.len(), loaded.config.license_expires_at)
    };
    assert_eq!(agents(r#"{"features":["agents"],"exp":2000}"#, &public), (1, 2000));
    assert_eq!(agents(r#"{"features":["agents"]}"#, &public), (1, 0));
    assert_eq!(agents(r#"{"features":["agents"],"exp":999}"#, &public), (0, 0));
    assert_eq!(agents(r#"{"features":["other"]}"#, &public), (0, 0));
    assert_eq!(agents(r#"{"features":["agents"]}"#, &"0".repeat(64)), (0, 0));
}

#[test]
fn checks_agent_profiles_of_the_release_build() {
    for (yaml, error) in [
        (
            "{_default: {mode: bogus}}",
            "agent \"_default\": invalid mode \"bogus\": must be strict, balanced, or audit",
        ),
        (
            "{_default: {budget: {dow_action: ask}}}",
            "agents._default.budget: invalid dow_action \"ask\": must be block or warn",
        ),
        (
            "{_default: {listeners: [\":8888\"]}}",
            "agent \"_default\": listener \":8888\" collides with fetch_proxy.listen (wildcard binds all interfaces)",
        ),
        (
            "{_default: {listeners: [\":9\", \"[::]:9\"]}}",
            "agent \"_default\": listener \"[::]:9\" collides with agent \"_default\" listener",
        ),
        (
            "{_default: {source_cidrs: [\"10.0.0.1\"]}}",
            "agent \"_default\": invalid source_cidrs entry \"10.0.0.1\": invalid CIDR address: 10.0.0.1",
        ),
        (
            "{_default: {budget: {max_requests_per_session: -1}}}",
            "agent \"_default\": budget.max_requests_per_session must be >= 0",
        ),
        (
            "{_default: {trusted_domains: [\"*\"]}}",
            "agent \"_default\" trusted_domains[0]: bare wildcard disables all SSRF protection",
        ),
        (
            "{_default: {dlp: {patterns: [{name: x, regex: y, validator: LUHN}]}}}",
            "agent \"_default\": DLP pattern \"x\" has unknown validator \"LUHN\" (valid: luhn, mod97, aba, wif)",
        ),
    ] {
        assert_eq!(refused(&format!("agents: {yaml}")), format!("invalid config: {error}"), "{yaml:?}");
    }
    let yaml = "agents: {_default: {dlp: {patterns: [{name: x, regex: y, action: block, severity: zz}]}}}";
    assert_eq!(accepted(yaml).agents.len(), 1);
    let identity = "default_agent_identity: deployment/x\nbind_default_agent_identity: true";
    assert_eq!(accepted(identity).default_agent_identity, "deployment/x");
}

/// The probes of config §2.13: accepted and refused texts of one key. `{}` stands for the quoted text.
#[test]
fn reads_value_grammars_as_the_reference_does() {
    let probes: &[(&str, &str, &[&str], &[&str])] = &[
        (
            "groups and flags",
            "dlp: {patterns: [{name: X, regex: {}}]}",
            &[
                "(?<n>a)",
                "(?P<n>a)",
                "(?P<1a>x)",
                "(?P<n>a)(?P<n>b)",
                "(?i-s:a)",
                "(?-i)a",
                "(?imsU)a",
                "()",
                "|a",
            ],
            &[
                "(?x)a", "(?#c)a", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)", "(?P=n)", "(?L)a",
                "(?^i)a", "(?i", "(?:a", "a)", "(?<n",
            ],
        ),
        (
            "repetition",
            "dlp: {patterns: [{name: X, regex: {}}]}",
            &["a{,5}", "a{", "a{1", "a{1,", "{", "}", "a{0}", "^*", "a{1000}", "(?:x{2}){3}", "\\pN+?"],
            &[
                "a++",
                "a*+",
                "a**",
                "x{2}{3}",
                "a{2,1}",
                "a{1001}",
                "x{0,1001}",
                "(?:a{30}){34}",
                "*a",
                "a|*",
                "{1}",
            ],
        ),
        (
            "escapes",
            "dlp: {patterns: [{name: X, regex: {}}]}",
            &[
                "\\Qa.b\\E",
                "\\Qabc",
                "\\A",
                "\\z",
                "\\B",
                "\\v",
                "\\a\\f",
                "\\x{10FFFF}",
                "\\xFF",
                "\\0",
                "\\07",
                "\\_",
                "\\-",
                "\\/",
                "\\ ",
                "\\<",
                "\\>",
                "\\b{start}",
                "\\pL",
                "\\pLu",
                "\\PL",
                "\\p{Greek}",
                "\\p{^L}",
            ],
            &[
                "\\Z", "\\C", "\\K", "\\h", "\\R", "\\X", "\\N", "\\e", "\\cA", "\\u0041", "\\1", "\\8",
                "\\xF", "\\E", "\\é", "\\p{Foo}", "\\",
            ],
        ),
        (
            "classes",
            "dlp: {patterns: [{name: X, regex: {}}]}",
            &[
                "[^]a]",
                "[]a]",
                "[a&&b]",
                "[[a]]",
                "[[.a.]]",
                "[\\d-z]",
                "[\\pL]",
                "[[:alpha:]]",
                "[[:^alpha:]]",
                "]",
            ],
            &["[z-a]", "[a-\\d]", "[[:foo:]]", "[a"],
        ),
        (
            "address ranges",
            "internal: [{}]",
            &["10.0.0.0/8", "10.0.0.5/8", "10.0.0.0/08", "0.0.0.0/0", "::1/128", "::ffff:10.0.0.0/104"],
            &[
                "10.0.0.0",
                "10.0.0.0/33",
                "10.0.0/8",
                "10.0.0.0/",
                "010.0.0.0/8",
                "0x0a.0.0.0/8",
                "fe80::1%eth0/64",
                " 1.2.3.4/32",
                "",
            ],
        ),
        (
            "listeners",
            "metrics_listen: {}",
            &[":9", "[::1]:80", "localhost:", ":", "x:http"],
            &["9", "::1:80", "a:b:c", "[::1]", "[::1]x:80", "http://a:80"],
        ),
        (
            "URLs",
            "emit: {webhook: {url: {}}}",
            &[
                "http://h",
                "HTTP://h",
                "http://:80",
                "http://h:",
                "http://u@h",
                "http://[::1]:80",
                "http://h?x",
            ],
            &[
                "h",
                "//h",
                "http:/h",
                "http://",
                "http://u@",
                "http://h:abc",
                "http://h h/",
                "http://[::1",
                "http://h/%zz",
                "ftp://h",
            ],
        ),
        (
            "durations",
            "scan_api: {listen: \":9\", auth: {bearer_tokens: [t]}, timeouts: {scan: {}}}",
            &["5s", "1h30m", "1.5h", "+5s", ".5s", "1.s", "1µs", "250ms", ""],
            &["0", "-0s", "-1s", "5", "1d", "1H", "1e3s", "5 s"],
        ),
        (
            "suppressed places",
            "suppress: [{rule: r, path: {}}]",
            &["a", "a[b]c*?", "*\\", "vendor/**", "[^a]", "[a-z]*"],
            &["a[", "foo[bar", "[]a]", "[a-]", "", "[b-a"],
        ),
    ];
    for (name, template, good, bad) in probes {
        let with = |text: &str| template.replace("{}", &serde_json::Value::from(text).to_string());
        for text in *good {
            let outcome = load(&with(text), &exact());
            assert!(outcome.is_ok(), "{name}: {text:?} refused: {:?}", outcome.map(|_| ()));
        }
        for text in *bad {
            assert!(load(&with(text), &exact()).is_err(), "{name}: {text:?} accepted");
        }
    }
}

/// The published policy hashes cover the reference's own spelling of the built-in expressions, which is not ours; so the
/// rules of the canonical text are tested one by one.
#[test]
fn hashes_files_and_policies() {
    assert_eq!(hash::of_file(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let policy = |yaml: &str| accepted(yaml).policy_text().unwrap_or_default();
    let empty = policy("");
    assert!(empty.starts_with(
        r#"{"Version":1,"Mode":"balanced","Enforce":null,"ExplainBlocks":null,"APIAllowlist":null,"#
    ));
    assert!(empty.ends_with(r#""TrustedDomains":null,"SSRF":{"IPAllowlist":null},"LicenseExpiresAt":0}"#));
    for part in [
        r#""FetchProxy":{"Listen":"","TimeoutSeconds":30,"#,
        r#""EntropyThreshold":4.5,"SubdomainEntropyThreshold":4,"#,
        r#""Logging":{"Format":"","Output":"","File":"","IncludeAllowed":false,"IncludeBlocked":false}"#,
        r#""Agents":null,"#,
        r#""Internal":["0.0.0.0/8","10.0.0.0/8","100.64.0.0/10","#,
        r#""ExemptDomains":null,"Action":"","Bundle":"","BundleVersion":"","Compiled":true}"#,
    ] {
        assert!(empty.contains(part), "{part}");
    }
    for (name, yaml) in [
        ("listeners", "fetch_proxy: {listen: \":1\"}\nmetrics_listen: \":2\""),
        ("logs", "logging: {format: text}\nemit: {webhook: {url: \"http://h\"}}"),
        (
            "order of sorted lists",
            "internal: [ff00::/8, 224.0.0.0/4, fe80::/10, fc00::/7, \"::1/128\", 100.64.0.0/10, 169.254.0.0/16, 192.168.0.0/16, 172.16.0.0/12, 10.0.0.0/8, 127.0.0.0/8, 0.0.0.0/8]",
        ),
    ] {
        assert_eq!(policy(yaml), empty, "{name} do not count");
    }
    assert!(
        policy("kill_switch: {message: \"<&>\\u2028\\t\\b\"}")
            .contains(r#""Message":"\u003c\u0026\u003e\u2028\t\b""#)
    );
    assert!(policy("emit: {}\nredaction: {profiles: {}}").contains(r#""Profiles":{},"#));
    assert_eq!(accepted("fetch_proxy: {monitoring: {entropy_threshold: .nan}}").policy_hash(), None);
    for (number, text) in
        [("1e21", "1e+21"), ("0.0000001", "1e-7"), ("123456789012.5", "123456789012.5"), ("2.0", "2")]
    {
        let yaml = format!("fetch_proxy: {{monitoring: {{entropy_threshold: {number}}}}}");
        assert!(policy(&yaml).contains(&format!(r#""EntropyThreshold":{text},"#)), "{number}");
    }
}

#[test]
fn generated_documents_hold_the_values_without_a_file() {
    for preset in [Preset::Balanced, Preset::Strict, Preset::Audit] {
        let document = preset.document("/tmp");
        let mut wanted = preset.config("/tmp");
        wanted.finish(&exact()).1.expect("valid");
        let mut found = accepted(&document);
        found.muselet = wanted.muselet.clone();
        found.finish(&exact()).1.expect("valid");
        let (found, wanted) = (found.effective_values(), wanted.effective_values());
        let differing: Vec<_> = wanted.keys().filter(|key| found.get(*key) != wanted.get(*key)).collect();
        assert!(differing.is_empty() && found.len() == wanted.len(), "{}: {differing:?}", preset.name());
    }
    assert_eq!(
        Preset::named("hostile-model").map(Preset::name),
        Err("unknown preset \"hostile-model\": choose strict, balanced, or audit".to_owned())
    );
}

#[test]
fn names_sections_that_nothing_acts_on() {
    assert!(accepted("").unimplemented_sections().is_empty());
    assert!(Config::defaults().unimplemented_sections().is_empty());
    let yaml = "flight_recorder: {enabled: true, dir: x}\nmcp_input_scanning: {enabled: true}";
    assert_eq!(accepted(yaml).unimplemented_sections(), ["flight_recorder"]);
}

#[test]
fn our_own_section_is_read_strictly() {
    let config = accepted(
        "muselet: {strictness: reference, decompress: true, held_mb: 64, dns: {listen: \"0.0.0.0:53\"}}",
    );
    assert_eq!(config.muselet.strictness, Strictness::Reference);
    assert!(config.muselet.decompress);
    for (yaml, part) in [
        ("muselet: {strict: true}", "field strict not found in type muselet.Settings"),
        ("muselet: {held_mb: -1}", "invalid muselet.held_mb -1: must not be negative"),
        ("muselet: {strictness: lax}", "invalid muselet.strictness \"lax\": must be reference or hardened"),
        (
            "muselet: {dns: {listen: \"53\"}}",
            "invalid muselet.dns.listen \"53\": address 53: missing port in address",
        ),
    ] {
        let error = refused(yaml);
        assert!(error.contains(part), "{yaml:?}: {error}");
    }
    let hardened = load("", &surroundings()).expect("valid").config;
    assert_eq!(hardened.muselet.strictness, Strictness::Hardened);
    assert_eq!(
        hardened.policy_hash(),
        accepted("").policy_hash(),
        "our section is not part of the policy hash"
    );
}

#[test]
fn a_refused_value_has_a_place_beside_the_text() {
    let error =
        Config::parse(b"muselet: {}\nmode: odd\n", Path::new("/etc")).map(|_| ()).expect_err("no such mode");
    assert_eq!(error.place(), Some("/etc/config.yaml:2:7 (mode)"));
    assert_eq!(error.told(true), format!("{error}\n  at /etc/config.yaml:2:7 (mode)"));
    assert_eq!(error.told(false), error.to_string());
    let invalid = "invalid config: invalid mode \"odd\": must be strict, balanced, or audit";
    assert_eq!(error.to_string(), invalid);
}

#[test]
fn a_rule_bundle_that_is_not_applied_is_named() {
    let dir = fixture(&[]);
    for name in ["b", "a", ".hidden", "old.bak"] {
        std::fs::create_dir(dir.path().join(name)).expect("a directory");
    }
    std::fs::write(dir.path().join("file"), "").expect("a file");
    let mut config = Config::defaults();
    config.rules.rules_dir = dir.path().display().to_string();
    let lines = config.skipped_bundles();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("bundle \"a\": not applied"), "{lines:?}");
}

#[test]
fn a_range_of_mapped_addresses_is_hinted_as_the_ipv4_range_that_it_is() {
    for (range, meant) in [
        ("::ffff:10.1.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.0/96", "0.0.0.0/0"),
        ("fd00::1/8", "fd00::/8"),
    ] {
        let why = refused(&format!("ssrf: {{ip_allowlist: [\"{range}\"]}}"));
        assert!(why.ends_with(&format!("has host bits set (did you mean \"{meant}\"?)")), "{range}: {why}");
    }
}
