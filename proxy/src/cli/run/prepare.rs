//! Everything `run` does before it binds anything: load, override, check, open the log, connect the sinks, compile the policy,
//! load the CA. The first failure ends the process with its one line. spec: cli-and-image §3.2

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use super::options::{Options, Overrides};
use crate::ca::LeafCache;
use crate::cli::Failure;
use crate::config::{Advisory, Config, Strictness, Surroundings};
use crate::embed;
use crate::events::{Emitters, Events, LogFormat, LogOptions, LogOutput, instance_id};
use crate::policy::Policy;
use crate::policy::kill_switch::TOKEN_VARIABLE;
use crate::server::KillSwitch;

/// Sets `muselet.dns.listen` where the configuration must stay one that the reference loads too: in launched bottles.
const DNS_VARIABLE: &str = "MUSELET_DNS_LISTEN";

/// A process that is ready to bind.
pub(super) struct Prepared {
    pub(super) options: Options,
    pub(super) config: Arc<Config>,
    pub(super) policy: Arc<Policy>,
    pub(super) events: Events,
    pub(super) kill_switch: Arc<KillSwitch>,
    pub(super) leaves: Option<Arc<LeafCache>>,
    /// `emit.instance_id` as it was at start.
    pub(super) instance: String,
}

pub(super) fn prepare(options: Options) -> Result<Prepared, Failure> {
    let (mut config, hash) = match &options.config {
        Some(path) => {
            let loaded = Config::load(path)
                .map_err(|e| Failure::new(format!("loading config: {}", e.for_terminal())))?;
            for line in &loaded.warnings {
                say(line);
            }
            (loaded.config, loaded.hash)
        }
        None => (Config::defaults(), "defaults".to_owned()),
    };
    apply(&options.overrides, &mut config);
    if let Some(listen) = std::env::var(DNS_VARIABLE).ok().filter(|listen| !listen.is_empty()) {
        config.muselet.dns.listen = listen;
    }
    let (advisories, checked) = config.finish(&Surroundings::of_process());
    print_advisories(&advisories);
    checked.map_err(|e| Failure::new(e.to_string()))?;
    if options.config.is_none() {
        built_in(&mut config, &options.overrides);
    }
    if let Some(section) = config.unimplemented_sections().first() {
        return Err(Failure::new(format!("invalid config: {}", not_implemented(section))));
    }
    for bundle in config.skipped_bundles() {
        say(&format!("pipelock: warning: {bundle}"));
    }

    let events = Events::open(log_options(&config), config.muselet.strictness)
        .map_err(|e| Failure::new(format!("creating audit logger: {e}")))?;
    let instance = instance_id(&config.emit.instance_id);
    let emitters = Emitters::connect(&config.emit, &instance)
        .map_err(|e| Failure::new(format!("creating emit sinks: {e}")))?;
    events.replace_emitters(emitters);
    let kill_switch = Arc::new(KillSwitch::new(&config, std::env::var(TOKEN_VARIABLE).ok()));
    let config = Arc::new(config);
    let policy = compile(&config, hash).map_err(|e| Failure::new(format!("creating proxy: {e}")))?;
    let leaves = embed::leaves(&config)
        .map_err(|e| Failure::new(format!("load TLS CA: {e} (run 'pipelock tls init' to generate)")))?;
    Ok(Prepared { options, config, policy: Arc::new(policy), events, kill_switch, leaves, instance })
}

/// Why a configuration cannot be run that switches this section on.
pub(in crate::cli) fn not_implemented(section: &str) -> String {
    format!(
        "{section} is switched on, but muselet does not implement it: switch it off, or keep running the program that does"
    )
}

/// Puts what the command line says over a configuration.
pub(super) fn apply(overrides: &Overrides, config: &mut Config) {
    if let Some(mode) = &overrides.mode {
        config.mode.clone_from(mode);
    }
    if let Some(listen) = &overrides.listen {
        config.fetch_proxy.listen.clone_from(listen);
    }
    if let Some((upstream, listen)) = &overrides.reverse {
        config.reverse_proxy.enabled = true;
        config.reverse_proxy.upstream.clone_from(upstream);
        config.reverse_proxy.listen.clone_from(listen);
    }
    config.muselet.decompress |= overrides.decompress;
}

/// Without a file and without any flag but a loopback address, the program is a useful forward proxy; the reference's
/// built-in configuration refuses every proxy request (D-600). Anything that was asked for explicitly, and any address that
/// others can reach, keeps the reference's defaults.
pub(super) fn built_in(config: &mut Config, overrides: &Overrides) {
    let host = config.fetch_proxy.listen.rsplit_once(':').map_or("", |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if overrides.only_listen() && loopback && config.muselet.strictness == Strictness::Hardened {
        config.forward_proxy.enabled = true;
    }
}

fn log_options(config: &Config) -> LogOptions {
    let logging = &config.logging;
    let colour = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let file = || logging.file.clone().into();
    LogOptions {
        format: if logging.format == "text" { LogFormat::Text { colour } } else { LogFormat::Json },
        output: match logging.output.as_str() {
            "file" => LogOutput::File(file()),
            "both" => LogOutput::Both(file()),
            _ => LogOutput::Stdout,
        },
        include_allowed: logging.include_allowed,
        include_blocked: logging.include_blocked,
    }
}

/// Compiles a configuration against the environment and the secrets file as they are now.
pub(in crate::cli) fn compile(config: &Arc<Config>, hash: String) -> Result<Policy, String> {
    let env = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let (policy, warnings) = embed::compile(config, hash, env)?;
    for warning in &warnings {
        say(&format!("WARNING: dlp.secrets_file: {warning}"));
    }
    Ok(policy)
}

pub(in crate::cli) fn print_advisories(advisories: &[Advisory]) {
    for advisory in advisories {
        say(&format!("WARNING: {}: {}", advisory.field, advisory.message));
    }
}

/// One line on standard error.
pub(in crate::cli) fn say(line: &str) {
    // Nobody may be listening any more; the proxy goes on.
    let _ = writeln!(std::io::stderr(), "{line}");
}
