//! `/fetch`: the proxy gets a page and answers with its text as JSON. (spec: http-proxy §7)

mod page;
pub(super) mod target;

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::answer::{self, Answer};
use super::cross_request::CROSS_REQUEST;
use super::deliver::ReadError;
use super::exchange::Exchange;
use super::forward::redirect::{self, Failure};
use super::forward::request::Outbound;
use super::forward::response::InTime;
use super::room::NoRoom;
use super::shared::Shared;
use super::wire::Request;
use super::{deliver, scrub};
use crate::Strictness;
use crate::events::Event;
use crate::policy::cross_request::Payload;
use crate::policy::headers::HeaderFinding;
use crate::policy::response::{Escalation, FetchOutcome, Head, Over, Plan, Refusal, RefusalLog, Transport};
use crate::policy::session::Tier;
use crate::policy::url::{GoUrl, parse};
use crate::policy::verdict::{Label, UrlVerdict};
use crate::upstream::pool::{IncomingBody, OutgoingBody};

const ACCEPTED: HeaderValue =
    HeaderValue::from_static("text/html,application/xhtml+xml,application/xml;q=0.9,text/plain,*/*;q=0.8");

/// The answer; keys in order, empty ones left out. (spec: http-proxy §7.1)
#[derive(Debug, Default, serde::Serialize)]
struct Reply<'a> {
    url: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    agent: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    status_code: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    content_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    title: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    content: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
    blocked: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    block_reason: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    hint: &'a str,
}

fn is_zero(n: &u16) -> bool {
    *n == 0
}

fn usage(status: StatusCode, url: &str, error: &str) -> Answer {
    answer::json(status, &Reply { url, error, ..Reply::default() })
}

/// The stages of §7.3, in order.
pub(super) async fn serve(shared: &Arc<Shared>, client_ip: &Arc<str>, request: Request) -> Answer {
    let mut head = request.head;
    if head.method != Method::GET {
        return usage(StatusCode::METHOD_NOT_ALLOWED, "", "only GET allowed");
    }
    let Some(target) = target::extract(&head.url.raw_query) else {
        return usage(StatusCode::BAD_REQUEST, "", "missing 'url' query parameter");
    };
    let url = match parse(&target) {
        Ok(url) if matches!(&*url.scheme, "http" | "https") => url.into_owned(),
        _ => {
            let shown = String::from_utf8_lossy(&target);
            return usage(StatusCode::BAD_REQUEST, &shown, "invalid URL: must be http or https");
        }
    };
    scrub::strip_envelope(&mut head.headers);
    let mut exchange = Exchange::begin(shared, client_ip, &head.headers, &head.url.raw_query);
    exchange.method = "GET".into();
    exchange.url = target::display(&target).into();
    exchange.tagged = true;
    let fetch = Fetch { host: String::from_utf8_lossy(url.host_name()).into_owned(), exchange };
    match fetch.stages(&target, url, &head.headers).await {
        Ok(answer) | Err(answer) => answer,
    }
}

/// One fetch. Stages that refuse return the answer as an error.
struct Fetch {
    exchange: Exchange,
    /// Host of the target, without port.
    host: String,
}

impl Fetch {
    async fn stages(&self, target: &[u8], url: GoUrl<'static>, client: &HeaderMap) -> Result<Answer, Answer> {
        let exchange = &self.exchange;
        // 1, 3: URL scan and its verdict.
        let verdict = exchange.scan_url(target).await;
        exchange.report_warnings(&verdict, "fetch");
        let anomaly = exchange.record_session(&self.host, &verdict);
        // 2: quarantine.
        self.quarantined()?;
        self.url_verdict(&url, &verdict)?;
        // 4: session anomaly.
        if let Some(detail) = anomaly {
            return Err(self.blocked(StatusCode::FORBIDDEN, &detail, ""));
        }
        // 5: a level that denies everything.
        self.session_level()?;
        // 6: header DLP, on the client's headers to the proxy.
        self.header_dlp(client, &url)?;
        // 7: a finding may have raised the level.
        if exchange.findings.any() {
            self.session_level()?;
        }
        // 9: what this request completes together with earlier ones. It may have raised the level.
        if exchange.looks_across_requests() {
            let payload = Payload::of_query(&url.raw_query);
            if let Some(reason) = exchange.admit(&self.host, payload, "fetch").await {
                exchange.count_blocked(&self.host, CROSS_REQUEST);
                return Err(self.blocked(StatusCode::FORBIDDEN, &reason, ""));
            }
            self.session_level()?;
        }
        // 10: send, following redirects.
        let deadline = Instant::now() + exchange.shared.fixed.exchange_timeout;
        let sent = tokio::select! {
            sent = timeout_at(deadline, redirect::send(exchange, self.outbound(url))) =>
                sent.unwrap_or_else(|_| Err(Failure::late())),
            () = exchange.shared.stop.cut.cancelled() => Err(Failure::of("context canceled")),
        };
        let (response, final_url) = sent.map_err(|failure| self.failed(target, failure))?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && exchange.shared.fixed.strictness == Strictness::Hardened
        {
            return Err(self.failed(target, Failure::of(deliver::UNASKED_SWITCH)));
        }
        // 11–15: the response.
        let final_host = String::from_utf8_lossy(final_url.host_name()).into_owned();
        self.respond(response, &final_url, final_host, deadline).await
    }

    /// No header of the client is sent along.
    fn outbound(&self, url: GoUrl<'static>) -> Outbound {
        let mut headers = HeaderMap::new();
        let agent = &self.exchange.policy.config.fetch_proxy.user_agent;
        if let Ok(value) = HeaderValue::from_str(agent) {
            headers.insert(USER_AGENT, value);
        }
        headers.insert(ACCEPT, ACCEPTED);
        Outbound {
            method: Method::GET,
            url: Box::new(url),
            headers,
            body: OutgoingBody::Empty,
            spent: false,
            close: false,
        }
    }

    fn reply(&self) -> Reply<'_> {
        Reply { url: &self.exchange.url, agent: &self.exchange.identity.agent, ..Reply::default() }
    }

    fn quarantined(&self) -> Result<(), Answer> {
        if self.exchange.tier() != Tier::Drain {
            return Ok(());
        }
        // The line is written by the airlock, which has no agent.
        let untagged = Exchange { tagged: false, ..self.exchange.clone() };
        untagged.airlock_denied(Tier::Drain, "fetch", "read");
        Err(self.blocked(StatusCode::FORBIDDEN, "session in airlock drain", ""))
    }

    fn session_level(&self) -> Result<(), Answer> {
        let Some(level) = self.exchange.session_denied() else { return Ok(()) };
        self.exchange.count_blocked(&self.host, "session_deny");
        let reason = format!("session escalation level {}", level.as_str());
        Err(self.blocked(StatusCode::FORBIDDEN, &reason, ""))
    }

    fn url_verdict(&self, url: &GoUrl<'_>, verdict: &UrlVerdict) -> Result<(), Answer> {
        let Some(refusal) = self.exchange.refuse_url(verdict) else { return Ok(()) };
        self.exchange.count_blocked(&self.host, refusal.scanner);
        // A secret in the URL is not echoed.
        let redacted = format!("{}://{}/[redacted]", url.scheme, String::from_utf8_lossy(&url.host));
        let shown = if verdict.label == Label::Dlp { &redacted } else { &*self.exchange.url };
        let (block_reason, hint) = (&*refusal.reason, refusal.hint.unwrap_or_default());
        Err(answer::json(
            refusal.status,
            &Reply { url: shown, blocked: true, block_reason, hint, ..self.reply() },
        ))
    }

    fn header_dlp(&self, headers: &HeaderMap, url: &GoUrl<'_>) -> Result<(), Answer> {
        let exchange = &self.exchange;
        if exchange.refuses_headers(&self.host, headers, "fetch")
            || exchange.refuses_user_info(&self.host, url, "fetch")
        {
            return Err(self.blocked(StatusCode::FORBIDDEN, HeaderFinding::REASON, ""));
        }
        Ok(())
    }

    fn blocked(&self, status: StatusCode, block_reason: &str, hint: &str) -> Answer {
        answer::json(status, &Reply { blocked: true, block_reason, hint, ..self.reply() })
    }

    fn failed(&self, target: &[u8], failure: Failure) -> Answer {
        let exchange = &self.exchange;
        let shortage = failure.is_shortage();
        let status = if shortage { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
        let (url, error) = match failure {
            Failure::Transport(error) => (String::from_utf8_lossy(target).into_owned(), error.to_string()),
            Failure::Location { url, error } => (url, error),
            Failure::Refused(verdict) => {
                let reason = format!("redirect blocked: {}", verdict.reason);
                let scanner = verdict.label.as_str();
                exchange.record(&Event::Blocked {
                    ctx: exchange.context_of(&verdict),
                    scanner,
                    reason: &reason,
                });
                exchange.count_blocked(&self.host, scanner);
                let hint = redirect::hint(exchange, &verdict);
                return self.blocked(StatusCode::FORBIDDEN, &reason, hint);
            }
        };
        let error = format!("Get {}: {error}", crate::policy::url::quote(url.as_bytes()));
        exchange.record(&Event::Error { ctx: exchange.context(), error: &error });
        let error = format!("fetch failed: {error}");
        answer::json(status, &Reply { error: &error, ..self.reply() })
    }

    async fn respond(
        &self,
        response: Response<IncomingBody>,
        final_url: &GoUrl<'_>,
        final_host: String,
        deadline: Instant,
    ) -> Result<Answer, Answer> {
        let exchange = &self.exchange;
        let policy = &exchange.policy.response;
        let (parts, body) = response.into_parts();
        let planned = policy.plan(&about(&parts.headers, &final_host, &exchange.url, exchange.escalation()));
        deliver::record_notes(exchange, Transport::Fetch, &final_host, &planned.notes);
        let buffering = match planned.plan {
            Plan::Buffer(buffering) => buffering,
            Plan::Refuse(refusal) => return Err(self.refuse(&refusal, "")),
            // A fetch is never streamed or passed unread.
            Plan::Pass | Plan::Stream(_) => return Err(self.aborted()),
        };
        // The session has read from this source, whatever becomes of the response. (spec: response-scan §10)
        let final_url = String::from_utf8_lossy(&final_url.to_bytes()).into_owned();
        let observe = || exchange.observe(|| &*final_url, &final_host, "fetch_response");
        let limit = usize::try_from(buffering.limit).unwrap_or(usize::MAX - 1);
        let mut lease = exchange.shared.room.lease_for(&body, limit);
        let read = deliver::read(InTime::new(body, deadline), limit, &mut lease).await;
        let (bytes, longer) = read.map_err(|error| {
            observe();
            match error {
                ReadError::Io(error) => self.refuse(&buffering.read_error, &error.to_string()),
                ReadError::Room(why) => self.no_room(why),
            }
        })?;
        let bytes = lease.keep().tie(bytes);
        if longer && let Over::Refuse(refusal, note) = &buffering.over {
            observe();
            deliver::record_notes(exchange, Transport::Fetch, &final_host, note.as_slice());
            return Err(self.refuse(refusal, ""));
        }
        let judge = {
            let (policy, headers) = (Arc::clone(policy), parts.headers.clone());
            let (url, host, bytes) = (Arc::clone(&exchange.url), final_host.clone(), bytes.clone());
            let escalation = exchange.escalation();
            move || {
                let extract = |body: &[u8]| page::extract(body, &url);
                policy.judge_fetch(&about(&headers, &host, &url, escalation), bytes, extract)
            }
        };
        // What taking a page apart costs is not told by its length.
        let judgement = exchange.shared.offload.run_apart(judge).await.map_err(|_| self.aborted())?;
        deliver::record_notes(exchange, Transport::Fetch, &final_host, &judgement.notes);
        if judgement.finding {
            exchange.findings.mark();
        }
        if judgement.prompt_hit {
            exchange.findings.mark_hostile();
        }
        for score in judgement.scores {
            exchange.signal(deliver::session_signal(score));
        }
        observe();
        let (content, title, size) = match judgement.outcome {
            FetchOutcome::Deliver { content, title, size } => (content, title.unwrap_or_default(), size),
            FetchOutcome::Refuse(refusal) => return Err(self.refuse(&refusal, "")),
            // A proxy without a terminal has nobody to ask, and nobody's answer is no. (spec: response-scan §6.10)
            FetchOutcome::Ask(question) => {
                let asks = exchange.shared.fixed.asks;
                let refusal = if asks { question.unanswered() } else { question.no_approver() };
                return Err(self.refuse(&refusal, ""));
            }
        };
        deliver::account(exchange, &self.host, size as u64);
        exchange.count_allowed();
        exchange.record(&Event::Allowed {
            ctx: exchange.context(),
            status_code: parts.status.as_u16(),
            size_bytes: size as u64,
            duration: exchange.elapsed(),
        });
        exchange.clean();
        let content_type = parts
            .headers
            .get(CONTENT_TYPE)
            .map_or_else(String::new, |value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(answer::json(
            StatusCode::OK,
            &Reply {
                status_code: parts.status.as_u16(),
                content_type: &content_type,
                title: &title,
                content: &content,
                ..self.reply()
            },
        ))
    }

    fn refuse(&self, refusal: &Refusal, error: &str) -> Answer {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::FORBIDDEN);
        if refusal.log == RefusalLog::Error {
            let error = format!("{}: {error}", refusal.reason);
            deliver::record_error(&self.exchange, &error);
            if refusal.as_error {
                return answer::json(status, &Reply { error: &error, ..self.reply() });
            }
        } else {
            deliver::record_refusal(&self.exchange, Transport::Fetch, &self.host, refusal);
        }
        self.blocked(status, &refusal.reason, "")
    }

    fn no_room(&self, why: NoRoom) -> Answer {
        deliver::record_error(&self.exchange, &format!("reading response: {why}"));
        let error = answer::NO_ROOM;
        answer::json(StatusCode::SERVICE_UNAVAILABLE, &Reply { error, ..self.reply() })
    }

    /// A judgement that did not come back: what was not judged is not delivered.
    fn aborted(&self) -> Answer {
        deliver::record_error(&self.exchange, "response scan aborted");
        let error = "reading response: scan aborted";
        answer::json(StatusCode::BAD_GATEWAY, &Reply { error, ..self.reply() })
    }
}

fn about<'h>(headers: &'h HeaderMap, host: &'h str, target: &'h str, escalation: Escalation) -> Head<'h> {
    Head { transport: Transport::Fetch, host, target, headers, escalation }
}
