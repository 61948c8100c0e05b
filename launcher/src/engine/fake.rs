//! An engine in memory for tests: keeps containers and networks, writes down every call, and can fail or be interrupted at
//! any of them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio_util::sync::CancellationToken;

use super::*;

#[derive(Default)]
/// What there is.
pub struct State {
    calls: Vec<String>,
    networks: BTreeMap<String, NetworkSpec>,
    containers: BTreeMap<String, ContainerSpec>,
    files: BTreeMap<String, Vec<FileEntry>>,
    made: Vec<ContainerSpec>,
}

/// What happens at a call.
pub enum Fault {
    /// The call fails and does nothing.
    Fail,
    /// The call does its work and then reports a failure, as when the answer is lost.
    FailAfter,
    /// A signal comes during the call.
    Signal(CancellationToken),
    /// The call panics.
    Panic,
}

/// The engine.
#[derive(Default)]
pub struct Fake {
    /// What there is.
    pub state: Mutex<State>,
    /// The call at which something happens.
    pub fault: Option<(usize, Fault)>,
    /// Output of the isolation probe and its exit code.
    pub probe: Option<(i64, String)>,
    /// Containers have IPv6 unless a setting takes it away.
    pub ipv6: bool,
    /// Names that are taken from the beginning.
    pub taken: Vec<String>,
}

impl Fake {
    /// An engine at whose `n`th call (from 0) something happens.
    pub fn with_fault(n: usize, fault: Fault) -> Self {
        Self { fault: Some((n, fault)), ..Self::default() }
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }

    /// What exists now.
    pub fn left(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.networks.keys().chain(state.containers.keys()).cloned().collect()
    }

    /// Every container of a name that was made, in order, also those that are gone.
    pub fn made(&self, name: &str) -> Vec<ContainerSpec> {
        let state = self.state.lock().unwrap();
        state.made.iter().filter(|spec| spec.name == name).cloned().collect()
    }

    /// Files that were put into a container.
    pub fn files(&self, container: &str) -> Vec<FileEntry> {
        self.state.lock().unwrap().files.get(container).cloned().unwrap_or_default()
    }

    fn call<T>(&self, what: String, work: impl FnOnce(&mut State) -> EngineResult<T>) -> EngineResult<T> {
        let mut state = self.state.lock().unwrap();
        let n = state.calls.len();
        state.calls.push(what.clone());
        match self.fault.as_ref().filter(|(at, _)| *at == n).map(|(_, fault)| fault) {
            Some(Fault::Fail) => return Err(EngineError::Failed(format!("injected at {what}"))),
            Some(Fault::FailAfter) => {
                work(&mut state)?;
                return Err(EngineError::Failed(format!("injected after {what}")));
            }
            Some(Fault::Signal(token)) => token.cancel(),
            Some(Fault::Panic) => {
                drop(state);
                panic!("injected at {what}");
            }
            None => {}
        }
        work(&mut state)
    }
}

impl Engine for Fake {
    async fn info(&self) -> EngineResult<EngineInfo> {
        self.call("info".into(), |_| {
            Ok(EngineInfo { version: "27.0".into(), podman: false, runtimes: vec!["runc".into()] })
        })
    }

    async fn image_exists(&self, image: &str) -> EngineResult<bool> {
        self.call(format!("image_exists {image}"), |_| Ok(true))
    }

    async fn image_command(&self, _: &str) -> EngineResult<Vec<String>> {
        Ok(vec!["/pipelock".into()])
    }

    async fn pull_image(&self, image: &str, _: &(dyn Fn(&str) + Sync)) -> EngineResult<()> {
        self.call(format!("pull {image}"), |_| Ok(()))
    }

    async fn build_image(&self, tag: &str, _: Vec<u8>, _: &(dyn Fn(&str) + Sync)) -> EngineResult<()> {
        self.call(format!("build {tag}"), |_| Ok(()))
    }

    async fn create_network(&self, spec: &NetworkSpec) -> EngineResult<()> {
        let taken = self.taken.contains(&spec.name);
        self.call(format!("create_network {}", spec.name), |state| {
            if taken || state.networks.contains_key(&spec.name) {
                return Err(EngineError::Conflict("exists".into()));
            }
            state.networks.insert(spec.name.clone(), spec.clone());
            Ok(())
        })
    }

    async fn inspect_network(&self, name: &str) -> EngineResult<NetworkInfo> {
        self.call(format!("inspect_network {name}"), |state| match state.networks.get(name) {
            Some(_) => Ok(NetworkInfo { subnet: "172.20.0.0/16".parse().ok(), gateway: None }),
            None => Err(EngineError::NotFound("no such network".into())),
        })
    }

    async fn remove_network(&self, name: &str) -> EngineResult<()> {
        self.call(format!("remove_network {name}"), |state| {
            if state.containers.values().any(|container| container.network == name) {
                return Err(EngineError::Conflict("has active endpoints".into()));
            }
            state.networks.remove(name);
            Ok(())
        })
    }

    async fn networks(&self, _: &str) -> EngineResult<Vec<Found>> {
        Ok(Vec::new())
    }

    async fn create_container(&self, spec: &ContainerSpec) -> EngineResult<()> {
        let taken = self.taken.contains(&spec.name);
        self.call(format!("create_container {}", spec.name), |state| {
            if taken || state.containers.contains_key(&spec.name) {
                return Err(EngineError::Conflict("exists".into()));
            }
            state.containers.insert(spec.name.clone(), spec.clone());
            state.made.push(spec.clone());
            Ok(())
        })
    }

    async fn start_container(&self, name: &str) -> EngineResult<()> {
        self.call(format!("start {name}"), |_| Ok(()))
    }

    async fn inspect_container(&self, name: &str) -> EngineResult<ContainerInfo> {
        self.call(format!("inspect {name}"), |state| {
            let spec = state
                .containers
                .get(name)
                .ok_or_else(|| EngineError::NotFound("no such container".into()))?;
            let addresses = BTreeMap::from([(spec.network.clone(), Ipv4Addr::new(172, 20, 0, 2))]);
            Ok(ContainerInfo { running: true, addresses, ..ContainerInfo::default() })
        })
    }

    async fn wait_container(&self, name: &str) -> EngineResult<i64> {
        let code = self.probe.as_ref().map_or(0, |(code, _)| *code);
        self.call(format!("wait {name}"), |state| {
            let linked = self.ipv6 && state.containers.get(name).is_some_and(|c| c.sysctls.is_empty());
            Ok(if linked { 3 } else { code })
        })
    }

    async fn remove_container(&self, name: &str) -> EngineResult<()> {
        self.call(format!("remove {name}"), |state| {
            state.containers.remove(name);
            Ok(())
        })
    }

    async fn containers(&self, _: &str) -> EngineResult<Vec<Found>> {
        Ok(Vec::new())
    }

    async fn connect(&self, network: &str, container: &str) -> EngineResult<()> {
        self.call(format!("connect {container} {network}"), |_| Ok(()))
    }

    async fn put_files(&self, container: &str, files: &[FileEntry]) -> EngineResult<()> {
        self.call(format!("put_files {container}"), |state| {
            state.files.entry(container.to_owned()).or_default().extend_from_slice(files);
            Ok(())
        })
    }

    async fn get_file(&self, container: &str, path: &str) -> EngineResult<Option<Vec<u8>>> {
        self.call(format!("get_file {container}"), |state| {
            let mut files = state.files.get(container).into_iter().flatten();
            Ok(files.rfind(|file| file.path == path).map(|file| file.bytes.clone()))
        })
    }

    async fn exec(&self, container: &str, spec: &ExecSpec) -> EngineResult<(i64, Vec<u8>)> {
        self.call(format!("exec {container} {}", spec.command.join(" ")), |_| {
            if spec.command.iter().any(|word| word == "healthcheck") {
                return Ok((0, Vec::new()));
            }
            Err(EngineError::NotFound("executable file not found".into()))
        })
    }

    async fn exec_attached(&self, _: &str, _: &ExecSpec) -> EngineResult<Attached> {
        Err(EngineError::Failed("not in this engine".into()))
    }

    async fn resize_exec(&self, _: &str, _: u16, _: u16) -> EngineResult<()> {
        Ok(())
    }

    async fn exec_code(&self, _: &str) -> EngineResult<Option<i64>> {
        Ok(None)
    }

    async fn last_logs(&self, name: &str, _: usize) -> EngineResult<String> {
        let output = self.probe.as_ref().map_or_else(
            || "reached the neighbours of eth0 over IPv6\n".to_owned(),
            |(_, text)| text.clone(),
        );
        self.call(format!("last_logs {name}"), |_| Ok(output))
    }

    fn logs(&self, _: &str, _: bool) -> LogStream {
        Box::pin(futures_util::stream::empty())
    }
}
