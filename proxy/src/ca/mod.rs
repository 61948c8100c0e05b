//! The certificate authority behind TLS interception: making one, loading one, minting leaves, keeping them.
//!
//! The CA's private key lives only in [`Ca`], which cannot be printed and hands out nothing but signatures. A leaf is
//! good for exactly one host name or address, so no certificate of ours ever vouches for two sites. A [`LeafCache`]
//! keeps leaves together with the ready server-side TLS configuration: a warm handshake costs a map lookup, and a
//! burst of first connections to one host costs one mint, which all of them wait for.
//!
//! spec: tls-and-request-bodies §2-4.

mod authority;
mod cache;
mod error;
mod key;

pub use authority::{Ca, GeneratedCa};
pub use cache::{Leaf, LeafCache, LeafSettings};
pub use error::{CaError, os_error_text};

#[cfg(test)]
mod tests;
