//! The sidecar's life (spec: launcher §6): create on the internal network only, copy its files, join the egress network,
//! start, wait until it is healthy. The same steps for every image that has the reference's command line.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::engine::{ContainerSpec, Engine, ExecSpec, FileEntry};
use crate::plan::{Plan, path};
use crate::stage::Stage;
use crate::{Error, Result, ca};

/// Name of the configuration in the stage directory.
pub const CONFIG: &str = "pipelock.yaml";
/// Its name on the internal network beside its own (spec: launcher §5).
pub const ALIAS: &str = "pipelock";
/// How long it may take to answer.
const HEALTH_DEADLINE: Duration = Duration::from_secs(10);
/// How many lines of its output an error shows.
const LOG_LINES: usize = 20;
/// Memory limit: several times what it needs under load, so that a flood cannot take the host down with it.
const MEMORY: i64 = 1 << 30;
/// Limit of processes and threads.
const PIDS: i64 = 512;

/// The container, as it is created.
pub fn spec(plan: &Plan, labels: BTreeMap<String, String>) -> ContainerSpec {
    let listen = format!("0.0.0.0:{}", plan.port);
    ContainerSpec {
        name: plan.names.sidecar.clone(),
        image: plan.sidecar_image.clone(),
        command: ["run", "--config", path::CONFIG, "--listen", &listen].map(str::to_owned).to_vec(),
        // Our image has a resolver, and looks into compressed requests, as git sends them for a dozen branches.
        env: ["MUSELET_DNS_LISTEN=0.0.0.0:53", "MUSELET_DECOMPRESS=1"].map(str::to_owned).to_vec(),
        network: plan.names.internal.clone(),
        aliases: vec![ALIAS.to_owned()],
        // The resolver that refuses listens on port 53, and the sidecar has no capability to open a low port with.
        sysctls: BTreeMap::from([("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned())]),
        hardened: true,
        memory: Some(MEMORY),
        pids: Some(PIDS),
        labels,
        ..ContainerSpec::default()
    }
}

/// Copies the configuration and, with interception, the CA, owned by the image's user, mode 0600.
///
/// # Errors
/// When a file is not in the stage directory, or the engine fails.
pub async fn copy_files<E: Engine>(engine: &E, plan: &Plan, stage: &Stage) -> Result<()> {
    let name = &plan.names.sidecar;
    let config = stage.path(CONFIG);
    if !config.exists() {
        return Err(Error::Refused(format!(
            "pipelock yaml not found at {}; prepare must run first",
            config.display()
        )));
    }
    let info = engine.inspect_container(name).await.map_err(|e| Error::step("inspect container", name, e))?;
    let mut wanted = vec![(CONFIG, path::CONFIG)];
    if plan.egress.tls_interception {
        wanted.extend([(ca::CERT, path::CA_CERT), (ca::KEY, path::CA_KEY)]);
    }
    let uid = match &info.user {
        Some(user) => uid(engine, name, user).await?,
        None => 0,
    };
    let mut files = Vec::new();
    for (source, target) in wanted {
        let source = stage.path(source);
        let bytes =
            std::fs::read(&source).map_err(|e| Error::step("read", source.display().to_string(), e))?;
        files.push(FileEntry { path: target.to_owned(), mode: 0o600, uid, bytes });
    }
    engine
        .put_files(name, &files)
        .await
        .map_err(|e| Error::step("copy the configuration into container", name, e))
}

/// The number of a user, by the image's own list when it is a name.
async fn uid<E: Engine>(engine: &E, container: &str, user: &str) -> Result<u64> {
    const USERS: &str = "/etc/passwd";
    if let Ok(uid) = user.parse() {
        return Ok(uid);
    }
    let failed = |message: String| Error::step("look up the user of container", container, message);
    let users =
        engine.get_file(container, USERS).await.map_err(|e| failed(e.to_string()))?.unwrap_or_default();
    listed(&String::from_utf8_lossy(&users), user)
        .ok_or_else(|| failed(format!("{user} is not in the {USERS} of its image")))
}

/// The number of a user in a list of users.
fn listed(users: &str, user: &str) -> Option<u64> {
    let mut entries = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    entries.find(|fields| fields[0] == user)?.get(2)?.parse().ok()
}

/// Waits until the sidecar's own `healthcheck` succeeds; a container that has ended fails at once.
///
/// # Errors
/// With the last lines of its output, when it ends or does not answer within ten seconds.
pub async fn wait_healthy<E: Engine>(engine: &E, plan: &Plan) -> Result<()> {
    let name = &plan.names.sidecar;
    let address = format!("127.0.0.1:{}", plan.port);
    let program = engine
        .image_command(&plan.sidecar_image)
        .await
        .ok()
        .and_then(|command| command.into_iter().next())
        .unwrap_or_else(|| "/pipelock".to_owned());
    let check = ExecSpec {
        command: vec![program, "healthcheck".to_owned(), "--addr".to_owned(), address],
        ..ExecSpec::default()
    };
    let deadline = Instant::now() + HEALTH_DEADLINE;
    let mut pause = Duration::from_millis(20);
    loop {
        let problem = match timeout_at(deadline, engine.exec(name, &check)).await {
            Err(_) => "healthcheck does not end".to_owned(),
            Ok(Ok((0, _))) => return Ok(()),
            Ok(Ok((code, output))) => {
                format!("healthcheck exits with {code}: {}", String::from_utf8_lossy(&output).trim())
            }
            Ok(Err(error)) => error.to_string(),
        };
        let ended = match engine.inspect_container(name).await {
            Ok(info) if !info.running => {
                Some(format!("it ended with exit code {}", info.exit_code.unwrap_or(-1)))
            }
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        let message = match ended {
            Some(message) => message,
            None if Instant::now() < deadline => {
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(250));
                continue;
            }
            None => format!("not healthy after {} s ({problem})", HEALTH_DEADLINE.as_secs()),
        };
        let logs = engine.last_logs(name, LOG_LINES).await.unwrap_or_default();
        let logs = if logs.trim().is_empty() {
            String::new()
        } else {
            format!("; its last lines:\n{}", logs.trim_end())
        };
        return Err(Error::step("start container", name, format!("{message}{logs}")));
    }
}

/// The sidecar's address on the internal network.
///
/// # Errors
/// When the engine fails or gave it none.
pub async fn address<E: Engine>(engine: &E, plan: &Plan) -> Result<Ipv4Addr> {
    let name = &plan.names.sidecar;
    let info = engine.inspect_container(name).await.map_err(|e| Error::step("inspect container", name, e))?;
    info.addresses.get(&plan.names.internal).copied().ok_or_else(|| {
        Error::step("inspect container", name, format!("no address on {}", plan.names.internal))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0::/:/bin/sh\nproxy2:x:14:14::/:\nproxy:x:13:12::/:\nbroken\n";
        for (name, uid) in
            [("root", Some(0)), ("proxy", Some(13)), ("prox", None), ("broken", None), ("", None)]
        {
            assert_eq!(listed(users, name), uid, "{name:?}");
        }
    }
}
