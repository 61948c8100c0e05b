use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

/// Collects what the log writes.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn written(
    strictness: Strictness,
    options: impl FnOnce(&mut LogOptions),
    record: impl FnOnce(&Events),
) -> String {
    let sink = Sink::default();
    let mut all = LogOptions { output: LogOutput::Writer(Box::new(sink.clone())), ..LogOptions::default() };
    options(&mut all);
    let events = Events::open(all, strictness).unwrap();
    record(&events);
    events.flush();
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    // The stamp is the only part that moves.
    let mut stable = String::new();
    for line in text.lines() {
        let at = line.find("20").filter(|at| line[*at..].len() > 20 && line.as_bytes()[at + 4] == b'-');
        match at.or_else(|| line.find("\"time\":\"").map(|at| at + 8)) {
            Some(at) => {
                let end = line[at..].find(['Z', '"', ' ']).unwrap_or(0) + 1;
                stable.push_str(&format!("{}T{}\n", &line[..at], &line[at + end..]));
            }
            None => stable.push_str(&format!("{line}\n")),
        }
    }
    stable
}

fn ctx() -> Context<'static> {
    Context {
        method: "GET",
        url: "http://h.example/a?k=SECRET",
        client_ip: "10.0.0.5",
        request_id: "req-1",
        agent: "coder",
        ..Context::default()
    }
}

#[test]
fn writes_fields_in_the_order_of_the_table() {
    let cases: Vec<(Event<'_>, &str)> = vec![
        (
            Event::ForwardHttp {
                ctx: ctx(),
                status_code: 200,
                size_bytes: 1256,
                duration: Duration::from_micros(83412),
            },
            r#"{"level":"info","component":"pipelock","event":"forward_http","method":"GET","url":"http://h.example/a?k=SECRET","client_ip":"10.0.0.5","request_id":"req-1","agent":"coder","status_code":200,"size_bytes":1256,"duration_ms":83.412,"time":"T","message":"forward proxy request"}"#,
        ),
        (
            Event::Blocked { ctx: ctx(), scanner: "blocklist", reason: "domain \"x\" <blocked>" },
            r#"{"level":"warn","component":"pipelock","event":"blocked","method":"GET","url":"http://h.example/a?k=SECRET","client_ip":"10.0.0.5","request_id":"req-1","scanner":"blocklist","reason":"domain \"x\" <blocked>","agent":"coder","mitre_technique":"T1071.001","time":"T","message":"request blocked"}"#,
        ),
        (
            Event::HeaderDlp {
                ctx: ctx(),
                header: "Authorization",
                action: "block",
                patterns: vec!["GitHub Token"],
                bundle_rules: vec![],
            },
            r#"{"level":"warn","component":"pipelock","event":"header_dlp","method":"GET","url":"http://h.example/a?k=SECRET","header":"Authorization","action":"block","client_ip":"10.0.0.5","request_id":"req-1","agent":"coder","patterns":["GitHub Token"],"mitre_technique":"T1048","time":"T","message":"request header DLP scan hit"}"#,
        ),
    ];
    for (event, wanted) in cases {
        let line = written(Strictness::Reference, |_| {}, |e| e.record(&event));
        assert_eq!(line.trim_end(), wanted, "event {}", event.name());
    }
}

#[test]
fn shortens_urls_that_hold_what_was_found() {
    for (scanner, in_reference, in_hardened) in [
        ("dlp", true, true),
        ("body_dlp", true, true),
        ("core_dlp", false, true),
        ("entropy", false, true),
        ("blocklist", false, false),
    ] {
        for (strictness, hidden) in
            [(Strictness::Reference, in_reference), (Strictness::Hardened, in_hardened)]
        {
            let line = written(
                strictness,
                |_| {},
                |e| e.record(&Event::Blocked { ctx: ctx(), scanner, reason: "r" }),
            );
            assert_eq!(!line.contains("SECRET"), hidden, "{scanner} {strictness:?}: {line}");
            assert_eq!(
                line.contains(r#""url":"http://h.example/[redacted]""#),
                hidden,
                "{scanner} {strictness:?}: {line}"
            );
        }
    }
}

#[test]
fn names_the_agent_once_on_tagged_lines() {
    let line = written(
        Strictness::Reference,
        |_| {},
        |e| {
            e.record_tagged("coder", &Event::Blocked { ctx: ctx(), scanner: "length", reason: "r" });
            e.record_tagged("coder", &Event::AirlockDeescalate { session: "s", from: "hard", to: "soft" });
        },
    );
    for line in line.lines() {
        assert_eq!(line.matches("\"agent\":\"coder\"").count(), 1, "{line}");
    }
}

#[test]
fn filters_hold_back_only_their_own_events() {
    let record = |e: &Events| {
        e.record(&Event::TunnelOpen { ctx: ctx() });
        e.record(&Event::Blocked { ctx: ctx(), scanner: "length", reason: "r" });
        e.record(&Event::Anomaly { ctx: ctx(), scanner: "", reason: "r", score: 0.5 });
    };
    let names = |text: String| -> Vec<String> {
        text.lines()
            .map(|l| {
                l.split("\"event\":\"").nth(1).and_then(|r| r.split('"').next()).unwrap_or("?").to_owned()
            })
            .collect()
    };
    assert_eq!(
        names(written(Strictness::Hardened, |o| o.include_allowed = false, record)),
        ["blocked", "anomaly"]
    );
    assert_eq!(
        names(written(Strictness::Hardened, |o| o.include_blocked = false, record)),
        ["tunnel_open", "anomaly"]
    );
}

#[test]
fn removes_terminal_control_from_fields() {
    for (text, clean) in [
        ("a\u{1b}[2Jb\0c", "abc"),
        ("plain é", "plain é"),
        ("tab\tline\n", "tab\tline\n"),
        ("c1\u{9b}31mx\u{7f}", "c131mx"),
        ("lone\u{1b}123", "lone"),
    ] {
        assert_eq!(encode::sanitise(text), clean, "{text:?}");
    }
}

#[test]
fn prints_numbers_in_their_shortest_form() {
    for (value, text) in
        [(2.0, "2"), (0.9, "0.9"), (83.412, "83.412"), (0.0, "0"), (1e-7, "1e-7"), (1e-6, "0.000001")]
    {
        assert_eq!(encode::float_text(value), text);
    }
}

#[test]
fn console_lines_sort_their_pairs_and_quote_what_needs_it() {
    let record = |e: &Events| {
        e.record(&Event::Shutdown);
        e.record(&Event::Error { ctx: Context { method: "RELOAD", ..Context::default() }, error: "a=b" });
    };
    let plain = written(Strictness::Reference, |o| o.format = LogFormat::Text { colour: false }, record);
    assert_eq!(
        plain,
        "TINF pipelock stopping component=pipelock event=shutdown reason=\"signal received\"\n\
         TERR request error error=\"a=b\" component=pipelock event=error method=RELOAD\n"
            .replace("TINF", "T INF")
            .replace("TERR", "T ERR")
    );
}

#[test]
fn makes_every_metric_of_the_list() {
    let metrics = Metrics::new();
    metrics.request_allowed("_default", Duration::from_millis(20));
    metrics.request_blocked("h.example", "dlp", "_default", Duration::from_millis(20));
    metrics.tunnel_opened();
    metrics.tunnel_completed("_default", Duration::from_secs(2), 69);
    let text = String::from_utf8(metrics.exposition()).unwrap();
    for line in [
        "pipelock_requests_total{agent=\"_default\",result=\"allowed\"} 2",
        "pipelock_requests_total{agent=\"_default\",result=\"blocked\"} 1",
        "pipelock_scanner_hits_total{agent=\"_default\",scanner=\"dlp\"} 1",
        "pipelock_tunnel_bytes_total 69",
        "pipelock_active_tunnels 0",
        "pipelock_airlock_drain_timeout_total 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
    let stats = metrics.stats(0, CrossRequestStats::default());
    assert_eq!(stats["requests"]["total"], 3);
    assert_eq!(stats["top_blocked_domains"][0]["name"], "h.example");
    assert_eq!(stats["agents"]["_default"]["tunnels"], 1);
}

#[test]
fn bounds_labels_that_clients_choose() {
    let metrics = Metrics::new();
    for i in 0..3000 {
        metrics.kill_switch_denied("http", &format!("/{i}"));
    }
    let text = String::from_utf8(metrics.exposition()).unwrap();
    let series = text.lines().filter(|l| l.starts_with("pipelock_kill_switch_denials_total{")).count();
    assert_eq!(series, 1001);
}
