//! How fast text DLP is on a file: `cargo run --release -p muselet-rules --example scan_speed FILE [fast]`, the latter without
//! the plain scanner.
//!
//! Prints the search of hot memory for an absent byte as the yardstick, then for prefixes of the file the plain and the
//! fast scanner, in MB/s and as a share of the yardstick.

use std::hint::black_box;
use std::time::{Duration, Instant};

use muselet_rules::Strictness;
use muselet_rules::dlp::{Scanner, Secrets, SeedSettings, Settings, merge, plain};

fn median(mut run: impl FnMut(), budget: Duration) -> f64 {
    let begin = Instant::now();
    let mut times = Vec::new();
    while begin.elapsed() < budget || times.len() < 3 {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let path = std::env::args().nth(1).unwrap_or_else(|| "README.md".into());
    let text = std::fs::read(&path).unwrap_or_default();
    let hot = vec![b'a'; 65536];
    let yard = 65536.0
        / median(|| _ = black_box(memchr::memchr(b'b', black_box(&hot))), Duration::from_millis(100))
        / 1e6;
    println!("hot memchr {yard:.0} MB/s");
    let env = [
        ("CI_DEPLOY_KEY", "zQ7xN2pLw9RtKv4m"),
        ("OTHER", "pX3-vB8_kT5+nR1/wY6=qL0."),
        ("LONG", "T9fK2mQ8xW4nB7vL1cR5jH3gD6sA0pZyEuIoXk"),
    ];
    for strictness in [Strictness::Reference, Strictness::Hardened] {
        let started = Instant::now();
        let scanner = Scanner::new(Settings {
            rules: merge(true, &[]),
            strictness,
            seed: Some(SeedSettings::default()),
            env_secrets: Secrets::from_env(env, 16),
            ..Settings::default()
        })
        .expect("the built-in rules compile");
        println!("{strictness:?}: compiled in {:?}", started.elapsed());
        for size in [200, 4096, 65536, 1 << 20] {
            let Some(part) = text.get(..size) else { break };
            let clean = scanner.scan_text(part).clean();
            let fast =
                median(|| _ = black_box(scanner.scan_text(black_box(part))), Duration::from_millis(300));
            if std::env::args().nth(2).is_some() {
                println!(
                    "  {size:>8} bytes clean={clean}: {:.2} us {:.0} MB/s",
                    fast * 1e6,
                    size as f64 / fast / 1e6
                );
                continue;
            }
            let slow = median(
                || _ = black_box(plain::scan_text(&scanner, black_box(part))),
                Duration::from_millis(100),
            );
            let speed = size as f64 / fast / 1e6;
            println!(
                "  {size:>8} bytes clean={clean}: fast {:.2} us {speed:.0} MB/s (1/{:.0} of memchr), plain {:.2} MB/s",
                fast * 1e6,
                yard / speed,
                size as f64 / slow / 1e6
            );
        }
    }
}
