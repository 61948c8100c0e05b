//! What can be scanned, what each kind needs, and how its findings are named. (spec: http-proxy §14)

use std::sync::Arc;
use std::time::Instant;

use muselet_rules::dlp::{self, Encoding};
use serde_json::{Map, Value};

use super::{Evidence, Finding, Refused, bad, invalid_json};
use crate::config::{ScanApi, grammar};
use crate::policy::Policy;
use crate::policy::url::{Outcome, quote};
use crate::policy::verdict::Label;
use crate::server::Shared;
use crate::server::admin::json::text;

/// Every kind, in the order of the error text.
pub(super) const NAMES: [&str; 4] = ["url", "dlp", "prompt_injection", "tool_call"];

/// A checked input.
pub(super) enum Input {
    Url(String),
    Dlp(String),
    Injection(String),
    /// All strings and keys of the arguments.
    ToolCall(String),
}

impl Input {
    pub(super) fn read(kind: &str, input: &Map<String, Value>, config: &ScanApi) -> Result<Input, Refused> {
        let enabled = match kind {
            "url" => config.kinds.url,
            "dlp" => config.kinds.dlp,
            "prompt_injection" => config.kinds.prompt_injection,
            "tool_call" => config.kinds.tool_call,
            _ => {
                let shown = quote(kind.as_bytes());
                let message = format!("Unknown kind {shown}. Valid: {}", NAMES.join(", "));
                return Err(bad("invalid_kind", message));
            }
        };
        if !enabled {
            return Err(bad("kind_disabled", format!("Kind {kind:?} is disabled on this server")));
        }
        let limits = &config.field_limits;
        let field = |name: &str, limit: i64, required: bool| -> Result<String, Refused> {
            let value = text(input, name).map_err(|why| invalid_json(&why))?;
            if required && value.is_empty() {
                return Err(bad("invalid_input", format!("input.{name} is required for kind {kind:?}")));
            }
            within(name, value.len(), limit)?;
            Ok(value)
        };
        Ok(match kind {
            "url" => {
                let url = field("url", limits.url, true)?;
                if grammar::url_with_host(&url, &["http", "https"]).is_none() {
                    const TEXT: &str = "input.url must be a valid http:// or https:// URL with a host";
                    return Err(bad("invalid_input", TEXT));
                }
                Input::Url(url)
            }
            "dlp" => Input::Dlp(field("text", limits.text, true)?),
            "prompt_injection" => Input::Injection(field("content", limits.content, true)?),
            _ => {
                field("tool_name", i64::MAX, true)?;
                let arguments = input.get("arguments").unwrap_or(&Value::Null);
                within("arguments", arguments.to_string().len(), limits.arguments)?;
                let mut strings = Vec::new();
                collect(arguments, &mut strings);
                Input::ToolCall(strings.join(" "))
            }
        })
    }

    /// Findings; `None`: the scan did not finish.
    pub(super) async fn scan(
        self,
        shared: &Arc<Shared>,
        policy: &Arc<Policy>,
        evidence: bool,
    ) -> Option<Vec<Finding>> {
        match self {
            Input::Url(url) => Some(scan_url(shared, policy, &url).await),
            Input::Dlp(text) => {
                let policy = Arc::clone(policy);
                let scan = move || secrets(&policy.dlp, text.as_bytes(), evidence);
                shared.offload.run_apart(scan).await.ok()
            }
            Input::Injection(text) => {
                let policy = Arc::clone(policy);
                shared.offload.run_apart(move || injections(&policy, text.as_bytes())).await.ok()
            }
            Input::ToolCall(text) => {
                if !policy.config.mcp_input_scanning.enabled {
                    return Some(Vec::new());
                }
                let policy = Arc::clone(policy);
                let scan = move || {
                    let mut findings = secrets(&policy.dlp, text.as_bytes(), evidence);
                    findings.extend(injections(&policy, text.as_bytes()));
                    findings
                };
                shared.offload.run_apart(scan).await.ok()
            }
        }
    }
}

fn within(name: &str, length: usize, limit: i64) -> Result<(), Refused> {
    if i64::try_from(length).is_ok_and(|length| length <= limit) {
        return Ok(());
    }
    Err(bad("invalid_input", format!("input.{name} exceeds field limit")))
}

/// Every string and key, depth first. `serde_json` bounds the depth of what it reads.
fn collect<'v>(value: &'v Value, into: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => into.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(members) => {
            for (key, value) in members {
                into.push(key);
                collect(value, into);
            }
        }
        _ => {}
    }
}

async fn scan_url(shared: &Shared, policy: &Policy, url: &str) -> Vec<Finding> {
    let verdict = match policy.url.begin(url.as_bytes(), Instant::now()) {
        Outcome::Done(verdict) => verdict,
        Outcome::NeedsDns(pending) => {
            let lookup = shared.upstream.resolver.lookup(pending.host()).await;
            policy.url.finish(pending, lookup.as_deref(), Instant::now())
        }
    };
    if verdict.allowed {
        return Vec::new();
    }
    let (rule_id, severity) = match verdict.label {
        Label::Ssrf => ("SSRF-Private-IP".to_owned(), "high"),
        Label::Dlp => ("DLP-URL-Exfil".to_owned(), "critical"),
        Label::Blocklist => ("BLOCK-Domain".to_owned(), "medium"),
        label => (format!("URL-{}", label.as_str()), "medium"),
    };
    let (severity, message) = (severity.to_owned(), verdict.reason.into_owned());
    vec![Finding { scanner: "url", rule_id, severity, message, evidence: None }]
}

fn secrets(scanner: &dlp::Scanner, text: &[u8], evidence: bool) -> Vec<Finding> {
    let found = scanner.scan_text(text).matches.into_iter();
    found
        .map(|hit| Finding {
            scanner: "dlp",
            rule_id: format!("DLP-{}", hit.name),
            severity: hit.severity.to_string(),
            message: format!("Secret-like token detected ({})", hit.name),
            evidence: evidence.then(|| Evidence {
                encoding: if hit.encoded == Encoding::Plain { "plaintext" } else { hit.encoded.as_str() },
            }),
        })
        .collect()
}

fn injections(policy: &Policy, text: &[u8]) -> Vec<Finding> {
    let found = policy.response.injection().scan(text).matches.into_iter();
    found
        .map(|hit| Finding {
            scanner: "prompt_injection",
            rule_id: format!("INJ-{}", hit.name),
            severity: "high".to_owned(),
            message: format!("Prompt injection pattern matched: {}", hit.name),
            evidence: None,
        })
        .collect()
}
