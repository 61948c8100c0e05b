//! What the three-state and zero-valued keys mean at run time. Spec: config §3.3, §3.5, §5.

use super::*;

impl Config {
    /// Whether scanner blocks block (`enforce`, unset: yes).
    #[must_use]
    pub fn enforces(&self) -> bool {
        self.enforce.unwrap_or(true)
    }

    /// Whether block answers explain themselves (`explain_blocks`, unset: no).
    #[must_use]
    pub fn explains_blocks(&self) -> bool {
        self.explain_blocks.unwrap_or(false)
    }

    /// Whether the scanner enforces `api_allowlist`.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.mode == "strict"
    }
}

impl ForwardProxy {
    /// Whether the name in a TLS hello must match the CONNECT target (unset: yes).
    #[must_use]
    pub fn verifies_sni(&self) -> bool {
        self.sni_verification.unwrap_or(true)
    }
}

impl WebSocketProxy {
    /// Whether text frames are scanned (unset: yes).
    #[must_use]
    pub fn scans_text_frames(&self) -> bool {
        self.scan_text_frames.unwrap_or(true)
    }
}

impl TlsInterception {
    /// Where the authority's certificate and key are: as configured, else under `$HOME/.pipelock`. `None` when one is
    /// not configured and there is no home.
    #[must_use]
    pub fn ca_paths(&self) -> Option<(String, String)> {
        self.ca_paths_in(std::env::var("HOME").ok().as_deref())
    }

    /// As [`TlsInterception::ca_paths`] with the home directory given.
    #[must_use]
    pub fn ca_paths_in(&self, home: Option<&str>) -> Option<(String, String)> {
        let place = |configured: &str, name: &str| match (configured, home.filter(|home| !home.is_empty())) {
            ("", None) => None,
            ("", Some(home)) => Some(crate::config::grammar::join_path(home, &format!(".pipelock/{name}"))),
            (path, _) => Some(path.to_owned()),
        };
        Some((place(&self.ca_cert, "ca.pem")?, place(&self.ca_key, "ca-key.pem")?))
    }

    /// How long minted certificates are valid.
    #[must_use]
    pub fn cert_ttl(&self) -> std::time::Duration {
        let nanos = crate::config::grammar::duration(&self.cert_ttl).unwrap_or(0);
        match u64::try_from(nanos) {
            Ok(nanos) if nanos > 0 => std::time::Duration::from_nanos(nanos),
            _ => std::time::Duration::from_secs(24 * 3600),
        }
    }
}

impl Dlp {
    /// Shortest environment or file secret that is looked for, in bytes (0 and below: 16).
    #[must_use]
    pub fn effective_min_env_secret_length(&self) -> usize {
        usize::try_from(self.min_env_secret_length).ok().filter(|&length| length > 0).unwrap_or(16)
    }
}

impl SseStreaming {
    /// `block` or `warn` (empty: block).
    #[must_use]
    pub fn effective_action(&self) -> &str {
        if self.action.is_empty() { "block" } else { &self.action }
    }

    /// Largest event that is held for scanning, in bytes (0 and below: 65536).
    #[must_use]
    pub fn effective_max_event_bytes(&self) -> usize {
        usize::try_from(self.max_event_bytes).ok().filter(|&bytes| bytes > 0).unwrap_or(65_536)
    }
}

impl KillSwitch {
    /// Whether `/health` answers while the switch is on (unset: yes).
    #[must_use]
    pub fn exempts_health(&self) -> bool {
        self.health_exempt.unwrap_or(true)
    }

    /// Whether `/metrics` answers while the switch is on (unset: yes).
    #[must_use]
    pub fn exempts_metrics(&self) -> bool {
        self.metrics_exempt.unwrap_or(true)
    }

    /// Whether the admin API answers while the switch is on (unset: yes).
    #[must_use]
    pub fn exempts_api(&self) -> bool {
        self.api_exempt.unwrap_or(true)
    }
}

impl SeedPhraseDetection {
    /// Whether seed phrases are looked for (unset: yes).
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// Whether the checksum word must fit (unset: yes).
    #[must_use]
    pub fn verifies_checksum(&self) -> bool {
        self.verify_checksum.unwrap_or(true)
    }
}

impl Sentry {
    /// Whether crash reports may be sent, given a data-source name (unset: yes).
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }
}

impl AddressChains {
    /// Whether Ethereum addresses are looked at (unset: yes).
    #[must_use]
    pub fn eth_enabled(&self) -> bool {
        self.eth.unwrap_or(true)
    }

    /// Whether Bitcoin addresses are looked at (unset: yes).
    #[must_use]
    pub fn btc_enabled(&self) -> bool {
        self.btc.unwrap_or(true)
    }

    /// Whether Solana addresses are looked at (unset: no).
    #[must_use]
    pub fn sol_enabled(&self) -> bool {
        self.sol.unwrap_or(false)
    }

    /// Whether BNB addresses are looked at (unset: yes).
    #[must_use]
    pub fn bnb_enabled(&self) -> bool {
        self.bnb.unwrap_or(true)
    }
}

impl MediaPolicy {
    /// Whether media are looked at (unset: yes).
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// Whether all images are removed (unset: no).
    #[must_use]
    pub fn strips_images(&self) -> bool {
        self.strip_images.unwrap_or(false)
    }

    /// Whether audio is removed (unset: yes).
    #[must_use]
    pub fn strips_audio(&self) -> bool {
        self.strip_audio.unwrap_or(true)
    }

    /// Whether video is removed (unset: yes).
    #[must_use]
    pub fn strips_video(&self) -> bool {
        self.strip_video.unwrap_or(true)
    }

    /// Whether metadata are removed from images (unset: yes).
    #[must_use]
    pub fn strips_image_metadata(&self) -> bool {
        self.strip_image_metadata.unwrap_or(true)
    }

    /// Whether passing media are logged (unset: yes).
    #[must_use]
    pub fn logs_media_exposure(&self) -> bool {
        self.log_media_exposure.unwrap_or(true)
    }

    /// Image types that pass, as written (none given: PNG and JPEG).
    #[must_use]
    pub fn effective_image_types(&self) -> Vec<&str> {
        if self.allowed_image_types.is_empty() {
            return vec!["image/png", "image/jpeg"];
        }
        self.allowed_image_types.iter().map(String::as_str).collect()
    }

    /// Largest image that passes, in bytes (0: 5242880).
    #[must_use]
    pub fn effective_max_image_bytes(&self) -> i64 {
        if self.max_image_bytes == 0 { 5_242_880 } else { self.max_image_bytes }
    }
}

impl Taint {
    /// How many sources a session remembers (0 and below: 10).
    #[must_use]
    pub fn effective_recent_sources(&self) -> usize {
        usize::try_from(self.recent_sources).ok().filter(|&count| count > 0).unwrap_or(10)
    }
}
