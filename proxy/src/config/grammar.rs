//! The small grammars of single values: addresses, URLs, durations, globs. Spec: config §3.6, §2.13.
//!
//! Each takes the text and gives a parsed value or the tail of the reference's sentence about it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::policy::url::parse::{self, GoUrl};

/// A number of seconds; more than a century, which people write to switch a limit off, is one, and less than none is none.
#[must_use]
pub fn seconds(count: i64) -> std::time::Duration {
    const CENTURY: u64 = 100 * 366 * 24 * 3600;
    std::time::Duration::from_secs(u64::try_from(count).unwrap_or(0).min(CENTURY))
}

/// Text in the reference's quotes.
#[must_use]
pub fn quoted(text: &str) -> String {
    crate::policy::url::quote(text.as_bytes())
}

/// `ADDRESS/BITS`; host bits are allowed.
///
/// # Errors
/// `invalid CIDR address: TEXT`.
pub fn cidr(text: &str) -> Result<(IpAddr, u8), String> {
    let parse = || {
        let (address, bits) = text.split_once('/')?;
        let (address, most): (IpAddr, u32) = match address.parse::<Ipv4Addr>() {
            Ok(v4) => (v4.into(), 32),
            Err(_) => (address.parse::<Ipv6Addr>().ok()?.into(), 128),
        };
        if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let bits = bits
            .trim_start_matches('0')
            .parse::<u32>()
            .or(if bits.bytes().all(|b| b == b'0') { Ok(0) } else { Err(()) })
            .ok()?;
        (bits <= most).then(|| (address, u8::try_from(bits).unwrap_or(u8::MAX)))
    };
    parse().ok_or_else(|| format!("invalid CIDR address: {text}"))
}

/// The first address of a range.
#[must_use]
pub fn network(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

/// `host:port`; either part may be empty, an IPv6 host is bracketed, the port is any text.
///
/// # Errors
/// `address TEXT: REASON`.
pub fn host_port(text: &str) -> Result<(&str, &str), String> {
    let fail = |reason: &str| Err(format!("address {text}: {reason}"));
    let Some(colon) = text.rfind(':') else { return fail("missing port in address") };
    let (host, after_open, after_close) = if text.starts_with('[') {
        let Some(close) = text.find(']') else { return fail("missing ']' in address") };
        if close + 1 != colon {
            let colon_follows = text.as_bytes().get(close + 1) == Some(&b':');
            return fail(if colon_follows {
                "too many colons in address"
            } else {
                "missing port in address"
            });
        }
        (&text[1..close], 1, close + 1)
    } else {
        let host = &text[..colon];
        if host.contains(':') {
            return fail("too many colons in address");
        }
        (host, 0, 0)
    };
    if text[after_open..].contains('[') {
        return fail("unexpected '[' in address");
    }
    if text[after_close..].contains(']') {
        return fail("unexpected ']' in address");
    }
    Ok((host, &text[colon + 1..]))
}

/// A URL of one of `schemes` with a host.
#[must_use]
pub fn url_with_host<'t>(text: &'t str, schemes: &[&str]) -> Option<GoUrl<'t>> {
    let url = parse::parse(text.as_bytes()).ok()?;
    let scheme = schemes.iter().any(|scheme| url.scheme.eq_ignore_ascii_case(scheme));
    (scheme && !url.host.is_empty()).then_some(url)
}

/// A duration in nanoseconds: `1h30m`, `1.5s`, `250ms`, with an optional sign, or `0`.
///
/// # Errors
/// `time: invalid duration "X"` and its kin.
pub fn duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quoted(text));
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let whole_end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (whole, after) = rest.split_at(whole_end);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len())),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let scale: u64 = match unit {
            "" => return Err(format!("time: missing unit in duration {}", quoted(text))),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(format!("time: unknown unit {} in duration {}", quoted(unit), quoted(text))),
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        // Go stops reading fraction digits once they no longer matter; 18 of them always fit.
        let fraction = &fraction[..fraction.len().min(18)];
        let numerator: u64 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| invalid())? };
        let part = numerator as f64 * (scale as f64 / 10f64.powi(fraction.len() as i32));
        total = whole
            .checked_mul(scale)
            .and_then(|nanos| nanos.checked_add(part as u64))
            .and_then(|nanos| nanos.checked_add(total))
            .filter(|&nanos| nanos <= 1 << 63)
            .ok_or_else(invalid)?;
        rest = after;
    }
    let signed = if negative { 0_i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() };
    signed.ok_or_else(invalid)
}

/// Checks a glob of `*`, `?`, `[set]`, `[^set]`, `\x`.
///
/// # Errors
/// `syntax error in pattern`.
pub fn glob(pattern: &str) -> Result<(), String> {
    let bad = || "syntax error in pattern".to_owned();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next().ok_or_else(bad)?;
            }
            '[' => {
                chars.next_if_eq(&'^');
                let mut ranges = 0;
                while ranges == 0 || chars.next_if_eq(&']').is_none() {
                    glob_bound(&mut chars).ok_or_else(bad)?;
                    if chars.next_if_eq(&'-').is_some() {
                        glob_bound(&mut chars).ok_or_else(bad)?;
                    }
                    ranges += 1;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// One bound of a range in a set; something must follow it.
fn glob_bound(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    let bound = match chars.next()? {
        '-' | ']' => return None,
        '\\' => chars.next()?,
        c => c,
    };
    chars.peek().map(|_| bound)
}

/// Lower case, rune by rune as Go maps it.
#[must_use]
pub fn lower(text: &str) -> String {
    text.chars()
        .map(|c| {
            let mut mapped = c.to_lowercase();
            mapped.next().filter(|_| mapped.next().is_none() || c == 'İ').unwrap_or(c)
        })
        .collect()
}

/// An operating system's error in the words of the reference's platform.
#[must_use]
pub fn os_error(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "no such file or directory".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::NotADirectory => "not a directory".to_owned(),
        ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or(&text);
            text.to_lowercase()
        }
    }
}

/// A path cleaned by its text alone: no `.`, no doubled separators, `..` resolved where possible.
#[must_use]
pub fn clean_path(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// `dir` and `path` joined and cleaned.
#[must_use]
pub fn join_path(dir: &str, path: &str) -> String {
    match (dir, path) {
        ("", "") => String::new(),
        ("", path) => clean_path(path),
        (dir, "") => clean_path(dir),
        (dir, path) => clean_path(&format!("{dir}/{path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_read_and_refused_as_go_does() {
        let good = [
            ("0", 0),
            ("-0", 0),
            ("1ns", 1),
            ("1.5h", 5_400_000_000_000),
            ("2h45m", 9_900_000_000_000),
            ("-1h", -3_600_000_000_000),
            ("+300ms", 300_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("0.1234567890123456789s", 123_456_789),
            ("1\u{b5}s", 1_000),
            ("-9223372036854775808ns", i64::MIN),
        ];
        for (text, want) in good {
            assert_eq!(duration(text), Ok(want), "{text}");
        }
        for text in ["", "-", "1", "h", "1d", "1h ", ".", ".s", "3000000h", "1e3s", "9223372036854775808ns"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(duration("1h2"), Err(r#"time: missing unit in duration "1h2""#.into()));
        assert_eq!(duration("3x\n"), Err(r#"time: unknown unit "x\n" in duration "3x\n""#.into()));
    }
}
