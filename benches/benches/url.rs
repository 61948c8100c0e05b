//! The URL pipeline: allowed URLs of several shapes, and a block by each kind of layer. The address is given, as from a
//! cache; the environment holds two secrets. `plain` is the same pipeline without its shortcuts, for the first case only.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use muselet::policy::host::{Dialect, HostList};
use muselet_benches::urls::{cases, pipeline, scan};

fn urls(criterion: &mut Criterion) {
    let pipeline = pipeline();
    let cases = cases();
    let start = Instant::now();
    // The clock moves on, so that the windows of the limits do not fill up with what no proxy would see in a minute.
    let mut calls: u32 = 0;
    let mut group = criterion.benchmark_group("url");
    for (name, url) in &cases {
        assert_eq!(scan(&pipeline, url, start), name.starts_with("allowed"), "{url}");
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                calls = calls.wrapping_add(1);
                scan(&pipeline, black_box(url), start + Duration::from_millis(20) * calls)
            });
        });
    }
    let plain = muselet_benches::urls::pipeline().plain();
    group.sample_size(20).bench_function("plain/allowed", |bencher| {
        bencher.iter(|| scan(&plain, black_box(&cases[0].1), start));
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
