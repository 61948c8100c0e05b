//! One tree with positions for both manifest formats, so that every later error can name a line and a column.

use jsonc_parser::ast::Value as Json;
use jsonc_parser::common::Ranged;
use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::{Error, Result};

/// Where something stands, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins.
    pub place: Place,
}

/// A value of a manifest.
#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it is written.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// An object: keys in the order of the file.
    Map(Vec<(String, Place, Node)>),
}

impl Value {
    /// What an error calls this.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}

/// Deepest nesting a manifest may have; the schema needs six levels.
const MAX_DEPTH: usize = 32;

fn error(file: &str, place: Place, message: impl Into<String>) -> Error {
    Error::Manifest { file: file.to_owned(), line: place.line, column: place.column, message: message.into() }
}

/// Parses JSON with comments and trailing commas.
///
/// # Errors
/// [`Error::Manifest`] with the place of the first mistake.
pub fn parse_jsonc(file: &str, text: &str) -> Result<Node> {
    let place = |offset: usize| {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        Place { line, column: String::from_utf8_lossy(&before[start..]).chars().count() + 1 }
    };
    let options = jsonc_parser::ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = jsonc_parser::parse_to_ast(text, &jsonc_parser::CollectOptions::default(), &options)
        .map_err(|e| error(file, place(e.range().start), e.kind().to_string()))?;
    let root = parsed.value.ok_or_else(|| error(file, place(0), "the manifest is empty"))?;
    from_json(file, root, &place, 0)
}

fn from_json(file: &str, json: Json<'_>, place: &impl Fn(usize) -> Place, depth: usize) -> Result<Node> {
    let at = place(json.range().start);
    if depth > MAX_DEPTH {
        return Err(error(file, at, format!("nested deeper than {MAX_DEPTH} levels")));
    }
    let value = match json {
        Json::NullKeyword(_) => Value::Null,
        Json::BooleanLit(lit) => Value::Bool(lit.value),
        Json::NumberLit(lit) => Value::Number(lit.value.to_owned()),
        Json::StringLit(lit) => Value::Text(lit.value.into_owned()),
        Json::Array(list) => Value::List(
            list.elements
                .into_iter()
                .map(|item| from_json(file, item, place, depth + 1))
                .collect::<Result<_>>()?,
        ),
        Json::Object(object) => {
            let mut entries: Vec<(String, Place, Node)> = Vec::new();
            for property in object.properties {
                let at = place(property.name.range().start);
                let name = property.name.into_string();
                if entries.iter().any(|(known, ..)| *known == name) {
                    return Err(error(file, at, format!("{name:?} is given twice")));
                }
                entries.push((name, at, from_json(file, property.value, place, depth + 1)?));
            }
            Value::Map(entries)
        }
    };
    Ok(Node { value, place: at })
}

enum Open {
    List(Vec<Node>, Place),
    Map(Vec<(String, Place, Node)>, Option<(String, Place)>, Place),
}

/// Parses YAML: one document, without anchors, aliases or tags.
///
/// # Errors
/// [`Error::Manifest`] with the place of the first mistake.
pub fn parse_yaml(file: &str, text: &str) -> Result<Node> {
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Node> = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| {
            error(file, Place { line: e.marker().line(), column: e.marker().col() + 1 }, e.info().to_owned())
        })?;
        let at = Place { line: span.start.line(), column: span.start.col() + 1 };
        let done = match event {
            Event::Alias(_) => return Err(error(file, at, "aliases are not supported here")),
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new(), at));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Vec::new(), None, at));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items, place)) => Some(Node { value: Value::List(items), place }),
                Some(Open::Map(entries, _, place)) => Some(Node { value: Value::Map(entries), place }),
                None => None,
            },
            Event::Scalar(text, style, ..) => Some(Node { value: scalar(&text, style), place: at }),
            Event::DocumentStart(_) if root.is_some() => {
                return Err(error(file, at, "more than one document"));
            }
            _ => None,
        };
        if open.len() > MAX_DEPTH {
            return Err(error(file, at, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let Some(node) = done else { continue };
        match open.last_mut() {
            None => root = Some(node),
            Some(Open::List(items, _)) => items.push(node),
            Some(Open::Map(entries, key, _)) => match key.take() {
                Some((name, at)) => entries.push((name, at, node)),
                None => {
                    let name = match node.value {
                        Value::Text(name) | Value::Number(name) => name,
                        Value::Bool(value) => value.to_string(),
                        other => {
                            return Err(error(
                                file,
                                node.place,
                                format!("a key must be a string, not {}", other.kind()),
                            ));
                        }
                    };
                    if entries.iter().any(|(known, ..)| *known == name) {
                        return Err(error(file, node.place, format!("{name:?} is given twice")));
                    }
                    *key = Some((name, node.place));
                }
            },
        }
    }
    root.ok_or_else(|| error(file, Place { line: 1, column: 1 }, "the manifest is empty"))
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if text.parse::<f64>().is_ok()
            && !text.contains(|c: char| c.is_alphabetic() && c != 'e' && c != 'E') =>
        {
            Value::Number(text.to_owned())
        }
        _ => Value::Text(text.to_owned()),
    }
}
