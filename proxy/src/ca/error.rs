//! What can be wrong with CA files. Texts follow the specification; none ever contains key material.

use std::io;
use std::path::Path;

/// A CA that cannot be made, read or used. spec: tls-and-request-bodies §2.1, §3.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("CA validity must be positive")]
    Validity,
    #[error("read CA cert: {0}")]
    ReadCert(String),
    #[error("no PEM block in CA cert file")]
    NoCertPem,
    #[error("parse CA cert: {0}")]
    ParseCert(String),
    #[error("read CA key: {0}")]
    ReadKey(String),
    #[error("no PEM block in CA key file")]
    NoKeyPem,
    #[error("parse CA key: {0}")]
    ParseKey(String),
    #[error("certificate is not a CA")]
    NotCa,
    #[error("CA certificate missing KeyUsageCertSign")]
    NoCertSign,
    #[error("CA certificate public key is not ECDSA")]
    NotEcdsa,
    #[error("CA key does not match certificate")]
    Mismatch,
    #[error("CA subject cannot be written into leaf certificates: {0}")]
    Subject(String),
    #[error("mint leaf certificate for {host:?}: {detail}")]
    Mint { host: String, detail: String },
    #[error("generate CA: {0}")]
    Generate(String),
}

/// The text of an operating-system error the way the reference prints it: `open /p: no such file or directory`.
#[must_use]
pub fn os_error_text(operation: &str, path: &Path, error: &io::Error) -> String {
    let full = error.to_string();
    // std appends " (os error N)" and capitalises the first letter; the reference does neither.
    let text = full.split(" (os error").next().unwrap_or(&full);
    let mut chars = text.chars();
    let lowered: String =
        chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default();
    format!("{operation} {}: {lowered}", path.display())
}
