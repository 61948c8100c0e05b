//! The URL pipeline: one absolute URL in, allow or block out. (spec: url-scan)
//!
//! The layers run in one fixed order and the first block wins. Only one of them needs the network (name resolution for the
//! address check), so the pipeline is two pure functions around that call: [`Outcome::NeedsDns`] carries the host name out
//! and the rest of the scan on. Time is passed in. Nothing here logs, counts outside its own limit tables or answers.

pub mod parse;
mod quote;

use std::borrow::Cow;
use std::net::IpAddr;

pub use parse::{GoUrl, ParseError, parse};
pub use quote::quote;

use crate::policy::verdict::{UrlVerdict, WarnMatch};

/// Result of the first half of a scan.
#[derive(Debug)]
pub enum Outcome<'u> {
    /// Decided without a resolver.
    Done(UrlVerdict),
    /// The host is a name: resolve [`Pending::host`] (within 5 s, hosts file first) and hand the answer to the second half.
    NeedsDns(Pending<'u>),
}

/// The part of a scan that waits for addresses.
#[derive(Debug)]
pub struct Pending<'u> {
    pub(crate) host: Cow<'u, str>,
    pub(crate) url_len: usize,
    pub(crate) warn_matches: Vec<WarnMatch>,
}

impl Pending<'_> {
    /// The canonical host to resolve: lower-cased, without port; a trailing dot is kept.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Detached from the URL's memory.
    #[must_use]
    pub fn into_owned(self) -> Pending<'static> {
        Pending {
            host: Cow::Owned(self.host.into_owned()),
            url_len: self.url_len,
            warn_matches: self.warn_matches,
        }
    }
}

/// Why there are no addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupFailure {
    /// The request went away meanwhile.
    #[error("request context cancelled")]
    Cancelled,
    /// The resolver's own text, such as `lookup example.test: no such host`.
    #[error("{0}")]
    Failed(String),
}

/// All addresses of a name, in the resolver's order.
pub type Lookup<'a> = Result<&'a [IpAddr], &'a LookupFailure>;
