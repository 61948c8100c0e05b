//! `session`: what an operator sees of the sessions of a running proxy and does to them, through its admin API.
//! spec: cli-and-image §14

mod api;

use std::fmt::Write as _;
use std::io::{BufRead as _, Write as _};

use clap::{ArgMatches, Command};
use muselet_rules::text::strip_controls;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::api::{Api, escaped, misuse};
use super::grammar::{boolean, command, extra, flag, string, text};
use super::{Done, Failure, no_arguments};

type Fields = Map<String, Value>;

/// Tiers from the mildest to the hardest; `normal` is another word for `none`.
const TIERS: [&str; 4] = ["none", "soft", "hard", "drain"];

pub(super) fn definition() -> Command {
    let keyed = |name, about| command(name, about).after_help("KEY");
    let json = || boolean("json", "print the API's answer as JSON");
    command("session", "Inspect and recover sessions of a running proxy")
        .arg(string("api-url", "admin API address (or set PIPELOCK_API_URL)").global(true))
        .arg(string("api-token", "admin API token (or set PIPELOCK_KILLSWITCH_API_TOKEN)").global(true))
        .arg(string("config", "config file to take address and token from").global(true))
        .subcommand(
            command("list", "List sessions")
                .arg(string("tier", "only this airlock tier: none, soft, hard, drain, normal"))
                .arg(json()),
        )
        .subcommand(keyed("inspect", "Show a session").arg(json()))
        .subcommand(keyed("explain", "Show why a session is quarantined").arg(json()))
        .subcommand(
            keyed("release", "Lower the airlock tier of a session")
                .arg(string("to", "tier to release to: none, soft (default \"none\")"))
                .arg(json()),
        )
        .subcommand(keyed("terminate", "Cut a session's connections and forget its state").arg(json()))
        .subcommand(
            keyed("recover", "Inspect and explain a session, then choose what to do")
                .arg(string("choice", "release-none, release-soft, terminate, leave"))
                .arg(boolean("no-prompt", "do not ask; needs --choice")),
        )
}

pub(super) fn run(name: &str, matches: &ArgMatches) -> Result<Done, Failure> {
    if name == "list" {
        no_arguments("session list", matches)?;
        return list(matches);
    }
    let args = extra(matches);
    let [key] = args.as_slice() else {
        return Err(Failure::new(format!("accepts 1 arg(s), received {}", args.len())));
    };
    let path = format!("/{}", escaped(key));
    let shown = |fields: Fields, human: fn(&str, &Fields) -> String| {
        if flag(matches, "json") { as_json(&fields) } else { human(key, &fields) }
    };
    let text = match name {
        "inspect" => shown(Api::new(matches)?.get(&path)?, inspected),
        "explain" => shown(Api::new(matches)?.get(&format!("{path}/explain"))?, explained),
        "release" => {
            let target = release_target(text(matches, "to").unwrap_or("none"), "--to")?;
            shown(release(&Api::new(matches)?, &path, target)?, released)
        }
        "terminate" => shown(terminate(&Api::new(matches)?, key, &path)?, terminated),
        _ => return recover(matches, key, &path),
    };
    Ok(Done::text(text))
}

fn list(matches: &ArgMatches) -> Result<Done, Failure> {
    let query = match text(matches, "tier").unwrap_or_default() {
        "" => String::new(),
        tier if tier == "normal" || TIERS.contains(&tier) => format!("?tier={tier}"),
        tier => {
            return Err(misuse(format!(
                "invalid --tier {tier:?}: must be none, soft, hard, drain or normal"
            )));
        }
    };
    let answer = Api::new(matches)?.get(&query)?;
    if flag(matches, "json") {
        return Ok(Done::text(as_json(&answer)));
    }
    let sessions = answer.get("sessions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    Ok(Done::text(table(sessions, OffsetDateTime::now_utc())))
}

/// `none` or `soft`: nothing is quarantined from here.
fn release_target(word: &str, flag: &str) -> Result<&'static str, Failure> {
    match word {
        "none" | "normal" => Ok("none"),
        "soft" => Ok("soft"),
        other => Err(misuse(format!("invalid {flag} {other:?}: must be none or soft"))),
    }
}

fn release(api: &Api, path: &str, target: &str) -> Result<Fields, Failure> {
    let rank = |tier: &str| TIERS.iter().position(|known| *known == tier).unwrap_or_default();
    let session = api.get(path)?;
    let current = word(&session, "airlock_tier");
    if rank(target) > rank(&current) {
        return Err(misuse(format!(
            "refusing to escalate session: current tier {current:?}, target {target:?} — release is downward-only; \
             use the airlock command to escalate"
        )));
    }
    api.post(&format!("{path}/airlock"), &json!({"tier": target}))
}

fn terminate(api: &Api, key: &str, path: &str) -> Result<Fields, Failure> {
    let answer = api.post(&format!("{path}/terminate"), &json!({}))?;
    eprintln!("WARNING: terminated session {} — in-flight connections were cut.", printable(key));
    Ok(answer)
}

/// What the menu of `recover` offers, by flag and by number.
const CHOICES: [(&str, &str); 4] = [
    ("release-none", "release to none"),
    ("release-soft", "release to soft"),
    ("terminate", "terminate"),
    ("leave", "leave as it is"),
];

fn recover(matches: &ArgMatches, key: &str, path: &str) -> Result<Done, Failure> {
    let given = text(matches, "choice").filter(|choice| !choice.is_empty());
    let names = || CHOICES.map(|(name, _)| name).join(", ");
    if let Some(choice) = given
        && !CHOICES.iter().any(|(name, _)| *name == choice)
    {
        return Err(misuse(format!("invalid --choice {choice:?}: must be one of {}", names())));
    }
    if given.is_none() && flag(matches, "no-prompt") {
        return Err(misuse(format!("--no-prompt needs --choice: {}", names())));
    }
    let api = Api::new(matches)?;
    let session = api.get(path)?;
    let explanation = api.get(&format!("{path}/explain"))?;
    let mut report = format!(
        "== inspect ==\n{}\n== explain ==\n{}\n",
        inspected(key, &session),
        explained(key, &explanation)
    );
    let choice = match given {
        Some(choice) => choice.to_owned(),
        None => {
            for (number, (_, meaning)) in CHOICES.iter().enumerate() {
                let _ = writeln!(report, "{}) {meaning}", number + 1);
            }
            let mut out = std::io::stdout().lock();
            let _ = write!(out, "{}> ", std::mem::take(&mut report)).and_then(|()| out.flush());
            asked()?
        }
    };
    report.push_str(&match choice.as_str() {
        "release-none" => released(key, &release(&api, path, "none")?),
        "release-soft" => released(key, &release(&api, path, "soft")?),
        "terminate" => terminated(key, &terminate(&api, key, path)?),
        _ => format!("left {} as it is\n", printable(key)),
    });
    Ok(Done::text(report))
}

/// The choice that is typed, by number or by name. No answer leaves the session as it is.
fn asked() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|e| Failure::new(super::go_error(&e)))?;
    let typed = line.trim();
    let by_number = typed.parse::<usize>().ok().and_then(|number| CHOICES.get(number.checked_sub(1)?));
    match by_number.or_else(|| CHOICES.iter().find(|(name, _)| *name == typed)) {
        Some((name, _)) => Ok((*name).to_owned()),
        None if typed.is_empty() => Ok("leave".to_owned()),
        None => Err(misuse(format!("invalid choice {:?}: must be 1 to 4", printable(typed)))),
    }
}

fn as_json(fields: &Fields) -> String {
    format!("{:#}\n", Value::Object(fields.clone()))
}

fn inspected(key: &str, session: &Fields) -> String {
    indented(&format!("Session {}", printable(key)), session)
}

fn explained(key: &str, explanation: &Fields) -> String {
    indented(&format!("Session {} explanation", printable(key)), explanation)
}

fn released(key: &str, change: &Fields) -> String {
    format!(
        "released {}: {} -> {} (changed={})\n",
        printable(key),
        word(change, "previous_tier"),
        word(change, "new_tier"),
        word(change, "changed")
    )
}

fn terminated(key: &str, answer: &Fields) -> String {
    format!(
        "terminated {}: previous_tier={} level={} score={} cee_cleared={}\n",
        printable(key),
        word(answer, "previous_tier"),
        word(answer, "previous_level"),
        score(answer, "previous_score"),
        word(answer, "cee_state_cleared")
    )
}

/// A title and a line for each field; lists get a line for each item.
fn indented(title: &str, fields: &Fields) -> String {
    let width = fields.keys().map(String::len).max().unwrap_or_default();
    let mut out = format!("{title}\n");
    for (name, value) in fields {
        match value {
            Value::Array(items) if !items.is_empty() => {
                let _ = writeln!(out, "  {}:", printable(name));
                for item in items {
                    let _ = writeln!(out, "    {}", printable(&item.to_string()));
                }
            }
            Value::Array(_) => {
                let _ = writeln!(out, "  {:width$}  -", printable(name));
            }
            _ => {
                let _ = writeln!(out, "  {:width$}  {}", printable(name), word(fields, name));
            }
        }
    }
    out
}

/// Columns two spaces apart.
fn table(sessions: &[Value], now: OffsetDateTime) -> String {
    if sessions.is_empty() {
        return "No sessions match.\n".to_owned();
    }
    let mut rows =
        vec![["KEY", "AGENT", "IP", "TIER", "ESCALATION", "SCORE", "LAST-ACTIVE"].map(str::to_owned)];
    for session in sessions.iter().filter_map(Value::as_object) {
        rows.push([
            word(session, "key"),
            word(session, "agent"),
            word(session, "client_ip"),
            word(session, "airlock_tier"),
            word(session, "escalation_level"),
            score(session, "threat_score"),
            age(&word(session, "last_activity"), now),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// A field for people: `-` if it is empty or not there.
fn word(fields: &Fields, name: &str) -> String {
    match fields.get(name) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(other) => printable(&other.to_string()),
    }
}

fn score(fields: &Fields, name: &str) -> String {
    fields.get(name).and_then(Value::as_f64).map_or_else(|| "-".to_owned(), |score| format!("{score:.2}"))
}

/// How long ago a time was, in its largest unit.
fn age(stamp: &str, now: OffsetDateTime) -> String {
    let Ok(then) = OffsetDateTime::parse(stamp, &Rfc3339) else { return "-".to_owned() };
    let seconds = (now - then).whole_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3_600 => format!("{}m ago", seconds / 60),
        3_600..86_400 => format!("{}h ago", seconds / 3_600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

/// Without characters that a terminal would obey: keys and targets are what agents sent.
fn printable(text: &str) -> String {
    strip_controls(text.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Fields {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn sessions_stand_in_columns() {
        let now = OffsetDateTime::parse("2026-03-01T12:00:00Z", &Rfc3339).unwrap();
        let sessions = [
            json!({"key": "bot|10.0.0.1", "agent": "bot", "client_ip": "10.0.0.1", "airlock_tier": "hard",
                "escalation_level": "critical", "threat_score": 12.5, "last_activity": "2026-03-01T11:59:55.5Z"}),
            json!({"key": "10.0.0.2\u{1b}[2J", "agent": "", "client_ip": "10.0.0.2", "airlock_tier": "none",
                "escalation_level": "normal", "threat_score": 0, "last_activity": "2026-02-27T12:00:00Z"}),
        ];
        let wanted = "\
KEY           AGENT  IP        TIER  ESCALATION  SCORE  LAST-ACTIVE
bot|10.0.0.1  bot    10.0.0.1  hard  critical    12.50  4s ago
10.0.0.2[2J   -      10.0.0.2  none  normal      0.00   2d ago
";
        assert_eq!(table(&sessions, now), wanted);
        assert_eq!(table(&[], now), "No sessions match.\n");
    }

    #[test]
    fn a_session_is_told_field_by_field() {
        let fields =
            object(json!({"key": "k", "in_flight": 0, "recent_events": [{"kind": "block"}], "none": []}));
        let wanted = "Session k\n  key            k\n  in_flight      0\n  recent_events:\n    {\"kind\":\"block\"}\n  none           -\n";
        assert_eq!(inspected("k", &fields), wanted);
    }

    #[test]
    fn what_was_done_is_one_line() {
        let change =
            object(json!({"key": "k", "previous_tier": "hard", "new_tier": "none", "changed": true}));
        assert_eq!(released("k", &change), "released k: hard -> none (changed=true)\n");
        let answer =
            object(json!({"previous_tier": "soft", "previous_level": "high", "previous_score": 7.25,
            "cee_state_cleared": false}));
        assert_eq!(
            terminated("k", &answer),
            "terminated k: previous_tier=soft level=high score=7.25 cee_cleared=false\n"
        );
    }
}
