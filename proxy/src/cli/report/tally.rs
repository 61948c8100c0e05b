//! What is counted of a log, and how risky it looks.

use std::collections::BTreeMap;

use muselet_rules::order::sorted;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::selftest::Object;

type Event = Map<String, Value>;

/// How often something occurs, by name: in all, and blocked.
type Counts = BTreeMap<String, [usize; 2]>;

/// Entries of a list by name; the most frequent come first.
const LONGEST: usize = 100;

/// Fields of an event that are listed as evidence.
const EVIDENCE: [&str; 11] = [
    "time",
    "level",
    "event",
    "scanner",
    "reason",
    "method",
    "url",
    "target",
    "agent",
    "client_ip",
    "mitre_technique",
];

pub(super) struct Tally {
    pub(super) total: usize,
    pub(super) blocks: usize,
    warnings: usize,
    criticals: usize,
    allowed: usize,
    errors: usize,
    hashes: Vec<String>,
    mode: String,
    /// The times of the first and the last event, as written.
    range: Option<(String, String)>,
    categories: Counts,
    domains: Counts,
    hours: Counts,
    secrets: Counts,
    transports: Counts,
    agents: Counts,
    techniques: Counts,
    evidence: Vec<Value>,
    most: usize,
    redacts: bool,
}

fn field<'e>(event: &'e Event, name: &str) -> &'e str {
    event.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn count(counts: &mut Counts, name: &str, blocked: bool) {
    if !name.is_empty() {
        let entry = counts.entry(name.to_owned()).or_default();
        entry[0] += 1;
        entry[1] += usize::from(blocked);
    }
}

impl Tally {
    /// `most`: events that are listed. `redacts`: without queries of URLs and addresses of clients.
    pub(super) fn new(most: usize, redacts: bool) -> Tally {
        Tally {
            total: 0,
            blocks: 0,
            warnings: 0,
            criticals: 0,
            allowed: 0,
            errors: 0,
            hashes: Vec::new(),
            mode: String::new(),
            range: None,
            categories: Counts::new(),
            domains: Counts::new(),
            hours: Counts::new(),
            secrets: Counts::new(),
            transports: Counts::new(),
            agents: Counts::new(),
            techniques: Counts::new(),
            evidence: Vec::new(),
            most,
            redacts,
        }
    }

    pub(super) fn add(&mut self, event: &Event) {
        let (name, time, reason) = (field(event, "event"), field(event, "time"), field(event, "reason"));
        self.total += 1;
        let blocked = matches!(name, "blocked" | "ws_blocked" | "airlock_deny" | "kill_switch_deny")
            || field(event, "action") == "block";
        let warned = !blocked && field(event, "level") == "warn";
        self.blocks += usize::from(blocked);
        self.warnings += usize::from(warned);
        self.errors += usize::from(field(event, "level") == "error");
        self.allowed += usize::from(matches!(name, "allowed" | "forward_http" | "tunnel_open" | "ws_open"));
        if (blocked || warned) && (field(event, "severity") == "critical" || reason.contains("(critical)")) {
            self.criticals += 1;
        }
        if matches!(name, "startup" | "config_reload") {
            self.starts(event);
        }
        if !time.is_empty() {
            let time = time.to_owned();
            match &mut self.range {
                Some((_, end)) => *end = time.clone(),
                None => self.range = Some((time.clone(), time.clone())),
            }
            let hour = time.get(..13).map(|hour| format!("{hour}:00"));
            count(&mut self.hours, &hour.unwrap_or_default(), blocked);
        }
        count(&mut self.domains, host(event), blocked);
        count(&mut self.agents, field(event, "agent"), blocked);
        count(&mut self.techniques, field(event, "mitre_technique"), blocked);
        count(&mut self.transports, transport(event, name), blocked);
        if blocked || warned {
            let scanner = field(event, "scanner");
            count(&mut self.categories, if scanner.is_empty() { name } else { scanner }, blocked);
            let rule = reason.split_once("DLP match: ").map(|(_, rest)| rest);
            count(
                &mut self.secrets,
                rule.and_then(|rule| rule.split(" (").next()).unwrap_or_default(),
                blocked,
            );
            if self.evidence.len() < self.most {
                let evidence = self.listed(event);
                self.evidence.push(evidence);
            }
        }
    }

    fn starts(&mut self, event: &Event) {
        let hash = field(event, "config_hash");
        if !hash.is_empty() && !self.hashes.iter().any(|known| known == hash) {
            self.hashes.push(hash.to_owned());
        }
        let mode = match field(event, "mode") {
            "" => field(event, "detail").strip_prefix("mode=").unwrap_or_default(),
            mode => mode,
        };
        if !mode.is_empty() {
            mode.clone_into(&mut self.mode);
        }
    }

    fn listed(&self, event: &Event) -> Value {
        let mut entry = Object::default();
        for name in EVIDENCE {
            let value = field(event, name);
            match (name, value.split_once('?')) {
                ("client_ip", _) if self.redacts => {}
                ("url" | "target", Some((before, _))) if self.redacts => {
                    entry.text(name, &format!("{before}?[REDACTED]"));
                }
                _ => entry.some_text(name, value),
            }
        }
        entry.value()
    }

    /// `red` where something critical was sent, `yellow` where anything was found, else `green`.
    pub(super) fn risk(&self) -> &'static str {
        match (self.criticals, self.blocks + self.warnings) {
            (1.., _) => "red",
            (_, 1..) => "yellow",
            _ => "green",
        }
    }

    pub(super) fn report(&self, title: &str) -> Value {
        let mut range = Object::default();
        let (start, end) =
            self.range.as_ref().map_or(("", ""), |(start, end)| (start.as_str(), end.as_str()));
        range.text("start", start);
        range.text("end", end);
        let mut summary = Object::default();
        summary.count("total_events", self.total);
        summary.count("blocks", self.blocks);
        summary.count("warnings", self.warnings);
        summary.count("criticals", self.criticals);
        summary.count("allowed", self.allowed);
        summary.count("errors", self.errors);
        summary.count("unique_domains", self.domains.len());
        let mut report = Object::default();
        report.text("title", title);
        report.text("generated", &OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default());
        report.text("version", crate::VERSION);
        report.put("config_hashes", self.hashes.clone().into());
        report.text("mode", &self.mode);
        report.put("time_range", range.value());
        report.text("risk", self.risk());
        report.put("summary", summary.value());
        report.put("categories", listed(&self.categories, true));
        report.put("domains", listed(&self.domains, true));
        report.put("timeline", listed(&self.hours, false));
        report.put("evidence", self.evidence.clone().into());
        for (name, counts) in [
            ("dlp_breakdown", &self.secrets),
            ("transport_breakdown", &self.transports),
            ("agent_breakdown", &self.agents),
            ("mitre_techniques", &self.techniques),
        ] {
            if !counts.is_empty() {
                report.put(name, listed(counts, true));
            }
        }
        report.value()
    }
}

/// The most frequent first, or all by name.
fn listed(counts: &Counts, by_count: bool) -> Value {
    let mut entries: Vec<(&String, &[usize; 2])> = counts.iter().collect();
    if by_count {
        entries = sorted(entries, |(_, [a, _]), (_, [b, _])| b.cmp(a));
        entries.truncate(LONGEST);
    }
    let entries = entries.into_iter().map(|(name, [count, blocks])| {
        let mut entry = Object::default();
        entry.text("name", name);
        entry.count("count", *count);
        entry.count("blocks", *blocks);
        entry.value()
    });
    Value::Array(entries.collect())
}

/// The host that an event is about; empty when it is about none.
fn host(event: &Event) -> &str {
    let target = match field(event, "url") {
        "" => field(event, "target"),
        url => url,
    };
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn transport<'e>(event: &'e Event, name: &str) -> &'e str {
    match (field(event, "transport"), name) {
        ("", "forward_http") => "forward",
        ("", "tunnel_open" | "tunnel_close") => "connect",
        ("", _) if name.starts_with("ws_") => "websocket",
        ("", _) if field(event, "method") == "CONNECT" => "connect",
        (transport, _) => transport,
    }
}
