//! What hardened strictness finds beyond the reference.

/// A rule is evaluated although the reference's literal gate, wrongly derived, rules it out (spec: dlp §9, Oddity 1).
pub(super) const GATE: &str = "D-100";
