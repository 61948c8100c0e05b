//! `test`: thirty built-in vectors against the scanners of a configuration. spec: cli-and-image §11.2
//!
//! MCP messages that pass this proxy are bodies of requests and responses; their vectors are judged by the scanners of those.

use std::fmt::Write as _;

use clap::{ArgMatches, Command};
use serde_json::Value;

use super::samples::{self, Aim};
use super::{
    Chosen, Object, Paint, Status, Trial, config_flag, json_flag, label, list, no_color_flag, tally,
};
use crate::cli::grammar::{boolean, command, flag, string, text};
use crate::cli::{Done, Failure};
use crate::config::{Config, List};

pub(super) fn definition() -> Command {
    command("test", "Test the scanners against built-in attack vectors")
        .arg(config_flag())
        .arg(json_flag())
        .arg(no_color_flag())
        .arg(string("category", "only these categories, separated by commas"))
        .arg(boolean("fail-on-gap", "fail when a category is switched off"))
}

/// A category: its name, and the vectors as name, sample, and whether it is an attack.
type Category = (&'static str, Aim, &'static [(&'static str, &'static str, bool)]);

const CATEGORIES: [Category; 9] = [
    (
        "dlp",
        Aim::Url,
        &[
            ("Anthropic API key in query", samples::ANTHROPIC_IN_QUERY, true),
            ("AWS access key ID in path", samples::AWS_IN_PATH, true),
            ("GitHub token in query", samples::GITHUB_IN_QUERY, true),
            ("OpenAI project key in query", samples::OPENAI_IN_QUERY, true),
            ("Anthropic API key in subdomain", samples::ANTHROPIC_IN_HOST, true),
            ("Clean repository URL", "https://github.com/luckyPipewrench/pipelock/issues", false),
        ],
    ),
    (
        "blocklist",
        Aim::Url,
        &[
            ("Paste site", samples::PASTEBIN, true),
            ("File transfer site", samples::TRANSFER, true),
            ("Clean host", "https://github.com/", false),
        ],
    ),
    (
        "entropy",
        Aim::Url,
        &[
            ("Random path segment", samples::RANDOM_PATH, true),
            ("Random subdomain", samples::RANDOM_HOST, true),
            ("Readable path", "https://github.com/rust-lang/rust/blob/main/README.md", false),
        ],
    ),
    (
        "scheme",
        Aim::Url,
        &[("file scheme", "file:///etc/passwd", true), ("ftp scheme", "ftp://evil.com/exfil", true)],
    ),
    (
        "response_injection",
        Aim::Answer,
        &[
            ("Instruction override", samples::IGNORE, true),
            ("Role override", samples::JAILBREAK, true),
            ("Clean page", samples::PLAIN_ANSWER, false),
        ],
    ),
    (
        "mcp_response",
        Aim::Answer,
        &[
            ("Instruction override in tool result", samples::RESULT_IGNORE, true),
            ("Covert action in tool result", samples::RESULT_COVERT, true),
            ("Clean tool result", samples::PLAIN_RESULT, false),
        ],
    ),
    (
        "mcp_input",
        Aim::Call,
        &[
            ("AWS access key ID in arguments", samples::AWS_IN_CALL, true),
            ("GitHub token in arguments", samples::GITHUB_IN_CALL, true),
            ("Instruction override in arguments", samples::CALL_IGNORE, true),
            ("Clean tool call", samples::PLAIN_CALL, false),
        ],
    ),
    (
        "mcp_tools",
        Aim::Answer,
        &[
            ("Instruction override in description", samples::TOOL_IGNORE, true),
            ("Key theft in description", samples::TOOL_KEY, true),
            ("Clean description", samples::PLAIN_TOOL, false),
        ],
    ),
    (
        "clean",
        Aim::Url,
        &[
            ("API endpoint", "https://api.openai.com/v1/models", false),
            ("Repository", "https://github.com/golang/go", false),
            ("API search", "https://api.github.com/search/repositories?q=golang+tutorials&page=1", false),
        ],
    ),
];

/// Why a category is not tried, if its feature is off.
fn switched_off(category: &str, config: &Config) -> Option<&'static str> {
    let monitoring = &config.fetch_proxy.monitoring;
    let (off, why) = match category {
        "dlp" => (config.dlp.patterns.is_empty(), "no DLP patterns configured"),
        "blocklist" => (monitoring.blocklist.is_empty(), "no blocklist configured"),
        "entropy" => (monitoring.entropy_threshold <= 0.0, "entropy threshold disabled"),
        "response_injection" | "mcp_response" => {
            (!config.response_scanning.enabled, "response scanning disabled")
        }
        "mcp_input" => (!config.mcp_input_scanning.enabled, "MCP input scanning disabled"),
        "mcp_tools" => (!config.mcp_tool_scanning.enabled, "MCP tool scanning disabled"),
        _ => (false, ""),
    };
    off.then_some(why)
}

struct Tried {
    name: &'static str,
    category: &'static str,
    status: Status,
    blocked: bool,
    attack: bool,
    /// What was said about it: the reason of a block or a skip.
    why: String,
}

impl Tried {
    fn detail(&self) -> String {
        let why = &self.why;
        match (self.status, self.attack) {
            (Status::Skip, _) => why.clone(),
            (Status::Pass, true) => format!("blocked: {why}"),
            (Status::Pass, false) => "allowed (expected)".to_owned(),
            (Status::Fail, true) => "expected block, got: allowed".to_owned(),
            (Status::Fail, false) => format!("expected allow, got: blocked — {why}"),
        }
    }
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    let wanted = wanted(text(matches, "category").unwrap_or_default())?;
    let Chosen { mut config, path, .. } = Chosen::load_or_2(matches)?;
    // No name is resolved: the vectors are about the other layers.
    config.internal = List::from(Vec::new());
    let trial = Trial::new(config, Vec::new())
        .map_err(|why| Failure::with_code(2, format!("creating scanner: {why}")))?;
    let config = &trial.policy.config;
    let label = label(path.as_deref());
    let mut tried = Vec::new();
    let mut gaps = Vec::new();
    for (category, aim, vectors) in wanted {
        let off = switched_off(category, config);
        gaps.extend(off.map(|why| format!("{category}: {why}")));
        for &(name, sample, attack) in vectors {
            let (status, blocked, why) = match off {
                Some(why) => (Status::Skip, false, why.to_owned()),
                None => {
                    let verdict = trial.judge(aim, sample);
                    (Status::of(verdict.blocked == attack), verdict.blocked, verdict.reason)
                }
            };
            tried.push(Tried { name, category, status, blocked, attack, why });
        }
    }
    let counts = tally(tried.iter().map(|one| one.status));
    let report = if flag(matches, "json") {
        document(label, &config.mode, &tried, counts, &gaps)
    } else {
        text_of(label, &tried, counts, &gaps, &Paint::stdout(matches))
    };
    if counts[Status::Fail as usize] > 0 {
        return Err(Failure::after(report, "test vectors failed"));
    }
    if flag(matches, "fail-on-gap") && !gaps.is_empty() {
        return Err(Failure::after(report, "security gaps detected"));
    }
    Ok(Done::text(report))
}

/// The categories of a list of names; of an empty one, all.
fn wanted(names: &str) -> Result<Vec<Category>, Failure> {
    let names: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = names.iter().find(|name| !CATEGORIES.iter().any(|(known, ..)| known == *name)) {
        let known = CATEGORIES.map(|(name, ..)| name).join(", ");
        return Err(Failure::new(format!("unknown category {unknown:?}; valid categories: {known}")));
    }
    let mut wanted = CATEGORIES.to_vec();
    wanted.retain(|(name, ..)| names.is_empty() || names.contains(name));
    Ok(wanted)
}

fn document(label: &str, mode: &str, tried: &[Tried], counts: [usize; 3], gaps: &[String]) -> String {
    let vectors = tried.iter().map(|one| {
        let mut vector = Object::default();
        vector.text("name", one.name);
        vector.text("category", one.category);
        vector.text("status", one.status.word());
        vector.put("blocked", one.blocked.into());
        vector.put("expected", one.attack.into());
        vector.text("detail", &one.detail());
        vector.value()
    });
    let vectors: Vec<Value> = vectors.collect();
    let mut document = Object::default();
    document.text("config_file", label);
    document.text("mode", mode);
    document.count("total", tried.len());
    document.counts(counts);
    document.put("vectors", vectors.into());
    if !gaps.is_empty() {
        document.put("gaps", gaps.into());
    }
    document.printed()
}

fn text_of(label: &str, tried: &[Tried], counts: [usize; 3], gaps: &[String], paint: &Paint) -> String {
    let rule = "=".repeat(60);
    let mut out = format!("\nPipelock Test Suite — {} vectors, config: {}\n{rule}\n", tried.len(), label);
    let rows = tried.iter().map(|one| {
        let status = paint.word(one.status, ["[PASS]", "[FAIL]", "[SKIP]"][one.status as usize]);
        (one.category, format!("{status} {}  {}", one.name, one.detail()))
    });
    list(&mut out, 2, rows);
    let [passed, failed, skipped] = counts;
    let _ = write!(out, "\n{rule}\nResults: {passed} passed, {failed} failed, {skipped} skipped\n");
    if !gaps.is_empty() {
        out.push_str("  Gaps detected:\n");
        for gap in gaps {
            let _ = writeln!(out, "    - {gap}");
        }
    }
    out.push('\n');
    out
}
