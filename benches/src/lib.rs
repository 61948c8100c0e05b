//! Helpers shared by the benchmarks.

pub mod corpus;
pub mod counts;
pub mod hostile;
pub mod leaves;
pub mod measure;
pub mod urls;
