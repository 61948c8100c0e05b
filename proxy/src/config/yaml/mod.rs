//! YAML as the reference's parser reads it: a tree of scalars with positions, Go's scalar typing, strict decoding.
//!
//! The syntax comes from `saphyr-parser`, which keeps scalars as written; everything that decides acceptance above the
//! syntax (types, duplicate and unknown keys, merge keys, aliases) is ours, because every other YAML library types
//! scalars in its own way. Cost: a document is held as a tree once, bounded in size, depth and alias expansion.
//! Spec: config §1.4.

mod decode;
mod document;
mod scalar;
mod timestamp;
mod tree;

pub use decode::{Decoder, Entries, Fatal, Slot, Struct, Value};
pub use document::{Document, MAX_DEPTH, MAX_DOCUMENT_BYTES, Node, NodeId, NodeKind};
pub use scalar::{Resolved, Tag, resolve};
pub use timestamp::Timestamp;
pub use tree::tree;

#[cfg(test)]
mod tests;

/// Why a document was refused, with the place in the file where it can be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, counted from 1; 0 when the problem has no place.
    pub line: usize,
    /// Column in characters, counted from 1; 0 when the problem has no place.
    pub column: usize,
    /// What is wrong, in the reference's words.
    pub message: String,
    /// What would be right (known keys, accepted forms); empty when there is nothing to add.
    pub hint: String,
}

/// A refused document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// Not YAML, or an alias or merge that cannot be followed.
    #[error("yaml: {}", at(.0))]
    Syntax(Problem),
    /// More than one document in the file.
    #[error("multiple YAML documents not supported (pipelock config must be a single document)")]
    MultipleDocuments,
    /// A value of a type that parses its own text (a time) was refused.
    #[error("{}", .0.message)]
    Text(Problem),
    /// Unknown keys, repeated keys and values of the wrong type: all of the document's, in its order.
    #[error("yaml: unmarshal errors:{}", listed(.0))]
    Content(Vec<Problem>),
}

fn at(problem: &Problem) -> String {
    if problem.line == 0 {
        problem.message.clone()
    } else {
        format!("line {}: {}", problem.line, problem.message)
    }
}

fn listed(problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        out.push_str("\n  ");
        out.push_str(&at(problem));
        if problem.column > 0 {
            out.push_str(&format!(" (column {}", problem.column));
            if !problem.hint.is_empty() {
                out.push_str("; ");
                out.push_str(&problem.hint);
            }
            out.push(')');
        }
    }
    out
}
