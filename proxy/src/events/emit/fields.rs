//! An event's fields as owned values, and the payload that webhook and syslog send.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use muselet_rules::Strictness;
use time::OffsetDateTime;

use super::Emitted;
use crate::events::encode::{Fields, float_text, json_list, json_string, sanitise};
use crate::events::event::BundleRule;

/// One field.
pub(super) enum FieldValue {
    Text(String),
    Integer(u64),
    Float(f64),
    Bool(bool),
    List(Vec<String>),
    /// Rule id, bundle, version.
    Rules(Vec<[String; 3]>),
}

impl FieldValue {
    fn json(&self, out: &mut Vec<u8>) {
        match self {
            FieldValue::Text(text) => json_string(out, text, true),
            FieldValue::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
            FieldValue::Float(value) => out.extend_from_slice(float_text(*value).as_bytes()),
            FieldValue::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
            FieldValue::List(values) => {
                json_list(out, &values.iter().map(String::as_str).collect::<Vec<_>>(), true);
            }
            FieldValue::Rules(rules) => {
                let rules: Vec<_> = rules
                    .iter()
                    .map(|[rule_id, bundle, bundle_version]| BundleRule { rule_id, bundle, bundle_version })
                    .collect();
                crate::events::encode::json_rules(out, &rules, true);
            }
        }
    }

    /// The value as the text of an attribute.
    pub(super) fn text(&self) -> String {
        match self {
            FieldValue::Text(text) => text.clone(),
            FieldValue::List(values) => format!("[{}]", values.join(" ")),
            other => {
                let mut out = Vec::new();
                other.json(&mut out);
                String::from_utf8_lossy(&out).into_owned()
            }
        }
    }
}

/// Collects an event's fields.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) fields: Vec<(&'static str, FieldValue)>,
}

impl Fields for Collected {
    fn str(&mut self, key: &'static str, value: &str) {
        self.fields.push((key, FieldValue::Text(sanitise(value).into_owned())));
    }

    fn raw(&mut self, key: &'static str, value: &str) {
        self.fields.push((key, FieldValue::Text(value.to_owned())));
    }

    fn int(&mut self, key: &'static str, value: u64) {
        self.fields.push((key, FieldValue::Integer(value)));
    }

    fn float(&mut self, key: &'static str, value: f64) {
        self.fields.push((key, FieldValue::Float(value)));
    }

    fn bool(&mut self, key: &'static str, value: bool) {
        self.fields.push((key, FieldValue::Bool(value)));
    }

    fn millis(&mut self, key: &'static str, value: Duration) {
        self.int(key, u64::try_from(value.as_millis()).unwrap_or(u64::MAX));
    }

    fn list(&mut self, key: &'static str, values: &[&str]) {
        let values = values.iter().map(|v| sanitise(v).into_owned()).collect();
        self.fields.push((key, FieldValue::List(values)));
    }

    fn rules(&mut self, key: &'static str, rules: &[BundleRule<'_>]) {
        if !rules.is_empty() {
            let rules = rules
                .iter()
                .map(|r| [r.rule_id, r.bundle, r.bundle_version].map(|t| sanitise(t).into_owned()))
                .collect();
            self.fields.push((key, FieldValue::Rules(rules)));
        }
    }

    fn str_or_unemitted(&mut self, key: &'static str, value: &str) {
        self.opt(key, value);
    }

    fn emitted_only(&mut self, key: &'static str, value: &str) {
        self.str(key, value);
    }

    fn redacts(&self, strictness: Strictness) -> bool {
        // The reference's payloads carry the whole URL, with the secret (D-601).
        strictness == Strictness::Hardened
    }
}

/// `{"severity":…,"type":…,"timestamp":…,"pipelock_instance":…,"fields":{…}}`
pub(super) fn payload(event: &Emitted, instance: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"{\"severity\":");
    json_string(&mut out, event.severity.as_str(), true);
    out.extend_from_slice(b",\"type\":");
    json_string(&mut out, event.kind, true);
    out.extend_from_slice(b",\"timestamp\":");
    json_string(&mut out, &nano_stamp(event.at), true);
    out.extend_from_slice(b",\"pipelock_instance\":");
    json_string(&mut out, instance, true);
    out.extend_from_slice(b",\"fields\":{");
    for (i, (key, value)) in event.fields.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json_string(&mut out, key, true);
        out.push(b':');
        value.json(&mut out);
    }
    out.extend_from_slice(b"}}");
    out
}

/// RFC 3339 in UTC with up to nanoseconds, trailing zeros left out.
fn nano_stamp(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let second =
        OffsetDateTime::from_unix_timestamp(since.as_secs() as i64).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let whole = crate::events::stamp::format_stamp(second.unix_timestamp(), time::UtcOffset::UTC);
    let fraction = format!("{:09}", since.subsec_nanos());
    let fraction = fraction.trim_end_matches('0');
    let whole = whole.trim_end_matches('Z');
    if fraction.is_empty() { format!("{whole}Z") } else { format!("{whole}.{fraction}Z") }
}
