//! Which addresses may be connected to, whatever the URL scan said before. (spec: http-proxy §10)
//!
//! The reference checks the configured `internal` ranges only, so that a name server that answers the scan with a public and the
//! dialler with a loopback address passes wherever the operator's own list lacks that range. Hardened (D-505), the ranges are
//! those of the scan: the built-in ones and the configured ones, and what the scan refuses beyond them (`::`, transition addresses
//! and the like).

use std::net::IpAddr;

use muselet_rules::Strictness;

use super::address::{AddressSet, beyond_ranges, reduce};
use super::host::{Dialect, HostList};
use crate::config::Config;

/// An address that is not connected to. The texts are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The target was written as an address.
    #[error("SSRF blocked: connection to internal IP {0}")]
    Literal(String),
    /// The target is a name.
    #[error("SSRF blocked: {host} resolves to internal IP {address}")]
    Resolved {
        /// The name.
        host: String,
        /// Its offending address.
        address: IpAddr,
    },
    /// The resolver answered with nothing.
    #[error("SSRF blocked: DNS returned no addresses for {0}")]
    NoAddress(String),
}

/// The ranges and the exceptions from them.
#[derive(Debug)]
pub struct DialRules {
    internal: AddressSet,
    allowed: AddressSet,
    trusted: HostList,
    hardened: bool,
}

impl DialRules {
    /// The rules of a configuration, whose ranges have been checked by the loader.
    ///
    /// # Errors
    /// A range that is none; the loader reports those first.
    pub fn new(config: &Config) -> Result<Self, ipnet::AddrParseError> {
        let hardened = config.muselet.strictness == Strictness::Hardened;
        let mut internal = AddressSet::parse(&config.internal)?;
        if !internal.is_empty() && hardened {
            internal.extend(super::address::CORE_RANGES.iter().filter_map(|range| range.parse().ok()));
        }
        Ok(Self {
            internal,
            allowed: AddressSet::parse(&config.ssrf.ip_allowlist)?,
            trusted: HostList::new(&config.trusted_domains, Dialect::Domains),
            hardened,
        })
    }

    /// Rules that refuse nothing, for an origin that the operator has named.
    #[must_use]
    pub fn none(strictness: Strictness) -> Self {
        Self {
            internal: AddressSet::default(),
            allowed: AddressSet::default(),
            trusted: HostList::new::<&str>(&[], Dialect::Domains),
            hardened: strictness == Strictness::Hardened,
        }
    }

    /// Whether further addresses of a name are tried when the first does not answer; the reference tries only one. (D-506)
    #[must_use]
    pub fn falls_back(&self) -> bool {
        self.hardened
    }

    /// A target written as an address; `trusted_domains` never applies to those.
    ///
    /// # Errors
    /// [`Refusal::Literal`].
    pub fn check_literal(&self, host: &str, address: IpAddr) -> Result<(), Refusal> {
        if self.refuses(address) { Err(Refusal::Literal(host.to_owned())) } else { Ok(()) }
    }

    /// All addresses of a name: one bad address spoils them all.
    ///
    /// # Errors
    /// [`Refusal::Resolved`] or [`Refusal::NoAddress`].
    pub fn check_resolved(&self, host: &str, addresses: &[IpAddr]) -> Result<(), Refusal> {
        if addresses.is_empty() {
            return Err(Refusal::NoAddress(host.to_owned()));
        }
        match addresses.iter().find(|address| self.refuses(**address)) {
            Some(address) if !self.trusted.matches(host) => {
                Err(Refusal::Resolved { host: host.to_owned(), address: *address })
            }
            _ => Ok(()),
        }
    }

    fn refuses(&self, address: IpAddr) -> bool {
        let address = reduce(address);
        // Without ranges the check is off.
        if self.internal.is_empty() || self.allowed.contains(address) {
            return false;
        }
        self.internal.contains(address)
            || self.hardened && beyond_ranges(address, &self.internal, &self.allowed).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(yaml: &str) -> DialRules {
        let config = Config::parse(yaml.as_bytes(), std::path::Path::new("/")).unwrap();
        DialRules::new(&config).unwrap()
    }

    #[test]
    fn one_internal_address_spoils_a_name_unless_it_is_trusted() {
        let rules = rules(
            "internal: [10.0.0.0/8]\nssrf: {ip_allowlist: [10.1.0.0/16]}\ntrusted_domains: [ok.test]\n",
        );
        let cases: &[(&str, &[&str], bool)] = &[
            ("a.test", &["192.0.2.1"], true),
            ("a.test", &["192.0.2.1", "10.0.0.1"], false),
            ("a.test", &["::ffff:10.0.0.1"], false),
            ("a.test", &["10.1.0.1"], true),
            ("ok.test", &["10.0.0.1"], true),
            ("a.test", &[], false),
        ];
        for (host, addresses, passes) in cases {
            let parsed: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
            assert_eq!(rules.check_resolved(host, &parsed).is_ok(), *passes, "{host} {addresses:?}");
        }
        assert!(rules.check_literal("ok.test", "10.0.0.1".parse().unwrap()).is_err(), "trust is for names");
    }

    #[test]
    fn the_built_in_ranges_count_when_hardened_and_not_for_the_reference() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let internal = "internal: [10.0.0.0/8]\n";
        assert!(rules(internal).check_resolved("a.test", &[loopback]).is_err());
        let reference = rules(&format!("{internal}muselet: {{strictness: reference}}\n"));
        assert!(reference.check_resolved("a.test", &[loopback]).is_ok());
        assert!(rules("internal: []\n").check_resolved("a.test", &[loopback]).is_ok(), "off is off");
    }

    #[test]
    fn what_the_scan_refuses_beyond_the_ranges_is_not_connected_to_either() {
        let with = |end: &str| rules(&format!("internal: [10.0.0.0/8]\n{end}"));
        let cases = [
            ("::", false),
            ("::ffff:0.0.0.0", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("2002:a00:1::", false),
            ("::127.0.0.1", false),
            ("255.255.255.255", false),
            ("168.63.129.16", false),
            ("64:ff9b::a83f:8110", false),
            ("192.0.0.192", false),
            ("fec0::1", false),
            ("64:ff9b::808:808", true),
            ("168.63.129.17", true),
            ("192.0.1.1", true),
            ("2606:4700::1", true),
        ];
        let (hardened, allowed) = (with(""), with("ssrf: {ip_allowlist: [\"::/128\", 168.63.129.16/32]}\n"));
        for (address, passes) in cases {
            let addresses = [address.parse().unwrap()];
            assert_eq!(hardened.check_resolved("a.test", &addresses).is_ok(), passes, "{address}");
            assert_eq!(hardened.check_literal("a.test", addresses[0]).is_ok(), passes, "{address}");
        }
        for address in ["::", "168.63.129.16"] {
            assert!(allowed.check_resolved("a.test", &[address.parse().unwrap()]).is_ok(), "{address}");
        }
        let reference = with("muselet: {strictness: reference}\n");
        assert!(reference.check_resolved("a.test", &["::".parse().unwrap()]).is_ok());
    }
}
