//! What is changed in traffic on its way: shield, media, redaction, signed envelope. Spec: config §5.22, §5.26, §5.27, §5.29.

use crate::config::value::{List, Map, Secret, sections};

sections! {
    /// `browser_shield`.
    BrowserShield("config.BrowserShield") {
        /// `browser_shield.enabled`.
        enabled: bool = "Enabled",
        /// `browser_shield.strictness`.
        strictness: String = "Strictness",
        /// `browser_shield.max_shield_bytes`.
        max_shield_bytes: i64 = "MaxShieldBytes",
        /// `browser_shield.oversize_action`.
        oversize_action: String = "OversizeAction",
        /// `browser_shield.exempt_domains`.
        exempt_domains: List<String> = "ExemptDomains",
        /// `browser_shield.strip_extension_probing`.
        strip_extension_probing: bool = "StripExtensionProbing",
        /// `browser_shield.strip_hidden_traps`.
        strip_hidden_traps: bool = "StripHiddenTraps",
        /// `browser_shield.strip_tracking_pixels`.
        strip_tracking_pixels: bool = "StripTrackingPixels",
        /// `browser_shield.inject_fingerprint_shims`.
        inject_fingerprint_shims: bool = "InjectFingerprintShims",
        /// `browser_shield.tracking_domains`.
        tracking_domains: List<String> = "TrackingDomains",
    }

    /// `media_policy`.
    MediaPolicy("config.MediaPolicy") {
        /// `media_policy.enabled`.
        enabled: Option<bool> = "Enabled" [omit],
        /// `media_policy.strip_images`.
        strip_images: Option<bool> = "StripImages" [omit],
        /// `media_policy.strip_audio`.
        strip_audio: Option<bool> = "StripAudio" [omit],
        /// `media_policy.strip_video`.
        strip_video: Option<bool> = "StripVideo" [omit],
        /// `media_policy.allowed_image_types`.
        allowed_image_types: List<String> = "AllowedImageTypes" [omit],
        /// `media_policy.strip_image_metadata`.
        strip_image_metadata: Option<bool> = "StripImageMetadata" [omit],
        /// `media_policy.max_image_bytes`.
        max_image_bytes: i64 = "MaxImageBytes" [omit_wide],
        /// `media_policy.log_media_exposure`.
        log_media_exposure: Option<bool> = "LogMediaExposure" [omit],
    }

    /// `redaction`.
    Redaction("redact.Config") {
        /// `redaction.enabled`.
        enabled: bool = "Enabled",
        /// `redaction.default_profile`.
        default_profile: String = "DefaultProfile",
        /// `redaction.profiles`.
        profiles: Map<RedactionProfile> = "Profiles",
        /// `redaction.dictionaries`.
        dictionaries: Map<RedactionDictionary> = "Dictionaries",
        /// `redaction.limits`.
        limits: RedactionLimits = "Limits",
        /// `redaction.strict_reload`.
        strict_reload: bool = "StrictReload",
        /// `redaction.allowlist_unparseable`.
        allowlist_unparseable: List<String> = "AllowlistUnparseable",
    }

    /// `redaction.profiles.<key>`.
    RedactionProfile("redact.ProfileSpec") {
        /// `redaction.profiles.<key>.classes`.
        classes: List<String> = "Classes",
        /// `redaction.profiles.<key>.dictionaries`.
        dictionaries: List<String> = "Dictionaries",
    }

    /// `redaction.dictionaries.<key>`.
    RedactionDictionary("redact.DictionarySpec") {
        /// `redaction.dictionaries.<key>.class`.
        class: String = "Class",
        /// `redaction.dictionaries.<key>.entries`.
        entries: List<Secret> = "Entries" [omit],
        /// `redaction.dictionaries.<key>.entries_file`.
        entries_file: String = "EntriesFile" [omit],
        /// `redaction.dictionaries.<key>.case_insensitive`.
        case_insensitive: bool = "CaseInsensitive",
        /// `redaction.dictionaries.<key>.word_boundary`.
        word_boundary: bool = "WordBoundary",
        /// `redaction.dictionaries.<key>.priority`.
        priority: i64 = "Priority",
    }

    /// `redaction.limits`.
    RedactionLimits("redact.LimitsSpec") {
        /// `redaction.limits.max_body_bytes`.
        max_body_bytes: i64 = "MaxBodyBytes",
        /// `redaction.limits.max_redactions_per_request`.
        max_redactions_per_request: i64 = "MaxRedactionsPerRequest",
        /// `redaction.limits.max_depth`.
        max_depth: i64 = "MaxDepth",
    }

    /// `mediation_envelope`.
    MediationEnvelope("config.MediationEnvelope") {
        /// `mediation_envelope.enabled`.
        enabled: bool = "Enabled",
        /// `mediation_envelope.sign`.
        sign: bool = "Sign",
        /// `mediation_envelope.signing_key_path`.
        signing_key_path: String = "SigningKeyPath",
        /// `mediation_envelope.key_id`.
        key_id: String = "KeyID",
        /// `mediation_envelope.signed_components`.
        signed_components: List<String> = "SignedComponents",
        /// `mediation_envelope.created_skew_seconds`.
        created_skew_seconds: i64 = "CreatedSkewSeconds",
        /// `mediation_envelope.max_body_bytes`.
        max_body_bytes: i64 = "MaxBodyBytes",
    }
}
