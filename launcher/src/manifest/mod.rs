//! The manifest: bottles (sandboxes) and agents (what runs in them), from JSON with comments or YAML (spec: launcher §2).
//!
//! Parsed once into types that carry the rules: a host that is in an allowlist here matches the host grammar, an agent's
//! bottle exists. Unknown keys are errors that name the path, except inside `egress`, which grows over time: there they
//! are warnings.

mod node;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A manifest as read.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// The file it came from.
    pub path: PathBuf,
    /// Sandboxes by name.
    pub bottles: BTreeMap<String, Bottle>,
    /// Agents by name.
    pub agents: BTreeMap<String, Agent>,
    /// Keys that were accepted without effect, with their place.
    pub warnings: Vec<String>,
}

/// A sandbox.
#[derive(Debug, Clone, Default)]
pub struct Bottle {
    /// Environment of the agent, in the file's order.
    pub env: Vec<(String, EnvValue)>,
    /// SSH hosts.
    pub ssh: Vec<SshHost>,
    /// Whether a supervisor is reachable as `supervise`.
    pub supervise: bool,
    /// What may be reached.
    pub egress: EgressSection,
}

/// Where an environment value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// Written in the manifest.
    Literal(String),
    /// Read from the launcher's own environment when the agent starts; never written anywhere.
    FromHost(String),
}

/// One entry of `ssh`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshHost {
    /// `Host`: the alias.
    pub host: String,
    /// `Hostname`: joins the allowlist.
    pub hostname: Option<String>,
    /// `User`.
    pub user: Option<String>,
    /// `Port`.
    pub port: Option<u16>,
    /// `IdentityFile`.
    pub identity_file: Option<String>,
}

/// `egress` of a bottle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressSection {
    /// Adds the built-in hosts.
    pub defaults: bool,
    /// Further hosts.
    pub allowlist: Vec<String>,
    /// Hosts with rules of their own.
    pub routes: Vec<Route>,
    /// Whether TLS is opened.
    pub tls_interception: bool,
    /// Hosts whose TLS stays closed.
    pub passthrough: Vec<String>,
}

impl Default for EgressSection {
    fn default() -> Self {
        Self {
            defaults: true,
            allowlist: vec![],
            routes: vec![],
            tls_interception: true,
            passthrough: vec![],
        }
    }
}

/// One entry of `routes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The host.
    pub host: String,
}

/// A task: what runs, and in which bottle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Name of its bottle, which exists.
    pub bottle: String,
    /// Image.
    pub image: String,
    /// Command; empty: the image's own.
    pub command: Vec<String>,
    /// Working directory.
    pub workdir: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Bind mounts.
    pub mounts: Vec<Mount>,
    /// Container runtime; none: the engine's default.
    pub runtime: Option<String>,
}

/// A bind mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Path on the host; a relative one is relative to the manifest.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Whether the container may only read.
    pub read_only: bool,
}

impl Manifest {
    /// Finds and reads the manifest: `--manifest PATH`, else `./bottles.json`, `./bottles.yaml`, and the same two (and
    /// `bottles.yml`) in the user's configuration directory.
    ///
    /// # Errors
    /// When there is none (the message lists where it was looked for), or it is wrong.
    pub fn find(explicit: Option<&Path>, config_home: Option<&Path>, home: Option<&Path>) -> Result<Self> {
        if let Some(path) = explicit {
            return Self::load(path);
        }
        let config = config_home
            .filter(|p| p.is_absolute())
            .map(Path::to_owned)
            .or_else(|| home.map(|h| h.join(".config")));
        let mut tried = vec![PathBuf::from("bottles.json"), PathBuf::from("bottles.yaml")];
        if let Some(dir) = config.map(|c| c.join("bottle")) {
            tried.extend(["bottles.json", "bottles.yaml", "bottles.yml"].map(|name| dir.join(name)));
        }
        match tried.iter().find(|path| path.exists()) {
            Some(path) => Self::load(path),
            None => Err(Error::Refused(format!(
                "no manifest: looked for {}; name one with --manifest PATH",
                tried.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// Reads one file; the ending `.yaml` or `.yml` means YAML, anything else JSON with comments.
    ///
    /// # Errors
    /// When it cannot be read, or is wrong.
    pub fn load(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::Refused(format!("cannot read the manifest {name}: {e}")))?;
        let mut manifest = Self::parse(&name, &text)?;
        manifest.path = path.to_owned();
        Ok(manifest)
    }

    /// Parses a manifest's text; `file` is used in messages and decides the format.
    ///
    /// # Errors
    /// [`Error::Manifest`] with line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        // Some editors begin a file with it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let yaml = file.ends_with(".yaml") || file.ends_with(".yml");
        let root = if yaml { node::parse_yaml(file, text)? } else { node::parse_jsonc(file, text)? };
        read::manifest(file, &root)
    }

    /// An agent and its bottle.
    ///
    /// # Errors
    /// When there is no such agent; the message lists those there are.
    pub fn agent(&self, name: &str) -> Result<(&Agent, &Bottle)> {
        let agent = self.agents.get(name).ok_or_else(|| {
            Error::Refused(format!(
                "no agent {name:?} in {}: there are {}",
                self.path.display(),
                names(self.agents.keys())
            ))
        })?;
        let bottle = self
            .bottles
            .get(&agent.bottle)
            .ok_or_else(|| Error::Refused(format!("agent {name:?} names a bottle that does not exist")))?;
        Ok((agent, bottle))
    }
}

fn names<'a>(keys: impl Iterator<Item = &'a String>) -> String {
    let list: Vec<&str> = keys.map(String::as_str).collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}
