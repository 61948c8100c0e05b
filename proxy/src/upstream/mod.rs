//! Resolver, pinned dialling, TLS client, connection pool.

pub mod pool;
pub mod tls;
