//! What is looked for in requests and responses. Spec: config §5.5-5.9, §5.18, §5.23.

use crate::config::value::{List, Secret, sections};

sections! {
    /// `dlp`.
    Dlp("config.DLP") {
        /// `dlp.scan_env`.
        scan_env: bool = "ScanEnv" [secure],
        /// `dlp.secrets_file`.
        secrets_file: String = "SecretsFile",
        /// `dlp.min_env_secret_length`.
        min_env_secret_length: i64 = "MinEnvSecretLength",
        /// `dlp.include_defaults`.
        include_defaults: Option<bool> = "IncludeDefaults",
        /// `dlp.patterns`.
        patterns: List<DlpPattern> = "Patterns",
        /// `dlp.action`.
        action: String = "Action" [omit],
    }

    /// `dlp.patterns[]`.
    DlpPattern("config.DLPPattern") {
        /// `dlp.patterns[].name`.
        name: String = "Name",
        /// `dlp.patterns[].regex`.
        regex: String = "Regex",
        /// `dlp.patterns[].severity`.
        severity: String = "Severity",
        /// `dlp.patterns[].validator`.
        validator: String = "Validator" [omit],
        /// `dlp.patterns[].exempt_domains`.
        exempt_domains: List<String> = "ExemptDomains",
        /// `dlp.patterns[].action`.
        action: String = "Action" [omit],
        /// `dlp.patterns[].bundle`.
        bundle: String = "Bundle" [internal],
        /// `dlp.patterns[].bundle_version`.
        bundle_version: String = "BundleVersion" [internal],
        /// `dlp.patterns[].compiled`.
        compiled: bool = "Compiled" [internal],
    }

    /// `canary_tokens`.
    CanaryTokens("config.CanaryTokens") {
        /// `canary_tokens.enabled`.
        enabled: bool = "Enabled",
        /// `canary_tokens.tokens`.
        tokens: List<CanaryToken> = "Tokens",
    }

    /// `canary_tokens.tokens[]`.
    CanaryToken("config.CanaryToken") {
        /// `canary_tokens.tokens[].name`.
        name: String = "Name",
        /// `canary_tokens.tokens[].value`.
        value: Secret = "Value",
        /// `canary_tokens.tokens[].env_var`.
        env_var: String = "EnvVar" [omit],
    }

    /// `response_scanning`.
    ResponseScanning("config.ResponseScanning") {
        /// `response_scanning.enabled`.
        enabled: bool = "Enabled" [secure],
        /// `response_scanning.action`.
        action: String = "Action",
        /// `response_scanning.ask_timeout_seconds`.
        ask_timeout_seconds: i64 = "AskTimeoutSeconds",
        /// `response_scanning.include_defaults`.
        include_defaults: Option<bool> = "IncludeDefaults",
        /// `response_scanning.patterns`.
        patterns: List<ResponseScanPattern> = "Patterns",
        /// `response_scanning.exempt_domains`.
        exempt_domains: List<String> = "ExemptDomains",
        /// `response_scanning.sse_streaming`.
        sse_streaming: SseStreaming = "SSEStreaming",
    }

    /// `response_scanning.patterns[]`.
    ResponseScanPattern("config.ResponseScanPattern") {
        /// `response_scanning.patterns[].name`.
        name: String = "Name",
        /// `response_scanning.patterns[].regex`.
        regex: String = "Regex",
        /// `response_scanning.patterns[].bundle`.
        bundle: String = "Bundle" [internal],
        /// `response_scanning.patterns[].bundle_version`.
        bundle_version: String = "BundleVersion" [internal],
        /// `response_scanning.patterns[].compiled`.
        compiled: bool = "Compiled" [internal],
    }

    /// `response_scanning.sse_streaming`.
    SseStreaming("config.GenericSSEScanning") {
        /// `response_scanning.sse_streaming.enabled`.
        enabled: bool = "Enabled" [secure],
        /// `response_scanning.sse_streaming.action`.
        action: String = "Action",
        /// `response_scanning.sse_streaming.max_event_bytes`.
        max_event_bytes: i64 = "MaxEventBytes",
    }

    /// `request_body_scanning`.
    RequestBodyScanning("config.RequestBodyScanning") {
        /// `request_body_scanning.enabled`.
        enabled: bool = "Enabled" [secure],
        /// `request_body_scanning.action`.
        action: String = "Action",
        /// `request_body_scanning.max_body_bytes`.
        max_body_bytes: i64 = "MaxBodyBytes",
        /// `request_body_scanning.scan_headers`.
        scan_headers: bool = "ScanHeaders" [secure],
        /// `request_body_scanning.header_mode`.
        header_mode: String = "HeaderMode",
        /// `request_body_scanning.sensitive_headers`.
        sensitive_headers: List<String> = "SensitiveHeaders",
        /// `request_body_scanning.ignore_headers`.
        ignore_headers: List<String> = "IgnoreHeaders",
    }

    /// `seed_phrase_detection`.
    SeedPhraseDetection("config.SeedPhraseDetection") {
        /// `seed_phrase_detection.enabled`.
        enabled: Option<bool> = "Enabled",
        /// `seed_phrase_detection.min_words`.
        min_words: i64 = "MinWords",
        /// `seed_phrase_detection.verify_checksum`.
        verify_checksum: Option<bool> = "VerifyChecksum",
    }

    /// `cross_request_detection`.
    CrossRequestDetection("config.CrossRequestDetection") {
        /// `cross_request_detection.enabled`.
        enabled: bool = "Enabled",
        /// `cross_request_detection.action`.
        action: String = "Action",
        /// `cross_request_detection.entropy_budget`.
        entropy_budget: EntropyBudget = "EntropyBudget",
        /// `cross_request_detection.fragment_reassembly`.
        fragment_reassembly: FragmentReassembly = "FragmentReassembly",
    }

    /// `cross_request_detection.entropy_budget`.
    EntropyBudget("config.CrossRequestEntropyBudget") {
        /// `cross_request_detection.entropy_budget.enabled`.
        enabled: bool = "Enabled",
        /// `cross_request_detection.entropy_budget.bits_per_window`.
        bits_per_window: f64 = "BitsPerWindow",
        /// `cross_request_detection.entropy_budget.window_minutes`.
        window_minutes: i64 = "WindowMinutes",
        /// `cross_request_detection.entropy_budget.action`.
        action: String = "Action",
        /// `cross_request_detection.entropy_budget.exempt_domains`.
        exempt_domains: List<String> = "ExemptDomains",
    }

    /// `cross_request_detection.fragment_reassembly`.
    FragmentReassembly("config.CrossRequestFragments") {
        /// `cross_request_detection.fragment_reassembly.enabled`.
        enabled: bool = "Enabled",
        /// `cross_request_detection.fragment_reassembly.max_buffer_bytes`.
        max_buffer_bytes: i64 = "MaxBufferBytes",
        /// `cross_request_detection.fragment_reassembly.window_minutes`.
        window_minutes: i64 = "WindowMinutes",
    }

    /// `address_protection`.
    AddressProtection("config.AddressProtection") {
        /// `address_protection.enabled`.
        enabled: bool = "Enabled",
        /// `address_protection.action`.
        action: String = "Action",
        /// `address_protection.unknown_action`.
        unknown_action: String = "UnknownAction",
        /// `address_protection.allowed_addresses`.
        allowed_addresses: List<String> = "AllowedAddresses",
        /// `address_protection.chains`.
        chains: AddressChains = "Chains",
        /// `address_protection.similarity`.
        similarity: AddressSimilarity = "Similarity",
    }

    /// `address_protection.chains`.
    AddressChains("config.AddressChains") {
        /// `address_protection.chains.eth`.
        eth: Option<bool> = "ETH",
        /// `address_protection.chains.btc`.
        btc: Option<bool> = "BTC",
        /// `address_protection.chains.sol`.
        sol: Option<bool> = "SOL",
        /// `address_protection.chains.bnb`.
        bnb: Option<bool> = "BNB",
    }

    /// `address_protection.similarity`.
    AddressSimilarity("config.SimilarityConfig") {
        /// `address_protection.similarity.prefix_length`.
        prefix_length: i64 = "PrefixLength",
        /// `address_protection.similarity.suffix_length`.
        suffix_length: i64 = "SuffixLength",
    }
}
