//! Turning fields into bytes: JSON as the log has it, control characters removed, numbers in their shortest form.
//!
//! Written by hand rather than through serde because the order, the number format and the escapes are part of the
//! interface (spec: http-proxy §16.1-16.2), and because a line is then one pass over borrowed strings without a tree.

use std::borrow::Cow;
use std::time::Duration;

use muselet_rules::Strictness;

use super::event::BundleRule;

/// Receives an event's fields in order. Log line, console line and emission each implement it.
pub(super) trait Fields {
    /// A text, sanitised.
    fn str(&mut self, key: &'static str, value: &str);
    /// A text as it is (still escaped).
    fn raw(&mut self, key: &'static str, value: &str);
    fn int(&mut self, key: &'static str, value: u64);
    fn float(&mut self, key: &'static str, value: f64);
    fn bool(&mut self, key: &'static str, value: bool);
    fn millis(&mut self, key: &'static str, value: Duration);
    fn list(&mut self, key: &'static str, values: &[&str]);
    /// Left out when empty.
    fn rules(&mut self, key: &'static str, rules: &[BundleRule<'_>]);
    /// Left out when empty.
    fn opt(&mut self, key: &'static str, value: &str) {
        if !value.is_empty() {
            self.str(key, value);
        }
    }
    /// Written to the log even when empty, left out of an emission then.
    fn str_or_unemitted(&mut self, key: &'static str, value: &str) {
        self.str(key, value);
    }
    /// In emissions only.
    fn emitted_only(&mut self, _key: &'static str, _value: &str) {}
    /// Whether URLs that may hold a secret are shortened on this way out.
    fn redacts(&self, _strictness: Strictness) -> bool {
        true
    }
}

/// Removes terminal control: an ESC swallows up to the next ASCII letter, other control characters but TAB and LF vanish.
pub(super) fn sanitise(text: &str) -> Cow<'_, str> {
    let dirty = |b: u8| (b < 0x20) & (b != b'\t') & (b != b'\n') | (b == 0x7f) | (b == 0xc2);
    // Without a way out of the loop the compiler looks at sixteen bytes at a time.
    if !text.bytes().fold(false, |any, b| any | dirty(b)) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut escape = false;
    for c in text.chars() {
        if escape {
            escape = !c.is_ascii_alphabetic();
        } else if c == '\u{1b}' {
            escape = true;
        } else if !c.is_control() || c == '\t' || c == '\n' {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// Appends `text` as a JSON string. `html` also escapes what would be markup, as the emission payload does.
pub(super) fn json_string(out: &mut Vec<u8>, text: &str, html: bool) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let may_be_special = |b: u8| (b < 0x20) | (b == b'"') | (b == b'\\') | (b == 0x7f);
    if !html && !bytes.iter().fold(false, |any, &b| any | may_be_special(b)) {
        out.extend_from_slice(bytes);
        out.push(b'"');
        return;
    }
    let mut from = 0;
    for (i, &b) in bytes.iter().enumerate() {
        let special = b < 0x20
            || matches!(b, b'"' | b'\\' | 0x7f)
            || (html && (matches!(b, b'<' | b'>' | b'&') || is_line_separator(bytes, i)));
        if !special {
            continue;
        }
        out.extend_from_slice(&bytes[from..i]);
        from = i + 1;
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0xe2 => {
                out.extend_from_slice(if bytes[i + 2] == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                from = i + 3;
            }
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(b >> 4)]);
                out.push(HEX[usize::from(b & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

/// U+2028 or U+2029 at `i`; the text is UTF-8, so the two bytes after the lead are there.
fn is_line_separator(bytes: &[u8], i: usize) -> bool {
    bytes[i] == 0xe2 && bytes[i + 1] == 0x80 && matches!(bytes[i + 2], 0xa8 | 0xa9)
}

/// Shortest decimal form; exponent form below 1e-6 and from 1e21.
pub(super) fn float_text(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) { format!("{value:e}") } else { format!("{value}") }
}

/// Appends what [`float_text`] makes of [`millis`]. Up to fifteen digits the shortest decimal form of a quotient by a power of ten
/// is the quotient itself.
fn push_millis(out: &mut Vec<u8>, value: Duration) {
    let nanos = value.as_nanos();
    if nanos >= 1_000_000_000_000_000 {
        return out.extend_from_slice(float_text(millis(value)).as_bytes());
    }
    let nanos = nanos as u64;
    push_digits(out, nanos / 1_000_000);
    let mut fraction = nanos % 1_000_000;
    if fraction == 0 {
        return;
    }
    let mut digits = *b".000000";
    for digit in digits[1..].iter_mut().rev() {
        *digit = b'0' + (fraction % 10) as u8;
        fraction /= 10;
    }
    let length = digits.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1);
    out.extend_from_slice(&digits[..length]);
}

fn push_digits(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Milliseconds with a fraction.
pub(super) fn millis(value: Duration) -> f64 {
    value.as_nanos() as f64 / 1e6
}

/// Appends a list of texts as a JSON array.
pub(super) fn json_list(out: &mut Vec<u8>, values: &[&str], html: bool) {
    out.push(b'[');
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json_string(out, &sanitise(value), html);
    }
    out.push(b']');
}

/// Appends bundle rules as a JSON array of objects.
pub(super) fn json_rules(out: &mut Vec<u8>, rules: &[BundleRule<'_>], html: bool) {
    out.push(b'[');
    for (i, rule) in rules.iter().enumerate() {
        out.extend_from_slice(if i > 0 { b",{\"rule_id\":" } else { b"{\"rule_id\":" });
        json_string(out, &sanitise(rule.rule_id), html);
        out.extend_from_slice(b",\"bundle\":");
        json_string(out, &sanitise(rule.bundle), html);
        out.extend_from_slice(b",\"bundle_version\":");
        json_string(out, &sanitise(rule.bundle_version), html);
        out.push(b'}');
    }
    out.push(b']');
}

/// Appends `,"key":value` members to an object that already has one.
pub(super) struct JsonFields<'o> {
    pub(super) out: &'o mut Vec<u8>,
}

impl JsonFields<'_> {
    fn key(&mut self, key: &'static str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

impl Fields for JsonFields<'_> {
    fn str(&mut self, key: &'static str, value: &str) {
        self.key(key);
        json_string(self.out, &sanitise(value), false);
    }

    fn raw(&mut self, key: &'static str, value: &str) {
        self.key(key);
        json_string(self.out, value, false);
    }

    fn int(&mut self, key: &'static str, value: u64) {
        self.key(key);
        push_digits(self.out, value);
    }

    fn float(&mut self, key: &'static str, value: f64) {
        self.key(key);
        self.out.extend_from_slice(float_text(value).as_bytes());
    }

    fn bool(&mut self, key: &'static str, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn millis(&mut self, key: &'static str, value: Duration) {
        self.key(key);
        push_millis(self.out, value);
    }

    fn list(&mut self, key: &'static str, values: &[&str]) {
        self.key(key);
        json_list(self.out, values, false);
    }

    fn rules(&mut self, key: &'static str, rules: &[BundleRule<'_>]) {
        if !rules.is_empty() {
            self.key(key);
            json_rules(self.out, rules, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_written_as_the_float_would_be() {
        let mut cases: Vec<u64> =
            vec![0, 1, 10, 999_999, 1_000_000, 1_000_001, 1_500_000, 999_999_999_999_999];
        let mut state = 7_u64;
        for bits in (1..55).cycle().take(20_000) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            cases.push(state >> (64 - bits));
        }
        for nanos in cases {
            let value = Duration::from_nanos(nanos);
            let mut out = Vec::new();
            push_millis(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), float_text(millis(value)), "{nanos} ns");
        }
    }
}
