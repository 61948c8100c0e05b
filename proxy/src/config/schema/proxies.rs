//! The listeners and what they forward: fetch, forward, WebSocket, reverse, TLS interception. Spec: config §5.2-5.4, §5.12, §5.24.

use crate::config::value::{List, sections};

sections! {
    /// The main listener, the `/fetch` endpoint and the URL scanner.
    FetchProxy("config.FetchProxy") {
        /// Address of the main listener.
        listen: String = "Listen",
        /// Longest exchange with an origin server for `/fetch` and for plain requests, their answers included, in seconds.
        timeout_seconds: i64 = "TimeoutSeconds",
        /// Largest answer to `/fetch` and to plain requests, in MiB; larger ones are refused (strictness `reference`: plain ones are cut).
        max_response_mb: i64 = "MaxResponseMB",
        /// User-Agent of `/fetch` requests.
        user_agent: String = "UserAgent",
        /// The URL scanner.
        monitoring: Monitoring = "Monitoring",
    }

    /// The URL scanner's thresholds and lists.
    Monitoring("config.Monitoring") {
        /// Longest URL, in bytes.
        max_url_length: i64 = "MaxURLLength",
        /// Entropy above which a part of the path or query is blocked, in bits per character.
        entropy_threshold: f64 = "EntropyThreshold",
        /// Entropy above which a label of the host name is blocked, in bits per character.
        subdomain_entropy_threshold: f64 = "SubdomainEntropyThreshold",
        /// Requests per registrable domain and minute.
        max_requests_per_minute: i64 = "MaxReqPerMinute",
        /// Bytes per registrable domain and minute; 0: unlimited.
        max_data_per_minute: i64 = "MaxDataPerMinute",
        /// Hosts and `*.example.com` patterns that are always blocked.
        blocklist: List<String> = "Blocklist",
        /// Hosts whose paths and subdomains may be random.
        subdomain_entropy_exclusions: List<String> = "SubdomainEntropyExclusions",
    }

    /// Plain HTTP forwarding and CONNECT tunnels.
    ForwardProxy("config.ForwardProxy") {
        /// Whether the main listener forwards. Cannot be switched on by a reload.
        enabled: bool = "Enabled",
        /// Longest life of a tunnel, in seconds.
        max_tunnel_seconds: i64 = "MaxTunnelSeconds",
        /// Longest silence in a tunnel, in seconds.
        idle_timeout_seconds: i64 = "IdleTimeoutSeconds",
        /// Whether the name in a tunnel's TLS hello must be the one that was asked for (default yes).
        sni_verification: Option<bool> = "SNIVerification",
        /// Hosts whose tunnels are refused with a pointer to `/ws`.
        redirect_websocket_hosts: List<String> = "RedirectWebSocketHosts",
    }

    /// The `/ws` endpoint.
    WebSocketProxy("config.WebSocketProxy") {
        /// Whether `/ws` works. Cannot be switched on by a reload.
        enabled: bool = "Enabled",
        /// Largest message, in bytes.
        max_message_bytes: i64 = "MaxMessageBytes",
        /// Most connections at a time.
        max_concurrent_connections: i64 = "MaxConcurrentConnections",
        /// Whether text messages are scanned (default yes).
        scan_text_frames: Option<bool> = "ScanTextFrames",
        /// Whether binary messages pass, unscanned.
        allow_binary_frames: bool = "AllowBinaryFrames",
        /// Whether the client's cookies go to the server.
        forward_cookies: bool = "ForwardCookies",
        /// Must be true: compressed messages cannot be scanned.
        strip_compression: Option<bool> = "StripCompression",
        /// Longest life of a connection, in seconds.
        max_connection_seconds: i64 = "MaxConnectionSeconds",
        /// Longest silence, in seconds.
        idle_timeout_seconds: i64 = "IdleTimeoutSeconds",
        /// What happens to the Origin header: `rewrite`, `forward` or `strip`.
        origin_policy: String = "OriginPolicy",
    }

    /// A listener in front of one origin server.
    ReverseProxy("config.ReverseProxy") {
        /// Whether it runs.
        enabled: bool = "Enabled",
        /// Its address.
        listen: String = "Listen",
        /// URL of the origin server, `http` or `https`.
        upstream: String = "Upstream",
    }

    /// Looking inside CONNECT tunnels.
    TlsInterception("config.TLSInterception") {
        /// Whether tunnels are decrypted.
        enabled: bool = "Enabled",
        /// The authority's certificate, PEM, relative to this file; empty: `$HOME/.pipelock/ca.pem`.
        ca_cert: String = "CACertPath",
        /// Its private key, PEM, readable by no others; empty: `$HOME/.pipelock/ca-key.pem`.
        ca_key: String = "CAKeyPath",
        /// Hosts whose tunnels are not decrypted. `*.example.com` does not include `example.com`.
        passthrough_domains: List<String> = "PassthroughDomains",
        /// Validity of the certificates that are made for hosts, such as `24h`.
        cert_ttl: String = "CertTTL",
        /// Most certificates that are kept.
        cert_cache_size: i64 = "CertCacheSize",
        /// Largest answer that is scanned, in bytes; larger ones are blocked.
        max_response_bytes: i64 = "MaxResponseBytes" [wide],
    }
}
