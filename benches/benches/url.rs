//! The URL pipeline: allowed URLs of several shapes, and a block by each kind of layer. The address is given, as from a
//! cache; the environment holds two secrets. `plain` is the same pipeline without its shortcuts, for the first case only.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use muselet::config::Config;
use muselet::policy::host::{Dialect, HostList};
use muselet::policy::secrets::scanner;
use muselet::policy::url::{Outcome, Pipeline, Settings};

const ENVIRONMENT: [(&str, &str); 2] =
    [("CI_DEPLOY_KEY", "zQ7xN2pLw9RtKv4m"), ("SERVICE_CREDENTIAL", "pX3-vB8_kT5+nR1/wY6=qL0.")];

fn pipeline() -> Pipeline {
    let config = Config::defaults();
    let (scanner, _) = scanner(&config, ENVIRONMENT, None).expect("the built-in rules compile");
    let mut settings = Settings::from(&config);
    settings.max_requests_per_minute = 1_000_000_000;
    Pipeline::new(settings, Arc::new(scanner)).expect("the built-in ranges are valid")
}

/// One scan as the server makes it, with the address at hand.
fn scan(pipeline: &Pipeline, url: &str, now: Instant) -> bool {
    let address = [IpAddr::from([93, 184, 216, 34])];
    let verdict = match pipeline.begin(url.as_bytes(), now) {
        Outcome::Done(verdict) => verdict,
        Outcome::NeedsDns(pending) => pipeline.finish(pending, Ok(&address), now),
    };
    verdict.allowed
}

fn urls(criterion: &mut Criterion) {
    let pipeline = pipeline();
    let long = format!("https://example.com/{}", "a".repeat(10_000));
    let long_mixed = format!("https://example.com/?{}", "name=value-of-it&".repeat(600));
    let cases = [
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
        ("blocked/length", long.as_str()),
        ("blocked/length-query", long_mixed.as_str()),
    ];
    let start = Instant::now();
    // The clock moves on, so that the windows of the limits do not fill up with what no proxy would see in a minute.
    let mut calls: u32 = 0;
    let mut group = criterion.benchmark_group("url");
    for (name, url) in cases {
        assert_eq!(scan(&pipeline, url, start), name.starts_with("allowed"), "{url}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                calls = calls.wrapping_add(1);
                scan(&pipeline, black_box(url), start + Duration::from_millis(20) * calls)
            });
        });
    }
    let plain = self::pipeline().plain();
    group.sample_size(20).bench_function("plain/allowed", |bencher| {
        bencher.iter(|| scan(&plain, black_box(cases[0].1), start));
    });
    group.finish();
}

fn hosts(criterion: &mut Criterion) {
    let patterns: Vec<String> = (0..10_000).map(|number| format!("*.host{number}.example.com")).collect();
    let list = HostList::new(&patterns, Dialect::Domains);
    let mut group = criterion.benchmark_group("host");
    group.bench_function("miss-in-10000", |bencher| {
        bencher.iter(|| list.matches(black_box("docs.python.org")))
    });
    group.bench_function("hit-in-10000", |bencher| {
        bencher.iter(|| list.matches(black_box("a.b.host9999.example.com")));
    });
    group.finish();
}

criterion_group!(benches, urls, hosts);
criterion_main!(benches);
