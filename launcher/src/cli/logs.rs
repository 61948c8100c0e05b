//! `bottle logs`: the sidecar's decisions, one readable line each. Lines that are no JSON are shown as they are.

use futures_util::StreamExt;
use muselet_rules::text::strip_controls;
use serde_json::Value;

use super::engine;
use super::output::print;
use crate::engine::Engine;
use crate::names::{self, Names};
use crate::{Error, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The instance
    slug: String,
    /// Go on with new lines
    #[arg(short, long)]
    follow: bool,
    /// Only what was refused
    #[arg(long)]
    blocked: bool,
}

/// Longest line that is kept while its end has not come, in bytes.
const MAX_LINE: usize = 1 << 20;

pub(super) async fn run(args: Args) -> Result<i64> {
    if !names::is_slug(&args.slug) {
        return Err(Error::Refused(format!("{:?} is no instance name; see 'bottle ps'", args.slug)));
    }
    let engine = engine().await?;
    let name = Names::new(&args.slug).sidecar;
    let mut stream = engine.logs(&name, args.follow);
    let mut rest = Vec::new();
    while let Some(chunk) = stream.next().await {
        rest.extend_from_slice(&chunk.map_err(|e| Error::step("read the log of", &name, e))?);
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            show(&line, args.blocked)?;
        }
        if rest.len() > MAX_LINE {
            show(&std::mem::take(&mut rest), args.blocked)?;
        }
    }
    show(&rest, args.blocked)?;
    Ok(0)
}

fn show(line: &[u8], blocked: bool) -> Result<()> {
    readable(line, blocked).map_or(Ok(()), |text| print(&text))
}

/// A log line for people: time, event, what it concerns, why. The agent chose much of it, so what would steer the terminal is
/// left out.
fn readable(line: &[u8], blocked: bool) -> Option<String> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    if text.is_empty() {
        return None;
    }
    let Ok(Value::Object(event)) = serde_json::from_str::<Value>(text) else {
        return (!blocked).then(|| strip_controls(text.as_bytes()).into_owned());
    };
    let field = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    let name = field("event");
    let refused = name.contains("blocked")
        || name.contains("deny")
        || name.contains("mismatch")
        || name == "dns_refused";
    let refused = refused || field("action") == "block";
    if blocked && !refused {
        return None;
    }
    let target =
        ["url", "target", "connect_host", "name", "resource"].map(field).into_iter().find(|t| !t.is_empty());
    let mut parts = vec![field("time").to_owned(), format!("{name:<14}"), field("method").to_owned()];
    parts.push(target.unwrap_or_default().to_owned());
    if let Some(status) = event.get("status_code") {
        parts.push(status.to_string());
    }
    let scanner = field("scanner");
    if !scanner.is_empty() {
        parts.push(format!("[{scanner}]"));
    }
    if let Some(patterns) = event.get("patterns").and_then(Value::as_array) {
        parts.push(patterns.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    }
    parts.extend(["reason", "error"].map(|key| field(key).to_owned()));
    parts.retain(|part| !part.trim().is_empty());
    Some(strip_controls(parts.join(" ").trim_end().as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCKED: &str = r#"{"level":"warn","component":"pipelock","event":"blocked","method":"CONNECT","target":"x.example:443","client_ip":"10.0.0.5","request_id":"req-4","scanner":"allowlist","reason":"domain not in allowlist: x.example","time":"2026-03-01T12:00:02Z","message":"request blocked"}"#;
    const ALLOWED: &str =
        r#"{"event":"forward_http","method":"GET","url":"http://a.example/","status_code":200,"time":"T"}"#;

    #[test]
    fn a_refusal_reads_as_one_line() {
        assert_eq!(
            readable(BLOCKED.as_bytes(), true).unwrap(),
            "2026-03-01T12:00:02Z blocked        CONNECT x.example:443 [allowlist] domain not in allowlist: x.example"
        );
    }

    #[test]
    fn only_refusals_are_shown_when_asked_for() {
        assert_eq!(readable(ALLOWED.as_bytes(), true), None);
        assert_eq!(
            readable(ALLOWED.as_bytes(), false).unwrap(),
            "T forward_http   GET http://a.example/ 200"
        );
        assert_eq!(readable(b"plain text\n", false).unwrap(), "plain text");
        assert_eq!(readable(b"plain text\n", true), None);
        assert_eq!(readable(b"\n", false), None);
    }

    #[test]
    fn nothing_that_the_agent_chose_steers_the_terminal() {
        let event =
            br#"{"event":"blocked","url":"http://x/\u001b]0;title\u0007\u202e","reason":"a\nb\u009b2J"}"#;
        assert_eq!(readable(event, true).unwrap(), "blocked        http://x/]0;title ab2J");
        assert_eq!(readable(b"plain \x1b[2J", false).unwrap(), "plain [2J");
    }
}
