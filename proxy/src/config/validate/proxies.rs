//! Checks of the listeners and of what may be reached. Spec: config §5.1-5.4, §5.10-5.12, §5.24, §7.4.

use std::net::IpAddr;

use super::{Context, choice, ensure, permissions};
use crate::config::domains;
use crate::config::grammar::{cidr, duration, host_port, network, os_error, quoted, url_with_host};
use crate::config::schema::Config;

pub fn mode(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    choice("mode", &config.mode, &["strict", "balanced", "audit"])?;
    ensure(!config.is_strict() || !config.api_allowlist.is_empty(), || {
        "strict mode requires at least one domain in api_allowlist".to_owned()
    })
}

pub fn fetch_proxy(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let strictness = config.muselet.strictness;
    let monitoring = &mut config.fetch_proxy.monitoring;
    ensure(monitoring.blocklist.iter().all(|host| !host.is_empty()), || "empty blocklist entry".to_owned())?;
    domains::check_entropy_exclusions(&mut monitoring.subdomain_entropy_exclusions, strictness)?;
    for (key, value) in [
        ("max_requests_per_minute", monitoring.max_requests_per_minute),
        ("max_data_per_minute", monitoring.max_data_per_minute),
    ] {
        ensure(value >= 0, || format!("fetch_proxy.monitoring.{key} must be >= 0"))?;
    }
    Ok(())
}

pub fn websocket_proxy(config: &mut Config, context: &mut Context<'_>) -> Result<(), String> {
    let websocket = &config.websocket_proxy;
    if !websocket.enabled {
        return Ok(());
    }
    ensure(websocket.strip_compression != Some(false), || {
        "websocket_proxy.strip_compression must be true: scanning requires uncompressed frames".to_owned()
    })?;
    choice("websocket_proxy.origin_policy", &websocket.origin_policy, &["rewrite", "forward", "strip"])?;
    let connections = i128::from(websocket.max_concurrent_connections);
    let budget = connections * i128::from(websocket.max_message_bytes) * 2;
    if budget > 1 << 30 {
        let megabytes = budget / 1_048_576;
        context.advise(
            "websocket_proxy",
            format!(
                "memory budget is {megabytes}MB (max_concurrent_connections * max_message_bytes * 2) - consider reducing"
            ),
        );
    }
    Ok(())
}

pub fn tls_interception(config: &mut Config, context: &mut Context<'_>) -> Result<(), String> {
    let tls = &config.tls_interception;
    if !tls.enabled {
        return Ok(());
    }
    let ttl = duration(&tls.cert_ttl).map_err(|error| format!("tls_interception.cert_ttl: {error}"))?;
    ensure(ttl > 0, || "tls_interception.cert_ttl must be positive".to_owned())?;
    if context.surroundings.own_ca {
        return Ok(());
    }
    let (cert, key) = tls.ca_paths_in(context.surroundings.home.as_deref()).ok_or_else(|| {
        "tls_interception: resolve CA path: $HOME is not defined (set ca_cert and ca_key explicitly)"
            .to_owned()
    })?;
    let stat = |what: &str, path: &str| {
        std::fs::metadata(path).map_err(|error| {
            let reason = os_error(&error);
            format!("CA {what} not found at {path} (run 'pipelock tls init'): stat {path}: {reason}")
        })
    };
    stat("cert", &cert)?;
    let mode = permissions(&stat("key", &key)?);
    ensure(mode & 0o137 == 0, || {
        format!("CA key {key} is too permissive (mode {mode:04o}): restrict to 0600 or 0640")
    })
}

pub fn internal(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    for range in &config.internal {
        cidr(range).map_err(|error| format!("invalid internal CIDR {}: {error}", quoted(range)))?;
    }
    Ok(())
}

pub fn ssrf(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    for range in &config.ssrf.ip_allowlist {
        let shown = quoted(range);
        let (address, bits) =
            cidr(range).map_err(|error| format!("invalid ssrf.ip_allowlist CIDR {shown}: {error}"))?;
        ensure(bits > 0, || {
            format!("ssrf.ip_allowlist CIDR {shown} is a catch-all (/0) and would disable SSRF protection")
        })?;
        let first = network(address, bits);
        ensure(first == address, || {
            let (first, bits) = match first {
                // Written as the IPv4 range that it is.
                IpAddr::V6(v6) if bits >= 96 => {
                    v6.to_ipv4_mapped().map_or((first, bits), |v4| (v4.into(), bits - 96))
                }
                first => (first, bits),
            };
            let meant = quoted(&format!("{first}/{bits}"));
            format!("ssrf.ip_allowlist CIDR {shown} has host bits set (did you mean {meant}?)")
        })?;
    }
    Ok(())
}

pub fn trusted_domains(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    domains::check("trusted_domains", &mut config.trusted_domains, config.muselet.strictness)
}

pub fn listen_advisories(config: &mut Config, context: &mut Context<'_>) -> Result<(), String> {
    let listen = &config.fetch_proxy.listen;
    let Ok((host, _)) = host_port(listen) else { return Ok(()) };
    if host.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback()) {
        let message = format!(
            "listen address {listen} is not loopback - proxy endpoints (/metrics, /stats) will be exposed to the network"
        );
        context.advise("fetch_proxy.listen", message);
    }
    if matches!(host, "" | "0.0.0.0" | "::") {
        let message = format!(
            "listen address {listen} binds to all interfaces - consider using 127.0.0.1 for local-only access"
        );
        context.advise("fetch_proxy.listen", message);
    }
    Ok(())
}

pub fn reverse_proxy(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let reverse = &config.reverse_proxy;
    if !reverse.enabled {
        return Ok(());
    }
    ensure(!reverse.upstream.is_empty(), || {
        "reverse_proxy.upstream is required when reverse_proxy is enabled".to_owned()
    })?;
    ensure(url_with_host(&reverse.upstream, &["http", "https"]).is_some(), || {
        format!(
            "reverse_proxy.upstream {} must be http:// or https:// with a host",
            quoted(&reverse.upstream)
        )
    })?;
    ensure(!reverse.listen.is_empty(), || {
        "reverse_proxy.listen is required when reverse_proxy is enabled".to_owned()
    })
}

pub fn muselet(config: &mut Config, _: &mut Context<'_>) -> Result<(), String> {
    let held = config.muselet.held_mb;
    ensure(held >= 0, || format!("invalid muselet.held_mb {held}: must not be negative"))?;
    let listen = &config.muselet.dns.listen;
    if !listen.is_empty() {
        let (_, port) = host_port(listen)
            .map_err(|error| format!("invalid muselet.dns.listen {}: {error}", quoted(listen)))?;
        ensure(port.parse::<u16>().is_ok(), || {
            format!("invalid muselet.dns.listen {}: port must be a number up to 65535", quoted(listen))
        })?;
    }
    Ok(())
}
