//! Everything decided before the first engine call that creates anything (spec: launcher §1, §4). Immutable; a slug that
//! turns out to be taken gives a new plan.

use ipnet::Ipv4Net;
use serde::Serialize;

use crate::allowlist::{self, Egress};
use crate::manifest::{EnvValue, Manifest, Mount};
use crate::names::{self, Names};
use crate::{Error, Result};

/// Paths in the containers.
pub mod path {
    /// The sidecar's configuration.
    pub const CONFIG: &str = "/etc/pipelock.yaml";
    /// The CA's certificate in the sidecar.
    pub const CA_CERT: &str = "/etc/pipelock-ca.pem";
    /// The CA's key in the sidecar.
    pub const CA_KEY: &str = "/etc/pipelock-ca-key.pem";
    /// The CA's certificate in the agent.
    pub const AGENT_CA: &str = "/usr/local/share/ca-certificates/claude-bottle-mitm-ca.crt";
    /// The system bundle in the agent and in the sidecar image.
    pub const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
}

/// Stands in an empty allowlist: strict mode demands an entry, and this name can never exist (RFC 2606).
const NOTHING: &str = "nothing.invalid";

/// What of the launcher's environment decides.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    /// `CLAUDE_BOTTLE_PIPELOCK_IMAGE`.
    pub image: Option<String>,
    /// `CLAUDE_BOTTLE_PIPELOCK_PORT`.
    pub port: Option<String>,
    /// `CLAUDE_BOTTLE_PIPELOCK_DEFAULT_ALLOWLIST`.
    pub default_allowlist: Option<String>,
}

impl Variables {
    /// Reads the process's environment.
    pub fn of_process() -> Self {
        let var = |name: &str| std::env::var(name).ok();
        Self {
            image: var("CLAUDE_BOTTLE_PIPELOCK_IMAGE"),
            port: var("CLAUDE_BOTTLE_PIPELOCK_PORT"),
            default_allowlist: var("CLAUDE_BOTTLE_PIPELOCK_DEFAULT_ALLOWLIST"),
        }
    }
}

/// A launch as decided.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The agent's name in the manifest.
    pub agent: String,
    /// The bottle's name in the manifest.
    pub bottle: String,
    /// Names of all it makes.
    pub names: Names,
    /// The agent's image.
    pub image: String,
    /// The command run in the agent; empty: the image's own.
    pub command: Vec<String>,
    /// Working directory.
    pub workdir: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Bind mounts with absolute sources.
    pub mounts: Vec<Mount>,
    /// Container runtime.
    pub runtime: Option<String>,
    /// The bottle's environment; values of the host's environment are read when the agent starts.
    pub env: Vec<(String, EnvValue)>,
    /// What may be reached.
    pub egress: Egress,
    /// The sidecar's image.
    pub sidecar_image: String,
    /// The sidecar's port.
    pub port: u16,
    /// Whether a supervisor is reachable.
    pub supervise: bool,
    /// What the manifest holds without effect.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Decides a launch. `command` replaces the manifest's when it is not empty.
    ///
    /// # Errors
    /// When the manifest has no such agent, a variable is wrong, or the command is nowhere given.
    pub fn new(
        manifest: &Manifest,
        agent: &str,
        slug: &str,
        command: &[String],
        variables: &Variables,
    ) -> Result<Self> {
        let (task, bottle) = manifest.agent(agent)?;
        let base = manifest.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let base = base.map_or_else(|| std::path::PathBuf::from("."), std::path::Path::to_owned);
        let mut mounts = task.mounts.clone();
        for mount in &mut mounts {
            let source = base.join(&mount.source);
            let absolute = std::path::absolute(&source)
                .map_err(|e| Error::Refused(format!("mount source {}: {e}", source.display())))?;
            mount.source = absolute.to_string_lossy().into_owned();
        }
        let mut warnings = manifest.warnings.clone();
        warnings.extend(mounts.iter().filter(|mount| holds_an_engine(&mount.source)).map(|mount| {
            format!(
                "mount {}: an agent that can talk to a container engine gets past the proxy",
                mount.source
            )
        }));
        Ok(Self {
            agent: agent.to_owned(),
            bottle: task.bottle.clone(),
            names: Names::new(slug),
            image: task.image.clone(),
            command: if command.is_empty() { task.command.clone() } else { command.to_vec() },
            workdir: task.workdir.clone(),
            user: task.user.clone(),
            mounts,
            runtime: task.runtime.clone(),
            env: bottle.env.clone(),
            egress: allowlist::egress(bottle, variables.default_allowlist.as_deref()),
            sidecar_image: names::sidecar_image(variables.image.as_deref()),
            port: names::sidecar_port(variables.port.as_deref())?,
            supervise: bottle.supervise,
            warnings,
        })
    }

    /// The same launch under another slug.
    pub fn with_slug(&self, slug: &str) -> Self {
        Self { names: Names::new(slug), ..self.clone() }
    }

    /// The sidecar's configuration: the same bytes for the same manifest and subnet, no environment value, no secret.
    pub fn sidecar_config(&self, subnet: Option<Ipv4Net>) -> String {
        let egress = &self.egress;
        let mut yaml = "version: 1\nmode: strict\nenforce: true\n".to_owned();
        if egress.allowlist.is_empty() {
            list(&mut yaml, "", "api_allowlist", &[NOTHING.to_owned()]);
        } else {
            list(&mut yaml, "", "api_allowlist", &egress.allowlist);
        }
        yaml.push_str("forward_proxy:\n  enabled: true\n");
        if !egress.trusted_domains.is_empty() {
            list(&mut yaml, "", "trusted_domains", &egress.trusted_domains);
        }
        let mut addresses = egress.ssh_addresses.clone();
        addresses.extend(subnet.map(|net| net.to_string()));
        addresses.sort();
        addresses.dedup();
        if !addresses.is_empty() {
            yaml.push_str("ssrf:\n");
            list(&mut yaml, "  ", "ip_allowlist", &addresses);
        }
        yaml.push_str("dlp:\n  include_defaults: true\n  scan_env: true\n");
        yaml.push_str("request_body_scanning:\n  enabled: true\n  action: block\n  scan_headers: true\n");
        if egress.tls_interception {
            yaml.push_str("tls_interception:\n  enabled: true\n");
            yaml.push_str(&format!("  ca_cert: {}\n  ca_key: {}\n", path::CA_CERT, path::CA_KEY));
            list(&mut yaml, "  ", "passthrough_domains", &egress.passthrough);
        }
        if egress.seed_phrases_off {
            yaml.push_str("seed_phrase_detection:\n  enabled: false\n");
        }
        yaml
    }

    /// The plan as one JSON document; environment names only.
    pub fn to_json(&self) -> serde_json::Value {
        let document = Document {
            agent: &self.agent,
            bottle: &self.bottle,
            slug: &self.names.slug,
            image: &self.image,
            command: &self.command,
            workdir: self.workdir.as_deref(),
            user: self.user.as_deref(),
            runtime: self.runtime.as_deref(),
            mounts: self
                .mounts
                .iter()
                .map(|m| MountDocument { source: &m.source, target: &m.target, read_only: m.read_only })
                .collect(),
            env: self.env.iter().map(|(name, _)| name.as_str()).collect(),
            allowlist: &self.egress.allowlist,
            trusted_domains: &self.egress.trusted_domains,
            tls_interception: self.egress.tls_interception,
            passthrough: &self.egress.passthrough,
            sidecar_image: &self.sidecar_image,
            sidecar: &self.names.sidecar,
            agent_container: &self.names.agent,
            internal_network: &self.names.internal,
            egress_network: &self.names.egress,
            proxy: self.names.proxy_url(self.port),
            warnings: &self.warnings,
        };
        serde_json::to_value(document).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Document<'a> {
    agent: &'a str,
    bottle: &'a str,
    slug: &'a str,
    image: &'a str,
    command: &'a [String],
    workdir: Option<&'a str>,
    user: Option<&'a str>,
    runtime: Option<&'a str>,
    mounts: Vec<MountDocument<'a>>,
    env: Vec<&'a str>,
    allowlist: &'a [String],
    trusted_domains: &'a [String],
    tls_interception: bool,
    passthrough: &'a [String],
    sidecar_image: &'a str,
    sidecar: &'a str,
    agent_container: &'a str,
    internal_network: &'a str,
    egress_network: &'a str,
    proxy: String,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct MountDocument<'a> {
    source: &'a str,
    target: &'a str,
    read_only: bool,
}

/// Whether a mount's source is a socket of a container engine, or a directory that has one in it.
fn holds_an_engine(source: &str) -> bool {
    const SOCKETS: [&str; 3] =
        ["/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock"];
    let source =
        source.strip_prefix("/var/run").map_or_else(|| source.to_owned(), |rest| format!("/run{rest}"));
    let source = std::path::Path::new(&source);
    source.ends_with("docker.sock")
        || SOCKETS.iter().any(|socket| std::path::Path::new(socket).starts_with(source))
}

/// One YAML list of double-quoted strings. The manifest lets nothing through that a double-quoted scalar would have to
/// escape, except through the variable that replaces the built-in hosts: that is escaped here.
fn list(yaml: &mut String, indent: &str, key: &str, items: &[String]) {
    if items.is_empty() {
        yaml.push_str(&format!("{indent}{key}: []\n"));
        return;
    }
    yaml.push_str(&format!("{indent}{key}:\n"));
    for item in items {
        // A JSON string is a YAML double-quoted scalar.
        yaml.push_str(&format!("{indent}  - {}\n", serde_json::Value::from(item.as_str())));
    }
}

#[cfg(test)]
mod tests;
