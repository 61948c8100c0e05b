//! [`Engine`] over the Docker API, which Podman serves too. A thin translation: every decision is made by the callers.

use std::collections::{BTreeMap, HashMap};

use bollard::container::LogOutput;
use bollard::errors::Error as ApiError;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, Mount, MountType, NetworkConnectRequest,
    NetworkCreateRequest, NetworkingConfig, RestartPolicy, RestartPolicyNameEnum, SystemVersion,
};
use bollard::query_parameters as query;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http::Uri;
use http::uri::PathAndQuery;
use serde_json::json;

use super::connect::Address;
use super::*;

/// Where Podman creates networks in terms of its own; any 4.x and 5.x takes this version.
const CREATE_NETWORK: &str = "/v4.0.0/libpod/networks/create";

/// How long an engine may be silent, in seconds.
const TIMEOUT: u64 = 120;

/// A connection to Docker or Podman.
pub struct Docker {
    api: bollard::Docker,
    podman: bool,
}

impl From<ApiError> for EngineError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::DockerResponseServerError { status_code: 404, message } => Self::NotFound(message),
            ApiError::DockerResponseServerError { status_code: 409, message } => Self::Conflict(message),
            ApiError::DockerResponseServerError { status_code: _, message }
                if message.contains("has active endpoints") =>
            {
                Self::Conflict(message)
            }
            ApiError::DockerResponseServerError { status_code: _, message }
                if message.contains("already exists") || message.contains("already in use") =>
            {
                Self::Conflict(message)
            }
            ApiError::DockerResponseServerError { message, .. } => Self::Failed(message),
            ApiError::DockerStreamError { error } => Self::Failed(error),
            other => Self::Failed(chain(&other)),
        }
    }
}

/// An error with its causes: the library's outermost text alone often says nothing.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}

impl Docker {
    /// Connects and agrees on an API version.
    ///
    /// # Errors
    /// When nothing answers there, or this user may not talk to it.
    pub async fn connect(address: &Address) -> EngineResult<Self> {
        let api = api(address)?.negotiate_version().await?;
        let podman = is_podman(&api.version().await?);
        Ok(Self { api, podman })
    }

    /// Creates a network on which Podman answers no look-ups. The Docker API has no word for that and bollard no call for
    /// Podman's own API, so one whose answer has no content is sent there instead.
    async fn create_silent_network(&self, spec: &NetworkSpec) -> EngineResult<()> {
        let network = json!({
            "name": spec.name,
            "driver": "bridge",
            "internal": spec.internal,
            "dns_enabled": false,
            "options": spec.options,
            "labels": spec.labels,
        });
        let body = network.to_string();
        let api = self.api.clone().with_request_modifier(move |mut request| {
            let mut parts = request.uri().clone().into_parts();
            parts.path_and_query = Some(PathAndQuery::from_static(CREATE_NETWORK));
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
                *request.body_mut() = bollard::body_full(Bytes::from(body.clone()));
            }
            request
        });
        let unused = NetworkConnectRequest { container: String::new(), endpoint_config: None };
        Ok(api.connect_network(&spec.name, unused).await?)
    }
}

/// A client of the library. Whether it speaks TLS is the address's business: the library goes by a variable of the environment,
/// also where that is empty or a context counts instead.
fn api(address: &Address) -> Result<bollard::Docker, ApiError> {
    match &address.certificates {
        Some(dir) => bollard::Docker::connect_with_ssl(
            &address.host,
            &dir.join("key.pem"),
            &dir.join("cert.pem"),
            &dir.join("ca.pem"),
            TIMEOUT,
            bollard::API_DEFAULT_VERSION,
        ),
        None if address.host.starts_with("tcp://") || address.host.starts_with("http://") => {
            bollard::Docker::connect_with_http(&address.host, TIMEOUT, bollard::API_DEFAULT_VERSION)
        }
        None => bollard::Docker::connect_with_host(&address.host),
    }
}

fn is_podman(version: &SystemVersion) -> bool {
    let mut components = version.components.iter().flatten();
    components.any(|component| component.name.to_ascii_lowercase().contains("podman"))
}

fn hash(map: &BTreeMap<String, String>) -> HashMap<String, String> {
    map.clone().into_iter().collect()
}

fn label_filter(label: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![label.to_owned()])])
}

fn missing_is_success(result: Result<(), ApiError>) -> EngineResult<()> {
    match result.map_err(EngineError::from) {
        Err(EngineError::NotFound(_)) => Ok(()),
        Err(EngineError::Conflict(text)) if text.contains("already in progress") => Ok(()),
        other => other,
    }
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let mounts = spec.mounts.iter().map(|(source, target, read_only)| Mount {
        typ: Some(MountType::BIND),
        source: Some(source.clone()),
        target: Some(target.clone()),
        read_only: Some(*read_only),
        ..Mount::default()
    });
    let dropped: &[&str] = match spec {
        ContainerSpec { hardened: true, .. } => &["ALL"],
        ContainerSpec { no_raw_sockets: true, .. } => &["NET_RAW"],
        _ => &[],
    };
    HostConfig {
        network_mode: Some(spec.network.clone()),
        dns: spec.dns.map(|ip| vec![ip.to_string()]),
        extra_hosts: Some(spec.hosts.iter().map(|(name, ip)| format!("{name}:{ip}")).collect()),
        mounts: Some(mounts.collect()),
        runtime: spec.runtime.clone(),
        sysctls: Some(hash(&spec.sysctls)),
        cap_drop: Some(dropped.iter().map(|&name| name.to_owned()).collect()),
        security_opt: spec.hardened.then(|| vec!["no-new-privileges".to_owned()]),
        memory: spec.memory,
        pids_limit: spec.pids,
        auto_remove: Some(spec.auto_remove),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        ..HostConfig::default()
    }
}

impl Engine for Docker {
    async fn info(&self) -> EngineResult<EngineInfo> {
        let version = self.api.version().await?;
        let info = self.api.info().await?;
        let mut runtimes: Vec<String> = info.runtimes.unwrap_or_default().into_keys().collect();
        runtimes.sort();
        Ok(EngineInfo { podman: self.podman, version: version.version.unwrap_or_default(), runtimes })
    }

    async fn image_exists(&self, image: &str) -> EngineResult<bool> {
        match self.api.inspect_image(image).await.map_err(EngineError::from) {
            Ok(_) => Ok(true),
            Err(EngineError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn image_command(&self, image: &str) -> EngineResult<Vec<String>> {
        let config = self.api.inspect_image(image).await?.config.unwrap_or_default();
        Ok([config.entrypoint, config.cmd].into_iter().flatten().flatten().collect())
    }

    async fn pull_image(&self, image: &str, progress: &(dyn Fn(&str) + Sync)) -> EngineResult<()> {
        let tagged = image.contains('@') || image.rsplit('/').next().is_some_and(|name| name.contains(':'));
        let full = if tagged { image.to_owned() } else { format!("{image}:latest") };
        let options = query::CreateImageOptionsBuilder::default().from_image(&full).build();
        let mut steps = self.api.create_image(Some(options), None, None);
        while let Some(step) = steps.try_next().await? {
            let id = step.id.unwrap_or_default();
            let status = step.status.unwrap_or_default();
            progress(&format!("{id} {status}"));
        }
        Ok(())
    }

    async fn build_image(
        &self,
        tag: &str,
        context: Vec<u8>,
        progress: &(dyn Fn(&str) + Sync),
    ) -> EngineResult<()> {
        let options = query::BuildImageOptionsBuilder::default().t(tag).rm(true).forcerm(true).build();
        let mut steps = self.api.build_image(options, None, Some(bollard::body_full(Bytes::from(context))));
        while let Some(step) = steps.try_next().await? {
            if let Some(detail) = step.error_detail {
                return Err(EngineError::Failed(detail.message.unwrap_or_default()));
            }
            if let Some(text) = step.stream.filter(|text| !text.trim().is_empty()) {
                progress(text.trim_end());
            }
        }
        Ok(())
    }

    async fn create_network(&self, spec: &NetworkSpec) -> EngineResult<()> {
        // Engines before 25 allow two networks of one name, and only the name tells them apart for us.
        let filter = HashMap::from([("name".to_owned(), vec![spec.name.clone()])]);
        let options = query::ListNetworksOptionsBuilder::default().filters(&filter).build();
        let same = self.api.list_networks(Some(options)).await?;
        if same.iter().any(|network| network.name.as_deref() == Some(&spec.name)) {
            return Err(EngineError::Conflict(format!("network with name {} already exists", spec.name)));
        }
        if !spec.dns {
            return self.create_silent_network(spec).await;
        }
        let request = NetworkCreateRequest {
            name: spec.name.clone(),
            driver: Some("bridge".to_owned()),
            internal: Some(spec.internal),
            enable_ipv6: Some(false),
            options: Some(hash(&spec.options)),
            labels: Some(hash(&spec.labels)),
            ..NetworkCreateRequest::default()
        };
        self.api.create_network(request).await?;
        Ok(())
    }

    async fn inspect_network(&self, name: &str) -> EngineResult<NetworkInfo> {
        let network = self.api.inspect_network(name, None).await?;
        let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let first = configs.iter().find_map(|config| {
            let subnet: Ipv4Net = config.subnet.as_deref()?.parse().ok()?;
            let gateway = config.gateway.as_deref().and_then(|text| text.parse().ok());
            Some((subnet, gateway))
        });
        Ok(NetworkInfo {
            subnet: first.map(|(subnet, _)| subnet.trunc()),
            gateway: first.and_then(|(_, gateway)| gateway),
        })
    }

    async fn remove_network(&self, name: &str) -> EngineResult<()> {
        missing_is_success(self.api.remove_network(name).await)
    }

    async fn networks(&self, label: &str) -> EngineResult<Vec<Found>> {
        let options = query::ListNetworksOptionsBuilder::default().filters(&label_filter(label)).build();
        let list = self.api.list_networks(Some(options)).await?;
        Ok(list
            .into_iter()
            .map(|network| Found {
                name: network.name.unwrap_or_default(),
                labels: network.labels.unwrap_or_default().into_iter().collect(),
                state: String::new(),
            })
            .collect())
    }

    async fn create_container(&self, spec: &ContainerSpec) -> EngineResult<()> {
        // Podman takes no settings for networks that have no endpoints.
        let endpoint = (!spec.aliases.is_empty())
            .then(|| EndpointSettings { aliases: Some(spec.aliases.clone()), ..EndpointSettings::default() });
        let body = ContainerCreateBody {
            image: Some(spec.image.clone()),
            entrypoint: spec.entrypoint.clone(),
            cmd: (!spec.command.is_empty()).then(|| spec.command.clone()),
            env: Some(spec.env.clone()),
            working_dir: spec.workdir.clone(),
            user: spec.user.clone(),
            labels: Some(hash(&spec.labels)),
            host_config: Some(host_config(spec)),
            networking_config: endpoint.map(|endpoint| NetworkingConfig {
                endpoints_config: Some(HashMap::from([(spec.network.clone(), endpoint)])),
            }),
            ..ContainerCreateBody::default()
        };
        let options = query::CreateContainerOptionsBuilder::default().name(&spec.name).build();
        self.api.create_container(Some(options), body).await?;
        Ok(())
    }

    async fn start_container(&self, name: &str) -> EngineResult<()> {
        Ok(self.api.start_container(name, None).await?)
    }

    async fn inspect_container(&self, name: &str) -> EngineResult<ContainerInfo> {
        let container = self.api.inspect_container(name, None).await?;
        let state = container.state.unwrap_or_default();
        let networks = container.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let running = state.running.unwrap_or(false);
        Ok(ContainerInfo {
            running,
            exit_code: if running { None } else { state.exit_code },
            addresses: networks
                .into_iter()
                .filter_map(|(name, endpoint)| Some((name, endpoint.ip_address?.parse().ok()?)))
                .collect(),
            user: container
                .config
                .and_then(|config| config.user)
                .and_then(|user| user.split(':').next().map(str::to_owned))
                .filter(|user| !user.is_empty()),
        })
    }

    async fn wait_container(&self, name: &str) -> EngineResult<i64> {
        let mut answers = self.api.wait_container(name, None::<query::WaitContainerOptions>);
        match answers.next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            Some(Err(ApiError::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(error.into()),
            None => Err(EngineError::Failed("the engine closed the connection".to_owned())),
        }
    }

    async fn remove_container(&self, name: &str) -> EngineResult<()> {
        let options = query::RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        missing_is_success(self.api.remove_container(name, Some(options)).await)
    }

    async fn containers(&self, label: &str) -> EngineResult<Vec<Found>> {
        let options =
            query::ListContainersOptionsBuilder::default().all(true).filters(&label_filter(label)).build();
        let list = self.api.list_containers(Some(options)).await?;
        Ok(list
            .into_iter()
            .map(|container| Found {
                name: container
                    .names
                    .and_then(|names| names.into_iter().next())
                    .unwrap_or_default()
                    .trim_start_matches('/')
                    .to_owned(),
                labels: container.labels.unwrap_or_default().into_iter().collect(),
                state: container.state.map(|state| state.to_string()).unwrap_or_default(),
            })
            .collect())
    }

    async fn connect(&self, network: &str, container: &str) -> EngineResult<()> {
        let request = NetworkConnectRequest { container: container.to_owned(), endpoint_config: None };
        Ok(self.api.connect_network(network, request).await?)
    }

    async fn put_files(&self, container: &str, files: &[FileEntry]) -> EngineResult<()> {
        let archive = archive(files).map_err(|e| EngineError::Failed(e.to_string()))?;
        // With it Podman takes the owners from the archive. Without it Docker does: with it, it looks the container's user up among
        // the host's, and fails for one that is only a number.
        let owners = self.podman.to_string();
        let options =
            query::UploadToContainerOptionsBuilder::default().path("/").copy_uidgid(&owners).build();
        Ok(self.api.upload_to_container(container, Some(options), bollard::body_full(archive.into())).await?)
    }

    async fn get_file(&self, container: &str, path: &str) -> EngineResult<Option<Vec<u8>>> {
        let mut path = path.to_owned();
        // A link comes as a link: follow it, relative to where it stands, as far as any real file system would.
        for _ in 0..8 {
            let options = query::DownloadFromContainerOptionsBuilder::default().path(&path).build();
            let archive: Result<Vec<Bytes>, _> =
                self.api.download_from_container(container, Some(options)).try_collect().await;
            let archive = match archive.map_err(EngineError::from) {
                Ok(chunks) => chunks.concat(),
                Err(EngineError::NotFound(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            match first_file(&archive).map_err(|e| EngineError::Failed(e.to_string()))? {
                Some(Entry::File(bytes)) => return Ok(Some(bytes)),
                Some(Entry::Link(target)) if target.starts_with('/') => path = target,
                Some(Entry::Link(target)) => {
                    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                    path = format!("{parent}/{target}");
                }
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn exec(&self, container: &str, spec: &ExecSpec) -> EngineResult<(i64, Vec<u8>)> {
        let mut attached = self.exec_attached(container, spec).await?;
        let mut output = Vec::new();
        while let Some((_, chunk)) = attached.output.try_next().await? {
            output.extend_from_slice(&chunk);
        }
        let code = self.exec_code(&attached.id).await?.unwrap_or(-1);
        let text = String::from_utf8_lossy(&output);
        if (code == 126 || code == 127)
            && (text.contains("executable file not found") || text.contains("no such file"))
        {
            return Err(EngineError::NotFound(text.trim().to_owned()));
        }
        Ok((code, output))
    }

    async fn exec_attached(&self, container: &str, spec: &ExecSpec) -> EngineResult<Attached> {
        let options = CreateExecOptions {
            attach_stdin: Some(spec.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(spec.tty),
            cmd: Some(spec.command.clone()),
            user: spec.user.clone(),
            env: Some(spec.env.clone()),
            working_dir: spec.workdir.clone(),
            ..CreateExecOptions::default()
        };
        let id = self.api.create_exec(container, options).await?.id;
        let start = StartExecOptions { detach: false, tty: spec.tty, output_capacity: Some(64 * 1024) };
        match self.api.start_exec(&id, Some(start)).await? {
            StartExecResults::Attached { output, input } => {
                let output = output.map(|item| match item {
                    Ok(LogOutput::StdErr { message }) => Ok((true, message)),
                    Ok(other) => Ok((false, other.into_bytes())),
                    Err(error) => Err(EngineError::from(error)),
                });
                Ok(Attached { id, output: Box::pin(output), input })
            }
            StartExecResults::Detached => Err(EngineError::Failed("the engine did not attach".to_owned())),
        }
    }

    async fn resize_exec(&self, id: &str, columns: u16, rows: u16) -> EngineResult<()> {
        let options = query::ResizeExecOptionsBuilder::default().w(columns.into()).h(rows.into()).build();
        Ok(self.api.resize_exec(id, options).await?)
    }

    async fn exec_code(&self, id: &str) -> EngineResult<Option<i64>> {
        let exec = self.api.inspect_exec(id).await?;
        Ok(if exec.running == Some(true) { None } else { exec.exit_code })
    }

    async fn last_logs(&self, container: &str, lines: usize) -> EngineResult<String> {
        let options =
            query::LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let chunks: Vec<LogOutput> = self.api.logs(container, Some(options)).try_collect().await?;
        Ok(chunks.iter().map(|chunk| String::from_utf8_lossy(chunk.as_ref()).into_owned()).collect())
    }

    fn logs(&self, container: &str, follow: bool) -> LogStream {
        let options = query::LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(false)
            .follow(follow)
            .tail("all")
            .build();
        let stream = self.api.logs(container, Some(options));
        Box::pin(stream.map(|item| item.map(LogOutput::into_bytes).map_err(EngineError::from)))
    }
}

fn archive(files: &[FileEntry]) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(file.mode);
        header.set_uid(file.uid);
        header.set_gid(file.uid);
        header.set_size(file.bytes.len() as u64);
        builder.append_data(&mut header, file.path.trim_start_matches('/'), file.bytes.as_slice())?;
    }
    builder.into_inner()
}

enum Entry {
    File(Vec<u8>),
    Link(String),
}

fn first_file(archive: &[u8]) -> std::io::Result<Option<Entry>> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        match entry.header().entry_type() {
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let target = entry.link_name()?.map(|path| path.to_string_lossy().into_owned());
                return Ok(target.map(Entry::Link));
            }
            tar::EntryType::Regular => {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut entry, &mut bytes)?;
                return Ok(Some(Entry::File(bytes)));
            }
            _ => {}
        }
    }
    Ok(None)
}
