//! `POST /api/v1/scan`: the scanners as a service, on a listener of its own. (spec: http-proxy §14)
//!
//! The checks are one list in `Scan::run`; whatever ends it, the same function makes the answer and counts. Scans run where
//! other long scans run, and give up at `timeouts.scan`.

mod kinds;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{ALLOW, AUTHORIZATION, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::admin::json::{JsonError, object, restrict, text};
use super::admin::same;
use super::answer::{self, Answer};
use super::wire::{Limits, Request};
use super::{Server, Shared};
use crate::config::{Config, grammar};

/// One thing that was found.
#[derive(Clone, Serialize)]
struct Finding {
    scanner: &'static str,
    rule_id: String,
    severity: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
}

#[derive(Clone, Serialize)]
struct Evidence {
    encoding: &'static str,
}

#[derive(Serialize)]
struct Problem<'a> {
    code: &'static str,
    message: &'a str,
    retryable: bool,
}

/// The answer, keys in their order.
#[derive(Serialize)]
struct Reply<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'static str>,
    kind: &'a str,
    scan_id: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    duration_ms: u64,
    engine_version: &'static str,
    #[serde(skip_serializing_if = "<[Finding]>::is_empty")]
    findings: &'a [Finding],
    #[serde(skip_serializing_if = "<[Problem<'_>]>::is_empty")]
    errors: &'a [Problem<'a>],
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Why a call ends without a scan.
struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
    retryable: bool,
}

fn refused(status: StatusCode, code: &'static str, message: impl Into<String>) -> Refused {
    Refused { status, code, message: message.into(), retryable: false }
}

fn bad(code: &'static str, message: impl Into<String>) -> Refused {
    refused(StatusCode::BAD_REQUEST, code, message)
}

/// A scan that ran.
struct Scanned {
    request_id: String,
    findings: Vec<Finding>,
}

/// Token buckets, by position of the token in the configuration.
#[derive(Default)]
struct Buckets(Mutex<HashMap<usize, (f64, Instant)>>);

impl Buckets {
    fn take(&self, token: usize, per_minute: f64, burst: f64, now: Instant) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (level, at) = buckets.entry(token).or_insert((burst, now));
        let filled = *level + now.saturating_duration_since(*at).as_secs_f64() * per_minute / 60.0;
        *level = filled.min(burst);
        *at = now;
        if *level < 1.0 {
            return false;
        }
        *level -= 1.0;
        true
    }
}

/// Deadlines of the listener.
#[must_use]
pub fn limits(config: &Config) -> Limits {
    let timeouts = &config.scan_api.timeouts;
    let read = duration(&timeouts.read, 2);
    Limits { head: read, request: read, write: Some(duration(&timeouts.write, 2)), ..Limits::MAIN }
}

fn duration(text: &str, default_seconds: u64) -> Duration {
    let nanos = grammar::duration(text).ok().and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
    nanos.map_or(Duration::from_secs(default_seconds), Duration::from_nanos)
}

/// Serves the scan API until the process is told to stop.
pub async fn serve(server: Server, shared: Arc<Shared>) {
    let at_once = shared.policy.load().config.scan_api.connection_limit;
    let slots = Arc::new(Semaphore::new(usize::try_from(at_once).ok().filter(|n| *n > 0).unwrap_or(100)));
    let buckets = Arc::new(Buckets::default());
    server
        .serve_with(move |_, request: Request| {
            let (shared, slots, buckets) = (Arc::clone(&shared), Arc::clone(&slots), Arc::clone(&buckets));
            async move {
                if &*request.head.url.path != b"/api/v1/scan" {
                    return answer::not_found();
                }
                // The semaphore is never closed.
                let _slot = slots.acquire().await;
                handle(&shared, &buckets, request).await
            }
        })
        .await;
}

async fn handle(shared: &Arc<Shared>, buckets: &Buckets, request: Request) -> Answer {
    let metrics = shared.events.metrics();
    metrics.scan_api_inflight(1);
    let began = Instant::now();
    let mut scan = Scan { shared, kind: String::new() };
    let outcome = scan.run(buckets, request).await;
    let took = began.elapsed();
    metrics.scan_api_inflight(-1);

    let known = kinds::NAMES.contains(&scan.kind.as_str()) || scan.kind.is_empty();
    let label = if known { scan.kind.as_str() } else { "unknown" };
    let mut reply = Reply {
        status: "completed",
        decision: None,
        kind: &scan.kind,
        scan_id: format!("scan-{:016x}", rand::random::<u64>()),
        request_id: "",
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        engine_version: crate::VERSION,
        findings: &[],
        errors: &[],
    };
    match &outcome {
        Ok(scanned) => {
            let decision = if scanned.findings.is_empty() { "allow" } else { "deny" };
            for finding in &scanned.findings {
                metrics.scan_api_finding(label, finding.scanner, &finding.severity);
            }
            metrics.scan_api_request(label, decision, 200, took);
            reply.decision = Some(decision);
            reply.request_id = &scanned.request_id;
            reply.findings = &scanned.findings;
            answer::json(StatusCode::OK, &reply)
        }
        Err(refused) => {
            metrics.scan_api_error(label, refused.code);
            metrics.scan_api_request(label, "error", refused.status.as_u16(), took);
            let errors =
                [Problem { code: refused.code, message: &refused.message, retryable: refused.retryable }];
            reply.status = "error";
            reply.duration_ms = 0;
            reply.errors = &errors;
            let mut answer = answer::json(refused.status, &reply);
            match refused.code {
                "method_not_allowed" => {
                    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
                }
                "rate_limited" => {
                    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
                }
                _ => {}
            }
            answer
        }
    }
}

/// A call under way.
struct Scan<'a> {
    shared: &'a Arc<Shared>,
    /// As the caller wrote it; empty before it is known.
    kind: String,
}

impl Scan<'_> {
    /// The checks in their order, then the scan.
    async fn run(&mut self, buckets: &Buckets, request: Request) -> Result<Scanned, Refused> {
        let policy = self.shared.policy.load_full();
        let config = &policy.config.scan_api;
        if request.head.method != Method::POST {
            return Err(refused(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Only POST is accepted",
            ));
        }
        let Some(token) = token(&request.head.headers, &policy.config) else {
            const TEXT: &str = "Missing or invalid bearer token";
            return Err(refused(StatusCode::UNAUTHORIZED, "unauthorized", TEXT));
        };
        let rate = &config.rate_limit;
        if !buckets.take(token, rate.requests_per_minute as f64, rate.burst as f64, Instant::now()) {
            const TEXT: &str = "Rate limit exceeded for this token";
            let mut limited = refused(StatusCode::TOO_MANY_REQUESTS, "rate_limited", TEXT);
            limited.retryable = true;
            return Err(limited);
        }
        if self.shared.kill_switch.active().is_some() {
            const TEXT: &str = "All scanning suspended by kill switch";
            return Err(refused(StatusCode::SERVICE_UNAVAILABLE, "kill_switch_active", TEXT));
        }
        let body = read(request, config.max_body_bytes).await?;
        let fields = object(&body, &["kind", "input", "context", "options"]).map_err(|e| match e {
            JsonError::Bad(why) => invalid_json(&why),
            JsonError::Trailing => invalid_json("trailing data after JSON object"),
        })?;
        let part = |key: &'static str, keys: &[&str]| -> Result<Map<String, Value>, Refused> {
            match fields.get(key) {
                None | Some(Value::Null) => Ok(Map::new()),
                Some(Value::Object(part)) => restrict(part.clone(), keys).map_err(|why| invalid_json(&why)),
                Some(_) => {
                    Err(invalid_json(&format!("json: cannot unmarshal into field {key} of type object")))
                }
            }
        };
        let kind = text(&fields, "kind").map_err(|why| invalid_json(&why))?;
        let input = part("input", &["url", "text", "content", "tool_name", "arguments"])?;
        let context = part("context", &["request_id", "session_id", "agent_name"])?;
        let options = part("options", &["include_evidence"])?;
        let request_id = text(&context, "request_id").map_err(|why| invalid_json(&why))?;
        self.kind.clone_from(&kind);
        let input = kinds::Input::read(&kind, &input, config)?;
        let evidence = options.get("include_evidence").and_then(Value::as_bool).unwrap_or(false);
        let limit = duration(&config.timeouts.scan, 5);
        match tokio::time::timeout(limit, input.scan(self.shared, &policy, evidence)).await {
            Ok(Some(findings)) => Ok(Scanned { request_id, findings }),
            // A scan that did not come back is as good as one that took too long.
            Ok(None) | Err(_) => {
                let mut late =
                    refused(StatusCode::SERVICE_UNAVAILABLE, "scan_deadline_exceeded", "Scan timed out");
                late.retryable = true;
                Err(late)
            }
        }
    }
}

fn invalid_json(why: &str) -> Refused {
    bad("invalid_json", format!("Invalid request: {why}"))
}

/// Position of the caller's token in the configuration. Every token is compared, in constant time each.
fn token(headers: &HeaderMap, config: &Config) -> Option<usize> {
    let given = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, given) = given.split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return None;
    }
    let tokens = config.scan_api.auth.bearer_tokens.iter().enumerate();
    tokens.filter(|(_, token)| same(given, token.expose().as_bytes())).map(|(i, _)| i).next()
}

async fn read(request: Request, limit: i64) -> Result<bytes::Bytes, Refused> {
    let bytes = usize::try_from(limit).unwrap_or(0);
    match http_body_util::Limited::new(request.body, bytes).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(e) if e.is::<http_body_util::LengthLimitError>() => {
            Err(bad("body_too_large", format!("Request body exceeds {limit} bytes")))
        }
        Err(_) => Err(bad("read_error", "Failed to read request body")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_refill_with_time_up_to_the_burst() {
        let buckets = Buckets::default();
        let now = Instant::now();
        let take = |seconds| buckets.take(0, 60.0, 2.0, now + Duration::from_secs(seconds));
        assert_eq!([take(0), take(0), take(0)], [true, true, false]);
        assert_eq!([take(1), take(1)], [true, false]);
        assert_eq!([take(100), take(100), take(100)], [true, true, false]);
        assert!(buckets.take(1, 60.0, 2.0, now), "each token has its own");
    }
}
