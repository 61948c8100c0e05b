//! What is looked for in requests and responses. Spec: config §5.5-5.9, §5.18, §5.23.

use crate::config::value::{List, Secret, sections};

sections! {
    /// Credentials and other secrets in outgoing data.
    Dlp("config.DLP") {
        /// Whether values of our own environment that look like secrets must not leave.
        scan_env: bool = "ScanEnv" [secure],
        /// File with one secret a line that must not leave, relative to this file, mode 0600 or 0640.
        secrets_file: String = "SecretsFile",
        /// Shortest secret from environment and file, in bytes; 0 and below: 16.
        min_env_secret_length: i64 = "MinEnvSecretLength",
        /// Whether the built-in patterns are used beside one's own (default yes).
        include_defaults: Option<bool> = "IncludeDefaults",
        /// One's own patterns; one with a built-in's name replaces it.
        patterns: List<DlpPattern> = "Patterns",
        /// Must be empty: what a match does is up to the place where it was found.
        action: String = "Action" [omit],
    }

    /// A pattern of secrets.
    DlpPattern("config.DLPPattern") {
        /// Name in findings.
        name: String = "Name",
        /// Regular expression in Go's syntax, matched without regard to case.
        regex: String = "Regex",
        /// Any text; usually `critical`, `high`, `medium` or `low`.
        severity: String = "Severity",
        /// A check on what matched: `luhn`, `mod97`, `aba`, `wif`.
        validator: String = "Validator" [omit],
        /// Hosts to which such data may go.
        exempt_domains: List<String> = "ExemptDomains",
        /// `warn`: matches are reported only.
        action: String = "Action" [omit],
        /// Bundle it came from.
        bundle: String = "Bundle" [internal],
        /// Version of that bundle.
        bundle_version: String = "BundleVersion" [internal],
        /// Whether it is built in.
        compiled: bool = "Compiled" [internal],
    }

    /// Planted values that nobody may send.
    CanaryTokens("config.CanaryTokens") {
        /// Whether they are looked for.
        enabled: bool = "Enabled",
        /// The values.
        tokens: List<CanaryToken> = "Tokens",
    }

    /// A planted value.
    CanaryToken("config.CanaryToken") {
        /// Name in findings.
        name: String = "Name",
        /// The value, at least 8 bytes.
        value: Secret = "Value",
        /// Variable it is planted in. No effect here.
        env_var: String = "EnvVar" [omit],
    }

    /// Prompt injection in what comes back.
    ResponseScanning("config.ResponseScanning") {
        /// Whether answers are scanned.
        enabled: bool = "Enabled" [secure],
        /// `warn`, `block`, `strip` (cut the match out) or `ask` (a person at the terminal).
        action: String = "Action",
        /// Longest wait for that person, in seconds.
        ask_timeout_seconds: i64 = "AskTimeoutSeconds",
        /// Whether the built-in patterns are used beside one's own (default yes).
        include_defaults: Option<bool> = "IncludeDefaults",
        /// One's own patterns; one with a built-in's name replaces it.
        patterns: List<ResponseScanPattern> = "Patterns",
        /// Hosts whose answers are not scanned.
        exempt_domains: List<String> = "ExemptDomains",
        /// Event streams.
        sse_streaming: SseStreaming = "SSEStreaming",
    }

    /// A pattern of injections.
    ResponseScanPattern("config.ResponseScanPattern") {
        /// Name in findings.
        name: String = "Name",
        /// Regular expression in Go's syntax, used as written.
        regex: String = "Regex",
        /// Bundle it came from.
        bundle: String = "Bundle" [internal],
        /// Version of that bundle.
        bundle_version: String = "BundleVersion" [internal],
        /// Whether it is built in.
        compiled: bool = "Compiled" [internal],
    }

    /// Event streams.
    SseStreaming("config.GenericSSEScanning") {
        /// Whether streams are scanned event by event.
        enabled: bool = "Enabled" [secure],
        /// `block` (also when empty) or `warn`.
        action: String = "Action",
        /// Largest event, in bytes; 0: 65536.
        max_event_bytes: i64 = "MaxEventBytes",
    }

    /// Bodies and headers of outgoing requests.
    RequestBodyScanning("config.RequestBodyScanning") {
        /// Whether they are scanned.
        enabled: bool = "Enabled" [secure],
        /// What a match does: `warn` or `block`.
        action: String = "Action",
        /// Largest body, in bytes; larger ones are blocked.
        max_body_bytes: i64 = "MaxBodyBytes",
        /// Whether headers are scanned too.
        scan_headers: bool = "ScanHeaders" [secure],
        /// `sensitive`: only `sensitive_headers`. `all`: all but `ignore_headers`.
        header_mode: String = "HeaderMode",
        /// Headers of the first mode; empty: the default list.
        sensitive_headers: List<String> = "SensitiveHeaders",
        /// Headers left out in the second mode; empty: the default list.
        ignore_headers: List<String> = "IgnoreHeaders",
    }

    /// Wallet recovery phrases.
    SeedPhraseDetection("config.SeedPhraseDetection") {
        /// Whether they are looked for (default yes).
        enabled: Option<bool> = "Enabled",
        /// Shortest phrase: 12, 15, 18, 21 or 24 words.
        min_words: i64 = "MinWords",
        /// Whether the last word must fit the others (default yes).
        verify_checksum: Option<bool> = "VerifyChecksum",
    }

    /// Leaks spread over several requests.
    CrossRequestDetection("config.CrossRequestDetection") {
        /// Whether they are looked for; needs at least one of the two detectors.
        enabled: bool = "Enabled",
        /// What a reassembled secret does: `block` or `warn`.
        action: String = "Action",
        /// How much randomness a session may send.
        entropy_budget: EntropyBudget = "EntropyBudget",
        /// Putting the pieces of a session together.
        fragment_reassembly: FragmentReassembly = "FragmentReassembly",
    }

    /// How much randomness a session may send.
    EntropyBudget("config.CrossRequestEntropyBudget") {
        /// Whether it is counted.
        enabled: bool = "Enabled",
        /// The budget, in bits.
        bits_per_window: f64 = "BitsPerWindow",
        /// The window, in minutes.
        window_minutes: i64 = "WindowMinutes",
        /// What exceeding it does: `warn` or `block`.
        action: String = "Action",
        /// Hosts that do not count.
        exempt_domains: List<String> = "ExemptDomains",
    }

    /// Putting the pieces of a session together.
    FragmentReassembly("config.CrossRequestFragments") {
        /// Whether it is done.
        enabled: bool = "Enabled",
        /// Bytes kept for each session.
        max_buffer_bytes: i64 = "MaxBufferBytes",
        /// How long they are kept, in minutes.
        window_minutes: i64 = "WindowMinutes",
    }

    /// Crypto-currency addresses that look like known ones.
    AddressProtection("config.AddressProtection") {
        /// Whether addresses are compared.
        enabled: bool = "Enabled",
        /// What a look-alike does: `block` or `warn`.
        action: String = "Action",
        /// What an address unlike any known one does: `allow`, `warn` or `block`.
        unknown_action: String = "UnknownAction",
        /// The known addresses.
        allowed_addresses: List<String> = "AllowedAddresses",
        /// Which kinds of address are looked at.
        chains: AddressChains = "Chains",
        /// When two addresses look alike.
        similarity: AddressSimilarity = "Similarity",
    }

    /// Which kinds of address are looked at.
    AddressChains("config.AddressChains") {
        /// Ethereum (default yes).
        eth: Option<bool> = "ETH",
        /// Bitcoin (default yes).
        btc: Option<bool> = "BTC",
        /// Solana (default no).
        sol: Option<bool> = "SOL",
        /// BNB (default yes).
        bnb: Option<bool> = "BNB",
    }

    /// When two addresses look alike.
    AddressSimilarity("config.SimilarityConfig") {
        /// Equal characters at the start.
        prefix_length: i64 = "PrefixLength",
        /// Equal characters at the end.
        suffix_length: i64 = "SuffixLength",
    }
}
