//! The agent container (spec: launcher §9): detached, on the internal network only, its command run by exec.

use std::collections::BTreeMap;
use std::env::VarError;
use std::net::Ipv4Addr;

use crate::engine::{ContainerSpec, ExecSpec};
use crate::manifest::EnvValue;
use crate::plan::{Plan, path};
use crate::sidecar::ALIAS;
use crate::{Error, Result};

/// The container, as it is created. `sidecar`: the sidecar's address, which is written down because not every engine resolves
/// names on the internal network. `sysctls`: those under which the network was found to be isolated.
pub fn spec(
    plan: &Plan,
    sidecar: Ipv4Addr,
    sysctls: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
) -> ContainerSpec {
    ContainerSpec {
        name: plan.names.agent.clone(),
        image: plan.image.clone(),
        entrypoint: Some(vec!["sleep".to_owned()]),
        command: vec!["infinity".to_owned()],
        env: environment(plan),
        workdir: plan.workdir.clone(),
        user: plan.user.clone(),
        network: plan.names.internal.clone(),
        dns: Some(sidecar),
        hosts: [&plan.names.sidecar, ALIAS].map(|name| (name.to_owned(), sidecar)).to_vec(),
        mounts: plan.mounts.iter().map(|m| (m.source.clone(), m.target.clone(), m.read_only)).collect(),
        runtime: plan.runtime.clone(),
        sysctls,
        no_raw_sockets: true,
        auto_remove: true,
        labels,
        ..ContainerSpec::default()
    }
}

/// The container's environment: the proxy, trust, then the bottle's own literals. Values from the host are not among
/// them, because the engine stores a container's environment on disk: they go with the command (see [`command`]).
pub fn environment(plan: &Plan) -> Vec<String> {
    let proxy = plan.names.proxy_url(plan.port);
    let no_proxy = if plan.supervise { "localhost,127.0.0.1,supervise" } else { "localhost,127.0.0.1" };
    let mut variables: Vec<(&str, &str)> = vec![
        ("HTTPS_PROXY", &proxy),
        ("HTTP_PROXY", &proxy),
        ("https_proxy", &proxy),
        ("http_proxy", &proxy),
        ("NO_PROXY", no_proxy),
        ("no_proxy", no_proxy),
    ];
    if plan.egress.tls_interception {
        variables.extend([("NODE_EXTRA_CA_CERTS", path::AGENT_CA), ("DENO_CERT", path::AGENT_CA)]);
        variables.extend(
            [
                "SSL_CERT_FILE",
                "REQUESTS_CA_BUNDLE",
                "CURL_CA_BUNDLE",
                "GIT_SSL_CAINFO",
                "CARGO_HTTP_CAINFO",
                "PIP_CERT",
            ]
            .map(|name| (name, path::BUNDLE)),
        );
    }
    let literals = plan.env.iter().filter_map(|(name, value)| match value {
        EnvValue::Literal(value) => Some((name.as_str(), value.as_str())),
        EnvValue::FromHost(_) => None,
    });
    for (name, value) in literals {
        // Of a variable given twice, which one counts depends on the program.
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value));
    }
    variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// The agent's command with the values read from the host's environment by `read`.
///
/// # Errors
/// When a variable is missing or no text: the message names bottle, key and variable.
pub fn command(
    plan: &Plan,
    command: Vec<String>,
    tty: bool,
    read: impl Fn(&str) -> std::result::Result<String, VarError>,
) -> Result<ExecSpec> {
    let mut env = Vec::new();
    for (name, value) in &plan.env {
        if let EnvValue::FromHost(variable) = value {
            let value = read(variable).map_err(|e| {
                let problem = match e {
                    VarError::NotPresent => "is not set in this environment",
                    VarError::NotUnicode(_) => "holds a value that is not UTF-8",
                };
                Error::Refused(format!("bottle {:?}, env.{name}: {variable} {problem}", plan.bottle))
            })?;
            env.push(format!("{name}={value}"));
        }
    }
    Ok(ExecSpec { command, user: plan.user.clone(), tty, stdin: true, env, workdir: plan.workdir.clone() })
}
