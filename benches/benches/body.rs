//! Inspection of request bodies by content type and size, beside a search for an absent byte as the yardstick.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use muselet::config::Config;
use muselet::policy::body::BodyPolicy;
use muselet_benches::corpus;
use muselet_rules::dlp::{self, Scanner, SeedSettings};
use muselet_rules::json::Parser;

const KIB: usize = 1024;

fn policy() -> BodyPolicy {
    let config = Config::parse(b"version: 1\n", Path::new("/")).expect("valid configuration");
    let settings = dlp::Settings {
        rules: dlp::builtin_rules().to_vec(),
        seed: Some(SeedSettings::default()),
        ..dlp::Settings::default()
    };
    let scanner = Arc::new(Scanner::new(settings).expect("built-in rules compile"));
    BodyPolicy::new(&config, scanner).expect("compiles")
}

fn bodies(c: &mut Criterion) {
    let policy = policy();
    let mut group = c.benchmark_group("body");
    for size in [KIB, 16 * KIB, 64 * KIB, 1024 * KIB] {
        let body = corpus::chat(size);
        group.throughput(Throughput::Bytes(body.len() as u64));
        for content_type in ["application/json", "text/plain"] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            let id = BenchmarkId::new(content_type, body.len());
            group.bench_with_input(id, &body, |b, body| {
                b.iter(|| {
                    let verdict = policy.scan(black_box(body), &headers, "example.com");
                    assert!(verdict.finding.is_none());
                });
            });
        }
        group.bench_with_input(BenchmarkId::new("json parse only", body.len()), &body, |b, body| {
            b.iter(|| {
                let mut parser = Parser::new(black_box(body));
                while let Ok(Some(event)) = parser.next() {
                    black_box(event);
                }
            });
        });
        group.bench_with_input(BenchmarkId::new("memchr", body.len()), &body, |b, body| {
            b.iter(|| memchr::memchr(black_box(1), black_box(body)));
        });
    }
    group.finish();
}

/// Every content type, and bodies that cost more than their size.
fn kinds(c: &mut Criterion) {
    const SIZE: usize = 256 * KIB;
    let policy = policy();
    for (group, bodies) in
        [("body kinds", corpus::bodies(SIZE)), ("worst bodies", corpus::worst_bodies(SIZE))]
    {
        let mut group = c.benchmark_group(group);
        for body in bodies {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(body.content_type));
            group.throughput(Throughput::Bytes(body.bytes.len() as u64));
            group.bench_with_input(BenchmarkId::new(body.name, body.bytes.len()), &body.bytes, |b, bytes| {
                b.iter(|| black_box(policy.scan(black_box(bytes), &headers, "example.com")));
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = bodies, kinds
}
criterion_main!(benches);
