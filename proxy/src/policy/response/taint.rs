//! What a response says about the trustworthiness of a session's sources. Only data: the session that keeps it and the
//! requests that are judged by it live elsewhere. spec: response-scan §10

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

/// The level of the source of a response of `/fetch` or forward. `host` is the final one, without port; `hostile`: it carried an
/// injection.
#[must_use]
pub fn source_level(host: &str, allowlisted: &HostList, hostile: bool) -> TaintLevel {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    if hostile {
        TaintLevel::ExternalHostile
    } else if loopback {
        TaintLevel::Trusted
    } else if allowlisted.matches(bare) {
        TaintLevel::AllowlistedReference
    } else {
        TaintLevel::ExternalUntrusted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_as_trustworthy_as_their_host() {
        let allowlisted = HostList::new(&["*.docs.example"], crate::policy::host::Dialect::Domains);
        let table = [
            ("127.0.0.1", false, TaintLevel::Trusted),
            ("[::1]", false, TaintLevel::Trusted),
            ("LOCALHOST", false, TaintLevel::Trusted),
            ("docs.example", false, TaintLevel::AllowlistedReference),
            ("a.docs.example", false, TaintLevel::AllowlistedReference),
            ("evil.example", false, TaintLevel::ExternalUntrusted),
            ("127.0.0.1", true, TaintLevel::ExternalHostile),
        ];
        for (host, hostile, level) in table {
            assert_eq!(source_level(host, &allowlisted, hostile), level, "{host} {hostile}");
        }
    }
}
