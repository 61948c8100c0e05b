//! Binding, serving, signals, shutdown. spec: cli-and-image §3.3, §3.4, §3.10, §3.12; http-proxy §20

use std::net::IpAddr;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::banner;
use super::prepare::{Prepared, say};
use super::reload::Reloader;
use super::watch::Watch;
use crate::Strictness;
use crate::cli::Failure;
use crate::events::{Context, Event};
use crate::server::dns::DnsRefuser;
use crate::server::reverse::Reverse;
use crate::server::wire::Limits;
use crate::server::{KillSwitch, Server, Shared, admin, scan_api};
use crate::upstream::Upstream;

pub(super) async fn serve(prepared: Prepared) -> Result<(), Failure> {
    raise_descriptor_limit();
    let Prepared { options, config, policy, events, kill_switch, leaves, instance } = prepared;
    let strictness = config.muselet.strictness;
    let mode = config.mode.clone();
    let hash = policy.config_hash.clone();
    let shared =
        Shared::new(policy, events.clone(), Upstream::from_environment(), Arc::clone(&kill_switch), leaves);

    let handler = |kind| signal(kind).map_err(|e| Failure::new(format!("installing a signal handler: {e}")));
    let mut ends = (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
    let toggles = handler(SignalKind::user_defined1())?;
    tokio::spawn(follow_toggles(toggles, Arc::clone(&kill_switch)));
    match &options.config {
        Some(path) => match Watch::start(path, strictness == Strictness::Hardened) {
            Ok(watch) => {
                let reloader =
                    Reloader::new(Arc::clone(&shared), path.clone(), options.overrides.clone(), instance);
                tokio::spawn(reloader.run(watch, handler(SignalKind::hangup())?));
            }
            Err(e) => events.record(&Event::Error {
                ctx: Context {
                    method: "CONFIG_RELOAD",
                    resource: &path.display().to_string(),
                    ..Context::default()
                },
                error: &format!("watching the config file: {e}"),
            }),
        },
        // The reference has no handler here and dies of the signal; ours says why nothing happens (D-603).
        None if strictness == Strictness::Hardened => {
            tokio::spawn(ignore_hangups(handler(SignalKind::hangup())?));
        }
        None => {}
    }

    if !banner::in_container() {
        say(banner::NO_CONTAINER);
    }
    say(banner::text(&config, &options).trim_end_matches('\n'));

    let mut others = Vec::new();
    let listen = config.kill_switch.api_listen.as_str();
    if !listen.is_empty() {
        let server = bind_other(&shared, listen, "kill switch API").await?;
        others.push(tokio::spawn(admin::serve_api(server, Arc::clone(&shared))));
    }
    let listen = config.metrics_listen.as_str();
    if !listen.is_empty() {
        let server = bind_other(&shared, listen, "metrics").await?;
        say(&format!("pipelock: metrics listening on {listen}"));
        others.push(tokio::spawn(admin::serve_metrics(server, Arc::clone(&shared))));
    }

    let listen = config.muselet.dns.listen.as_str();
    if !listen.is_empty() {
        let server = bind_dns(listen).await?;
        say(&format!("pipelock: refusing DNS look-ups on {listen}"));
        others.push(tokio::spawn(server.serve(Arc::clone(&shared))));
    }

    let listen = config.scan_api.listen.as_str();
    if !listen.is_empty() {
        let server = Server::bind_with(Arc::clone(&shared), listen, scan_api::limits(&config))
            .await
            .map_err(|e| Failure::new(format!("scan API bind {listen}: {e}")))?;
        say(&format!("pipelock: scan API listening on {listen}"));
        others.push(tokio::spawn(scan_api::serve(server, Arc::clone(&shared))));
    }

    if config.reverse_proxy.enabled {
        let section = &config.reverse_proxy;
        let reverse = Reverse::bind(&shared)
            .await
            .map_err(|e| Failure::new(format!("reverse proxy bind {}: {e}", section.listen)))?;
        let upstream = banner::plain_url(&section.upstream);
        say(&format!("pipelock: reverse proxy listening on {} -> {upstream}", section.listen));
        others.push(tokio::spawn(reverse.serve()));
    }

    let listen = config.fetch_proxy.listen.as_str();
    if config.metrics_listen.is_empty() && is_exposed(listen) {
        events.record(&Event::Anomaly {
            ctx: Context { method: "STARTUP", resource: listen, ..Context::default() },
            scanner: "",
            reason: "listen address is not loopback — /metrics and /stats endpoints are exposed to the network",
            score: 0.5,
        });
    }
    let startup = Event::Startup { listen, mode: &mode, version: crate::VERSION, config_hash: &hash };
    // The reference announces its start before it knows whether it can listen.
    let early = strictness == Strictness::Reference;
    if early {
        events.record(&startup);
    }
    let server = Server::bind(Arc::clone(&shared), listen).await.map_err(|e| {
        events.flush();
        Failure::new(format!("proxy error: {e}"))
    })?;
    if !early {
        events.record(&startup);
    }

    let main = tokio::spawn(server.serve());
    tokio::select! {
        _ = ends.0.recv() => {}
        _ = ends.1.recv() => {}
    }
    shared.stop.begin();
    let _ = main.await;
    for other in others {
        let _ = other.await;
    }
    events.record(&Event::Shutdown);
    say("\nPipelock stopped.");
    let emitters = events.replace_emitters(crate::events::Emitters::none());
    // Closing waits for collectors; the runtime has nothing else to do by now.
    let _ = tokio::task::spawn_blocking(move || emitters.close()).await;
    events.flush();
    Ok(())
}

/// Takes all the descriptors that the hard limit allows: each tunnel needs two. The soft limit is low for the sake of programs
/// that use `select`, which this one does not.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is forbidden the old limit has to do.
    let _ = setrlimit(Resource::Nofile, limit);
}

async fn bind_other(shared: &Arc<Shared>, address: &str, name: &str) -> Result<Server, Failure> {
    Server::bind_with(Arc::clone(shared), address, Limits::ADMIN)
        .await
        .map_err(|e| Failure::new(format!("{name} bind {address}: {e}")))
}

async fn bind_dns(listen: &str) -> Result<DnsRefuser, Failure> {
    let address = listen.parse().map_err(|_| {
        Failure::new(format!(
            "muselet.dns.listen {listen:?}: must be an IP address and a port, such as 0.0.0.0:53"
        ))
    })?;
    DnsRefuser::bind(address)
        .await
        .map_err(|e| Failure::new(format!("DNS bind {listen}: {}", crate::cli::go_error(&e))))
}

/// An empty host or a literal address that is not loopback.
fn is_exposed(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host).trim_matches(['[', ']']);
    host.is_empty() || host.parse::<IpAddr>().is_ok_and(|ip| !ip.is_loopback())
}

async fn follow_toggles(mut signals: Signal, kill_switch: Arc<KillSwitch>) {
    while signals.recv().await.is_some() {
        let state = if kill_switch.toggle_signal() { "ACTIVATED" } else { "DEACTIVATED" };
        say(&format!("pipelock: kill switch {state} via SIGUSR1"));
    }
}

async fn ignore_hangups(mut signals: Signal) {
    while signals.recv().await.is_some() {
        say("pipelock: SIGHUP ignored: started without --config, there is nothing to reload");
    }
}
