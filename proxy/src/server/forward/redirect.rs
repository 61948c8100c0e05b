//! Sending, and following redirects as Go's client does. (spec: http-proxy §5.5)
//!
//! Every hop is a new URL and goes through the URL scan; nothing else is evaluated again. Go's client keeps `X-Api-Key` and its
//! kind on the way to another host; hardened, what the configuration or the name calls sensitive stays behind as well (D-524), and
//! so do path and query of the URL that sent it there (D-527). A body stays, too: the client gets the redirect itself (D-528).

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, COOKIE, HeaderName, HeaderValue, LOCATION, REFERER, WWW_AUTHENTICATE,
};
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;

use super::request::Outbound;
use crate::Strictness;
use crate::events::{Context, Event};
use crate::policy::url::GoUrl;
use crate::policy::verdict::UrlVerdict;
use crate::server::exchange::{Exchange, display};
use crate::upstream::SendError;
use crate::upstream::pool::{IncomingBody, OutgoingBody};

/// Hint for a refused redirect, whatever refused it. Hardened, that of what did (D-611).
pub(in crate::server) fn hint<'v>(exchange: &Exchange, verdict: &'v UrlVerdict) -> &'v str {
    if !exchange.policy.config.explains_blocks() {
        return "";
    }
    match exchange.shared.fixed.strictness {
        Strictness::Reference => HINT,
        strictness => verdict.hint_in(strictness),
    }
}

const HINT: &str = "Request was redirected to a different origin. Cross-origin redirects are blocked to prevent open redirect attacks.";

/// Requests in one chain.
const MAX_REQUESTS: u32 = 5;
/// Body of a redirect that is read to keep its connection.
const DRAIN: u64 = 2048;

/// Headers that only the first host, and hosts below it, may see.
const CREDENTIALS: [HeaderName; 4] =
    [AUTHORIZATION, COOKIE, HeaderName::from_static("cookie2"), WWW_AUTHENTICATE];

/// Parts of the names of headers that carry a credential of the host they were sent to.
const SECRET_NAMES: [&str; 10] =
    ["token", "key", "auth", "secret", "passw", "credential", "session", "cookie", "jwt", "bearer"];

/// Why there is no response.
pub(in crate::server) enum Failure {
    /// The origin, the network, or the time limit.
    Transport(SendError),
    /// Something about a redirect that is not policy; reported under the redirect's own target.
    Location { url: String, error: String },
    /// A hop's URL is refused.
    Refused(UrlVerdict),
}

impl Failure {
    /// The time limit.
    pub(in crate::server) fn late() -> Self {
        Self::of("context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
    }

    /// Whether it is for want of descriptors.
    pub(in crate::server) fn is_shortage(&self) -> bool {
        matches!(self, Self::Transport(error) if error.is_shortage())
    }

    /// Something that is told in words of its own.
    pub(in crate::server) fn of(error: &str) -> Self {
        Self::Transport(SendError::Transport(error.to_owned()))
    }
}

/// The final response and its URL. How long to wait for it is for the caller to say.
pub(in crate::server) async fn send(
    exchange: &Exchange,
    mut outbound: Outbound,
) -> Result<(Response<IncomingBody>, Box<GoUrl<'static>>), Failure> {
    // Of the first request, once there is a second one.
    let mut first = None;
    let (mut credentials_gone, mut secrets_gone) = (false, false);
    let mut hop = 1;
    loop {
        let mut response = send_one(exchange, &mut outbound).await?;
        let Some((method, keep_body)) = redirects(response.status(), &outbound) else {
            return Ok((response, outbound.url));
        };
        let Some(location) = response.headers().get(LOCATION).filter(|l| !l.is_empty()).cloned() else {
            return Ok((response, outbound.url));
        };
        let shown = String::from_utf8_lossy(location.as_bytes()).into_owned();
        let next = outbound.url.join(location.as_bytes()).map_err(|error| {
            let quoted = crate::policy::url::quote(location.as_bytes());
            let why = error.describe(location.as_bytes());
            Failure::of(&format!("failed to parse Location header {quoted}: {why}"))
        })?;
        if hop >= MAX_REQUESTS {
            return Err(Failure::Location { url: shown, error: "too many redirects (max 5)".to_owned() });
        }
        judge(exchange, &next, hop).await?;
        let hardened = exchange.shared.fixed.strictness == Strictness::Hardened;
        let (first_host, client_referer) =
            first.get_or_insert_with(|| (host_of(&outbound.url), outbound.headers.get(REFERER).cloned()));
        let next_host = host_of(&next);
        let leaves_tls = &*outbound.url.scheme == "https" && &*next.scheme == "http";
        let elsewhere = !is_same_or_below(&next_host, first_host);
        credentials_gone |= elsewhere || hardened && leaves_tls;
        secrets_gone |= hardened && (leaves_tls || elsewhere && !is_without_www(&next_host, first_host));
        if secrets_gone && keep_body && !matches!(outbound.body, OutgoingBody::Empty) {
            // The client knows nothing of the URL that a relative one is relative to.
            if hop > 1
                && let Ok(absolute) = HeaderValue::from_bytes(&next.to_bytes())
            {
                response.headers_mut().insert(LOCATION, absolute);
            }
            return Ok((response, outbound.url));
        }
        drain(response).await;
        let referer = referer(&outbound.url, &next, client_referer.as_ref(), hardened);
        outbound.headers.remove(REFERER);
        if let Some(referer) = referer {
            outbound.headers.insert(REFERER, referer);
        }
        if credentials_gone {
            for name in &CREDENTIALS {
                outbound.headers.remove(name);
            }
        }
        if secrets_gone {
            for name in &exchange.policy.config.request_body_scanning.sensitive_headers {
                outbound.headers.remove(name.as_str());
            }
            let named: Vec<_> = outbound.headers.keys().filter(|name| is_secret(name)).cloned().collect();
            for name in named {
                outbound.headers.remove(name);
            }
        }
        outbound.method = method;
        if !keep_body {
            outbound.body = OutgoingBody::Empty;
            outbound.headers.remove(CONTENT_LENGTH);
        }
        *outbound.url = next;
        hop += 1;
    }
}

async fn send_one(exchange: &Exchange, outbound: &mut Outbound) -> Result<Response<IncomingBody>, Failure> {
    // The live rules: a reload that closes a range closes it for dials at once. (spec: http-proxy §4 "Snapshot")
    let policy = exchange.shared.policy.load_full();
    let origin = outbound.origin();
    let request = outbound.prepare();
    let upstream = &exchange.shared.upstream;
    let sent = upstream.send(&policy.dial, &origin, request, || Some(outbound.prepare())).await;
    sent.map_err(Failure::Transport)
}

/// The next method and whether the body goes along; `None`: this response is the answer.
fn redirects(status: StatusCode, outbound: &Outbound) -> Option<(Method, bool)> {
    match status.as_u16() {
        301..=303 => {
            let keeps = outbound.method == Method::GET || outbound.method == Method::HEAD;
            Some((if keeps { outbound.method.clone() } else { Method::GET }, false))
        }
        307 | 308 => (!outbound.spent).then(|| (outbound.method.clone(), true)),
        _ => None,
    }
}

/// Reports the hop and scans its URL.
async fn judge(exchange: &Exchange, next: &GoUrl<'_>, hop: u32) -> Result<(), Failure> {
    let url = display(next);
    let exchange = &Exchange { tagged: false, ..exchange.clone() };
    exchange.record(&Event::Redirect {
        ctx: exchange.context(),
        original_url: &exchange.url,
        redirect_url: &url,
        hop,
    });
    let verdict = exchange.scan_url(&next.to_bytes()).await;
    if verdict.allowed {
        return Ok(());
    }
    let scanner = verdict.label.as_str();
    let ctx = Context { url: &url, ..exchange.context_of(&verdict) };
    if exchange.policy.config.enforces() {
        let reason = format!("redirect from {} blocked: {}", exchange.url, verdict.reason);
        exchange.record(&Event::Blocked { ctx, scanner, reason: &reason });
        return Err(Failure::Refused(verdict));
    }
    let reason = format!("redirect from {}: {}", exchange.url, verdict.reason);
    exchange.record(&Event::Anomaly { ctx, scanner, reason: &reason, score: verdict.score });
    Ok(())
}

/// The previous URL without user-info; not from https to http; the client's own wins. Hardened, another host learns no more than
/// where that was: the rest of the URL may hold what only the first host may see.
fn referer(
    from: &GoUrl<'static>,
    to: &GoUrl<'_>,
    own: Option<&HeaderValue>,
    hardened: bool,
) -> Option<HeaderValue> {
    if &*from.scheme == "https" && &*to.scheme == "http" {
        return None;
    }
    if let Some(own) = own.filter(|value| !value.is_empty()) {
        return Some(own.clone());
    }
    if hardened && !is_same_or_below(&host_of(to), &host_of(from)) {
        let origin = [from.scheme.as_bytes(), b"://", &from.host, b"/"].concat();
        return HeaderValue::from_bytes(&origin).ok();
    }
    let mut from = from.clone();
    from.user = None;
    HeaderValue::from_bytes(&from.to_bytes()).ok()
}

async fn drain(response: Response<IncomingBody>) {
    let body = response.into_body();
    // Closing an idle connection is cheaper than waiting for a long page that nobody will read.
    if http_body::Body::size_hint(&body).upper().is_none_or(|n| n <= DRAIN) {
        let limited = http_body_util::Limited::new(body, DRAIN as usize);
        let _ = limited.collect().await;
    }
}

/// Whether a header is a credential by its name. The handshake of a WebSocket has a key that is none.
fn is_secret(name: &HeaderName) -> bool {
    let name = name.as_str();
    name != "sec-websocket-key" && SECRET_NAMES.iter().any(|part| name.contains(part))
}

fn host_of(url: &GoUrl<'_>) -> String {
    String::from_utf8_lossy(url.host_name()).to_lowercase()
}

fn is_same_or_below(host: &str, first: &str) -> bool {
    if host == first {
        return true;
    }
    let is_address = host.contains([':', '%']);
    !is_address && host.strip_suffix(first).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether it is the host that the other one is below as `www`: one site under two names.
fn is_without_www(host: &str, first: &str) -> bool {
    first.strip_prefix("www.") == Some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_with_the_host_and_below() {
        let cases = [
            ("up.test", "up.test", true),
            ("a.up.test", "up.test", true),
            ("aup.test", "up.test", false),
            ("up.test", "a.up.test", false),
            ("::1", "1", false),
        ];
        for (host, first, want) in cases {
            assert_eq!(is_same_or_below(host, first), want, "{host} {first}");
        }
    }

    #[test]
    fn a_site_is_the_same_without_its_www() {
        let cases = [
            ("up.test", "www.up.test", true),
            ("a.up.test", "www.up.test", false),
            ("www.up.test", "www.www.up.test", true),
            ("up.test", "api.up.test", false),
        ];
        for (host, first, want) in cases {
            assert_eq!(is_without_www(host, first), want, "{host} {first}");
        }
    }

    #[test]
    fn the_referer_never_shows_user_info_or_a_secure_page_to_a_plain_one() {
        let url = |text: &str| crate::policy::url::parse(text.as_bytes()).unwrap().into_owned();
        let from = url("http://u:p@a.test:81/x?y");
        for hardened in [false, true] {
            assert_eq!(
                referer(&from, &url("http://b.a.test/"), None, hardened).unwrap(),
                "http://a.test:81/x?y"
            );
            assert_eq!(referer(&url("https://a.test/"), &url("http://b.test/"), None, hardened), None);
            let own = HeaderValue::from_static("mine");
            assert_eq!(referer(&from, &url("http://b.test/"), Some(&own), hardened).unwrap(), "mine");
        }
        assert_eq!(referer(&from, &url("http://b.test/"), None, false).unwrap(), "http://a.test:81/x?y");
        assert_eq!(referer(&from, &url("http://b.test/"), None, true).unwrap(), "http://a.test:81/");
    }
}
