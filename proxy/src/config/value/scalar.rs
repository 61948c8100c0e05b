//! Single values: switches, numbers, texts, secrets, times.

use std::fmt;

use serde_json::Value as Json;

use super::{Canonical, KeyInfo, Setting};
use crate::config::yaml::{Decoder, Fatal, NodeId, Resolved, Slot, Struct, Tag, Timestamp, Value};

fn leaf(path: &str, kind: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
    out.push(KeyInfo { path: path.to_owned(), kind: kind.to_owned(), doc });
}

impl Value for bool {
    fn go_type(&self) -> String {
        "bool".to_owned()
    }

    fn scalar(&mut self, _tag: &Tag, value: Resolved, _text: &str) -> Result<bool, String> {
        let word = match value {
            Resolved::Bool(word) => word,
            Resolved::Text(word) => match word.as_str() {
                "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => true,
                "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => false,
                _ => return Ok(false),
            },
            _ => return Ok(false),
        };
        *self = word;
        Ok(true)
    }
}

impl Setting for bool {
    fn zero() -> Self {
        false
    }
    fn switch_on(&mut self) {
        *self = true;
    }
    fn is_empty_value(&self) -> bool {
        !self
    }
    fn dump(&self) -> Json {
        Json::from(*self)
    }
    fn canonical(&self, out: &mut Canonical) {
        out.text.push_str(if *self { "true" } else { "false" });
    }
    fn keys(&self, path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        leaf(path, "bool", doc, out);
    }
}

impl Value for i64 {
    fn go_type(&self) -> String {
        "int".to_owned()
    }

    fn scalar(&mut self, _tag: &Tag, value: Resolved, _text: &str) -> Result<bool, String> {
        *self = match value {
            Resolved::Int(int) => int,
            Resolved::Float(float) if float < 9_223_372_036_854_775_808.0 => float as i64,
            // The reference's comparison rounds its own bound up to 2^63, which then wraps.
            Resolved::Float(9_223_372_036_854_775_808.0) => i64::MIN,
            _ => return Ok(false),
        };
        Ok(true)
    }
}

impl Setting for i64 {
    fn zero() -> Self {
        0
    }
    fn is_empty_value(&self) -> bool {
        *self == 0
    }
    fn dump(&self) -> Json {
        Json::from(*self)
    }
    fn canonical(&self, out: &mut Canonical) {
        out.text.push_str(&self.to_string());
    }
    fn keys(&self, path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        leaf(path, "int", doc, out);
    }
}

impl Value for f64 {
    fn go_type(&self) -> String {
        "float64".to_owned()
    }

    fn scalar(&mut self, _tag: &Tag, value: Resolved, _text: &str) -> Result<bool, String> {
        *self = match value {
            Resolved::Int(int) => int as f64,
            Resolved::Uint(int) => int as f64,
            Resolved::Float(float) => float,
            _ => return Ok(false),
        };
        Ok(true)
    }
}

impl Setting for f64 {
    fn zero() -> Self {
        0.0
    }
    fn is_empty_value(&self) -> bool {
        *self == 0.0
    }
    fn dump(&self) -> Json {
        match () {
            () if self.is_nan() => Json::from("NaN"),
            () if self.is_infinite() => Json::from(if *self > 0.0 { "+Inf" } else { "-Inf" }),
            () if self.fract() == 0.0 && self.abs() < 9e15 => Json::from(*self as i64),
            () => Json::from(*self),
        }
    }
    fn canonical(&self, out: &mut Canonical) {
        out.float(*self);
    }
    fn keys(&self, path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        leaf(path, "num", doc, out);
    }
}

impl Value for String {
    fn go_type(&self) -> String {
        "string".to_owned()
    }

    fn scalar(&mut self, tag: &Tag, value: Resolved, text: &str) -> Result<bool, String> {
        *self = match value {
            Resolved::Text(decoded) if *tag == Tag::BINARY => decoded,
            _ => text.to_owned(),
        };
        Ok(true)
    }
}

impl Setting for String {
    fn zero() -> Self {
        String::new()
    }
    fn is_empty_value(&self) -> bool {
        self.is_empty()
    }
    fn dump(&self) -> Json {
        Json::from(self.as_str())
    }
    fn canonical(&self, out: &mut Canonical) {
        out.string(self);
    }
    fn keys(&self, path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        leaf(path, "str", doc, out);
    }
}

/// Text that must not appear in logs, errors or debug output: tokens, canary values, data-source names with keys.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret(text.to_owned())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret([hidden])" })
    }
}

impl Value for Secret {
    fn go_type(&self) -> String {
        "string".to_owned()
    }
    fn may_be_shown(&self) -> bool {
        false
    }
    fn scalar(&mut self, tag: &Tag, value: Resolved, text: &str) -> Result<bool, String> {
        self.0.scalar(tag, value, text)
    }
}

impl Setting for Secret {
    fn zero() -> Self {
        Secret::default()
    }
    fn is_empty_value(&self) -> bool {
        self.0.is_empty()
    }
    fn dump(&self) -> Json {
        Json::from(self.0.as_str())
    }
    fn canonical(&self, out: &mut Canonical) {
        out.string(&self.0);
    }
    fn keys(&self, path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        leaf(path, "str", doc, out);
    }
}

impl Value for Timestamp {
    fn go_type(&self) -> String {
        "time.Time".to_owned()
    }

    fn scalar(&mut self, tag: &Tag, value: Resolved, text: &str) -> Result<bool, String> {
        *self = match value {
            Resolved::Time(time) => time,
            Resolved::Text(decoded) if *tag == Tag::BINARY => Timestamp::from_text(&decoded)?,
            _ => Timestamp::from_text(text)?,
        };
        Ok(true)
    }

    fn mapping(&mut self, decoder: &mut Decoder<'_>, node: NodeId) -> Option<Result<bool, Fatal>> {
        Some(decoder.fields(node, self))
    }
}

/// A map in the place of a time is read as one without any known key.
impl Struct for Timestamp {
    fn known_keys(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn slot(&mut self, _key: &str) -> Option<Slot<'_>> {
        None
    }
}

impl Setting for Timestamp {
    fn zero() -> Self {
        Timestamp(None)
    }
    fn is_empty_value(&self) -> bool {
        self.is_zero()
    }
    fn dump(&self) -> Json {
        Json::from(self.to_string())
    }
    fn canonical(&self, out: &mut Canonical) {
        out.string(&self.to_string());
    }
    fn keys(&self, path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        leaf(path, "time", doc, out);
    }
}
