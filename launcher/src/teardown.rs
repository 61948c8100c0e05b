//! What has to go when a launch ends, in reverse of how it came (spec: launcher §6, §7, §8).
//!
//! Each thing is registered *before* the step that creates it, so that a step that fails half-way, or whose answer never
//! arrives, is cleaned up too. Removing something that is not there is success, and a failure is a warning that says what
//! to do by hand: it never stops the rest.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::engine::{Engine, EngineError, EngineResult};
use crate::stage::Stage;

/// How long a network that is still in use is retried.
const NETWORK_PATIENCE: Duration = Duration::from_secs(5);

/// Something that a launch leaves unless it is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// A container.
    Container(String),
    /// A network.
    Network(String),
    /// The stage directory, with the CA's key.
    Stage(PathBuf),
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Container(name) | Self::Network(name) => f.write_str(name),
            Self::Stage(dir) => dir.display().fmt(f),
        }
    }
}

/// The stack of what is to be removed.
#[derive(Debug, Default)]
pub struct Teardown {
    things: Vec<Thing>,
}

impl Teardown {
    /// Registers a thing that the next step is going to create.
    pub fn will_create(&mut self, thing: Thing) {
        self.things.push(thing);
    }

    /// Takes back the latest registration: it was somebody else's after all.
    pub fn was_not_ours(&mut self, thing: &Thing) {
        self.things.retain(|known| known != thing);
    }

    /// What is registered, in the order of creation.
    pub fn things(&self) -> &[Thing] {
        &self.things
    }

    /// Removes everything, latest first, and gives the warnings.
    pub async fn run<E: Engine>(&mut self, engine: &E) -> Vec<String> {
        let mut warnings = Vec::new();
        while let Some(thing) = self.things.pop() {
            warnings.extend(remove(engine, &thing).await.err());
        }
        warnings
    }
}

/// Removes one thing.
///
/// # Errors
/// A warning that says how to remove it by hand.
pub async fn remove<E: Engine>(engine: &E, thing: &Thing) -> Result<(), String> {
    match thing {
        Thing::Container(name) => engine.remove_container(name).await.map_err(|e| {
            format!("container {name} is still there ({e}): clean up with 'docker rm -f {name}'")
        }),
        Thing::Network(name) => remove_network(engine, name).await.map_err(|e| {
            format!("network {name} is still there ({e}): clean up with 'docker network rm {name}'")
        }),
        Thing::Stage(dir) => Stage::remove(dir)
            .map_err(|e| format!("{} is still there ({e}): it may hold a CA key, remove it", dir.display())),
    }
}

async fn remove_network<E: Engine>(engine: &E, name: &str) -> EngineResult<()> {
    let deadline = Instant::now() + NETWORK_PATIENCE;
    loop {
        match engine.remove_network(name).await {
            Err(EngineError::Conflict(_)) if Instant::now() < deadline => {
                sleep(Duration::from_millis(200)).await
            }
            result => return result,
        }
    }
}
