//! What scanning a URL costs: `urls [FILE]`, with one URL a line, or the benchmark's own.
//!
//! Prints `MICROSECONDS BYTES VERDICT NAME`: medians of the thread's processor time, with the built-in configuration. A
//! second figure for the ratio to the cost of an ordinary query of about that size follows where the query is a hostile one.

use std::hint::black_box;
use std::time::{Duration, Instant};

use muselet_benches::measure::median_seconds;
use muselet_benches::{hostile, say, urls};

const BUDGET: Duration = Duration::from_millis(60);

fn main() -> std::io::Result<()> {
    let pipeline = urls::pipeline();
    let (mut now, mut slow) = (Instant::now(), 0);
    let mut cost = |url: &str| {
        median_seconds(BUDGET, || {
            now += Duration::from_millis(20);
            black_box(urls::scan(&pipeline, black_box(url), now));
        }) * 1e6
    };
    let verdict =
        |url: &str| if urls::scan(&urls::pipeline(), url, Instant::now()) { "allowed" } else { "blocked" };
    if let Some(path) = std::env::args_os().nth(1) {
        for url in std::fs::read_to_string(path)?.lines() {
            say!("{:9.2} {:5} {} {url}", cost(url), url.len(), verdict(url));
        }
        return Ok(());
    }
    for (name, url) in urls::cases() {
        say!("{:9.2} {:5} {name}", cost(&url), url.len());
    }
    for (name, url) in urls::realistic() {
        say!("{:9.2} {:5} {} {name}", cost(&url), url.len(), verdict(&url));
    }
    let queries = hostile::queries();
    let clean: Vec<(usize, f64)> = queries
        .iter()
        .filter(|(name, _)| name.starts_with("clean"))
        .map(|(_, url)| (url.len(), cost(url)))
        .collect();
    for (name, url) in &queries {
        let near = clean.iter().min_by_key(|(len, _)| len.abs_diff(url.len())).map_or(1.0, |(_, cost)| *cost);
        let cost = cost(url);
        slow += usize::from(cost / near > 50.0);
        say!("{cost:9.2} {:5} {} {:6.1} {name}", url.len(), verdict(url), cost / near);
    }
    say!("{slow} beyond 50 times an ordinary query");
    Ok(())
}
