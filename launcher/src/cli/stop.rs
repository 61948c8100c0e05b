//! `bottle stop`: removes an instance by its names, in teardown order. What is not there is success.

use std::collections::BTreeSet;

use super::engine;
use super::output::say;
use crate::engine::Engine;
use crate::names::{self, Names, label};
use crate::teardown::{self, Thing};
use crate::{Error, Result, stage};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The instance
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    slug: Option<String>,
    /// Every instance
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(args: Args) -> Result<i64> {
    let engine = engine().await?;
    let known = instances(&engine).await?;
    let slugs = match args.slug {
        Some(slug) if names::is_slug(&slug) => BTreeSet::from([slug]),
        Some(slug) => return Err(Error::Refused(format!("{slug:?} is no instance name; see 'bottle ps'"))),
        None => known.clone(),
    };
    let mut failed = false;
    for slug in slugs {
        for warning in remove(&engine, &slug).await {
            say(format_args!("warning: {warning}"));
            failed = true;
        }
        say(format_args!("{} {slug}", if known.contains(&slug) { "removed" } else { "nothing is named" }));
    }
    Ok(i64::from(failed))
}

/// Every slug that anything on the engine, or a stage directory, carries.
async fn instances<E: Engine>(engine: &E) -> Result<BTreeSet<String>> {
    let failed = |e: crate::engine::EngineError| Error::step("list", "instances", e);
    let mut found = engine.containers(label::SLUG).await.map_err(failed)?;
    found.extend(engine.networks(label::SLUG).await.map_err(failed)?);
    let stages = stage::list(&stage::root_of_process()).into_iter().map(|left| left.slug);
    Ok(found.into_iter().filter_map(|thing| thing.labels.get(label::SLUG).cloned()).chain(stages).collect())
}

/// Removes everything of one instance and gives the warnings.
async fn remove<E: Engine>(engine: &E, slug: &str) -> Vec<String> {
    let names = Names::new(slug);
    let things = [
        Thing::Container(names.agent),
        Thing::Container(names.sidecar),
        Thing::Container(names.probe),
        Thing::Network(names.egress),
        Thing::Network(names.internal),
        Thing::Stage(stage::root_of_process().join(slug)),
    ];
    let mut warnings = Vec::new();
    for thing in things {
        warnings.extend(teardown::remove(engine, &thing).await.err());
    }
    warnings
}
