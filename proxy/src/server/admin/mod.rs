//! What operators and probes ask the proxy itself: health, statistics, metrics, the kill switch's remote control.
//!
//! The same handlers serve the main listener and, where configured, the ports of their own. spec: http-proxy §2.1, §12.4, §15, §17

mod auth;
pub(super) mod json;
mod kill_switch;
mod sessions;

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde::Serialize;

use super::answer::{self, Answer, Body};
use super::wire::Request;
use super::{Server, Shared};
use crate::events::{CrossRequestStats, EXPOSITION_TYPE, Event};
use crate::policy::kill_switch::Asked;

pub(super) use auth::same;
pub use auth::{AdminCalls, RateWindow};

/// Keys in the order probes know.
#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    version: &'static str,
    mode: &'a str,
    uptime_seconds: f64,
    dlp_patterns: usize,
    response_scan_enabled: bool,
    git_protection_enabled: bool,
    rate_limit_enabled: bool,
    forward_proxy_enabled: bool,
    websocket_proxy_enabled: bool,
    request_body_scan_enabled: bool,
    tls_interception_enabled: bool,
    kill_switch_active: bool,
}

/// `/health`: 200 as long as the process lives. spec: http-proxy §15.1
#[must_use]
pub fn health(shared: &Shared) -> Answer {
    let policy = shared.policy.load();
    let config = &policy.config;
    answer::json(
        StatusCode::OK,
        &Health {
            status: "healthy",
            version: crate::VERSION,
            mode: &config.mode,
            uptime_seconds: shared.events.metrics().uptime().as_secs_f64(),
            dlp_patterns: config.dlp.patterns.len(),
            response_scan_enabled: config.response_scanning.enabled,
            git_protection_enabled: config.git_protection.enabled,
            rate_limit_enabled: config.fetch_proxy.monitoring.max_requests_per_minute > 0,
            forward_proxy_enabled: config.forward_proxy.enabled,
            websocket_proxy_enabled: config.websocket_proxy.enabled,
            request_body_scan_enabled: config.request_body_scanning.enabled,
            tls_interception_enabled: config.tls_interception.enabled,
            kill_switch_active: shared.kill_switch.active().is_some(),
        },
    )
}

/// `/stats`. spec: http-proxy §15.2
#[must_use]
pub fn stats(shared: &Shared) -> Answer {
    let across = shared.policy.load().cross_request.as_ref().map(|t| t.stats()).unwrap_or_default();
    let across = CrossRequestStats {
        entropy_tracker_active: across.entropy,
        fragment_buffer_active: across.fragments,
        fragment_buffer_bytes: across.bytes as u64,
    };
    answer::json(StatusCode::OK, &shared.events.metrics().stats(shared.sessions.count(), across))
}

/// `/metrics`: the text exposition, compressed when the scraper accepts that. spec: http-proxy §17
#[must_use]
pub fn metrics(shared: &Shared, headers: &HeaderMap) -> Answer {
    let metrics = shared.events.metrics();
    metrics.set_kill_switch(&shared.kill_switch.sources());
    let mut body = metrics.exposition();
    let gzip = accepts_gzip(headers);
    if gzip {
        body = compressed(&body);
    }
    let mut answer = Response::new(Body::Full(body.into()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EXPOSITION_TYPE));
    if gzip {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).any(
        |part| {
            let (name, rest) = part.split_once(';').unwrap_or((part, ""));
            name.trim().eq_ignore_ascii_case("gzip")
                && !rest.replace(' ', "").starts_with("q=0,")
                && rest.replace(' ', "") != "q=0"
        },
    )
}

fn compressed(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

/// The answer of a denied request, if the kill switch denies it; also writes the event and counts. spec: http-proxy §12.2
#[must_use]
pub fn denied(shared: &Shared, client_ip: &str, request: &Request) -> Option<Answer> {
    let url = &request.head.url;
    let path = String::from_utf8_lossy(&url.path);
    let connect = request.head.method == http::Method::CONNECT;
    let denial = shared.kill_switch.denies(&Asked {
        path: &path,
        origin_form: url.host.is_empty(),
        connect,
        peer: client_ip
            .split('%')
            .next()
            .and_then(|ip| ip.parse().ok())
            .unwrap_or(IpAddr::from([0, 0, 0, 0])),
    })?;
    let endpoint = if connect { "" } else { &*path };
    shared.next_request_id();
    shared.events.record(&Event::KillSwitchDeny {
        transport: "http",
        endpoint,
        source: denial.source.as_str(),
        deny_message: &denial.message,
        client_ip,
    });
    shared.events.metrics().kill_switch_denied("http", endpoint);
    Some(answer::json(
        StatusCode::SERVICE_UNAVAILABLE,
        &serde_json::json!({"error": "kill_switch_active", "message": denial.message}),
    ))
}

/// The admin paths, for whichever listener has them.
///
/// # Errors
/// The request, where it is for none of them. spec: http-proxy §2.1
pub async fn api(shared: &Arc<Shared>, client_ip: &str, request: Request) -> Result<Answer, Request> {
    match &*request.head.url.path {
        b"/api/v1/killswitch" => Ok(kill_switch::toggle(shared, request).await),
        b"/api/v1/killswitch/status" => Ok(kill_switch::status(shared, &request)),
        path if sessions::owns(path) && shared.kill_switch.had_token() => {
            Ok(sessions::serve(shared, client_ip, request).await)
        }
        _ => Err(request),
    }
}

/// Serves `/metrics` and `/stats` on a port of their own.
pub async fn serve_metrics(server: Server, shared: Arc<Shared>) {
    server
        .serve_with(move |_, request: Request| {
            let shared = Arc::clone(&shared);
            async move {
                match &*request.head.url.path {
                    b"/metrics" => metrics(&shared, &request.head.headers),
                    b"/stats" => stats(&shared),
                    _ => answer::not_found(),
                }
            }
        })
        .await;
}

/// Serves the kill switch's remote control and the session API on a port of their own.
pub async fn serve_api(server: Server, shared: Arc<Shared>) {
    server
        .serve_with(move |client_ip: Arc<str>, request: Request| {
            let shared = Arc::clone(&shared);
            async move {
                match api(&shared, &client_ip, request).await {
                    Ok(answer) => answer,
                    Err(_) => answer::not_found(),
                }
            }
        })
        .await;
}
