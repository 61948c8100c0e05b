//! No text costs much more than a clean one of its size.

use std::hint::black_box;
use std::time::Duration;

use muselet_benches::{corpus, measure::median_seconds};
use muselet_rules::dlp::{Scanner, SeedSettings, Settings, merge};

/// The bound is 50; a busy machine and a build without full optimisation get a margin.
const MOST: f64 = 100.0;

#[test]
fn no_text_costs_much_more_than_a_clean_one() {
    let settings =
        Settings { rules: merge(true, &[]), seed: Some(SeedSettings::default()), ..Settings::default() };
    let scanner = Scanner::new(settings).expect("built-in rules compile");
    // What is more than linear shows in the larger text.
    for (bytes, budget) in [(64 << 10, Duration::from_millis(10)), (1 << 20, Duration::ZERO)] {
        let cost = |text: &[u8]| {
            let seconds = median_seconds(budget, || {
                black_box(scanner.scan_text(black_box(text)));
            });
            seconds / text.len() as f64
        };
        let clean = cost(&corpus::chat(bytes));
        for (name, text) in corpus::worst_cases(bytes) {
            let mut times = cost(&text) / clean;
            if times >= MOST {
                // Something else may have disturbed the first look.
                times = cost(&text) / clean;
            }
            println!("{bytes} bytes, {name}: {times:.1} times a clean text");
            assert!(times < MOST, "{bytes} bytes, {name}: {times:.1} times a clean text");
        }
    }
}
