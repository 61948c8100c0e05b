//! Replays recorded answers of the reference and compares them with ours.

pub mod config;
