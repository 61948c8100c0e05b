//! What the policy says about a response, as log lines and counters. spec: response-scan §11

use std::time::Duration;

use crate::events::{Context, Event};
use crate::policy::response::{Note, Refusal, RefusalLog, ShieldReport, Transport};
use crate::server::exchange::Exchange;

/// Writes notes in their order.
pub(in crate::server) fn record(exchange: &Exchange, transport: Transport, host: &str, notes: &[Note]) {
    for note in notes {
        one(exchange, transport, host, note);
    }
}

fn one(exchange: &Exchange, transport: Transport, host: &str, note: &Note) {
    let metrics = exchange.shared.events.metrics();
    let way = transport.as_str();
    match note {
        Note::Exempt => {
            metrics.response_scan_exempt("exempt_domain", way);
            exchange.record(&Event::ResponseScanExempt { ctx: exchange.context(), hostname: host });
        }
        Note::Suppressed(times) => {
            for _ in 0..*times {
                metrics.response_scan_exempt("suppress", way);
            }
        }
        Note::Scan { action, matches } => {
            let patterns: Vec<&str> = matches.iter().map(|m| &*m.name).collect();
            exchange.record(&Event::ResponseScan {
                ctx: exchange.context(),
                action,
                match_count: matches.len(),
                patterns,
                bundle_rules: Vec::new(),
            });
        }
        Note::Upgrade { from } => exchange.response_upgraded(from),
        Note::Media(exposure) => exchange.record(&Event::MediaExposure {
            ctx: exchange.context(),
            transport: way,
            content_type: &exposure.content_type,
            format: exposure.format.unwrap_or_default(),
            size_bytes: exposure.size as u64,
            metadata_segments_removed: exposure.segments_removed as u64,
            metadata_bytes_removed: exposure.bytes_removed as u64,
            blocked: exposure.blocked.as_deref(),
        }),
        // The reverse listener rewrites without a word.
        Note::Shield(..) if transport == Transport::Reverse => {}
        Note::Shield(report, took) => shield(exchange, way, report, *took),
        Note::ShieldSkipped(reason) => metrics.shield_skipped(reason),
        Note::Anomaly { scanner, reason, score } => {
            exchange.record(&Event::Anomaly { ctx: exchange.context(), scanner, reason, score: *score });
        }
    }
}

/// Writes and counts a refusal.
pub(in crate::server) fn record_refusal(
    exchange: &Exchange,
    transport: Transport,
    host: &str,
    refusal: &Refusal,
) {
    let metrics = exchange.shared.events.metrics();
    let mut label = refusal.counter;
    let ctx = Context { difference: refusal.difference.unwrap_or_default(), ..exchange.context() };
    match &refusal.log {
        RefusalLog::Blocked { scanner, reason } => {
            label = scanner;
            exchange.record(&Event::Blocked { ctx, scanner, reason });
        }
        RefusalLog::ResponseScan { action, count, patterns } => {
            let patterns: Vec<&str> = patterns.iter().map(|p| &**p).collect();
            exchange.record(&Event::ResponseScan {
                ctx,
                action,
                match_count: *count,
                patterns,
                bundle_rules: Vec::new(),
            });
        }
        RefusalLog::Error => {
            exchange.record(&Event::Error { ctx, error: &refusal.reason });
        }
    }
    if transport == Transport::Connect {
        metrics.tls_response_blocked(refusal.counter);
    } else if transport == Transport::Reverse {
        metrics.reverse_blocked("response", refusal.counter);
    } else if refusal.counted {
        exchange.count_blocked(host, label);
    }
}

/// One event for each category with hits; counters once a response.
fn shield(exchange: &Exchange, way: &str, report: &ShieldReport, took: Duration) {
    let metrics = exchange.shared.events.metrics();
    metrics.shield_latency(way, took);
    for (category, hits) in report.categories() {
        metrics.shield_rewrites(category, way, 1);
        exchange.record(&Event::ShieldRewrite {
            ctx: exchange.context(),
            category,
            hits: hits as u64,
            transport: way,
        });
    }
    if report.script.is_some() {
        metrics.shield_shim(way);
    }
}
