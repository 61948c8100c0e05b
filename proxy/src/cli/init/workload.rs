//! The workload that gets a proxy: what it is called, and what is changed in it. spec: cli-and-image §15.2

use serde_json::{Map, Value, json};

use super::set_up;
use crate::cli::Failure;
use crate::config::{write, yaml};

/// Kinds, and where each keeps the template of its pods.
const KINDS: [(&str, &str); 4] = [
    ("Deployment", "/spec/template"),
    ("StatefulSet", "/spec/template"),
    ("Job", "/spec/template"),
    ("CronJob", "/spec/jobTemplate/spec/template"),
];

const TOPOLOGY: &str = "pipelock.dev/topology";
const PROXY_NAME: &str = "pipelock.dev/proxy-name";
/// Selects the pods of a workload that has no labels of its own.
const AGENT: &str = "pipelock.dev/agent";
/// Longest label of a host name.
const LABEL: usize = 63;

pub(super) struct Workload {
    document: Value,
    template: &'static str,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: String,
    /// Name of its proxy.
    pub(super) proxy: String,
    /// Whether it had one before.
    pub(super) already_patched: bool,
}

impl Workload {
    /// Reads one document.
    pub(super) fn read(bytes: &[u8]) -> Result<Workload, Failure> {
        let document = yaml::tree(bytes).map_err(|error| {
            set_up(match error {
                yaml::YamlError::MultipleDocuments => {
                    "parsing inject-spec: more than one document; give the workload in a file of its own"
                        .to_owned()
                }
                error => format!("parsing inject-spec: {error}"),
            })
        })?;
        let text = |pointer| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let kind = text("/kind").to_owned();
        let Some((_, template)) = KINDS.iter().find(|(known, _)| *known == kind) else {
            let known = KINDS.map(|(kind, _)| kind).join(" ");
            return Err(set_up(format!("unsupported workload kind {kind:?}; supported: [{known}]")));
        };
        let name = text("/metadata/name").to_owned();
        let namespace = match text("/metadata/namespace") {
            "" => "default",
            namespace => namespace,
        }
        .to_owned();
        for (field, value) in [("name", &name), ("namespace", &namespace)] {
            if !is_name(value) {
                return Err(set_up(format!("metadata.{field} {value:?} is not a Kubernetes name")));
            }
        }
        let annotation = document.pointer("/metadata/annotations").and_then(|all| all[PROXY_NAME].as_str());
        let proxy = match annotation.filter(|name| !name.is_empty()) {
            Some(name) if is_name(&label(name, "")) => label(name, ""),
            Some(name) => return Err(set_up(format!("{PROXY_NAME} {name:?} is not a Kubernetes name"))),
            None => label(&name, "-pipelock"),
        };
        let already_patched =
            document.pointer("/metadata/annotations").is_some_and(|all| all[TOPOLOGY] == "companion-proxy");
        Ok(Workload { template, kind, name, namespace, proxy, already_patched, document })
    }

    pub(super) fn proxy_url(&self) -> String {
        format!("http://{}:8888", self.proxy)
    }

    /// Points every container at the proxy. Gives the changed document, and the labels of its pods.
    pub(super) fn patched(&self) -> Result<(Value, Map<String, Value>), Failure> {
        let mut document = self.document.clone();
        annotate(&mut document, &self.proxy)?;
        let template = document
            .pointer_mut(self.template)
            .filter(|template| template.is_object())
            .ok_or_else(|| set_up(format!("{} has no pod template", self.kind)))?;
        annotate(template, &self.proxy)?;
        let url = self.proxy_url();
        let mut patched = 0;
        for list in ["/spec/initContainers", "/spec/containers"] {
            let containers = template.pointer_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten().filter(|one| one["name"] != "pipelock") {
                add_variables(container, &url)?;
                patched += 1;
            }
        }
        if patched == 0 {
            return Err(set_up(format!("{} has no container to patch", self.kind)));
        }
        let labels = object(object(template, "metadata")?, "labels")?;
        let fields = labels.as_object_mut().ok_or_else(|| set_up("labels is not a map"))?;
        if fields.is_empty() {
            fields.insert(AGENT.to_owned(), label(&self.name, "").into());
        }
        let labels = fields.clone();
        Ok((document, labels))
    }
}

/// The map under a key, made where there is none.
fn object<'v>(value: &'v mut Value, key: &str) -> Result<&'v mut Value, Failure> {
    let wrong = || set_up(format!("{key} is not a map"));
    let inner = value.as_object_mut().ok_or_else(wrong)?.entry(key).or_insert(Value::Null);
    if inner.is_null() {
        *inner = Value::Object(Map::new());
    }
    if inner.is_object() { Ok(inner) } else { Err(wrong()) }
}

fn annotate(value: &mut Value, proxy: &str) -> Result<(), Failure> {
    let annotations = object(object(value, "metadata")?, "annotations")?;
    annotations[TOPOLOGY] = "companion-proxy".into();
    annotations[PROXY_NAME] = proxy.into();
    annotations["pipelock.dev/proxy-service"] = proxy.into();
    Ok(())
}

fn add_variables(container: &mut Value, url: &str) -> Result<(), Failure> {
    let name = container["name"].as_str().unwrap_or_default().to_owned();
    let not_a_list = || set_up(format!("container {name:?}: env is not a list"));
    let fields = container.as_object_mut().ok_or_else(|| set_up("a container is not a map"))?;
    let env = fields.entry("env").or_insert(Value::Null);
    if env.is_null() {
        *env = Value::Array(Vec::new());
    }
    let env = env.as_array_mut().ok_or_else(not_a_list)?;
    for (variable, wanted) in
        [("HTTPS_PROXY", url), ("HTTP_PROXY", url), ("NO_PROXY", "localhost,127.0.0.1,.svc,.cluster.local")]
    {
        let Some(there) = env.iter().find(|entry| entry["name"] == variable) else {
            env.push(json!({"name": variable, "value": wanted}));
            continue;
        };
        if there.get("valueFrom").is_some() {
            return Err(set_up(format!(
                "container {name:?}: {variable} already defined via valueFrom; patch it manually"
            )));
        }
        let value = there["value"].as_str().unwrap_or_default();
        if value != wanted {
            return Err(set_up(format!(
                "container {name:?}: {variable} already defined as {value:?}, want {wanted:?}"
            )));
        }
    }
    Ok(())
}

/// Names of objects: lower-case letters, digits, dashes and dots; here also nothing that YAML takes for anything but text.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 253
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|c| plain(c) || c == '-' || c == '.')
        && write::scalar(text) == text
}

/// A text and a suffix as one label of a host name.
fn label(text: &str, suffix: &str) -> String {
    let mut label: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(LABEL - suffix.len())
        .collect();
    label.push_str(suffix);
    let trimmed = label.trim_matches('-');
    if trimmed.is_empty() { "pipelock".to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_fit_into_host_names() {
        let long = "a".repeat(80);
        for (text, suffix, wanted) in [
            ("my-agent", "-pipelock", "my-agent-pipelock".to_owned()),
            ("My.Agent_1", "", "my-agent-1".to_owned()),
            ("--", "", "pipelock".to_owned()),
            (long.as_str(), "-pipelock", format!("{}-pipelock", "a".repeat(54))),
        ] {
            assert_eq!(label(text, suffix), wanted);
        }
    }
}
