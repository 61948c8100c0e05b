//! From the tree with positions to the typed manifest. Each error names the path of the key, and what is allowed there.

use super::node::{Node, Place, Value};
use super::{Agent, Bottle, EgressSection, EnvValue, Manifest, Mount, Route, SshHost, names};
use crate::{Error, Result};

struct Reader<'a> {
    file: &'a str,
    warnings: Vec<String>,
}

type Entries = [(String, Place, Node)];

pub(super) fn manifest(file: &str, root: &Node) -> Result<Manifest> {
    let mut reader = Reader { file, warnings: Vec::new() };
    let mut manifest = Manifest::default();
    let entries = reader.map(root, "the manifest")?;
    reader.only(entries, "", &["bottles", "agents"])?;
    if let Some(node) = get(entries, "bottles") {
        for (name, place, node) in reader.map(node, "bottles")? {
            reader.name(name, *place, "bottles")?;
            manifest.bottles.insert(name.clone(), reader.bottle(node, &format!("bottles.{name}"))?);
        }
    }
    if let Some(node) = get(entries, "agents") {
        for (name, place, node) in reader.map(node, "agents")? {
            reader.name(name, *place, "agents")?;
            let path = format!("agents.{name}");
            let (agent, at) = reader.agent(node, &path)?;
            if !manifest.bottles.contains_key(&agent.bottle) {
                let known = names(manifest.bottles.keys());
                return Err(reader
                    .error(at, format!("{path}.bottle: no bottle {:?}: there are {known}", agent.bottle)));
            }
            manifest.agents.insert(name.clone(), agent);
        }
    }
    manifest.warnings = reader.warnings;
    Ok(manifest)
}

/// Finds a key; a null counts as absent.
fn get<'a>(entries: &'a Entries, key: &str) -> Option<&'a Node> {
    entries
        .iter()
        .find(|(name, ..)| name == key)
        .map(|(.., node)| node)
        .filter(|n| !matches!(n.value, Value::Null))
}

/// Whether a text may be a host of an allowlist: the host alphabet, and `*` only as the whole first label.
fn is_host(text: &str) -> bool {
    let plain = text.strip_prefix("*.").unwrap_or(text);
    !plain.is_empty() && plain.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

impl Reader<'_> {
    fn error(&self, place: Place, message: String) -> Error {
        Error::Manifest { file: self.file.to_owned(), line: place.line, column: place.column, message }
    }

    fn wrong(&self, node: &Node, path: &str, wanted: &str) -> Error {
        self.error(node.place, format!("{path} must be {wanted}, not {}", node.value.kind()))
    }

    fn only(&self, entries: &Entries, path: &str, allowed: &[&str]) -> Result<()> {
        match entries.iter().find(|(name, ..)| !allowed.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, place, _)) => {
                let dot = if path.is_empty() { "" } else { "." };
                Err(self.error(
                    *place,
                    format!("unknown key {path}{dot}{name}: allowed are {}", allowed.join(", ")),
                ))
            }
        }
    }

    fn name(&self, name: &str, place: Place, path: &str) -> Result<()> {
        if name.trim().is_empty() {
            Err(self.error(place, format!("{path}: a name must not be empty")))
        } else {
            Ok(())
        }
    }

    fn map<'a>(&self, node: &'a Node, path: &str) -> Result<&'a Entries> {
        match &node.value {
            Value::Map(entries) => Ok(entries),
            _ => Err(self.wrong(node, path, "an object")),
        }
    }

    fn list<'a>(&self, entries: &'a Entries, key: &str, path: &str) -> Result<&'a [Node]> {
        match get(entries, key).map(|node| (node, &node.value)) {
            None => Ok(&[]),
            Some((_, Value::List(items))) => Ok(items),
            Some((node, _)) => Err(self.wrong(node, &format!("{path}.{key}"), "a list")),
        }
    }

    fn text(&self, node: &Node, path: &str) -> Result<String> {
        match &node.value {
            Value::Text(text) if text.contains('\0') => {
                Err(self.error(node.place, format!("{path} must not contain a NUL character")))
            }
            Value::Text(text) => Ok(text.clone()),
            _ => Err(self.wrong(node, path, "a string")),
        }
    }

    fn optional_text(&self, entries: &Entries, key: &str, path: &str) -> Result<Option<String>> {
        get(entries, key).map(|node| self.text(node, &format!("{path}.{key}"))).transpose()
    }

    fn required_text(
        &self,
        node: &Node,
        entries: &Entries,
        key: &str,
        path: &str,
    ) -> Result<(String, Place)> {
        let found = get(entries, key).ok_or_else(|| {
            self.error(node.place, format!("{path}.{key} is required and must be a string"))
        })?;
        let text = self.text(found, &format!("{path}.{key}"))?;
        if text.is_empty() {
            return Err(self.error(found.place, format!("{path}.{key} must not be empty")));
        }
        Ok((text, found.place))
    }

    fn boolean(&self, entries: &Entries, key: &str, path: &str, default: bool) -> Result<bool> {
        match get(entries, key) {
            None => Ok(default),
            Some(Node { value: Value::Bool(value), .. }) => Ok(*value),
            Some(node) => Err(self.wrong(node, &format!("{path}.{key}"), "true or false")),
        }
    }

    fn host(&self, node: &Node, path: &str) -> Result<String> {
        const WANTED: &str = "a hostname: letters, digits, '.', '_' and '-', optionally after a leading '*.' (no scheme, port or path)";
        match &node.value {
            Value::Text(text) if is_host(text) => Ok(text.clone()),
            Value::Text(text) => Err(self.error(node.place, format!("{path} is {text:?}: must be {WANTED}"))),
            Value::Number(text) => {
                Err(self.error(node.place, format!("{path} is the number {text}: must be {WANTED}")))
            }
            _ => Err(self.wrong(node, path, WANTED)),
        }
    }

    fn hosts(&self, entries: &Entries, key: &str, path: &str) -> Result<Vec<String>> {
        let items = self.list(entries, key, path)?;
        items.iter().enumerate().map(|(i, node)| self.host(node, &format!("{path}.{key}[{i}]"))).collect()
    }

    fn texts(&self, entries: &Entries, key: &str, path: &str) -> Result<Vec<String>> {
        let items = self.list(entries, key, path)?;
        items.iter().enumerate().map(|(i, node)| self.text(node, &format!("{path}.{key}[{i}]"))).collect()
    }

    fn bottle(&mut self, node: &Node, path: &str) -> Result<Bottle> {
        let entries = self.map(node, path)?;
        self.only(entries, path, &["env", "ssh", "supervise", "egress"])?;
        let mut bottle =
            Bottle { supervise: self.boolean(entries, "supervise", path, false)?, ..Bottle::default() };
        if let Some(env) = get(entries, "env") {
            for (name, place, node) in self.map(env, &format!("{path}.env"))? {
                bottle.env.push((name.clone(), self.env(name, *place, node, &format!("{path}.env"))?));
            }
        }
        let ssh = self.list(entries, "ssh", path)?;
        for (i, node) in ssh.iter().enumerate() {
            bottle.ssh.push(self.ssh(node, &format!("{path}.ssh[{i}]"))?);
        }
        if let Some(egress) = get(entries, "egress") {
            bottle.egress = self.egress(egress, &format!("{path}.egress"))?;
        }
        Ok(bottle)
    }

    fn env(&self, name: &str, place: Place, node: &Node, path: &str) -> Result<EnvValue> {
        let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            let message =
                format!("{path}: {name:?} is no variable name (letters, digits and '_', not first a digit)");
            return Err(self.error(place, message));
        }
        let path = format!("{path}.{name}");
        match &node.value {
            Value::Text(_) => self.text(node, &path).map(EnvValue::Literal),
            Value::Map(entries) => {
                self.only(entries, &path, &["from_host"])?;
                let (variable, place) = self.required_text(node, entries, "from_host", &path)?;
                if variable.contains('=') {
                    return Err(self.error(place, format!("{path}.from_host must be the name of a variable")));
                }
                Ok(EnvValue::FromHost(variable))
            }
            _ => Err(self.wrong(node, &path, "a string or {\"from_host\": \"VAR\"}")),
        }
    }

    fn ssh(&self, node: &Node, path: &str) -> Result<SshHost> {
        let mut host = SshHost::default();
        for (name, place, node) in self.map(node, path)? {
            let path = format!("{path}.{name}");
            match name.to_ascii_lowercase().as_str() {
                "host" => host.host = self.text(node, &path)?,
                "hostname" => {
                    let name = self.text(node, &path)?;
                    if !name.is_empty() && (!is_host(&name) || name.starts_with('*')) {
                        let message = format!("{path} is {name:?}: must be a hostname or an IPv4 address");
                        return Err(self.error(node.place, message));
                    }
                    host.hostname = Some(name).filter(|n| !n.is_empty());
                }
                "user" => host.user = Some(self.text(node, &path)?),
                "identityfile" => host.identity_file = Some(self.text(node, &path)?),
                "port" => {
                    let port = match &node.value {
                        Value::Number(text) | Value::Text(text) => {
                            text.parse::<u16>().ok().filter(|p| *p != 0)
                        }
                        _ => None,
                    };
                    host.port = Some(port.ok_or_else(|| self.wrong(node, &path, "a port from 1 to 65535"))?);
                }
                _ => {
                    let message =
                        format!("unknown key {path}: allowed are Host, Hostname, User, Port, IdentityFile");
                    return Err(self.error(*place, message));
                }
            }
        }
        Ok(host)
    }

    fn egress(&mut self, node: &Node, path: &str) -> Result<EgressSection> {
        const KNOWN: [&str; 5] = ["defaults", "allowlist", "routes", "tls_interception", "passthrough"];
        let entries = self.map(node, path)?;
        for (name, place, _) in entries.iter().filter(|(name, ..)| !KNOWN.contains(&name.as_str())) {
            self.warnings
                .push(format!("{}:{}:{}: {path}.{name} has no effect", self.file, place.line, place.column));
        }
        let mut routes = Vec::new();
        for (i, node) in self.list(entries, "routes", path)?.iter().enumerate() {
            let path = format!("{path}.routes[{i}]");
            let fields = self.map(node, &path)?;
            let host = get(fields, "host").or_else(|| get(fields, "Host"));
            let host = host.ok_or_else(|| self.error(node.place, format!("{path}.host is required")))?;
            routes.push(Route { host: self.host(host, &format!("{path}.host"))? });
            for (name, place, _) in fields.iter().filter(|(name, ..)| name != "host" && name != "Host") {
                let warning =
                    format!("{}:{}:{}: {path}.{name} has no effect", self.file, place.line, place.column);
                self.warnings.push(warning);
            }
        }
        Ok(EgressSection {
            defaults: self.boolean(entries, "defaults", path, true)?,
            allowlist: self.hosts(entries, "allowlist", path)?,
            routes,
            tls_interception: self.boolean(entries, "tls_interception", path, true)?,
            passthrough: self.hosts(entries, "passthrough", path)?,
        })
    }

    fn agent(&self, node: &Node, path: &str) -> Result<(Agent, Place)> {
        let entries = self.map(node, path)?;
        self.only(
            entries,
            path,
            &["bottle", "image", "command", "workdir", "user", "mounts", "runtime", "prompt"],
        )?;
        let (bottle, place) = self.required_text(node, entries, "bottle", path)?;
        let mut mounts = Vec::new();
        for (i, node) in self.list(entries, "mounts", path)?.iter().enumerate() {
            let path = format!("{path}.mounts[{i}]");
            let fields = self.map(node, &path)?;
            self.only(fields, &path, &["source", "target", "read_only"])?;
            let (target, at) = self.required_text(node, fields, "target", &path)?;
            if !target.starts_with('/') {
                return Err(self.error(at, format!("{path}.target is {target:?}: must be an absolute path")));
            }
            let (source, at) = self.required_text(node, fields, "source", &path)?;
            if source == "~" || source.starts_with("~/") {
                let message =
                    format!("{path}.source is {source:?}: '~' is not expanded here, write the whole path");
                return Err(self.error(at, message));
            }
            mounts.push(Mount {
                source,
                target,
                read_only: self.boolean(fields, "read_only", &path, false)?,
            });
        }
        let workdir = self.optional_text(entries, "workdir", path)?;
        if let Some(node) =
            get(entries, "workdir").filter(|_| workdir.as_ref().is_some_and(|dir| !dir.starts_with('/')))
        {
            return Err(self.error(node.place, format!("{path}.workdir must be an absolute path")));
        }
        let agent = Agent {
            bottle,
            image: self.required_text(node, entries, "image", path)?.0,
            command: self.texts(entries, "command", path)?,
            workdir,
            user: self.optional_text(entries, "user", path)?,
            mounts,
            runtime: self.optional_text(entries, "runtime", path)?,
        };
        Ok((agent, place))
    }
}
