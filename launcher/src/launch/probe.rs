//! The proof that the internal network is isolated (spec: launcher §7): a short-lived container on it tries to reach what
//! it must not reach. The program is `probe` of our own image; another sidecar image does not have it, so ours is used
//! beside it, and without ours nothing is proved and nothing starts.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::engine::{ContainerSpec, Engine};
use crate::names::DEFAULT_IMAGE;
use crate::plan::Plan;
use crate::{Error, Result};

/// Exit code of `probe` when it reached nothing.
const ISOLATED: i64 = 0;
/// Exit code of `probe` when it reached something; it prints what, a line each.
const LEAKS: i64 = 3;

/// Gives the addresses that were reached.
///
/// # Errors
/// When the proof could not be made.
pub async fn run<E: Engine>(
    engine: &E,
    plan: &Plan,
    addresses: &[Ipv4Addr],
    labels: BTreeMap<String, String>,
) -> Result<Vec<String>> {
    let name = &plan.names.probe;
    let failed = |e: crate::engine::EngineError| Error::step("run the isolation probe", name, e);
    let mut images = vec![plan.sidecar_image.clone()];
    if plan.sidecar_image != DEFAULT_IMAGE && engine.image_exists(DEFAULT_IMAGE).await.map_err(failed)? {
        images.insert(0, DEFAULT_IMAGE.to_owned());
    }
    let mut problem = String::new();
    for image in images {
        let command =
            std::iter::once("probe".to_owned()).chain(addresses.iter().map(Ipv4Addr::to_string)).collect();
        let spec = ContainerSpec {
            name: name.clone(),
            image: image.clone(),
            command,
            network: plan.names.internal.clone(),
            hardened: true,
            labels: labels.clone(),
            ..ContainerSpec::default()
        };
        engine.remove_container(name).await.map_err(failed)?;
        engine.create_container(&spec).await.map_err(failed)?;
        engine.start_container(name).await.map_err(failed)?;
        let code = engine.wait_container(name).await.map_err(failed)?;
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
