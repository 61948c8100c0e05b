//! Following the configuration file: load, compare, compile, swap. spec: http-proxy §19, config §9, cli-and-image §3.11
//!
//! One task takes the triggers and one file at a time goes through [`Reloader::apply`], whose steps are the specification's.
//! Whatever fails leaves the old state whole: the new policy is compiled beside the old one and published at the end.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::signal::unix::Signal;
use tokio::sync::Notify;

use super::options::Overrides;
use super::prepare::{apply, compile, print_advisories, say};
use super::watch::Watch;
use crate::Strictness;
use crate::config::reload;
use crate::config::{Config, Loaded, Surroundings};
use crate::events::{Context, Emitters, Event};
use crate::policy::kill_switch::TOKEN_VARIABLE;
use crate::server::Shared;

/// The same file again within this time after a reload is not applied again.
const SAME_FILE: Duration = Duration::from_secs(2);

/// A place for one value: what is put there replaces what nobody has taken yet.
pub(super) struct Newest<T> {
    place: Mutex<Option<T>>,
    filled: Notify,
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self { place: Mutex::default(), filled: Notify::new() }
    }
}

impl<T> Newest<T> {
    fn place(&self) -> MutexGuard<'_, Option<T>> {
        // One assignment: a panic elsewhere cannot leave it half done.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, value: T) {
        *self.place() = Some(value);
        self.filled.notify_one();
    }

    /// Waits for a value.
    pub(super) async fn take(&self) -> T {
        loop {
            let value = self.place().take();
            if let Some(value) = value {
                return value;
            }
            self.filled.notified().await;
        }
    }
}

/// Hash of a file without content.
const NO_CONTENT: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(super) struct Reloader {
    shared: Arc<Shared>,
    path: PathBuf,
    overrides: Overrides,
    instance: String,
    asks_at_start: bool,
    /// Hash and time of the last reload that was applied.
    last: Option<(String, Instant)>,
}

impl Reloader {
    pub(super) fn new(
        shared: Arc<Shared>,
        path: PathBuf,
        overrides: Overrides,
        instance: String,
    ) -> Reloader {
        let asks_at_start = shared.policy.load().config.response_scanning.action == "ask";
        Reloader { shared, path, overrides, instance, asks_at_start, last: None }
    }

    /// Loads at each trigger, for the life of the process. Of the files that are loaded while one is applied the last one counts;
    /// the reference drops it, and then goes on with an older one.
    pub(super) async fn run(mut self, mut watch: Watch, mut hangups: Signal) {
        let newest = Arc::new(Newest::default());
        let waiting = Arc::clone(&newest);
        let path = self.path.clone();
        tokio::spawn(async move {
            loop {
                let loaded: Box<Loaded> = waiting.take().await;
                // Compiling takes tens of milliseconds of CPU: not on a thread that serves requests.
                let Ok(back) = tokio::task::spawn_blocking(move || {
                    self.apply(*loaded);
                    self
                })
                .await
                else {
                    return;
                };
                self = back;
            }
        });
        loop {
            tokio::select! {
                () = watch.changed() => {}
                signal = hangups.recv() => if signal.is_none() { return },
            }
            let path = path.clone();
            match tokio::task::spawn_blocking(move || Config::load(&path)).await {
                Ok(Ok(loaded)) => {
                    newest.put(Box::new(loaded));
                }
                Ok(Err(e)) => say(&format!("pipelock: config reload failed: {}", e.for_terminal())),
                Err(e) => say(&format!("pipelock: config reload failed: {e}")),
            }
        }
    }

    fn reject(&self, why: &str) {
        self.error("CONFIG_RELOAD", why);
    }

    fn error(&self, method: &str, why: &str) {
        let resource = self.path.display().to_string();
        self.shared.events.record(&Event::Error {
            ctx: Context { method, resource: &resource, ..Context::default() },
            error: why,
        });
    }

    fn apply(&mut self, loaded: Loaded) {
        let Loaded { mut config, hash, warnings: remarks, .. } = loaded;
        let running = Arc::clone(&self.shared.policy.load().config);
        let hardened = running.muselet.strictness == Strictness::Hardened;
        if hardened && hash == NO_CONTENT {
            // Somebody is about to write it, and what it says then counts; to obey it now would switch everything off (D-608).
            return say(&format!("pipelock: config reload failed: {} is empty", self.path.display()));
        }
        if hardened {
            // The reference forgets its command line here (D-604).
            apply(&self.overrides, &mut config);
        }

        if let Some(why) = reload::rejection(&running, &config) {
            return self.reject(why);
        }
        say_all(reload::put_back(&running, &mut config));
        if self.last.as_ref().is_some_and(|(last, at)| *last == hash && at.elapsed() < SAME_FILE) {
            return;
        }
        say_all(reload::put_back_listeners(&running, &mut config).lines);
        say_all(&remarks);
        let (advisories, _) = config.clone().finish(&Surroundings::of_process());
        print_advisories(&advisories);
        say_all(reload::ignored_until_restart(&running, &config));
        let weaker = reload::comparison(&running, &config);
        say_all(weaker.iter().map(reload::Warning::line));
        if running.mode == "strict" && !weaker.is_empty() {
            return self.reject(reload::STRICT_DOWNGRADE);
        }
        if let Some(section) = config.unimplemented_sections().first() {
            return self
                .error("RELOAD", &format!("{section} is switched on, but muselet does not implement it"));
        }
        for bundle in config.skipped_bundles() {
            say(&format!("WARNING: config reload: {bundle}"));
        }
        // Fixed for the life of the process: the log and the listeners follow it.
        config.muselet.strictness = running.muselet.strictness;

        let config = Arc::new(config);
        let policy = match compile(&config, hash.clone()) {
            Ok(policy) => policy,
            Err(why) => return self.error("RELOAD", &why),
        };
        let policy = Arc::new(policy);
        self.shared.adopt(policy, std::env::var(TOKEN_VARIABLE).ok());
        match crate::embed::leaves(&config) {
            Ok(leaves) => self.shared.leaves.store(leaves),
            Err(why) => self.error("RELOAD", &format!("TLS cert cache reload failed: {why}")),
        }
        match Emitters::connect(&config.emit, &self.instance) {
            Ok(emitters) => self.shared.events.replace_emitters(emitters).close(),
            Err(e) => self.error("RELOAD", &format!("emit sink rebuild failed: {e}")),
        }
        if config.response_scanning.action == "ask" && !self.asks_at_start {
            say(
                "WARNING: config reloaded to ask mode but HITL approver was not initialized at startup; detections will be blocked",
            );
        }
        self.shared.events.record(&Event::ConfigReload { mode: &config.mode, config_hash: &hash });
        self.last = Some((hash, Instant::now()));
    }
}

fn say_all<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) {
    for line in lines {
        say(line.as_ref());
    }
}
