//! The macro that declares a section: one declaration for decoding, printing, hashing and documentation.
//!
//! The macro makes tables: names, documentation and marks as they were written, and a list of references to the fields. What is
//! done with them is written once, below, for all sections; code made for each of 700 fields was a tenth of the binary.

use std::fmt;

use serde_json::{Map as JsonMap, Value as Json};

use super::{Canonical, KeyInfo, Setting};
use crate::config::yaml::Slot;

/// What is special about a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing.
    Plain,
    /// Left out of effective values when empty.
    Omit,
    /// On unless the file says otherwise.
    Secure,
    /// Not settable from a file.
    Internal,
    /// A whole number under the reference's longer name for its type.
    Wide,
    /// Both [`Mark::Omit`] and [`Mark::Wide`].
    OmitWide,
}

/// The declaration of a section. Texts are one line a field, in declaration order, so that the tables hold no pointers that would
/// have to be relocated at start.
#[derive(Debug)]
pub struct Shape {
    /// The type's name here.
    pub name: &'static str,
    /// The type's name in error messages.
    pub go_type: &'static str,
    /// The keys.
    pub keys: &'static str,
    /// The names in the canonical form; empty for fields that are ours alone.
    pub canonical: &'static str,
    /// The documentation.
    pub docs: &'static str,
    /// What is special about each field.
    pub marks: &'static [Mark],
}

impl Shape {
    /// The keys that may be given.
    #[must_use]
    pub fn known_keys(&self) -> Vec<&'static str> {
        self.keys
            .lines()
            .zip(self.marks)
            .filter(|(_, mark)| **mark != Mark::Internal)
            .map(|(key, _)| key)
            .collect()
    }
}

/// A mapping with fixed keys.
pub trait Section: Setting {
    /// Its declaration.
    fn shape(&self) -> &'static Shape;

    /// Its fields, in declaration order.
    fn fields(&self) -> Vec<&dyn Setting>;

    /// As [`Section::fields`], to change them.
    fn fields_mut(&mut self) -> Vec<&mut dyn Setting>;
}

pub(crate) fn slot<'s>(section: &'s mut dyn Section, key: &str) -> Option<Slot<'s>> {
    let shape = section.shape();
    let at = shape.keys.lines().position(|known| known == key)?;
    let go_type = match shape.marks[at] {
        Mark::Internal => return None,
        Mark::Wide | Mark::OmitWide => Some("int64"),
        _ => None,
    };
    Some(Slot { value: section.fields_mut().swap_remove(at), go_type })
}

pub(crate) fn arm(section: &mut dyn Section) {
    let marks = section.shape().marks;
    for (field, mark) in section.fields_mut().into_iter().zip(marks) {
        if *mark == Mark::Secure { field.switch_on() } else { field.arm() }
    }
}

pub(crate) fn is_empty_value(section: &dyn Section) -> bool {
    let fields = section.fields().into_iter().zip(section.shape().marks);
    fields.into_iter().all(|(field, mark)| field.is_empty_value() != (*mark == Mark::Secure))
}

pub(crate) fn dump(section: &dyn Section) -> Json {
    let shape = section.shape();
    let mut out = JsonMap::new();
    for ((field, key), mark) in section.fields().into_iter().zip(shape.keys.lines()).zip(shape.marks) {
        let left_out = match mark {
            Mark::Internal => true,
            Mark::Omit | Mark::OmitWide => field.is_empty_value(),
            Mark::Plain | Mark::Secure | Mark::Wide => false,
        };
        if !left_out {
            out.insert(key.to_owned(), field.dump());
        }
    }
    Json::Object(out)
}

pub(crate) fn canonical(section: &dyn Section, out: &mut Canonical) {
    let mut separator = "";
    out.text.push('{');
    for (field, name) in section.fields().into_iter().zip(section.shape().canonical.lines()) {
        if name.is_empty() {
            continue;
        }
        out.text.push_str(separator);
        separator = ",";
        out.text.push('"');
        out.text.push_str(name);
        out.text.push_str("\":");
        field.canonical(out);
    }
    out.text.push('}');
}

pub(crate) fn keys(section: &dyn Section, path: &str, doc: &'static str, out: &mut Vec<KeyInfo>) {
    let shape = section.shape();
    let mut prefix = String::new();
    if !path.is_empty() {
        prefix = format!("{path}.");
        out.push(KeyInfo { path: path.to_owned(), kind: "section".to_owned(), doc });
    }
    let texts = shape.keys.lines().zip(shape.docs.lines());
    for ((field, (key, doc)), mark) in section.fields().into_iter().zip(texts).zip(shape.marks) {
        if *mark != Mark::Internal {
            field.keys(&format!("{prefix}{key}"), doc.trim(), out);
        }
    }
}

pub(crate) fn debug(section: &dyn Section, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let shape = section.shape();
    let mut out = f.debug_struct(shape.name);
    for (field, key) in section.fields().into_iter().zip(shape.keys.lines()) {
        out.field(key, &field);
    }
    out.finish()
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
        #[derive(Clone, PartialEq)]
        pub struct $section {
            $( $(#[doc = $doc])+ pub $key: $type, )*
        }

        impl Default for $section {
            fn default() -> Self {
                <Self as $crate::config::value::Setting>::zero()
            }
        }

        impl std::fmt::Debug for $section {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::config::value::section::debug(self, f)
            }
        }

        impl $crate::config::value::Section for $section {
            fn shape(&self) -> &'static $crate::config::value::Shape {
                &$crate::config::value::Shape {
                    name: stringify!($section),
                    go_type: $go_type,
                    keys: concat!($( stringify!($key), "\n", )*),
                    canonical: concat!($( $name, "\n", )*),
                    docs: concat!($( $($doc,)+ "\n", )*),
                    marks: &[ $( sections!(@mark $($mark)?), )* ],
                }
            }

            fn fields(&self) -> Vec<&dyn $crate::config::value::Setting> {
                vec![ $( &self.$key, )* ]
            }

            fn fields_mut(&mut self) -> Vec<&mut dyn $crate::config::value::Setting> {
                vec![ $( &mut self.$key, )* ]
            }
        }

        impl $crate::config::yaml::Value for $section {
            fn go_type(&self) -> String {
                $go_type.to_owned()
            }

            fn mapping(
                &mut self,
                decoder: &mut $crate::config::yaml::Decoder<'_>,
                node: $crate::config::yaml::NodeId,
            ) -> Option<Result<bool, $crate::config::yaml::Fatal>> {
                Some(decoder.fields(node, self))
            }
        }

        impl $crate::config::yaml::Struct for $section {
            fn known_keys(&self) -> Vec<&'static str> {
                $crate::config::value::Section::shape(self).known_keys()
            }

            fn slot(&mut self, key: &str) -> Option<$crate::config::yaml::Slot<'_>> {
                $crate::config::value::section::slot(self, key)
            }
        }

        impl $crate::config::value::Setting for $section {
            fn zero() -> Self {
                $section { $( $key: <$type as $crate::config::value::Setting>::zero(), )* }
            }

            fn arm(&mut self) {
                $crate::config::value::section::arm(self);
            }

            fn is_empty_value(&self) -> bool {
                $crate::config::value::section::is_empty_value(self)
            }

            fn dump(&self) -> serde_json::Value {
                $crate::config::value::section::dump(self)
            }

            fn canonical(&self, out: &mut $crate::config::value::Canonical) {
                $crate::config::value::section::canonical(self, out);
            }

            fn keys(&self, path: &str, doc: &'static str, out: &mut Vec<$crate::config::value::KeyInfo>) {
                $crate::config::value::section::keys(self, path, doc, out);
            }
        }
    )* };
    (@mark) => { $crate::config::value::Mark::Plain };
    (@mark omit) => { $crate::config::value::Mark::Omit };
    (@mark secure) => { $crate::config::value::Mark::Secure };
    (@mark internal) => { $crate::config::value::Mark::Internal };
    (@mark wide) => { $crate::config::value::Mark::Wide };
    (@mark omit_wide) => { $crate::config::value::Mark::OmitWide };
}

pub(crate) use sections;
