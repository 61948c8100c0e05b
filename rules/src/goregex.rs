//! Go's regular-expression dialect on the Rust engine.
//!
//! User rules are written for RE2 as Go implements it. The Rust engine's own syntax differs in dozens of corners (what
//! `\d` or `\s` mean, nested classes, literal braces, octal escapes, ...), so patterns are read by a parser of our own
//! that follows Go's grammar and builds the engine's intermediate form directly (spec: dlp §5). Groups capture nothing:
//! nobody asks. Error texts are Go's, because operators compare them.

use std::sync::OnceLock;

use regex_automata::meta;
use regex_automata::util::syntax;
use regex_syntax::hir::Hir;

mod class;
mod parse;
#[cfg(test)]
mod tests;

pub use parse::Flags;

/// Upper bound of a compiled program, bytes. Go refuses programs above about 3.3 million instructions; this is of the
/// same order and keeps a hostile configuration from eating the machine.
const PROGRAM_LIMIT: usize = 192 << 20;

/// Why a pattern was refused. `Display` gives Go's text: ``error parsing regexp: REASON: `FRAGMENT` ``.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {reason}: `{fragment}`")]
pub struct Error {
    /// Go's name of the problem.
    pub reason: &'static str,
    /// The part of the pattern that is wrong.
    pub fragment: String,
}

/// A compiled pattern: search, leftmost-first, linear time.
#[derive(Debug, Clone)]
pub struct Regex {
    inner: OnceLock<meta::Regex>,
    hir: Hir,
}

/// Parses a pattern as written: the intermediate form without a program. Much cheaper than compiling.
pub fn parse(pattern: &str) -> Result<Hir, Error> {
    parse::parse(pattern, Flags::default())
}

/// Parses and compiles a pattern as written.
pub fn compile(pattern: &str) -> Result<Regex, Error> {
    compile_with(pattern, Flags::default())
}

/// Compiles a pattern under flags, as if they were written in front of it.
pub fn compile_with(pattern: &str, flags: Flags) -> Result<Regex, Error> {
    let hir = parse::parse(pattern, flags)?;
    let inner =
        build(&hir).ok_or_else(|| Error { reason: "expression too large", fragment: pattern.to_owned() })?;
    Ok(Regex { inner: inner.into(), hir })
}

/// The program of an intermediate form; `None` when it would be too large.
fn build(hir: &Hir) -> Option<meta::Regex> {
    let config = meta::Config::new()
        .nfa_size_limit(Some(PROGRAM_LIMIT))
        .which_captures(regex_automata::nfa::thompson::WhichCaptures::Implicit);
    meta::Builder::new().configure(config).syntax(syntax::Config::new()).build_from_hir(hir).ok()
}

/// Compiles a rule: case-insensitive unless its text starts with exactly `(?i)`, which says the same (spec: dlp §2.1).
pub fn compile_rule(pattern: &str) -> Result<Regex, Error> {
    compile_with(pattern, rule_flags(pattern))
}

/// [`compile_rule`] for a pattern that is known to compile: its program is built when it is first run.
pub(crate) fn compile_rule_later(pattern: &str) -> Result<Regex, Error> {
    Ok(Regex { inner: OnceLock::new(), hir: parse::parse(pattern, rule_flags(pattern))? })
}

fn rule_flags(pattern: &str) -> Flags {
    Flags { case_insensitive: !pattern.starts_with("(?i)"), ..Flags::default() }
}

impl Regex {
    /// Whether the pattern matches anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.engine().is_match(text)
    }

    /// The leftmost match at or after the start of `text`.
    pub fn find(&self, text: &str) -> Option<std::ops::Range<usize>> {
        self.engine().find(text).map(|m| m.range())
    }

    /// Successive non-overlapping leftmost matches, as byte ranges.
    pub fn find_iter<'r, 't>(
        &'r self,
        text: &'t str,
    ) -> impl Iterator<Item = std::ops::Range<usize>> + use<'r, 't> {
        self.engine().find_iter(text).map(|m| m.range())
    }

    /// The engine itself, for searches with a span or an anchor.
    pub fn engine(&self) -> &meta::Regex {
        // Only patterns that a test compiles are built late, and the limit does not depend on anything else.
        self.inner.get_or_init(|| build(&self.hir).expect("a pattern known to compile"))
    }

    /// The intermediate form: for literal extraction and length bounds.
    pub fn hir(&self) -> &Hir {
        &self.hir
    }
}
