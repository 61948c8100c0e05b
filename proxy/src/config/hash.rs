//! The two hashes of a configuration. Spec: config §12.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::schema::*;
use super::value::{Canonical, List, Map, Secret, Setting};

/// SHA-256 of a file's bytes in lower-case hex.
#[must_use]
pub fn of_file(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl Config {
    /// The policy hash of the effective configuration; `None` when a number has no JSON form.
    #[must_use]
    pub fn policy_hash(&self) -> Option<String> {
        let text = self.policy_text()?;
        Some(of_file(text.as_bytes()))
    }

    /// The text behind the policy hash.
    #[must_use]
    pub fn policy_text(&self) -> Option<String> {
        let mut policy = self.clone();
        policy.metrics_listen.clear();
        policy.fetch_proxy.listen.clear();
        policy.reverse_proxy.listen.clear();
        policy.reverse_proxy.upstream.clear();
        policy.logging = Logging::default();
        policy.sentry = Sentry::default();
        policy.emit = Emit::default();
        policy.flight_recorder = FlightRecorder::default();
        policy.license_key = Secret::default();
        policy.license_file.clear();
        policy.license_public_key.clear();
        policy.license_expires_at = 0;
        policy.mediation_envelope.signing_key_path.clear();
        policy.agents = Map::unset();
        for list in [&mut policy.api_allowlist, &mut policy.internal, &mut policy.trusted_domains] {
            list.sort();
            if list.is_empty() {
                *list = List::unset();
            }
        }
        let mut out = Canonical::default();
        policy.canonical(&mut out);
        (!out.unrepresentable).then_some(out.text)
    }
}
