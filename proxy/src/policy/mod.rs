//! Decisions without I/O: values in, verdict out.

pub mod body;
pub mod headers;
pub mod response;
pub mod url;
pub mod verdict;
