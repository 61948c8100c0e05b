//! Layers that look for random-looking text: path segments, query keys and values, labels of the host. (spec: url-scan §13, §14)
//!
//! Entropy cannot exceed log2 of the number of distinct symbols, so most texts are settled by counting distinct bytes;
//! logarithms are only taken for what could exceed the threshold.

use std::borrow::Cow;

use muselet_rules::text;

use super::layers::Step;
use super::{Pipeline, Scan, quote, views};
use crate::policy::address;
use crate::policy::verdict::{Label, UrlVerdict};

/// Shortest path segment, query key or query value that is examined, in bytes.
const MIN_TEXT: usize = 20;
/// Shortest label of the host that is examined, in bytes.
const MIN_LABEL: usize = 8;

/// The entropy of `bytes` in bits per code point, if it exceeds `threshold`.
pub(super) fn exceeding(bytes: &[u8], threshold: f64) -> Option<f64> {
    // Distinct bytes bound distinct code points only in ASCII text.
    if bytes.is_ascii() {
        let mut seen = [false; 128];
        bytes.iter().for_each(|&byte| seen[usize::from(byte & 127)] = true);
        let distinct = seen.iter().map(|&seen| u32::from(seen)).sum::<u32>();
        if f64::from(distinct).log2() <= threshold {
            return None;
        }
    }
    let entropy = text::shannon_entropy(&text::lossy(bytes));
    (entropy > threshold).then_some(entropy)
}

fn block(label: Label, what: &str, quoted: Option<&[u8]>, entropy: f64, threshold: f64) -> UrlVerdict {
    let quoted = quoted.map_or_else(String::new, |text| format!(" {}", quote(text)));
    let reason = format!("high entropy {what}{quoted} ({entropy:.2} > {threshold:.2} threshold)");
    UrlVerdict::block(label, reason).with_score((entropy / 8.0).min(1.0))
}

/// Layer 10.
pub(super) fn path_and_query(pipeline: &Pipeline, scan: &mut Scan<'_>) -> Step {
    let threshold = pipeline.settings.entropy_threshold;
    if threshold <= 0.0 {
        return Step::Pass;
    }
    if scan.url.path.len() > MIN_TEXT && !is_excluded(pipeline, scan.url.host_name()) {
        for segment in views::segments(&scan.url.path).filter(|segment| segment.len() >= MIN_TEXT) {
            if let Some(entropy) = exceeding(segment, threshold) {
                return Step::Block(block(Label::Entropy, "path segment", None, entropy, threshold));
            }
        }
    }
    if scan.url.raw_query.len() < MIN_TEXT {
        return Step::Pass;
    }
    let judge = |what, key: &[u8], text: &[u8]| {
        let entropy = if text.len() < MIN_TEXT { None } else { exceeding(text, threshold) };
        entropy.map(|entropy| block(Label::Entropy, what, Some(key), entropy, threshold))
    };
    // The usual query has nothing to report; only when something is found does the order of the keys matter.
    if !scan.has_piece_of(MIN_TEXT)
        || !views::pairs(&scan.url.raw_query)
            .any(|(key, value)| judge("", b"", &key).is_some() || judge("", b"", &value).is_some())
    {
        return Step::Pass;
    }
    for (key, values) in views::grouped_pairs(&scan.url.raw_query) {
        let found = judge("query key", &key, &key)
            .or_else(|| values.iter().find_map(|value| judge("query param", &key, value)));
        if let Some(verdict) = found {
            return Step::Block(verdict);
        }
    }
    Step::Pass
}

/// Judges one query value by itself, named after its key.
pub(super) fn query_text(pipeline: &Pipeline, key: &[u8], text: &[u8]) -> Option<UrlVerdict> {
    let threshold = pipeline.settings.entropy_threshold;
    if threshold <= 0.0 || text.len() < MIN_TEXT {
        return None;
    }
    let entropy = exceeding(text, threshold)?;
    Some(block(Label::Entropy, "query param", Some(key), entropy, threshold))
}

/// Layer 11.
pub(super) fn subdomain(pipeline: &Pipeline, scan: &mut Scan<'_>) -> Step {
    let threshold = pipeline.settings.subdomain_entropy_threshold;
    let host = &*scan.host;
    let labels = host.bytes().filter(|&byte| byte == b'.').count() + 1;
    if threshold <= 0.0 || labels < 3 || address::parse_literal_with_zone(host).is_some() {
        return Step::Pass;
    }
    let mut examined = host.split('.').take(labels - 2).filter(|label| label.len() >= MIN_LABEL);
    let found =
        examined.find_map(|label| exceeding(label.as_bytes(), threshold).map(|entropy| (label, entropy)));
    match found {
        Some((label, entropy)) if !pipeline.entropy_exclusions.matches(host) => {
            let verdict =
                block(Label::SubdomainEntropy, "subdomain label", Some(label.as_bytes()), entropy, threshold);
            Step::Block(verdict)
        }
        _ => Step::Pass,
    }
}

fn is_excluded(pipeline: &Pipeline, host_name: &[u8]) -> bool {
    let host: Cow<'_, str> = text::lossy(host_name);
    pipeline.entropy_exclusions.matches(&host)
}
