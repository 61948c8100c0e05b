use super::*;

const FULL: &str = r#"{
  // a comment
  "bottles": {
    "default": {
      "env": { "GIT_AUTHOR_NAME": "bot", "TOKEN": { "from_host": "GITHUB_TOKEN" } },
      "ssh": [ { "Host": "git", "HOSTNAME": "git.example.net", "user": "git", "Port": 22 } ],
      "supervise": false, /* another */
      "egress": {
        "defaults": true,
        "allowlist": ["github.com", "*.npmjs.org",],
        "routes": [ { "Host": "api.anthropic.com", "paths": ["/v1"] } ],
        "tls_interception": true,
        "passthrough": [],
        "dlp": {}
      },
    },
  },
  "agents": {
    "implementer": { "bottle": "default", "image": "claude-code:local", "command": ["claude"], "workdir": "/work" }
  }
}"#;

#[test]
fn reads_json_with_comments_and_trailing_commas() {
    let manifest = Manifest::parse("bottles.json", FULL).unwrap();
    let (agent, bottle) = manifest.agent("implementer").unwrap();
    assert_eq!(agent.command, ["claude"]);
    assert_eq!(bottle.ssh[0].hostname.as_deref(), Some("git.example.net"));
    assert_eq!(bottle.ssh[0].port, Some(22));
    assert_eq!(bottle.egress.routes, [Route { host: "api.anthropic.com".into() }]);
    assert_eq!(bottle.env[1].1, EnvValue::FromHost("GITHUB_TOKEN".into()));
    assert_eq!(
        manifest.warnings,
        [
            "bottles.json:14:9: bottles.default.egress.dlp has no effect",
            "bottles.json:11:52: bottles.default.egress.routes[0].paths has no effect"
        ]
    );
}

#[test]
fn reads_the_same_from_yaml() {
    let yaml = "bottles:\n  default:\n    egress:\n      allowlist: [github.com, '*.npmjs.org']\nagents:\n  a: {bottle: default, image: 'x:1'}\n";
    let manifest = Manifest::parse("bottles.yaml", yaml).unwrap();
    let (agent, bottle) = manifest.agent("a").unwrap();
    assert_eq!(agent.image, "x:1");
    assert_eq!(bottle.egress.allowlist, ["github.com", "*.npmjs.org"]);
    assert!(bottle.egress.defaults && bottle.egress.tls_interception);
}

#[test]
fn a_byte_order_mark_is_no_mistake() {
    for (file, text) in [("b.json", r#"{"bottles":{"b":{}}}"#), ("b.yaml", "bottles: {b: {}}")] {
        assert_eq!(Manifest::parse(file, &format!("\u{feff}{text}")).unwrap().bottles.len(), 1, "{file}");
    }
}

#[test]
fn a_bottle_without_egress_gets_the_defaults() {
    let manifest = Manifest::parse("b.json", r#"{"bottles":{"b":{}},"agents":{}}"#).unwrap();
    assert_eq!(manifest.bottles["b"].egress, EgressSection::default());
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let bottle = |inner: &str| format!(r#"{{"bottles":{{"b":{inner}}},"agents":{{}}}}"#);
    let agent = |inner: &str| format!(r#"{{"bottles":{{"b":{{}}}},"agents":{{"a":{inner}}}}}"#);
    let allow = |host: &str| bottle(&format!(r#"{{"egress":{{"allowlist":["ok.example",{host}]}}}}"#));
    for (text, wanted) in [
        (allow(r#""https://x.example""#), "bottles.b.egress.allowlist[1]"),
        (allow(r#""x.example:443""#), "hostname"),
        (allow(r#""a b""#), "hostname"),
        (allow(r#""a\"b""#), "hostname"),
        (allow(r#""a\nb: c""#), "hostname"),
        (allow("5"), "the number 5"),
        (allow(r#""""#), "hostname"),
        (allow(r#""a.*.b""#), "hostname"),
        (allow(r#""*""#), "hostname"),
        (allow(r#""**.b""#), "hostname"),
        (allow("null"), "not nothing"),
        (bottle(r#"{"egres":{}}"#), "unknown key bottles.b.egres"),
        (bottle(r#"{"supervise":"yes"}"#), "true or false"),
        (bottle(r#"{"env":{"1A":"x"}}"#), "no variable name"),
        (bottle(r#"{"env":{"A":5}}"#), "from_host"),
        (bottle(r#"{"env":{"A":{"from":"X"}}}"#), "unknown key bottles.b.env.A.from"),
        (bottle(r#"{"ssh":[{"Hostnam":"x"}]}"#), "unknown key bottles.b.ssh[0].Hostnam"),
        (bottle(r#"{"ssh":[{"Port":0}]}"#), "1 to 65535"),
        (bottle(r#"{"ssh":[{"Hostname":"a b"}]}"#), "hostname or an IPv4"),
        (bottle(r#"{"egress":{"routes":[{}]}}"#), "routes[0].host is required"),
        (bottle(r#"{"egress":{},"egress":{}}"#), "given twice"),
        (agent(r#"{"image":"i"}"#), "agents.a.bottle is required"),
        (agent(r#"{"bottle":"c","image":"i"}"#), "there are b"),
        (agent(r#"{"bottle":"b"}"#), "agents.a.image is required"),
        (agent(r#"{"bottle":"b","image":"i","mounts":[{"source":"x","target":"rel"}]}"#), "absolute path"),
        (agent(r#"{"bottle":"b","image":"i","mounts":[{"source":"~/x","target":"/x"}]}"#), "not expanded"),
        (agent(r#"{"bottle":"b","image":"i","workdir":"rel"}"#), "agents.a.workdir must be an absolute path"),
        ("{".to_owned(), "b.json:1:"),
        ("[]".to_owned(), "an object"),
        (String::new(), "empty"),
    ] {
        let error = Manifest::parse("b.json", &text).unwrap_err().to_string();
        assert!(
            error.starts_with("b.json:") && error.contains(wanted),
            "{text}\n  gave: {error}\n  wanted: {wanted}"
        );
    }
}

#[test]
fn hostile_yaml_ends_with_an_error() {
    for text in [
        "a: &x [*x]\n",
        &"[".repeat(10_000),
        &"{a: ".repeat(10_000),
        "a: b\n---\nc: d\n",
        "\u{0}",
        "? [a]\n: b\n",
    ] {
        assert!(Manifest::parse("b.yaml", text).is_err(), "{:.40}", text);
    }
    assert!(Manifest::parse("b.json", &"[".repeat(100_000)).is_err());
}

#[test]
fn an_unknown_agent_lists_those_there_are() {
    let manifest = Manifest::parse("bottles.json", FULL).unwrap();
    assert!(manifest.agent("x").unwrap_err().to_string().contains("there are implementer"));
}
