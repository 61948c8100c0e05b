//! The admin API as its operator's client sees it: where it is, with which token, and what its answers mean.
//! spec: cli-and-image §14, http-proxy §13

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::ArgMatches;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Uri};
use serde_json::{Map, Value};

use super::super::grammar::text;
use super::super::{Failure, go_error};
use crate::config::Config;
use crate::config::value::Secret;
use crate::policy::kill_switch::TOKEN_VARIABLE;
use crate::policy::url::parse::{Part, encode_into};
use crate::upstream::client::{Answer, Client};

/// A whole call.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer, bytes.
const LONGEST: usize = 16 << 20;

pub(super) struct Api {
    client: Client,
    base: String,
    headers: HeaderMap,
}

/// What is wrong with the call itself, not with the session.
pub(super) fn misuse(text: impl Into<String>) -> Failure {
    Failure::with_code(2, text)
}

impl Api {
    /// By flags, else the environment, else a configuration file, which is read only for what is missing.
    pub(super) fn new(matches: &ArgMatches) -> Result<Api, Failure> {
        let given = |flag, variable| {
            let flag = text(matches, flag).map(str::to_owned).filter(|text| !text.is_empty());
            flag.or_else(|| std::env::var(variable).ok().filter(|text| !text.is_empty()))
        };
        let url = given("api-url", "PIPELOCK_API_URL");
        let token = given("api-token", TOKEN_VARIABLE).map(Secret::from);
        let from_file = match (&url, &token) {
            (Some(_), Some(_)) => None,
            _ => configuration(given("config", "PIPELOCK_CONFIG"))?,
        };
        let (listen, file_token) = from_file.unwrap_or_default();
        let url = url.or_else(|| address_of(&listen)).ok_or_else(|| {
            misuse(
                "no admin API address: give --api-url, PIPELOCK_API_URL, or a config with kill_switch.api_listen",
            )
        })?;
        let token = token.unwrap_or(file_token);
        if token.is_empty() {
            return Err(misuse(format!(
                "no admin API token: give --api-token, {TOKEN_VARIABLE}, or a config with kill_switch.api_token"
            )));
        }
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| misuse("the admin API token cannot stand in a header"))?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, bearer),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]);
        let client = Client::new().map_err(|e| Failure::new(go_error(&e)))?;
        Ok(Api { client, base: base(&url)?, headers })
    }

    pub(super) fn get(&self, path: &str) -> Result<Map<String, Value>, Failure> {
        self.call(&Method::GET, path, Bytes::new())
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Map<String, Value>, Failure> {
        self.call(&Method::POST, path, body.to_string().into())
    }

    fn call(&self, method: &Method, path: &str, body: Bytes) -> Result<Map<String, Value>, Failure> {
        let url = format!("{}/api/v1/sessions{path}", self.base);
        let uri: Uri = url.parse().map_err(|e| misuse(format!("invalid API URL {url:?}: {e}")))?;
        let call = self.client.request(method, &uri, &self.headers, body, LONGEST);
        let answer = match self.client.wait(TIMEOUT, call) {
            None => Err("context deadline exceeded".to_owned()),
            Some(answer) => answer,
        };
        read(answer.map_err(|why| Failure::new(format!("{method} {url:?}: {why}")))?)
    }
}

/// The JSON object of a good answer, or what another one means.
fn read(answer: Answer) -> Result<Map<String, Value>, Failure> {
    let body = super::printable(String::from_utf8_lossy(&answer.body).trim());
    match answer.status.as_u16() {
        200 => serde_json::from_slice(&answer.body)
            .map_err(|e| Failure::new(format!("the answer is no JSON object: {e}"))),
        400 => Err(misuse(format!("bad request: {body}"))),
        401 => Err(misuse(format!("unauthorized — check --api-token or {TOKEN_VARIABLE}: {body}"))),
        404 => Err(Failure::new("session not found")),
        429 => {
            let seconds = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            Err(Failure::new(format!("rate limited; retry after {} seconds", seconds.unwrap_or("60"))))
        }
        status => Err(Failure::new(format!("server error HTTP {status}: {body}"))),
    }
}

/// `kill_switch.api_listen` and the token of the file that is named, else of the first usual one that is there.
fn configuration(named: Option<String>) -> Result<Option<(String, Secret)>, Failure> {
    let usual = || {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        let in_home = home.map(|home| Path::new(&home).join(".config/pipelock/pipelock.yaml"));
        let system = PathBuf::from("/etc/pipelock/pipelock.yaml");
        in_home.into_iter().chain([system]).find(|path| path.exists())
    };
    let Some(path) = named.map(PathBuf::from).or_else(usual) else { return Ok(None) };
    let shown = path.display();
    let mode = std::fs::metadata(&path)
        .map_err(|e| misuse(format!("loading config {shown}: {}", go_error(&e))))?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o177 != 0 {
        return Err(misuse(format!(
            "config file {shown} has group/world or owner-execute permission bits set (mode {mode:o}); \
             restrict to 0o600 before using it as an admin API source"
        )));
    }
    let loaded = Config::load(&path).map_err(|e| misuse(e.to_string()))?;
    let section = loaded.config.kill_switch;
    Ok(Some((section.api_listen, section.api_token)))
}

/// The address that reaches a listener on this machine.
fn address_of(listen: &str) -> Option<String> {
    let (host, port) = listen.rsplit_once(':')?;
    let host = match host {
        "" | "0.0.0.0" => "127.0.0.1",
        "::" | "[::]" => "[::1]",
        other => other,
    };
    Some(format!("http://{host}:{port}"))
}

/// An address with a scheme and without slashes behind it.
fn base(url: &str) -> Result<String, Failure> {
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let url = url.trim_end_matches('/').to_owned();
    let parsed: Option<Uri> = url.parse().ok();
    let usable = parsed.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
    });
    if usable { Ok(url) } else { Err(misuse(format!("invalid API URL {url:?}"))) }
}

/// A key as one element of a path. User names keep no character that means something there.
pub(super) fn escaped(key: &str) -> String {
    let mut out = Vec::with_capacity(key.len());
    encode_into(&mut out, key.as_bytes(), Part::UserInfo);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn addresses_are_completed() {
        for (listen, wanted) in [
            (":9099", "http://127.0.0.1:9099"),
            ("0.0.0.0:9099", "http://127.0.0.1:9099"),
            ("[::]:9099", "http://[::1]:9099"),
            ("10.0.0.7:9099", "http://10.0.0.7:9099"),
        ] {
            assert_eq!(address_of(listen).as_deref(), Some(wanted));
        }
        assert_eq!(address_of(""), None);
        for (url, wanted) in [
            ("127.0.0.1:9099", Some("http://127.0.0.1:9099")),
            ("https://proxy.example//", Some("https://proxy.example")),
            ("http://proxy.example/admin/", Some("http://proxy.example/admin")),
            ("ftp://proxy.example", None),
            ("http://", None),
            ("http://a b", None),
            ("http://proxy.example?x", None),
        ] {
            let found = base(url);
            assert_eq!(found.as_deref().ok(), wanted, "{url}");
            assert!(found.is_ok() || found.is_err_and(|failure| failure.code == 2), "{url}");
        }
    }

    #[test]
    fn keys_are_escaped_as_one_element() {
        assert_eq!(escaped("bot|10.0.0.1"), "bot%7C10.0.0.1");
        assert_eq!(escaped("a/b c\u{e9}?#%"), "a%2Fb%20c%C3%A9%3F%23%25");
    }

    #[test]
    fn each_status_has_its_text_and_exit_code() {
        let answer = |status: u16, body: &str, headers: HeaderMap| Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.as_bytes().to_vec(),
        };
        let retry = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("7"))]);
        for (status, body, headers, code, wanted) in [
            (400, "invalid tier\n", HeaderMap::new(), 2, "bad request: invalid tier"),
            (
                401,
                "unauthorized",
                HeaderMap::new(),
                2,
                "unauthorized — check --api-token or PIPELOCK_KILLSWITCH_API_TOKEN: unauthorized",
            ),
            (404, "session not found", HeaderMap::new(), 1, "session not found"),
            (429, "", retry, 1, "rate limited; retry after 7 seconds"),
            (
                503,
                "session\x1b[2J profiling disabled",
                HeaderMap::new(),
                1,
                "server error HTTP 503: session[2J profiling disabled",
            ),
            (301, "", HeaderMap::new(), 1, "server error HTTP 301: "),
        ] {
            let failure = read(answer(status, body, headers)).expect_err("no success");
            assert_eq!((failure.message(), failure.code), (wanted, code));
        }
        assert!(read(answer(200, "[]", HeaderMap::new())).is_err());
        assert_eq!(read(answer(200, r#"{"a":1}"#, HeaderMap::new())).unwrap().len(), 1);
    }
}
