//! Ed25519 private keys on disk: who may read the file, and its two forms. Spec: config §1.6.

use std::path::Path;

use base64::Engine as _;

use super::grammar::os_error;

/// Reads the 32-byte seed of a signing key: a PKCS #8 or raw key in PEM, or bare base64 or hex.
///
/// # Errors
/// What is wrong with the file, without its content.
pub fn load_signing_key(path: &str) -> Result<[u8; 32], String> {
    let fail = |what: &str, path: &str, error: &std::io::Error| {
        format!("reading private key: {what} {path}: {}", os_error(error))
    };
    let real = Path::new(path.trim()).canonicalize().map_err(|error| fail("lstat", path, &error))?;
    let metadata = std::fs::metadata(&real).map_err(|error| fail("stat", path, &error))?;
    let mode = {
        use std::os::unix::fs::PermissionsExt;
        metadata.permissions().mode() & 0o777
    };
    if mode & 0o037 != 0 {
        return Err(format!("private key is too permissive (mode {mode:04o}): restrict to 0600 or 0640"));
    }
    let bytes = std::fs::read(&real).map_err(|error| fail("open", path, &error))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "decoding private key: not text".to_owned())?;
    seed(text).ok_or_else(|| "decoding private key: not an Ed25519 private key".to_owned())
}

fn seed(text: &str) -> Option<[u8; 32]> {
    let body: String = text.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    let raw = match data_encoding::HEXLOWER_PERMISSIVE.decode(body.as_bytes()) {
        Ok(raw) => raw,
        Err(_) => {
            let mut lines =
                text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("-----"));
            // A header line may stand before the key itself.
            let last: String = lines.next_back().unwrap_or_default().to_owned();
            let standard = base64::engine::general_purpose::STANDARD;
            standard.decode(&body).or_else(|_| standard.decode(last)).ok()?
        }
    };
    match raw.len() {
        // A seed, a seed with its public half, or PKCS #8, which ends in the seed.
        32 | 64 => raw.get(..32)?.try_into().ok(),
        48 => raw.get(16..)?.try_into().ok(),
        _ => None,
    }
}
