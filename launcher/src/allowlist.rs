//! What a bottle may reach, and what follows from it for the sidecar (spec: launcher §3).

use std::collections::BTreeSet;

use crate::manifest::Bottle;

/// Hosts that Claude Code itself needs.
pub const BUILT_IN: [&str; 7] = [
    "api.anthropic.com",
    "claude.ai",
    "downloads.claude.ai",
    "platform.claude.com",
    "raw.githubusercontent.com",
    "sentry.io",
    "statsig.anthropic.com",
];

const LLM_API: &str = "api.anthropic.com";

/// Everything about a bottle's egress that the sidecar's configuration says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Egress {
    /// Allowed hosts, sorted, without duplicates.
    pub allowlist: Vec<String>,
    /// Names that may resolve to internal addresses: SSH hosts.
    pub trusted_domains: Vec<String>,
    /// `/32` of every SSH host given as an address.
    pub ssh_addresses: Vec<String>,
    /// Hosts whose TLS is not opened.
    pub passthrough: Vec<String>,
    /// Whether TLS is opened at all.
    pub tls_interception: bool,
    /// Seed-phrase detection is switched off.
    pub seed_phrases_off: bool,
}

/// Computes a bottle's egress. `defaults_variable` is `CLAUDE_BOTTLE_PIPELOCK_DEFAULT_ALLOWLIST`: set, it replaces the
/// built-in hosts (set but empty: none).
pub fn egress(bottle: &Bottle, defaults_variable: Option<&str>) -> Egress {
    let mut hosts = BTreeSet::new();
    if bottle.egress.defaults {
        match defaults_variable {
            Some(list) => hosts.extend(list.split([',', ' ', '\t', '\n']).map(str::to_owned)),
            None => hosts.extend(BUILT_IN.map(str::to_owned)),
        }
    }
    hosts.extend(bottle.egress.allowlist.iter().cloned());
    hosts.extend(bottle.egress.routes.iter().map(|route| route.host.clone()));
    let ssh: Vec<&str> = bottle.ssh.iter().filter_map(|host| host.hostname.as_deref()).collect();
    hosts.extend(ssh.iter().map(|&host| host.to_owned()));
    if bottle.supervise {
        hosts.insert("supervise".to_owned());
    }
    hosts.remove("");

    let mut passthrough: BTreeSet<String> = ssh.iter().map(|&host| host.to_owned()).collect();
    passthrough.insert(LLM_API.to_owned());
    passthrough.extend(bottle.egress.passthrough.iter().cloned());
    passthrough.remove("");

    let (literals, names): (Vec<&str>, Vec<&str>) =
        ssh.into_iter().filter(|host| !host.is_empty()).partition(|host| is_ipv4_literal(host));
    Egress {
        allowlist: hosts.into_iter().collect(),
        trusted_domains: sorted(names.into_iter().map(str::to_owned)),
        ssh_addresses: sorted(literals.into_iter().map(|ip| format!("{ip}/32"))),
        passthrough: passthrough.into_iter().collect(),
        tls_interception: bottle.egress.tls_interception,
        seed_phrases_off: bottle.egress.routes.iter().any(|route| route.host == LLM_API),
    }
}

fn sorted(items: impl Iterator<Item = String>) -> Vec<String> {
    items.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Exactly four decimal octets 0-255 without leading zeros.
pub fn is_ipv4_literal(text: &str) -> bool {
    text.parse::<std::net::Ipv4Addr>().is_ok()
}

/// `N hosts allowed (a, b, c, +K more)`: up to five hosts in full, of more the first three.
pub fn summary(hosts: &[String]) -> String {
    let shown = match hosts.len() {
        0 => "none".to_owned(),
        1..=5 => hosts.join(", "),
        n => format!("{}, +{} more", hosts[..3].join(", "), n - 3),
    };
    format!("{} hosts allowed ({shown})", hosts.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Route, SshHost};

    fn bottle() -> Bottle {
        Bottle::default()
    }

    fn ssh(hostname: &str) -> SshHost {
        SshHost { host: "h".into(), hostname: Some(hostname.into()), ..SshHost::default() }
    }

    #[test]
    fn ipv4_literal_is_four_decimal_octets() {
        for (text, want) in [
            ("10.0.0.1", true),
            ("255.255.255.255", true),
            ("0.0.0.0", true),
            ("10.0.0", false),
            ("256.1.1.1", false),
            ("1.2.3.4.5", false),
            ("::1", false),
            ("host", false),
            ("1.2.3.4 ", false),
            ("0x7f.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(is_ipv4_literal(text), want, "{text:?}");
        }
    }

    #[test]
    fn union_is_sorted_and_without_duplicates() {
        let mut b = bottle();
        b.egress.allowlist = vec!["zeta.example".into(), "api.anthropic.com".into(), "*.npmjs.org".into()];
        b.egress.routes = vec![Route { host: "beta.example".into() }];
        b.ssh = vec![ssh("git.example.net"), ssh("10.1.2.3"), SshHost::default()];
        b.supervise = true;
        let e = egress(&b, Some("one.example, two.example"));
        assert_eq!(
            e.allowlist,
            [
                "*.npmjs.org",
                "10.1.2.3",
                "api.anthropic.com",
                "beta.example",
                "git.example.net",
                "one.example",
                "supervise",
                "two.example",
                "zeta.example"
            ]
        );
        assert_eq!(e.trusted_domains, ["git.example.net"]);
        assert_eq!(e.ssh_addresses, ["10.1.2.3/32"]);
        assert_eq!(e.passthrough, ["10.1.2.3", "api.anthropic.com", "git.example.net"]);
        assert!(!e.seed_phrases_off);
    }

    #[test]
    fn the_variable_replaces_the_built_in_hosts_and_may_empty_them() {
        assert_eq!(egress(&bottle(), None).allowlist, BUILT_IN);
        assert_eq!(egress(&bottle(), Some("")).allowlist, Vec::<String>::new());
        let mut b = bottle();
        b.egress.defaults = false;
        assert_eq!(egress(&b, Some("x.example")).allowlist, Vec::<String>::new());
    }

    #[test]
    fn a_route_to_the_model_switches_seed_phrases_off() {
        let mut b = bottle();
        b.egress.routes = vec![Route { host: "api.anthropic.com".into() }];
        assert!(egress(&b, None).seed_phrases_off);
        b.egress.routes.clear();
        b.egress.allowlist = vec!["api.anthropic.com".into()];
        assert!(!egress(&b, None).seed_phrases_off);
    }

    #[test]
    fn summary_counts_what_it_leaves_out() {
        let hosts = |n: usize| {
            ["a", "b", "c", "d", "e", "f", "g", "h"][..n].iter().map(|h| h.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(summary(&hosts(0)), "0 hosts allowed (none)");
        assert_eq!(summary(&hosts(5)), "5 hosts allowed (a, b, c, d, e)");
        assert_eq!(summary(&hosts(8)), "8 hosts allowed (a, b, c, +5 more)");
    }
}
