//! The session API: what operators read about sessions and do to them. (spec: http-proxy §13)
//!
//! Every endpoint makes the same checks in the same order; [`Call`] holds what an outcome needs to be logged.

use std::sync::Arc;
use std::time::Instant;

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use serde::Serialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::auth::{RateWindow, is_authorised, method_not_allowed, too_many, unauthorised};
use super::json::{JsonError, object, text};
use crate::events::Event;
use crate::policy::session::{AdminError, Tier};
use crate::policy::url::parse::{self, Part};
use crate::server::Shared;
use crate::server::answer::{self, Answer};
use crate::server::cross_request::forget;
use crate::server::session::tier_changed;
use crate::server::wire::Request;

const PREFIX: &[u8] = b"/api/v1/sessions";
/// Longest body that is read.
const BODY: usize = 64 * 1024;

/// One window for each limited action.
#[derive(Debug, Default)]
pub struct Windows {
    inspect: RateWindow,
    explain: RateWindow,
    reset: RateWindow,
    terminate: RateWindow,
    airlock: RateWindow,
    task: RateWindow,
    trust: RateWindow,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    List,
    Inspect,
    Explain,
    Reset,
    Terminate,
    Airlock,
    Task,
    Trust,
}

impl Action {
    /// The first half of the event's `action`.
    fn prefix(self) -> &'static str {
        match self {
            Action::List => "list",
            Action::Inspect => "inspect",
            Action::Explain => "explain",
            Action::Reset => "reset",
            Action::Terminate => "terminate",
            Action::Airlock => "airlock",
            Action::Task => "task",
            Action::Trust => "trust",
        }
    }

    fn reads(self) -> bool {
        matches!(self, Action::List | Action::Inspect | Action::Explain)
    }

    fn window(self, windows: &Windows) -> Option<&RateWindow> {
        Some(match self {
            Action::List => return None,
            Action::Inspect => &windows.inspect,
            Action::Explain => &windows.explain,
            Action::Reset => &windows.reset,
            Action::Terminate => &windows.terminate,
            Action::Airlock => &windows.airlock,
            Action::Task => &windows.task,
            Action::Trust => &windows.trust,
        })
    }
}

/// Whether a path belongs here.
pub(super) fn owns(path: &[u8]) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// The action and the key as written, or nothing for a path that has no meaning.
fn route(escaped: &[u8]) -> Option<(Action, &[u8])> {
    let rest = escaped.strip_prefix(PREFIX)?;
    if rest.is_empty() {
        return Some((Action::List, b""));
    }
    let rest = &rest[1..];
    let Some(at) = rest.iter().position(|b| *b == b'/') else { return Some((Action::Inspect, rest)) };
    let action = match &rest[at + 1..] {
        b"explain" => Action::Explain,
        b"reset" => Action::Reset,
        b"terminate" => Action::Terminate,
        b"airlock" => Action::Airlock,
        b"task" => Action::Task,
        b"trust" => Action::Trust,
        _ => return None,
    };
    Some((action, &rest[..at]))
}

/// A call under way.
struct Call<'a> {
    shared: &'a Arc<Shared>,
    client_ip: &'a str,
    action: Action,
    key: String,
}

impl Call<'_> {
    /// Writes the event of an outcome. `suffix`: the second half of its `action`.
    fn record(&self, suffix: &str, status: StatusCode, result: &str) {
        let action = match (self.action, suffix) {
            (_, "auth_failure") => "auth_failure".to_owned(),
            (Action::List, "ok") => "list".to_owned(),
            (action, suffix) => format!("{}_{suffix}", action.prefix()),
        };
        let keyless = matches!(suffix, "auth_failure" | "rate_limited" | "bad_key");
        self.shared.events.record(&Event::SessionAdmin {
            action: &action,
            client_ip: self.client_ip,
            status_code: status.as_u16(),
            session_key: if keyless { "" } else { &self.key },
            result,
        });
    }

    fn ok<T: Serialize>(&self, body: &T, result: &str) -> Answer {
        self.record("ok", StatusCode::OK, result);
        answer::json(StatusCode::OK, body)
    }

    fn bad(&self, suffix: &str, text: &str, result: &str) -> Answer {
        self.record(suffix, StatusCode::BAD_REQUEST, result);
        answer::text(StatusCode::BAD_REQUEST, text)
    }

    fn not_found(&self) -> Answer {
        self.record("not_found", StatusCode::NOT_FOUND, "session not found");
        answer::text(StatusCode::NOT_FOUND, "session not found")
    }

    /// Answers with what a command returned.
    fn done<T: Serialize>(
        &self,
        outcome: Result<T, AdminError>,
        result: impl FnOnce(&T) -> String,
    ) -> Answer {
        match outcome {
            Ok(value) => self.ok(&value, &result(&value)),
            Err(AdminError::NotFound) => self.not_found(),
        }
    }

    /// Sessions of other transports cannot be changed, but for their tier.
    fn refuses_invocation(&self) -> Option<Answer> {
        if !["mcp-stdio-", "mcp-http-", "mcp-ws-"].iter().any(|p| self.key.starts_with(p)) {
            return None;
        }
        let error = match self.action {
            Action::Reset => "cannot reset invocation session; only identity sessions are resettable",
            Action::Terminate => "cannot terminate invocation session; only identity sessions are resettable",
            Action::Task => "cannot begin new task on invocation session; only identity sessions are mutable",
            Action::Trust => {
                "cannot grant runtime trust override on invocation session; only identity sessions are mutable"
            }
            _ => return None,
        };
        self.record("rejected", StatusCode::BAD_REQUEST, "invocation key");
        Some(answer::json(StatusCode::BAD_REQUEST, &json!({"error": error})))
    }
}

/// Answers a call to a path that [`owns`] it.
pub(super) async fn serve(shared: &Arc<Shared>, client_ip: &str, request: Request) -> Answer {
    let path = request.head.url.escaped_path();
    let Some((action, raw_key)) = route(&path) else { return answer::not_found() };
    let (wanted, allow) = if action.reads() { (Method::GET, "GET") } else { (Method::POST, "POST") };
    if request.head.method != wanted {
        return method_not_allowed(allow);
    }
    let mut call = Call { shared, client_ip, action, key: String::new() };
    let token = shared.kill_switch.token();
    if token.is_empty() {
        return answer::text(StatusCode::SERVICE_UNAVAILABLE, "session API not configured (no api_token)");
    }
    if !is_authorised(&request.head.headers, token.expose()) {
        call.record("auth_failure", StatusCode::UNAUTHORIZED, "");
        return unauthorised();
    }
    if let Some(window) = action.window(&shared.admin_calls.sessions)
        && !window.take(Instant::now())
    {
        call.record("rate_limited", StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded");
        return too_many();
    }
    if !shared.sessions.is_on() {
        return answer::text(StatusCode::SERVICE_UNAVAILABLE, "session profiling disabled");
    }
    if action == Action::List {
        return list(&call, &request);
    }
    let key = parse::decode(raw_key, Part::Path).ok().and_then(|k| String::from_utf8(k.into_owned()).ok());
    match key.filter(|k| !k.is_empty() && !k.contains(['/', '\0'])) {
        Some(key) => call.key = key,
        None => return call.bad("bad_key", "missing or invalid session key in URL path", "invalid path"),
    }
    let now = Instant::now();
    match action {
        Action::List => answer::not_found(),
        Action::Inspect => {
            call.done(shared.sessions.inspect(&call.key), |i| i.snapshot.airlock_tier.to_owned())
        }
        Action::Explain => call.done(shared.sessions.explain(&call.key, now), |e| e.tier.to_owned()),
        Action::Reset => match call.refuses_invocation() {
            Some(refusal) => refusal,
            None => {
                let mut outcome = shared.sessions.reset(&call.key, now);
                if let Ok(reset) = &mut outcome {
                    reset.cee_state_cleared = forget(shared, &call.key);
                }
                call.done(outcome, |r| r.previous_level.to_owned())
            }
        },
        _ => change(&call, request, now).await,
    }
}

fn list(call: &Call<'_>, request: &Request) -> Answer {
    let query = parse::query_pairs(&request.head.url.raw_query).find(|(key, _)| &**key == b"tier");
    let word = query.map(|(_, value)| String::from_utf8_lossy(&value).into_owned()).filter(|w| !w.is_empty());
    let tier = match word.as_deref().map(Tier::parse) {
        None => None,
        Some(Some(tier)) => Some(tier),
        Some(None) => {
            const TEXT: &str = "invalid tier filter: must be none|soft|hard|drain|normal";
            return call.bad("bad_tier", TEXT, TEXT);
        }
    };
    let sessions = call.shared.sessions.list(tier);
    let count = sessions.len();
    call.ok(&json!({"sessions": sessions, "count": count}), "ok")
}

/// The endpoints that take a body.
async fn change(call: &Call<'_>, request: Request, now: Instant) -> Answer {
    let keys: &[&str] = match call.action {
        Action::Airlock => &["tier"],
        Action::Task => &["label", "reason"],
        Action::Trust => &["scope", "source_match", "action_match", "expires_at", "granted_by", "reason"],
        _ => &[],
    };
    let fields = match fields(request, keys).await {
        Ok(fields) => fields,
        Err(why) => return call.bad("bad_body", "invalid JSON body", &format!("decode body: {why}")),
    };
    if let Some(refusal) = call.refuses_invocation() {
        return refusal;
    }
    let field = |key| fields.get(key).map_or("", String::as_str);
    let sessions = &call.shared.sessions;
    match call.action {
        Action::Terminate => {
            let mut outcome = sessions.terminate(&call.key, now);
            if let Ok(terminated) = &mut outcome {
                terminated.cee_state_cleared = forget(call.shared, &call.key);
            }
            call.done(outcome, |t| t.previous_tier.to_owned())
        }
        Action::Airlock => {
            let word = field("tier");
            let Some(tier) = Tier::parse(word) else {
                let text = "invalid tier: must be none|soft|hard|drain|normal";
                return call.bad("bad_tier", text, &format!("invalid tier: {word}"));
            };
            let before = sessions.tier(&call.key);
            let outcome = sessions.set_tier(&call.key, tier, now);
            if outcome.as_ref().is_ok_and(|change| change.changed) {
                tier_changed(call.shared, before, tier, "api");
            }
            call.done(outcome, |c| format!("{}->{}", c.previous_tier, c.new_tier))
        }
        Action::Task => {
            call.done(sessions.begin_task(&call.key, field("label")), |_| field("reason").to_owned())
        }
        _ => trust(call, field),
    }
}

fn trust<'f>(call: &Call<'_>, field: impl Fn(&'static str) -> &'f str) -> Answer {
    if field("scope") != "task" {
        return call.bad("bad_scope", "invalid scope: must be task", "invalid scope");
    }
    let (source, action) = (field("source_match"), field("action_match"));
    if source.trim().is_empty() && action.trim().is_empty() {
        return call.bad("bad_match", "source_match or action_match is required", "missing match pattern");
    }
    let expires = OffsetDateTime::parse(field("expires_at"), &Rfc3339).ok();
    let Some(expires) = expires.filter(|at| *at > OffsetDateTime::now_utc()) else {
        return call.bad("bad_expiry", "expires_at must be in the future", "invalid expiry");
    };
    let (granted_by, reason) = (field("granted_by"), field("reason"));
    let outcome = call.shared.sessions.trust(&call.key, source, action, expires, granted_by, reason);
    call.done(outcome, |_| reason.to_owned())
}

/// The body's texts; an empty body has none.
async fn fields(
    request: Request,
    keys: &[&str],
) -> Result<std::collections::HashMap<String, String>, String> {
    let body = http_body_util::Limited::new(request.body, BODY)
        .collect()
        .await
        .map_err(|_| "http: request body too large".to_owned())?
        .to_bytes();
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(std::collections::HashMap::new());
    }
    let fields: Map<String, Value> = object(&body, keys).map_err(|e| match e {
        JsonError::Bad(why) => why,
        JsonError::Trailing => "trailing data".to_owned(),
    })?;
    fields.keys().map(|key| Ok((key.clone(), text(&fields, key)?))).collect()
}
