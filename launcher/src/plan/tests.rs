use super::*;

fn manifest(bottle: &str) -> Manifest {
    let text = format!(
        r#"{{"bottles":{{"b":{bottle}}},"agents":{{"a":{{"bottle":"b","image":"i","command":["c"]}}}}}}"#
    );
    Manifest::parse("bottles.json", &text).unwrap()
}

fn plan(bottle: &str, variables: &Variables) -> Plan {
    Plan::new(&manifest(bottle), "a", "a", &[], variables).unwrap()
}

const BOTTLES: [&str; 12] = [
    "{}",
    r#"{"egress":{"defaults":false}}"#,
    r#"{"egress":{"defaults":false,"allowlist":["x.example"]}}"#,
    r#"{"egress":{"allowlist":["*.npmjs.org","github.com"]}}"#,
    r#"{"egress":{"tls_interception":false}}"#,
    r#"{"egress":{"passthrough":["bank.example","a.example"]}}"#,
    r#"{"egress":{"routes":[{"host":"api.anthropic.com"}]}}"#,
    r#"{"egress":{"routes":[{"host":"api.openai.com"}]}}"#,
    r#"{"ssh":[{"Host":"g","Hostname":"git.example.net"}]}"#,
    r#"{"ssh":[{"Host":"g","Hostname":"10.20.30.40"},{"Host":"h","Hostname":"git.example.net"}]}"#,
    r#"{"supervise":true}"#,
    r#"{"env":{"A":"literal-value","B":{"from_host":"HOST_TOKEN"}},"egress":{"allowlist":["under_score.example"]}}"#,
];

#[test]
fn the_configuration_has_its_keys_in_order_and_its_lists_sorted() {
    let bottle = r#"{"ssh":[{"Hostname":"git.test"},{"Hostname":"10.0.0.9"}],
        "egress":{"defaults":false,"allowlist":["zeta.example","localhost"],"routes":[{"host":"api.anthropic.com"}]}}"#;
    let subnet = "172.20.0.0/16".parse().unwrap();
    let want = r#"version: 1
mode: strict
enforce: true
api_allowlist:
  - "10.0.0.9"
  - "api.anthropic.com"
  - "git.test"
  - "localhost"
  - "zeta.example"
forward_proxy:
  enabled: true
trusted_domains:
  - "git.test"
ssrf:
  ip_allowlist:
    - "10.0.0.9/32"
    - "172.20.0.0/16"
dlp:
  include_defaults: true
  scan_env: true
request_body_scanning:
  enabled: true
  action: block
  scan_headers: true
tls_interception:
  enabled: true
  ca_cert: /etc/pipelock-ca.pem
  ca_key: /etc/pipelock-ca-key.pem
  passthrough_domains:
    - "10.0.0.9"
    - "api.anthropic.com"
    - "git.test"
seed_phrase_detection:
  enabled: false
"#;
    assert_eq!(plan(bottle, &Variables::default()).sidecar_config(Some(subnet)), want);
}

#[test]
fn every_configuration_loads_in_the_proxy_with_the_same_allowlist() {
    let dir = tempfile::tempdir().unwrap();
    // The files that the sidecar finds at their place: the proxy checks that they are there.
    let stage = crate::stage::Stage::claim(&dir.path().join("stages"), "a").unwrap().unwrap();
    crate::ca::create(&stage).unwrap();
    let [certificate, key] =
        [crate::ca::CERT, crate::ca::KEY].map(|name| stage.path(name).display().to_string());
    for bottle in BOTTLES {
        let variables = Variables { default_allowlist: None, ..Variables::default() };
        let plan = plan(bottle, &variables);
        for subnet in [None, Some("172.31.4.0/24".parse().unwrap())] {
            let yaml = plan.sidecar_config(subnet);
            assert_eq!(yaml, plan.sidecar_config(subnet), "same bytes for the same input");
            let here = yaml.replace(path::CA_CERT, &certificate).replace(path::CA_KEY, &key);
            let loaded = muselet::config::Config::parse(here.as_bytes(), dir.path());
            let config = loaded.unwrap_or_else(|e| panic!("{bottle}: {e}\n{yaml}"));
            let nothing = vec!["nothing.invalid".to_owned()];
            let allowed = if plan.egress.allowlist.is_empty() { &nothing } else { &plan.egress.allowlist };
            assert_eq!(&config.api_allowlist.to_vec(), allowed, "{bottle}");
            assert!(config.forward_proxy.enabled && config.request_body_scanning.enabled, "{bottle}");
            assert_eq!(config.tls_interception.enabled, plan.egress.tls_interception, "{bottle}");
        }
    }
}

#[test]
fn no_value_of_the_environment_is_in_the_configuration_or_the_plan() {
    let plan = plan(BOTTLES[11], &Variables::default());
    let shown = format!("{}{}{}", plan.sidecar_config(None), plan.to_json(), crate::preflight::text(&plan));
    assert!(!shown.contains("literal-value") && shown.contains("under_score.example"));
    assert_eq!(plan.to_json()["env"], serde_json::json!(["A", "B"]));
}

#[test]
fn a_hostile_variable_cannot_leave_its_string() {
    let variables = Variables {
        default_allowlist: Some("evil\"]\nmode:_audit,ok.example".into()),
        ..Variables::default()
    };
    let yaml = plan("{}", &variables).sidecar_config(None);
    assert!(yaml.contains("  - \"evil\\\"]\"\n") && !yaml.contains("\nmode:_audit"), "{yaml}");
}

#[test]
fn the_environment_of_the_agent_has_both_spellings_and_trust_only_with_interception() {
    let with = crate::agent::environment(&plan(
        r#"{"supervise":true,"env":{"NO_PROXY":"mine"}}"#,
        &Variables::default(),
    ));
    for wanted in [
        "HTTPS_PROXY=http://claude-bottle-pipelock-a:8888",
        "http_proxy=http://claude-bottle-pipelock-a:8888",
        "no_proxy=localhost,127.0.0.1,supervise",
        "NODE_EXTRA_CA_CERTS=/usr/local/share/ca-certificates/claude-bottle-mitm-ca.crt",
        "PIP_CERT=/etc/ssl/certs/ca-certificates.crt",
    ] {
        assert!(with.iter().any(|v| v == wanted), "{wanted} in {with:?}");
    }
    assert_eq!(with.last().unwrap(), "NO_PROXY=mine", "the bottle's own comes last");
    let without =
        crate::agent::environment(&plan(r#"{"egress":{"tls_interception":false}}"#, &Variables::default()));
    assert!(!without.iter().any(|v| v.starts_with("SSL_CERT_FILE")), "{without:?}");
}

#[test]
fn a_value_from_the_host_goes_with_the_command_and_is_missed_by_name() {
    let plan = plan(BOTTLES[11], &Variables::default());
    assert!(!crate::agent::environment(&plan).iter().any(|v| v.starts_with("B=")));
    let spec =
        crate::agent::command(&plan, vec!["c".into()], false, |name| Ok(format!("of-{name}"))).unwrap();
    assert_eq!(spec.env, ["B=of-HOST_TOKEN"]);
    let error = crate::agent::command(&plan, vec![], false, |_| Err(std::env::VarError::NotPresent))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("\"b\"") && error.contains("env.B") && error.contains("HOST_TOKEN"), "{error}");
}

#[test]
fn mounts_are_relative_to_the_manifest() {
    let text = r#"{"bottles":{"b":{}},"agents":{"a":{"bottle":"b","image":"i",
        "mounts":[{"source":"src","target":"/work"},{"source":"/abs","target":"/abs","read_only":true}]}}}"#;
    let mut manifest = Manifest::parse("bottles.json", text).unwrap();
    manifest.path = "/some/where/bottles.json".into();
    let plan = Plan::new(&manifest, "a", "a", &[], &Variables::default()).unwrap();
    assert_eq!(plan.mounts[0].source, "/some/where/src");
    assert_eq!(plan.mounts[1].source, "/abs");
}

#[test]
fn a_mount_that_gives_the_engine_away_is_warned_of() {
    for (source, wanted) in [
        ("/var/run/docker.sock", 1),
        ("/run", 1),
        ("/", 1),
        ("/run/user/1000/docker.sock", 1),
        ("/run/dock", 0),
        ("/work", 0),
    ] {
        let text = format!(
            r#"{{"bottles":{{"b":{{}}}},"agents":{{"a":{{"bottle":"b","image":"i","mounts":[{{"source":"{source}","target":"/x"}}]}}}}}}"#
        );
        let manifest = Manifest::parse("bottles.json", &text).unwrap();
        let plan = Plan::new(&manifest, "a", "a", &[], &Variables::default()).unwrap();
        assert_eq!(plan.warnings.len(), wanted, "{source}: {:?}", plan.warnings);
    }
}
