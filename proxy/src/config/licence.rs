//! Agent profiles need a licence, as in the reference's released builds. Spec: config §11.4.

use std::path::Path;

use base64::Engine as _;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::grammar::{join_path, os_error};
use super::schema::Config;
use super::value::Secret;
use super::{Edition, Surroundings};

/// Largest licence file, in bytes.
const MAX_FILE_BYTES: u64 = 16_384;

const PREFIX: &str = "pipelock_lic_v1_";

#[derive(serde::Deserialize)]
struct Claims {
    #[serde(default)]
    exp: i64,
    #[serde(default)]
    features: Vec<String>,
}

/// Settles which licence token counts: the environment's, the file's, or the key in the configuration.
///
/// # Errors
/// What is wrong with the licence file.
pub fn resolve_token(config: &mut Config, dir: &str, surroundings: &Surroundings) -> Result<(), String> {
    let from_environment = surroundings.licence_key.expose().trim();
    if !from_environment.is_empty() {
        config.license_key = Secret::from(from_environment);
    } else if !config.license_file.is_empty() {
        let token = read_file(&config.license_file, dir).map_err(|error| format!("license key: {error}"))?;
        config.license_key = token;
    }
    Ok(())
}

fn read_file(shown: &str, dir: &str) -> Result<Secret, String> {
    let path = if Path::new(shown).is_absolute() { shown.to_owned() } else { join_path(dir, shown) };
    let metadata = std::fs::metadata(&path)
        .map_err(|error| format!("stat license_file {shown}: stat {path}: {}", os_error(&error)))?;
    if !metadata.is_file() {
        return Err(format!("license_file {shown} must be a regular file"));
    }
    let mode = {
        use std::os::unix::fs::PermissionsExt;
        metadata.permissions().mode() & 0o777
    };
    if mode & 0o037 != 0 {
        return Err(format!(
            "license_file {shown} is too permissive (mode {mode:04o}): restrict to 0600 or 0640"
        ));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(format!("license_file {shown} exceeds {MAX_FILE_BYTES} bytes"));
    }
    let bytes = std::fs::read(&path)
        .map_err(|error| format!("reading license_file {shown}: {}", os_error(&error)))?;
    let text = String::from_utf8_lossy(&bytes);
    let token = text.trim();
    if token.is_empty() {
        return Err(format!("license_file {shown} is empty"));
    }
    Ok(Secret::from(token))
}

/// Removes the named profiles when no valid licence covers them. Returns the warning to print then.
pub fn gate(config: &mut Config, surroundings: &Surroundings) -> Option<String> {
    if surroundings.edition == Edition::Core || config.agents.keys().all(|name| name == "_default") {
        return None;
    }
    match verify(config, surroundings.now_unix) {
        Ok(expires) => {
            config.license_expires_at = expires;
            None
        }
        Err(warning) => {
            config.agents.retain(|name, _| name == "_default");
            Some(warning)
        }
    }
}

fn verify(config: &Config, now: i64) -> Result<i64, String> {
    if config.license_key.is_empty() {
        return Err(
            "WARNING: agents: section requires a license key. Multi-agent profiles disabled. Single-agent \
                    protection is active."
                .to_owned(),
        );
    }
    if config.license_public_key.is_empty() {
        return Err("WARNING: no license public key available. Set license_public_key in config or build with embedded \
                    key. Multi-agent profiles disabled."
            .to_owned());
    }
    let claims = checked_claims(config).map_err(|reason| {
        format!("WARNING: license verification failed: {reason}. Multi-agent profiles disabled.")
    })?;
    if claims.exp != 0 && claims.exp <= now {
        return Err("WARNING: license verification failed: license expired. Multi-agent profiles disabled."
            .to_owned());
    }
    if !claims.features.iter().any(|feature| feature == "agents") {
        return Err(
            "WARNING: license ID does not include the 'agents' feature. Multi-agent profiles disabled."
                .to_owned(),
        );
    }
    Ok(claims.exp)
}

fn checked_claims(config: &Config) -> Result<Claims, &'static str> {
    let key = data_encoding::HEXLOWER_PERMISSIVE
        .decode(config.license_public_key.as_bytes())
        .ok()
        .filter(|key| key.len() == 32)
        .ok_or("invalid public key")?;
    let token = config.license_key.expose().strip_prefix(PREFIX).ok_or("invalid token format")?;
    let signed = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| "invalid token encoding")?;
    let split = signed.len().checked_sub(64).filter(|&len| len > 0).ok_or("token too short")?;
    let (payload, signature) = signed.split_at(split);
    UnparsedPublicKey::new(&ED25519, key).verify(payload, signature).map_err(|_| "invalid signature")?;
    serde_json::from_slice(payload).map_err(|_| "invalid claims")
}
