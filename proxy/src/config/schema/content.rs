//! What is changed in traffic on its way: shield, media, redaction, signed envelope. Spec: config §5.22, §5.26, §5.27, §5.29.

use crate::config::value::{List, Map, Secret, sections};

sections! {
    /// Removing trackers and traps from web pages.
    BrowserShield("config.BrowserShield") {
        /// Whether it is done; `strictness`, `oversize_action` and `max_shield_bytes` must then be given.
        enabled: bool = "Enabled",
        /// `minimal`, `standard` or `aggressive`.
        strictness: String = "Strictness",
        /// Largest page that is rewritten, in bytes.
        max_shield_bytes: i64 = "MaxShieldBytes",
        /// What a larger one does: `block`, `scan_head`, or `warn` (only with `minimal`).
        oversize_action: String = "OversizeAction",
        /// Hosts left alone, compared exactly.
        exempt_domains: List<String> = "ExemptDomains",
        /// Whether probes for browser extensions are removed.
        strip_extension_probing: bool = "StripExtensionProbing",
        /// Whether invisible elements are removed.
        strip_hidden_traps: bool = "StripHiddenTraps",
        /// Whether tracking pixels are removed.
        strip_tracking_pixels: bool = "StripTrackingPixels",
        /// Whether scripts against fingerprinting are added.
        inject_fingerprint_shims: bool = "InjectFingerprintShims",
        /// Additional hosts of trackers.
        tracking_domains: List<String> = "TrackingDomains",
    }

    /// Images, audio and video in responses.
    MediaPolicy("config.MediaPolicy") {
        /// Whether they are looked at (default yes).
        enabled: Option<bool> = "Enabled" [omit],
        /// Whether images are blocked (default no).
        strip_images: Option<bool> = "StripImages" [omit],
        /// Whether audio is blocked (default yes).
        strip_audio: Option<bool> = "StripAudio" [omit],
        /// Whether video is blocked (default yes).
        strip_video: Option<bool> = "StripVideo" [omit],
        /// Image types that pass; empty: PNG and JPEG.
        allowed_image_types: List<String> = "AllowedImageTypes" [omit],
        /// Whether metadata are removed from images (default yes).
        strip_image_metadata: Option<bool> = "StripImageMetadata" [omit],
        /// Largest image, in bytes; 0: 5242880.
        max_image_bytes: i64 = "MaxImageBytes" [omit_wide],
        /// Whether passing media are logged (default yes).
        log_media_exposure: Option<bool> = "LogMediaExposure" [omit],
    }

    /// Replacing sensitive values in JSON request bodies.
    Redaction("redact.Config") {
        /// Whether it is done; needs `request_body_scanning`.
        enabled: bool = "Enabled",
        /// The profile that is used.
        default_profile: String = "DefaultProfile",
        /// What is replaced, by name.
        profiles: Map<RedactionProfile> = "Profiles",
        /// Literal values to replace, by name.
        dictionaries: Map<RedactionDictionary> = "Dictionaries",
        /// Bounds of the work.
        limits: RedactionLimits = "Limits",
        /// No effect.
        strict_reload: bool = "StrictReload",
        /// Hosts to which bodies may go that are no JSON; lower case, `*` allowed.
        allowlist_unparseable: List<String> = "AllowlistUnparseable",
    }

    /// What is replaced.
    RedactionProfile("redact.ProfileSpec") {
        /// Built-in classes: `aws-access-key`, `google-api-key`, `github-token`, `slack-token`, `jwt`, `ssh-private-key`, `ad-user`, `ssn`, `credit-card`, `hash-sha512`, `hash-sha256`, `hash-sha1`, `hash-md5`, `cidr`, `ipv4`, `ipv6`, `mac`, `email`, `fqdn`.
        classes: List<String> = "Classes",
        /// Names of dictionaries.
        dictionaries: List<String> = "Dictionaries",
    }

    /// Literal values to replace.
    RedactionDictionary("redact.DictionarySpec") {
        /// Name in the placeholder.
        class: String = "Class",
        /// The values.
        entries: List<Secret> = "Entries" [omit],
        /// Not read; a used dictionary needs `entries`.
        entries_file: String = "EntriesFile" [omit],
        /// Whether case does not matter.
        case_insensitive: bool = "CaseInsensitive",
        /// Whether only whole words count.
        word_boundary: bool = "WordBoundary",
        /// Which wins where several match: the higher.
        priority: i64 = "Priority",
    }

    /// Bounds of the work; 0: the values without a file.
    RedactionLimits("redact.LimitsSpec") {
        /// Largest body, in bytes.
        max_body_bytes: i64 = "MaxBodyBytes",
        /// Most replacements in a request.
        max_redactions_per_request: i64 = "MaxRedactionsPerRequest",
        /// Deepest nesting.
        max_depth: i64 = "MaxDepth",
    }

    /// A signed header on outgoing requests.
    MediationEnvelope("config.MediationEnvelope") {
        /// Whether it is added.
        enabled: bool = "Enabled",
        /// Whether it is signed.
        sign: bool = "Sign",
        /// Ed25519 private key, readable by no others.
        signing_key_path: String = "SigningKeyPath",
        /// Name of the key.
        key_id: String = "KeyID",
        /// What the signature covers: `@method`, `@target-uri`, `@authority`, `content-digest`, `pipelock-mediation`.
        signed_components: List<String> = "SignedComponents",
        /// No effect on outgoing requests.
        created_skew_seconds: i64 = "CreatedSkewSeconds",
        /// Largest body whose digest is covered, in bytes.
        max_body_bytes: i64 = "MaxBodyBytes",
    }
}
