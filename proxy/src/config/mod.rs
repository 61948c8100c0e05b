//! The YAML schema: load, defaults, validate, compare on reload.
