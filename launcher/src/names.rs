//! Names of everything a launch makes, and the environment that changes them (spec: launcher §1, §5).

use crate::{Error, Result};

/// Longest slug that is derived from an agent's name, before a suffix.
pub const MAX_SLUG: usize = 40;
/// Highest suffix that is tried when a name is taken.
pub const MAX_SUFFIX: u32 = 99;
/// Port the sidecar listens on unless `CLAUDE_BOTTLE_PIPELOCK_PORT` says otherwise.
pub const DEFAULT_PORT: u16 = 8888;
/// The sidecar image unless `CLAUDE_BOTTLE_PIPELOCK_IMAGE` says otherwise; made by `bottle image build`.
pub const DEFAULT_IMAGE: &str = concat!("muselet:", env!("CARGO_PKG_VERSION"));

/// Label keys that mark what belongs to a launch.
pub mod label {
    /// Slug of the instance.
    pub const SLUG: &str = "claude-bottle.slug";
    /// Name of the agent.
    pub const AGENT: &str = "claude-bottle.agent";
    /// `sidecar`, `agent`, `internal`, `egress`, or `probe`.
    pub const ROLE: &str = "claude-bottle.role";
    /// Process id of the launcher.
    pub const PID: &str = "claude-bottle.pid";
    /// When the launcher started, seconds since the epoch.
    pub const STARTED: &str = "claude-bottle.started";
    /// Host of the launcher: its process id says nothing on another one that uses the same engine.
    pub const HOST: &str = "claude-bottle.host";
}

/// Turns an agent's name into a slug: lower case, every other character a hyphen, runs collapsed, ends trimmed, at most
/// [`MAX_SLUG`] characters. A name without any letter or digit gives `agent`.
pub fn slug(agent: &str) -> String {
    let mut out = String::new();
    for c in agent.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        if out.len() == MAX_SLUG {
            break;
        }
    }
    let out = out.trim_end_matches('-');
    if out.is_empty() { "agent".to_owned() } else { out.to_owned() }
}

/// Whether a text is a slug as it stands.
pub fn is_slug(text: &str) -> bool {
    text.len() <= MAX_SLUG
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// The `n`th slug to try: the base itself, then `-2`, `-3`, …. A long base gives way, because the sidecar's name is a host
/// name's label, which has room for [`MAX_SLUG`] characters of a slug.
pub fn candidate(base: &str, n: u32) -> String {
    if n <= 1 {
        return base.to_owned();
    }
    let suffix = format!("-{n}");
    let room = base.len().min(MAX_SLUG - suffix.len());
    format!("{}{suffix}", base[..room].trim_end_matches('-'))
}

/// This host's name, as [`label::HOST`] carries it.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Names of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The instance.
    pub slug: String,
    /// Sidecar container.
    pub sidecar: String,
    /// Internal network.
    pub internal: String,
    /// Egress network.
    pub egress: String,
    /// Agent container.
    pub agent: String,
    /// Short-lived container of the isolation probe.
    pub probe: String,
}

impl Names {
    /// The names that belong to a slug.
    pub fn new(slug: &str) -> Self {
        Self {
            slug: slug.to_owned(),
            sidecar: format!("claude-bottle-pipelock-{slug}"),
            internal: format!("claude-bottle-net-{slug}"),
            egress: format!("claude-bottle-egress-{slug}"),
            agent: format!("claude-bottle-{slug}"),
            probe: format!("claude-bottle-probe-{slug}"),
        }
    }

    /// The proxy as the agent sees it.
    pub fn proxy_url(&self, port: u16) -> String {
        format!("http://{}:{port}", self.sidecar)
    }
}

/// The sidecar image: `CLAUDE_BOTTLE_PIPELOCK_IMAGE` if set and not empty, else [`DEFAULT_IMAGE`].
pub fn sidecar_image(variable: Option<&str>) -> String {
    variable.map(str::trim).filter(|v| !v.is_empty()).unwrap_or(DEFAULT_IMAGE).to_owned()
}

/// The sidecar's port from `CLAUDE_BOTTLE_PIPELOCK_PORT`.
///
/// # Errors
/// When it is set and is not a number from 1 to 65535.
pub fn sidecar_port(variable: Option<&str>) -> Result<u16> {
    match variable.map(str::trim).filter(|v| !v.is_empty()) {
        None => Ok(DEFAULT_PORT),
        Some(text) => text.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(|| {
            Error::Refused(format!("CLAUDE_BOTTLE_PIPELOCK_PORT is {text:?}: must be a port from 1 to 65535"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slug_keeps_letters_and_digits_and_joins_the_rest_with_one_hyphen() {
        for (agent, want) in [
            ("implementer", "implementer"),
            ("My Agent!!v2", "my-agent-v2"),
            ("--x--", "x"),
            ("Übung", "bung"),
            ("", "agent"),
            ("///", "agent"),
            ("a_b.c", "a-b-c"),
        ] {
            assert_eq!(slug(agent), want, "{agent:?}");
            assert!(is_slug(&slug(agent)));
        }
        let long = slug(&"abcdefghi ".repeat(9));
        assert!(long.len() <= MAX_SLUG && !long.ends_with('-'), "{long}");
    }

    #[test]
    fn candidates_count_from_two() {
        assert_eq!([candidate("a", 1), candidate("a", 2), candidate("a", 3)], ["a", "a-2", "a-3"]);
        let long = candidate(&"x".repeat(MAX_SLUG), MAX_SUFFIX);
        assert!(is_slug(&long) && long.ends_with("x-99"), "{long}");
        assert!(Names::new(&long).sidecar.len() <= 63);
    }

    #[test]
    fn names_are_those_existing_scripts_look_for() {
        let names = Names::new("x");
        assert_eq!(names.sidecar, "claude-bottle-pipelock-x");
        assert_eq!(names.internal, "claude-bottle-net-x");
        assert_eq!(names.egress, "claude-bottle-egress-x");
        assert_eq!(names.agent, "claude-bottle-x");
        assert_eq!(names.proxy_url(8888), "http://claude-bottle-pipelock-x:8888");
    }

    #[test]
    fn port_must_be_a_port() {
        assert_eq!(sidecar_port(None).unwrap(), 8888);
        assert_eq!(sidecar_port(Some(" ")).unwrap(), 8888);
        assert_eq!(sidecar_port(Some("65535")).unwrap(), 65535);
        for bad in ["0", "65536", "-1", "http", "80 81"] {
            assert!(sidecar_port(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
