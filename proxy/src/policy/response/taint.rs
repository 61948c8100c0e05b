//! What a response says about the trustworthiness of a session's sources. Only data: the session that keeps it and the
//! requests that are judged by it live elsewhere. spec: response-scan §10

use super::media;
use crate::policy::host::HostList;

/// How far a source can be trusted, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaintLevel {
    /// Loopback.
    Trusted,
    /// On `taint.allowlisted_domains`.
    AllowlistedReference,
    /// Anything else.
    ExternalUntrusted,
    /// A source that carried an injection.
    ExternalHostile,
}

impl TaintLevel {
    /// The name in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::AllowlistedReference => "allowlisted_reference",
            Self::ExternalUntrusted => "external_untrusted",
            Self::ExternalHostile => "external_hostile",
        }
    }
}

/// One source to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaintSource {
    /// The level it has.
    pub level: TaintLevel,
    /// It carried an injection: the reason is `prompt_injection_pattern`.
    pub prompt_hit: bool,
    /// It was media of a level that counts.
    pub media_seen: bool,
}

/// Classifies the source of a response of `/fetch` or forward. `host` is the final one, without port.
#[must_use]
pub fn source_level(host: &str, allowlisted: &HostList, content_type: &str, prompt_hit: bool) -> TaintSource {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    let level = if prompt_hit {
        TaintLevel::ExternalHostile
    } else if loopback {
        TaintLevel::Trusted
    } else if allowlisted.matches(bare) {
        TaintLevel::AllowlistedReference
    } else {
        TaintLevel::ExternalUntrusted
    };
    let is_media = media::kind(&media::canonical_type(content_type.into())).is_some();
    TaintSource { level, prompt_hit, media_seen: is_media && level >= TaintLevel::AllowlistedReference }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_as_trustworthy_as_their_host_and_content() {
        let allowlisted = HostList::new(&["*.docs.example"], crate::policy::host::Dialect::Domains);
        let table = [
            ("127.0.0.1", "text/html", false, TaintLevel::Trusted, false),
            ("[::1]", "image/png", false, TaintLevel::Trusted, false),
            ("LOCALHOST", "", false, TaintLevel::Trusted, false),
            ("docs.example", "image/png", false, TaintLevel::AllowlistedReference, true),
            ("a.docs.example", "text/html", false, TaintLevel::AllowlistedReference, false),
            ("evil.example", "audio/mpeg", false, TaintLevel::ExternalUntrusted, true),
            ("127.0.0.1", "text/html", true, TaintLevel::ExternalHostile, false),
        ];
        for (host, content_type, hit, level, media_seen) in table {
            let got = source_level(host, &allowlisted, content_type, hit);
            assert_eq!((got.level, got.media_seen), (level, media_seen), "{host} {content_type} {hit}");
        }
    }
}
