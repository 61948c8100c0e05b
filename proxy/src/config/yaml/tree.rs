//! A document without a schema, as JSON has it: maps keep their order, aliases and merges are written out.

use serde_json::{Map, Number, Value as Json};

use super::{Decoder, Document, Entries, Fatal, NodeId, Resolved, Tag, Value, YamlError};

/// Reads one document; an empty one is null.
///
/// # Errors
/// See [`YamlError`].
pub fn tree(bytes: &[u8]) -> Result<Json, YamlError> {
    let mut tree = Tree(Json::Null);
    Decoder::run(&Document::parse(bytes)?, &mut tree)?;
    Ok(tree.0)
}

struct Tree(Json);

impl Tree {
    fn of(decoder: &mut Decoder<'_>, item: NodeId) -> Result<Json, Fatal> {
        let mut tree = Tree(Json::Null);
        decoder.decode(item, &mut tree)?;
        Ok(tree.0)
    }
}

impl Value for Tree {
    fn go_type(&self) -> String {
        "interface {}".to_owned()
    }

    fn null(&mut self) -> bool {
        true
    }

    fn scalar(&mut self, _tag: &Tag, value: Resolved, text: &str) -> Result<bool, String> {
        self.0 = match value {
            Resolved::Null => Json::Null,
            Resolved::Bool(value) => value.into(),
            Resolved::Int(value) => value.into(),
            Resolved::Uint(value) => value.into(),
            Resolved::Float(value) => Number::from_f64(value).map_or_else(|| text.into(), Json::Number),
            Resolved::Time(_) => text.into(),
            Resolved::Text(text) => text.into(),
        };
        Ok(true)
    }

    fn mapping(&mut self, decoder: &mut Decoder<'_>, node: NodeId) -> Option<Result<bool, Fatal>> {
        // A map that is merged into this one comes here as well.
        if !self.0.is_object() {
            self.0 = Json::Object(Map::new());
        }
        Some(decoder.entries(node, self))
    }

    fn sequence(&mut self, decoder: &mut Decoder<'_>, node: NodeId) -> Option<Result<bool, Fatal>> {
        let items: Result<Vec<Json>, Fatal> =
            decoder.items(node).iter().map(|item| Tree::of(decoder, *item)).collect();
        Some(items.map(|items| {
            self.0 = items.into();
            true
        }))
    }
}

impl Entries for Tree {
    fn entry(&mut self, key: String, decoder: &mut Decoder<'_>, item: NodeId) -> Result<(), Fatal> {
        let value = Tree::of(decoder, item)?;
        if let Json::Object(fields) = &mut self.0 {
            fields.insert(key, value);
        }
        Ok(())
    }
}
