//! Support shared by the integration tests.

pub mod proxy;
pub mod replay;
