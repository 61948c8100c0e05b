//! Where root certificates come from.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Bundles of the common distributions, the image's first; the first that can be read counts.
const FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Directories of single certificates; all count.
const DIRECTORIES: &[&str] = &["/etc/ssl/certs", "/etc/pki/tls/certs"];
/// Larger files in such a directory are not certificates.
const MAX_FILE: u64 = 8 << 20;

/// The files and directories to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustLocations {
    /// Tried in order; reading stops at the first that exists.
    pub files: Vec<PathBuf>,
    /// Every file in each of them is read.
    pub directories: Vec<PathBuf>,
}

impl TrustLocations {
    /// The system's places, replaced by `SSL_CERT_FILE` (one file) and `SSL_CERT_DIR` (colon-separated) where these are set.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::new(std::env::var_os("SSL_CERT_FILE"), std::env::var_os("SSL_CERT_DIR"))
    }

    fn new(file: Option<std::ffi::OsString>, directories: Option<std::ffi::OsString>) -> Self {
        let all = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
        Self {
            files: match file.filter(|f| !f.is_empty()) {
                Some(file) => vec![file.into()],
                None => all(FILES),
            },
            directories: match directories.filter(|d| !d.is_empty()) {
                Some(list) => std::env::split_paths(&list).collect(),
                None => all(DIRECTORIES),
            },
        }
    }
}

/// Trusted certificates, each once. Mozilla's set stands in where the places hold none.
pub(super) struct Trusted {
    pub anchors: rustls::RootCertStore,
    /// The certificates as they were read; empty when Mozilla's set is used.
    pub certificates: HashSet<CertificateDer<'static>>,
}

/// Reads what can be read; a broken file or certificate is skipped, as the reference does.
pub(super) fn load(locations: &TrustLocations) -> Trusted {
    let mut certificates = HashSet::new();
    for file in &locations.files {
        if let Ok(text) = std::fs::read(file) {
            add(&text, &mut certificates);
            break;
        }
    }
    for directory in &locations.directories {
        let Ok(entries) = std::fs::read_dir(directory) else { continue };
        for entry in entries.flatten() {
            if let Some(text) = read_file(&entry.path()) {
                add(&text, &mut certificates);
            }
        }
    }
    let mut anchors = rustls::RootCertStore::empty();
    anchors.add_parsable_certificates(certificates.iter().cloned());
    if anchors.is_empty() {
        certificates.clear();
        anchors.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Trusted { anchors, certificates }
}

fn read_file(path: &Path) -> Option<Vec<u8>> {
    let about = std::fs::metadata(path).ok()?;
    if !about.is_file() || about.len() > MAX_FILE {
        return None;
    }
    std::fs::read(path).ok()
}

fn add(text: &[u8], certificates: &mut HashSet<CertificateDer<'static>>) {
    certificates.extend(CertificateDer::pem_slice_iter(text).flatten());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_replace_the_systems_places() {
        let set = TrustLocations::new(Some("/x.pem".into()), Some("/a:/b".into()));
        assert_eq!(set.files, [PathBuf::from("/x.pem")]);
        assert_eq!(set.directories, [PathBuf::from("/a"), PathBuf::from("/b")]);
        let unset = TrustLocations::new(None, Some("".into()));
        assert_eq!((unset.files.len(), unset.directories.len()), (FILES.len(), DIRECTORIES.len()));
    }

    #[test]
    fn mozillas_roots_stand_in_when_nothing_is_found() {
        let nowhere =
            TrustLocations { files: vec!["/nonexistent".into()], directories: vec!["/nonexistent".into()] };
        let trusted = load(&nowhere);
        assert!(trusted.anchors.len() > 50 && trusted.certificates.is_empty());
    }
}
