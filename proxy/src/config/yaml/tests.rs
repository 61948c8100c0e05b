//! The dialect's corners that no recording needs a whole configuration for, and hostile documents.

use super::*;
use crate::config::Config;
use crate::config::value::Setting as _;

fn read(text: &[u8]) -> Result<Config, YamlError> {
    let document = Document::parse(text)?;
    let mut config = Config::zero();
    Decoder::run(&document, &mut config)?;
    Ok(config)
}

fn error(text: &str) -> String {
    match read(text.as_bytes()) {
        Ok(_) => panic!("{text:?} was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn types_plain_scalars_as_the_reference_does() {
    use Resolved::{Bool, Float, Int, Null, Text, Uint};
    let cases: &[(&str, Resolved)] = &[
        ("", Null),
        ("~", Null),
        ("True", Bool(true)),
        ("yes", Text("yes".into())),
        ("0x1F", Int(31)),
        ("-0b11", Int(-3)),
        ("0o17", Int(15)),
        ("017", Int(15)),
        ("08", Float(8.0)),
        ("1_000", Int(1000)),
        ("9223372036854775807", Int(i64::MAX)),
        ("9223372036854775808", Uint(1 << 63)),
        ("-9223372036854775809", Float(-9_223_372_036_854_775_808.0)),
        ("1e3", Float(1000.0)),
        ("+.5", Float(0.5)),
        ("5.", Float(5.0)),
        ("1e400", Text("1e400".into())),
        ("0x", Text("0x".into())),
        ("+", Text("+".into())),
        ("1:30", Text("1:30".into())),
        ("-.inf", Float(f64::NEG_INFINITY)),
        ("2030-1-2", Resolved::Time(Timestamp::from_plain("2030-01-02").unwrap())),
        ("2030-13-02", Text("2030-13-02".into())),
    ];
    for (text, wanted) in cases {
        assert_eq!(resolve(None, text).map(|(_, value)| value), Ok(wanted.clone()), "{text:?}");
    }
}

#[test]
fn prints_times_as_rfc_3339() {
    for (text, wanted) in [
        ("2030-1-2", "2030-01-02T00:00:00Z"),
        ("2030-01-02 3:4:5.25", "2030-01-02T03:04:05.25Z"),
        ("2030-01-02t03:04:05-07:30", "2030-01-02T03:04:05-07:30"),
    ] {
        let time = Timestamp::from_plain(text).unwrap_or_else(|| panic!("{text:?} is a time"));
        assert_eq!(time.to_string(), wanted, "{text:?}");
    }
    assert_eq!(
        Timestamp::from_text("2030-01-02").unwrap_err(),
        "parsing time \"2030-01-02\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"T\""
    );
}

#[test]
fn merged_maps_give_way_to_explicit_keys_and_the_first_wins() {
    let config = read(
        b"logging: &a {format: text, file: a}\nfetch_proxy: {listen: \":1\"}\nkill_switch: {<<: [{message: one}, {message: two, api_token: t}], enabled: true}\n",
    )
    .unwrap();
    assert_eq!(config.kill_switch.message, "one");
    assert_eq!(config.kill_switch.api_token.expose(), "t");
    assert!(config.kill_switch.enabled);
    assert!(error("logging: {<<: [1]}").contains("map merge requires map or sequence of maps as the value"));
    assert!(
        error("logging: {\"<<\": {format: text}}")
            .contains("field << not found in type config.LoggingConfig")
    );
}

#[test]
fn names_the_place_and_the_nearest_key() {
    let text = error("mode: audit\nfetch_proxy:\n  monitoring:\n    max_url_len: 5\n");
    assert_eq!(
        text,
        "yaml: unmarshal errors:\n  line 4: field max_url_len not found in type config.Monitoring \
         (column 5; did you mean max_url_length?)"
    );
    for (text, hint) in [
        ("loging: {}", "did you mean logging?"),
        ("blocklist: []", "it is fetch_proxy.monitoring.blocklist"),
        ("enabled: true", "every key is in docs/configuration.md"),
        ("xyz: 1", "every key is in docs/configuration.md"),
        ("logging: {xyz: 1}", "known keys: format, output, file, include_allowed, include_blocked"),
    ] {
        assert!(error(text).contains(hint), "{text:?}: {}", error(text));
    }
}

#[test]
fn never_shows_what_may_be_a_secret() {
    let text = error("scan_api: {auth: {bearer_tokens: hunter2hunter2}}");
    assert!(!text.contains("hunter"), "{text}");
    let config = read(b"kill_switch: {api_token: hunter2}").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn accepts_the_encodings_of_yaml() {
    let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        "\u{FEFF}mode: audit\n".encode_utf16().flat_map(order).collect()
    };
    for (name, bytes) in [
        ("UTF-8 with a mark", "\u{FEFF}mode: audit\n".as_bytes().to_vec()),
        ("UTF-16, little end first", wide(u16::to_le_bytes)),
        ("UTF-16, big end first", wide(u16::to_be_bytes)),
    ] {
        assert_eq!(read(&bytes).map(|config| config.mode), Ok("audit".to_owned()), "{name}");
    }
}

#[test]
fn refuses_hostile_documents_quickly() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let previous = format!("*a{}, ", i - 1).repeat(9);
        laughs.push_str(&format!("a{i}: &a{i} [{}]\n", previous.trim_end_matches(", ")));
    }
    let merges = "<<: {".repeat(2000) + &"}".repeat(2000);
    let lists = "[".repeat(100_000);
    let keys = "mode: a\n".repeat(20_000);
    let mut allowlist = String::from("taint: {protected_paths: &p [a, b, c, d]}\nagents:\n");
    for i in 0..20_000 {
        allowlist.push_str(&format!("  n{i}: {{api_allowlist: *p}}\n"));
    }
    for (name, text) in [
        ("nested aliases", laughs),
        ("nested merges", merges),
        ("nested lists", lists),
        ("one key", keys),
        ("aliases", allowlist),
    ] {
        let started = std::time::Instant::now();
        let outcome = read(text.as_bytes()).map(|_| ());
        assert!(started.elapsed().as_secs() < 30, "{name}: {:?}", started.elapsed());
        assert!(outcome.is_err() || name == "aliases", "{name}");
    }
}

#[test]
fn refuses_broken_and_self_containing_documents() {
    for text in [
        "mode: \0",
        "mode: [audit",
        "dlp:\n\tscan_env: true\n",
        "api_allowlist: &a [*a]\n",
        "suppress: *nowhere\n",
        "mode: 'a",
        "mode: !!int audit",
        "kill_switch: {message: !!binary '***'}",
        "a: b: c",
        "{metrics_listen: :0}",
        "{metrics_listen: ?x}",
        "{metrics_listen: |x}",
        "{metrics_listen: >}",
    ] {
        assert!(read(text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(read(b"mode: \xff").is_err());
}

#[test]
fn tabs_may_stand_between_a_key_and_its_value() {
    for text in ["mode:\taudit", "mode:\t\taudit\n", "# ä\nmode:\taudit\nmetrics_listen:\tx:1\n"] {
        assert!(read(text.as_bytes()).is_ok(), "{text:?}");
    }
    for text in ["mode:\tmode:\taudit", "mode:\t- audit", "dlp:\n\tscan_env: true"] {
        assert!(read(text.as_bytes()).is_err(), "{text:?}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, cases: 2000, ..Default::default() })]

    #[test]
    fn never_panics_on_any_text(text in "([{}\\[\\]:,?&*!|>'\"#%@<~ \n\t\\-]|mode|dlp|a|1|\u{e9}|\u{85}|\r\n|- |: |<<: |\\\\x){0,60}") {
        let _ = read(text.as_bytes());
    }

    #[test]
    fn never_panics_on_any_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
        let _ = read(&bytes);
    }
}

#[test]
fn a_pattern_without_quotes_is_told_to_take_them() {
    let why = error("api_allowlist: [*.github.com]");
    assert!(why.ends_with("must stand in quotes: \"*.example.com\")"), "{why}");
}

#[test]
fn a_document_without_a_schema_is_read_as_json_and_written_again() {
    let text = "b: &x {on: yes, n: 0o17, f: 1.5, t: 2026-01-02, none: ~}\na: [*x, 'true', [1, {k: v}]]\nm: {<<: *x, n: 2}\n\
                script: |\n  set -e\n\n    indented\nkeep: \"a\\nb\\n\\n\"\nlines: [\"a\\nb\"]\ntab: \"a\\n\\tb\"\n";
    let read = tree(text.as_bytes()).expect("valid");
    let b = serde_json::json!({"on": "yes", "n": 15, "f": 1.5, "t": "2026-01-02", "none": null});
    let wanted = serde_json::json!({
        "b": b,
        "a": [b, "true", [1, {"k": "v"}]],
        "m": {"n": 2, "on": "yes", "f": 1.5, "t": "2026-01-02", "none": null},
        "script": "set -e\n\n  indented\n",
        "keep": "a\nb\n\n",
        "lines": ["a\nb"],
        "tab": "a\n\tb",
    });
    assert_eq!(read, wanted);
    let written = crate::config::write::document(&read);
    assert_eq!(tree(written.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{written}")), wanted, "{written}");
    assert!(written.contains("script: |\n    set -e\n\n      indented\n"), "{written}");
    assert!(tree(b"a: 1\na: 2\n").is_err());
    assert_eq!(tree(b"").expect("nothing"), serde_json::Value::Null);
}
