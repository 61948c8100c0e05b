//! No text costs much more than a clean one of its size.

use std::hint::black_box;
use std::time::Duration;

use muselet_benches::{corpus, measure::median_seconds};
use muselet_rules::dlp::{Scanner, SeedSettings, Settings, merge};

/// The bound is 50; a busy machine and a build without full optimisation get a margin.
const MOST: f64 = 100.0;
const BYTES: usize = 64 << 10;

#[test]
fn no_text_costs_much_more_than_a_clean_one() {
    let settings =
        Settings { rules: merge(true, &[]), seed: Some(SeedSettings::default()), ..Settings::default() };
    let scanner = Scanner::new(settings).expect("built-in rules compile");
    let cost = |text: &[u8]| {
        median_seconds(Duration::from_millis(20), || {
            black_box(scanner.scan_text(black_box(text)));
        })
    };
    let clean = cost(&corpus::chat(BYTES));
    for (name, text) in corpus::worst_cases(BYTES) {
        let times = cost(&text) / clean;
        println!("{name}: {times:.1} times a clean text");
        assert!(times < MOST, "{name}: {times:.1} times a clean text");
    }
}
