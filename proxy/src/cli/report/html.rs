//! The report as one page without scripts or anything from elsewhere.

use std::fmt::Write as _;

use serde_json::Value;

use crate::server::answer::escape_attribute;

const STYLE: &str = "body{font:14px sans-serif;margin:2em auto;max-width:70em;color:#222}\
table{border-collapse:collapse;margin:.5em 0 1.5em}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}\
td{word-break:break-all}.red{color:#c62828}.yellow{color:#b58900}.green{color:#2e7d32}";

/// Tables of names and numbers: the key and what stands above it.
const TABLES: [(&str, &str); 7] = [
    ("categories", "Findings"),
    ("domains", "Domains"),
    ("timeline", "Timeline"),
    ("dlp_breakdown", "Credentials"),
    ("transport_breakdown", "Transports"),
    ("agent_breakdown", "Agents"),
    ("mitre_techniques", "MITRE ATT&amp;CK techniques"),
];

const COLUMNS: [&str; 6] = ["time", "event", "scanner", "reason", "url", "agent"];

/// The page of a report.
pub(super) fn page(report: &Value) -> String {
    let (title, risk) = (escaped(&report["title"]), escaped(&report["risk"]));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n"
    );
    let _ = writeln!(
        out,
        "<p>Risk: <strong class=\"{risk}\">{risk}</strong>. Events from {} to {}, mode {}. Generated {}.</p>",
        escaped(&report["time_range"]["start"]),
        escaped(&report["time_range"]["end"]),
        escaped(&report["mode"]),
        escaped(&report["generated"]),
    );
    out.push_str("<table>\n");
    for (name, count) in report["summary"].as_object().into_iter().flatten() {
        let _ = writeln!(out, "<tr><th>{}</th><td>{count}</td></tr>", name.replace('_', " "));
    }
    out.push_str("</table>\n");
    for (key, heading) in TABLES {
        table(&mut out, heading, &report[key], &["name", "count", "blocks"]);
    }
    table(&mut out, "Evidence", &report["evidence"], &COLUMNS);
    out.push_str("</body></html>\n");
    out
}

fn table(out: &mut String, heading: &str, rows: &Value, columns: &[&str]) {
    let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        return;
    }
    let _ = write!(out, "<h2>{heading}</h2>\n<table>\n<tr>");
    for column in columns {
        let _ = write!(out, "<th>{column}</th>");
    }
    out.push_str("</tr>\n");
    for row in rows {
        out.push_str("<tr>");
        for column in columns {
            let mut cell = &row[*column];
            if *column == "url" && cell.is_null() {
                cell = &row["target"];
            }
            let _ = write!(out, "<td>{}</td>", escaped(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
}

/// A value as text of the page: what agents sent stands in it.
fn escaped(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    escape_attribute(&text.replace(char::is_control, "\u{fffd}"))
}
