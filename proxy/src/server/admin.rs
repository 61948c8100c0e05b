//! Health, stats and metrics endpoints. (spec: http-proxy §15, §17)

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde_json::json;

use super::answer::{self, Answer, Body};
use super::shared::Shared;

/// `/health`.
pub(super) fn health(shared: &Shared) -> Answer {
    let policy = shared.policy.load();
    let config = &policy.config;
    let object = json!({
        "status": "healthy",
        "version": env!("CARGO_PKG_VERSION"),
        "mode": config.mode,
        "uptime_seconds": shared.started.elapsed().as_secs_f64(),
        "dlp_patterns": config.dlp.patterns.len(),
        "response_scan_enabled": config.response_scanning.enabled,
        "git_protection_enabled": config.git_protection.enabled,
        "rate_limit_enabled": config.fetch_proxy.monitoring.max_requests_per_minute > 0,
        "forward_proxy_enabled": config.forward_proxy.enabled,
        "websocket_proxy_enabled": config.websocket_proxy.enabled,
        "request_body_scan_enabled": config.request_body_scanning.enabled,
        "tls_interception_enabled": config.tls_interception.enabled,
        "kill_switch_active": false,
    });
    answer::json(StatusCode::OK, &object)
}

/// `/metrics`.
pub(super) fn metrics(shared: &Shared, _headers: &HeaderMap) -> Answer {
    let mut answer = Response::new(Body::from(bytes::Bytes::from(shared.events.metrics().exposition())));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(crate::events::EXPOSITION_TYPE));
    answer
}

/// `/stats`.
pub(super) fn stats(shared: &Shared) -> Answer {
    answer::json(
        StatusCode::OK,
        &shared.events.metrics().stats(0, crate::events::CrossRequestStats::default()),
    )
}
