//! What `run` says on standard error before it serves. Exact lines: spec cli-and-image §3.5-3.7

use std::fmt::Write as _;
use std::path::Path;

use super::options::Options;
use crate::config::Config;

/// Written where the process does not seem to be in a container.
pub(super) const NO_CONTAINER: &str =
    "WARNING: running outside a container - consider using Docker/Podman for network isolation";

/// Whether the process runs in a container, as far as the usual marks tell.
pub(super) fn in_container() -> bool {
    if Path::new("/.dockerenv").exists()
        || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some_and(|v| !v.is_empty())
    {
        return true;
    }
    let cgroup = std::fs::read_to_string("/proc/1/cgroup").unwrap_or_default();
    ["docker", "containerd", "podman", "cri-o"].iter().any(|mark| cgroup.contains(mark))
}

/// The banner, each line with its line feed.
pub(super) fn text(config: &Config, options: &Options) -> String {
    let listen = &config.fetch_proxy.listen;
    let mut out = format!(
        "Pipelock v{} starting\n  Mode:   {}\n  Listen: {listen}\n  Fetch:  http://{listen}/fetch?url=<url>\n  Health: http://{listen}/health\n",
        crate::VERSION,
        config.mode
    );
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {text}");
    };
    if config.metrics_listen.is_empty() {
        line(format_args!("Stats:  http://{listen}/stats"));
    } else {
        line(format_args!("Stats:  http://{}/stats (separate port)", config.metrics_listen));
    }
    if config.forward_proxy.enabled {
        line(format_args!("Proxy:  HTTP/HTTPS forward proxy enabled (CONNECT + absolute-URI)"));
    }
    if config.websocket_proxy.enabled {
        line(format_args!("WS:     http://{listen}/ws?url=<ws-url> (WebSocket proxy enabled)"));
    }
    let emit = &config.emit;
    if !emit.webhook.url.is_empty() {
        let (url, severity) = (plain_url(&emit.webhook.url), &emit.webhook.min_severity);
        line(format_args!("Emit:   webhook -> {url} (min_severity: {severity})"));
    }
    if !emit.syslog.address.is_empty() {
        let (address, severity) = (&emit.syslog.address, &emit.syslog.min_severity);
        line(format_args!("Emit:   syslog -> {address} (min_severity: {severity})"));
    }
    let switch = &config.kill_switch;
    if !switch.api_token.is_empty() {
        if switch.api_listen.is_empty() {
            line(format_args!("API:    http://{listen}/api/v1/killswitch (kill switch remote control)"));
        } else {
            let api = &switch.api_listen;
            line(format_args!(
                "API:    http://{api}/api/v1/killswitch (kill switch remote control, separate port)"
            ));
        }
    }
    if let Some(path) = &options.config {
        line(format_args!("Config: {} (hot-reload enabled, SIGHUP to reload)", path.display()));
    }
    if config.reverse_proxy.enabled {
        let upstream = plain_url(&config.reverse_proxy.upstream);
        let listen = &config.reverse_proxy.listen;
        line(format_args!("RevPx:  http://{listen} -> {upstream} (reverse proxy with body scanning)"));
    }
    if !options.agent.is_empty() {
        line(format_args!("Agent:  [{}]", options.agent.join(" ")));
        let _ = write!(
            out,
            "\nNote: agent process launching is not yet implemented (Phase 2).\nThe fetch proxy is running — configure your agent to use:\n  PIPELOCK_FETCH_URL=http://{listen}/fetch\n\n"
        );
    }
    out
}

/// A URL without user-info, query and fragment.
pub(super) fn plain_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "<invalid>".to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or("");
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit('@').next().unwrap_or("");
    if host.is_empty() { "<invalid>".to_owned() } else { format!("{scheme}://{host}{path}") }
}
