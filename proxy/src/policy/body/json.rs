//! The strings of a JSON body.
//!
//! Two ways to the same strings. [`walk`] goes once over the text in its own order, borrowing every string that has no escape:
//! the way of nearly every body. [`sorted`] builds the document and goes through it as the reference does (members by name,
//! the last of a repeated name); it decides what is reported as soon as something was found, and it alone handles bodies
//! that the reference reads differently from others: repeated names, deep nesting, numbers out of range.
//! [`walk_lines`] is the first way for bodies of one value on each line.
//!
//! spec: tls-and-request-bodies §13.5; differences D-801 to D-804, D-821, D-822, D-824

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;

use muselet_rules::json::{Document, Event, Invalid, Kind, Node, Parser, Str};
use muselet_rules::order;
use muselet_rules::text::{self, Codes, is_utf8};

use super::strings::Strings;
use crate::policy::{difference, named};

/// Deepest node that the reference scans, the outermost value being 0.
const MAX_DEPTH: usize = 64;

/// The strings in the order of the text; `Ok(None)` if only [`sorted`] can tell which are scanned.
///
/// # Errors
/// Not one valid JSON value.
pub(super) fn walk(body: &[u8], hardened: bool) -> Result<Option<Strings<'_>>, Invalid> {
    let mut strings = Strings::new(body);
    let mut walk = Walk::new(body, hardened);
    let regular = walk.value(&mut strings)?;
    strings.push_spelled(walk.codes.spelled());
    Ok(regular.then_some(strings))
}

/// The strings of the lines that are one valid JSON value each, in hardened mode and equal ones not always again; false if
/// only [`sorted`] can tell which are scanned. Of lines that are not valid it may add some.
pub(super) fn walk_lines<'a>(body: &'a [u8], strings: &mut Strings<'a>) -> bool {
    let mut walk = Walk::new(body, true);
    walk.recent = Some([b""; RECENT]);
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', body).chain([body.len()]);
    let regular = ends.into_iter().all(|end| {
        walk.names.clear();
        walk.parser.restart(start..end);
        start = end + 1;
        let read = walk.value(strings);
        walk.codes.end();
        read != Ok(false)
    });
    strings.push_spelled(walk.codes.spelled());
    regular
}

/// A pass over values of one text.
struct Walk<'a> {
    parser: Parser<'a>,
    names: Names<'a>,
    utf8: bool,
    hardened: bool,
    /// Strings that were met, which are left out where they come again.
    recent: Option<[&'a [u8]; RECENT]>,
    codes: Codes,
}

/// As many strings are remembered, for the names that every record has.
const RECENT: usize = 64;

impl<'a> Walk<'a> {
    fn new(body: &'a [u8], hardened: bool) -> Self {
        let parser = Parser::new(body);
        let utf8 = parser.is_ascii() || is_utf8(body);
        Walk { parser, names: Names::default(), utf8, hardened, recent: None, codes: Codes::default() }
    }

    /// Adds the strings of one value; false if only [`sorted`] can tell which are scanned.
    fn value(&mut self, strings: &mut Strings<'a>) -> Result<bool, Invalid> {
        let mut regular = true;
        // Of the member whose value comes next.
        let mut name = None;
        while let Some(event) = self.parser.next()? {
            let member = name.take();
            if !regular {
                // Only the rest of the grammar still matters.
                continue;
            }
            match event {
                Event::ObjectStart => self.names.open(),
                Event::ObjectEnd => regular = !self.names.close(self.utf8),
                Event::ArrayStart | Event::ArrayEnd => {}
                Event::Null => self.codes.end(),
                Event::Key(text) | Event::String(text) => {
                    let key = matches!(event, Event::Key(_));
                    regular = self.parser.depth() <= MAX_DEPTH + usize::from(key);
                    if key {
                        name = Some(text);
                        self.names.push(text);
                    } else {
                        self.codes.end();
                        if let Some(name) =
                            member.filter(|_| self.hardened && named::is_long_enough(text.raw().len()))
                        {
                            self.note_named(name, text, strings);
                        }
                    }
                    match (self.utf8, text.is_escaped()) {
                        (true, false) if self.was_met(text.raw()) => {
                            if !key {
                                strings.note_piece(text.raw());
                            }
                            continue;
                        }
                        (true, false) => strings.push(text.raw()),
                        (true, true) => strings.push_with(|arena| self.parser.unescape_into(text, arena)),
                        (false, _) => strings.push_with(|arena| text.decode_into(arena)),
                    }
                    if self.hardened && text.is_escaped() {
                        strings.read_references();
                    }
                    if !key {
                        strings.note_last();
                    }
                }
                Event::Number(text) => {
                    regular = self.parser.depth() <= MAX_DEPTH && push_number(text, strings, self.hardened);
                    if self.hardened {
                        self.codes.number(text);
                    }
                }
                Event::Bool(value) => {
                    regular = self.parser.depth() <= MAX_DEPTH;
                    self.codes.end();
                    let text = bool_text(value);
                    if !self.was_met(text) {
                        strings.push(text);
                    }
                }
            }
        }
        Ok(regular)
    }

    fn note_named(&self, name: Str<'a>, value: Str<'a>, strings: &mut Strings<'a>) {
        if self.utf8 && !name.is_escaped() && !value.is_escaped() {
            strings.note_named(name.raw(), value.raw());
        } else {
            strings.note_named(name.decode().as_bytes(), value.decode().as_bytes());
        }
    }

    fn was_met(&mut self, text: &'a [u8]) -> bool {
        let Some(recent) = &mut self.recent else { return false };
        let (first, last) = (text.first().map_or(0, |&b| b), text.last().map_or(0, |&b| b));
        let hash = text.len() + 7 * usize::from(first) + 31 * usize::from(last);
        // The empty string is met before it comes: there is nothing in it.
        std::mem::replace(&mut recent[hash % RECENT], text) == text
    }
}

/// The strings in the order of the reference, and in hardened mode those it leaves out.
///
/// # Errors
/// Not one valid JSON value.
pub(super) fn sorted(body: &[u8], hardened: bool) -> Result<Strings<'_>, Invalid> {
    let document = Document::parse(body)?;
    let mut strings = Strings::new(body);
    let in_range = document.nodes().all(|node| node.kind() != Kind::Number || float(node.raw()).is_some());
    let mut left = vec![Step {
        node: document.root(),
        depth: 0,
        difference: (!in_range).then_some(difference::JSON_NUMBER_RANGE),
    }];
    while let Some(Step { node, depth, difference }) = left.pop() {
        let difference = difference.or((depth > MAX_DEPTH).then_some(difference::JSON_DEPTH));
        if difference.is_some() && !hardened {
            continue;
        }
        match node.kind() {
            Kind::Object => {
                let first = left.len();
                for (name, value, shadowed) in members(node) {
                    let difference = difference.or(shadowed.then_some(difference::JSON_REPEATED_NAMES));
                    left.push(Step { node: name, depth, difference });
                    left.push(Step { node: value, depth: depth + 1, difference });
                }
                left[first..].reverse();
            }
            Kind::Array => {
                let first = left.len();
                left.extend(node.children().map(|node| Step { node, depth: depth + 1, difference }));
                left[first..].reverse();
            }
            Kind::Key | Kind::String => {
                let text = decoded(node);
                // Of what is not escaped they are read in the body.
                let read = match &text {
                    Cow::Owned(text) if hardened => text::without_references(text),
                    _ => None,
                };
                match difference {
                    None => strings.push(text),
                    Some(difference) => strings.push_extra(text, difference, true),
                }
                if let Some(read) = read {
                    strings.push_extra(read, difference::CHARACTER_REFERENCES, false);
                }
            }
            Kind::Number => match difference {
                None => {
                    push_number(node.raw(), &mut strings, hardened);
                }
                Some(difference) => {
                    strings.push_extra(node.raw(), difference, true);
                    if let Some(value) = float(node.raw()) {
                        strings.push_extra(value.to_string().into_bytes(), difference, true);
                    }
                }
            },
            Kind::True | Kind::False => {
                let text = bool_text(node.kind() == Kind::True);
                match difference {
                    None => strings.push(text),
                    Some(difference) => strings.push_extra(text, difference, true),
                }
            }
            Kind::Null => {}
        }
    }
    if hardened {
        let mut codes = Codes::default();
        let mut name = None;
        for node in document.nodes() {
            let member = name.take();
            match node.kind() {
                Kind::Number => codes.number(node.raw()),
                Kind::Object | Kind::Array => {}
                Kind::Key => name = Some(node),
                Kind::String => {
                    codes.end();
                    let value = decoded(node);
                    if let Some(name) = member {
                        strings.note_named(&decoded(name), &value);
                    }
                    strings.note_piece(value);
                }
                Kind::True | Kind::False | Kind::Null => codes.end(),
            }
        }
        strings.push_spelled(codes.spelled());
    }
    Ok(strings)
}

fn decoded<'a>(node: Node<'_, 'a>) -> Cow<'a, [u8]> {
    match node.string().decode() {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

struct Step<'d, 'a> {
    node: Node<'d, 'a>,
    depth: usize,
    difference: Option<&'static str>,
}

/// Members sorted by decoded name; a member that a later one of the same name replaces is marked.
fn members<'d, 'a>(object: Node<'d, 'a>) -> Vec<(Node<'d, 'a>, Node<'d, 'a>, bool)> {
    let members = object.members().map(|(name, value)| (name.string().decode(), name, value)).collect();
    // Stable: members of the same name keep their order.
    let members = order::sorted(members, |(a, ..), (b, ..)| a.cmp(b));
    let shadowed: Vec<bool> = members
        .iter()
        .enumerate()
        .map(|(index, (name, ..))| members.get(index + 1).is_some_and(|(next, ..)| next == name))
        .collect();
    members.into_iter().zip(shadowed).map(|((_, name, value), shadowed)| (name, value, shadowed)).collect()
}

/// A number as the reference prints it; `false` if it is out of range.
fn push_number<'a>(written: &'a [u8], strings: &mut Strings<'a>, hardened: bool) -> bool {
    if is_small_integer(written) {
        strings.push(written);
        return true;
    }
    let Some(value) = float(written) else {
        return false;
    };
    let mut same = false;
    strings.push_with(|arena| {
        let start = arena.len();
        // Writing to a vector cannot fail.
        let _ = write!(arena, "{value}");
        same = arena[start..] == *written;
    });
    if hardened && !same {
        strings.push_digits(written, difference::JSON_NUMBER_TEXT);
    }
    true
}

/// Whether the number is printed as it is written: an integer that a float holds exactly.
fn is_small_integer(written: &[u8]) -> bool {
    let digits = written.strip_prefix(b"-").unwrap_or(written);
    digits.len() <= 15 && digits.iter().all(u8::is_ascii_digit)
}

fn float(written: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(written).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

fn bool_text(value: bool) -> &'static [u8] {
    if value { b"true" } else { b"false" }
}

/// The names of the objects that are open, to see whether one repeats.
#[derive(Default)]
struct Names<'a> {
    names: Vec<Str<'a>>,
    starts: Vec<usize>,
}

/// Names of an object that are compared pair by pair; more go through a map.
const FEW_NAMES: usize = 12;

impl<'a> Names<'a> {
    fn clear(&mut self) {
        self.names.clear();
        self.starts.clear();
    }

    fn open(&mut self) {
        self.starts.push(self.names.len());
    }

    fn push(&mut self, name: Str<'a>) {
        self.names.push(name);
    }

    /// Ends the innermost object and says whether two of its names are equal.
    fn close(&mut self, utf8: bool) -> bool {
        let start = self.starts.pop().unwrap_or_default();
        let names = &self.names[start..];
        let as_written = utf8 && !names.iter().any(Str::is_escaped);
        let repeats = if as_written && names.len() <= FEW_NAMES {
            names
                .iter()
                .enumerate()
                .any(|(index, name)| names[..index].iter().any(|other| other.raw() == name.raw()))
        } else {
            let mut seen = HashMap::with_capacity(names.len());
            names.iter().any(|name| seen.insert(name.decode(), ()).is_some())
        };
        self.names.truncate(start);
        repeats
    }
}

#[cfg(test)]
mod tests;
