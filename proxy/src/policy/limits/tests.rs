use super::*;

#[test]
fn counts_against_the_registrable_domain() {
    let cases = [
        ("a.b.evil.com", "evil.com"),
        ("sub.evil.co.uk", "evil.co.uk"),
        ("foo.github.io", "foo.github.io"),
        ("github.io", "github.io"),
        ("localhost", "localhost"),
        ("evil.com.", "evil.com."),
        (".evil.com", ".evil.com"),
        ("a..evil.com", "a..evil.com"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("10.1.2.3", "10.1.2.3"),
        ("x.y.unlisted", "y.unlisted"),
        ("com", "com"),
        ("", ""),
    ];
    for (host, expected) in cases {
        assert_eq!(key(host), expected, "{host}");
    }
}

#[test]
fn allows_exactly_the_limit_in_any_sixty_seconds() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let rate = RateLimit::new(2);
    assert!(rate.take("a.evil.com", at(0)));
    assert!(rate.take("b.evil.com", at(30_000)));
    assert!(!rate.take("c.evil.com", at(59_999)));
    assert!(rate.take("evil.com.", at(59_999)), "a trailing dot is another key");
    assert!(rate.take("c.evil.com", at(60_000)));
    assert!(!rate.take("c.evil.com", at(60_001)));
    assert!(rate.take("c.evil.com", at(90_000)));
}

#[test]
fn spends_a_budget_after_the_transfer() {
    let now = Instant::now();
    let budget = DataBudget::new(100, false);
    budget.record("zz.big.net", 99, now);
    assert!(budget.has_left("big.net", now));
    budget.record("ZZ.big.net", 1, now);
    assert!(!budget.has_left("q.big.net", now));
    assert!(budget.has_left("other.net", now));
    assert!(budget.has_left("q.big.net", now + WINDOW));
}

#[test]
fn refuses_new_domains_when_the_table_is_full_and_recovers() {
    let now = Instant::now();
    let rate = RateLimit::new(1);
    for number in 0..MOST_KEYS {
        assert!(rate.take(&format!("h{number}.test"), now));
    }
    assert!(!rate.take("one-more.test", now));
    assert!(rate.take("one-more.test", now + WINDOW));
}

#[test]
fn a_burst_takes_bounded_memory() {
    let now = Instant::now();
    let mut window = Window::default();
    for micros in 0..1_000_000u64 {
        window.add(now + Duration::from_micros(micros), 1);
    }
    assert_eq!(window.sum(now + Duration::from_secs(1)), 1_000_000);
    assert!(window.len() <= 1_001);
}
