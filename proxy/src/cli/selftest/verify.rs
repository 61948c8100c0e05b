//! `verify-install`: does this installation scan, and is there no way around it? spec: cli-and-image §11.5
//!
//! The probes of the containment are real connections to the internet, and made only inside a container: on a bare host
//! nothing is said to keep processes from it. `scanning_policy` looks at the rules about hosts and addresses; tool calls are not
//! muselet's.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::Duration;

use clap::{ArgMatches, Command};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::diagnose::{blocked_by_dlp, status_is, told};
use super::samples::{self, Aim};
use super::throwaway::Throwaway;
use super::{
    Chosen, Object, Paint, Status, Trial, config_flag, environment, json_flag, label, list, no_color_flag,
    tally,
};
use crate::cli::grammar::{command, flag, string, text};
use crate::cli::{Done, Failure};
use crate::config::{Config, Surroundings};

pub(super) fn definition() -> Command {
    command("verify-install", "Verify that the proxy scans and that nothing gets around it")
        .arg(config_flag())
        .arg(json_flag())
        .arg(no_color_flag())
        .arg(string("sign", "sign the report with this key (not part of muselet)"))
        .arg(string("output", "write the report as JSON to this file").short('o'))
}

/// How long a probe waits.
const PATIENCE: Duration = Duration::from_secs(3);

const SCANNING: &str = "scanning";
const CONTAINMENT: &str = "containment";

/// What needs the running proxy, in the order of the checks.
const PROXY_CHECKS: [&str; 6] =
    ["proxy_health", "fetch_dlp", "forward_blocked", "scanning_dlp", "scanning_injection", "scanning_policy"];

struct Check {
    name: &'static str,
    category: &'static str,
    status: Status,
    detail: String,
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    if text(matches, "sign").is_some_and(|key| !key.is_empty()) {
        return Err(Failure::with_code(
            2,
            "--sign: signatures are not part of muselet; write the report with -o and sign the file",
        ));
    }
    let Chosen { mut config, path, .. } = Chosen::load_or_2(matches)?;
    let label = label(path.as_deref());
    if path.is_none() {
        strengthen(&mut config);
    }
    let context = run_context();
    // The probes take their time while the scanners are tried.
    let probes = (context != "host").then(|| PROBES.map(|(_, probe)| thread::spawn(probe)));
    let mut checks = Vec::with_capacity(10);
    scanning(config, &mut checks);
    containment(probes, &mut checks);

    let [passed, failed, skipped] = tally(checks.iter().map(|one| one.status));
    let bad = |category| checks.iter().any(|one| one.category == category && one.status == Status::Fail);
    let scanning = if bad(SCANNING) { "degraded" } else { "verified" };
    let containment = match context {
        "host" => "unknown",
        _ if bad(CONTAINMENT) => "exposed",
        _ => "contained",
    };
    let mut summary = Object::default();
    summary.count("total", checks.len());
    summary.count("passed", passed);
    summary.count("failed", failed);
    summary.count("not_applicable", skipped);
    summary.text("scanning", scanning);
    summary.text("containment", containment);
    let mut document = Object::default();
    document.text("version", crate::VERSION);
    document.text("timestamp", &OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default());
    document.text("config_file", label);
    document.text("run_context", context);
    document.put("checks", checks.iter().map(entry).collect());
    document.put("summary", summary.value());
    let document = document.printed();
    let mut report = if flag(matches, "json") {
        document.clone()
    } else {
        let mut out = text_of(label, context, &checks, &Paint::stdout(matches));
        let _ = write!(out, "\nResult: {passed}/{} passed", passed + failed);
        if skipped > 0 {
            let _ = write!(out, " ({skipped} not applicable)");
        }
        let _ = write!(out, "\nScanning: {scanning}\nContainment: {containment}\n");
        out
    };
    if let Some(path) = text(matches, "output").filter(|path| !path.is_empty()) {
        crate::cli::generate::write(path, &document, "writing report").map_err(|failure| Failure {
            code: 2,
            stdout: std::mem::take(&mut report).into(),
            ..failure
        })?;
    }
    match failed {
        0 => Ok(Done::text(report)),
        _ => Err(Failure::after(report, format!("{failed} check(s) failed"))),
    }
}

/// The built-in configuration, with what an installation is expected to have on.
fn strengthen(config: &mut Config) {
    config.forward_proxy.enabled = true;
    config.response_scanning.action = "block".to_owned();
    config.request_body_scanning.enabled = true;
    config.request_body_scanning.action = "block".to_owned();
}

fn scanning(mut config: Config, checks: &mut Vec<Check>) {
    let mut check = |name, (status, detail)| checks.push(Check { name, category: SCANNING, status, detail });
    let (_, valid) = config.finish(&Surroundings::of_process());
    check(
        "config_valid",
        match (valid, config.unimplemented_sections().first()) {
            (Err(error), _) => (Status::Fail, error.to_string()),
            (_, Some(section)) => {
                (Status::Fail, format!("{section} is switched on, but muselet does not implement it"))
            }
            _ => (Status::Pass, format!("mode {}, {} DLP patterns", config.mode, config.dlp.patterns.len())),
        },
    );
    let proxy = match Throwaway::start(config, environment()) {
        Ok(proxy) => proxy,
        Err(why) => {
            for name in PROXY_CHECKS {
                check(name, (Status::Fail, format!("starting proxy: {why}")));
            }
            return;
        }
    };
    // What the proxy itself asks.
    let trial = Trial { policy: proxy.proxy.policy() };
    let config = &trial.policy.config;
    let leak = format!("http://{}/{}", reachable_host(config), samples::AWS_IN_PARAMETER);
    check(PROXY_CHECKS[0], told(proxy.get("/health"), |reply| status_is(reply, 200)));
    check(PROXY_CHECKS[1], told(proxy.fetch(&leak), blocked_by_dlp));
    check(
        PROXY_CHECKS[2],
        if config.forward_proxy.enabled {
            told(proxy.get(&leak), |reply| status_is(reply, 403))
        } else {
            (Status::Skip, "forward_proxy is disabled".to_owned())
        },
    );
    check(PROXY_CHECKS[3], stopped(&trial, Aim::Text, samples::ANTHROPIC_IN_TEXT, "credential in a text"));
    check(
        PROXY_CHECKS[4],
        if config.response_scanning.enabled {
            stopped(&trial, Aim::Answer, samples::IGNORE, "injection in a text")
        } else {
            (Status::Fail, "response_scanning is disabled".to_owned())
        },
    );
    let by_name = forbidden_host(config)
        .map(|host| stopped(&trial, Aim::Url, &format!("http://{host}/"), "host of the blocklist"));
    check(
        PROXY_CHECKS[5],
        match by_name {
            Some(failed @ (Status::Fail, _)) => failed,
            _ => stopped(&trial, Aim::Url, samples::METADATA, "metadata address"),
        },
    );
}

/// Whether a sample is stopped; `what` it is, if it is not.
fn stopped(trial: &Trial, aim: Aim, sample: &str, what: &str) -> (Status, String) {
    let verdict = trial.judge(aim, sample);
    if verdict.blocked {
        return (Status::Pass, format!("blocked: {}", verdict.reason));
    }
    (Status::Fail, format!("a {what} is allowed"))
}

/// A host that the configuration refuses by name.
fn forbidden_host(config: &Config) -> Option<String> {
    config.fetch_proxy.monitoring.blocklist.first().map(|pattern| host_of(pattern))
}

/// A host that is not refused by name. It does not exist, but where only listed hosts are asked and blocks block.
fn reachable_host(config: &Config) -> String {
    let listed = config.api_allowlist.first().filter(|_| config.is_strict() && config.enforces());
    listed.map_or_else(|| "exfil.invalid".to_owned(), |pattern| host_of(pattern))
}

/// A host that a pattern matches.
fn host_of(pattern: &str) -> String {
    pattern.strip_prefix("*.").map_or_else(|| pattern.to_owned(), |domain| format!("verify.{domain}"))
}

type Probe = fn() -> Option<String>;

/// Ways around the proxy; each says what it reached, if anything.
const PROBES: [(&str, Probe); 3] = [
    ("no_direct_http", || connected(SocketAddr::from(([1, 1, 1, 1], 80)))),
    ("no_direct_dns", || answered(SocketAddr::from(([8, 8, 8, 8], 53)))),
    ("no_direct_https", || connected(SocketAddr::from(([1, 1, 1, 1], 443)))),
];

fn connected(address: SocketAddr) -> Option<String> {
    let reached = TcpStream::connect_timeout(&address, PATIENCE).is_ok();
    reached.then(|| format!("TCP connection to {address} succeeded"))
}

/// Asks a name server for the address of `example.com`.
fn answered(server: SocketAddr) -> Option<String> {
    const QUESTION: &[u8] =
        b"\x4d\x53\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01";
    let socket = UdpSocket::bind(SocketAddr::from(([0, 0, 0, 0], 0))).ok()?;
    socket.connect(server).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.send(QUESTION).ok()?;
    socket.recv(&mut [0; 512]).ok()?;
    Some(format!("UDP query to {server} was answered"))
}

fn containment(probes: Option<[thread::JoinHandle<Option<String>>; 3]>, checks: &mut Vec<Check>) {
    let mut check = |name, status, detail: String| {
        checks.push(Check { name, category: CONTAINMENT, status, detail });
    };
    let Some(probes) = probes else {
        for (name, _) in PROBES {
            check(name, Status::Skip, "not in a container".to_owned());
        }
        return;
    };
    for ((name, _), probe) in PROBES.into_iter().zip(probes) {
        match probe.join() {
            Ok(None) => check(name, Status::Pass, "no way out".to_owned()),
            Ok(Some(reached)) => check(name, Status::Fail, reached),
            Err(_) => check(name, Status::Fail, "the probe failed".to_owned()),
        }
    }
}

/// `pod`, `container` or `host`.
fn run_context() -> &'static str {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty()) {
        return "pod";
    }
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let named = ["docker", "containerd", "kubepods"].iter().any(|name| groups.contains(name));
    if named || Path::new("/.dockerenv").exists() { "container" } else { "host" }
}

/// What it is called when a check is not made.
fn word(status: Status) -> &'static str {
    if status == Status::Skip { "not_applicable" } else { status.word() }
}

fn entry(check: &Check) -> Value {
    let mut entry = Object::default();
    entry.text("name", check.name);
    entry.text("category", check.category);
    entry.text("status", word(check.status));
    let reached = check.category == CONTAINMENT && check.status == Status::Fail;
    entry.some_text(if reached { "evidence" } else { "detail" }, &check.detail);
    entry.value()
}

fn text_of(label: &str, context: &str, checks: &[Check], paint: &Paint) -> String {
    let mut out = format!("Pipelock Installation Verification\nConfig: {label}  Context: {context}\n");
    let rows = checks.iter().map(|check| {
        let status = paint.word(check.status, ["PASS", "FAIL", "N/A "][check.status as usize]);
        (check.category, format!("{status}  {:20}  {}", check.name, check.detail))
    });
    list(&mut out, 0, rows);
    out
}
