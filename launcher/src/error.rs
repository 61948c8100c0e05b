//! What can go wrong, each with the thing it concerns and what to do.

/// Result of the launcher.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the launcher. Its text names the step and the thing concerned; never a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest is wrong at a place.
    #[error("{file}:{line}:{column}: {message}")]
    Manifest {
        /// The manifest as the user named it.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong and what is allowed.
        message: String,
    },
    /// There is no manifest, no such agent, or the request cannot be met as it stands.
    #[error("{0}")]
    Refused(String),
    /// A step of the launch failed.
    #[error("{step} {resource}: {message}")]
    Step {
        /// What was being done, as a verb phrase.
        step: &'static str,
        /// Container, network, image or file.
        resource: String,
        /// The engine's or the system's own message.
        message: String,
    },
    /// The engine does not answer.
    #[error("no container engine: {0}")]
    NoEngine(String),
    /// Nobody reads standard output any more.
    #[error("standard output is closed")]
    ReaderGone,
    /// A signal ended the launch.
    #[error("stopped by {0}")]
    Interrupted(&'static str),
}

impl Error {
    /// An error of one step.
    pub fn step(step: &'static str, resource: impl Into<String>, message: impl ToString) -> Self {
        Self::Step { step, resource: resource.into(), message: message.to_string() }
    }
}
