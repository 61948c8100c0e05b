//! `bottle doctor`: engine, images, runtime, and one whole round trip: networks, isolation, sidecar, health, teardown.

use super::output::print;
use super::start::cancel_on_signal;
use super::{ManifestArg, engine};
use crate::engine::Engine;
use crate::launch::{self, Options, Report};
use crate::manifest::Manifest;
use crate::plan::{Plan, Variables};
use crate::{Error, Result, names, stage};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    manifest: ManifestArg,
}

struct Quiet;

impl Report for Quiet {
    fn step(&self, _: &str) {}

    fn warning(&self, text: &str) {
        let _ = print(&format!("warn  {text}"));
    }
}

pub(super) async fn run(args: Args) -> Result<i64> {
    let engine = match engine().await {
        Ok(engine) => engine,
        Err(error) => {
            print(&format!("FAIL  {error}"))?;
            return Ok(1);
        }
    };
    let info = engine.info().await.map_err(|e| Error::NoEngine(e.to_string()))?;
    let kind = if info.podman { "Podman" } else { "Docker" };
    print(&format!("ok    engine {kind} {}", info.version))?;
    print(&format!("ok    runtimes: {}", info.runtimes.join(", ")))?;
    let variables = Variables::of_process();
    let sidecar = names::sidecar_image(variables.image.as_deref());
    let mut failed =
        !check_image(&engine, "sidecar image", &sidecar, "build it with 'bottle image build'").await?;
    match args.manifest.load() {
        Ok(manifest) => {
            print(&format!("ok    manifest {}", manifest.path.display()))?;
            for (name, agent) in &manifest.agents {
                let what = format!("image of agent {name}");
                check_image(&engine, &what, &agent.image, "it will be pulled at the first start").await?;
                if let Some(runtime) =
                    agent.runtime.as_ref().filter(|runtime| !info.runtimes.contains(runtime))
                {
                    print(&format!(
                        "FAIL  agent {name} wants the runtime {runtime}, which the engine does not have"
                    ))?;
                    failed = true;
                }
            }
        }
        Err(error) => print(&format!("note  {error}"))?,
    }
    if failed {
        return Ok(1);
    }
    match round_trip(&engine, &sidecar, &variables).await {
        Ok(()) => {
            print("ok    round trip: networks, isolation, sidecar, health, teardown")?;
            Ok(0)
        }
        Err(error) => {
            print(&format!("FAIL  round trip: {error}"))?;
            Ok(1)
        }
    }
}

async fn check_image<E: Engine>(engine: &E, what: &str, image: &str, hint: &str) -> Result<bool> {
    let found = engine.image_exists(image).await;
    print(&match &found {
        Ok(true) => format!("ok    {what} {image}"),
        Ok(false) => format!("miss  {what} {image}: {hint}"),
        Err(error) => format!("FAIL  {what} {image}: {error}"),
    })?;
    Ok(found == Ok(true))
}

async fn round_trip<E: Engine>(engine: &E, image: &str, variables: &Variables) -> Result<()> {
    let text = r#"{"bottles":{"doctor":{}},"agents":{"doctor":{"bottle":"doctor","image":"doctor"}}}"#;
    let manifest = Manifest::parse("doctor.json", text)?;
    let mut plan = Plan::new(&manifest, "doctor", "doctor", &[], variables)?;
    image.clone_into(&mut plan.image);
    let cancel = cancel_on_signal()?;
    let options = Options { sidecar_only: true, ..Options::default() };
    let body = async |_: launch::Launched<'_, E>| Ok(0);
    launch::run(engine, &plan, &stage::root_of_process(), &options, &cancel, &Quiet, body).await?;
    Ok(())
}
