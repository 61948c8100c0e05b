//! How fast text and request bodies are scanned: `throughput FILE`, `throughput --texts`, `throughput --body FILE... TYPE`,
//! `throughput --bodies [NAME]` or `throughput --adversarial [NAME]`.
//!
//! For prefixes of the file, or of generated texts of three kinds, text DLP (`dlp BYTES MB/s [NAME]`) and the search for injected
//! instructions (`injection BYTES MB/s [NAME]`); or, for generated bodies, the whole inspection (`body BYTES MB/s NAME`), ordinary ones in two
//! sizes and then those made to cost most, or only those of that name, or files as bodies of a media type, one after the other. All with the default configuration: hardened
//! strictness, every rule and every pass. Figures are medians of the thread's processor time, 1 MB being 10^6 bytes; the
//! first line is the machine's own measure.
//!
//! With `--adversarial`, text DLP of texts made to cost as much as possible, of 64 KiB, 1 MiB and 5 MiB, the slowest first:
//! `BYTES MB/s RATIO NAME`, where the ratio is their cost to that of clean chat text of the same size, which may be 50; or only
//! those of that name.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use muselet::config::Config;
use muselet::policy::body::BodyPolicy;
use muselet_benches::corpus::{self, Body};
use muselet_benches::measure::{hot_memchr, median_seconds};
use muselet_benches::say;
use muselet_rules::{Strictness, dlp, injection};

const SIZES: [usize; 6] = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
const BUDGET: Duration = Duration::from_millis(300);

fn adversarial(only: Option<&str>) {
    let dlp = dlp_scanner();
    for bytes in [64 << 10, 1 << 20, 5 << 20] {
        // Of a byte, in nanoseconds.
        let cost = |text: &[u8]| {
            let seconds = median_seconds(BUDGET / 10, || {
                black_box(dlp.scan_text(black_box(text)));
            });
            seconds * 1e9 / text.len() as f64
        };
        let clean = cost(&corpus::chat(bytes));
        let mut cases = corpus::worst_cases(bytes);
        cases.retain(|&(name, _)| only.is_none_or(|only| only == name));
        let mut costs: Vec<_> = cases.into_iter().map(|(name, text)| (cost(&text), name)).collect();
        costs.push((clean, "clean chat text"));
        costs.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (cost, name) in costs {
            say!("{bytes} {:.1} {:.1} {name}", 1e3 / cost, cost / clean);
        }
    }
}

fn main() {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!(
            "usage: throughput FILE | --texts | --body FILE... TYPE | --bodies [NAME] | --adversarial [NAME]"
        );
        std::process::exit(2);
    };
    say!("hot-memchr 65536 {:.0}", hot_memchr());
    if path == "--adversarial" {
        return adversarial(std::env::args().nth(2).as_deref());
    }
    if path == "--bodies" {
        let sizes = [64 << 10, 1 << 20];
        let mut bodies: Vec<Body> = sizes.into_iter().flat_map(corpus::bodies).collect();
        bodies.extend(corpus::worst_bodies(1 << 20));
        if let Some(name) = std::env::args().nth(2) {
            bodies.retain(|body| body.name == name);
        }
        report_bodies(&bodies);
        return;
    }
    if path == "--body" {
        let arguments: Vec<String> = std::env::args().skip(2).collect();
        let Some((content_type, files)) = arguments.split_last().filter(|(_, files)| !files.is_empty())
        else {
            eprintln!("usage: throughput --body FILE... TYPE");
            std::process::exit(2);
        };
        let name = if files.len() == 1 { "file" } else { "files in turn" };
        let bodies = files.iter().map(|file| Body {
            name,
            content_type: content_type.clone().leak(),
            bytes: read(Path::new(file)),
        });
        report_in_turn(&body_policy(), &bodies.collect::<Vec<_>>());
        return;
    }
    if path == "--texts" {
        let most = SIZES.into_iter().max().unwrap_or_default();
        report_texts(&[
            (corpus::chat(most), " chat"),
            (corpus::code(most), " code"),
            (corpus::base64_heavy(most), " base64"),
        ]);
    } else {
        report_texts(&[(read(Path::new(&path)), "")]);
    }
}

/// Texts, each with what to print behind its figures.
fn report_texts(texts: &[(Vec<u8>, &str)]) {
    let dlp = dlp_scanner();
    let injection = injection::Scanner::new(injection::Settings {
        standard: Some(injection::builtin_rules().to_vec()),
        strictness: Strictness::Hardened,
    })
    .expect("the built-in rules compile");
    let report = |name: &str, scan: &dyn Fn(&[u8])| {
        for (text, kind) in texts {
            for part in SIZES.iter().filter_map(|&size| text.get(..size)) {
                let seconds = median_seconds(BUDGET, || scan(black_box(part)));
                say!("{name} {} {:.1}{kind}", part.len(), part.len() as f64 / seconds / 1e6);
            }
        }
    };
    report("dlp", &|part| {
        black_box(dlp.scan_text(part));
    });
    report("injection", &|part| {
        black_box(injection.scan(part));
    });
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| {
        eprintln!("throughput: reading {}: {error}", path.display());
        std::process::exit(1);
    })
}

fn dlp_scanner() -> dlp::Scanner {
    dlp::Scanner::new(dlp::Settings {
        rules: dlp::merge(true, &[]),
        strictness: Strictness::Hardened,
        seed: Some(dlp::SeedSettings::default()),
        env_secrets: dlp::Secrets::from_env([("CI_DEPLOY_KEY", "zQ7xN2pLw9RtKv4m")], 16),
        ..dlp::Settings::default()
    })
    .expect("the built-in rules compile")
}

fn body_policy() -> BodyPolicy {
    BodyPolicy::new(&Config::defaults(), Arc::new(dlp_scanner())).expect("there is no profile to compile")
}

fn report_bodies(bodies: &[Body]) {
    let policy = body_policy();
    for body in bodies {
        report_in_turn(&policy, std::slice::from_ref(body));
    }
}

/// One figure for all of them, each scanned after the one before it: the branches of a single body would be learnt.
fn report_in_turn(policy: &BodyPolicy, bodies: &[Body]) {
    let (Some(first), bytes) = (bodies.first(), bodies.iter().map(|body| body.bytes.len()).sum::<usize>())
    else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(first.content_type));
    let found = bodies.iter().find_map(|body| policy.scan(&body.bytes, &headers, "example.com").finding);
    let seconds = median_seconds(BUDGET, || {
        for body in bodies {
            black_box(policy.scan(black_box(&body.bytes), &headers, "example.com"));
        }
    });
    let note = found.map(|finding| format!(" ({})", finding.reason)).unwrap_or_default();
    say!("body {} {:.1} {}{note}", bytes / bodies.len(), bytes as f64 / seconds / 1e6, first.name);
}
