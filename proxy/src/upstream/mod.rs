//! Resolver, pinned dialling, TLS client, connection pool.
