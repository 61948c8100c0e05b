//! The kinds of value a configuration holds, and the macro that declares a section.
//!
//! A section is declared once, as a struct whose fields carry their documentation, type and canonical name; decoding,
//! printing of effective values, the canonical JSON behind the policy hash, and the reference of all keys come from
//! that one declaration. Lists and maps remember whether they were given at all, because the reference tells
//! "not given" from "empty" in places.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};

use serde_json::{Map as JsonMap, Value as Json};

use super::yaml::{Decoder, Fatal, NodeId, Resolved, Tag, Timestamp, Value};

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
pub trait Setting: Value + Clone + PartialEq {
    /// The value of a key that is not given and has no default.
    fn zero() -> Self;

    /// Turns the switches on that are on unless the file says otherwise (spec: config §3.2).
    fn arm(&mut self) {}

    /// Whether a key that is left out when empty would be left out.
    fn is_empty_value(&self) -> bool;

    /// The effective value.
    fn dump(&self) -> Json;

    /// Appends the canonical JSON of the policy hash.
    fn canonical(&self, out: &mut Canonical);

    /// Appends the keys below `path`.
    fn keys(path: &str, doc: &'static str, out: &mut Vec<KeyInfo>);
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
        if size != 0.0 && (size < 1e-6 || size >= 1e21) {
            let text = format!("{value:e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            self.text.push_str(&format!("{mantissa}e{sign}{exponent}"));
        } else {
            self.text.push_str(&format!("{value}"));
        }
    }
}

fn leaf(path: &str, kind: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
    out.push(KeyInfo { path: path.to_owned(), kind: kind.to_owned(), doc });
}

/// Turns the first of `keys`, which describes an item, into the description of the collection at `path`.
fn collection(path: &str, keys: &mut [KeyInfo], kind: &str) {
    let Some(first) = keys.first_mut() else { return };
    path.clone_into(&mut first.path);
    first.kind = if first.kind == "section" { kind.to_owned() } else { format!("{kind} of {}", first.kind) };
}

impl Value for bool {
    fn go_type() -> String {
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
    fn is_empty_value(&self) -> bool {
        !self
    }
    fn dump(&self) -> Json {
        Json::from(*self)
    }
    fn canonical(&self, out: &mut Canonical) {
        out.text.push_str(if *self { "true" } else { "false" });
    }
    fn keys(path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        leaf(path, "bool", doc, out);
    }
}

impl Value for i64 {
    fn go_type() -> String {
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
    fn keys(path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        leaf(path, "int", doc, out);
    }
}

/// A whole number whose type has the longer name in error messages.
pub struct Wide<'v>(pub &'v mut i64);

impl Value for Wide<'_> {
    fn go_type() -> String {
        "int64".to_owned()
    }

    fn scalar(&mut self, tag: &Tag, value: Resolved, text: &str) -> Result<bool, String> {
        self.0.scalar(tag, value, text)
    }
}

impl Value for f64 {
    fn go_type() -> String {
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
    fn keys(path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        leaf(path, "num", doc, out);
    }
}

impl Value for String {
    fn go_type() -> String {
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
    fn keys(path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
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
    fn go_type() -> String {
        "string".to_owned()
    }
    fn may_be_shown() -> bool {
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
    fn keys(path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        leaf(path, "str", doc, out);
    }
}

impl Value for Timestamp {
    fn go_type() -> String {
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

    fn mapping(&mut self, decoder: &mut Decoder<'_>, node: NodeId) -> Result<bool, Fatal> {
        decoder.fields(node, self, &[], |_, _, _, _| None)
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
    fn keys(path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        leaf(path, "time", doc, out);
    }
}

impl<T: Setting> Value for Option<T> {
    fn go_type() -> String {
        T::go_type()
    }

    fn null(&mut self) -> bool {
        *self = None;
        true
    }

    fn through_pointer(&mut self, decoder: &mut Decoder<'_>, node: NodeId) -> Option<Result<bool, Fatal>> {
        Some(decoder.decode(node, self.get_or_insert_with(T::zero)))
    }
}

impl<T: Setting> Setting for Option<T> {
    fn zero() -> Self {
        None
    }
    fn is_empty_value(&self) -> bool {
        self.is_none()
    }
    fn dump(&self) -> Json {
        self.as_ref().map_or(Json::Null, Setting::dump)
    }
    fn canonical(&self, out: &mut Canonical) {
        match self {
            Some(value) => value.canonical(out),
            None => out.text.push_str("null"),
        }
    }
    fn keys(path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        let start = out.len();
        T::keys(path, doc, out);
        if let [only] = &mut out[start..] {
            only.kind.push('?');
        }
    }
}

/// A list that knows whether it was given: unset and `[]` are different values with the same items.
#[derive(Clone, Debug, PartialEq)]
pub struct List<T> {
    items: Vec<T>,
    given: bool,
}

impl<T> List<T> {
    /// The list of a key that is missing or null.
    #[must_use]
    pub const fn unset() -> Self {
        List { items: Vec::new(), given: false }
    }

    /// Whether the key was given, if only as `[]`.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.given
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List::unset()
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        List { items, given: true }
    }
}

impl From<&[&str]> for List<String> {
    fn from(items: &[&str]) -> Self {
        items.iter().map(|&item| item.to_owned()).collect()
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        List::from(Vec::from_iter(items))
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<T>;
    fn deref(&self) -> &Vec<T> {
        &self.items
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.items
    }
}

impl<'l, T> IntoIterator for &'l List<T> {
    type Item = &'l T;
    type IntoIter = std::slice::Iter<'l, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<T: Setting> Value for List<T> {
    fn go_type() -> String {
        format!("[]{}", T::go_type())
    }

    fn may_be_shown() -> bool {
        T::may_be_shown()
    }

    fn null(&mut self) -> bool {
        *self = List::unset();
        true
    }

    fn sequence(&mut self, decoder: &mut Decoder<'_>, node: NodeId) -> Result<bool, Fatal> {
        let mut items = Vec::new();
        for item in decoder.items(node) {
            let mut value = T::zero();
            if decoder.decode(*item, &mut value)? {
                items.push(value);
            }
        }
        *self = List::from(items);
        Ok(true)
    }
}

impl<T: Setting> Setting for List<T> {
    fn zero() -> Self {
        List::unset()
    }
    fn is_empty_value(&self) -> bool {
        self.items.is_empty()
    }
    fn dump(&self) -> Json {
        Json::Array(self.items.iter().map(Setting::dump).collect())
    }
    fn canonical(&self, out: &mut Canonical) {
        if !self.given {
            return out.text.push_str("null");
        }
        out.text.push('[');
        for (i, item) in self.items.iter().enumerate() {
            if i > 0 {
                out.text.push(',');
            }
            item.canonical(out);
        }
        out.text.push(']');
    }
    fn keys(path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        let start = out.len();
        T::keys(&format!("{path}[]"), doc, out);
        collection(path, &mut out[start..], "list");
    }
}

/// A map with free keys, sorted, that knows whether it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Map<T> {
    entries: BTreeMap<String, T>,
    given: bool,
}

impl<T> Map<T> {
    /// The map of a key that is missing or null.
    #[must_use]
    pub const fn unset() -> Self {
        Map { entries: BTreeMap::new(), given: false }
    }

    /// The value under `key`.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&T>
    where
        String: Borrow<Q>,
    {
        self.entries.get(key)
    }
}

impl<T> Default for Map<T> {
    fn default() -> Self {
        Map::unset()
    }
}

impl<T> Deref for Map<T> {
    type Target = BTreeMap<String, T>;
    fn deref(&self) -> &BTreeMap<String, T> {
        &self.entries
    }
}

impl<T> DerefMut for Map<T> {
    fn deref_mut(&mut self) -> &mut BTreeMap<String, T> {
        &mut self.entries
    }
}

impl<'m, T> IntoIterator for &'m Map<T> {
    type Item = (&'m String, &'m T);
    type IntoIter = std::collections::btree_map::Iter<'m, String, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

impl<T: Setting> Value for Map<T> {
    fn go_type() -> String {
        format!("map[string]{}", T::go_type())
    }

    fn may_be_shown() -> bool {
        T::may_be_shown()
    }

    fn null(&mut self) -> bool {
        *self = Map::unset();
        true
    }

    fn mapping(&mut self, decoder: &mut Decoder<'_>, node: NodeId) -> Result<bool, Fatal> {
        self.given = true;
        decoder.entries(node, self, |map, key, decoder, item| {
            let mut value = T::zero();
            let set = decoder.decode(item, &mut value)?;
            if set || (decoder.is_null(item) && !map.entries.contains_key(&key)) {
                map.entries.insert(key, value);
            }
            Ok(())
        })
    }
}

impl<T: Setting> Setting for Map<T> {
    fn zero() -> Self {
        Map::unset()
    }
    fn is_empty_value(&self) -> bool {
        self.entries.is_empty()
    }
    fn dump(&self) -> Json {
        Json::Object(self.entries.iter().map(|(key, value)| (key.clone(), value.dump())).collect())
    }
    fn canonical(&self, out: &mut Canonical) {
        if !self.given {
            return out.text.push_str("null");
        }
        out.text.push('{');
        for (i, (key, value)) in self.entries.iter().enumerate() {
            if i > 0 {
                out.text.push(',');
            }
            out.string(key);
            out.text.push(':');
            value.canonical(out);
        }
        out.text.push('}');
    }
    fn keys(path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        let start = out.len();
        T::keys(&format!("{path}.NAME"), doc, out);
        collection(path, &mut out[start..], "map");
    }
}

/// Puts a field's effective value under its key, unless it is empty and one of those then left out.
pub fn dump_field<T: Setting>(
    out: &mut JsonMap<String, Json>,
    key: &str,
    value: &T,
    left_out_when_empty: bool,
) {
    if !(left_out_when_empty && value.is_empty_value()) {
        out.insert(key.to_owned(), value.dump());
    }
}

/// Appends `"Name":value` of one field; fields without a canonical name are ours alone and stay out.
pub fn canonical_field<T: Setting>(out: &mut Canonical, first: &mut bool, name: &str, value: &T) {
    if name.is_empty() {
        return;
    }
    if !std::mem::take(first) {
        out.text.push(',');
    }
    out.text.push('"');
    out.text.push_str(name);
    out.text.push_str("\":");
    value.canonical(out);
}

/// Declares sections. Each field reads `/// doc` `key: Type = "CanonicalName"` with an optional mark:
/// `[omit]` left out of effective values when empty; `[secure]` on unless the file says otherwise;
/// `[internal]` not settable from a file; `[wide]`, `[omit_wide]` the same numbers under the reference's other type name.
macro_rules! sections {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident($go_type:literal) {
            $( $(#[doc = $doc:literal])+ $key:ident: $type:ty = $name:literal $([$mark:ident])?, )*
        }
    )*) => { $(
        $(#[doc = $section_doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $section {
            $( $(#[doc = $doc])+ pub $key: $type, )*
        }

        impl Default for $section {
            fn default() -> Self {
                <Self as $crate::config::value::Setting>::zero()
            }
        }

        impl $crate::config::yaml::Value for $section {
            fn go_type() -> String {
                $go_type.to_owned()
            }

            fn mapping(
                &mut self,
                decoder: &mut $crate::config::yaml::Decoder<'_>,
                node: $crate::config::yaml::NodeId,
            ) -> Result<bool, $crate::config::yaml::Fatal> {
                const KNOWN: &[&str] = &[ $( stringify!($key), )* ];
                decoder.fields(node, self, KNOWN, |section, key, decoder, item| match key {
                    $( stringify!($key) if sections!(@settable $($mark)?) => {
                        Some(sections!(@decode decoder item section.$key $($mark)?))
                    } )*
                    _ => None,
                })
            }
        }

        impl $crate::config::value::Setting for $section {
            fn zero() -> Self {
                $section { $( $key: <$type as $crate::config::value::Setting>::zero(), )* }
            }

            fn arm(&mut self) {
                $( sections!(@arm self.$key $($mark)?); )*
            }

            fn is_empty_value(&self) -> bool {
                true $( && sections!(@empty self.$key $($mark)?) )*
            }

            fn dump(&self) -> serde_json::Value {
                let mut out = serde_json::Map::new();
                $( sections!(@dump out $key self.$key $($mark)?); )*
                serde_json::Value::Object(out)
            }

            fn canonical(&self, out: &mut $crate::config::value::Canonical) {
                let mut first = true;
                out.text.push('{');
                $( $crate::config::value::canonical_field(out, &mut first, $name, &self.$key); )*
                out.text.push('}');
            }

            fn keys(path: &str, doc: &'static str, out: &mut Vec<$crate::config::value::KeyInfo>) {
                let mut prefix = String::new();
                if !path.is_empty() {
                    let (path, kind) = (path.to_owned(), "section".to_owned());
                    prefix = format!("{path}.");
                    out.push($crate::config::value::KeyInfo { path, kind, doc });
                }
                $( if sections!(@settable $($mark)?) {
                    let path = format!("{prefix}{}", stringify!($key));
                    <$type as $crate::config::value::Setting>::keys(&path, concat!($($doc,)+).trim(), out);
                } )*
            }
        }
    )* };
    (@decode $decoder:ident $item:ident $section:ident.$key:ident wide) => {
        $decoder.decode($item, &mut $crate::config::value::Wide(&mut $section.$key))
    };
    (@decode $decoder:ident $item:ident $section:ident.$key:ident omit_wide) => {
        sections!(@decode $decoder $item $section.$key wide)
    };
    (@decode $decoder:ident $item:ident $section:ident.$key:ident $($mark:ident)?) => {
        $decoder.decode($item, &mut $section.$key)
    };
    (@empty $self:ident.$key:ident secure) => { $self.$key };
    (@empty $self:ident.$key:ident $($mark:ident)?) => {
        $crate::config::value::Setting::is_empty_value(&$self.$key)
    };
    (@settable internal) => { false };
    (@settable $($mark:ident)?) => { true };
    (@arm $self:ident.$key:ident secure) => { $self.$key = true };
    (@arm $self:ident.$key:ident $($mark:ident)?) => { $crate::config::value::Setting::arm(&mut $self.$key) };
    (@dump $out:ident $key:ident $self:ident.$field:ident internal) => {};
    (@dump $out:ident $key:ident $self:ident.$field:ident omit) => {
        $crate::config::value::dump_field(&mut $out, stringify!($key), &$self.$field, true)
    };
    (@dump $out:ident $key:ident $self:ident.$field:ident omit_wide) => {
        sections!(@dump $out $key $self.$field omit)
    };
    (@dump $out:ident $key:ident $self:ident.$field:ident $($mark:ident)?) => {
        $crate::config::value::dump_field(&mut $out, stringify!($key), &$self.$field, false)
    };
}

pub(crate) use sections;
