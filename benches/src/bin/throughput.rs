//! How fast text is scanned: `throughput FILE`.
//!
//! For prefixes of the file, text DLP (`dlp BYTES MB/s`) and the search for injected instructions
//! (`injection BYTES MB/s`), with the default configuration: hardened strictness, every rule and every pass. Figures are
//! medians of the thread's processor time, 1 MB being 10^6 bytes; the first line is the machine's own measure.

use std::hint::black_box;
use std::time::Duration;

use muselet_benches::measure::{hot_memchr, median_seconds};
use muselet_rules::{Strictness, dlp, injection};

const SIZES: [usize; 6] = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
const BUDGET: Duration = Duration::from_millis(300);

fn main() {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: throughput FILE");
        std::process::exit(2);
    };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("throughput: reading {}: {error}", path.display());
            std::process::exit(1);
        }
    };
    let dlp = dlp::Scanner::new(dlp::Settings {
        rules: dlp::merge(true, &[]),
        strictness: Strictness::Hardened,
        seed: Some(dlp::SeedSettings::default()),
        env_secrets: dlp::Secrets::from_env([("CI_DEPLOY_KEY", "zQ7xN2pLw9RtKv4m")], 16),
        ..dlp::Settings::default()
    })
    .expect("the built-in rules compile");
    let injection = injection::Scanner::new(injection::Settings {
        standard: Some(injection::builtin_rules().to_vec()),
        strictness: Strictness::Hardened,
    })
    .expect("the built-in rules compile");
    println!("hot-memchr 65536 {:.0}", hot_memchr());
    let report = |name: &str, scan: &dyn Fn(&[u8])| {
        for part in SIZES.iter().filter_map(|&size| text.get(..size)) {
            let seconds = median_seconds(BUDGET, || scan(black_box(part)));
            println!("{name} {} {:.1}", part.len(), part.len() as f64 / seconds / 1e6);
        }
    };
    report("dlp", &|part| {
        black_box(dlp.scan_text(part));
    });
    report("injection", &|part| {
        black_box(injection.scan(part));
    });
}
