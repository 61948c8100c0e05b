//! What a layer answers.
