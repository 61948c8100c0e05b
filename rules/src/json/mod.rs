//! JSON as the request scanners need it: a strict pull parser over borrowed bytes, and a flat document built on it.
//!
//! Why not serde_json: the scanners must accept exactly what the reference accepts (10,000 levels, invalid UTF-8 inside
//! strings, lone surrogates), see every member of an object that repeats a name, and keep numbers as they were written.
//! Nothing here recurses, so nesting cannot exhaust the stack, and strings are borrowed until they contain an escape.
//!
//! spec: tls-and-request-bodies §13.5 (what is valid), §14.3.

mod document;
mod parse;
mod string;

pub use document::{Document, Kind, Node};
pub use parse::{Event, MAX_DEPTH, Parser, is_valid};
pub use string::{Str, push_escaped};

/// The text is not one JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one valid JSON value (at byte {offset})")]
pub struct Invalid {
    /// Offset in bytes at which parsing stopped.
    pub offset: usize,
}

#[cfg(test)]
mod tests;
