//! bottle, the launcher, as a library.
