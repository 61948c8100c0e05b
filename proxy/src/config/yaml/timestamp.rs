//! Points in time as the dialect writes them: short dates and spaces unquoted, RFC 3339 quoted. Spec: config §1.4 "time".

use std::fmt;

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// The layout named in errors about quoted times.
const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";

/// A point in time; `None` inside is "not given", which the reference keeps as the year 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamp(pub Option<OffsetDateTime>);

impl Timestamp {
    /// Whether no time was given.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.is_none()
    }

    /// An unquoted scalar: `Y-M-D`, `Y-M-DTh:m:s[.frac]` with a zone, or `Y-M-D h:m:s[.frac]` in UTC.
    #[must_use]
    pub fn from_plain(text: &str) -> Option<Timestamp> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if digits != 4 || text.as_bytes().get(4) != Some(&b'-') {
            return None;
        }
        let mut cursor = Cursor { rest: text, exact: false };
        cursor.point().ok()
    }

    /// A quoted scalar: full RFC 3339.
    ///
    /// # Errors
    /// The reference's sentence about the first part that does not fit.
    pub fn from_text(text: &str) -> Result<Timestamp, String> {
        let mut cursor = Cursor { rest: text, exact: true };
        cursor.point().map_err(|failure| match failure {
            Failure::Shape(rest, layout) => {
                format!("parsing time {text:?} as {LAYOUT:?}: cannot parse {rest:?} as {layout:?}")
            }
            Failure::Range(what) => format!("parsing time {text:?}: {what} out of range"),
            Failure::Extra(rest) => format!("parsing time {text:?}: extra text: {rest:?}"),
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(at) = self.0 else { return f.write_str("0001-01-01T00:00:00Z") };
        write!(f, "{:04}-{:02}-{:02}T", at.year(), u8::from(at.month()), at.day())?;
        write!(f, "{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())?;
        if at.nanosecond() > 0 {
            let fraction = format!("{:09}", at.nanosecond());
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        let offset = at.offset();
        if offset.is_utc() {
            return f.write_str("Z");
        }
        let sign = if offset.is_negative() { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", offset.whole_hours().abs(), offset.minutes_past_hour().abs())
    }
}

enum Failure {
    Shape(String, &'static str),
    Range(&'static str),
    Extra(String),
}

/// Reads a time from the front of a text; `exact` asks for the fixed widths of RFC 3339.
struct Cursor<'t> {
    rest: &'t str,
    exact: bool,
}

impl Cursor<'_> {
    fn point(&mut self) -> Result<Timestamp, Failure> {
        let year = self.number(4, 4, "2006")?;
        self.literal("-", "-")?;
        let month = self.number(self.least(), 2, "01")?;
        self.literal("-", "-")?;
        let day = self.number(self.least(), 2, "02")?;
        let month =
            u8::try_from(month).ok().and_then(|m| Month::try_from(m).ok()).ok_or(Failure::Range("month"))?;
        let date = u8::try_from(day)
            .ok()
            .and_then(|day| Date::from_calendar_date(i32::try_from(year).ok()?, month, day).ok())
            .ok_or(Failure::Range("day"))?;
        if !self.exact && self.rest.is_empty() {
            return Ok(Timestamp(Some(PrimitiveDateTime::new(date, Time::MIDNIGHT).assume_utc())));
        }
        let zoned = self.exact || self.rest.starts_with(['T', 't']);
        if zoned && !self.exact {
            self.rest = &self.rest[1..];
        } else if zoned {
            self.literal("T", "T")?;
        } else {
            self.literal(" ", " ")?;
        }
        let time = self.clock()?;
        let offset = if zoned { self.zone()? } else { UtcOffset::UTC };
        if !self.rest.is_empty() {
            return Err(Failure::Extra(self.rest.to_owned()));
        }
        Ok(Timestamp(Some(PrimitiveDateTime::new(date, time).assume_offset(offset))))
    }

    fn least(&self) -> usize {
        if self.exact { 2 } else { 1 }
    }

    fn clock(&mut self) -> Result<Time, Failure> {
        let hour = self.number(self.least(), 2, "15")?;
        if hour > 23 {
            return Err(Failure::Range("hour"));
        }
        self.literal(":", ":")?;
        let minute = self.number(self.least(), 2, "04")?;
        if minute > 59 {
            return Err(Failure::Range("minute"));
        }
        self.literal(":", ":")?;
        let second = self.number(self.least(), 2, "05")?;
        if second > 59 {
            return Err(Failure::Range("second"));
        }
        let mut nanos = 0;
        let fraction = self.rest.strip_prefix(['.', ',']).unwrap_or("");
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            let kept = &fraction[..digits.min(9)];
            nanos = format!("{kept:0<9}").parse().unwrap_or(0);
            self.rest = &fraction[digits..];
        }
        let part = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
        Time::from_hms_nano(part(hour), part(minute), part(second), nanos).map_err(|_| Failure::Range("hour"))
    }

    fn zone(&mut self) -> Result<UtcOffset, Failure> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(UtcOffset::UTC);
        }
        let bytes = self.rest.as_bytes();
        let shaped = bytes.len() >= 6
            && matches!(bytes[0], b'+' | b'-')
            && bytes[3] == b':'
            && [1, 2, 4, 5].iter().all(|&i| bytes[i].is_ascii_digit());
        if !shaped {
            return Err(Failure::Shape(self.rest.to_owned(), "Z07:00"));
        }
        let two = |i: usize| i32::from((bytes[i] - b'0') * 10 + (bytes[i + 1] - b'0'));
        let (hours, minutes) = (two(1), two(4));
        if hours > 24 {
            return Err(Failure::Range("time zone offset hour"));
        }
        if minutes > 60 {
            return Err(Failure::Range("time zone offset minute"));
        }
        let sign = if bytes[0] == b'-' { -1 } else { 1 };
        self.rest = &self.rest[6..];
        UtcOffset::from_whole_seconds(sign * (hours * 3600 + minutes * 60))
            .map_err(|_| Failure::Range("time zone offset hour"))
    }

    fn number(&mut self, least: usize, most: usize, layout: &'static str) -> Result<u32, Failure> {
        let digits = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if digits < least {
            return Err(Failure::Shape(self.rest.to_owned(), layout));
        }
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        number.parse().map_err(|_| Failure::Shape(number.to_owned(), layout))
    }

    fn literal(&mut self, text: &str, layout: &'static str) -> Result<(), Failure> {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(Failure::Shape(self.rest.to_owned(), layout)),
        }
    }
}
