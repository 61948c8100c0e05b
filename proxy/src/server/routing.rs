//! Which handler answers a request on the main listener. (spec: http-proxy §2)

use std::sync::Arc;

use http::{Method, StatusCode};

use super::answer::{self, Answer};
use super::shared::Shared;
use super::wire::Request;
use super::{admin, connect, fetch, forward, ws};

/// The order of §2. `OPTIONS *` and other server-layer answers have been given before; the kill switch comes here first.
pub(super) async fn route(shared: &Arc<Shared>, client_ip: &Arc<str>, request: Request) -> Answer {
    if let Some(denied) = admin::denied(shared, client_ip, &request) {
        return denied;
    }
    let forwards = shared.policy.load().config.forward_proxy.enabled;
    if request.head.method == Method::CONNECT {
        return if forwards {
            connect::serve(shared, client_ip, request).await
        } else {
            answer::text(StatusCode::METHOD_NOT_ALLOWED, "CONNECT not supported")
        };
    }
    if !request.head.url.scheme.is_empty() && !request.head.url.host.is_empty() {
        return if forwards {
            forward::serve(shared, client_ip, request).await
        } else {
            answer::text(StatusCode::METHOD_NOT_ALLOWED, "forward proxy not enabled")
        };
    }
    path(shared, client_ip, request).await
}

/// The path table. (spec: http-proxy §2.1)
async fn path(shared: &Arc<Shared>, client_ip: &Arc<str>, request: Request) -> Answer {
    let url = &request.head.url;
    if let Some(clean) = clean_path(&url.path) {
        let mut location = String::from_utf8_lossy(&escape(&clean)).into_owned();
        if !url.raw_query.is_empty() {
            location.push('?');
            location.push_str(&String::from_utf8_lossy(&url.raw_query));
        }
        return answer::moved(&request.head.method, &location);
    }
    match &*url.path {
        b"/fetch" => fetch::serve(shared, client_ip, request).await,
        b"/ws" => ws::serve(shared, client_ip, request).await,
        b"/health" => admin::health(shared),
        b"/metrics" if shared.fixed.metrics_here => admin::metrics(shared, &request.head.headers),
        b"/stats" if shared.fixed.metrics_here => admin::stats(shared),
        _ if shared.fixed.api_here => match admin::api(shared, client_ip, request).await {
            Ok(answer) => answer,
            Err(_) => answer::not_found(),
        },
        _ => answer::not_found(),
    }
}

/// The clean form of a path (Go's `path.Clean`, a trailing slash kept), when it is not clean already.
fn clean_path(path: &[u8]) -> Option<Vec<u8>> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|b| *b == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let mut clean = Vec::with_capacity(path.len() + 1);
    for segment in &kept {
        clean.push(b'/');
        clean.extend_from_slice(segment);
    }
    if clean.is_empty() || (path.ends_with(b"/") && !clean.ends_with(b"/")) {
        clean.push(b'/');
    }
    (clean != path).then_some(clean)
}

fn escape(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    crate::policy::url::parse::encode_into(&mut out, path, crate::policy::url::parse::Part::Path);
    out
}

#[cfg(test)]
mod tests {
    use super::clean_path;

    #[test]
    fn only_unclean_paths_are_redirected() {
        let cases: &[(&str, Option<&str>)] = &[
            ("/health", None),
            ("/health/", None),
            ("/", None),
            ("//health", Some("/health")),
            ("/a/./b", Some("/a/b")),
            ("/a/../b/", Some("/b/")),
            ("/..", Some("/")),
            ("", Some("/")),
            ("/a//", Some("/a/")),
        ];
        for (path, want) in cases {
            let clean = clean_path(path.as_bytes());
            assert_eq!(clean.as_deref(), want.map(str::as_bytes), "{path}");
        }
    }
}
