//! The OTLP sink: one log record per request, protobuf over HTTP, with the retries the protocol asks for.
//!
//! The message is small and fixed, so it is encoded here field by field instead of through generated code.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};

use super::post::{Poster, address, header};
use super::queue::{Closing, Queue};
use super::{EmitError, Emitted, Severity, Sink, complain};
use crate::config::EmitOtlp;

/// Waits before the second and third attempt.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

pub(super) struct Otlp {
    queue: Queue,
}

impl Otlp {
    pub(super) fn start(config: &EmitOtlp, instance: &str) -> Result<Otlp, EmitError> {
        let base = config.endpoint.trim_end_matches('/');
        let base = base.strip_suffix("/v1/logs").unwrap_or(base);
        let url = address("otlp endpoint", &format!("{base}/v1/logs"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            let (name, value) = header(name, value.expose())?;
            headers.insert(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if config.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let timeout =
            Duration::from_secs(u64::try_from(config.timeout_seconds).ok().filter(|s| *s > 0).unwrap_or(10));
        let size = usize::try_from(config.queue_size).ok().filter(|n| *n > 0).unwrap_or(256);
        let poster = Poster::new(timeout)?;
        let (instance, gzip) = (instance.to_owned(), config.gzip);
        let queue = Queue::start("otlp", size, move |events, closing| {
            for event in events {
                let mut body = request(&event, &instance);
                if gzip {
                    body = compressed(&body);
                }
                let body = Bytes::from(body);
                deliver(&event, &closing, || {
                    poster.post(&url, &headers, &body).map(|status| status.as_u16())
                });
            }
        })?;
        Ok(Otlp { queue })
    }
}

/// Tries three times where trying again may help.
fn deliver(event: &Emitted, closing: &Closing, mut post: impl FnMut() -> Result<u16, String>) {
    let mut waits = WAITS.iter();
    loop {
        let problem = match post() {
            Ok(status) if status < 300 => return,
            Ok(status @ (429 | 502 | 503 | 504)) => format!("HTTP {status}"),
            Ok(status) => return complain(format_args!("otlp HTTP {status} (not retryable)")),
            Err(why) => why,
        };
        let Some(wait) = waits.next() else {
            return complain(format_args!("otlp send error (event={}): {problem}", event.kind));
        };
        closing.wait(*wait);
    }
}

fn compressed(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A length-delimited field.
fn bytes(out: &mut Vec<u8>, number: u64, value: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn fixed64(out: &mut Vec<u8>, number: u64, value: u64) {
    varint(out, number << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// `AnyValue` with a string.
fn any(text: &str) -> Vec<u8> {
    let mut value = Vec::with_capacity(text.len() + 4);
    bytes(&mut value, 1, text.as_bytes());
    value
}

/// `KeyValue` with a string.
fn attribute(out: &mut Vec<u8>, number: u64, key: &str, text: &str) {
    let mut pair = Vec::with_capacity(key.len() + text.len() + 8);
    bytes(&mut pair, 1, key.as_bytes());
    bytes(&mut pair, 2, &any(text));
    bytes(out, number, &pair);
}

/// `ExportLogsServiceRequest` with one record.
fn request(event: &Emitted, instance: &str) -> Vec<u8> {
    let nanos =
        u64::try_from(event.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX);
    let (number, text): (u64, &str) = match event.severity {
        Severity::Info => (9, "INFO"),
        Severity::Warn => (13, "WARN"),
        Severity::Critical => (17, "ERROR"),
    };
    let mut record = Vec::with_capacity(512);
    fixed64(&mut record, 1, nanos);
    varint(&mut record, 2 << 3);
    varint(&mut record, number);
    bytes(&mut record, 3, text.as_bytes());
    bytes(&mut record, 5, &any(event.kind));
    for (key, value) in &event.fields {
        attribute(&mut record, 6, key, &value.text());
    }
    attribute(&mut record, 6, "pipelock.instance", instance);
    fixed64(&mut record, 11, nanos);

    let mut scope_logs = Vec::with_capacity(record.len() + 8);
    bytes(&mut scope_logs, 2, &record);
    let mut resource = Vec::new();
    attribute(&mut resource, 1, "service.name", "pipelock");
    attribute(&mut resource, 1, "service.version", crate::VERSION);
    let mut resource_logs = Vec::new();
    bytes(&mut resource_logs, 1, &resource);
    bytes(&mut resource_logs, 2, &scope_logs);
    let mut request = Vec::new();
    bytes(&mut request, 1, &resource_logs);
    request
}

impl Sink for Otlp {
    fn emit(&self, event: &Arc<Emitted>) {
        self.queue.push(event);
    }

    fn close(&self) {
        self.queue.close();
    }
}
