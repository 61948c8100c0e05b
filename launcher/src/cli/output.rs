//! What the commands write. The macros of the standard library panic when it cannot be written: a terminal that was closed, or
//! `| head`, would end a launch before its teardown.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use crate::{Error, Result};

/// Writes text to standard error as it is; without anybody to read it, nothing.
pub(super) fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Writes a line of this program to standard error.
pub(super) fn say(text: impl Display) {
    tell(&format!("bottle: {text}\n"));
}

/// Writes a line to standard output.
///
/// # Errors
/// [`Error::ReaderGone`], or when it cannot be written.
pub(super) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|e| match e.kind() {
        ErrorKind::BrokenPipe => Error::ReaderGone,
        _ => Error::step("write to", "standard output", e),
    })
}

/// Prints one JSON document.
///
/// # Errors
/// As [`print`].
pub(super) fn print_json(document: &serde_json::Value) -> Result<()> {
    print(&serde_json::to_string_pretty(document).unwrap_or_default())
}
