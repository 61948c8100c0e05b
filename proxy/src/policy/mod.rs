//! Decisions without I/O: values in, verdict out.

pub mod address;
pub mod body;
pub mod cross_request;
pub mod dial;
pub(crate) mod difference;
mod glob;
pub mod headers;
pub mod host;
pub mod kill_switch;
pub mod limits;
mod named;
pub mod response;
pub mod secrets;
pub mod session;
mod shown;
pub mod snapshot;
pub mod url;
pub mod verdict;

pub use snapshot::{CompileError, Policy, Surroundings, injection_settings};
