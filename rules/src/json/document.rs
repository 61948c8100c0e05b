//! A whole JSON text as a flat list of nodes: what tree walks need (sorted members, repeated names) without a tree.
//!
//! A node is twelve bytes and a container knows where it ends, so that a text of five megabytes of `0,` stays within
//! thirty, and nothing recurses when it is dropped.

use super::{Event, Invalid, Parser, Str};

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An object; its members follow, each a `Key` and a value.
    Object,
    /// An array; its elements follow.
    Array,
    /// The name of a member.
    Key,
    /// A string value.
    String,
    /// A number.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    kind: Kind,
    escaped: bool,
    /// Of a name, string or number: where its text begins. Of a container: how many nodes are directly inside.
    start: u32,
    /// Of a name, string or number: its length in bytes. Of a container: the index behind its last descendant.
    end: u32,
}

/// A parsed text.
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a [u8],
    slots: Vec<Slot>,
}

/// One node of a [`Document`].
#[derive(Debug, Clone, Copy)]
pub struct Node<'d, 'a> {
    document: &'d Document<'a>,
    index: usize,
}

impl<'a> Document<'a> {
    /// Parses `text`.
    ///
    /// # Errors
    /// `text` is not exactly one valid JSON value, or longer than 4 GiB.
    pub fn parse(text: &'a [u8]) -> Result<Self, Invalid> {
        if u32::try_from(text.len()).is_err() {
            return Err(Invalid { offset: 0 });
        }
        let mut slots: Vec<Slot> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        let mut parser = Parser::new(text);
        let span = |part: &[u8]| (part.as_ptr() as usize - text.as_ptr() as usize, part.len());
        while let Some(event) = parser.next()? {
            let (kind, escaped, (start, end)) = match event {
                Event::ObjectStart => (Kind::Object, false, (0, 0)),
                Event::ArrayStart => (Kind::Array, false, (0, 0)),
                Event::ObjectEnd | Event::ArrayEnd => {
                    let behind = slots.len() as u32;
                    if let Some(container) = open.pop() {
                        slots[container].end = behind;
                    }
                    continue;
                }
                Event::Key(name) => (Kind::Key, name.is_escaped(), span(name.raw())),
                Event::String(value) => (Kind::String, value.is_escaped(), span(value.raw())),
                Event::Number(value) => (Kind::Number, false, span(value)),
                Event::Bool(true) => (Kind::True, false, (0, 0)),
                Event::Bool(false) => (Kind::False, false, (0, 0)),
                Event::Null => (Kind::Null, false, (0, 0)),
            };
            if let Some(&container) = open.last() {
                slots[container].start += 1;
            }
            if matches!(kind, Kind::Object | Kind::Array) {
                open.push(slots.len());
            }
            // Both fit: they are offsets into a text of less than 4 GiB.
            slots.push(Slot { kind, escaped, start: start as u32, end: end as u32 });
        }
        Ok(Self { text, slots })
    }

    /// Every node in the order of the text.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_, 'a>> {
        (0..self.slots.len()).map(|index| Node { document: self, index })
    }

    /// The outermost value.
    pub fn root(&self) -> Node<'_, 'a> {
        Node { document: self, index: 0 }
    }
}

impl<'d, 'a> Node<'d, 'a> {
    fn slot(&self) -> Slot {
        self.document.slots[self.index]
    }

    /// What the node is.
    pub fn kind(&self) -> Kind {
        self.slot().kind
    }

    /// The text of a name, string or number as written; empty for everything else.
    pub fn raw(&self) -> &'a [u8] {
        let slot = self.slot();
        match slot.kind {
            Kind::Key | Kind::String | Kind::Number => {
                &self.document.text[slot.start as usize..slot.start as usize + slot.end as usize]
            }
            _ => &[],
        }
    }

    /// The text of a name or string.
    pub fn string(&self) -> Str<'a> {
        Str::new(self.raw(), self.slot().escaped)
    }

    /// The nodes directly inside, in the order of the text: elements of an array; of an object names and values in turn.
    pub fn children(&self) -> impl Iterator<Item = Node<'d, 'a>> + use<'d, 'a> {
        let document = self.document;
        let slot = self.slot();
        let behind = match slot.kind {
            Kind::Object | Kind::Array => slot.end as usize,
            _ => self.index,
        };
        let mut index = self.index + 1;
        std::iter::from_fn(move || {
            (index < behind).then(|| {
                let node = Node { document, index };
                index = match node.kind() {
                    Kind::Object | Kind::Array => node.slot().end as usize,
                    _ => index + 1,
                };
                node
            })
        })
    }

    /// The members of an object in the order of the text: name and value.
    pub fn members(&self) -> impl Iterator<Item = (Node<'d, 'a>, Node<'d, 'a>)> + use<'d, 'a> {
        let mut children = match self.kind() {
            Kind::Object => Some(self.children()),
            _ => None,
        };
        std::iter::from_fn(move || {
            let children = children.as_mut()?;
            Some((children.next()?, children.next()?))
        })
    }

    /// How many nodes are directly inside.
    pub fn len(&self) -> usize {
        match self.kind() {
            Kind::Object | Kind::Array => self.slot().start as usize,
            _ => 0,
        }
    }

    /// Whether nothing is inside.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
