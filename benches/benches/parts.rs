//! Injected instructions by kind and size of text, seed phrases, and certificates.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use muselet::config::Config;
use muselet::policy::injection_settings;
use muselet_benches::{corpus, leaves};
use muselet_rules::dlp::{Scanner, SeedSettings, Settings};
use muselet_rules::injection;

const KIB: usize = 1 << 10;
/// Twelve words of the list.
const PHRASE: &str = "zoo abandon ability able about above absent absorb abstract absurd abuse access ";

fn injections(c: &mut Criterion) {
    let scanner =
        injection::Scanner::new(injection_settings(&Config::defaults())).expect("built-in rules compile");
    let mut group = c.benchmark_group("injection");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500)).sample_size(20);
    for size in [KIB, 16 * KIB, 64 * KIB, 1024 * KIB] {
        for (name, text) in [("chat", corpus::chat(size)), ("code", corpus::code(size))] {
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_with_input(BenchmarkId::new(name, size), &text, |b, text| {
                b.iter(|| scanner.scan(black_box(text)));
            });
        }
    }
    group.finish();
}

/// No rules but the seed detector (and the eight that are always there).
fn seed_phrases(c: &mut Criterion) {
    let settings = Settings { seed: Some(SeedSettings::default()), ..Settings::default() };
    let scanner = Scanner::new(settings).expect("built-in rules compile");
    let mut group = c.benchmark_group("seed phrase");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500)).sample_size(20);
    let words = PHRASE.repeat(64 * KIB / PHRASE.len());
    let prose = String::from_utf8(corpus::chat(64 * KIB)).expect("chat text is UTF-8");
    for (name, text) in [("prose", &prose), ("nothing but words", &words)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new(name, text.len()), |b| {
            b.iter(|| scanner.seed_in(black_box(text)))
        });
        let may_hold = format!("{name}, the quick look");
        group.bench_function(BenchmarkId::new(may_hold, text.len()), |b| {
            b.iter(|| scanner.may_hold_phrase(black_box(text.as_bytes())));
        });
    }
    group.finish();
}

fn certificates(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let leaves = leaves::cache(directory.path()).expect("an authority");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut number = 0;
    let mut group = c.benchmark_group("leaf");
    group.bench_function("new host", |b| {
        b.iter(|| {
            number += 1;
            runtime.block_on(leaves.get(black_box(&format!("host{number}.example.com")))).expect("a leaf")
        });
    });
    group.bench_function("known host", |b| {
        b.iter(|| runtime.block_on(leaves.get(black_box("host1.example.com"))).expect("a leaf"));
    });
    group.finish();
}

criterion_group!(benches, injections, seed_phrases, certificates);
criterion_main!(benches);
