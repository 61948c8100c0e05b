//! TLS towards origins: whom we trust, which protocols we offer, sessions that are resumed.
//!
//! Trust is the system's: `SSL_CERT_FILE` and `SSL_CERT_DIR` as Go reads them, the usual bundle paths, and Mozilla's roots
//! where none of these holds a certificate. It is read at the first connection, not at start, because parsing a bundle takes
//! longer than the rest of the start-up. One configuration for each list of protocols lives as long as the process, so that
//! sessions with an origin are resumed.
//!
//! spec: tls-and-request-bodies §10, http-proxy §5.2.

mod known;
mod roots;
mod verify;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use roots::TrustLocations;

/// A handshake with an origin that failed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("tls: {0:?} is not a host name or address")]
    Name(String),
    #[error("tls: no trusted root certificates: {0}")]
    Roots(String),
    #[error("tls: {0}")]
    Handshake(#[source] io::Error),
    #[error("net/http: TLS handshake timeout")]
    Timeout,
}

/// What is offered by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    /// `http/1.1` only.
    Http1,
    /// `h2` before `http/1.1`.
    Http2OrHttp1,
}

/// The client side of TLS for the whole process. Cheap to share; see the module.
pub struct TlsClient {
    locations: TrustLocations,
    configs: OnceCell<Configs>,
}

struct Configs {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl TlsClient {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(locations: TrustLocations) -> Self {
        Self { locations, configs: OnceCell::new() }
    }

    /// Handshake as a client of `host`, a name or an address without brackets and port. A trailing dot of the name is not sent
    /// and not compared.
    pub async fn connect<S>(&self, host: &str, protocols: Protocols, io: S) -> Result<TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let configs = self.configs.get_or_try_init(|| self.load()).await?;
        let config = match protocols {
            Protocols::Http1 => &configs.http1,
            Protocols::Http2OrHttp1 => &configs.http2,
        };
        TlsConnector::from(Arc::clone(config))
            .connect(server_name(host)?, io)
            .await
            .map_err(TlsError::Handshake)
    }

    async fn load(&self) -> Result<Configs, TlsError> {
        let locations = self.locations.clone();
        tokio::task::spawn_blocking(move || Configs::build(&locations))
            .await
            .map_err(|e| TlsError::Roots(e.to_string()))?
    }
}

impl Configs {
    fn build(locations: &TrustLocations) -> Result<Self, TlsError> {
        let provider = Arc::new(crate::tls_suites::provider());
        let trusted = roots::load(locations);
        let verifier = verify::Verifier::new(trusted).map_err(|e| TlsError::Roots(e.to_string()))?;
        let verifier = Arc::new(verifier);
        let config = |alpn: &[&[u8]]| client_config(&provider, &verifier, alpn);
        Ok(Self { http1: config(&[b"http/1.1"])?, http2: config(&[b"h2", b"http/1.1"])? })
    }
}

fn client_config(
    provider: &Arc<CryptoProvider>,
    verifier: &Arc<verify::Verifier>,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsError::Roots(e.to_string()))?
        // "Dangerous" is rustls's word for any verifier of one's own; ours is webpki's and one addition, see `verify`.
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(verifier) as _)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(ServerName::IpAddress(ip.into()));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(host.to_owned()))
}

#[cfg(test)]
mod tests;
