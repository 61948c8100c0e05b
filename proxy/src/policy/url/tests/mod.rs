//! The worked examples of the specification, and sequences over time. (spec: url-scan §21)

mod hardened;
mod hostile;
mod twin;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use muselet_rules::Strictness;
use muselet_rules::dlp::{self, Canary, RuleSpec, Scanner, Secrets, SeedSettings};

use super::{LookupFailure, Pipeline, Settings};
use crate::policy::verdict::{Class, Label, UrlVerdict};

/// Built-in ranges of the key `internal`.
const DEFAULT_INTERNAL: [&str; 12] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "224.0.0.0/4",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

pub(super) fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

/// Configuration B of the specification.
pub(super) fn settings() -> Settings {
    Settings {
        strictness: Strictness::Reference,
        strict: false,
        api_allowlist: Vec::new(),
        blocklist: strings(&[
            "*.pastebin.com",
            "*.hastebin.com",
            "*.paste.ee",
            "*.transfer.sh",
            "*.file.io",
            "*.requestbin.com",
        ]),
        trusted_domains: Vec::new(),
        entropy_exclusions: Vec::new(),
        internal: Vec::new(),
        ip_allowlist: Vec::new(),
        entropy_threshold: 4.5,
        subdomain_entropy_threshold: 4.0,
        max_url_length: 2048,
        max_requests_per_minute: 1_000_000_000,
        max_data_per_minute: 0,
    }
}

pub(super) fn dlp_settings() -> dlp::Settings {
    dlp::Settings {
        rules: dlp::merge(true, &[]),
        strictness: Strictness::Reference,
        seed: Some(SeedSettings::default()),
        ..dlp::Settings::default()
    }
}

pub(super) fn rule(name: &str, severity: &str, regex: &str, exempt_domains: &[&str], warn: bool) -> RuleSpec {
    RuleSpec {
        name: name.into(),
        regex: regex.into(),
        severity: severity.into(),
        validator: None,
        exempt_domains: strings(exempt_domains),
        warn,
        bundle: "".into(),
        bundle_version: "".into(),
    }
}

fn redefined(name: &str, exempt_domains: &[&str]) -> RuleSpec {
    let builtin = dlp::builtin_rules().iter().find(|rule| &*rule.name == name).expect("a built-in rule");
    RuleSpec { exempt_domains: strings(exempt_domains), ..builtin.clone() }
}

pub(super) fn pipeline(mut settings: Settings, mut dlp: dlp::Settings, strictness: Strictness) -> Pipeline {
    settings.strictness = strictness;
    dlp.strictness = strictness;
    Pipeline::new(settings, Arc::new(Scanner::new(dlp).expect("valid rules"))).expect("valid ranges")
}

/// The settings of one of the specification's configurations.
pub(super) fn named(config: &str) -> (Settings, dlp::Settings) {
    let (mut url, mut text) = (settings(), dlp_settings());
    match config {
        "B" => {}
        "S" => {
            url.strict = true;
            url.api_allowlist =
                strings(&["api.openai.com", "*.anthropic.com", "github.com", "93.184.216.34"]);
            url.entropy_threshold = 3.5;
            url.subdomain_entropy_threshold = 3.5;
            url.max_url_length = 500;
        }
        "I" => {
            url.blocklist.clear();
            url.internal = strings(&DEFAULT_INTERNAL);
        }
        "W" => {
            url.blocklist.clear();
            url.entropy_threshold = 8.0;
            text.rules = dlp::merge(
                true,
                &[
                    rule("Warny", "low", "warnme-[a-z]{4,}", &[], true),
                    rule("Alt", "low", "fooz|barz", &[], false),
                    rule("Opt", "low", "colou?red", &[], false),
                    rule(
                        "Tele",
                        "critical",
                        "[0-9]{8,10}:[A-Za-z0-9_-]{35}",
                        &["api.telegram.org", "*.tg.example"],
                        false,
                    ),
                    redefined("Anthropic API Key", &["api.anthropic.com"]),
                    redefined("GitHub Token", &["api.github.com"]),
                ],
            );
        }
        "F" | "C" => {
            url.blocklist.clear();
            url.entropy_threshold = 8.0;
            text.canaries = vec![Canary { name: "aws".to_owned(), value: "canary-token-ABC123".to_owned() }];
            if config == "F" {
                let file = b"xK9mP2nQ7vR4wT6y\nSecret+With/Slash==1234\n";
                text.file_secrets =
                    Secrets::from_file(file, 16, &Secrets::default()).expect("a secrets file").0;
            }
        }
        "N" => {
            url.blocklist.clear();
            url.entropy_exclusions = strings(&["*.Excl.example."]);
            text.rules = dlp::merge(false, &[]);
        }
        "E" => {
            let env = [
                ("MYSECRET", "Tr0ub4dor-Zebra9Kq"),
                ("LOWENT", "lowlowlowlowlowlow"),
                ("PWD", "/srv/app/some/dir1"),
                ("SHORT", "ShortOne9Kq"),
            ];
            text.env_secrets = Secrets::from_env(env, 16);
        }
        other => panic!("no configuration {other}"),
    }
    (url, text)
}

pub(super) fn resolve(host: &str) -> Result<Vec<IpAddr>, LookupFailure> {
    let addresses: &[&str] = match host {
        "localhost" => &["127.0.0.1"],
        "a.test" => &["203.0.113.5", "10.0.0.5"],
        "public.test" => &["203.0.113.5"],
        "zero.test" => &["::"],
        "nat64.test" => &["64:ff9b::7f00:1"],
        _ => return Err(LookupFailure::Failed(format!("lookup {host}: no such host"))),
    };
    Ok(addresses.iter().map(|address| address.parse().expect("an address")).collect())
}

pub(super) fn scan(pipeline: &Pipeline, url: &str) -> UrlVerdict {
    pipeline.scan(url.as_bytes(), Instant::now(), resolve)
}

#[test]
fn gives_the_verdicts_of_the_worked_examples() {
    let mut pipelines: Vec<(String, Pipeline)> = Vec::new();
    let mut wrong = Vec::new();
    for line in include_str!("examples.jsonl").lines() {
        let [number, config, url, label, reason, warned]: [String; 6] =
            serde_json::from_str(line).expect(line);
        if !pipelines.iter().any(|(name, _)| *name == config) {
            let (url, text) = named(&config);
            pipelines.push((config.clone(), pipeline(url, text, Strictness::Reference)));
        }
        let (_, pipeline) = pipelines.iter().find(|(name, _)| *name == config).expect("just made");
        let verdict = scan(pipeline, &url);
        let names: Vec<&str> = verdict.warn_matches.iter().map(|warned| &*warned.pattern_name).collect();
        if verdict.label.as_str() != label || verdict.reason != reason || names.join(",") != warned {
            wrong.push(format!("{number} {url:?}: wanted {label} {reason:?} {warned}, got {verdict:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn judges_every_address_of_a_name() {
    let with = |change: &dyn Fn(&mut Settings)| {
        let (mut url, text) = named("I");
        change(&mut url);
        pipeline(url, text, Strictness::Reference)
    };
    let plain = with(&|_| {});
    let verdict = scan(&plain, "http://a.test/");
    assert_eq!(verdict.reason, "SSRF blocked: a.test resolves to internal IP 10.0.0.5");
    assert_eq!((verdict.label, verdict.class), (Label::Ssrf, Class::Threat));
    assert!(scan(&plain, "http://public.test/").allowed);
    assert_eq!(scan(&plain, "http://none.test/").class, Class::Infrastructure);

    let trusting = with(&|url| url.trusted_domains = strings(&["a.test", "none.test"]));
    assert!(scan(&trusting, "http://a.test/").allowed);
    assert_eq!(scan(&trusting, "http://none.test/").label, Label::Ssrf);

    let listed = with(&|url| url.api_allowlist = strings(&["localhost", "10.0.0.1"]));
    let hinted = |url, hint: &str| {
        let verdict = scan(&listed, url);
        assert_eq!((verdict.class, &*verdict.hint), (Class::ConfigMismatch, hint), "{url}");
    };
    hinted("http://localhost/", "add \"localhost\" to trusted_domains to allow internal IP resolution");
    hinted("http://10.0.0.1/", "add \"10.0.0.1\" to ssrf.ip_allowlist to allow this internal IP");

    let off = with(&|url| {
        url.api_allowlist = strings(&["10.0.0.1"]);
        url.internal.clear();
    });
    let verdict = scan(&off, "http://10.0.0.1/");
    assert_eq!(verdict.label, Label::CoreSsrf);
    assert_eq!(verdict.hint, "add \"10.0.0.1/32\" to ssrf.ip_allowlist to allow this internal IP");

    let narrow = with(&|url| url.internal = strings(&["203.0.113.0/24"]));
    assert_eq!(scan(&narrow, "http://10.0.0.1/").label, Label::Ssrf);
    assert!(scan(&narrow, "http://224.0.0.1/").allowed);
    assert_eq!(scan(&narrow, "http://public.test/").label, Label::Ssrf);
}

#[test]
fn a_cancelled_lookup_is_a_context_block() {
    let (url, text) = named("I");
    let pipeline = pipeline(url, text, Strictness::Reference);
    let verdict = pipeline.scan(b"http://a.test/", Instant::now(), |_| Err(LookupFailure::Cancelled));
    assert_eq!((verdict.label, &*verdict.reason), (Label::Context, "request context cancelled"));
}

#[test]
fn limits_count_in_the_order_of_the_layers() {
    let (mut url, text) = named("B");
    url.blocklist.clear();
    url.max_requests_per_minute = 2;
    url.max_data_per_minute = 100;
    url.max_url_length = 60;
    let pipeline = pipeline(url, text, Strictness::Reference);
    let now = Instant::now();
    let check = |url: &str, label: Label, reason: &str| {
        let verdict = pipeline.scan(url.as_bytes(), now, resolve);
        assert_eq!((verdict.label, &*verdict.reason), (label, reason), "{url}");
        verdict.class
    };
    check("https://a.evil.com/1", Label::All, "");
    check("https://b.evil.com/2", Label::All, "");
    let class = check("https://c.evil.com/3", Label::RateLimit, "rate limit exceeded for c.evil.com");
    assert_eq!(class, Class::Protective);
    check("https://evil.com./4", Label::All, "");
    let long = format!("https://long.example.org/{}", "a".repeat(60));
    check(&long, Label::Length, "URL length 85 exceeds maximum 60");
    check("https://x.example.org/", Label::All, "");
    check("https://y.example.org/", Label::RateLimit, "rate limit exceeded for y.example.org");
    for host in ["foo.github.io", "bar.github.io", "github.io"] {
        check(&format!("https://{host}/"), Label::All, "");
    }
    pipeline.record_transfer("zz.big.net", 99, now);
    check("https://big.net/", Label::All, "");
    pipeline.record_transfer("zz.big.net", 1, now);
    let class = check("https://q.big.net/", Label::DataBudget, "data budget exceeded for q.big.net");
    assert_eq!(class, Class::Threat);
    check("https://q.big.net/", Label::RateLimit, "rate limit exceeded for q.big.net");
    let later = now + Duration::from_secs(60);
    assert!(pipeline.scan(b"https://q.big.net/", later, resolve).allowed);
}
