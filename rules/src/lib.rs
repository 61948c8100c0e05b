//! What a secret or an injection looks like: rules as data, and the scanners that apply them.
//!
//! No I/O, no async, no clock: text in, matches out. The plain scanners follow the specification step by step and stay
//! as the oracle of the fast ones.

pub mod decode;
pub mod dlp;
pub mod goregex;
pub mod injection;
pub mod json;
pub mod order;
pub mod redact;
pub mod scratch;
pub mod text;

/// How verdicts relate to the reference's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strictness {
    /// Every verdict as the reference gives it.
    Reference,
    /// The reference's verdicts and the listed differences, each of which is only ever stricter.
    #[default]
    Hardened,
}

impl Strictness {
    /// The word of the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Strictness::Reference => "reference",
            Strictness::Hardened => "hardened",
        }
    }
}
