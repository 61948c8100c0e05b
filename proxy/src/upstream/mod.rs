//! Resolver, pinned dialling, TLS client, connection pool.

pub mod tls;
