//! The URL pipeline as the server asks it, and the URLs that both the clock and the instruction counts measure.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use muselet::config::Config;
use muselet::policy::secrets::scanner;
use muselet::policy::url::{Outcome, Pipeline, Settings};

const ENVIRONMENT: [(&str, &str); 2] =
    [("CI_DEPLOY_KEY", "zQ7xN2pLw9RtKv4m"), ("SERVICE_CREDENTIAL", "pX3-vB8_kT5+nR1/wY6=qL0.")];

/// The default configuration with two secrets in the environment, and a rate limit that a benchmark does not meet.
///
/// # Panics
/// When the built-in rules do not compile, which their own tests exclude.
#[must_use]
pub fn pipeline() -> Pipeline {
    let config = Config::defaults();
    let (scanner, _) = scanner(&config, ENVIRONMENT, None).expect("the built-in rules compile");
    let mut settings = Settings::from(&config);
    settings.max_requests_per_minute = 1_000_000_000;
    Pipeline::new(settings, Arc::new(scanner)).expect("the built-in ranges are valid")
}

/// One scan as the server makes it, with the address at hand. Whether the URL is allowed.
#[must_use]
pub fn scan(pipeline: &Pipeline, url: &str, now: Instant) -> bool {
    let address = [IpAddr::from([93, 184, 216, 34])];
    let verdict = match pipeline.begin(url.as_bytes(), now) {
        Outcome::Done(verdict) => verdict,
        Outcome::NeedsDns(pending) => pipeline.finish(pending, Ok(&address), now),
    };
    verdict.allowed
}

/// Allowed URLs of several shapes, and one for each layer that blocks by the URL alone. Names begin with the verdict.
#[must_use]
pub fn cases() -> Vec<(&'static str, String)> {
    let mut cases: Vec<(&'static str, String)> =
        CASES.iter().map(|(name, url)| (*name, (*url).to_owned())).collect();
    cases.push(("blocked/length", format!("https://example.com/{}", "a".repeat(10_000))));
    cases.push(("blocked/length-query", format!("https://example.com/?{}", "name=value-of-it&".repeat(600))));
    cases
}

const CASES: &[(&str, &str)] = &[
    ("allowed/plain", "https://docs.python.org/3/library/os.html"),
    ("allowed/registry", "https://registry.npmjs.org/@scope/pkg/1.2.3"),
    ("allowed/api", "https://api.example.com/v1/chat/completions"),
    ("allowed/commit", "https://github.com/o/r/commit/1175afa59cbf432b32ebadc6151ee492cea5f3a7"),
    ("allowed/query", "https://example.com/search?q=hello+world&page=1&sort=name"),
    (
        "allowed/complex-query",
        "https://api.example.com/v2/items?filter=status%3Aopen%20label%3Abug&sort=created&order=desc&page=3&per_page=50&since=2024-05-01T10%3A00%3A00Z&fields=id,title,state",
    ),
    (
        "allowed/many-parameters",
        "https://e.com/?a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9&j=10&k=en&l=us&m=asc&n=true&o=x1&p=y2&q=z3&r=v4&s=w5&t=u6",
    ),
    ("allowed/unicode-path", "https://ja.wikipedia.org/wiki/%E6%97%A5%E6%9C%AC"),
    ("blocked/scheme", "ftp://example.com/"),
    ("blocked/traversal", "https://example.com/a/../../etc/passwd"),
    ("blocked/blocklist", "https://pastebin.com/raw/abc123"),
    ("blocked/core-dlp", "https://example.com/?k=AKIAIOSFODNN7EXAMPLE"),
    ("blocked/dlp", "https://example.com/?k=sk-ant-api03-AAAAAAAAAAAAAAAA"),
    ("blocked/entropy", "https://example.com/data/aB3xK9mQ7pR2wE5tY8uI0oL4hG6fD1sZ"),
    ("blocked/subdomain-entropy", "https://r7km2np9qw4xb5vy8za3.evil.com/"),
    ("blocked/ssrf", "http://169.254.169.254/latest/meta-data/"),
];
