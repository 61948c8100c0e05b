//! `bottle allowlist` and `bottle config`: what an agent would get, without an engine.

use super::ManifestArg;
use super::output::print;
use crate::Result;
use crate::names;
use crate::plan::{Plan, Variables};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The agent, as the manifest names it
    agent: String,
    #[command(flatten)]
    manifest: ManifestArg,
}

impl Args {
    fn plan(&self) -> Result<Plan> {
        Plan::new(
            &self.manifest.load()?,
            &self.agent,
            &names::slug(&self.agent),
            &[],
            &Variables::of_process(),
        )
    }
}

pub(super) fn allowlist(args: &Args) -> Result<i64> {
    for host in args.plan()?.egress.allowlist {
        print(&host)?;
    }
    Ok(0)
}

pub(super) fn config(args: &Args) -> Result<i64> {
    print(args.plan()?.sidecar_config(None).trim_end())?;
    Ok(0)
}
