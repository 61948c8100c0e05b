use std::time::{Duration, Instant};

use super::*;
use crate::config::Config;

fn settings(change: impl FnOnce(&mut Config)) -> Settings {
    let mut config = Config::defaults();
    config.session_profiling.enabled = true;
    config.session_profiling.domain_burst = 5;
    config.session_profiling.window_minutes = 5;
    config.adaptive_enforcement.enabled = true;
    change(&mut config);
    let (_, checked) = config.finish(&crate::config::Surroundings::of_process());
    checked.unwrap();
    Settings::of(&config)
}

fn seeing(host: &str, seen: Seen) -> Seeing<'_> {
    Seeing { key: "10.0.0.5", agent: "anonymous", client_ip: "10.0.0.5", host, seen, reason: "r", score: 1.0 }
}

fn levels(effects: &[Effect]) -> Vec<(&'static str, &'static str, f64)> {
    effects
        .iter()
        .filter_map(|e| match e {
            Effect::Escalated { from, to, score } => Some((from.as_str(), to.as_str(), *score)),
            _ => None,
        })
        .collect()
}

#[test]
fn refusals_raise_the_level_at_doubling_thresholds() {
    let sessions = Sessions::new(settings(|_| {}));
    let now = Instant::now();
    let mut raised = Vec::new();
    for i in 1..=7 {
        for level in levels(&sessions.record(&seeing("h", Seen::Threat), now).effects) {
            raised.push((i, level));
        }
    }
    assert_eq!(
        raised,
        [(2, ("normal", "elevated", 6.0)), (4, ("elevated", "high", 12.0)), (7, ("high", "critical", 21.0))]
    );
    assert_eq!(sessions.blocks_all("10.0.0.5"), Some(Level(3)));
    assert_eq!(sessions.upgraded("10.0.0.5", Action::None).0, Action::Block);
    assert_eq!(sessions.upgraded("someone else", Action::Warn).0, Action::Warn);
}

#[test]
fn limits_and_missing_answers_are_no_evidence() {
    let sessions = Sessions::new(settings(|_| {}));
    let now = Instant::now();
    for _ in 0..20 {
        assert!(levels(&sessions.record(&seeing("h", Seen::Neutral), now).effects).is_empty());
    }
    for i in 1..=5 {
        let raised = levels(&sessions.record(&seeing("h", Seen::Mismatch), now).effects);
        assert_eq!(raised.len(), usize::from(i == 5), "near miss {i}");
    }
}

#[test]
fn clean_requests_let_the_score_decay_and_time_lets_the_level_fall() {
    let sessions = Sessions::new(settings(|_| {}));
    let start = Instant::now();
    let record = |seen, at| sessions.record(&seeing("h", seen), at).effects;
    let _ = record(Seen::Threat, start);
    for _ in 0..4 {
        sessions.clean("10.0.0.5");
    }
    assert!(levels(&record(Seen::Threat, start)).is_empty(), "3 - 2 + 3 stays below 5");
    assert_eq!(levels(&record(Seen::Threat, start)), [("normal", "elevated", 7.0)]);
    let later = start + Duration::from_secs(301);
    let effects = record(Seen::Allowed, later);
    assert!(
        effects.contains(&Effect::Recovered { from: Level(1), to: Level(0), score: 2.5, reported: true }),
        "{effects:?}"
    );
}

#[test]
fn a_level_whose_time_is_over_does_not_wait_for_the_sweep() {
    let sessions = Sessions::new(settings(|_| {}));
    let start = Instant::now();
    for _ in 0..7 {
        let _ = sessions.record(&seeing("h", Seen::Threat), start);
    }
    assert!(sessions.blocks_all("10.0.0.5").is_some());
    let soon = start + Duration::from_secs(300);
    assert_eq!((sessions.recover("10.0.0.5", soon), sessions.recover("someone else", soon)), (None, None));
    let recovered = sessions.recover("10.0.0.5", start + Duration::from_secs(301));
    let expected = Effect::Recovered { from: Level(3), to: Level(2), score: 10.0, reported: true };
    assert_eq!(recovered, Some(expected));
    assert_eq!(sessions.blocks_all("10.0.0.5"), None);
}

#[test]
fn a_client_that_asks_for_ever_new_hosts_costs_bounded_memory() {
    let sessions = Sessions::new(settings(|c| c.session_profiling.domain_burst = 5000));
    let now = Instant::now();
    let mut last = Recorded::default();
    for number in 0..6000 {
        last = sessions.record(&seeing(&format!("h{number}"), Seen::Allowed), now);
    }
    let detail = "5000 new domains in 5m window (threshold: 5000)";
    assert!(
        last.effects.iter().any(|e| matches!(e, Effect::Anomaly { detail: d, .. } if d == detail)),
        "{last:?}"
    );
}

#[test]
fn many_hosts_in_a_window_are_an_anomaly() {
    let blocking = |block: bool| {
        Sessions::new(settings(|c| {
            c.session_profiling.domain_burst = 2;
            c.session_profiling.anomaly_action = if block { "block" } else { "warn" }.into();
        }))
    };
    let now = Instant::now();
    let sessions = blocking(false);
    let _ = sessions.record(&seeing("a", Seen::Allowed), now);
    let recorded = sessions.record(&seeing("b", Seen::Allowed), now);
    assert_eq!(
        recorded.effects,
        [
            Effect::Anomaly {
                kind: "domain_burst",
                detail: "2 new domains in 5m window (threshold: 2)".into(),
                score: 2.0
            },
            Effect::Anomaly {
                kind: "ip_domain_burst",
                detail: "2 unique domains from IP in 5m window (threshold: 2)".into(),
                score: 3.0
            },
        ]
    );
    assert_eq!(recorded.refused, None);
    let later = now + Duration::from_secs(301);
    assert_eq!(sessions.record(&seeing("c", Seen::Allowed), later).effects, []);

    let sessions = blocking(true);
    let _ = sessions.record(&seeing("a", Seen::Allowed), now);
    let recorded = sessions.record(&seeing("b", Seen::Allowed), now);
    assert_eq!(recorded.effects.len(), 1, "the first anomaly ends the recording");
    assert_eq!(
        recorded.refused.as_deref(),
        Some("session anomaly: 2 new domains in 5m window (threshold: 2)")
    );
}

#[test]
fn quarantine_cuts_what_runs_and_ends_by_time() {
    let sessions = Sessions::new(settings(|c| {
        c.airlock.enabled = true;
        c.airlock.triggers.on_elevated = "hard".into();
        c.airlock.triggers.on_high = "hard".into();
        c.airlock.triggers.on_critical = "drain".into();
        c.airlock.timers.hard_minutes = 1;
        c.airlock.timers.soft_minutes = 1;
    }));
    let now = Instant::now();
    let _ = sessions.record(&seeing("h", Seen::Allowed), now);
    let hook = sessions.hook("10.0.0.5");
    let _ = sessions.record(&seeing("h", Seen::Threat), now);
    assert!(!hook.is_cancelled());
    let effects = sessions.record(&seeing("h", Seen::Threat), now).effects;
    assert!(effects.contains(&Effect::Quarantined { from: Tier::None, to: Tier::Hard, level: Level(1) }));
    assert!(hook.is_cancelled() && sessions.hook("10.0.0.5").is_cancelled());
    let minute = Duration::from_secs(60);
    let released = |at| -> Vec<Effect> { sessions.sweep(at).into_iter().map(|(_, e)| e).collect() };
    assert_eq!(released(now + minute), [Effect::Released { from: Tier::Hard, to: Tier::Soft }]);
    assert_eq!(released(now + minute), []);
    assert_eq!(released(now + minute * 2), [Effect::Released { from: Tier::Soft, to: Tier::None }]);
}

#[test]
fn room_is_made_by_the_oldest_that_is_not_quarantined() {
    let sessions = Sessions::new(settings(|c| c.session_profiling.max_sessions = 2));
    let now = Instant::now();
    let at = |key: &str, seconds| {
        let seeing = Seeing { key, ..seeing("h", Seen::Allowed) };
        sessions.record(&seeing, now + Duration::from_secs(seconds)).effects
    };
    let _ = at("a", 0);
    let _ = at("b", 1);
    sessions.set_tier("a", Tier::Soft, now).unwrap();
    assert!(at("c", 2).contains(&Effect::Evicted));
    let keys: Vec<String> = sessions.list(None).into_iter().map(|s| s.key).collect();
    assert_eq!(keys, ["a", "c"]);
}

#[test]
fn publishing_after_reading_an_ordinary_site_needs_consent() {
    let sessions = Sessions::new(settings(|_| {}));
    let _ = sessions.record(&seeing("h", Seen::Allowed), Instant::now());
    let target = Target { scheme: "http", host: "x.example", path: "/p", query: "" };
    let judge = |method| sessions.judge("10.0.0.5", method, &target, 1000);
    let observe = |url: &str, host: &str, hostile| {
        sessions.observe("10.0.0.5", &Observation { url, host, kind: "forward_response", hostile });
    };
    observe("http://localhost/", "localhost", false);
    observe("http://127.0.0.1/", "127.0.0.1", false);
    observe("https://docs.github.com/", "docs.github.com", false);
    assert_eq!(judge("POST"), None);
    observe("http://up.example/", "up.example", false);
    assert_eq!(judge("GET"), None);
    assert_eq!(judge("MKCOL"), None);
    let asked = judge("POST").unwrap();
    assert_eq!((asked.decision, asked.source_url.as_str()), ("ask", "http://up.example/"));
    observe("http://up.example/", "up.example", true);
    assert_eq!(judge("DELETE").unwrap().decision, "block");
    sessions
        .trust(
            "10.0.0.5",
            "",
            "publish:delete:http://x.example/*",
            OffsetDateTime::from_unix_timestamp(2000).unwrap(),
            "",
            "",
        )
        .unwrap();
    assert_eq!(judge("DELETE"), None);
    assert!(judge("POST").is_some());
    assert!(sessions.judge("10.0.0.5", "DELETE", &target, 2000).is_some(), "trust ends");
    sessions.begin_task("10.0.0.5", "next").unwrap();
    assert_eq!(judge("POST"), None);
}

use time::OffsetDateTime;

#[test]
fn sensitive_paths_are_globs_with_classes() {
    let sessions = Sessions::new(settings(|c| {
        c.taint.protected_paths = vec!["*/[a-c]dmin/*".to_owned(), r"*/\[x]*".to_owned()].into();
        c.taint.elevated_paths = vec!["*/conf?g".to_owned()].into();
    }));
    let now = Instant::now();
    let _ = sessions.record(&seeing("h", Seen::Allowed), now);
    let observation = Observation { url: "http://h/", host: "h", kind: "forward_response", hostile: true };
    sessions.observe("10.0.0.5", &observation);
    for (path, sensitivity) in [
        ("/v1/admin/users", Some("protected")),
        ("/v1/[x]y", Some("protected")),
        ("/a/config", Some("elevated")),
        ("/v1/ddmin/users", None),
        ("/v1/x", None),
        ("/a/con/g", None),
    ] {
        let target = Target { scheme: "http", host: "h", path, query: "" };
        let judged = sessions.judge("10.0.0.5", "PURGE", &target, 0).map(|judgement| judgement.sensitivity);
        assert_eq!(judged, sensitivity, "{path}");
    }
}
