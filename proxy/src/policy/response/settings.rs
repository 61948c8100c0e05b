//! The part of the configuration that responses depend on, with effective values: what an empty or absent key means is
//! decided here once, so that the decision code never looks at a raw key. spec: response-scan §5, §8.1, §9

use muselet_rules::Strictness;

use super::suppress::{Suppression, Suppressions};
use crate::config::Config;
use crate::policy::host::{Dialect, HostList};

/// What to do with a response that carries an injection. spec: response-scan §6.4
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Refuse the response.
    Block,
    /// Deliver it with the findings cut out.
    Strip,
    /// Deliver it unchanged and report.
    Warn,
    /// Ask the operator (`/fetch` only; everywhere else it refuses).
    Ask,
}

impl Action {
    /// The word used in configuration and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Strip => "strip",
            Self::Warn => "warn",
            Self::Ask => "ask",
        }
    }

    /// Reads the configuration's word; an unknown one is the strictest.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "strip" => Self::Strip,
            "warn" => Self::Warn,
            "ask" => Self::Ask,
            _ => Self::Block,
        }
    }
}

/// `response_scanning.sse_streaming`.
#[derive(Debug, Clone)]
pub struct SseSettings {
    /// False: event streams pass unread.
    pub enabled: bool,
    /// True when the action is `warn`; anything else cuts the stream.
    pub warn_only: bool,
    /// Longest joined `data` of one event, bytes (default 65,536).
    pub max_event_bytes: usize,
}

/// `media_policy`.
#[derive(Debug, Clone)]
pub struct MediaSettings {
    /// False: media pass untouched and unreported.
    pub enabled: bool,
    /// Refuse every image.
    pub strip_images: bool,
    /// Refuse audio.
    pub strip_audio: bool,
    /// Refuse video.
    pub strip_video: bool,
    /// Image types that may pass, canonical (`image/png`).
    pub allowed_image_types: Vec<String>,
    /// Remove EXIF, XMP, IPTC and text chunks.
    pub strip_image_metadata: bool,
    /// Largest image, bytes, inclusive.
    pub max_image_bytes: usize,
    /// Report each media response.
    pub log_exposure: bool,
}

/// What to do with a page larger than `max_shield_bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShieldOversize {
    /// Refuse the response.
    Block,
    /// Rewrite the head and append the rest untouched.
    ScanHead,
    /// Report and deliver unchanged.
    Warn,
}

/// `browser_shield`.
#[derive(Debug, Clone)]
pub struct ShieldSettings {
    /// False: pages are never rewritten.
    pub enabled: bool,
    /// True when strictness is `minimal`: comments are left alone.
    pub minimal: bool,
    /// What happens above `max_bytes`.
    pub oversize: ShieldOversize,
    /// Largest page that is rewritten, bytes.
    pub max_bytes: usize,
    /// Hosts that are never rewritten; compared whole, ignoring case.
    pub exempt_hosts: Vec<String>,
    /// Remove probes for browser extensions.
    pub strip_extension_probing: bool,
    /// Remove elements that people cannot see.
    pub strip_hidden_traps: bool,
    /// Remove tracking pixels and beacons.
    pub strip_tracking_pixels: bool,
    /// Insert the fingerprinting shims.
    pub inject_fingerprint_shims: bool,
    /// Further texts that count as trackers.
    pub tracking_domains: Vec<String>,
}

/// Everything about responses that the configuration says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether the listed differences apply.
    pub strictness: Strictness,
    /// `response_scanning.enabled`: false leaves only the core rules, with action block.
    pub enabled: bool,
    /// `response_scanning.action`.
    pub action: Action,
    /// Hosts whose findings are only reported: `*.x` covers `x` and everything below.
    pub exempt_domains: HostList,
    /// Event streams.
    pub sse: SseSettings,
    /// Findings the operator has declared harmless.
    pub suppress: Suppressions,
    /// Images, audio, video.
    pub media: MediaSettings,
    /// Page rewriting.
    pub shield: ShieldSettings,
    /// Limit of fetch and forward, bytes.
    pub max_response_bytes: u64,
    /// Limit of intercepted answers, bytes.
    pub max_intercepted_bytes: u64,
}

/// Bytes of an image when `max_image_bytes` is 0.
const DEFAULT_IMAGE_BYTES: usize = 5_242_880;

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let scanning = &config.response_scanning;
        let megabytes = u64::try_from(config.fetch_proxy.max_response_mb).unwrap_or(0);
        let suppressions = config.suppress.iter();
        Self {
            strictness: config.muselet.strictness,
            enabled: scanning.enabled,
            action: Action::parse(&scanning.action),
            exempt_domains: HostList::new(&scanning.exempt_domains, Dialect::Domains),
            sse: SseSettings {
                enabled: scanning.sse_streaming.enabled,
                warn_only: scanning.sse_streaming.effective_action() == "warn",
                max_event_bytes: scanning.sse_streaming.effective_max_event_bytes(),
            },
            suppress: Suppressions::new(
                suppressions.map(|e| Suppression { rule: e.rule.clone(), path: e.path.clone() }).collect(),
            ),
            media: media(config),
            shield: shield(config),
            max_response_bytes: megabytes.saturating_mul(1 << 20),
            max_intercepted_bytes: u64::try_from(config.tls_interception.max_response_bytes).unwrap_or(0),
        }
    }
}

fn media(config: &Config) -> MediaSettings {
    let policy = &config.media_policy;
    let mut allowed: Vec<String> =
        policy.allowed_image_types.iter().map(|t| super::media::canonical_type(t.as_str().into())).collect();
    if allowed.is_empty() {
        allowed = vec!["image/png".to_owned(), "image/jpeg".to_owned()];
    }
    MediaSettings {
        enabled: policy.enabled.unwrap_or(true),
        strip_images: policy.strip_images.unwrap_or(false),
        strip_audio: policy.strip_audio.unwrap_or(true),
        strip_video: policy.strip_video.unwrap_or(true),
        allowed_image_types: allowed,
        strip_image_metadata: policy.strip_image_metadata.unwrap_or(true),
        max_image_bytes: usize::try_from(policy.max_image_bytes)
            .ok()
            .filter(|v| *v > 0)
            .unwrap_or(DEFAULT_IMAGE_BYTES),
        log_exposure: policy.log_media_exposure.unwrap_or(true),
    }
}

fn shield(config: &Config) -> ShieldSettings {
    let shield = &config.browser_shield;
    ShieldSettings {
        enabled: shield.enabled,
        minimal: shield.strictness == "minimal",
        oversize: match shield.oversize_action.as_str() {
            "scan_head" => ShieldOversize::ScanHead,
            "warn" => ShieldOversize::Warn,
            _ => ShieldOversize::Block,
        },
        max_bytes: usize::try_from(shield.max_shield_bytes).unwrap_or(0),
        exempt_hosts: shield.exempt_domains.to_vec(),
        strip_extension_probing: shield.strip_extension_probing,
        strip_hidden_traps: shield.strip_hidden_traps,
        strip_tracking_pixels: shield.strip_tracking_pixels,
        inject_fingerprint_shims: shield.inject_fingerprint_shims,
        tracking_domains: shield.tracking_domains.to_vec(),
    }
}
