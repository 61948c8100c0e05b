//! Which proxy a request of the program's own goes through: `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` and their small forms.
//!
//! Traffic of clients never follows these, but for that of the reverse listener. The machine itself is always reached directly.
//! spec: cli-and-image §1.6, http-proxy §9.1

use std::net::{IpAddr, SocketAddr};

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// How requests find their proxy.
pub(crate) enum Proxies {
    /// By the variables as they were when this was made.
    Variables(Matcher),
    /// By one proxy, but for what is asked of itself.
    Only(Matcher, SocketAddr),
}

impl Proxies {
    pub(crate) fn from_environment() -> Proxies {
        Proxies::of(|name| std::env::var(name).ok())
    }

    /// By a lookup of variables; those that are empty count as not set.
    pub(crate) fn of(variable: impl Fn(&str) -> Option<String>) -> Proxies {
        let either = |large: &str, small: &str| {
            let set = |name| variable(name).filter(|value| !value.is_empty());
            set(large).or_else(|| set(small)).unwrap_or_default()
        };
        let builder = Matcher::builder()
            .http(either("HTTP_PROXY", "http_proxy"))
            .https(either("HTTPS_PROXY", "https_proxy"))
            .no(either("NO_PROXY", "no_proxy"));
        Proxies::Variables(builder.build())
    }

    /// Everything through one proxy, but what is asked of itself.
    pub(crate) fn only(address: SocketAddr) -> Proxies {
        Proxies::Only(Matcher::builder().all(format!("http://{address}")).build(), address)
    }

    /// The proxy for a URL; `None`: directly.
    pub(crate) fn for_url(&self, url: &Uri) -> Option<Intercept> {
        let (matcher, direct) = match self {
            Proxies::Variables(matcher) => (matcher, is_this_machine(url.host()?)),
            Proxies::Only(matcher, address) => (matcher, url.authority()?.as_str() == address.to_string()),
        };
        if direct { None } else { matcher.intercept(url) }
    }
}

/// Host and port of a proxy.
///
/// # Errors
/// It is not one that speaks HTTP without TLS.
pub(super) fn address(proxy: &Intercept) -> Result<(&str, u16), String> {
    let uri = proxy.uri();
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(host)) => Ok((host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80))),
        (scheme, _) => {
            Err(format!("proxy by {}: only http is supported", scheme.unwrap_or("an address without scheme")))
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_variables_but_not_for_this_machine() {
        let proxies = Proxies::of(|name| {
            let value = match name {
                "HTTP_PROXY" => "http://user:pass@plain.example:3128",
                "https_proxy" => "tls.example:8080",
                "NO_PROXY" => "internal.example,10.0.0.0/8",
                _ => return None,
            };
            Some(value.to_owned())
        });
        for (url, proxy) in [
            ("http://collector.example/x", Some("plain.example:3128")),
            ("https://collector.example/x", Some("tls.example:8080")),
            ("https://a.internal.example/", None),
            ("http://10.1.2.3/", None),
            ("http://localhost:9/", None),
            ("http://127.0.0.5:9/", None),
            ("http://[::1]:9/", None),
        ] {
            let url: Uri = url.parse().unwrap();
            let found = proxies.for_url(&url);
            let found = found.as_ref().and_then(|proxy| proxy.uri().authority()).map(|a| a.as_str());
            assert_eq!(found, proxy, "{url}");
        }
        let none = Proxies::of(|_| None);
        assert!(none.for_url(&"http://collector.example/".parse().unwrap()).is_none());
    }
}
