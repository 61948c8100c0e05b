//! One JSON body rewritten: checks in the order of the specification, then matches replaced, then everything written anew.
//!
//! The body is serialised again even when nothing matched, as the reference does: what is forwarded then never depends on
//! how the parser of the upstream reads an unusual original.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Redactor, Refusal};
use crate::json::{Document, Kind, Node, push_escaped};
use crate::order::sorted;

/// A body that may be forwarded.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted {
    /// The new body.
    pub body: Vec<u8>,
    /// Replacements made, repeated values counted each time.
    pub total: usize,
    /// Replacements by class.
    pub by_class: BTreeMap<String, usize>,
}

impl std::fmt::Debug for Redacted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redacted")
            .field("bytes", &self.body.len())
            .field("total", &self.total)
            .field("by_class", &self.by_class)
            .finish()
    }
}

impl Redactor {
    /// Rewrites a body that is JSON by its type.
    ///
    /// # Errors
    /// The body must not be forwarded, for the reason given.
    pub fn rewrite(&self, body: &[u8]) -> Result<Redacted, Refusal> {
        if body.len() > self.limits().body_bytes() {
            return Err(Refusal::BodyTooLarge);
        }
        let document = Document::parse(body).map_err(|_| Refusal::BodyUnparseable)?;
        if document.nodes().any(repeats_a_name) {
            return Err(Refusal::DuplicateObjectKey);
        }
        let mut rewriter = Rewriter {
            redactor: self,
            max_depth: self.limits().depth(),
            max_redactions: self.limits().redactions(),
            placeholders: HashMap::new(),
            last: HashMap::new(),
            redacted: Redacted { body: Vec::with_capacity(body.len()), total: 0, by_class: BTreeMap::new() },
        };
        rewriter.value(document.root(), 0)?;
        Ok(rewriter.redacted)
    }
}

fn repeats_a_name(node: Node<'_, '_>) -> bool {
    if node.kind() != Kind::Object || node.len() < 4 {
        return false;
    }
    let mut names = HashSet::with_capacity(node.len() / 2);
    node.members().any(|(name, _)| !names.insert(name.string().decode()))
}

struct Rewriter<'r> {
    redactor: &'r Redactor,
    max_depth: usize,
    max_redactions: usize,
    /// Number of every class and text seen in this request.
    placeholders: HashMap<(&'r str, String), usize>,
    /// Last number given, by class.
    last: HashMap<&'r str, usize>,
    redacted: Redacted,
}

impl Rewriter<'_> {
    /// Depth is bounded by the limit (at most 256), hence recursion.
    fn value(&mut self, node: Node<'_, '_>, depth: usize) -> Result<(), Refusal> {
        if depth > self.max_depth {
            return Err(Refusal::JsonDepthExceeded);
        }
        match node.kind() {
            Kind::Object => return self.object(node, depth),
            Kind::Array => {
                self.redacted.body.push(b'[');
                for (index, element) in node.children().enumerate() {
                    if index > 0 {
                        self.redacted.body.push(b',');
                    }
                    self.value(element, depth + 1)?;
                }
                self.redacted.body.push(b']');
            }
            Kind::String | Kind::Key => {
                let text = self.string(&node.string().decode())?;
                push_escaped(&text, &mut self.redacted.body);
            }
            Kind::Number => {
                let written = node.raw();
                // Digits, signs and letters only: always UTF-8.
                if self.redactor.matches(std::str::from_utf8(written).unwrap_or_default()) {
                    return Err(Refusal::SecretInNumericScalar);
                }
                self.redacted.body.extend_from_slice(written);
            }
            Kind::True => self.redacted.body.extend_from_slice(b"true"),
            Kind::False => self.redacted.body.extend_from_slice(b"false"),
            Kind::Null => self.redacted.body.extend_from_slice(b"null"),
        }
        Ok(())
    }

    /// Members are numbered by their original names and written by their new ones, both sorted.
    fn object(&mut self, node: Node<'_, '_>, depth: usize) -> Result<(), Refusal> {
        let members = node.members().map(|(name, value)| (name.string().decode(), value)).collect();
        let members = sorted(members, |(a, _), (b, _)| a.cmp(b));
        let mut written: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut plain: Vec<(String, Node<'_, '_>)> = Vec::with_capacity(members.len());
        let mut renamed = false;
        for (name, value) in members {
            let new = self.string(&name)?;
            renamed |= new != name;
            plain.push((new.into_owned(), value));
        }
        if !renamed {
            // The order does not change: write straight through.
            self.redacted.body.push(b'{');
            for (index, (name, value)) in plain.into_iter().enumerate() {
                if index > 0 {
                    self.redacted.body.push(b',');
                }
                push_escaped(&name, &mut self.redacted.body);
                self.redacted.body.push(b':');
                self.value(value, depth + 1)?;
            }
            self.redacted.body.push(b'}');
            return Ok(());
        }
        for (name, value) in plain {
            let outer = std::mem::take(&mut self.redacted.body);
            let result = self.value(value, depth + 1);
            let text = std::mem::replace(&mut self.redacted.body, outer);
            result?;
            if written.insert(name, text).is_some() {
                return Err(Refusal::KeyCollision);
            }
        }
        self.redacted.body.push(b'{');
        for (index, (name, text)) in written.into_iter().enumerate() {
            if index > 0 {
                self.redacted.body.push(b',');
            }
            push_escaped(&name, &mut self.redacted.body);
            self.redacted.body.push(b':');
            self.redacted.body.extend_from_slice(&text);
        }
        self.redacted.body.push(b'}');
        Ok(())
    }

    fn string<'t>(&mut self, text: &std::borrow::Cow<'t, str>) -> Result<std::borrow::Cow<'t, str>, Refusal> {
        let redactor = self.redactor;
        let hits = redactor.hits(text);
        if hits.is_empty() {
            return Ok(text.clone());
        }
        let new: HashSet<(&str, &str)> = hits
            .iter()
            .map(|hit| (hit.class, &text[hit.range.clone()]))
            .filter(|&(class, part)| !self.placeholders.contains_key(&(class, part.to_owned())))
            .collect();
        if self.placeholders.len() + new.len() > self.max_redactions {
            return Err(Refusal::RedactionOverflow);
        }
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for hit in hits {
            out.push_str(&text[copied..hit.range.start]);
            copied = hit.range.end;
            let original = (hit.class, text[hit.range].to_owned());
            let number = match self.placeholders.get(&original) {
                Some(&number) => number,
                None => {
                    let last = self.last.entry(hit.class).or_default();
                    *last += 1;
                    self.placeholders.insert(original, *last);
                    *last
                }
            };
            out.push_str(&format!("<pl:{}:{number}>", shown(hit.class)));
            self.redacted.total += 1;
            *self.redacted.by_class.entry(hit.class.to_owned()).or_default() += 1;
        }
        out.push_str(&text[copied..]);
        Ok(out.into())
    }
}

/// The class as it appears in a placeholder.
fn shown(class: &str) -> &str {
    let mut bytes = class.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if first && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-')) {
        class
    } else {
        "invalid"
    }
}
