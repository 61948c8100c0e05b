//! Leaves by host: bounded, expiring, one mint however many handshakes wait.
//!
//! All entries live equally long, so the order of insertion is the order of expiry and the specified eviction (first
//! what has expired, then what expires soonest) is "from the front of a queue". The lock is held for map operations
//! only; minting happens outside it, in a cell that the waiting handshakes share.
//!
//! The TLS configuration is kept with the leaf and has its own ticket key: a session can be resumed within the host it
//! was made for and no longer than the leaf lives, and a warm handshake builds nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls::server::ResolvesServerCertUsingSni;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::PrivateKeyDer;
use time::OffsetDateTime;
use tokio::sync::OnceCell;

use super::{Ca, CaError};
use muselet_rules::Strictness;

/// Bounds of a [`LeafCache`]: `tls_interception.cert_ttl` and `tls_interception.cert_cache_size`.
#[derive(Debug, Clone, Copy)]
pub struct LeafSettings {
    pub ttl: Duration,
    /// Entries; at least one.
    pub capacity: usize,
}

/// A minted certificate, ready to serve.
#[derive(Debug)]
pub struct Leaf {
    pub certified: Arc<CertifiedKey>,
    /// Server side for a tunnel to this host: TLS 1.2 and 1.3, ALPN `h2` before `http/1.1`, no client certificates.
    pub server_config: Arc<ServerConfig>,
}

/// See the module documentation. spec: tls-and-request-bodies §4.2.
pub struct LeafCache {
    ca: Arc<Ca>,
    settings: LeafSettings,
    keys: Keys,
    /// What all hosts have in common. It is copied, because a new one comes with room for 256 sessions, which nothing uses.
    template: ServerConfig,
    entries: Mutex<Entries>,
}

/// Reference mode makes a key for each host. Otherwise all leaves share one key that is made with the cache and never
/// leaves the process: whoever could steal it could steal the CA's key beside it, and a cold host costs one signature.
enum Keys {
    PerHost,
    Shared(Arc<LeafKey>),
}

struct LeafKey {
    pair: KeyPair,
    signer: Arc<dyn rustls::sign::SigningKey>,
}

#[derive(Default)]
struct Entries {
    by_host: HashMap<Arc<str>, Entry>,
    /// Insertion order; an element is stale when its host has a newer entry.
    queue: VecDeque<(Instant, Arc<str>)>,
}

struct Entry {
    deadline: Instant,
    cell: Arc<OnceCell<Arc<Leaf>>>,
}

impl LeafCache {
    /// An empty cache over `ca`.
    pub fn new(ca: Arc<Ca>, settings: LeafSettings) -> Result<Self, CaError> {
        let keys = match ca.strictness() {
            Strictness::Reference => Keys::PerHost,
            Strictness::Hardened => Keys::Shared(Arc::new(LeafKey::generate()?)),
        };
        let settings = LeafSettings { capacity: settings.capacity.max(1), ..settings };
        let template = template()?;
        Ok(LeafCache { ca, settings, keys, template, entries: Mutex::default() })
    }

    /// The leaf for a CONNECT host, taken verbatim (letter case, trailing dot; no brackets around IPv6).
    pub async fn get(self: &Arc<Self>, host: &str) -> Result<Arc<Leaf>, CaError> {
        let cell = self.cell(host, Instant::now());
        let minted = cell
            .get_or_try_init(|| async {
                if self.ca.signs_slowly() {
                    let (cache, host) = (Arc::clone(self), host.to_owned());
                    return tokio::task::spawn_blocking(move || cache.mint(&host))
                        .await
                        .map_err(|e| CaError::Mint { host: "…".to_owned(), detail: e.to_string() })?;
                }
                self.mint(host)
            })
            .await;
        match minted {
            Ok(leaf) => Ok(Arc::clone(leaf)),
            Err(error) => {
                self.forget(host, &cell);
                Err(error)
            }
        }
    }

    /// Entries now held, for the gauge `tls_cert_cache_size`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().by_host.len()
    }

    /// Whether nothing has been minted yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Finds the live entry of a host or inserts an empty one, evicting what the bound demands.
    fn cell(&self, host: &str, now: Instant) -> Arc<OnceCell<Arc<Leaf>>> {
        let mut entries = self.lock();
        if let Some(entry) = entries.by_host.get(host)
            && now < entry.deadline
        {
            return Arc::clone(&entry.cell);
        }
        let deadline = now + self.lifetime();
        let cell = Arc::new(OnceCell::new());
        let key: Arc<str> = host.into();
        entries.by_host.insert(Arc::clone(&key), Entry { deadline, cell: Arc::clone(&cell) });
        entries.queue.push_back((deadline, key));
        entries.evict(self.settings.capacity, now);
        cell
    }

    /// How long an entry is served. Hardened stops a little before the certificate ends, so that no client gets one in
    /// its last second (§20 O29).
    fn lifetime(&self) -> Duration {
        match self.ca.strictness() {
            Strictness::Reference => self.settings.ttl,
            Strictness::Hardened => {
                self.settings.ttl - (self.settings.ttl / 10).min(Duration::from_secs(600))
            }
        }
    }

    /// A host that could not be minted must not occupy a place, but a newer entry of the same host stays.
    fn forget(&self, host: &str, failed: &Arc<OnceCell<Arc<Leaf>>>) {
        let mut entries = self.lock();
        if entries.by_host.get(host).is_some_and(|e| Arc::ptr_eq(&e.cell, failed)) {
            entries.by_host.remove(host);
        }
    }

    fn mint(&self, host: &str) -> Result<Arc<Leaf>, CaError> {
        let fresh;
        let key = match &self.keys {
            Keys::Shared(key) => key,
            Keys::PerHost => {
                fresh = Arc::new(LeafKey::generate()?);
                &fresh
            }
        };
        let certificate = self.ca.mint(host, &key.pair, self.settings.ttl, OffsetDateTime::now_utc())?;
        let certified = Arc::new(CertifiedKey::new(vec![certificate], Arc::clone(&key.signer)));
        let server_config = Arc::new(
            self.server_config(&certified)
                .map_err(|e| CaError::Mint { host: host.to_owned(), detail: e.to_string() })?,
        );
        Ok(Arc::new(Leaf { certified, server_config }))
    }

    fn server_config(&self, certified: &Arc<CertifiedKey>) -> Result<ServerConfig, rustls::Error> {
        let mut config = self.template.clone();
        config.cert_resolver = Arc::new(SingleCertAndKey::from(Arc::clone(certified)));
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        Ok(config)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Map operations do not panic midway; a poisoned lock still guards consistent entries.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A configuration without a certificate and without tickets.
fn template() -> Result<ServerConfig, CaError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(crate::tls_suites::provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| CaError::Mint { host: "…".to_owned(), detail: e.to_string() })?;
    let mut config =
        builder.with_no_client_auth().with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Tickets only: state for resumption is the client's to keep, not ours by the thousand.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    config.ignore_client_order = crate::tls_suites::has_fast_aes();
    Ok(config)
}

impl Entries {
    fn evict(&mut self, capacity: usize, now: Instant) {
        while let Some((deadline, _)) = self.queue.front() {
            let over = self.by_host.len() > capacity;
            // Stale queue elements may pile up when hosts expire and return; they go as soon as they expired.
            if !over && *deadline > now {
                break;
            }
            let Some((deadline, host)) = self.queue.pop_front() else { break };
            if self.by_host.get(&host).is_some_and(|entry| entry.deadline == deadline) {
                self.by_host.remove(&host);
            }
        }
    }
}

impl LeafKey {
    fn generate() -> Result<Self, CaError> {
        let fail = |detail: String| CaError::Generate(detail);
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|e| fail(e.to_string()))?;
        let der = PrivateKeyDer::Pkcs8(pair.serialize_der().into());
        let signer = rustls::crypto::ring::sign::any_ecdsa_type(&der).map_err(|e| fail(e.to_string()))?;
        Ok(LeafKey { pair, signer })
    }
}
