//! HTTP inside an intercepted tunnel.

pub mod origin;
