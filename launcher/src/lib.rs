//! bottle: starts an agent container whose only way out is the proxy sidecar.
//!
//! The way of a launch: [`manifest`] → [`plan`] (immutable, decided before anything is created) → [`launch`], which makes
//! the networks, the sidecar, the CA and the agent in that order and takes them down in reverse, whatever happens.
//! The container engine is behind one trait ([`engine::Engine`]), so that every order and every fault can be tested without one.

pub mod agent;
pub mod allowlist;
pub mod ca;
pub mod cli;
pub mod engine;
pub mod error;
pub mod image;
pub mod launch;
pub mod manifest;
pub mod names;
pub mod networks;
pub mod plan;
pub mod preflight;
pub mod sidecar;
pub mod stage;
pub mod teardown;

pub use error::{Error, Result};
