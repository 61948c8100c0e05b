//! The score of a configuration: points by category, and what to do about those that are missing. spec: cli-and-image §12.1
//!
//! Sections that only the reference acts on (MCP, sandbox) count as they do there: a file serves both programs.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::selftest::{Object, graded};
use crate::config::Config;

/// Points of a category.
struct Category {
    name: &'static str,
    points: usize,
    most: usize,
    detail: String,
}

/// Something to do, `critical`, `warning` or `info`.
struct Finding {
    severity: &'static str,
    category: &'static str,
    message: &'static str,
}

/// What a configuration is worth.
pub(super) struct Score {
    categories: Vec<Category>,
    findings: Vec<Finding>,
    total: usize,
    most: usize,
    pub(super) percentage: usize,
    pub(super) grade: &'static str,
}

/// Points that a condition is worth.
fn worth(points: usize, condition: bool) -> usize {
    if condition { points } else { 0 }
}

/// Scores a configuration. The categories come in the reference's order.
pub(super) fn of(config: &Config) -> Score {
    let mut sheet = Sheet::default();
    scanning(config, &mut sheet);
    tools(config, &mut sheet);
    enforcement(config, &mut sheet);
    behaviour(config, &mut sheet);
    let Sheet { categories, findings } = sheet;
    let total = categories.iter().map(|category| category.points).sum();
    let most = categories.iter().map(|category| category.most).sum();
    let (percentage, grade) = graded(total, most);
    Score { categories, findings, total, most, percentage, grade }
}

#[derive(Default)]
struct Sheet {
    categories: Vec<Category>,
    findings: Vec<Finding>,
}

impl Sheet {
    fn category(&mut self, name: &'static str, points: usize, most: usize, detail: String) {
        self.categories.push(Category { name, points, most, detail });
    }

    /// Notes something about the last category, if it holds.
    fn note(&mut self, holds: bool, severity: &'static str, message: &'static str) {
        let Some(category) = self.categories.last().map(|category| category.name) else { return };
        if holds {
            self.findings.push(Finding { severity, category, message });
        }
    }
}

fn scanning(config: &Config, sheet: &mut Sheet) {
    let patterns = config.dlp.patterns.len();
    let breadth = match patterns {
        0 => 0,
        1..20 => 6,
        20..40 => 8,
        _ => 10,
    };
    let entropy = config.fetch_proxy.monitoring.entropy_threshold > 0.0;
    let points = breadth + worth(3, config.dlp.scan_env) + worth(2, entropy);
    sheet.category("DLP", points, 15, format!("{patterns} patterns"));
    sheet.note(patterns == 0, "critical", "no DLP patterns: set dlp.include_defaults or list patterns");
    sheet.note((1..20).contains(&patterns), "warning", "few DLP patterns: set dlp.include_defaults");
    sheet.note(
        !config.dlp.scan_env,
        "warning",
        "the proxy's own environment is not protected: set dlp.scan_env",
    );

    let response = &config.response_scanning;
    let blocks = matches!(response.action.as_str(), "block" | "ask");
    if response.enabled {
        let breadth = match response.patterns.len() {
            0 => 0,
            1..10 => 1,
            _ => 3,
        };
        let detail = format!("{} patterns, action {}", response.patterns.len(), response.action);
        sheet.category("Response Scanning", 4 + breadth + worth(3, blocks), 10, detail);
        let message = "injections are let through: set response_scanning.action to block";
        sheet.note(!blocks, "warning", message);
    } else {
        sheet.category("Response Scanning", 0, 10, "disabled".to_owned());
        sheet.note(true, "critical", "responses are not scanned for injections: enable response_scanning");
    }
}

/// What a section that is off or acts in some way is called.
fn on(enabled: bool, action: &str) -> String {
    match (enabled, action) {
        (false, _) => "disabled".to_owned(),
        (true, "") => "enabled".to_owned(),
        (true, action) => format!("action {action}"),
    }
}

const NOT_RUN: &str = "muselet does not act on this section: the program that does has to run beside it";

fn tools(config: &Config, sheet: &mut Sheet) {
    let scanning = &config.mcp_tool_scanning;
    let by_action = match scanning.action.as_str() {
        "block" => 5,
        "ask" => 4,
        _ => 2,
    };
    let points = worth(5 + by_action, scanning.enabled);
    sheet.category("MCP Tool Scanning", points, 10, on(scanning.enabled, &scanning.action));
    sheet.note(!scanning.enabled, "info", "MCP tool descriptions are not scanned: enable mcp_tool_scanning");
    sheet.note(scanning.enabled, "info", NOT_RUN);

    let policy = &config.mcp_tool_policy;
    let breadth = match policy.rules.len() {
        0 => 0,
        1..5 => 1,
        5..10 => 3,
        _ => 5,
    };
    let blocks = policy.rules.iter().any(|rule| {
        let action = if rule.action.is_empty() { &policy.action } else { &rule.action };
        action == "block"
    });
    let points = worth(5 + breadth + worth(5, blocks), policy.enabled);
    let detail = if policy.enabled { format!("{} rules", policy.rules.len()) } else { "disabled".to_owned() };
    sheet.category("MCP Tool Policy", points, 15, detail);
    sheet.note(!policy.enabled, "info", "MCP tool calls are not restricted: enable mcp_tool_policy");
    sheet.note(policy.enabled && !blocks, "warning", "no rule of mcp_tool_policy blocks");
    sheet.note(policy.enabled, "info", NOT_RUN);

    let input = &config.mcp_input_scanning;
    sheet.category("MCP Input Scanning", worth(5, input.enabled), 5, on(input.enabled, &input.action));
    sheet.note(!input.enabled, "info", "MCP tool arguments are not scanned: enable mcp_input_scanning");

    let binding = &config.mcp_session_binding;
    sheet.category("MCP Session Binding", worth(5, binding.enabled), 5, on(binding.enabled, ""));
    sheet.note(!binding.enabled, "info", "MCP tool lists are not pinned: enable mcp_session_binding");
    sheet.note(binding.enabled, "info", NOT_RUN);
}

fn enforcement(config: &Config, sheet: &mut Sheet) {
    let switch = &config.kill_switch;
    let ways = [switch.enabled, !switch.api_listen.is_empty(), !switch.sentinel_file.is_empty()];
    let points = worth(4, ways[0]) + worth(3, ways[1]) + worth(3, ways[2]);
    let count = ways.iter().filter(|way| **way).count();
    sheet.category("Kill Switch", points, 10, format!("{count} of 3 ways"));
    let message = "no way to stop everything at once: set kill_switch.api_listen or sentinel_file";
    sheet.note(count == 0, "warning", message);

    let enforces = config.enforces();
    let by_mode = match config.mode.as_str() {
        "strict" => 5,
        "balanced" => 3,
        _ => 1,
    };
    let detail = if enforces { config.mode.clone() } else { format!("{}, enforce: false", config.mode) };
    sheet.category("Enforcement", worth(5, enforces) + by_mode, 10, detail);
    sheet.note(!enforces, "critical", "findings are logged and not blocked: remove enforce: false");
    let open = config.mode != "strict";
    sheet.note(open, "info", "any public host is reachable: mode strict allows only api_allowlist");

    let hosts = config.fetch_proxy.monitoring.blocklist.len();
    sheet.category("Domain Blocklist", worth(5, hosts > 0), 5, format!("{hosts} patterns"));
    let message = "no host is blocked by name: set fetch_proxy.monitoring.blocklist";
    sheet.note(hosts == 0, "warning", message);
}

fn behaviour(config: &Config, sheet: &mut Sheet) {
    let adaptive = config.adaptive_enforcement.enabled;
    sheet.category("Adaptive Enforcement", worth(5, adaptive), 5, on(adaptive, ""));
    sheet.note(
        !adaptive,
        "info",
        "clients that keep being blocked are not restricted: enable adaptive_enforcement",
    );

    let chains = &config.tool_chain_detection;
    let points = worth(3 + worth(2, !chains.custom_patterns.is_empty()), chains.enabled);
    sheet.category("Tool Chain Detection", points, 5, on(chains.enabled, &chains.action));
    sheet.note(
        !chains.enabled,
        "info",
        "sequences of tool calls are not looked at: enable tool_chain_detection",
    );
    sheet.note(chains.enabled, "info", NOT_RUN);

    let sandbox = config.sandbox.enabled;
    sheet.category("Sandbox", worth(5, sandbox), 5, on(sandbox, ""));
    sheet.note(!sandbox, "info", "the agent's process is not sandboxed: run it in a container");
    sheet.note(sandbox, "info", NOT_RUN);
}

impl Score {
    /// As JSON; without a path the configuration is the built-in one.
    pub(super) fn document(&self, path: Option<&str>) -> Object {
        let categories = self.categories.iter().map(|category| {
            let mut entry = Object::default();
            entry.text("name", category.name);
            entry.count("score", category.points);
            entry.count("max_score", category.most);
            entry.text("detail", &category.detail);
            entry.value()
        });
        let mut document = Object::default();
        document.count("total_score", self.total);
        document.count("max_score", self.most);
        document.count("percentage", self.percentage);
        document.text("grade", self.grade);
        document.put("categories", Value::Array(categories.collect()));
        let findings = self.findings.iter().map(|finding| {
            let mut entry = Object::default();
            entry.text("severity", finding.severity);
            entry.text("category", finding.category);
            entry.text("message", finding.message);
            entry.value()
        });
        let findings: Vec<Value> = findings.collect();
        if !findings.is_empty() {
            document.put("findings", findings.into());
        }
        document.some_text("config_file", path.unwrap_or_default());
        document
    }

    /// For people.
    pub(super) fn text(&self, path: Option<&str>) -> String {
        let config = path.unwrap_or("(built-in defaults)");
        let mut out = format!("Pipelock Security Score\nConfig: {config}\n\n");
        for Category { name, points, most, detail } in &self.categories {
            let filled = points * 10 / most;
            let bar = format!("{}{}", "#".repeat(filled), "-".repeat(10 - filled));
            let _ = writeln!(out, "  {name:25} [{bar}] {points}/{most} ({detail})");
        }
        let Score { total, most, percentage, grade, .. } = self;
        let _ = write!(out, "\nOverall: {total}/{most} ({percentage}%) Grade: {grade}\n");
        if !self.findings.is_empty() {
            out.push_str("\nRecommendations:\n");
        }
        for (severity, tag) in [("critical", "[CRITICAL]"), ("warning", "[WARNING]"), ("info", "[INFO]")] {
            for finding in self.findings.iter().filter(|finding| finding.severity == severity) {
                let _ = writeln!(out, "  {tag:10} {}: {}", finding.category, finding.message);
            }
        }
        out
    }

    /// The rows of a table: category, points, most.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&'static str, usize, usize)> + '_ {
        self.categories.iter().map(|category| (category.name, category.points, category.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_get_thirty_five_points_of_a_hundred() {
        let score = of(&Config::defaults());
        assert_eq!((score.total, score.most, score.percentage, score.grade), (35, 100, 35, "F"));
    }

    #[test]
    fn everything_switched_on_gets_all_points() {
        let yaml = "mode: strict\napi_allowlist: [a.example]\nfetch_proxy: {monitoring: {blocklist: [b.example]}}\n\
            dlp: {scan_env: true}\nresponse_scanning: {enabled: true, action: block}\n\
            mcp_tool_scanning: {enabled: true, action: block}\nmcp_input_scanning: {enabled: true}\n\
            mcp_session_binding: {enabled: true}\n\
            mcp_tool_policy: {enabled: true, action: block, rules: [RULES]}\n\
            kill_switch: {enabled: true, sentinel_file: /nowhere, api_listen: \"127.0.0.1:1\", api_token: operator-token}\n\
            session_profiling: {enabled: true}\nadaptive_enforcement: {enabled: true}\nsandbox: {enabled: true}\n\
            tool_chain_detection: {enabled: true, custom_patterns: [{name: x, sequence: [read, write], severity: high}]}\n";
        let rules = ["{name: r, tool_pattern: x}"; 10].join(", ");
        let yaml = yaml.replace("RULES", &rules);
        let config = Config::parse(yaml.as_bytes(), std::path::Path::new("/")).expect("valid");
        assert_eq!(of(&config).total, 100, "{}", of(&config).text(None));
    }
}
