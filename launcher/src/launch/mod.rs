//! The launch itself (spec: launcher §8): one list of steps, each registered for teardown before it runs.
//!
//! A launch is never dropped half-way: a signal sets a token that is asked between steps, and long waits end early. So the
//! engine's answer to a creating call is always seen, and what it created is always removed.

pub mod attach;
mod probe;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, EngineError, EngineInfo};
use crate::names::{self, MAX_SUFFIX, label};
use crate::plan::Plan;
use crate::stage::Stage;
use crate::teardown::{Teardown, Thing};
use crate::{Error, Result, agent, ca, networks, sidecar};

/// What a launch tells while it runs.
pub trait Report: Sync {
    /// A step begins.
    fn step(&self, text: &str);
    /// Something to know that is no failure.
    fn warning(&self, text: &str);
}

/// How to launch.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The user chose the slug: taken is an error.
    pub fixed_name: bool,
    /// Goes on when the internal network is not isolated.
    pub allow_leaky_network: bool,
    /// Stops short of the agent: the body runs when the sidecar is healthy.
    pub sidecar_only: bool,
}

/// What the body of a launch works with: everything runs.
pub struct Launched<'a, E> {
    /// The engine.
    pub engine: &'a E,
    /// The plan, with the slug it got.
    pub plan: &'a Plan,
    /// Set when a signal came.
    pub cancel: &'a CancellationToken,
}

/// Labels of everything that belongs to an instance.
pub fn labels(plan: &Plan, role: &str) -> BTreeMap<String, String> {
    let started =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    [
        (label::SLUG, plan.names.slug.clone()),
        (label::AGENT, plan.agent.clone()),
        (label::ROLE, role.to_owned()),
        (label::PID, std::process::id().to_string()),
        (label::STARTED, started.to_string()),
        (label::HOST, names::host()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

enum Failure {
    /// A name belongs to somebody else.
    Taken,
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

fn create_failure(step: &'static str, name: &str, error: EngineError) -> Failure {
    match error {
        EngineError::Conflict(_) => Failure::Taken,
        other => Failure::Error(Error::step(step, name, other)),
    }
}

/// Launches, runs `body` when the agent container runs, and takes everything down, whatever happened: an error, a signal,
/// a panic. The exit code is the body's.
///
/// # Errors
/// The first failure, after the teardown.
pub async fn run<E, B>(
    engine: &E,
    plan: &Plan,
    stage_root: &Path,
    options: &Options,
    cancel: &CancellationToken,
    report: &dyn Report,
    body: B,
) -> Result<i64>
where
    E: Engine,
    B: AsyncFn(Launched<'_, E>) -> Result<i64>,
{
    let info = tokio::select! {
        info = engine.info() => info.map_err(|e| Error::NoEngine(e.to_string()))?,
        () = cancel.cancelled() => return Err(Error::Interrupted("a signal")),
    };
    images(engine, plan, options, cancel, report).await?;
    for n in 1..=MAX_SUFFIX {
        let plan = plan.with_slug(&names::candidate(&plan.names.slug, n));
        let Some(stage) = Stage::claim(stage_root, &plan.names.slug)? else {
            taken(options, &plan.names.slug)?;
            continue;
        };
        let mut teardown = Teardown::default();
        teardown.will_create(Thing::Stage(stage.dir().to_owned()));
        let attempt = Attempt { engine, plan: &plan, stage: &stage, info: &info, options, cancel, report };
        let result = AssertUnwindSafe(attempt.run(&mut teardown, &body)).catch_unwind().await;
        if !teardown.things().is_empty() {
            report.step("removing what was created");
        }
        for warning in teardown.run(engine).await {
            report.warning(&warning);
        }
        match result {
            Ok(Ok(code)) => return Ok(code),
            Ok(Err(Failure::Error(error))) => return Err(error),
            Ok(Err(Failure::Taken)) => taken(options, &plan.names.slug)?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    Err(Error::Refused(format!("{} and its suffixes up to {MAX_SUFFIX} are taken", plan.names.slug)))
}

fn taken(options: &Options, slug: &str) -> Result<()> {
    if options.fixed_name { Err(Error::Refused(format!("the name {slug} is taken"))) } else { Ok(()) }
}

/// Makes sure that both images are there.
async fn images<E: Engine>(
    engine: &E,
    plan: &Plan,
    options: &Options,
    cancel: &CancellationToken,
    report: &dyn Report,
) -> Result<()> {
    let mut wanted = vec![(&plan.sidecar_image, "; build it with 'bottle image build'")];
    if !options.sidecar_only {
        wanted.push((&plan.image, ""));
    }
    for (image, hint) in wanted {
        if engine.image_exists(image).await.map_err(|e| Error::step("look for image", image, e))? {
            continue;
        }
        report.step(&format!("pulling {image}"));
        let progress = |text: &str| report.step(text);
        tokio::select! {
            pulled = engine.pull_image(image, &progress) => {
                pulled.map_err(|e| Error::step("pull image", image, format!("it is not here and cannot be pulled ({e}){hint}")))?;
            }
            () = cancel.cancelled() => return Err(Error::Interrupted("a signal")),
        }
    }
    Ok(())
}

struct Attempt<'a, E> {
    engine: &'a E,
    plan: &'a Plan,
    stage: &'a Stage,
    info: &'a EngineInfo,
    options: &'a Options,
    cancel: &'a CancellationToken,
    report: &'a dyn Report,
}

impl<E: Engine> Attempt<'_, E> {
    /// Announces a step, unless a signal came.
    fn step(&self, text: &str) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::Interrupted("a signal"));
        }
        self.report.step(text);
        Ok(())
    }

    async fn run<B>(&self, teardown: &mut Teardown, body: &B) -> std::result::Result<i64, Failure>
    where
        B: AsyncFn(Launched<'_, E>) -> Result<i64>,
    {
        let names = &self.plan.names;
        self.stage.write(sidecar::CONFIG, 0o600, self.plan.sidecar_config(None).as_bytes())?;

        self.step(&format!("creating the internal network {}", names.internal))?;
        let spec = networks::internal(&names.internal, self.info, labels(self.plan, "internal"));
        self.create_network(teardown, &spec).await?;

        self.step(&format!("creating the egress network {}", names.egress))?;
        let spec = networks::egress(&names.egress, labels(self.plan, "egress"));
        self.create_network(teardown, &spec).await?;

        self.step("looking up the internal subnet")?;
        let network = networks::inspect(self.engine, &names.internal).await?;
        self.stage.write(sidecar::CONFIG, 0o600, self.plan.sidecar_config(network.subnet).as_bytes())?;

        self.step("proving that the internal network is isolated")?;
        teardown.will_create(Thing::Container(names.probe.clone()));
        let sysctls = self.prove_isolation(&network).await?;

        let certificate = if self.plan.egress.tls_interception {
            self.step("making the CA")?;
            Some(ca::create(self.stage)?)
        } else {
            None
        };
        let resolver = self.start_sidecar(teardown).await?;
        if !self.options.sidecar_only {
            self.start_agent(teardown, resolver, sysctls, certificate.as_deref()).await?;
            self.step("running the agent")?;
        }
        Ok(body(Launched { engine: self.engine, plan: self.plan, cancel: self.cancel }).await?)
    }

    /// Brings the sidecar up and gives its address on the internal network.
    async fn start_sidecar(&self, teardown: &mut Teardown) -> std::result::Result<Ipv4Addr, Failure> {
        let names = &self.plan.names;
        self.step(&format!("creating the sidecar {}", names.sidecar))?;
        self.create_container(teardown, &sidecar::spec(self.plan, labels(self.plan, "sidecar"))).await?;
        self.step("copying the sidecar's configuration")?;
        sidecar::copy_files(self.engine, self.plan, self.stage).await?;
        self.step("connecting the sidecar to the egress network")?;
        let connected = self.engine.connect(&names.egress, &names.sidecar).await;
        connected.map_err(|e| Error::step("connect to the egress network container", &names.sidecar, e))?;
        self.step("starting the sidecar")?;
        let started = self.engine.start_container(&names.sidecar).await;
        started.map_err(|e| Error::step("start container", &names.sidecar, e))?;
        self.step("waiting for the sidecar to be healthy")?;
        tokio::select! {
            healthy = sidecar::wait_healthy(self.engine, self.plan) => healthy?,
            () = self.cancel.cancelled() => return Err(Error::Interrupted("a signal").into()),
        }
        Ok(sidecar::address(self.engine, self.plan).await?)
    }

    async fn start_agent(
        &self,
        teardown: &mut Teardown,
        resolver: Ipv4Addr,
        sysctls: BTreeMap<String, String>,
        certificate: Option<&[u8]>,
    ) -> std::result::Result<(), Failure> {
        let names = &self.plan.names;
        self.step(&format!("creating the agent {}", names.agent))?;
        let spec = agent::spec(self.plan, resolver, sysctls, labels(self.plan, "agent"));
        self.create_container(teardown, &spec).await?;
        self.step("starting the agent")?;
        let started = self.engine.start_container(&names.agent).await;
        started.map_err(|e| {
            // The engine's words name the program, which is none that the user asked for.
            let hint = if e.to_string().contains("\"sleep\"") {
                format!("; an agent's image must have the program sleep, and {} has not", self.plan.image)
            } else {
                String::new()
            };
            Error::step("start container", &names.agent, format!("{e}{hint}"))
        })?;
        if let Some(certificate) = certificate {
            self.step("installing the CA in the agent")?;
            tokio::select! {
                installed = ca::install(self.engine, &names.agent, certificate) => installed?,
                () = self.cancel.cancelled() => return Err(Error::Interrupted("a signal").into()),
            }
        }
        Ok(())
    }

    async fn create_network(
        &self,
        teardown: &mut Teardown,
        spec: &crate::engine::NetworkSpec,
    ) -> std::result::Result<(), Failure> {
        let thing = Thing::Network(spec.name.clone());
        teardown.will_create(thing.clone());
        let created = self.engine.create_network(spec).await;
        if matches!(created, Err(EngineError::Conflict(_))) {
            teardown.was_not_ours(&thing);
        }
        created.map_err(|e| create_failure("create network", &spec.name, e))
    }

    async fn create_container(
        &self,
        teardown: &mut Teardown,
        spec: &crate::engine::ContainerSpec,
    ) -> std::result::Result<(), Failure> {
        let thing = Thing::Container(spec.name.clone());
        teardown.will_create(thing.clone());
        let created = self.engine.create_container(spec).await;
        if matches!(created, Err(EngineError::Conflict(_))) {
            teardown.was_not_ours(&thing);
        }
        created.map_err(|e| create_failure("create container", &spec.name, e))
    }

    /// Gives the settings under which a container on the internal network reaches nothing it must not reach.
    async fn prove_isolation(
        &self,
        network: &crate::engine::NetworkInfo,
    ) -> Result<BTreeMap<String, String>> {
        let addresses = networks::forbidden_addresses(network);
        let probe = probe::Probe {
            engine: self.engine,
            plan: self.plan,
            addresses: &addresses,
            labels: labels(self.plan, "probe"),
            cancel: self.cancel,
        };
        let as_it_is = probe.run(&BTreeMap::new()).await?;
        if as_it_is.is_empty() {
            return Ok(BTreeMap::new());
        }
        // A kernel without IPv6 refuses the settings that switch it off.
        let without = networks::without_ipv6();
        let (sysctls, reached) = match probe.run(&without).await {
            Ok(reached) => (without, reached),
            Err(Error::Interrupted(by)) => return Err(Error::Interrupted(by)),
            Err(_) => (BTreeMap::new(), as_it_is),
        };
        if reached.is_empty() {
            return Ok(sysctls);
        }
        let message = format!("a container on it reaches {}", reached.join(", "));
        if self.options.allow_leaky_network {
            self.report.warning(&format!("network {} is not isolated: {message}", self.plan.names.internal));
            return Ok(sysctls);
        }
        let hint = "; upgrade the engine, or accept it with --allow-leaky-network";
        Err(Error::step("isolate network", &self.plan.names.internal, format!("{message}{hint}")))
    }
}

#[cfg(test)]
mod tests;
