//! `diagnose`: requests through a throw-away proxy of a configuration to an origin on loopback. spec: cli-and-image §11.1

use std::fmt::Write as _;

use clap::{ArgMatches, Command};
use serde_json::Value;

use super::samples;
use super::throwaway::{MARK, Reply, Throwaway, origin};
use super::{Chosen, Object, Paint, Status, config_flag, json_flag, label, no_color_flag, tally};
use crate::cli::grammar::{boolean, command, flag};
use crate::cli::{Done, Failure, go_error};
use crate::config::{Config, List};

pub(super) fn definition() -> Command {
    command("diagnose", "Check a configuration end to end, without network access")
        .arg(config_flag())
        .arg(json_flag())
        .arg(no_color_flag())
        .arg(boolean("sandbox", "report the kernel's sandbox capabilities (not part of muselet)"))
}

/// A host that the blocklist gets.
const MALWARE: &str = "malware.example.com";

struct Check {
    name: &'static str,
    status: Status,
    detail: String,
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    if flag(matches, "sandbox") {
        return Err(Failure::new("--sandbox: not part of muselet, which covers HTTP egress only"));
    }
    let Chosen { config, path, .. } = Chosen::load_or_2(matches)?;
    let (label, mode) = (label(path.as_deref()), config.mode.clone());
    let origin =
        origin().map_err(|e| Failure::with_code(2, format!("starting mock upstream: {}", go_error(&e))))?;
    let explains = config.explains_blocks();
    let proxy = Throwaway::start(modified(config), Vec::new())
        .map_err(|why| Failure::with_code(2, format!("starting proxy: {why}")))?;
    let url = format!("http://{origin}/");

    let mut checks = Vec::with_capacity(7);
    let mut check = |name, (status, detail)| checks.push(Check { name, status, detail });
    check("health", told(proxy.get("/health"), |reply| status_is(reply, 200)));
    check("fetch_allowed", told(proxy.fetch(&url), |reply| passed(reply, true)));
    let refused = proxy.fetch(&format!("{url}{}", samples::AWS_IN_PARAMETER));
    let hint = hint(&refused, explains);
    check("fetch_blocked", told(refused, blocked_by_dlp));
    check("fetch_hint", hint);
    check("forward_allowed", told(proxy.get(&url), |reply| passed(reply, false)));
    check("forward_blocked", told(proxy.get(&format!("http://{MALWARE}/")), |reply| status_is(reply, 403)));
    check("rules", (Status::Skip, "no bundles installed".to_owned()));

    let counts = tally(checks.iter().map(|one| one.status));
    let [passed, failed, skipped] = counts;
    let report = if flag(matches, "json") {
        let mut document = Object::default();
        document.text("config_file", label);
        document.text("mode", &mode);
        document.count("total", checks.len());
        document.counts(counts);
        document.put("checks", checks.iter().map(entry).collect());
        document.printed()
    } else {
        let paint = Paint::stdout(matches);
        let mut out = format!("Pipelock Diagnostics\nConfig: {label}  Mode: {mode}\n\n");
        for Check { name, status, detail } in &checks {
            let word = paint.word(*status, ["PASS", "FAIL", "SKIP"][*status as usize]);
            let line = format!("  {word}  {name:20}  {detail}");
            out.push_str(line.trim_end());
            out.push('\n');
        }
        let _ = write!(out, "\n{passed} passed, {failed} failed, {skipped} skipped\n");
        out
    };
    match failed {
        0 => Ok(Done::text(report)),
        _ => Err(Failure::after(report, format!("{failed} check(s) failed"))),
    }
}

fn entry(check: &Check) -> Value {
    let mut entry = Object::default();
    entry.text("name", check.name);
    entry.text("status", check.status.word());
    entry.some_text("detail", &check.detail);
    entry.value()
}

/// What lets requests to loopback pass, and keeps the attacks of one check from what the next one asks.
fn modified(mut config: Config) -> Config {
    config.internal = List::from(Vec::new());
    config.ssrf.ip_allowlist = List::from(&["127.0.0.0/8", "::1/128"] as &[&str]);
    config.dlp.scan_env = false;
    config.forward_proxy.enabled = true;
    config.api_allowlist.push("127.0.0.1".to_owned());
    let monitoring = &mut config.fetch_proxy.monitoring;
    monitoring.blocklist.push(MALWARE.to_owned());
    monitoring.max_requests_per_minute = monitoring.max_requests_per_minute.max(60);
    config.airlock.enabled = false;
    config.adaptive_enforcement.enabled = false;
    config.session_profiling.enabled = false;
    config
}

/// The outcome of a check by its answer; without one, the check has failed.
pub(super) fn told(
    answer: Result<Reply, String>,
    judge: fn(&Reply) -> Result<String, String>,
) -> (Status, String) {
    match answer.and_then(|reply| judge(&reply)) {
        Ok(detail) => (Status::Pass, detail),
        Err(detail) => (Status::Fail, detail),
    }
}

pub(super) fn status_is(reply: &Reply, wanted: u16) -> Result<String, String> {
    let told = format!("status {}", reply.status);
    if reply.status == wanted { Ok(told) } else { Err(format!("{told}, expected {wanted}")) }
}

/// Whether the origin's answer came through, in JSON where `/fetch` was asked.
fn passed(reply: &Reply, in_json: bool) -> Result<String, String> {
    let told = status_is(reply, 200)?;
    let fetched: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    if !reply.body.contains(MARK) || (in_json && fetched["blocked"] != false) {
        return Err(format!("{told}, without the upstream's answer"));
    }
    Ok(told)
}

/// Whether `/fetch` refused for a secret.
pub(super) fn blocked_by_dlp(reply: &Reply) -> Result<String, String> {
    let answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let reason = answer["block_reason"].as_str().unwrap_or_default();
    if answer["blocked"] != true {
        return Err(format!("status {}, expected a block", reply.status));
    }
    let is_dlp = reason.contains("DLP") || reason.contains("leak detected");
    let told = format!("blocked: {reason}");
    if is_dlp { Ok(told) } else { Err(told) }
}

fn hint(refused: &Result<Reply, String>, explains: bool) -> (Status, String) {
    if !explains {
        let why = "explain_blocks not enabled; set explain_blocks: true in config to test";
        return (Status::Skip, why.to_owned());
    }
    let answer: Option<Value> =
        refused.as_ref().ok().and_then(|reply| serde_json::from_str(&reply.body).ok());
    match answer.as_ref().and_then(|answer| answer["hint"].as_str()) {
        Some(hint) if !hint.is_empty() => (Status::Pass, hint.to_owned()),
        _ => (Status::Fail, "the block has no hint".to_owned()),
    }
}
