//! What time does to sessions, on a clock that the tests move.

use std::io::Write;
use std::sync::Mutex;

use http::HeaderMap;

use super::*;
use crate::config::Config;
use crate::events::{Events, LogFormat, LogOptions, LogOutput};
use crate::policy::{Policy, Surroundings};
use crate::server::KillSwitch;
use crate::upstream::Upstream;

const CONFIG: &str = "
session_profiling: {enabled: true, session_ttl_minutes: 20, cleanup_interval_seconds: 60}
adaptive_enforcement: {enabled: true, escalation_threshold: 5}
airlock:
  enabled: true
  triggers: {on_elevated: hard, on_high: hard, on_critical: hard}
  timers: {soft_minutes: 2, hard_minutes: 1, drain_minutes: 1}
";

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn start(log: Log) -> Arc<Shared> {
    start_with(CONFIG, log)
}

fn start_with(yaml: &str, log: Log) -> Arc<Shared> {
    let config = Config::parse(yaml.as_bytes(), std::path::Path::new("/")).unwrap();
    let options = LogOptions {
        format: LogFormat::Json,
        output: LogOutput::Writer(Box::new(log)),
        include_allowed: true,
        include_blocked: true,
    };
    let events = Events::open(options, config.muselet.strictness).unwrap();
    let kill_switch = Arc::new(KillSwitch::new(&config, None));
    let (policy, _) = Policy::compile(Arc::new(config), String::new(), &Surroundings::default()).unwrap();
    Shared::new(Arc::new(policy), events, Upstream::from_environment(), kill_switch, None)
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

#[tokio::test(start_paused = true)]
async fn levels_fall_tiers_end_and_idle_sessions_go_by_time_alone() {
    let log = Log::default();
    let shared = start(log.clone());
    let keeper = tokio::spawn(keep(Arc::clone(&shared)));
    let exchange = Exchange::begin(&shared, &"10.0.0.5".into(), &HeaderMap::new(), b"");
    let key = exchange.identity.session_key();
    let refused = UrlVerdict { allowed: false, class: Class::Threat, ..UrlVerdict::allow(Vec::new()) };
    for _ in 0..2 {
        assert_eq!(exchange.record_session("a.example", &refused), None);
    }
    assert_eq!((exchange.tier(), shared.sessions.level(&key)), (Tier::Hard, Level(1)));

    tokio::time::sleep(minutes(2)).await;
    assert_eq!(exchange.tier(), Tier::Soft);
    tokio::time::sleep(minutes(2) + SWEEP).await;
    assert_eq!((exchange.tier(), shared.sessions.level(&key)), (Tier::None, Level(1)));
    tokio::time::sleep(minutes(1) + SWEEP).await;
    assert_eq!(shared.sessions.level(&key), Level(0));
    assert_eq!(shared.sessions.count(), 1);
    tokio::time::sleep(minutes(16)).await;
    assert_eq!(shared.sessions.count(), 0);

    shared.events.flush();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let released: Vec<_> = log.lines().filter(|line| line.contains("airlock_deescalate")).collect();
    let [first, second] = released[..] else { panic!("{log}") };
    assert!(first.contains(r#""from":"hard","to":"soft""#), "{first}");
    assert!(second.contains(r#""from":"soft","to":"none""#), "{second}");

    shared.stop.drain.cancel();
    tokio::time::timeout(minutes(1), keeper).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_how_often_idle_sessions_are_looked_for() {
    let shared = start(Log::default());
    tokio::spawn(keep(Arc::clone(&shared)));
    let exchange = Exchange::begin(&shared, &"10.0.0.5".into(), &HeaderMap::new(), b"");
    let allowed = UrlVerdict::allow(Vec::new());
    exchange.record_session("a.example", &allowed);
    let mut config = (*exchange.policy.config).clone();
    config.session_profiling.session_ttl_minutes = 1;
    config.session_profiling.cleanup_interval_seconds = 30;
    let (policy, _) = Policy::compile(Arc::new(config), String::new(), &Surroundings::default()).unwrap();
    shared.adopt(Arc::new(policy), None);
    tokio::time::sleep(minutes(2)).await;
    assert_eq!(shared.sessions.count(), 0);
}

/// Has an agent make a session that asks for so many hosts, one a second, and waits until the session is gone.
async fn session_of(shared: &Arc<Shared>, agent: &'static str, hosts: usize) {
    let mut headers = HeaderMap::new();
    headers.insert("x-pipelock-agent", http::HeaderValue::from_static(agent));
    let exchange = Exchange::begin(shared, &"10.0.0.5".into(), &headers, b"");
    for host in 0..hosts {
        exchange.record_session(&format!("{host}.example"), &UrlVerdict::allow(Vec::new()));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(minutes(25)).await;
    assert_eq!(shared.sessions.count(), 0);
}

async fn written(path: &std::path::Path) -> Option<serde_json::Value> {
    for _ in 0..2000 {
        if let Ok(text) = std::fs::read(path) {
            return Some(serde_json::from_slice(&text).unwrap());
        }
        std::thread::sleep(Duration::from_millis(1));
        tokio::task::yield_now().await;
    }
    None
}

#[tokio::test(start_paused = true)]
async fn sessions_that_end_make_a_profile_once() {
    let dir = tempfile::tempdir().unwrap();
    let profiles = dir.path().join("new/profiles");
    let yaml = format!(
        "{CONFIG}behavioral_baseline: {{enabled: true, learning_window: 2, profile_dir: {}}}",
        profiles.display()
    );
    for (hosts, again) in [(3, false), (4, true)] {
        let log = Log::default();
        let shared = start_with(&yaml, log.clone());
        let keeper = tokio::spawn(keep(Arc::clone(&shared)));
        for agent in ["bot", "bot", "a..b", "a..b", "bot"] {
            session_of(&shared, agent, hosts).await;
        }
        let profile = written(&profiles.join("bot.json")).await.unwrap();
        assert_eq!(profile["metrics"]["domains_per_session"]["mean"], 3, "again: {again}");
        assert_eq!(profile["metrics"]["session_duration_sec"]["max"], 2);
        assert_eq!(profile["metrics"]["requests_per_session"]["min"], 3);
        keeper.abort();
        shared.events.flush();
        assert!(!String::from_utf8_lossy(&log.0.lock().unwrap()).contains("behavioral baseline"));
    }
    let names: Vec<_> =
        std::fs::read_dir(&profiles).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["bot.json"]);
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_cannot_be_written_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let yaml = format!(
        "{CONFIG}behavioral_baseline: {{enabled: true, learning_window: 1, profile_dir: {}}}",
        file.display()
    );
    let log = Log::default();
    let shared = start_with(&yaml, log.clone());
    tokio::spawn(keep(Arc::clone(&shared)));
    session_of(&shared, "bot", 1).await;
    for _ in 0..2000 {
        shared.events.flush();
        if String::from_utf8_lossy(&log.0.lock().unwrap()).contains("behavioral baseline: writing") {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
        tokio::task::yield_now().await;
    }
    panic!("nothing was logged");
}

#[tokio::test]
async fn names_without_end_share_one_session() {
    let shared = start(Log::default());
    let key = |name: Option<&str>| {
        let mut headers = HeaderMap::new();
        if let Some(name) = name {
            headers.insert(crate::server::identity::AGENT_HEADER, name.parse().unwrap());
        }
        Exchange::begin(&shared, &"10.0.0.5".into(), &headers, b"").identity.session_key()
    };
    for number in 0..32 {
        assert_eq!(key(Some(&format!("n{number}"))), format!("n{number}|10.0.0.5"));
    }
    assert_eq!(key(Some("one-more")), "*|10.0.0.5");
    assert_eq!(key(Some("another")), "*|10.0.0.5");
    assert_eq!((key(Some("n0")), key(None)), ("n0|10.0.0.5".to_owned(), "10.0.0.5".to_owned()));
}
