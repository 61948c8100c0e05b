//! Strict decoding of a document into typed values: one small trait, one walker that knows the dialect's rules.
//!
//! All content errors of a document are collected and reported together; a broken alias, merge or `!!` tag stops at
//! once. Values are filled in place, so a null or a missing key leaves what was there.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use super::document::{Document, NodeId, NodeKind};
use super::scalar::{self, Resolved, Tag};
use super::{Problem, YamlError};
use crate::config::schema::Config;

/// At most this many content errors are reported for one document.
const MAX_PROBLEMS: usize = 200;

/// Base64 with padding whose last bits may be anything.
const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Decoding cannot go on.
#[derive(Debug)]
pub struct Fatal(YamlError);

/// Something a YAML node can be decoded into. Used through `dyn`: one copy of the walker serves the whole schema.
pub trait Value {
    /// The type's name in error messages, for example `[]string` or `config.DLP`.
    fn go_type(&self) -> String;

    /// Whether scalars given in its place may be quoted in error messages; false for what holds secrets.
    fn may_be_shown(&self) -> bool {
        true
    }

    /// Takes a null. Returns whether the value took it, which decides whether a list keeps the item.
    fn null(&mut self) -> bool {
        false
    }

    /// Takes a typed scalar (`text` is its source). `Ok(false)`: wrong type.
    ///
    /// # Errors
    /// A message that stops the decoding.
    fn scalar(&mut self, _tag: &Tag, _value: Resolved, _text: &str) -> Result<bool, String> {
        Ok(false)
    }

    /// Takes a map; duplicate keys have been refused already. `None`: wrong type.
    fn mapping(&mut self, _decoder: &mut Decoder<'_>, _node: NodeId) -> Option<Result<bool, Fatal>> {
        None
    }

    /// Takes a list. `None`: wrong type.
    fn sequence(&mut self, _decoder: &mut Decoder<'_>, _node: NodeId) -> Option<Result<bool, Fatal>> {
        None
    }

    /// Takes the node through a pointer, when the value is one.
    fn through_pointer(&mut self, _decoder: &mut Decoder<'_>, _node: NodeId) -> Option<Result<bool, Fatal>> {
        None
    }
}

/// A map whose keys are fixed.
pub trait Struct: Value {
    /// The keys that may be given.
    fn known_keys(&self) -> Vec<&'static str>;

    /// Where the value of a key goes; `None` when there is no such key.
    fn slot(&mut self, key: &str) -> Option<Slot<'_>>;
}

/// Where the value of a key goes.
pub struct Slot<'v> {
    /// The place.
    pub value: &'v mut dyn Value,
    /// The type's name in error messages, where it is not the value's own.
    pub go_type: Option<&'static str>,
}

/// A map with free keys.
pub trait Entries: Value {
    /// Takes one entry.
    ///
    /// # Errors
    /// When decoding cannot go on.
    fn entry(&mut self, key: String, decoder: &mut Decoder<'_>, item: NodeId) -> Result<(), Fatal>;
}

/// Walks a document and collects what is wrong with it.
pub struct Decoder<'d> {
    doc: &'d Document,
    problems: Vec<Problem>,
    /// Keys that are already settled while merged maps are read; `None` outside merges.
    merged: Option<HashSet<String>>,
    following: Vec<NodeId>,
    decoded: u64,
    decoded_in_aliases: u64,
}

impl<'d> Decoder<'d> {
    /// Decodes the root of `doc` into `value`. An empty document leaves it as it is.
    ///
    /// # Errors
    /// All content errors, or the first that stops the decoding.
    pub fn run(doc: &'d Document, value: &mut dyn Value) -> Result<(), YamlError> {
        let Some(root) = doc.root() else { return Ok(()) };
        let mut decoder = Decoder {
            doc,
            problems: Vec::new(),
            merged: None,
            following: Vec::new(),
            decoded: 0,
            decoded_in_aliases: 0,
        };
        decoder.decode(root, value).map_err(|Fatal(error)| error)?;
        if decoder.problems.is_empty() { Ok(()) } else { Err(YamlError::Content(decoder.problems)) }
    }

    /// Decodes one node. Returns whether the value was set.
    ///
    /// # Errors
    /// When decoding cannot go on.
    pub fn decode(&mut self, id: NodeId, value: &mut dyn Value) -> Result<bool, Fatal> {
        self.decode_slot(id, Slot { value, go_type: None })
    }

    fn decode_slot(&mut self, id: NodeId, slot: Slot<'_>) -> Result<bool, Fatal> {
        self.count()?;
        let node = self.doc.node(id);
        if let NodeKind::Alias(target) = node.kind {
            return self.follow(id, target, slot);
        }
        let is_null = node.tag.as_ref() == Some(&Tag::NULL);
        if !is_null && let Some(done) = slot.value.through_pointer(self, id) {
            return done;
        }
        let (taken, tag) = match &node.kind {
            NodeKind::Scalar { .. } => return self.decode_scalar(id, slot),
            NodeKind::Mapping(_) => {
                if self.has_duplicate_keys(id) {
                    return Ok(false);
                }
                (slot.value.mapping(self, id), &Tag::MAP)
            }
            NodeKind::Sequence(_) => (slot.value.sequence(self, id), &Tag::SEQ),
            NodeKind::Alias(_) => return Ok(false),
        };
        taken.unwrap_or_else(|| {
            self.type_error(id, tag, &slot, true);
            Ok(false)
        })
    }

    fn decode_scalar(&mut self, id: NodeId, slot: Slot<'_>) -> Result<bool, Fatal> {
        let node = self.doc.node(id);
        let NodeKind::Scalar { text, quoted } = &node.kind else { return Ok(false) };
        let is_text = node.tag.as_ref() == Some(&Tag::STR) || (*quoted && !node.tagged);
        let (tag, mut resolved) = if is_text {
            (Tag::STR, Resolved::Text(text.clone()))
        } else {
            scalar::resolve(node.tag.as_ref(), text).map_err(|message| self.stop(id, message))?
        };
        if tag == Tag::BINARY {
            let clean: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            let bytes = LENIENT_BASE64
                .decode(clean)
                .map_err(|_| self.stop(id, "!!binary value contains invalid base64 data".to_owned()))?;
            resolved = Resolved::Text(String::from_utf8_lossy(&bytes).into_owned());
        }
        if resolved == Resolved::Null {
            return Ok(slot.value.null());
        }
        match slot.value.scalar(&tag, resolved, text) {
            Ok(true) => Ok(true),
            Ok(false) => {
                self.type_error(id, &tag, &slot, slot.value.may_be_shown());
                Ok(false)
            }
            Err(message) => Err(Fatal(YamlError::Text(self.problem_at(id, message)))),
        }
    }

    fn follow(&mut self, alias: NodeId, target: NodeId, slot: Slot<'_>) -> Result<bool, Fatal> {
        if self.following.contains(&target) {
            return Err(self.stop(alias, "anchor value contains itself".to_owned()));
        }
        self.following.push(target);
        let good = self.decode_slot(target, slot);
        self.following.pop();
        good
    }

    /// Refuses documents most of whose work comes from repeated aliases.
    fn count(&mut self) -> Result<(), Fatal> {
        self.decoded += 1;
        if !self.following.is_empty() {
            self.decoded_in_aliases += 1;
        }
        let allowed = match self.decoded {
            0..=400_000 => 0.99,
            count if count >= 4_000_000 => 0.10,
            count => 0.99 - 0.89 * (count - 400_000) as f64 / 3_600_000.0,
        };
        let share = self.decoded_in_aliases as f64 / self.decoded as f64;
        if self.decoded_in_aliases > 100 && self.decoded > 1000 && share > allowed {
            let message = "document contains excessive aliasing".to_owned();
            return Err(Fatal(YamlError::Syntax(Problem {
                line: 0,
                column: 0,
                message,
                hint: String::new(),
            })));
        }
        Ok(())
    }

    fn has_duplicate_keys(&mut self, id: NodeId) -> bool {
        let NodeKind::Mapping(pairs) = &self.doc.node(id).kind else { return false };
        let identity = |key: NodeId| match &self.doc.node(key).kind {
            NodeKind::Scalar { text, .. } => (0, text.as_str()),
            NodeKind::Sequence(_) => (1, ""),
            NodeKind::Mapping(_) => (2, ""),
            NodeKind::Alias(_) => (3, ""),
        };
        let mut seen: HashMap<(u8, &str), Vec<NodeId>> = HashMap::new();
        for (key, _) in pairs {
            seen.entry(identity(*key)).or_default().push(*key);
        }
        let mut found = false;
        for (key, _) in pairs {
            let Some(same) = seen.get(&identity(*key)) else { continue };
            let after = same.iter().skip_while(|other| *other != key).skip(1);
            for again in after.take(MAX_PROBLEMS) {
                found = true;
                let (first, name) = (self.doc.node(*key).line, identity(*again).1);
                let message = format!("mapping key {name:?} already defined at line {first}");
                self.problems_push(*again, message, String::new());
            }
            if found && self.problems.len() >= MAX_PROBLEMS {
                break;
            }
        }
        found
    }

    /// Reads the keys of a map into a struct.
    ///
    /// # Errors
    /// When decoding cannot go on.
    pub fn fields(&mut self, id: NodeId, value: &mut dyn Struct) -> Result<bool, Fatal> {
        let NodeKind::Mapping(pairs) = &self.doc.node(id).kind else { return Ok(false) };
        let mut settled = self.merged.take();
        let mut merge = None;
        let mut done = HashSet::new();
        for (key, item) in pairs {
            if self.doc.is_merge(*key) {
                merge = Some(*item);
                continue;
            }
            let mut name = String::new();
            if !self.decode(*key, &mut name)? {
                continue;
            }
            if settled.as_mut().is_some_and(|settled| !settled.insert(name.clone())) {
                continue;
            }
            if !done.insert(name.clone()) {
                let message = format!("field {name} already set in type {}", value.go_type());
                self.problems_push(*key, message, String::new());
                continue;
            }
            if let Some(slot) = value.slot(&name) {
                self.decode_slot(*item, slot)?;
            } else {
                let message = format!("field {name} not found in type {}", value.go_type());
                self.problems_push(*key, message, suggestion(&name, &value.known_keys()));
            }
        }
        self.merged = settled;
        if let Some(merge) = merge {
            self.merge(id, merge, value)?;
        }
        Ok(true)
    }

    /// Reads the entries of a free-form map, in the order of the file; merged entries come last and only if new.
    ///
    /// # Errors
    /// When decoding cannot go on.
    pub fn entries(&mut self, id: NodeId, map: &mut dyn Entries) -> Result<bool, Fatal> {
        let NodeKind::Mapping(pairs) = &self.doc.node(id).kind else { return Ok(false) };
        let mut settled = self.merged.take();
        let mut merge = None;
        for (key, item) in pairs {
            if self.doc.is_merge(*key) {
                merge = Some(*item);
                continue;
            }
            let mut name = String::new();
            if !self.decode(*key, &mut name)? {
                continue;
            }
            if settled.as_mut().is_some_and(|settled| !settled.insert(name.clone())) {
                continue;
            }
            map.entry(name, self, *item)?;
        }
        self.merged = settled;
        if let Some(merge) = merge {
            self.merge(id, merge, map)?;
        }
        Ok(true)
    }

    /// The items of a list.
    #[must_use]
    pub fn items(&self, id: NodeId) -> &'d [NodeId] {
        match &self.doc.node(id).kind {
            NodeKind::Sequence(items) => items,
            _ => &[],
        }
    }

    /// Whether a node is a null, directly and not through an alias.
    #[must_use]
    pub fn is_null(&self, id: NodeId) -> bool {
        self.doc.node(id).tag.as_ref() == Some(&Tag::NULL)
    }

    fn merge(&mut self, parent: NodeId, merge: NodeId, value: &mut dyn Value) -> Result<(), Fatal> {
        let outer = self.merged.is_some();
        if !outer {
            let mut settled = HashSet::new();
            if let NodeKind::Mapping(pairs) = &self.doc.node(parent).kind {
                for (key, _) in pairs {
                    let mut name = String::new();
                    if self.decode(*key, &mut name)? {
                        settled.insert(name);
                    }
                }
            }
            self.merged = Some(settled);
        }
        let is_map = |doc: &Document, id: NodeId| match &doc.node(id).kind {
            NodeKind::Mapping(_) => true,
            NodeKind::Alias(target) => matches!(doc.node(*target).kind, NodeKind::Mapping(_)),
            _ => false,
        };
        let sources = match &self.doc.node(merge).kind {
            NodeKind::Sequence(items) => items.clone(),
            _ => vec![merge],
        };
        for source in sources {
            if !is_map(self.doc, source) {
                let message = "map merge requires map or sequence of maps as the value".to_owned();
                return Err(self.stop(source, message));
            }
            self.decode(source, value)?;
        }
        if !outer {
            self.merged = None;
        }
        Ok(())
    }

    /// Notes a value of the wrong type.
    fn type_error(&mut self, id: NodeId, tag: &Tag, slot: &Slot<'_>, shown: bool) {
        let go_type = slot.go_type.map_or_else(|| slot.value.go_type(), str::to_owned);
        let node = self.doc.node(id);
        let tag = node.tag.as_ref().unwrap_or(tag);
        let text = match &node.kind {
            NodeKind::Scalar { text, .. } => text.as_str(),
            _ => "",
        };
        let value = if *tag == Tag::SEQ || *tag == Tag::MAP {
            String::new()
        } else if !shown {
            " `[hidden]`".to_owned()
        } else if text.len() > 10 {
            format!(" `{}...`", String::from_utf8_lossy(&text.as_bytes()[..7]))
        } else {
            format!(" `{text}`")
        };
        let message = format!("cannot unmarshal {}{value} into {go_type}", tag.as_str());
        self.problems_push(id, message, accepted_forms(&go_type));
    }

    fn problems_push(&mut self, id: NodeId, message: String, hint: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { hint, ..self.problem_at(id, message) });
        }
    }

    fn problem_at(&self, id: NodeId, message: String) -> Problem {
        let node = self.doc.node(id);
        Problem { line: node.line, column: node.column, message, hint: String::new() }
    }

    fn stop(&self, id: NodeId, message: String) -> Fatal {
        Fatal(YamlError::Syntax(Problem { line: 0, ..self.problem_at(id, message) }))
    }
}

/// What a type accepts, for the reader of an error message.
fn accepted_forms(go_type: &str) -> String {
    let form = match go_type {
        "bool" => "want true or false",
        "int" | "int64" => "want a whole number without quotes",
        "float64" => "want a number without quotes",
        "string" => "want text",
        list if list.starts_with("[]") => "want a list",
        _ => "want a mapping of keys",
    };
    form.to_owned()
}

/// Most keys that are listed when none is near.
const LISTED: usize = 12;

/// The nearest known keys, or all of them when none is near.
fn suggestion(name: &str, known: &[&str]) -> String {
    let name = name.to_ascii_lowercase();
    let is_near = |key: &&&str| {
        key.starts_with(&name) || name.starts_with(**key) || (name.len() > 3 && distance(key, &name) <= 2)
    };
    let near: Vec<_> = known.iter().filter(is_near).filter(|_| name.len() > 2).copied().collect();
    if !near.is_empty() {
        format!("did you mean {}?", near.join(" or "))
    } else if known.len() > LISTED {
        let elsewhere = Config::keys().into_iter().map(|key| key.path);
        let suffix = format!(".{name}");
        let mut elsewhere = elsewhere.filter(|path| path.ends_with(&suffix) && !path.contains(['[', 'N']));
        match (elsewhere.next(), elsewhere.next()) {
            (Some(path), None) => format!("it is {path}"),
            _ => "every key is in docs/configuration.md".to_owned(),
        }
    } else {
        format!("known keys: {}", known.join(", "))
    }
}

/// How many characters must be added, removed or replaced; texts that differ much in length count as far apart.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 2 || b.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let cost = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
