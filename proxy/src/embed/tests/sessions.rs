//! What is found across requests is evidence against the session that sent them. (spec: http-proxy §11.3)

use super::*;

/// Each signal alone reaches the first threshold, so that the score in the event is the signal's.
fn yaml(threshold: u32, detection: &str) -> String {
    format!(
        "{OPEN}fetch_proxy: {{monitoring: {{entropy_threshold: 8}}}}
session_profiling: {{enabled: true}}
adaptive_enforcement: {{enabled: true, escalation_threshold: {threshold}}}
cross_request_detection: {{enabled: true, action: warn, {detection}}}
"
    )
}

/// The next line about `event`.
async fn next(decisions: &mut broadcast::Receiver<Arc<str>>, event: &str) -> Arc<str> {
    let wanted = format!("\"event\":\"{event}\"");
    let line = async {
        loop {
            let line = decisions.recv().await.unwrap();
            if line.contains(&wanted) {
                return line;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), line).await.unwrap_or_else(|_| panic!("no {event}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_entropy_budget_adds_two_points_for_requests_and_for_tunnels() {
    let budget = "entropy_budget: {enabled: true, bits_per_window: 60, window_minutes: 5, action: warn}";
    let origin = origin().await;
    let proxy = Proxy::start(config(&yaml(2, budget)), Options::default()).await.unwrap();
    let mut decisions = proxy.events();
    let answer = get(&proxy, &format!("http://{origin}/?q=jackdaws+love+my+big+sphinx+of+quartz")).await;
    assert!(answer.ends_with("hello"), "{answer}");
    let line = next(&mut decisions, "adaptive_escalation").await;
    assert!(line.contains(r#""from":"normal","to":"elevated""#) && line.contains(r#""score":2,"#), "{line}");

    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let connect = format!("CONNECT {origin} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(connect.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    // The level that the request brought raises the budget's warning.
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("CONNECT blocked: cross-request entropy budget exceeded"), "{answer}");
    let line = next(&mut decisions, "adaptive_escalation").await;
    assert!(line.contains(r#""from":"elevated","to":"high""#) && line.contains(r#""score":4,"#), "{line}");
    proxy.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_put_together_from_two_requests_adds_three_points() {
    let pieces = "fragment_reassembly: {enabled: true, max_buffer_bytes: 65536, window_minutes: 5}";
    let origin = origin().await;
    let proxy = Proxy::start(config(&yaml(3, pieces)), Options::default()).await.unwrap();
    let mut decisions = proxy.events();
    for piece in ["AKIAQQQQQQQQ", "QQQQQQQQ"] {
        let answer = get(&proxy, &format!("http://{origin}/?a={piece}")).await;
        assert!(answer.ends_with("hello"), "{answer}");
    }
    let line = next(&mut decisions, "adaptive_escalation").await;
    assert!(line.contains(r#""from":"normal","to":"elevated""#) && line.contains(r#""score":3,"#), "{line}");
    let line = next(&mut decisions, "anomaly").await;
    assert!(line.contains("fragment reassembly DLP match: AWS Access ID"), "{line}");
    proxy.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_piece_of_a_secret_is_no_evidence() {
    let pieces = "fragment_reassembly: {enabled: true, max_buffer_bytes: 65536, window_minutes: 5}";
    let origin = origin().await;
    let proxy = Proxy::start(config(&yaml(1, pieces)), Options::default()).await.unwrap();
    let mut decisions = proxy.events();
    for piece in ["AKIAQQQQQQQQ", "none-of-it"] {
        assert!(get(&proxy, &format!("http://{origin}/?a={piece}")).await.ends_with("hello"));
    }
    proxy.shutdown().await;
    while let Ok(line) = decisions.recv().await {
        assert!(!line.contains("adaptive_escalation"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_a_reload_forgets_are_not_counted_any_more() {
    let origin = origin().await;
    let with = |profiling| config(&format!("{OPEN}session_profiling: {{enabled: {profiling}}}\n"));
    let proxy = Proxy::start(with(true), Options::default()).await.unwrap();
    get(&proxy, &format!("http://{origin}/")).await;
    let active = async || {
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let line = answer.lines().find(|line| line.starts_with("pipelock_sessions_active "));
        line.unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    assert_eq!(active().await, "pipelock_sessions_active 1");
    proxy.reload(with(false)).unwrap();
    assert_eq!(active().await, "pipelock_sessions_active 0");
    proxy.shutdown().await;
}
