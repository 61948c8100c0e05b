//! Durations the way Go reads and words them (`1h30m`, `300ms`), for flags whose error texts are interface.

/// A text that is not a Go duration; displays as Go's `time.ParseDuration` words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(String),
    #[error("time: unknown unit {unit:?} in duration {text:?}")]
    UnknownUnit { unit: String, text: String },
}

/// Nanoseconds of a signed sequence of decimal numbers with units.
pub fn parse(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
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
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let whole = &rest[..digits];
        rest = &rest[digits..];
        let mut fraction = "";
        let mut has_fraction = false;
        if let Some(after) = rest.strip_prefix('.') {
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            fraction = &after[..digits];
            has_fraction = !fraction.is_empty();
            rest = &after[digits..];
        }
        if whole.is_empty() && !has_fraction {
            return Err(invalid());
        }
        let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        if end == 0 {
            return Err(DurationError::MissingUnit(text.to_owned()));
        }
        let unit = &rest[..end];
        rest = &rest[end..];
        let scale: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => {
                return Err(DurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() });
            }
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        let mut value = whole.checked_mul(scale).ok_or_else(invalid)?;
        // Go stops reading fraction digits once they no longer matter; 18 of them always fit.
        let kept = &fraction[..fraction.len().min(18)];
        if let Ok(numerator) = kept.parse::<u64>() {
            let part = numerator as f64 * (scale as f64 / 10f64.powi(kept.len() as i32));
            value = value.checked_add(part as u64).ok_or_else(invalid)?;
        }
        total = total.checked_add(value).filter(|t| *t <= 1 << 63).ok_or_else(invalid)?;
    }
    match (negative, i64::try_from(total)) {
        (false, Ok(nanos)) => Ok(nanos),
        (true, Ok(nanos)) => Ok(-nanos),
        // Exactly 2^63: only the negative one exists.
        (true, Err(_)) => Ok(i64::MIN),
        (false, Err(_)) => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_and_refuses_what_go_does() {
        let good = [
            ("0", 0),
            ("1ns", 1),
            ("1.5h", 5_400_000_000_000),
            ("2h45m", 9_900_000_000_000),
            ("-1h", -3_600_000_000_000),
            ("+300ms", 300_000_000),
            (".5s", 500_000_000),
            ("1µs", 1_000),
        ];
        for (text, want) in good {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
        for text in ["", "-", "1", "h", "1d", "1h ", ".", ".s", "3000000h", "1e3s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
