//! Certificates for intercepted hosts.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use muselet::ca::{Ca, LeafCache, LeafSettings};

/// A cache of a hundred leaves and a new authority, whose files are written to `directory`.
pub fn cache(directory: &Path) -> anyhow::Result<Arc<LeafCache>> {
    let pem = Ca::generate("bench", time::Duration::days(1), time::OffsetDateTime::now_utc())?;
    let write = |name: &str, text: &str| -> std::io::Result<PathBuf> {
        let path = directory.join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(path)
    };
    let (certificate, key) = (write("ca.pem", &pem.certificate_pem)?, write("ca-key.pem", &pem.key_pem)?);
    let ca = Ca::load(&certificate, &key, muselet::Strictness::Hardened)?;
    let settings = LeafSettings { ttl: Duration::from_secs(3600), capacity: 100 };
    Ok(Arc::new(LeafCache::new(Arc::new(ca), settings)?))
}
