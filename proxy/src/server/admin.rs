//! Health, stats and metrics endpoints.
