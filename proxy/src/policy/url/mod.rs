//! The URL pipeline.
