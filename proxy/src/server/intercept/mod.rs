//! HTTP inside an intercepted tunnel.
