use muselet::{
    config::Config,
    events::*,
    policy::{Policy, Surroundings, kill_switch::KillSwitch},
    server::{Server, Shared},
    upstream::Upstream,
};
use std::sync::Arc;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let get = |n: &str| args.iter().position(|a| a == n).map(|i| args[i + 1].clone());
    let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    rt.block_on(async move {
        let (mut config, hash) = match get("--config") {
            Some(p) => {
                let l = Config::load(std::path::Path::new(&p)).unwrap_or_else(|e| {
                    eprintln!("{e}");
                    std::process::exit(1)
                });
                (l.config, l.hash)
            }
            None => (Config::defaults(), "defaults".into()),
        };
        if let Some(m) = get("--mode") {
            config.mode = m;
        }
        let listen = get("--listen").unwrap();
        let events = Events::open(LogOptions { ..LogOptions::default() }, config.muselet.strictness).unwrap();
        let ks = Arc::new(KillSwitch::new(&config, None));
        let mode = config.mode.clone();
        let (policy, _) = Policy::compile(
            Arc::new(config),
            hash.clone(),
            &Surroundings { env: std::env::vars().collect(), secrets_file: None },
        )
        .unwrap();
        let shared = Shared::new(Arc::new(policy), events.clone(), Upstream::from_environment(), ks, None);
        events.record(&Event::Startup { listen: &listen, mode: &mode, version: "0", config_hash: &hash });
        let server = Server::bind(shared.clone(), &listen).await.unwrap();
        let main = tokio::spawn(server.serve());
        let mut t = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        let mut i = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).unwrap();
        tokio::select! { _ = t.recv() => {}, _ = i.recv() => {} }
        shared.stop.begin();
        let _ = main.await;
        events.record(&Event::Shutdown);
        eprintln!("\nPipelock stopped.");
        events.flush();
    });
}
