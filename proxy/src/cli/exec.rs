//! `exec -- CMD…`: runs a command behind a proxy of its own, and ends with the command's exit code.
//!
//! The proxy lives in this process on an ephemeral loopback port. The command gets the proxy variables and, with
//! interception, a CA that exists only for this run: its key never leaves memory, its certificate stands in a private
//! directory that goes when the command ends. Without a configuration the built-in one with interception is used, with limits
//! for downloads of packages and conversations of hours. Refusals are told on standard error; standard output is the command's
//! alone.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;

use clap::{ArgMatches, Command};
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::grammar::{EXTRA, boolean, command, extra, flag, string, text};
use super::{Done, Failure};
use crate::ca::Ca;
use crate::config::{Config, Surroundings};
use crate::embed::{Options, Proxy};
use crate::server::intercept::NOT_TLS;

/// How long the CA of a run is valid.
const VALIDITY: time::Duration = time::Duration::days(7);
/// Where systems keep their bundle of public roots.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Variables that name the proxy. Yarn from version 2 on follows its own only.
const PROXY_VARIABLES: [&str; 8] = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "https_proxy",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "YARN_HTTPS_PROXY",
    "YARN_HTTP_PROXY",
];
/// Variables that name a bundle of roots.
const BUNDLE_VARIABLES: [&str; 13] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HTTPLIB2_CA_CERTS",
    "NIX_SSL_CERT_FILE",
    "PERL_LWP_SSL_CA_FILE",
    // A `cafile` in some npmrc would replace Node's roots and what is added to them.
    "npm_config_cafile",
];
/// Variables that name further roots.
const CERTIFICATE_VARIABLES: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];
/// Variables that name a file of settings, where the system has it, and how it names a bundle of roots.
const SETTINGS: [(&str, &str, &str); 2] = [
    ("SYSTEM_WGETRC", "/etc/wgetrc", "ca_certificate = {}"),
    ("APT_CONFIG", "", "Acquire::https::CAInfo \"{}\";"),
];

/// Limits of the built-in configuration here: a package may be long, and so may a conversation.
const ANSWER_MB: i64 = 1024;
const BODY_BYTES: i64 = 256 << 20;
const ANSWER_SECONDS: i64 = 3600;
const TUNNEL_SECONDS: i64 = 7 * 24 * 3600;
const REQUESTS_PER_MINUTE: i64 = 6000;

/// Registries of packages, whose paths hold digests and long names of files.
const PACKAGES: [&str; 6] = [
    "files.pythonhosted.org",
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "static.crates.io",
    "proxy.golang.org",
    "rubygems.org",
];

pub(super) fn definition() -> Command {
    command("exec", "Run a command behind a proxy of its own")
        .after_help("[--] COMMAND [ARGS...]")
        .arg(string("config", "config file path (default: built-in configuration)").short('c'))
        .arg(string("log", "append every decision to this file, one JSON line each"))
        .arg(boolean("no-intercept", "do not open TLS, whatever the configuration says"))
        .mut_arg(EXTRA, |words| words.trailing_var_arg(true))
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    let words = extra(matches);
    let Some((program, args)) = words.split_first() else {
        return Err(Failure::new("no command given: muselet exec [flags] [--] COMMAND [ARGS...]"));
    };
    let given = |name| text(matches, name).filter(|t| !t.is_empty());
    let mut config = match given("config") {
        Some(path) => {
            // The CA is made here; the files that a configuration names are not needed, and need not exist.
            let surroundings = Surroundings { own_ca: true, ..Surroundings::of_process() };
            Config::load_in(Path::new(path), &surroundings)
                .map_err(|e| Failure::new(format!("loading config: {}", e.for_terminal())))?
                .config
        }
        None => built_in(),
    };
    // A proxy that refuses proxy requests would be of no use to the command.
    config.forward_proxy.enabled = true;
    let intercept = config.tls_interception.enabled && !flag(matches, "no-intercept");
    config.tls_interception.enabled = false;
    let log = given("log").map(open_log).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("starting the runtime: {e}")))?;
    let ended = runtime.block_on(behind_a_proxy(config, intercept, log, program, args));
    runtime.shutdown_background();
    let status = ended?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    match u8::try_from(code).unwrap_or(1) {
        0 => Ok(Done::silent()),
        code => Err(Failure::exit(code)),
    }
}

fn built_in() -> Config {
    let mut config = Config::defaults();
    config.tls_interception.enabled = true;
    config.tls_interception.max_response_bytes = ANSWER_MB << 20;
    config.fetch_proxy.max_response_mb = ANSWER_MB;
    config.request_body_scanning.max_body_bytes = BODY_BYTES;
    config.fetch_proxy.timeout_seconds = ANSWER_SECONDS;
    config.fetch_proxy.monitoring.max_requests_per_minute = REQUESTS_PER_MINUTE;
    // git compresses its request for a dozen branches.
    config.muselet.decompress = true;
    config.websocket_proxy.enabled = true;
    config.websocket_proxy.max_connection_seconds = TUNNEL_SECONDS;
    config.forward_proxy.max_tunnel_seconds = TUNNEL_SECONDS;
    config.forward_proxy.idle_timeout_seconds = TUNNEL_SECONDS;
    config.fetch_proxy.monitoring.subdomain_entropy_exclusions = PACKAGES.map(str::to_owned).to_vec().into();
    config
}

/// As the log of `run`.
fn open_log(path: &str) -> Result<fs::File, Failure> {
    crate::events::open_file(Path::new(path))
        .map_err(|e| Failure::new(format!("open {path}: {}", super::go_error(&e))))
}

async fn behind_a_proxy(
    config: Config,
    intercept: bool,
    log: Option<fs::File>,
    program: &str,
    args: &[String],
) -> Result<ExitStatus, Failure> {
    let failed = |what: &str, why: &dyn std::fmt::Display| Failure::new(format!("{what}: {why}"));
    let env = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let mut options = Options { env, ..Options::default() };
    let mut trust = None;
    if intercept {
        let made = Ca::generate("muselet exec", VALIDITY, OffsetDateTime::now_utc());
        let made = made.map_err(|e| failed("making the CA", &e))?;
        let ca =
            Ca::from_pem(made.certificate_pem.as_bytes(), made.key_pem.as_bytes(), config.muselet.strictness);
        options.ca = Some(ca.map_err(|e| failed("making the CA", &e))?);
        let written = Trust::write(&made.certificate_pem);
        let doing =
            format!("writing the CA below {} (TMPDIR names another place)", std::env::temp_dir().display());
        trust = Some(written.map_err(|e| failed(&doing, &super::go_error(&e)))?);
    }
    let proxy = Proxy::start_alone(config, options).await.map_err(|e| failed("creating proxy", &e))?;
    let teller = tokio::spawn(tell(proxy.events(), log));

    let mut child = tokio::process::Command::new(program);
    child.args(args);
    let url = format!("http://{}", proxy.address());
    for name in PROXY_VARIABLES {
        child.env(name, &url);
    }
    for name in ["NO_PROXY", "no_proxy"] {
        child.env(name, "localhost,127.0.0.1");
    }
    if let Some(trust) = &trust {
        child.envs(BUNDLE_VARIABLES.map(|name| (name, &trust.bundle)));
        child.envs(CERTIFICATE_VARIABLES.map(|name| (name, &trust.certificates)));
        child.envs(SETTINGS.map(|(name, ..)| (name, trust.settings(name))));
    }
    // Node's own clients, from 22.21 on.
    child.env("NODE_USE_ENV_PROXY", "1");
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|e| failed("installing a signal handler", &e))?;
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(|e| failed("installing a signal handler", &e))?;
    let mut child =
        child.spawn().map_err(|e| Failure::with_code(127, format!("{program}: {}", super::go_error(&e))))?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.map_err(|e| failed(program, &e))?,
            _ = terminate.recv() => if let Some(pid) = pid {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            },
            // A terminal sends this one to the command as well: only live on until it has dealt with it.
            _ = interrupt.recv() => {}
        }
    };
    proxy.shutdown().await;
    let _ = teller.await;
    Ok(status)
}

/// Writes every decision to the log, and refusals to standard error, until the proxy is gone.
async fn tell(mut decisions: broadcast::Receiver<Arc<str>>, mut log: Option<fs::File>) {
    use std::io::Write;
    let mut findings = HashSet::new();
    loop {
        let line = match decisions.recv().await {
            Ok(line) => line,
            Err(RecvError::Lagged(missed)) => {
                super::run::prepare::say(&format!("muselet: {missed} decisions were not shown"));
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        if let Some(log) = &mut log {
            let _ = writeln!(log, "{line}");
        }
        let told = refusal(&line).or_else(|| finding(&line).filter(|text| findings.insert(text.clone())));
        if let Some(text) = told {
            super::run::prepare::say(&text);
        }
    }
}

/// A secret that was let through, in words, without what tells one request to a host from another.
fn finding(line: &str) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    let field = |name: &str| event.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let scanner = field("scanner");
    if field("event") != "anomaly" || !matches!(scanner, "body_dlp" | "header_dlp") {
        return None;
    }
    let url = field("url");
    let authority = url.split('/').nth(2).unwrap_or(url);
    let reason = field("reason");
    Some(format!(
        "muselet: let through to {authority} [{scanner}] {reason} (request_body_scanning.action is warn)"
    ))
}

/// A refusal in words; none for any other decision.
fn refusal(line: &str) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    let field = |name: &str| event.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let what = match field("event") {
        "blocked" => field("method"),
        "ws_blocked" => "WebSocket",
        _ => return None,
    };
    let target = if field("url").is_empty() { field("target") } else { field("url") };
    let (scanner, reason) = (field("scanner"), field("reason"));
    let hint = match scanner {
        "tls_handshake_error" if reason == NOT_TLS => {
            " (plain HTTP, or no HTTP at all, in a tunnel; --no-intercept does not open tunnels)"
        }
        "tls_handshake_error" => {
            " (does the command take its roots from a variable? --no-intercept does not open TLS)"
        }
        _ => "",
    };
    Some(format!("muselet: blocked {what} {target} [{scanner}] {reason}{hint}"))
}

/// The files that make the command trust the run's CA; removed with this value.
struct Trust {
    dir: PathBuf,
    /// The run's CA, and what the first variable for further roots named before.
    certificates: PathBuf,
    bundle: PathBuf,
}

impl Trust {
    fn write(certificate_pem: &str) -> std::io::Result<Self> {
        let name = format!("muselet-exec-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let dir = std::env::temp_dir().join(name);
        // Others may read what is in it (apt fetches as a user of its own), and not write.
        fs::DirBuilder::new().mode(0o755).create(&dir)?;
        let trust = Self { certificates: dir.join("ca.pem"), bundle: dir.join("bundle.pem"), dir };
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let roots = named("SSL_CERT_FILE").into_iter().chain(BUNDLES.map(PathBuf::from));
        Self::add(&trust.bundle, roots, certificate_pem)?;
        Self::add(&trust.certificates, named(CERTIFICATE_VARIABLES[0]), certificate_pem)?;
        for (name, system, setting) in SETTINGS {
            let settings = named(name).into_iter().chain([PathBuf::from(system)]);
            let setting = setting.replace("{}", &trust.bundle.to_string_lossy());
            Self::add(&trust.settings(name), settings, &format!("{setting}\n"))?;
        }
        Ok(trust)
    }

    /// The file that a variable for settings is to name.
    fn settings(&self, variable: &str) -> PathBuf {
        self.dir.join(variable.to_lowercase())
    }

    /// Writes the first of some files that can be read, and a `text` after it.
    fn add(to: &Path, first_of: impl IntoIterator<Item = PathBuf>, text: &str) -> std::io::Result<()> {
        let mut all =
            first_of.into_iter().filter_map(|path| fs::read_to_string(path).ok()).next().unwrap_or_default();
        if !all.is_empty() && !all.ends_with('\n') {
            all.push('\n');
        }
        fs::write(to, all + text)?;
        fs::set_permissions(to, fs::Permissions::from_mode(0o644))
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_let_through_is_told_without_its_path() {
        let found = r#"{"event":"anomaly","method":"POST","url":"https://x.example:443/a?b=c","scanner":"body_dlp","reason":"request body contains secret: AWS Access ID"}"#;
        assert_eq!(
            finding(found).unwrap(),
            "muselet: let through to x.example:443 [body_dlp] request body contains secret: AWS Access ID (request_body_scanning.action is warn)"
        );
        assert_eq!(finding(&found.replace("body_dlp", "session")), None);
    }

    #[test]
    fn only_refusals_are_told() {
        let blocked = r#"{"event":"blocked","method":"CONNECT","target":"x.example:443","scanner":"allowlist","reason":"domain not in allowlist: x.example"}"#;
        assert_eq!(
            refusal(blocked).unwrap(),
            "muselet: blocked CONNECT x.example:443 [allowlist] domain not in allowlist: x.example"
        );
        let message = r#"{"event":"ws_blocked","target":"wss://x.example/","scanner":"ws_protocol","reason":"message too large"}"#;
        assert_eq!(
            refusal(message).unwrap(),
            "muselet: blocked WebSocket wss://x.example/ [ws_protocol] message too large"
        );
        let untrusted = r#"{"event":"blocked","method":"CONNECT","target":"x.example:443","scanner":"tls_handshake_error","reason":"tls handshake eof"}"#;
        assert!(refusal(untrusted).unwrap().ends_with(
            "(does the command take its roots from a variable? --no-intercept does not open TLS)"
        ));
        // Certificates have nothing to do with it.
        let plain = untrusted.replace("tls handshake eof", NOT_TLS);
        let told = refusal(&plain).unwrap();
        assert!(
            told.ends_with(
                "(plain HTTP, or no HTTP at all, in a tunnel; --no-intercept does not open tunnels)"
            )
        );
        assert_eq!(refusal(r#"{"event":"forward_http"}"#), None);
        assert_eq!(refusal("no json"), None);
    }
}
