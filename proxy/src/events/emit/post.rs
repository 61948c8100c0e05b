//! One HTTP POST at a time, for the sinks that speak HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::upstream::client::Client;

/// Redirects that are followed.
const REDIRECTS: usize = 10;

/// A client for one sink.
pub(super) struct Poster {
    client: Client,
    timeout: Duration,
}

impl Poster {
    pub(super) fn new(timeout: Duration) -> std::io::Result<Poster> {
        Ok(Poster { client: Client::new()?, timeout })
    }

    /// Final status, redirects followed. The error says what went wrong, without the body.
    pub(super) fn post(&self, url: &Uri, headers: &HeaderMap, body: &Bytes) -> Result<StatusCode, String> {
        self.client
            .wait(self.timeout, self.follow(url, headers, body))
            .unwrap_or_else(|| Err(format!("Post \"{url}\": context deadline exceeded")))
    }

    async fn follow(&self, url: &Uri, headers: &HeaderMap, body: &Bytes) -> Result<StatusCode, String> {
        let mut url = url.clone();
        let mut method = Method::POST;
        let mut headers = headers.clone();
        let mut body = body.clone();
        for _ in 0..=REDIRECTS {
            // The answer's body says nothing we need; reading a little lets the collector finish in peace.
            let answer = self
                .client
                .request(&method, &url, &headers, body.clone(), 1)
                .await
                .map_err(|why| format!("Post \"{url}\": {why}"))?;
            let status = answer.status;
            let location = answer.headers.get(LOCATION).and_then(|v| v.to_str().ok()).map(str::to_owned);
            let Some(next) = location.filter(|_| status.is_redirection()).and_then(|l| join(&url, &l)) else {
                return Ok(status);
            };
            if matches!(status.as_u16(), 301..=303) {
                method = Method::GET;
                body = Bytes::new();
                headers.remove(http::header::CONTENT_TYPE);
            }
            if next.host() != url.host() {
                headers.remove(http::header::AUTHORIZATION);
            }
            url = next;
        }
        Err(format!("Post \"{url}\": stopped after 10 redirects"))
    }
}

/// The address a redirect leads to.
fn join(base: &Uri, location: &str) -> Option<Uri> {
    if location.contains("://") {
        return location.parse().ok();
    }
    let path = if location.starts_with('/') { location.to_owned() } else { format!("/{location}") };
    Uri::builder()
        .scheme(base.scheme_str()?)
        .authority(base.authority()?.as_str())
        .path_and_query(path)
        .build()
        .ok()
}

/// Parses a configured address; `what` names the key in the error.
pub(super) fn address(what: &str, text: &str) -> Result<Uri, super::EmitError> {
    text.parse().map_err(|e| super::EmitError::Setup(format!("{what} {text:?}: {e}")))
}

/// A header from configuration.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), super::EmitError> {
    let unusable = || super::EmitError::Setup(format!("header {name:?} cannot be sent"));
    let mut value = HeaderValue::from_str(value).map_err(|_| unusable())?;
    value.set_sensitive(true);
    Ok((HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?, value))
}
