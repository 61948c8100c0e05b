//! Everything towards origins: names, pinned dialling, TLS, and HTTP over pooled connections.

pub(crate) mod client;
pub mod dial;
pub mod hosts;
pub mod http;
pub mod pool;
pub(crate) mod proxies;
pub mod resolver;
pub mod tls;
mod turns;
mod watched;

pub use dial::DialError;
pub use http::SendError;
pub use pool::{Outgoing, OutgoingBody};
pub use resolver::Resolver;

use std::sync::Arc;

use hyper_util::client::proxy::matcher::Intercept;
use tokio::net::TcpStream;

use crate::descriptors::{self, Descriptors};
use crate::events::Events;
use crate::policy::dial::DialRules;
use tls::{TlsClient, TrustLocations};

/// The process's way to origins. Lives as long as the process; what may be connected to comes with each call.
#[derive(Clone)]
pub struct Upstream {
    /// Names.
    pub resolver: Arc<Resolver>,
    /// TLS.
    pub tls: Arc<TlsClient>,
    pub(crate) pool: Arc<pool::Pool>,
    pub(crate) descriptors: Arc<Descriptors>,
    /// A proxy on the way.
    via: Option<Arc<Intercept>>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("resolver", &self.resolver).finish_non_exhaustive()
    }
}

impl Upstream {
    /// With the system's resolver and the roots of the environment.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::new(Resolver::system(), TlsClient::new(TrustLocations::from_environment()))
    }

    /// From parts. Nobody is told when descriptors run out, unless `reporting_to` says whom.
    #[must_use]
    pub fn new(resolver: Resolver, tls: TlsClient) -> Self {
        let descriptors = Arc::new(Descriptors::new(descriptors::limit(), None));
        let upstream = Self {
            resolver: Arc::new(resolver),
            tls: Arc::new(tls),
            pool: Arc::default(),
            descriptors,
            via: None,
        };
        upstream.apart()
    }

    /// The same way before it is first used, with shortages of descriptors told to `events`.
    #[must_use]
    pub(crate) fn reporting_to(self, events: Events) -> Self {
        let descriptors = Arc::new(Descriptors::new(descriptors::limit(), Some(events)));
        Self { descriptors, ..self }.apart()
    }

    /// The same way with connections of its own, for requests whose connections nobody else may use.
    #[must_use]
    pub fn apart(&self) -> Self {
        let pool = Arc::default();
        self.descriptors.add_pool(&pool);
        Self { pool, ..self.clone() }
    }

    /// The same way, through a proxy where there is one. Only for requests that do not share their connections with others.
    #[must_use]
    pub(crate) fn through(self, proxy: Option<Intercept>) -> Self {
        Self { via: proxy.map(Arc::new), ..self }
    }

    /// A new connection to `host:port`. `host` has no brackets; an empty port is port 0, as for the reference.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial(&self, rules: &DialRules, host: &str, port: &str) -> Result<TcpStream, DialError> {
        dial::dial(&self.resolver, &self.descriptors, rules, host, port).await
    }
}
