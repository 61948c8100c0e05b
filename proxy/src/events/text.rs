//! Console lines: `TIME LEVEL MESSAGE key=value …`, keys sorted, with ANSI colours unless switched off.
//! spec: http-proxy §16.1, cli §18.4

use std::time::Duration;

use muselet_rules::Strictness;
use muselet_rules::order::sort_few;

use super::encode::{Fields, float_text, json_list, json_rules, json_string, millis, sanitise};
use super::event::{BundleRule, Event, Level};
use super::stamp::with_stamp;

const RESET: &str = "\x1b[0m";

/// Appends one line.
pub(super) fn line(out: &mut Vec<u8>, event: &Event<'_>, agent: &str, strictness: Strictness, colour: bool) {
    let mut pairs = Pairs { pairs: Vec::with_capacity(16) };
    pairs.raw("component", "pipelock");
    pairs.raw("event", event.name());
    if !agent.is_empty() && !event.names_agent() {
        pairs.str("agent", agent);
    }
    event.fields(strictness, &mut pairs);
    sort_few(&mut pairs.pairs, |(a, _), (b, _)| (*a != "error", a) < (*b != "error", b));

    let (tag, tag_colour) = match event.level() {
        Level::Info => ("INF", "\x1b[32m"),
        Level::Warn => ("WRN", "\x1b[33m"),
        Level::Error => ("ERR", "\x1b[31m"),
    };
    with_stamp(|stamp| painted(out, stamp, "\x1b[90m", colour));
    out.push(b' ');
    painted(out, tag, tag_colour, colour);
    out.push(b' ');
    painted(out, event.message(), "\x1b[1m", colour);
    for (key, value) in &pairs.pairs {
        out.push(b' ');
        painted(out, &format!("{key}="), "\x1b[36m", colour);
        out.extend_from_slice(value);
    }
    out.push(b'\n');
}

fn painted(out: &mut Vec<u8>, text: &str, colour: &str, on: bool) {
    if on {
        out.extend_from_slice(colour.as_bytes());
    }
    out.extend_from_slice(text.as_bytes());
    if on {
        out.extend_from_slice(RESET.as_bytes());
    }
}

struct Pairs {
    pairs: Vec<(&'static str, Vec<u8>)>,
}

impl Fields for Pairs {
    fn str(&mut self, key: &'static str, value: &str) {
        self.raw(key, &sanitise(value));
    }

    fn raw(&mut self, key: &'static str, value: &str) {
        let quote = value.chars().any(|c| matches!(c, ' ' | '"' | '\\' | '=') || c.is_control());
        let mut text = Vec::with_capacity(value.len() + 2);
        if quote {
            json_string(&mut text, value, false);
        } else {
            text.extend_from_slice(value.as_bytes());
        }
        self.pairs.push((key, text));
    }

    fn int(&mut self, key: &'static str, value: u64) {
        self.pairs.push((key, value.to_string().into_bytes()));
    }

    fn float(&mut self, key: &'static str, value: f64) {
        self.pairs.push((key, float_text(value).into_bytes()));
    }

    fn bool(&mut self, key: &'static str, value: bool) {
        self.pairs.push((key, value.to_string().into_bytes()));
    }

    fn millis(&mut self, key: &'static str, value: Duration) {
        self.float(key, millis(value));
    }

    fn list(&mut self, key: &'static str, values: &[&str]) {
        let mut text = Vec::new();
        json_list(&mut text, values, false);
        self.pairs.push((key, text));
    }

    fn rules(&mut self, key: &'static str, rules: &[BundleRule<'_>]) {
        if !rules.is_empty() {
            let mut text = Vec::new();
            json_rules(&mut text, rules, false);
            self.pairs.push((key, text));
        }
    }
}
