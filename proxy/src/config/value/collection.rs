//! Values of values: optional ones, lists, maps. Lists and maps remember whether they were given at all.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use serde_json::Value as Json;

use super::{Canonical, KeyInfo, Setting};
use crate::config::yaml::{Decoder, Entries, Fatal, NodeId, Value};

/// Turns the first of `keys`, which describes an item, into the description of the collection at `path`.
fn collection(path: &str, keys: &mut [KeyInfo], kind: &str) {
    let Some(first) = keys.first_mut() else { return };
    path.clone_into(&mut first.path);
    first.kind = if first.kind == "section" { kind.to_owned() } else { format!("{kind} of {}", first.kind) };
}

impl<T: Setting> Value for Option<T> {
    fn go_type(&self) -> String {
        T::zero().go_type()
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
    fn keys(&self, path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        let start = out.len();
        T::zero().keys(path, doc, out);
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
    fn go_type(&self) -> String {
        format!("[]{}", T::zero().go_type())
    }

    fn may_be_shown(&self) -> bool {
        T::zero().may_be_shown()
    }

    fn null(&mut self) -> bool {
        *self = List::unset();
        true
    }

    fn sequence(&mut self, decoder: &mut Decoder<'_>, node: NodeId) -> Option<Result<bool, Fatal>> {
        let mut items = Vec::new();
        for item in decoder.items(node) {
            let mut value = T::zero();
            match decoder.decode(*item, &mut value) {
                Ok(true) => items.push(value),
                Ok(false) => {}
                Err(fatal) => return Some(Err(fatal)),
            }
        }
        *self = List::from(items);
        Some(Ok(true))
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
    fn keys(&self, path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        let start = out.len();
        T::zero().keys(&format!("{path}[]"), doc, out);
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
    fn go_type(&self) -> String {
        format!("map[string]{}", T::zero().go_type())
    }

    fn may_be_shown(&self) -> bool {
        T::zero().may_be_shown()
    }

    fn null(&mut self) -> bool {
        *self = Map::unset();
        true
    }

    fn mapping(&mut self, decoder: &mut Decoder<'_>, node: NodeId) -> Option<Result<bool, Fatal>> {
        self.given = true;
        Some(decoder.entries(node, self))
    }
}

impl<T: Setting> Entries for Map<T> {
    fn entry(&mut self, key: String, decoder: &mut Decoder<'_>, item: NodeId) -> Result<(), Fatal> {
        let mut value = T::zero();
        let set = decoder.decode(item, &mut value)?;
        if set || (decoder.is_null(item) && !self.entries.contains_key(&key)) {
            self.entries.insert(key, value);
        }
        Ok(())
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
    fn keys(&self, path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
        let start = out.len();
        T::zero().keys(&format!("{path}.NAME"), doc, out);
        collection(path, &mut out[start..], "map");
    }
}
