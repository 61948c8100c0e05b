//! A proxy inside another program: from a [`Config`] to a listening, running proxy with a handle.
//!
//! This is the supported way to use muselet as a library. [`Proxy::start`] compiles the policy, binds, and returns when the
//! proxy accepts connections; the handle subscribes to its decisions, swaps its policy, and shuts it down. `muselet run` builds
//! on the same pieces ([`compile`], [`leaves`]); `muselet exec` is a user of [`Proxy`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use muselet::config::Config;
//! use muselet::embed::{Options, Proxy};
//!
//! let mut config = Config::defaults();
//! config.forward_proxy.enabled = true;
//! let proxy = Proxy::start(config, Options::default()).await?;
//! println!("HTTPS_PROXY=http://{}", proxy.address());
//!
//! let mut decisions = proxy.events();
//! tokio::spawn(async move {
//!     while let Ok(line) = decisions.recv().await {
//!         println!("{line}");
//!     }
//! });
//! // … let clients use it, then:
//! proxy.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! The calling program provides the tokio runtime (multi-threaded; scans of large bodies have threads of their own).

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::ca::{Ca, CaError, LeafCache, LeafSettings};
use crate::config::{self, Config, ConfigError, grammar};
use crate::events::{Event, Events, LogError, LogFormat, LogOptions, LogOutput};
use crate::policy::{self, Policy};
use crate::server::reverse::{self, Reverse};
use crate::server::{BindError, KillSwitch, Server, Shared};
use crate::upstream::Upstream;

/// Decisions that a subscriber may be behind before it misses some.
const SUBSCRIBER_LAG: usize = 4096;

/// What a configuration does not say.
pub struct Options {
    /// Where to listen; `127.0.0.1:0` (an ephemeral port) by default.
    pub listen: String,
    /// The environment whose values are secrets to look for (`dlp.scan_env`); empty by default.
    pub env: Vec<(String, String)>,
    /// The CA that signs leaves, in place of the files that the configuration names. Given, it switches interception on.
    pub ca: Option<Ca>,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: "127.0.0.1:0".to_owned(), env: Vec::new(), ca: None }
    }
}

/// Why a proxy does not start, or keeps its old policy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A section is switched on that nothing acts on.
    #[error("{0} is switched on, but muselet does not implement it")]
    Unimplemented(&'static str),
    /// A key asks for something that only `muselet run` does.
    #[error("{0} is set, which an embedded proxy does not serve; `muselet run` does")]
    NotEmbedded(&'static str),
    /// Rules, secrets or address ranges cannot be compiled.
    #[error("compiling the policy: {0}")]
    Policy(String),
    /// The CA cannot be loaded.
    #[error("loading the CA: {0}")]
    Ca(String),
    /// The decision log cannot be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The reverse listener does not start.
    #[error(transparent)]
    Reverse(#[from] reverse::StartError),
    /// The system does not say where the proxy listens.
    #[error("reading the address: {0}")]
    Address(#[from] std::io::Error),
}

/// A running proxy. Dropping it without [`Proxy::shutdown`] ends it at the next opportunity without waiting.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    decisions: broadcast::Sender<Arc<str>>,
    env: Vec<(String, String)>,
    task: Option<JoinHandle<()>>,
    runtime: tokio::runtime::Handle,
}

impl Proxy {
    /// Checks and compiles the configuration, binds, and serves. When it returns, connections are accepted. The listening
    /// address comes from `options`, not from the configuration; the log goes to subscribers only.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub async fn start(config: Config, options: Options) -> Result<Self, StartError> {
        match not_embedded(&config) {
            Some(key) => Err(StartError::NotEmbedded(key)),
            None => Self::start_alone(config, options).await,
        }
    }

    /// The same, whatever else a configuration asks to be served: it is another process's, on trial.
    pub(crate) async fn start_alone(config: Config, options: Options) -> Result<Self, StartError> {
        let config = checked(config)?;
        let (decisions, _) = broadcast::channel(SUBSCRIBER_LAG);
        let writer = Box::new(Lines { decisions: decisions.clone(), rest: Vec::new() });
        let log = LogOptions {
            format: LogFormat::Json,
            output: LogOutput::Writer(writer),
            include_allowed: config.logging.include_allowed,
            include_blocked: config.logging.include_blocked,
        };
        let events = Events::open(log, config.muselet.strictness)?;
        let kill_switch = Arc::new(KillSwitch::new(&config, None));
        let leaves = match options.ca {
            Some(ca) => Some(leaf_cache(&config, ca).map_err(|e| StartError::Ca(e.to_string()))?),
            None => leaves(&config).map_err(StartError::Ca)?,
        };
        let mut config = config;
        config.tls_interception.enabled = leaves.is_some();
        let (policy, _) = compile(&Arc::new(config), "embedded".to_owned(), options.env.clone())
            .map_err(StartError::Policy)?;
        let shared = Shared::new(Arc::new(policy), events, Upstream::from_environment(), kill_switch, leaves);
        let server = Server::bind(Arc::clone(&shared), &options.listen).await?;
        let address = server.local_addr()?;
        let reverse = if shared.policy.load().config.reverse_proxy.enabled {
            Some(Reverse::bind(&shared).await?)
        } else {
            None
        };
        let task = tokio::spawn(async move {
            match reverse {
                Some(reverse) => {
                    tokio::join!(server.serve(), reverse.serve());
                }
                None => server.serve().await,
            }
        });
        let runtime = tokio::runtime::Handle::current();
        Ok(Self { address, shared, decisions, env: options.env, task: Some(task), runtime })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is in force now.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.shared.policy.load_full()
    }

    /// Subscribes to decisions from now on: each one line of JSON as the log has it. A subscriber that is thousands of lines behind
    /// gets [`broadcast::error::RecvError::Lagged`] with the number it missed, and goes on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Arc<str>> {
        self.decisions.subscribe()
    }

    /// Puts another configuration in force for requests that begin from now on. Listener, log and interception stay as they are.
    ///
    /// # Errors
    /// See [`StartError`]; the old policy then stays in force.
    pub fn reload(&self, config: Config) -> Result<(), StartError> {
        let mut config = checked(config)?;
        config.tls_interception.enabled = self.shared.leaves.load().is_some();
        let mode = config.mode.clone();
        let (policy, _) = compile(&Arc::new(config), "embedded".to_owned(), self.env.clone())
            .map_err(StartError::Policy)?;
        self.shared.adopt(Arc::new(policy), None);
        self.shared.events.record(&Event::ConfigReload { mode: &mode, config_hash: "embedded" });
        Ok(())
    }

    /// Stops accepting, lets requests under way finish within their grace, and returns when everything has ended and every
    /// decision has reached the subscribers.
    pub async fn shutdown(mut self) {
        self.shared.stop.begin();
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
        let events = self.shared.events.clone();
        let _ = tokio::task::spawn_blocking(move || events.flush()).await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if self.task.is_some() {
            // The value may be dropped outside of the runtime, or behind it.
            let _runtime = self.runtime.enter();
            self.shared.stop.begin();
        }
    }
}

fn checked(mut config: Config) -> Result<Config, StartError> {
    let (_, result) = config.finish(&config::Surroundings::of_process());
    result?;
    match config.unimplemented_sections().first() {
        Some(section) => Err(StartError::Unimplemented(section)),
        None => Ok(config),
    }
}

/// What a configuration asks for that would silently not be there.
fn not_embedded(config: &Config) -> Option<&'static str> {
    [
        ("kill_switch.api_listen", !config.kill_switch.api_listen.is_empty()),
        ("metrics_listen", !config.metrics_listen.is_empty()),
        ("scan_api.listen", !config.scan_api.listen.is_empty()),
        ("muselet.dns.listen", !config.muselet.dns.listen.is_empty()),
        ("emit.webhook.url", !config.emit.webhook.url.is_empty()),
        ("emit.syslog.address", !config.emit.syslog.address.is_empty()),
    ]
    .into_iter()
    .find_map(|(key, is_set)| is_set.then_some(key))
}

/// Compiles a configuration against an environment and the secrets file as it is now. The second value is what there is to say
/// about skipped lines of that file.
///
/// # Errors
/// Why it cannot be compiled, in words.
pub fn compile(
    config: &Arc<Config>,
    hash: String,
    env: Vec<(String, String)>,
) -> Result<(Policy, Vec<muselet_rules::dlp::FileWarning>), String> {
    let secrets_file =
        match config.dlp.secrets_file.as_str() {
            "" => None,
            path => Some(std::fs::read(path).map_err(|e| {
                format!("reading dlp.secrets_file {path}: {}", crate::events::system_reason(&e))
            })?),
        };
    let around = policy::Surroundings { env, secrets_file };
    Policy::compile(Arc::clone(config), hash, &around).map_err(|e| e.to_string())
}

/// The CA that a configuration names and its leaves, where tunnels are intercepted.
///
/// # Errors
/// Why the CA cannot be loaded, in words.
pub fn leaves(config: &Config) -> Result<Option<Arc<LeafCache>>, String> {
    let section = &config.tls_interception;
    if !section.enabled {
        return Ok(None);
    }
    let (certificate, key) =
        section.ca_paths().ok_or("tls_interception.ca_cert and ca_key are not set, and there is no $HOME")?;
    let ca = Ca::load(Path::new(&certificate), Path::new(&key), config.muselet.strictness)
        .map_err(|e| e.to_string())?;
    leaf_cache(config, ca).map(Some).map_err(|e| e.to_string())
}

fn leaf_cache(config: &Config, ca: Ca) -> Result<Arc<LeafCache>, CaError> {
    let section = &config.tls_interception;
    // Validation has refused what is no duration.
    let ttl = grammar::duration(&section.cert_ttl).ok().and_then(|nanos| u64::try_from(nanos).ok());
    let settings = LeafSettings {
        ttl: ttl.map_or(Duration::from_secs(24 * 3600), Duration::from_nanos),
        capacity: usize::try_from(section.cert_cache_size).unwrap_or(1).max(1),
    };
    LeafCache::new(Arc::new(ca), settings).map(Arc::new)
}

/// Takes what the log writes apart into lines for the subscribers.
struct Lines {
    decisions: broadcast::Sender<Arc<str>>,
    rest: Vec<u8>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = memchr::memchr(b'\n', &self.rest) {
            let line: Arc<str> = String::from_utf8_lossy(&self.rest[..end]).into();
            self.rest.drain(..=end);
            // Nobody may be listening.
            let _ = self.decisions.send(line);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
