//! The kinds of value a configuration holds, and the macro that declares a section.
//!
//! A section is declared once, as a struct whose fields carry their documentation, type and canonical name; decoding,
//! printing of effective values, the canonical JSON behind the policy hash, and the reference of all keys come from
//! that one declaration. Lists and maps remember whether they were given at all, because the reference tells
//! "not given" from "empty" in places.

mod collection;
mod scalar;
pub(crate) mod section;

use std::fmt;

use serde_json::Value as Json;

use super::yaml::Value;

pub use collection::{List, Map};
pub use scalar::Secret;
pub(crate) use section::sections;
pub use section::{Mark, Section, Shape};

/// One key of the schema, for documentation and tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Dotted path; `[]` stands for a list item, `NAME` for a key of a free-form map.
    pub path: String,
    /// The type, in words.
    pub kind: String,
    /// One sentence on what it does.
    pub doc: &'static str,
}

/// What the schema needs of a value beyond decoding.
pub trait Setting: Value + fmt::Debug {
    /// The value of a key that is not given and has no default.
    fn zero() -> Self
    where
        Self: Sized;

    /// Turns the switches on that are on unless the file says otherwise (spec: config §3.2).
    fn arm(&mut self) {}

    /// Turns this switch on; nothing for what is no switch.
    fn switch_on(&mut self) {}

    /// Whether a key that is left out when empty would be left out.
    fn is_empty_value(&self) -> bool;

    /// The effective value.
    fn dump(&self) -> Json;

    /// Appends the canonical JSON of the policy hash.
    fn canonical(&self, out: &mut Canonical);

    /// Appends the keys below `path`.
    fn keys(&self, path: &str, doc: &'static str, out: &mut Vec<KeyInfo>);
}

/// Canonical JSON under construction (spec: config §12.2).
#[derive(Default)]
pub struct Canonical {
    /// The text so far.
    pub text: String,
    /// Whether a number without a JSON form was met.
    pub unrepresentable: bool,
}

impl Canonical {
    /// Appends a string with the escapes of the canonical form.
    pub fn string(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                c if c < ' ' || matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') => {
                    self.text.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    fn float(&mut self, value: f64) {
        if !value.is_finite() {
            self.unrepresentable = true;
            return self.text.push_str("null");
        }
        let size = value.abs();
        if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = format!("{value:e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            self.text.push_str(&format!("{mantissa}e{sign}{exponent}"));
        } else {
            self.text.push_str(&format!("{value}"));
        }
    }
}
