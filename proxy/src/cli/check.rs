//! `check`: is this configuration valid, and what would become of this URL? spec: cli-and-image §6

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use clap::{ArgMatches, Command};

use super::grammar::{command, string, text};
use super::run::prepare::{not_implemented, print_advisories, say};
use super::{Done, Failure};
use crate::Strictness;
use crate::config::Config;
use crate::policy::secrets;
use crate::policy::url::{Pipeline, Settings};

pub(super) fn definition() -> Command {
    command("check", "Validate a configuration and optionally scan a URL")
        .arg(string("config", "config file path").short('c'))
        .arg(string("url", "URL to scan against the config"))
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    let (config, mut report) = match text(matches, "config").filter(|path| !path.is_empty()) {
        None => (Config::defaults(), "Using default config (no --config specified)\n".to_owned()),
        Some(path) => match Config::load(Path::new(path)) {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    say(warning);
                }
                if loaded.config.muselet.strictness == Strictness::Hardened {
                    print_advisories(&loaded.advisories);
                }
                if let Some(section) = loaded.config.unimplemented_sections().first() {
                    let why = not_implemented(section);
                    return Err(Failure::new(format!("Config validation FAILED: {why}")));
                }
                for bundle in loaded.config.skipped_bundles() {
                    say(&format!("pipelock: warning: {bundle}"));
                }
                let summary = summary(&loaded.config);
                (loaded.config, summary)
            }
            Err(error) => {
                return Err(Failure::new(format!(
                    "Config validation FAILED: {error}\n{}",
                    error.for_terminal()
                )));
            }
        },
    };
    match text(matches, "url").filter(|url| !url.is_empty()) {
        None => Ok(Done::text(report)),
        Some(url) => {
            let allowed = scan(&config, url, &mut report)?;
            if allowed { Ok(Done::text(report)) } else { Err(Failure::after(report, "url blocked")) }
        }
    }
}

fn one_decimal(number: f64) -> String {
    if number == f64::INFINITY { "+Inf".to_owned() } else { format!("{number:.1}") }
}

fn summary(config: &Config) -> String {
    let monitoring = &config.fetch_proxy.monitoring;
    format!(
        "Config validation: OK\n  \
         Mode:           {}\n  \
         Listen:         {}\n  \
         API allowlist:  {} domains\n  \
         Blocklist:      {} patterns\n  \
         DLP patterns:   {} rules\n  \
         Entropy thresh: {} bits\n  \
         Max URL length: {} chars\n",
        config.mode,
        config.fetch_proxy.listen,
        config.api_allowlist.len(),
        monitoring.blocklist.len(),
        config.dlp.patterns.len(),
        one_decimal(monitoring.entropy_threshold),
        monitoring.max_url_length,
    )
}

/// Scans `url` and adds what came of it to the report. Whether it may pass does not depend on `enforce`.
fn scan(config: &Config, url: &str, report: &mut String) -> Result<bool, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
    let path = &config.dlp.secrets_file;
    let contents = match path.as_str() {
        "" => None,
        path => {
            let read = std::fs::read(path);
            Some(read.map_err(|e| Failure::new(format!("secrets_file {path:?}: {}", super::go_error(&e))))?)
        }
    };
    use std::os::unix::ffi::OsStringExt as _;
    let environment = std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec()));
    let (scanner, _) =
        secrets::scanner(config, environment, contents.as_deref()).map_err(|error| failed(&error))?;
    let pipeline =
        Pipeline::new(Settings::from(config), Arc::new(scanner)).map_err(|error| failed(&error))?;
    let verdict = pipeline.scan(url.as_bytes(), Instant::now(), super::blocking::resolve);
    let _ = write!(report, "\nScanning URL: {url}\n");
    if verdict.allowed {
        let _ = writeln!(report, "  Result:  ALLOWED");
    } else {
        let _ = writeln!(
            report,
            "  Result:  BLOCKED\n  Scanner: {}\n  Reason:  {}",
            verdict.label.as_str(),
            verdict.reason
        );
    }
    let _ = writeln!(report, "  Score:   {:.2}", verdict.score);
    Ok(verdict.allowed)
}
