//! Redaction of secrets in JSON.
