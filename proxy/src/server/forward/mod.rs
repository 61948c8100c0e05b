//! Plain requests in absolute form: decide, send, follow redirects, judge the response. (spec: http-proxy §5)

mod body;
pub(super) mod redirect;
pub(super) mod request;
pub(super) mod response;

use std::pin::pin;
use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use super::answer::{self, Answer};
use super::cross_request::CROSS_REQUEST;
use super::deliver;
use super::exchange::{self, Exchange};
use super::scrub;
use super::session::SESSION_DENY;
use super::shared::Shared;
use super::wire::{Ended, Request};
use crate::Strictness;
use crate::events::Event;
use crate::policy::cross_request::{BODY_PREFIX, Payload};
use crate::policy::headers::HeaderFinding;
use redirect::Failure;

/// One request through the stages of §5.1, in order. A stage that refuses returns the answer.
pub(super) async fn serve(shared: &Arc<Shared>, client_ip: &Arc<str>, request: Request) -> Answer {
    let Request { mut head, body, patience, takeover: _ } = request;
    // F1: identity, scrub.
    scrub::strip_envelope(&mut head.headers);
    let mut exchange = Exchange::begin(shared, client_ip, &head.headers, &head.url.raw_query);
    exchange.method = head.method.as_str().into();
    let url = head.url.to_bytes();
    exchange.url = exchange::lossy(&url).into();
    let host = exchange::lossy(head.url.host_name()).into_owned();
    // F2: URL scan. Its verdict is applied at F7.
    let verdict = exchange.scan_target(&url).await;
    exchange.report_warnings(&verdict, "forward");
    // F4: session recording. What it says is applied at F8.
    let anomaly = exchange.record_session(&host, &verdict);
    // F6: airlock.
    if let Some(refusal) = exchange.airlock("forward", "forward proxy") {
        return refusal;
    }
    // F7: URL verdict.
    if let Some(refusal) = exchange.refuse_url(&verdict) {
        exchange.count_blocked(&host, refusal.scanner);
        return refusal.text("blocked: ");
    }
    // F8: session anomaly.
    if let Some(detail) = anomaly {
        return answer::text(StatusCode::FORBIDDEN, &detail);
    }
    // F9: a level that denies everything.
    if let Some(level) = exchange.session_denied() {
        exchange.count_blocked(&host, SESSION_DENY);
        return session_refusal(level.as_str());
    }
    // F10: taint.
    if let Some(reason) = exchange.tainted(&head.url) {
        exchange.count_blocked(&host, "taint_policy");
        return answer::text(StatusCode::FORBIDDEN, &format!("blocked: {reason}"));
    }
    // F12: body scan.
    let mut body = match body::inspect(&exchange, &head, &host, body).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    // F13: header DLP, on the headers as they came.
    if exchange.refuses_headers(&host, &head.headers, "forward")
        || exchange.refuses_user_info(&host, &head.url, "forward")
    {
        return answer::text(StatusCode::FORBIDDEN, &format!("blocked: {}", HeaderFinding::REASON));
    }
    // F14: a finding of F13 may have raised the level.
    if exchange.findings.any() && exchange.session_denied().is_some() {
        return session_refusal("critical");
    }
    // F15: what this request completes together with earlier ones. It may have raised the level.
    if exchange.looks_across_requests() {
        let mut payload = Payload::of_query(&head.url.raw_query);
        payload.add_body(&body::beginning(&mut body, BODY_PREFIX).await);
        let refused = exchange.admit(&host, payload, "forward").await;
        if let Some(level) = exchange.session_denied() {
            exchange.count_blocked(&host, SESSION_DENY);
            return session_refusal(level.as_str());
        }
        if let Some(reason) = refused {
            exchange.count_blocked(&host, CROSS_REQUEST);
            return answer::text(StatusCode::FORBIDDEN, &format!("blocked: {reason}"));
        }
    }
    // F16: outbound request.
    let outbound =
        request::build(*head, body, shared.fixed.strictness, exchange.policy.config.muselet.decompress);
    // F17: send, following redirects. The time limit covers the response body too.
    let deadline = Instant::now() + shared.fixed.exchange_timeout;
    let sent = {
        let sending = pin!(redirect::send(&exchange, outbound));
        patience.wait(sending, deadline, &shared.stop.cut).await
    };
    let (response, url) = match sent {
        Ok(Ok(received)) => received,
        Ok(Err(failure)) => return failed(&exchange, &host, failure),
        Err(Ended::Late) => return failed(&exchange, &host, Failure::late()),
        Err(Ended::Cut) => {
            return failed(&exchange, &host, Failure::of("context canceled"));
        }
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS && shared.fixed.strictness == Strictness::Hardened
    {
        return failed(&exchange, &host, Failure::of(deliver::UNASKED_SWITCH));
    }
    // F18: response.
    response::deliver(exchange, &host, &url, response, deadline).await
}

fn session_refusal(level: &str) -> Answer {
    answer::text(StatusCode::FORBIDDEN, &format!("blocked: session escalation level {level}"))
}

fn failed(exchange: &Exchange, host: &str, failure: Failure) -> Answer {
    let shortage = failure.is_shortage();
    match failure {
        Failure::Transport(error) => {
            let error =
                format!("{} {}: {error}", request::go_operation(&exchange.method), quoted(&exchange.url));
            exchange.record(&Event::Error { ctx: exchange.context(), error: &error });
        }
        Failure::Location { url, error } => {
            let error = format!("{} {}: {error}", request::go_operation(&exchange.method), quoted(&url));
            exchange.record(&Event::Error { ctx: exchange.context(), error: &error });
        }
        Failure::Refused(verdict) => {
            let reason = format!("redirect blocked: {}", verdict.reason);
            let scanner = verdict.label.as_str();
            exchange.record(&Event::Blocked { ctx: exchange.context_of(&verdict), scanner, reason: &reason });
            exchange.count_blocked(host, scanner);
            let refusal = answer::text(StatusCode::FORBIDDEN, &format!("blocked: {reason}"));
            let hint = Some(redirect::hint(exchange, &verdict)).filter(|hint| !hint.is_empty());
            return answer::with_hint(refusal, hint);
        }
    }
    answer::unreached(shortage, || answer::text(StatusCode::BAD_GATEWAY, "forward proxy fetch failed"))
}

fn quoted(text: &str) -> String {
    crate::policy::url::quote(text.as_bytes())
}
