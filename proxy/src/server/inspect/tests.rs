use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body::Frame;
use http_body_util::StreamBody;
use muselet_rules::dlp::{self, Scanner};

use super::*;
use crate::config::Config;

const K: &str = "AKIAIOSFODNN7EXAMPLE";

fn policy(yaml: &str) -> Arc<BodyPolicy> {
    let config = Config::parse(yaml.as_bytes(), std::path::Path::new("/")).expect("valid configuration");
    let settings = dlp::Settings { rules: dlp::builtin_rules().to_vec(), ..dlp::Settings::default() };
    let scanner = Arc::new(Scanner::new(settings).expect("built-in rules compile"));
    Arc::new(BodyPolicy::new(&config, scanner).expect("compiles"))
}

/// A body in frames, counting how many were taken.
fn frames(
    parts: Vec<Bytes>,
    taken: &Arc<AtomicUsize>,
) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
    let taken = Arc::clone(taken);
    StreamBody::new(futures_util::stream::iter(parts.into_iter().map(move |part| {
        taken.fetch_add(1, Ordering::SeqCst);
        Ok(Frame::data(part))
    })))
}

fn json() -> HeaderMap {
    HeaderMap::from_iter([(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"))])
}

#[tokio::test]
async fn refuses_a_body_over_the_limit_without_reading_on() {
    let policy = policy("request_body_scanning: {max_body_bytes: 1000}");
    let taken = Arc::new(AtomicUsize::new(0));
    let parts = vec![Bytes::from(vec![b'a'; 400]); 100];
    let done = inspect(
        &policy,
        &Offload::default(),
        &Room::new(1 << 30),
        &HeaderMap::new(),
        "h",
        frames(parts, &taken),
        true,
    )
    .await;
    let Inspected::Refused(finding) = done else { panic!("not refused: {done:?}") };
    assert_eq!(finding.reason, "request body exceeds max_body_bytes (1000)");
    assert_eq!(taken.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn refuses_a_declared_length_over_the_limit_without_reading_at_all() {
    let policy = policy("request_body_scanning: {max_body_bytes: 1000}");
    let body = http_body_util::Full::new(Bytes::from(vec![b'a'; 1001]));
    let done =
        inspect(&policy, &Offload::default(), &Room::new(1 << 30), &HeaderMap::new(), "h", body, true).await;
    assert!(matches!(done, Inspected::Refused(_)), "{done:?}");
}

#[tokio::test]
async fn forwards_the_bytes_received_and_scans_them_as_a_whole() {
    let policy = policy("request_body_scanning: {action: block, max_body_bytes: 5242880}");
    let text = format!("{{\"key\":\"{K}\"}}");
    let parts: Vec<Bytes> = text.as_bytes().chunks(5).map(Bytes::copy_from_slice).collect();
    let taken = Arc::new(AtomicUsize::new(0));
    let done =
        inspect(&policy, &Offload::default(), &Room::new(1 << 30), &json(), "h", frames(parts, &taken), true)
            .await;
    let Inspected::Buffered { body, verdict, .. } = done else { panic!("not read: {done:?}") };
    assert_eq!(body, text.as_bytes());
    let finding = verdict.finding.expect("a secret");
    assert_eq!(finding.reason, "request body contains secret: AWS Access ID");
}

#[tokio::test]
async fn streams_what_is_not_scanned() {
    let policy = policy("request_body_scanning: {enabled: false}");
    let body = http_body_util::Full::new(Bytes::from_static(b"x"));
    let done = inspect(&policy, &Offload::default(), &Room::new(1 << 30), &json(), "h", body, true).await;
    assert!(matches!(done, Inspected::Streamed(_)), "{done:?}");
}
