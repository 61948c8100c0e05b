//! The kill switch's remote control. spec: http-proxy §12.4

use std::time::Instant;

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::auth::{is_authorised, method_not_allowed, too_many, unauthorised};
use super::json::{JsonError, object};
use crate::server::Shared;
use crate::server::answer::{self, Answer};
use crate::server::wire::Request;

/// Longest body that is read.
const BODY: usize = 1024;

/// Checks that both endpoints make, in order.
fn refused(shared: &Shared, request: &Request, method: Method, allow: &'static str) -> Option<Answer> {
    if request.head.method != method {
        return Some(method_not_allowed(allow));
    }
    let token = shared.kill_switch.token();
    if token.is_empty() {
        return Some(answer::text(
            StatusCode::SERVICE_UNAVAILABLE,
            "kill switch API not configured (no api_token)",
        ));
    }
    (!is_authorised(&request.head.headers, token.expose())).then(unauthorised)
}

/// `POST /api/v1/killswitch`
pub(super) async fn toggle(shared: &Shared, request: Request) -> Answer {
    if let Some(answer) = refused(shared, &request, Method::POST, "POST") {
        return answer;
    }
    if !shared.admin_calls.kill_switch.take(Instant::now()) {
        return too_many();
    }
    let bad = |text: &str| answer::text(StatusCode::BAD_REQUEST, text);
    let body = match http_body_util::Limited::new(request.body, BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return bad("invalid request body: http: request body too large"),
    };
    let fields = match object(&body, &["active"]) {
        Ok(fields) => fields,
        Err(JsonError::Bad(why)) => return bad(&format!("invalid request body: {why}")),
        Err(JsonError::Trailing) => return bad("request body must contain exactly one JSON object"),
    };
    let active = match fields.get("active") {
        Some(Value::Bool(on)) => Some(*on),
        Some(Value::Null) | None => None,
        Some(_) => return bad("invalid request body: json: cannot unmarshal into a boolean"),
    };
    let Some(active) = active else { return bad("missing required field \"active\"") };
    shared.kill_switch.set_api(active);
    let mut done = json!({"active": active, "source": "api"});
    if active {
        done["message"] = Value::String(shared.kill_switch.message());
    }
    answer::json(StatusCode::OK, &done)
}

/// `GET /api/v1/killswitch/status`
pub(super) fn status(shared: &Shared, request: &Request) -> Answer {
    if let Some(answer) = refused(shared, request, Method::GET, "GET") {
        return answer;
    }
    let sources = shared.kill_switch.sources();
    let active = sources.iter().any(|(_, on)| *on);
    let by_name: serde_json::Map<String, Value> =
        sources.iter().map(|(name, on)| ((*name).to_owned(), Value::Bool(*on))).collect();
    let mut state = json!({"active": active, "sources": by_name});
    if active {
        state["message"] = Value::String(shared.kill_switch.message());
    }
    answer::json(StatusCode::OK, &state)
}
