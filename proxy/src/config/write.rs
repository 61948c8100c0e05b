//! A configuration as a YAML document: block style, four spaces, quotes only where the text would be read as something else.
//!
//! The form is that of the reference's own generator, so that documents of both can be compared line by line.
//! Spec: config §10.1, cli-and-image §7.1.

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value as Json;

use super::schema::Config;
use super::value::Setting as _;
use super::yaml::{Resolved, resolve};

impl Config {
    /// Every key in schema order, empty ones included, except those that are left out when empty.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        Writer { leaf: setting }.document(&self.dump())
    }
}

/// A map as a document; its texts stay texts.
#[must_use]
pub fn document(value: &Json) -> String {
    Writer { leaf }.document(value)
}

struct Writer {
    /// What has nothing below it.
    leaf: fn(&Json) -> String,
}

impl Writer {
    fn document(&self, value: &Json) -> String {
        let mut out = String::new();
        if let Json::Object(fields) = value {
            for (key, value) in fields {
                self.entry(&mut out, 0, "", key, value);
            }
        }
        out
    }

    /// Writes `key: value` at an indentation; `lead` replaces the indentation's last part (the dash of a list item).
    fn entry(&self, out: &mut String, indent: usize, lead: &str, key: &str, value: &Json) {
        let pad = " ".repeat(indent - lead.len());
        let _ = write!(out, "{pad}{lead}{}:", scalar(key));
        match value {
            Json::Object(fields) if !fields.is_empty() => {
                out.push('\n');
                for (key, value) in fields {
                    self.entry(out, indent + 4, "", key, value);
                }
            }
            Json::Array(items) if !items.is_empty() => {
                out.push('\n');
                for item in items {
                    self.list_item(out, indent + 4, item);
                }
            }
            Json::String(text) if is_block(text) => block(out, indent + 4, text),
            value => {
                let _ = writeln!(out, " {}", (self.leaf)(value));
            }
        }
    }

    fn list_item(&self, out: &mut String, indent: usize, item: &Json) {
        match item {
            Json::Object(fields) if !fields.is_empty() => {
                for (i, (key, value)) in fields.iter().enumerate() {
                    self.entry(out, indent + 2, if i == 0 { "- " } else { "" }, key, value);
                }
            }
            Json::String(text) if is_block(text) => {
                let _ = write!(out, "{:indent$}-", "");
                block(out, indent + 2, text);
            }
            item => {
                let _ = writeln!(out, "{}- {}", " ".repeat(indent), (self.leaf)(item));
            }
        }
    }
}

/// Whether a text is better read line by line: several lines of printable characters, the first not indented.
fn is_block(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
        && !text.starts_with([' ', '\n'])
        && !text
            .chars()
            .any(|c| (c.is_control() && c != '\n') || matches!(c, '\u{FEFF}' | '\u{2028}' | '\u{2029}'))
}

fn block(out: &mut String, indent: usize, text: &str) {
    let body = text.trim_end_matches('\n');
    let keep = match text.len() - body.len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let _ = writeln!(out, " |{keep}");
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        let pad = if line.is_empty() { 0 } else { indent };
        let _ = writeln!(out, "{:pad$}{line}", "");
    }
}

/// A value of a dump, where numbers that JSON does not have are texts.
fn setting(value: &Json) -> String {
    match value.as_str() {
        Some("NaN") => ".nan".to_owned(),
        Some("+Inf") => ".inf".to_owned(),
        Some("-Inf") => "-.inf".to_owned(),
        _ => leaf(value),
    }
}

fn leaf(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => scalar(text),
        // Empty, or a list within a list.
        value => value.to_string(),
    }
}

/// Words and numbers that older readers take for something else than text.
static MISREAD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)$",
    )
    .ok()
});

/// Text, plain where it stays text, else in single quotes, else in double quotes.
#[must_use]
pub fn scalar(text: &str) -> String {
    let is_text = matches!(resolve(None, text), Ok((_, Resolved::Text(_))))
        && MISREAD.as_ref().is_some_and(|misread| !misread.is_match(text));
    if !is_text || text.chars().any(|c| c.is_control() || matches!(c, '\u{FEFF}' | '\u{2028}' | '\u{2029}')) {
        return double_quoted(text);
    }
    if may_stand_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn may_stand_plain(text: &str) -> bool {
    let starts_like_syntax = text.starts_with(|c| "#,[]{}&*!|>'\"%@`".contains(c))
        || ["-", "?", ":"].iter().any(|mark| text == *mark || text.starts_with(&format!("{mark} ")))
        || text.starts_with("---")
        || text.starts_with("...");
    let holds_syntax = text.contains(": ") || text.ends_with(':') || text.contains(" #");
    !(starts_like_syntax || holds_syntax || text.starts_with(' ') || text.ends_with(' '))
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{FEFF}' | '\u{2028}' | '\u{2029}') => {
                let code = u32::from(c);
                let _ =
                    if code < 0x100 { write!(out, "\\x{code:02X}") } else { write!(out, "\\u{code:04X}") };
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
