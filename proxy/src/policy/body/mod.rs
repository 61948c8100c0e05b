//! Request bodies: extraction, scanning, fail-closed rules.
