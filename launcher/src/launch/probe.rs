//! The proof that the internal network is isolated (spec: launcher §7): a short-lived container on it tries to reach what
//! it must not reach. The program is `probe` of our own image; another sidecar image does not have it, so ours is used
//! beside it, and without ours nothing is proved and nothing starts.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::engine::{ContainerSpec, Engine};
use crate::names::DEFAULT_IMAGE;
use crate::plan::Plan;
use crate::{Error, Result};

/// Exit code of `probe` when it reached nothing.
const ISOLATED: i64 = 0;
/// Exit code of `probe` when it reached something; it prints what, a line each.
const LEAKS: i64 = 3;

/// How long the program may take; its own attempts end within a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a proof needs.
pub struct Probe<'a, E> {
    /// The engine.
    pub engine: &'a E,
    /// The launch.
    pub plan: &'a Plan,
    /// Addresses that must not be reached.
    pub addresses: &'a [Ipv4Addr],
    /// Labels of the container.
    pub labels: BTreeMap<String, String>,
    /// Set when a signal came.
    pub cancel: &'a CancellationToken,
}

impl<E: Engine> Probe<'_, E> {
    /// Gives what a container with these settings of its network namespace reached.
    ///
    /// # Errors
    /// When the proof could not be made, or a signal came.
    pub async fn run(&self, sysctls: &BTreeMap<String, String>) -> Result<Vec<String>> {
        let Self { engine, plan, addresses, labels, cancel } = self;
        let name = &plan.names.probe;
        let failed = |e: crate::engine::EngineError| Error::step("run the isolation probe", name, e);
        let mut images = vec![plan.sidecar_image.clone()];
        if plan.sidecar_image != DEFAULT_IMAGE && engine.image_exists(DEFAULT_IMAGE).await.map_err(failed)? {
            images.insert(0, DEFAULT_IMAGE.to_owned());
        }
        let mut problem = String::new();
        for image in images {
            let command = ["probe", "ipv6"]
                .map(str::to_owned)
                .into_iter()
                .chain(addresses.iter().map(Ipv4Addr::to_string))
                .collect();
            let spec = ContainerSpec {
                name: name.clone(),
                image: image.clone(),
                command,
                network: plan.names.internal.clone(),
                sysctls: sysctls.clone(),
                hardened: true,
                labels: labels.clone(),
                ..ContainerSpec::default()
            };
            engine.remove_container(name).await.map_err(failed)?;
            engine.create_container(&spec).await.map_err(failed)?;
            engine.start_container(name).await.map_err(failed)?;
            let code = tokio::select! {
                code = engine.wait_container(name) => code.map_err(failed)?,
                () = cancel.cancelled() => return Err(Error::Interrupted("a signal")),
                () = tokio::time::sleep(PATIENCE) => {
                    let message = format!("{image} did not end within {} s", PATIENCE.as_secs());
                    return Err(Error::step("run the isolation probe", name, message));
                }
            };
            let output = engine.last_logs(name, 50).await.map_err(failed)?;
            engine.remove_container(name).await.map_err(failed)?;
            match code {
                ISOLATED => return Ok(Vec::new()),
                LEAKS => {
                    return Ok(output
                        .lines()
                        .filter_map(|l| l.strip_prefix("reached "))
                        .map(str::to_owned)
                        .collect());
                }
                _ => problem = format!("{image} ended with {code}: {}", output.trim()),
            }
        }
        let hint = format!("the image {DEFAULT_IMAGE} has it: 'bottle image build'");
        Err(Error::step("run the isolation probe", name, format!("{problem}; {hint}")))
    }
}
