//! `report`: what a decision log says, counted, for people (HTML) or programs (JSON). spec: cli-and-image §12.3

mod html;
mod tally;

use std::fs::{DirBuilder, File};
use std::io::{BufRead, BufReader, Read as _};
use std::os::unix::fs::DirBuilderExt as _;

use clap::{ArgMatches, Command};
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use self::tally::Tally;
use super::generate::write;
use super::grammar::{boolean, command, flag, integer, string, text};
use super::{Done, Failure, go_error};

/// A longer line is no log line.
const LINE: u64 = 1 << 20;

pub(super) fn definition() -> Command {
    command("report", "Summarise an audit log as HTML or JSON")
        .arg(string("input", "audit log to read, JSON lines (- for stdin)"))
        .arg(string("format", "html, json, bundle (default \"html\")"))
        .arg(string("output", "output file, or directory of a bundle (default: stdout)").short('o'))
        .arg(integer("days", "only the last N days"))
        .arg(string("since", "only events from this time on (RFC 3339 or YYYY-MM-DD)"))
        .arg(string("until", "only events up to this time (RFC 3339, or YYYY-MM-DD with that day)"))
        .arg(string("title", "title of the report (default \"Pipelock Security Report\")"))
        .arg(integer("max-evidence", "most events that are listed (default 100)"))
        .arg(boolean("no-redact", "list whole URLs and client addresses"))
        .arg(boolean("sign", "sign the bundle (not part of muselet)"))
        .arg(string("agent", "agent that signs"))
        .arg(string("keystore", "directory of keys"))
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    let given = |name| text(matches, name).filter(|text| !text.is_empty());
    let input =
        given("input").ok_or_else(|| Failure::new("--input is required (file path or - for stdin)"))?;
    let format = given("format").unwrap_or("html");
    let output = given("output");
    if !matches!(format, "html" | "json" | "bundle") {
        return Err(Failure::new(format!("unsupported format {format:?} (use html, json, or bundle)")));
    }
    match (flag(matches, "sign"), format) {
        (true, "bundle") => return Err(Failure::new("--sign: signatures are not part of muselet")),
        (true, _) => return Err(Failure::new("--sign requires --format bundle")),
        _ => {}
    }
    if format == "bundle" && output.is_none() {
        return Err(Failure::new("--format bundle requires --output directory"));
    }
    let window = Window::of(matches)?;
    let most = matches.get_one::<i64>("max-evidence").copied().unwrap_or(100);
    let mut tally = Tally::new(usize::try_from(most).unwrap_or(0), !flag(matches, "no-redact"));
    let malformed = if input == "-" {
        read(&mut std::io::stdin().lock(), &window, &mut tally)
    } else {
        let file = File::open(input)
            .map_err(|e| Failure::new(format!("opening input: open {input}: {}", go_error(&e))))?;
        read(&mut BufReader::new(file), &window, &mut tally)
    };
    let malformed = malformed.map_err(|e| Failure::new(format!("reading input: {}", go_error(&e))))?;
    let title = given("title").unwrap_or("Pipelock Security Report");
    let report = tally.report(title);

    let done = match (format, output) {
        ("bundle", Some(directory)) => {
            DirBuilder::new().recursive(true).mode(0o750).create(directory).map_err(|e| {
                Failure::new(format!("creating output directory: mkdir {directory}: {}", go_error(&e)))
            })?;
            let directory = directory.trim_end_matches('/');
            write(&format!("{directory}/report.json"), &format!("{report:#}\n"), "writing report")?;
            write(&format!("{directory}/report.html"), &html::page(&report), "writing report")?;
            Done::silent()
        }
        (format, output) => {
            let contents = if format == "json" { format!("{report:#}\n") } else { html::page(&report) };
            match output {
                None => Done::text(contents),
                Some(path) => {
                    write(path, &contents, "writing report")?;
                    Done::silent()
                }
            }
        }
    };
    if malformed > 0 {
        super::run::prepare::say(&format!("WARNING: {malformed} malformed line(s) skipped during parsing"));
    }
    super::run::prepare::say(&format!(
        "Report generated: {} risk, {} events, {} blocks",
        tally.risk(),
        tally.total,
        tally.blocks
    ));
    Ok(done)
}

/// Reads events line by line; the number of lines that are none.
fn read(from: &mut dyn BufRead, window: &Window, tally: &mut Tally) -> std::io::Result<usize> {
    let mut malformed = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        if from.take(LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(malformed);
        }
        let whole = line.ends_with(b"\n") || (line.len() as u64) < LINE;
        if whole && line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Map<String, Value>>(&line) {
            Ok(event) if event.get("event").is_some_and(Value::is_string) => {
                if window.holds(&event) {
                    tally.add(&event);
                }
            }
            _ => malformed += 1,
        }
        if !whole {
            // The rest of an over-long line.
            while !line.ends_with(b"\n") {
                line.clear();
                if from.take(LINE).read_until(b'\n', &mut line)? == 0 {
                    break;
                }
            }
        }
    }
}

/// The time that is looked at; `until` is not part of it.
struct Window {
    since: Option<OffsetDateTime>,
    until: Option<OffsetDateTime>,
}

impl Window {
    fn of(matches: &ArgMatches) -> Result<Window, Failure> {
        let days = matches.get_one::<i64>("days").copied().filter(|days| *days > 0);
        let since = match moment(matches, "since", Duration::ZERO)? {
            None => days.and_then(|days| {
                OffsetDateTime::now_utc().checked_sub(Duration::seconds(days.saturating_mul(86_400)))
            }),
            since => since,
        };
        Ok(Window { since, until: moment(matches, "until", Duration::DAY)? })
    }

    fn holds(&self, event: &Map<String, Value>) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let stamp = event.get("time").and_then(Value::as_str).unwrap_or_default();
        let Ok(time) = OffsetDateTime::parse(stamp, &Rfc3339) else { return false };
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }
}

/// The time that a flag gives. A day without a time begins the window; with `end` behind it, it is the last of it.
fn moment(matches: &ArgMatches, name: &str, end: Duration) -> Result<Option<OffsetDateTime>, Failure> {
    let Some(typed) = text(matches, name).filter(|typed| !typed.is_empty()) else { return Ok(None) };
    let time = match OffsetDateTime::parse(typed, &Rfc3339) {
        Ok(time) => Some(time),
        Err(_) => OffsetDateTime::parse(&format!("{typed}T00:00:00Z"), &Rfc3339)
            .ok()
            .and_then(|day| day.checked_add(end)),
    };
    let wrong = || Failure::new(format!("invalid --{name} {typed:?}: use RFC 3339 or YYYY-MM-DD"));
    time.map(Some).ok_or_else(wrong)
}
