//! Waiting for what is asynchronous, in commands that have no runtime of their own.

use std::net::IpAddr;
use std::pin::Pin;

use tokio::runtime::{Builder, Runtime};

use crate::policy::url::LookupFailure;
use crate::upstream::Resolver;

/// Runs a future to its end: one copy of the runtime's loop, whatever the future is.
pub(super) fn wait(runtime: &Runtime, work: Pin<Box<dyn Future<Output = ()> + '_>>) {
    runtime.block_on(work);
}

/// The addresses of a host, as the proxy looks them up.
pub(super) fn resolve(host: &str) -> Result<Vec<IpAddr>, LookupFailure> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LookupFailure::Failed(error.to_string()))?;
    let mut answer = Err(LookupFailure::Cancelled);
    let lookup = async { answer = Resolver::system().lookup(host).await.map(|addresses| addresses.to_vec()) };
    wait(&runtime, Box::pin(lookup));
    answer
}
