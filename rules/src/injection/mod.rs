//! Injection rules and passes.
