//! Running the proxy: logs, emission, kill switch, rule bundles, scan API, recorder. Spec: config §5.13-5.16, §5.24, §5.30, §5.31.

use crate::config::value::{List, Map, Secret, sections};

sections! {
    /// `logging`.
    Logging("config.LoggingConfig") {
        /// `logging.format`.
        format: String = "Format",
        /// `logging.output`.
        output: String = "Output",
        /// `logging.file`.
        file: String = "File",
        /// `logging.include_allowed`.
        include_allowed: bool = "IncludeAllowed" [secure],
        /// `logging.include_blocked`.
        include_blocked: bool = "IncludeBlocked" [secure],
    }

    /// `kill_switch`.
    KillSwitch("config.KillSwitch") {
        /// `kill_switch.enabled`.
        enabled: bool = "Enabled",
        /// `kill_switch.sentinel_file`.
        sentinel_file: String = "SentinelFile",
        /// `kill_switch.message`.
        message: String = "Message",
        /// `kill_switch.health_exempt`.
        health_exempt: Option<bool> = "HealthExempt",
        /// `kill_switch.metrics_exempt`.
        metrics_exempt: Option<bool> = "MetricsExempt",
        /// `kill_switch.api_exempt`.
        api_exempt: Option<bool> = "APIExempt",
        /// `kill_switch.api_token`.
        api_token: Secret = "APIToken",
        /// `kill_switch.api_listen`.
        api_listen: String = "APIListen",
        /// `kill_switch.allowlist_ips`.
        allowlist_ips: List<String> = "AllowlistIPs",
    }

    /// `sentry`.
    Sentry("config.SentryConfig") {
        /// `sentry.enabled`.
        enabled: Option<bool> = "Enabled",
        /// `sentry.dsn`.
        dsn: Secret = "DSN",
        /// `sentry.environment`.
        environment: String = "Environment",
        /// `sentry.sample_rate`.
        sample_rate: Option<f64> = "SampleRate",
        /// `sentry.debug`.
        debug: bool = "Debug",
    }

    /// `emit`.
    Emit("config.EmitConfig") {
        /// `emit.instance_id`.
        instance_id: String = "InstanceID",
        /// `emit.webhook`.
        webhook: EmitWebhook = "Webhook",
        /// `emit.syslog`.
        syslog: EmitSyslog = "Syslog",
        /// `emit.otlp`.
        otlp: EmitOtlp = "OTLP",
    }

    /// `emit.webhook`.
    EmitWebhook("config.WebhookConfig") {
        /// `emit.webhook.url`.
        url: String = "URL",
        /// `emit.webhook.min_severity`.
        min_severity: String = "MinSeverity",
        /// `emit.webhook.auth_token`.
        auth_token: Secret = "AuthToken",
        /// `emit.webhook.timeout_seconds`.
        timeout_seconds: i64 = "TimeoutSecs",
        /// `emit.webhook.queue_size`.
        queue_size: i64 = "QueueSize",
    }

    /// `emit.syslog`.
    EmitSyslog("config.SyslogConfig") {
        /// `emit.syslog.address`.
        address: String = "Address",
        /// `emit.syslog.min_severity`.
        min_severity: String = "MinSeverity",
        /// `emit.syslog.facility`.
        facility: String = "Facility",
        /// `emit.syslog.tag`.
        tag: String = "Tag",
    }

    /// `emit.otlp`.
    EmitOtlp("config.OTLPConfig") {
        /// `emit.otlp.endpoint`.
        endpoint: String = "Endpoint",
        /// `emit.otlp.headers`.
        headers: Map<Secret> = "Headers",
        /// `emit.otlp.timeout_seconds`.
        timeout_seconds: i64 = "TimeoutSeconds",
        /// `emit.otlp.min_severity`.
        min_severity: String = "MinSeverity",
        /// `emit.otlp.queue_size`.
        queue_size: i64 = "QueueSize",
        /// `emit.otlp.gzip`.
        gzip: bool = "Gzip",
    }

    /// `flight_recorder`.
    FlightRecorder("config.FlightRecorder") {
        /// `flight_recorder.enabled`.
        enabled: bool = "Enabled",
        /// `flight_recorder.dir`.
        dir: String = "Dir",
        /// `flight_recorder.checkpoint_interval`.
        checkpoint_interval: i64 = "CheckpointInterval",
        /// `flight_recorder.retention_days`.
        retention_days: i64 = "RetentionDays",
        /// `flight_recorder.redact`.
        redact: bool = "Redact" [secure],
        /// `flight_recorder.sign_checkpoints`.
        sign_checkpoints: bool = "SignCheckpoints" [secure],
        /// `flight_recorder.max_entries_per_file`.
        max_entries_per_file: i64 = "MaxEntriesPerFile",
        /// `flight_recorder.raw_escrow`.
        raw_escrow: bool = "RawEscrow",
        /// `flight_recorder.escrow_public_key`.
        escrow_public_key: String = "EscrowPublicKey",
        /// `flight_recorder.signing_key_path`.
        signing_key_path: String = "SigningKeyPath",
    }

    /// `rules`.
    Rules("config.Rules") {
        /// `rules.rules_dir`.
        rules_dir: String = "RulesDir",
        /// `rules.min_confidence`.
        min_confidence: String = "MinConfidence",
        /// `rules.include_experimental`.
        include_experimental: bool = "IncludeExperimental",
        /// `rules.disabled`.
        disabled: List<String> = "Disabled",
        /// `rules.trusted_keys`.
        trusted_keys: List<TrustedKey> = "TrustedKeys",
    }

    /// `rules.trusted_keys[]`.
    TrustedKey("config.TrustedKey") {
        /// `rules.trusted_keys[].name`.
        name: String = "Name",
        /// `rules.trusted_keys[].public_key`.
        public_key: String = "PublicKey",
        /// `rules.trusted_keys[].tier`.
        tier: String = "Tier" [omit],
    }

    /// `scan_api`.
    ScanApi("config.ScanAPI") {
        /// `scan_api.listen`.
        listen: String = "Listen",
        /// `scan_api.auth`.
        auth: ScanApiAuth = "Auth",
        /// `scan_api.rate_limit`.
        rate_limit: ScanApiRateLimit = "RateLimit",
        /// `scan_api.max_body_bytes`.
        max_body_bytes: i64 = "MaxBodyBytes" [wide],
        /// `scan_api.field_limits`.
        field_limits: ScanApiFieldLimits = "FieldLimits",
        /// `scan_api.timeouts`.
        timeouts: ScanApiTimeouts = "Timeouts",
        /// `scan_api.connection_limit`.
        connection_limit: i64 = "ConnectionLimit",
        /// `scan_api.kinds`.
        kinds: ScanApiKinds = "Kinds",
    }

    /// `scan_api.auth`.
    ScanApiAuth("config.ScanAPIAuth") {
        /// `scan_api.auth.bearer_tokens`.
        bearer_tokens: List<Secret> = "BearerTokens",
    }

    /// `scan_api.rate_limit`.
    ScanApiRateLimit("config.ScanAPIRateLimit") {
        /// `scan_api.rate_limit.requests_per_minute`.
        requests_per_minute: i64 = "RequestsPerMinute",
        /// `scan_api.rate_limit.burst`.
        burst: i64 = "Burst",
    }

    /// `scan_api.field_limits`.
    ScanApiFieldLimits("config.ScanAPIFieldLimits") {
        /// `scan_api.field_limits.url`.
        url: i64 = "URL",
        /// `scan_api.field_limits.text`.
        text: i64 = "Text",
        /// `scan_api.field_limits.content`.
        content: i64 = "Content",
        /// `scan_api.field_limits.arguments`.
        arguments: i64 = "Arguments",
    }

    /// `scan_api.timeouts`.
    ScanApiTimeouts("config.ScanAPITimeouts") {
        /// `scan_api.timeouts.read`.
        read: String = "Read",
        /// `scan_api.timeouts.write`.
        write: String = "Write",
        /// `scan_api.timeouts.scan`.
        scan: String = "Scan",
    }

    /// `scan_api.kinds`.
    ScanApiKinds("config.ScanAPIKinds") {
        /// `scan_api.kinds.url`.
        url: bool = "URL" [secure],
        /// `scan_api.kinds.dlp`.
        dlp: bool = "DLP" [secure],
        /// `scan_api.kinds.prompt_injection`.
        prompt_injection: bool = "PromptInjection" [secure],
        /// `scan_api.kinds.tool_call`.
        tool_call: bool = "ToolCall" [secure],
    }
}
