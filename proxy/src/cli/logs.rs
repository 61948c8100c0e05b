//! `logs`: prints lines of an audit log file, filtered by event. spec: cli-and-image §10

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::time::Duration;

use clap::{ArgMatches, Command};

use super::grammar::{boolean, command, flag, integer, string, text};
use super::{Done, Failure, go_error};

/// A longer line is no log line.
const LINE: usize = 64 * 1024;

/// How often `--follow` looks for more.
const POLL: Duration = Duration::from_millis(250);

pub(super) fn definition() -> Command {
    command("logs", "View Pipelock audit logs")
        .arg(string("file", "path of the audit log file"))
        .arg(integer("last", "show the last N matching entries (0 = all)").short('n'))
        .arg(string("filter", "event type to show (allowed, blocked, error, anomaly, ...)"))
        .arg(boolean("follow", "follow the log").short('f'))
}

pub(super) fn run(matches: &ArgMatches) -> Result<Done, Failure> {
    let path = text(matches, "file").unwrap_or("");
    if path.is_empty() {
        return Err(Failure::new("--file is required (specify the audit log file path)"));
    }
    let filter = text(matches, "filter").unwrap_or("");
    let last = matches.get_one::<i64>("last").copied().unwrap_or(0);
    let keep = usize::try_from(last).ok().filter(|n| *n > 0);
    let file = File::open(path)
        .map_err(|e| Failure::new(format!("opening log file: open {path}: {}", go_error(&e))))?;
    let mut reader = BufReader::new(file);
    let shown = matching(&mut reader, filter, keep).map_err(Failure::new)?;
    if !flag(matches, "follow") {
        return Ok(Done::text(shown));
    }
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(&shown).and_then(|()| out.flush());
    let _ = writeln!(std::io::stderr(), "--- following (Ctrl+C to stop) ---");
    let mut partial = Vec::new();
    loop {
        let read = reader.read_until(b'\n', &mut partial);
        match read {
            Ok(0) => std::thread::sleep(POLL),
            Ok(_) if partial.ends_with(b"\n") => {
                if matches_filter(&partial, filter)
                    && out.write_all(&partial).and_then(|()| out.flush()).is_err()
                {
                    return Ok(Done::silent());
                }
                partial.clear();
            }
            Ok(_) => {}
            Err(e) => return Err(Failure::new(format!("reading log file: {}", go_error(&e)))),
        }
    }
}

/// All matching lines, or the last `keep` of them.
fn matching(reader: &mut BufReader<File>, filter: &str, keep: Option<usize>) -> Result<Vec<u8>, String> {
    let mut lines: VecDeque<Vec<u8>> = VecDeque::new();
    loop {
        let mut line = Vec::new();
        let read = reader
            .by_ref()
            .take(LINE as u64 + 1)
            .read_until(b'\n', &mut line)
            .map_err(|e| format!("reading log file: {}", go_error(&e)))?;
        if read == 0 {
            return Ok(lines.into_iter().flatten().collect());
        }
        if line.len() > LINE {
            return Err("reading log file: bufio.Scanner: token too long".into());
        }
        if !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        if matches_filter(&line, filter) {
            lines.push_back(line);
            if keep.is_some_and(|n| lines.len() > n) {
                lines.pop_front();
            }
        }
    }
}

/// A JSON object matches by its `event`; any other line by containing the word.
fn matches_filter(line: &[u8], filter: &str) -> bool {
    if filter.is_empty() {
        return true;
    }
    match serde_json::from_slice::<serde_json::Value>(line) {
        Ok(serde_json::Value::Object(object)) => {
            object.get("event").and_then(serde_json::Value::as_str) == Some(filter)
        }
        _ => memchr::memmem::find(line, filter.as_bytes()).is_some(),
    }
}
