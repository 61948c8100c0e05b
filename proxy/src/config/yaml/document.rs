//! One YAML document as an arena of nodes with positions, built from parser events without recursion.
//!
//! Aliases stay references into the arena, so a bomb of nested aliases costs nothing to read; following them is
//! counted in [`super::decode`].

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::scalar::{self, Tag};
use super::{Problem, YamlError};

/// Largest file that is read, in bytes. The reference has no bound; real files are a few kilobytes.
pub const MAX_DOCUMENT_BYTES: usize = 16 << 20;

/// Deepest nesting of lists and maps that is read. The schema needs 8 levels.
pub const MAX_DEPTH: usize = 512;

/// Index of a node in its [`Document`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(usize);

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// Text as written, and whether it was quoted or a block scalar.
    Scalar { text: String, quoted: bool },
    /// A list.
    Sequence(Vec<NodeId>),
    /// A map, in the order of the file; keys may repeat.
    Mapping(Vec<(NodeId, NodeId)>),
    /// A reference to an anchored node.
    Alias(NodeId),
}

/// A node and its place in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The tag, written or implied; `None` only for aliases.
    pub tag: Option<Tag>,
    /// Whether the tag was written.
    pub tagged: bool,
    /// The content.
    pub kind: NodeKind,
}

/// The first document of a stream. No root means an empty stream.
#[derive(Clone, Debug, Default)]
pub struct Document {
    nodes: Vec<Node>,
    root: Option<NodeId>,
}

impl Document {
    /// Reads `bytes`, which must hold at most one document.
    ///
    /// # Errors
    /// Syntax errors, a second document, a file beyond [`MAX_DOCUMENT_BYTES`] or [`MAX_DEPTH`].
    pub fn parse(bytes: &[u8]) -> Result<Document, YamlError> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(syntax(0, 0, format!("document is larger than {MAX_DOCUMENT_BYTES} bytes")));
        }
        let mut text = decode_text(bytes)?;
        reject_control_characters(&text)?;
        loop {
            let read = Builder::new(&text).run();
            let Err(YamlError::Syntax(problem)) = &read else { return read };
            let Some(spaced) = space_after_colon(&text, problem) else { return read };
            text = Cow::Owned(spaced);
        }
    }

    /// The root node; `None` for an empty stream.
    #[must_use]
    pub fn root(&self) -> Option<NodeId> {
        self.root
    }

    /// A node by its index.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Whether this key is the merge key `<<`.
    #[must_use]
    pub fn is_merge(&self, id: NodeId) -> bool {
        let node = self.node(id);
        matches!(&node.kind, NodeKind::Scalar { text, .. } if text == "<<") && node.tag == Some(Tag::MERGE)
    }
}

/// The text with a space for the last tab before the place of the `problem`, if that is a tab between a key and its value: the
/// parser refuses it, where YAML and the reference do not.
fn space_after_colon(text: &str, problem: &Problem) -> Option<String> {
    if problem.message != "':' must be followed by a valid YAML whitespace" {
        return None;
    }
    let above = problem.line.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(above).map(str::len).sum();
    let line = text.get(start..)?;
    let (end, _) = line.char_indices().nth(problem.column.checked_sub(1)?)?;
    let key = line[..end].strip_suffix('\t')?;
    let tab = start + key.len();
    key.trim_end_matches('\t').ends_with(':').then(|| [&text[..tab], " ", &text[tab + 1..]].concat())
}

fn syntax(line: usize, column: usize, message: String) -> YamlError {
    YamlError::Syntax(Problem { line, column, message, hint: String::new() })
}

/// UTF-8, with or without a byte-order mark, or UTF-16 with one.
fn decode_text(bytes: &[u8]) -> Result<Cow<'_, str>, YamlError> {
    let wide = |rest: &[u8], read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        if rest.len() % 2 == 1 {
            return Err(syntax(0, 0, "incomplete UTF-16 character".to_owned()));
        }
        String::from_utf16(&units)
            .map(Cow::Owned)
            .map_err(|_| syntax(0, 0, "unexpected low surrogate area".to_owned()))
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, YamlError> {
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        syntax(line, 0, "invalid UTF-8".to_owned())
    })
}

/// The characters a YAML stream may hold: printable ones, tab, line ends.
fn reject_control_characters(text: &str) -> Result<(), YamlError> {
    let allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
            && c != '\u{FEFF}'
    };
    match text.char_indices().find(|(_, c)| !allowed(*c)) {
        None => Ok(()),
        Some((at, _)) => {
            let line = 1 + text[..at].matches('\n').count();
            Err(syntax(line, 0, "control characters are not allowed".to_owned()))
        }
    }
}

/// A list or map that is still being read.
struct Open {
    id: NodeId,
    pending_key: Option<NodeId>,
    /// Written with brackets or braces.
    is_flow: bool,
}

struct Builder<'i> {
    cursor: Cursor<'i>,
    parser: Parser<'i, saphyr_parser::StrInput<'i>>,
    doc: Document,
    open: Vec<Open>,
    anchors: HashMap<usize, NodeId>,
}

impl<'i> Builder<'i> {
    fn new(text: &'i str) -> Self {
        Builder {
            cursor: Cursor { rest: text, chars: 0 },
            parser: Parser::new_from_str(text),
            doc: Document::default(),
            open: Vec::new(),
            anchors: HashMap::new(),
        }
    }

    fn run(mut self) -> Result<Document, YamlError> {
        let mut documents = 0;
        while let Some(event) = self.parser.next_event() {
            let (event, span) = event.map_err(|error| self.scan_error(&error))?;
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                }
                Event::DocumentEnd if documents > 1 => return Err(YamlError::MultipleDocuments),
                // A second document is only read to learn whether it is one or a syntax error.
                _ if documents > 1 => {}
                event => self.take(event, span)?,
            }
        }
        Ok(self.doc)
    }

    fn scan_error(&self, error: &ScanError) -> YamlError {
        let mark = error.marker();
        let mut message = error.info().to_owned();
        if message.contains("unknown anchor") {
            message.push_str(" (a text that begins with * must stand in quotes: \"*.example.com\")");
        }
        syntax(mark.line(), mark.col() + 1, message)
    }

    fn take(&mut self, event: Event<'i>, span: Span) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = style != ScalarStyle::Plain;
                // Inside brackets the reference's parser takes these for something else than the start of a text.
                if !quoted
                    && text.starts_with([':', '?', '|', '>'])
                    && self.open.last().is_some_and(|open| open.is_flow)
                {
                    let place = span.start;
                    let message = "did not find expected node content".to_owned();
                    return Err(syntax(place.line(), place.col() + 1, message));
                }
                let written = tag.as_deref().map(short_tag).filter(|tag| tag.as_str() != "!");
                let tagged = written.is_some();
                let implied = || match (quoted, text.as_ref()) {
                    (true, _) => Tag::STR,
                    (false, "<<") => Tag::MERGE,
                    (false, plain) => scalar::resolve(None, plain).map_or(Tag::STR, |(tag, _)| tag),
                };
                let tag = Some(written.unwrap_or_else(implied));
                self.add(span, tag, tagged, NodeKind::Scalar { text: text.into_owned(), quoted }, anchor)?;
            }
            Event::Alias(anchor) => {
                let Some(&target) = self.anchors.get(&anchor) else {
                    let place = span.start;
                    return Err(syntax(
                        place.line(),
                        place.col() + 1,
                        "unknown anchor referenced".to_owned(),
                    ));
                };
                self.add(span, None, false, NodeKind::Alias(target), 0)?;
            }
            Event::SequenceStart(anchor, tag) => {
                let tag = tag.as_deref().map(short_tag).filter(|tag| tag.as_str() != "!");
                self.open(span, tag, &Tag::SEQ, NodeKind::Sequence(Vec::new()), anchor)?;
            }
            Event::MappingStart(anchor, tag) => {
                let tag = tag.as_deref().map(short_tag).filter(|tag| tag.as_str() != "!");
                self.open(span, tag, &Tag::MAP, NodeKind::Mapping(Vec::new()), anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
            }
            _ => {}
        }
        Ok(())
    }

    fn open(
        &mut self,
        span: Span,
        tag: Option<Tag>,
        own: &Tag,
        kind: NodeKind,
        anchor: usize,
    ) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            let place = span.start;
            return Err(syntax(place.line(), place.col() + 1, format!("exceeded max depth of {MAX_DEPTH}")));
        }
        let tagged = tag.is_some();
        let id = self.add(span, Some(tag.unwrap_or_else(|| own.clone())), tagged, kind, anchor)?;
        let is_flow = matches!(self.cursor.char_at(span.start.index()), Some('[' | '{'));
        self.open.push(Open { id, pending_key: None, is_flow });
        Ok(())
    }

    fn add(
        &mut self,
        span: Span,
        tag: Option<Tag>,
        tagged: bool,
        kind: NodeKind,
        anchor: usize,
    ) -> Result<NodeId, YamlError> {
        let id = NodeId(self.doc.nodes.len());
        let (line, column) = (span.start.line(), span.start.col() + 1);
        self.doc.nodes.push(Node { line, column, tag, tagged, kind });
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        match self.open.last_mut() {
            None => self.doc.root = Some(id),
            Some(open) => match &mut self.doc.nodes[open.id.0].kind {
                NodeKind::Sequence(items) => items.push(id),
                NodeKind::Mapping(pairs) => match open.pending_key.take() {
                    None => open.pending_key = Some(id),
                    Some(key) => pairs.push((key, id)),
                },
                NodeKind::Scalar { .. } | NodeKind::Alias(_) => {}
            },
        }
        Ok(id)
    }
}

/// Finds characters by their number, going forward only.
struct Cursor<'i> {
    rest: &'i str,
    chars: usize,
}

impl Cursor<'_> {
    fn char_at(&mut self, index: usize) -> Option<char> {
        let skip = index.checked_sub(self.chars)?;
        let (at, c) = self.rest.char_indices().nth(skip)?;
        self.rest = &self.rest[at..];
        self.chars = index;
        Some(c)
    }
}

/// `tag:yaml.org,2002:int` as `!!int`; any other as written.
fn short_tag(tag: &saphyr_parser::Tag) -> Tag {
    if tag.is_yaml_core_schema() {
        return Tag(Cow::Owned(format!("!!{}", tag.suffix)));
    }
    let written = format!("{}{}", tag.handle, tag.suffix);
    match written.strip_prefix("tag:yaml.org,2002:") {
        Some(short) => Tag(Cow::Owned(format!("!!{short}"))),
        None => Tag(Cow::Owned(written)),
    }
}
