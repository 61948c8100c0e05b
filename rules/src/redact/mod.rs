//! Redaction: secrets in a JSON body are replaced by placeholders before the body is scanned and forwarded.
//!
//! A [`Redactor`] is compiled once from a profile; [`Redactor::rewrite`] turns one body into another or says with a code
//! why it must be blocked. Numbering and the vault of seen values live for one call, so nothing links two requests.
//! Where the reference numbers members of an object in random order, this one goes by sorted name: one of its outcomes.
//!
//! spec: tls-and-request-bodies §14, dlp §12

mod classes;
mod matcher;
mod rewrite;

pub use classes::is_class;
pub use matcher::Redactor;
pub use rewrite::Redacted;

/// A profile, resolved: the classes and dictionaries it names.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Name of the profile, for receipts.
    pub profile: String,
    /// Built-in classes, in the order given.
    pub classes: Vec<String>,
    /// Dictionaries, in the order given.
    pub dictionaries: Vec<Dictionary>,
    /// Bounds of one request.
    pub limits: Limits,
}

/// Literal strings that count as a class.
#[derive(Clone, Default)]
pub struct Dictionary {
    /// Its name in the configuration, for errors.
    pub name: String,
    /// Class in placeholders.
    pub class: String,
    /// The strings. They are secrets: `Debug` shows their number only.
    pub entries: Vec<String>,
    /// Unicode simple case folding.
    pub case_insensitive: bool,
    /// Only between ASCII word boundaries.
    pub word_boundary: bool,
    /// Raises the class over others where matches overlap.
    pub priority: i64,
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dictionary")
            .field("name", &self.name)
            .field("class", &self.class)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// Bounds of one request. Zero and below mean the default; larger than the cap means the cap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body before it is rewritten; default 10,485,760, cap 67,108,864.
    pub max_body_bytes: i64,
    /// Distinct pairs of class and text; default 10,000, cap 1,000,000.
    pub max_redactions: i64,
    /// Deepest node, the outermost value being 0; default 64, cap 256.
    pub max_depth: i64,
}

impl Limits {
    fn effective(value: i64, default: usize, cap: usize) -> usize {
        match usize::try_from(value) {
            Ok(0) | Err(_) => default,
            Ok(value) => value.min(cap),
        }
    }

    /// Effective bound in bytes.
    pub fn body_bytes(&self) -> usize {
        Self::effective(self.max_body_bytes, 10_485_760, 67_108_864)
    }

    /// Effective bound in distinct pairs.
    pub fn redactions(&self) -> usize {
        Self::effective(self.max_redactions, 10_000, 1_000_000)
    }

    /// Effective bound in levels.
    pub fn depth(&self) -> usize {
        Self::effective(self.max_depth, 64, 256)
    }
}

/// A profile that cannot be compiled. `Display` is the text after `redact: `.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CompileError {
    /// A class that does not exist.
    #[error("profile {profile:?} references unknown class {class:?}")]
    UnknownClass {
        /// Name of the profile.
        profile: String,
        /// Name of the class.
        class: String,
    },
    /// Nothing to look for in a dictionary.
    #[error("build dictionary {name:?}: no entries left")]
    EmptyDictionary {
        /// Name of the dictionary.
        name: String,
    },
    /// The entries make too large an expression.
    #[error("build dictionary {name:?}: the entries are too large to compile")]
    TooLarge {
        /// Name of the dictionary.
        name: String,
    },
}

/// Why a body is refused. The request is blocked whatever the configured action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.code())]
pub enum Refusal {
    /// Longer than the byte bound.
    BodyTooLarge,
    /// Not one valid JSON value.
    BodyUnparseable,
    /// Not JSON by its type.
    NonJsonBody,
    /// More distinct redactions than the bound.
    RedactionOverflow,
    /// A node below the depth bound.
    JsonDepthExceeded,
    /// Two names of one object became equal.
    KeyCollision,
    /// Two members of one object have the same name.
    DuplicateObjectKey,
    /// A number whose digits match a class: it cannot hold a placeholder.
    SecretInNumericScalar,
    /// A WebSocket message came in fragments.
    WsMessageFragmented,
    /// No matcher where redaction is required.
    InternalError,
}

impl Refusal {
    /// The code in reasons and receipts.
    pub fn code(self) -> &'static str {
        match self {
            Self::BodyTooLarge => "body_too_large",
            Self::BodyUnparseable => "body_unparseable",
            Self::NonJsonBody => "non_json_body",
            Self::RedactionOverflow => "redaction_overflow",
            Self::JsonDepthExceeded => "json_depth_exceeded",
            Self::KeyCollision => "key_collision",
            Self::DuplicateObjectKey => "duplicate_object_key",
            Self::SecretInNumericScalar => "secret_in_numeric_scalar",
            Self::WsMessageFragmented => "ws_message_fragmented",
            Self::InternalError => "internal_error",
        }
    }
}

#[cfg(test)]
mod tests;
