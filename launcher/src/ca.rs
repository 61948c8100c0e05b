//! One CA per launch, made by the code that serves `tls init`, and its way into the agent (spec: launcher §10).

use std::fmt::Write;
use std::time::Duration;

use base64::Engine as _;
use time::OffsetDateTime;

use crate::engine::{Engine, EngineError, EngineResult, ExecSpec, FileEntry};
use crate::plan::path;
use crate::stage::Stage;
use crate::{Error, Result};

/// Name of the certificate in the stage directory.
pub const CERT: &str = "ca.pem";
/// Name of the key in the stage directory.
pub const KEY: &str = "ca-key.pem";
/// How long the CA is valid: longer than any agent runs, short enough to be worthless later.
const VALIDITY: time::Duration = time::Duration::days(30);
/// How long the image's own program may take before the bundle is made without it.
const UPDATE_PATIENCE: Duration = Duration::from_secs(60);
/// Bundles of images that do not keep theirs at the usual place.
const OTHER_BUNDLES: [&str; 3] =
    ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"];

/// Makes the CA in the stage directory: certificate 0644, key 0600. Gives the certificate.
///
/// # Errors
/// When it cannot be made or written.
pub fn create(stage: &Stage) -> Result<Vec<u8>> {
    let failed =
        |e: muselet::ca::CaError| Error::step("make the CA in", stage.dir().display().to_string(), e);
    let ca = muselet::ca::Ca::generate("bottle", VALIDITY, OffsetDateTime::now_utc()).map_err(failed)?;
    stage.write(CERT, 0o644, ca.certificate_pem.as_bytes())?;
    stage.write(KEY, 0o600, ca.key_pem.as_bytes())?;
    Ok(ca.certificate_pem.into_bytes())
}

/// Makes the agent trust the certificate: copied to [`path::AGENT_CA`], and added to the bundle at [`path::BUNDLE`] by the
/// image's own `update-ca-certificates`, or by hand where there is none.
///
/// # Errors
/// When the engine fails.
pub async fn install<E: Engine>(engine: &E, agent: &str, certificate: &[u8]) -> Result<()> {
    let failed = |e: EngineError| Error::step("install the CA in", agent, e);
    put(engine, agent, path::AGENT_CA, certificate).await.map_err(failed)?;
    let update = ExecSpec {
        command: vec!["update-ca-certificates".to_owned()],
        user: Some("0".to_owned()),
        ..ExecSpec::default()
    };
    let _ = tokio::time::timeout(UPDATE_PATIENCE, engine.exec(agent, &update)).await;
    let bundle = engine.get_file(agent, path::BUNDLE).await.map_err(failed)?;
    if bundle.as_deref().is_some_and(|bundle| contains(bundle, certificate)) {
        return Ok(());
    }
    let mut combined = match bundle {
        Some(bundle) if !bundle.is_empty() => bundle,
        _ => {
            other_bundle(engine, agent).await.map_err(failed)?.unwrap_or_else(|| public_roots().into_bytes())
        }
    };
    if !combined.ends_with(b"\n") {
        combined.push(b'\n');
    }
    combined.extend_from_slice(certificate);
    put(engine, agent, path::BUNDLE, &combined).await.map_err(failed)
}

async fn put<E: Engine>(engine: &E, agent: &str, path: &str, bytes: &[u8]) -> EngineResult<()> {
    let file = FileEntry { path: path.to_owned(), mode: 0o644, uid: 0, bytes: bytes.to_vec() };
    engine.put_files(agent, &[file]).await
}

async fn other_bundle<E: Engine>(engine: &E, agent: &str) -> EngineResult<Option<Vec<u8>>> {
    for path in OTHER_BUNDLES {
        if let Some(bundle) = engine.get_file(agent, path).await?.filter(|bundle| !bundle.is_empty()) {
            return Ok(Some(bundle));
        }
    }
    Ok(None)
}

/// Whether a bundle holds a certificate, whatever the line ends.
fn contains(bundle: &[u8], certificate: &[u8]) -> bool {
    let body = |text: &[u8]| -> String {
        String::from_utf8_lossy(text).lines().map(str::trim).filter(|line| !line.is_empty()).collect()
    };
    body(bundle).contains(&body(certificate))
}

/// Mozilla's roots as one PEM bundle.
pub fn public_roots() -> String {
    let mut text = String::new();
    for root in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        let encoded = base64::engine::general_purpose::STANDARD.encode(root.as_ref());
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(64));
            let _ = writeln!(text, "{line}");
            rest = more;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_ca_is_made_with_the_right_modes_and_loads_in_the_proxy() {
        let dir = tempfile::tempdir().unwrap();
        let stage = Stage::claim(&dir.path().join("s"), "a").unwrap().unwrap();
        create(&stage).unwrap();
        let mode = |name: &str| std::fs::metadata(stage.path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(CERT), mode(KEY)), (0o644, 0o600));
        muselet::ca::Ca::load(&stage.path(CERT), &stage.path(KEY), muselet::Strictness::Hardened).unwrap();
    }

    #[test]
    fn the_public_roots_are_a_bundle() {
        let text = public_roots();
        assert!(text.matches("BEGIN CERTIFICATE").count() > 100);
        assert!(text.lines().all(|line| line.len() <= 64));
    }

    #[test]
    fn a_certificate_is_found_in_a_bundle_with_other_line_ends() {
        let bundle = b"-----BEGIN CERTIFICATE-----\r\nAAAA\r\nBBBB\r\n-----END CERTIFICATE-----\r\n";
        assert!(contains(bundle, b"-----BEGIN CERTIFICATE-----\nAAAA\nBBBB\n-----END CERTIFICATE-----\n"));
        assert!(!contains(bundle, b"-----BEGIN CERTIFICATE-----\nCCCC\n-----END CERTIFICATE-----\n"));
    }
}
