//! Time stamps of log lines: RFC 3339, whole seconds, local zone.
//!
//! The zone's offset is asked for once, while the process still has a single thread: that is the only moment at which the
//! C library's answer is safe to use. A line written after a change to or from summer time keeps the earlier offset; as the
//! offset stands in the stamp, the instant is right all the same. In an image without zone data the zone is UTC.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use time::{OffsetDateTime, UtcOffset};

static OFFSET: OnceLock<UtcOffset> = OnceLock::new();

/// Asks for the local zone's offset. Call it first thing in `main`, before any thread starts; without it stamps are in UTC.
pub fn capture_local_offset() {
    OFFSET.get_or_init(|| UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC));
}

pub(super) fn local_offset() -> UtcOffset {
    OFFSET.get().copied().unwrap_or(UtcOffset::UTC)
}

/// Seconds since the epoch, now.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

/// Runs `write` with the current stamp. The text of a second is made once per thread.
pub(super) fn with_stamp<R>(write: impl FnOnce(&str) -> R) -> R {
    thread_local! {
        static LAST: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    LAST.with_borrow_mut(|(second, text)| {
        let now = now();
        if *second != now {
            *second = now;
            *text = format_stamp(now, local_offset());
        }
        write(text)
    })
}

/// RFC 3339 with second resolution; `Z` for a zero offset.
pub(super) fn format_stamp(second: i64, offset: UtcOffset) -> String {
    let t =
        OffsetDateTime::from_unix_timestamp(second).unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(offset);
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    );
    if offset.is_utc() {
        text.push('Z');
    } else {
        let (h, m, _) = offset.as_hms();
        let sign = if offset.is_negative() { '-' } else { '+' };
        text.push_str(&format!("{sign}{:02}:{:02}", h.unsigned_abs(), m.unsigned_abs()));
    }
    text
}
