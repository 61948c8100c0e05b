//! The body scan of a plain request. (spec: http-proxy §5.3)

use http::StatusCode;

use crate::policy::body::{Action, BodyFinding, Outcome, Transport};
use crate::policy::session;
use crate::server::answer::{self, Answer};
use crate::server::exchange::Exchange;
use crate::server::inspect::{Inspected, inspect as read_and_scan};
use crate::server::peek::Peeked;
use crate::server::report;
use crate::server::wire::{Framing, Head, RequestBody};
use crate::upstream::pool::OutgoingBody;

/// Reads, scans and reports; the body to forward, or the refusal.
pub(super) async fn inspect(
    exchange: &Exchange,
    head: &Head,
    host: &str,
    body: RequestBody,
) -> Result<OutgoingBody, Answer> {
    if !body.is_declared() {
        return Ok(OutgoingBody::Empty);
    }
    let policy = &exchange.policy.body;
    body.gather(policy.limit());
    let (offload, room) = (&exchange.shared.offload, &exchange.shared.room);
    let chunked = head.framing == Framing::Chunked;
    let (body, trailers, verdict) =
        match read_and_scan(policy, offload, room, &head.headers, host, body, true).await {
            Inspected::Streamed(body) => return Ok(OutgoingBody::Client(Box::new(Peeked::new(body)))),
            Inspected::Refused(finding) => return Err(refuse(exchange, host, &finding, false)),
            Inspected::NoRoom(why) => return Err(report::no_room(exchange, why)),
            Inspected::Buffered { body, trailers, verdict } => (body, trailers, verdict),
        };
    report::warnings(exchange, &verdict.warnings, "forward");
    if let Some(finding) = verdict.finding {
        let action = finding.action(policy.action());
        report::body_finding(exchange, &finding, action);
        let enforce = exchange.policy.config.enforces();
        let label = finding.label.as_str();
        let exempt = label == "body_dlp"
            && !finding.matches.is_empty()
            && exchange.policy.adaptive_exempt.matches(&host.to_lowercase());
        let upgraded = !exempt
            && action == Action::Warn
            && exchange.upgrade(session::Action::Warn, label) == session::Action::Block;
        let action = if upgraded { Action::Block } else { action };
        if let Outcome::Block { escalated } = finding.outcome(Transport::Forward, action, upgraded, enforce) {
            return Err(refuse(exchange, host, &finding, escalated));
        }
    }
    if let Some(trailers) = &trailers {
        let verdict = exchange.policy.headers.scan_trailers(trailers);
        if let Some(finding) = verdict.finding
            && report::header_finding(exchange, host, &finding)
        {
            exchange.count_blocked(host, "header_dlp");
            let text = format!("blocked: {}", crate::policy::headers::HeaderFinding::REASON);
            return Err(answer::text(StatusCode::FORBIDDEN, &text));
        }
    }
    Ok(match (chunked, body.is_empty()) {
        (true, _) => OutgoingBody::Chunks(body, trailers.map(Box::new)),
        (false, true) => OutgoingBody::Empty,
        (false, false) => OutgoingBody::Full(body),
    })
}

/// The beginning of what is forwarded. What comes straight from the client is read that far.
pub(super) async fn beginning(body: &mut OutgoingBody, limit: usize) -> Vec<u8> {
    match body {
        OutgoingBody::Empty => Vec::new(),
        OutgoingBody::Full(bytes) | OutgoingBody::Chunks(bytes, _) => {
            bytes[..bytes.len().min(limit)].to_vec()
        }
        OutgoingBody::Client(body) => body.peek(limit).await,
        // Only the intercepting path makes these.
        OutgoingBody::Stream(_) => Vec::new(),
    }
}

fn refuse(exchange: &Exchange, host: &str, finding: &BodyFinding, escalated: bool) -> Answer {
    let label = finding.label.as_str();
    if finding.fail_closed {
        report::fail_closed(exchange, finding);
    }
    exchange.count_blocked(host, label);
    let suffix = if escalated { " (escalated)" } else { "" };
    answer::text(StatusCode::FORBIDDEN, &format!("blocked: {}{suffix}", finding.reason))
}
