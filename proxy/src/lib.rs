//! The muselet proxy as a library: configuration in, a running egress proxy out.
//!
//! Data flows one way: bytes → parsed request → [`policy`] verdict → action in [`server`] → record in [`events`].
//! To run a proxy inside another program, begin with [`embed`].

pub mod ca;
pub mod cli;
pub mod config;
mod descriptors;
pub mod embed;
pub mod events;
mod gather;
mod head_end;
pub mod policy;
pub mod server;
mod tls_suites;
pub mod upstream;

pub use muselet_rules::Strictness;

/// The program's version, as banner, `/health`, metrics and log give it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
