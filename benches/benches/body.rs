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

/// Shapes that cost more than their size: many strings, nothing but escapes, numbers, nesting, and encoded data.
fn shapes(c: &mut Criterion) {
    const SIZE: usize = 256 * KIB;
    let fill = |part: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        for n in 0.. {
            if text.len() >= SIZE {
                break;
            }
            text.push_str(&part(n));
        }
        text
    };
    let list = |items: &dyn Fn(usize) -> String| {
        let text = fill(&|n| items(n) + ",");
        format!("[{}]", text.trim_end_matches(','))
    };
    let field = |n: usize| {
        format!(
            "--B\r\nContent-Disposition: form-data; name=\"f{n}\"\r\n\r\n{}\r\n",
            "some text ".repeat(300)
        )
    };
    let shapes = [
        ("integers", "application/json", list(&|n| n.to_string())),
        ("floats", "application/json", list(&|n| format!("0.{:017}", n as u64 * 7_919_993 + 1))),
        ("short strings", "application/json", list(&|n| format!("\"v{n}\""))),
        (
            "members",
            "application/json",
            list(&|n| format!("{{\"id\":{n},\"name\":\"item {n}\",\"ok\":true}}")),
        ),
        ("escapes", "application/json", format!("[\"{}\"]", fill(&|_| "\\u0061\\n".to_owned()))),
        (
            "base64",
            "application/json",
            format!("{{\"data\":\"{}\"}}", fill(&|n| format!("{:X}gY", n * 2_654_435_761))),
        ),
        ("form", "application/x-www-form-urlencoded", fill(&|n| format!("k{n}={}&", "a+b%20c".repeat(20)))),
        ("multipart", "multipart/form-data; boundary=B", fill(&field) + "--B--\r\n"),
    ];
    let policy = policy();
    let mut group = c.benchmark_group("body shapes");
    for (name, content_type, body) in shapes {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new(name, body.len()), body.as_bytes(), |b, body| {
            b.iter(|| {
                let verdict = policy.scan(black_box(body), &headers, "example.com");
                assert!(verdict.finding.is_none(), "{:?}", verdict.finding);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = bodies, shapes
}
criterion_main!(benches);
