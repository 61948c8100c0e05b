//! Text DLP by kind and size of text, beside a search for an absent byte as the yardstick.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use muselet_benches::corpus;
use muselet_rules::dlp::{Scanner, Secrets, SeedSettings, Settings, merge};

const KIB: usize = 1 << 10;
const SIZES: [usize; 5] = [KIB, 16 * KIB, 64 * KIB, 1024 * KIB, 5 * 1024 * KIB];

fn scanner() -> Scanner {
    let settings =
        Settings { rules: merge(true, &[]), seed: Some(SeedSettings::default()), ..Settings::default() };
    Scanner::new(settings).expect("built-in rules compile")
}

fn clean_and_encoded(c: &mut Criterion) {
    let scanner = scanner();
    let mut group = c.benchmark_group("dlp");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500)).sample_size(20);
    let kinds: [(&str, fn(usize) -> Vec<u8>); 3] =
        [("chat", corpus::chat), ("code", corpus::code), ("base64", corpus::base64_heavy)];
    for size in SIZES {
        for (name, make) in kinds {
            let text = make(size);
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_with_input(BenchmarkId::new(name, size), &text, |b, text| {
                b.iter(|| scanner.scan_text(black_box(text)));
            });
        }
    }
    let hot = vec![b'a'; 64 * KIB];
    group.throughput(Throughput::Bytes(hot.len() as u64));
    group.bench_function("hot memchr", |b| b.iter(|| memchr::memchr(b'b', black_box(&hot))));
    group.finish();
}

/// Text that holds none of many known secrets.
fn known_secrets(c: &mut Criterion) {
    let mut group = c.benchmark_group("dlp known secrets");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500)).sample_size(20);
    let text = corpus::chat(64 * KIB);
    group.throughput(Throughput::Bytes(text.len() as u64));
    for count in [0, 30, 1000] {
        // Every other one in small letters only, as tokens in hexadecimal are.
        let value = |i: u64| {
            let number = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            if i.is_multiple_of(2) { format!("{number:016x}-{i}") } else { format!("Key_{number:016X}/{i}+") }
        };
        let variables = (0..count).map(|i| (format!("SECRET_{i}"), value(i).into_bytes()));
        let settings = Settings {
            rules: merge(true, &[]),
            seed: Some(SeedSettings::default()),
            env_secrets: Secrets::from_env(variables, 16),
            ..Settings::default()
        };
        let scanner = Scanner::new(settings).expect("built-in rules compile");
        group.bench_function(count.to_string(), |b| b.iter(|| scanner.scan_text(black_box(&text))));
    }
    group.finish();
}

fn worst_case(c: &mut Criterion) {
    let scanner = scanner();
    let mut group = c.benchmark_group("dlp worst case");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500)).sample_size(10);
    for (name, text) in corpus::worst_cases(64 * KIB) {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| scanner.scan_text(black_box(&text))));
    }
    group.finish();
}

criterion_group!(benches, clean_and_encoded, known_secrets, worst_case);
criterion_main!(benches);
