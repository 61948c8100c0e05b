//! Go's regular-expression dialect on the Rust engine.
