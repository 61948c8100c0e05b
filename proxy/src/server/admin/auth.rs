//! Bearer tokens and rate windows of the admin endpoints. spec: http-proxy §12.4

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};

use crate::server::answer::{self, Answer};

/// Calls that one window lets through.
const CALLS: u32 = 10;

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(60);

/// Counts calls in windows of a minute.
#[derive(Debug, Default)]
pub struct RateWindow {
    state: Mutex<Option<(Instant, u32)>>,
}

impl RateWindow {
    /// Takes one call; `false`: there have been ten in this window already.
    pub fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            Some((began, calls)) if now.duration_since(*began) < WINDOW => {
                if *calls >= CALLS {
                    return false;
                }
                *calls += 1;
            }
            other => *other = Some((now, 1)),
        }
        true
    }
}

/// One window for each limited action.
#[derive(Debug, Default)]
pub struct AdminCalls {
    pub kill_switch: RateWindow,
    pub sessions: super::sessions::Windows,
}

/// Whether the request carries `Authorization: Bearer TOKEN`, compared without telling how much of it is right.
pub(super) fn is_authorised(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    given.strip_prefix(b"Bearer ").is_some_and(|given| same(given, token.as_bytes()))
}

/// Equality of secrets through their digests, so that neither content nor length shows in the time taken.
pub(in crate::server) fn same(a: &[u8], b: &[u8]) -> bool {
    let digest = |data| ring::digest::digest(&ring::digest::SHA256, data);
    let (a, b) = (digest(a), digest(b));
    a.as_ref().iter().zip(b.as_ref()).fold(0, |different, (x, y)| different | (x ^ y)) == 0
}

pub(super) fn method_not_allowed(allow: &'static str) -> Answer {
    let mut answer = answer::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    answer.headers_mut().insert(http::header::ALLOW, HeaderValue::from_static(allow));
    answer
}

pub(super) fn unauthorised() -> Answer {
    let mut answer = answer::text(StatusCode::UNAUTHORIZED, "unauthorized");
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"pipelock\""));
    answer
}

pub(super) fn too_many() -> Answer {
    let mut answer = answer::text(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded");
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_lets_ten_calls_through() {
        let window = RateWindow::default();
        let start = Instant::now();
        for _ in 0..10 {
            assert!(window.take(start));
        }
        assert!(!window.take(start + Duration::from_secs(59)));
        assert!(window.take(start + Duration::from_secs(60)));
    }

    #[test]
    fn only_the_exact_scheme_and_token_are_accepted() {
        for (value, wanted) in [
            ("Bearer secret", true),
            ("bearer secret", false),
            ("Bearer  secret", false),
            ("Bearer secre", false),
            ("Bearer ", false),
            ("secret", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(is_authorised(&headers, "secret"), wanted, "{value:?}");
        }
        assert!(!is_authorised(&HeaderMap::new(), "secret"));
    }
}
