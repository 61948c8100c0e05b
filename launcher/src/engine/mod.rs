//! The container engine behind one trait: what a launch needs of it, in the launcher's own terms.
//!
//! [`docker::Docker`] talks to Docker and Podman; the tests have an engine in memory that can fail at any call. Calls
//! that remove something treat "is not there" as success, because teardown must be repeatable.

pub mod connect;
pub mod docker;
#[cfg(test)]
pub mod fake;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::Pin;

use ipnet::Ipv4Net;
use tokio::io::AsyncWrite;

/// What the engine answered when it did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The thing does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The name is taken, or the thing is in use.
    #[error("{0}")]
    Conflict(String),
    /// Anything else, in the engine's own words.
    #[error("{0}")]
    Failed(String),
}

/// Result of an engine call.
pub type EngineResult<T> = std::result::Result<T, EngineError>;

/// What answers on the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Version as the engine writes it.
    pub version: String,
    /// Whether it is Podman.
    pub podman: bool,
    /// Runtimes by name.
    pub runtimes: Vec<String>,
}

impl EngineInfo {
    /// First number of the version; 0 when there is none.
    pub fn major(&self) -> u32 {
        self.version.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

/// A network to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Name.
    pub name: String,
    /// Without a way out.
    pub internal: bool,
    /// Whether the engine answers look-ups on it. Only Podman can be told not to; it then takes no address on the network.
    pub dns: bool,
    /// Options of the bridge driver.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A network as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInfo {
    /// First IPv4 subnet.
    pub subnet: Option<Ipv4Net>,
    /// The bridge's address in it.
    pub gateway: Option<Ipv4Addr>,
}

/// A container to create.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerSpec {
    /// Name.
    pub name: String,
    /// Image.
    pub image: String,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command; empty: the image's own.
    pub command: Vec<String>,
    /// `NAME=value`; the values never appear in an error or a log.
    pub env: Vec<String>,
    /// Working directory.
    pub workdir: Option<String>,
    /// User.
    pub user: Option<String>,
    /// The one network it starts on.
    pub network: String,
    /// Further names on that network.
    pub aliases: Vec<String>,
    /// Only upstream resolver; none: the engine's.
    pub dns: Option<Ipv4Addr>,
    /// Names in its hosts file.
    pub hosts: Vec<(String, Ipv4Addr)>,
    /// Bind mounts: source, target, read-only.
    pub mounts: Vec<(String, String, bool)>,
    /// Container runtime.
    pub runtime: Option<String>,
    /// Kernel settings of its network namespace.
    pub sysctls: BTreeMap<String, String>,
    /// Drops every capability and forbids gaining privileges.
    pub hardened: bool,
    /// Takes away the right to raw sockets, which an engine may give by default: frames written by hand pass by the routes and
    /// settings of the network namespace.
    pub no_raw_sockets: bool,
    /// Memory limit in bytes.
    pub memory: Option<i64>,
    /// Limit of processes.
    pub pids: Option<i64>,
    /// Removed by the engine when it ends.
    pub auto_remove: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A container as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerInfo {
    /// Whether it runs.
    pub running: bool,
    /// Its exit code, once it has ended.
    pub exit_code: Option<i64>,
    /// Addresses by network name.
    pub addresses: BTreeMap<String, Ipv4Addr>,
    /// User it runs as, a name or a number, without the group; none: root.
    pub user: Option<String>,
}

/// A file to put into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Absolute path; missing parents below an existing directory are made.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Content.
    pub bytes: Vec<u8>,
}

/// Something of a launch that exists, found by label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// State in the engine's words; empty for a network.
    pub state: String,
}

/// A command to run in a container.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ExecSpec {
    /// Command and arguments.
    pub command: Vec<String>,
    /// User; none: the container's.
    pub user: Option<String>,
    /// With a terminal.
    pub tty: bool,
    /// With standard input.
    pub stdin: bool,
    /// `NAME=value`, for this command only: such values are not stored by the engine.
    pub env: Vec<String>,
    /// Working directory; none: the container's.
    pub workdir: Option<String>,
}

/// Output of an attached command: which stream, and the bytes.
pub type ExecChunk = (bool, bytes::Bytes);

/// A running command whose streams are ours.
pub struct Attached {
    /// Names it in [`Engine::resize_exec`] and [`Engine::exec_code`].
    pub id: String,
    /// Output as it comes: `true` is standard error.
    pub output: Pin<Box<dyn futures_util::Stream<Item = EngineResult<ExecChunk>> + Send>>,
    /// Its standard input.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

/// Lines of a container's output as they come.
pub type LogStream = Pin<Box<dyn futures_util::Stream<Item = EngineResult<bytes::Bytes>> + Send>>;

/// What a launch needs of a container engine.
pub trait Engine: Send + Sync {
    /// Asks who is there.
    fn info(&self) -> impl Future<Output = EngineResult<EngineInfo>> + Send;
    /// Whether an image is on this machine.
    fn image_exists(&self, image: &str) -> impl Future<Output = EngineResult<bool>> + Send;
    /// The image's own entrypoint and command, joined.
    fn image_command(&self, image: &str) -> impl Future<Output = EngineResult<Vec<String>>> + Send;
    /// Pulls an image and tells of the progress.
    fn pull_image(
        &self,
        image: &str,
        progress: &(dyn Fn(&str) + Sync),
    ) -> impl Future<Output = EngineResult<()>> + Send;
    /// Builds an image from a context archive that holds a `Dockerfile`.
    fn build_image(
        &self,
        tag: &str,
        context: Vec<u8>,
        progress: &(dyn Fn(&str) + Sync),
    ) -> impl Future<Output = EngineResult<()>> + Send;
    /// Creates a network; a taken name is [`EngineError::Conflict`].
    fn create_network(&self, spec: &NetworkSpec) -> impl Future<Output = EngineResult<()>> + Send;
    /// Looks at a network.
    fn inspect_network(&self, name: &str) -> impl Future<Output = EngineResult<NetworkInfo>> + Send;
    /// Removes a network; a missing one is success, one in use [`EngineError::Conflict`].
    fn remove_network(&self, name: &str) -> impl Future<Output = EngineResult<()>> + Send;
    /// Networks that have a label.
    fn networks(&self, label: &str) -> impl Future<Output = EngineResult<Vec<Found>>> + Send;
    /// Creates a container; a taken name is [`EngineError::Conflict`].
    fn create_container(&self, spec: &ContainerSpec) -> impl Future<Output = EngineResult<()>> + Send;
    /// Starts a container.
    fn start_container(&self, name: &str) -> impl Future<Output = EngineResult<()>> + Send;
    /// Looks at a container.
    fn inspect_container(&self, name: &str) -> impl Future<Output = EngineResult<ContainerInfo>> + Send;
    /// Waits until a container has ended and gives its exit code.
    fn wait_container(&self, name: &str) -> impl Future<Output = EngineResult<i64>> + Send;
    /// Removes a container, running or not; a missing one is success.
    fn remove_container(&self, name: &str) -> impl Future<Output = EngineResult<()>> + Send;
    /// Containers that have a label.
    fn containers(&self, label: &str) -> impl Future<Output = EngineResult<Vec<Found>>> + Send;
    /// Connects a container to one more network.
    fn connect(&self, network: &str, container: &str) -> impl Future<Output = EngineResult<()>> + Send;
    /// Puts files into a container, started or not.
    fn put_files(
        &self,
        container: &str,
        files: &[FileEntry],
    ) -> impl Future<Output = EngineResult<()>> + Send;
    /// Reads a file of a container (links followed); none when it is not there.
    fn get_file(
        &self,
        container: &str,
        path: &str,
    ) -> impl Future<Output = EngineResult<Option<Vec<u8>>>> + Send;
    /// Runs a command to its end: exit code and both streams. A program that is not there is [`EngineError::NotFound`].
    fn exec(
        &self,
        container: &str,
        spec: &ExecSpec,
    ) -> impl Future<Output = EngineResult<(i64, Vec<u8>)>> + Send;
    /// Starts a command whose streams are ours.
    fn exec_attached(
        &self,
        container: &str,
        spec: &ExecSpec,
    ) -> impl Future<Output = EngineResult<Attached>> + Send;
    /// Tells a command's terminal its size.
    fn resize_exec(&self, id: &str, columns: u16, rows: u16)
    -> impl Future<Output = EngineResult<()>> + Send;
    /// Exit code of an attached command; none while it runs.
    fn exec_code(&self, id: &str) -> impl Future<Output = EngineResult<Option<i64>>> + Send;
    /// The last lines of a container's output, both streams.
    fn last_logs(&self, container: &str, lines: usize) -> impl Future<Output = EngineResult<String>> + Send;
    /// A container's standard output from its beginning, and on if `follow`.
    fn logs(&self, container: &str, follow: bool) -> LogStream;
}
