//! Running the proxy: logs, emission, kill switch, rule bundles, scan API, recorder. Spec: config §5.13-5.16, §5.24, §5.30, §5.31.

use crate::config::value::{List, Map, Secret, sections};

sections! {
    /// The decision log. Changes need a restart.
    Logging("config.LoggingConfig") {
        /// Form on standard output: `json` or `text`. The file is always JSON.
        format: String = "Format",
        /// `stdout`, `file` or `both`.
        output: String = "Output",
        /// The file, appended to, mode 0600 when created.
        file: String = "File",
        /// Whether allowed requests are logged.
        include_allowed: bool = "IncludeAllowed" [secure],
        /// Whether blocked requests are logged.
        include_blocked: bool = "IncludeBlocked" [secure],
    }

    /// Deny everything, now.
    KillSwitch("config.KillSwitch") {
        /// Whether it is on.
        enabled: bool = "Enabled",
        /// It is on while this file exists.
        sentinel_file: String = "SentinelFile",
        /// What clients are told.
        message: String = "Message",
        /// Whether `/health` still answers (default yes).
        health_exempt: Option<bool> = "HealthExempt",
        /// Whether `/metrics` and `/stats` still answer (default yes).
        metrics_exempt: Option<bool> = "MetricsExempt",
        /// Whether the admin API still answers (default yes).
        api_exempt: Option<bool> = "APIExempt",
        /// Token of the admin API. `PIPELOCK_KILLSWITCH_API_TOKEN` wins.
        api_token: Secret = "APIToken",
        /// Address of a listener of its own for the admin API; needs the token.
        api_listen: String = "APIListen",
        /// Address ranges of clients that are not denied.
        allowlist_ips: List<String> = "AllowlistIPs",
    }

    /// Crash reports. Parsed; this program sends none.
    Sentry("config.SentryConfig") {
        /// Whether reports may be sent.
        enabled: Option<bool> = "Enabled",
        /// Where to. `SENTRY_DSN` wins.
        dsn: Secret = "DSN",
        /// Name of the environment.
        environment: String = "Environment",
        /// Share of reports, 0 to 1.
        sample_rate: Option<f64> = "SampleRate",
        /// Whether the reporter explains itself.
        debug: bool = "Debug",
    }

    /// Copies of events to other systems.
    Emit("config.EmitConfig") {
        /// Name of this instance; empty: the host name.
        instance_id: String = "InstanceID",
        /// HTTP POST of each event.
        webhook: EmitWebhook = "Webhook",
        /// Syslog messages.
        syslog: EmitSyslog = "Syslog",
        /// OpenTelemetry log records.
        otlp: EmitOtlp = "OTLP",
    }

    /// HTTP POST of each event.
    EmitWebhook("config.WebhookConfig") {
        /// Where to; empty: off.
        url: String = "URL",
        /// Least severe event: `info`, `warn` or `critical`.
        min_severity: String = "MinSeverity",
        /// Bearer token.
        auth_token: Secret = "AuthToken",
        /// Longest wait, in seconds.
        timeout_seconds: i64 = "TimeoutSecs",
        /// Events that may wait; more are dropped.
        queue_size: i64 = "QueueSize",
    }

    /// Syslog messages.
    EmitSyslog("config.SyslogConfig") {
        /// `udp://host:port` or `tcp://host:port`; empty: off.
        address: String = "Address",
        /// Least severe event: `info`, `warn` or `critical`.
        min_severity: String = "MinSeverity",
        /// Facility, such as `local0`.
        facility: String = "Facility",
        /// Name of the program in messages.
        tag: String = "Tag",
    }

    /// OpenTelemetry log records.
    EmitOtlp("config.OTLPConfig") {
        /// URL of the collector; empty: off.
        endpoint: String = "Endpoint",
        /// Headers to add.
        headers: Map<Secret> = "Headers",
        /// Longest wait, in seconds.
        timeout_seconds: i64 = "TimeoutSeconds",
        /// Least severe event: `info`, `warn` or `critical`.
        min_severity: String = "MinSeverity",
        /// Events that may wait; more are dropped.
        queue_size: i64 = "QueueSize",
        /// Whether bodies are compressed.
        gzip: bool = "Gzip",
    }

    /// A tamper-evident record of decisions.
    FlightRecorder("config.FlightRecorder") {
        /// Whether it is kept.
        enabled: bool = "Enabled",
        /// Its directory.
        dir: String = "Dir",
        /// Entries between checkpoints.
        checkpoint_interval: i64 = "CheckpointInterval",
        /// Days that files are kept; 0: for ever.
        retention_days: i64 = "RetentionDays",
        /// Whether secrets are left out.
        redact: bool = "Redact" [secure],
        /// Whether checkpoints are signed.
        sign_checkpoints: bool = "SignCheckpoints" [secure],
        /// Entries before a new file is begun.
        max_entries_per_file: i64 = "MaxEntriesPerFile",
        /// Whether unredacted entries are kept, encrypted.
        raw_escrow: bool = "RawEscrow",
        /// Key they are encrypted for, 64 hex characters.
        escrow_public_key: String = "EscrowPublicKey",
        /// Ed25519 private key, readable by no others.
        signing_key_path: String = "SigningKeyPath",
    }

    /// Signed bundles of additional rules.
    Rules("config.Rules") {
        /// Their directory; empty: under the user's data directory.
        rules_dir: String = "RulesDir",
        /// Least confidence: `high`, `medium` or `low`.
        min_confidence: String = "MinConfidence",
        /// Whether experimental rules count.
        include_experimental: bool = "IncludeExperimental",
        /// Rules that do not count: `bundle:rule` or globs.
        disabled: List<String> = "Disabled",
        /// Keys of further publishers.
        trusted_keys: List<TrustedKey> = "TrustedKeys",
    }

    /// Key of a publisher.
    TrustedKey("config.TrustedKey") {
        /// The publisher.
        name: String = "Name",
        /// Ed25519 public key, 64 lower-case hex characters.
        public_key: String = "PublicKey",
        /// Any text.
        tier: String = "Tier" [omit],
    }

    /// Scanning as a service.
    ScanApi("config.ScanAPI") {
        /// Its address; empty: off.
        listen: String = "Listen",
        /// Who may use it.
        auth: ScanApiAuth = "Auth",
        /// How often.
        rate_limit: ScanApiRateLimit = "RateLimit",
        /// Largest request, in bytes.
        max_body_bytes: i64 = "MaxBodyBytes" [wide],
        /// Largest fields.
        field_limits: ScanApiFieldLimits = "FieldLimits",
        /// Deadlines.
        timeouts: ScanApiTimeouts = "Timeouts",
        /// Most connections at a time; 0 in the file: 100.
        connection_limit: i64 = "ConnectionLimit",
        /// What may be scanned.
        kinds: ScanApiKinds = "Kinds",
    }

    /// Who may use the scan API.
    ScanApiAuth("config.ScanAPIAuth") {
        /// Their tokens; at least one.
        bearer_tokens: List<Secret> = "BearerTokens",
    }

    /// How often the scan API may be used.
    ScanApiRateLimit("config.ScanAPIRateLimit") {
        /// Requests per token and minute.
        requests_per_minute: i64 = "RequestsPerMinute",
        /// Requests at once.
        burst: i64 = "Burst",
    }

    /// Largest fields of scan requests, in bytes.
    ScanApiFieldLimits("config.ScanAPIFieldLimits") {
        /// Bytes of a URL.
        url: i64 = "URL",
        /// Bytes of a text.
        text: i64 = "Text",
        /// Bytes of content.
        content: i64 = "Content",
        /// Bytes of tool arguments.
        arguments: i64 = "Arguments",
    }

    /// Deadlines of the scan API.
    ScanApiTimeouts("config.ScanAPITimeouts") {
        /// For reading a request, such as `2s`.
        read: String = "Read",
        /// For writing the answer.
        write: String = "Write",
        /// For scanning.
        scan: String = "Scan",
    }

    /// What may be scanned.
    ScanApiKinds("config.ScanAPIKinds") {
        /// URLs.
        url: bool = "URL" [secure],
        /// Text for secrets.
        dlp: bool = "DLP" [secure],
        /// Text for injections.
        prompt_injection: bool = "PromptInjection" [secure],
        /// Tool calls.
        tool_call: bool = "ToolCall" [secure],
    }
}
