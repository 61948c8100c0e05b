//! The listeners and what they forward: fetch, forward, WebSocket, reverse, TLS interception. Spec: config §5.2-5.4, §5.12, §5.24.

use crate::config::value::{List, sections};

sections! {
    /// `fetch_proxy`.
    FetchProxy("config.FetchProxy") {
        /// `fetch_proxy.listen`.
        listen: String = "Listen",
        /// `fetch_proxy.timeout_seconds`.
        timeout_seconds: i64 = "TimeoutSeconds",
        /// `fetch_proxy.max_response_mb`.
        max_response_mb: i64 = "MaxResponseMB",
        /// `fetch_proxy.user_agent`.
        user_agent: String = "UserAgent",
        /// `fetch_proxy.monitoring`.
        monitoring: Monitoring = "Monitoring",
    }

    /// `fetch_proxy.monitoring`.
    Monitoring("config.Monitoring") {
        /// `fetch_proxy.monitoring.max_url_length`.
        max_url_length: i64 = "MaxURLLength",
        /// `fetch_proxy.monitoring.entropy_threshold`.
        entropy_threshold: f64 = "EntropyThreshold",
        /// `fetch_proxy.monitoring.subdomain_entropy_threshold`.
        subdomain_entropy_threshold: f64 = "SubdomainEntropyThreshold",
        /// `fetch_proxy.monitoring.max_requests_per_minute`.
        max_requests_per_minute: i64 = "MaxReqPerMinute",
        /// `fetch_proxy.monitoring.max_data_per_minute`.
        max_data_per_minute: i64 = "MaxDataPerMinute",
        /// `fetch_proxy.monitoring.blocklist`.
        blocklist: List<String> = "Blocklist",
        /// `fetch_proxy.monitoring.subdomain_entropy_exclusions`.
        subdomain_entropy_exclusions: List<String> = "SubdomainEntropyExclusions",
    }

    /// `forward_proxy`.
    ForwardProxy("config.ForwardProxy") {
        /// `forward_proxy.enabled`.
        enabled: bool = "Enabled",
        /// `forward_proxy.max_tunnel_seconds`.
        max_tunnel_seconds: i64 = "MaxTunnelSeconds",
        /// `forward_proxy.idle_timeout_seconds`.
        idle_timeout_seconds: i64 = "IdleTimeoutSeconds",
        /// `forward_proxy.sni_verification`.
        sni_verification: Option<bool> = "SNIVerification",
        /// `forward_proxy.redirect_websocket_hosts`.
        redirect_websocket_hosts: List<String> = "RedirectWebSocketHosts",
    }

    /// `websocket_proxy`.
    WebSocketProxy("config.WebSocketProxy") {
        /// `websocket_proxy.enabled`.
        enabled: bool = "Enabled",
        /// `websocket_proxy.max_message_bytes`.
        max_message_bytes: i64 = "MaxMessageBytes",
        /// `websocket_proxy.max_concurrent_connections`.
        max_concurrent_connections: i64 = "MaxConcurrentConnections",
        /// `websocket_proxy.scan_text_frames`.
        scan_text_frames: Option<bool> = "ScanTextFrames",
        /// `websocket_proxy.allow_binary_frames`.
        allow_binary_frames: bool = "AllowBinaryFrames",
        /// `websocket_proxy.forward_cookies`.
        forward_cookies: bool = "ForwardCookies",
        /// `websocket_proxy.strip_compression`.
        strip_compression: Option<bool> = "StripCompression",
        /// `websocket_proxy.max_connection_seconds`.
        max_connection_seconds: i64 = "MaxConnectionSeconds",
        /// `websocket_proxy.idle_timeout_seconds`.
        idle_timeout_seconds: i64 = "IdleTimeoutSeconds",
        /// `websocket_proxy.origin_policy`.
        origin_policy: String = "OriginPolicy",
    }

    /// `reverse_proxy`.
    ReverseProxy("config.ReverseProxy") {
        /// `reverse_proxy.enabled`.
        enabled: bool = "Enabled",
        /// `reverse_proxy.listen`.
        listen: String = "Listen",
        /// `reverse_proxy.upstream`.
        upstream: String = "Upstream",
    }

    /// `tls_interception`.
    TlsInterception("config.TLSInterception") {
        /// `tls_interception.enabled`.
        enabled: bool = "Enabled",
        /// `tls_interception.ca_cert`.
        ca_cert: String = "CACertPath",
        /// `tls_interception.ca_key`.
        ca_key: String = "CAKeyPath",
        /// `tls_interception.passthrough_domains`.
        passthrough_domains: List<String> = "PassthroughDomains",
        /// `tls_interception.cert_ttl`.
        cert_ttl: String = "CertTTL",
        /// `tls_interception.cert_cache_size`.
        cert_cache_size: i64 = "CertCacheSize",
        /// `tls_interception.max_response_bytes`.
        max_response_bytes: i64 = "MaxResponseBytes" [wide],
    }
}
