//! Limits per registrable domain and minute: requests, and bytes transferred.
//!
//! Both are sliding windows of 60 s that hold (time, amount) pairs. Pairs within one millisecond are merged under the later
//! time, which bounds a window to 60,000 pairs and can only make it stricter, by less than a millisecond. Tables are bounded
//! too: when no room is left for a new domain even after dropping idle ones, the answer is "over the limit". Time is passed
//! in. (spec: url-scan §16, §18)

mod suffix;
#[cfg(test)]
mod tests;
mod window;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::address;
use window::Window;

/// Length of the windows.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Most domains a table holds at a time.
const MOST_KEYS: usize = 1 << 16;

/// Whose limit a host counts against: an address itself, else the registrable domain (public suffix and one label), else
/// the host itself. `host` is canonical. (spec: url-scan §16)
#[must_use]
pub fn key(host: &str) -> &str {
    let literal = address::parse_literal_with_zone(host).is_some();
    if literal || host.starts_with('.') || host.ends_with('.') || has_empty_label(host) {
        return host;
    }
    suffix::registrable(host).unwrap_or(host)
}

fn has_empty_label(host: &str) -> bool {
    host.as_bytes().windows(2).any(|pair| pair == b"..")
}

/// Windows by domain.
#[derive(Debug)]
struct Table {
    windows: HashMap<Box<str>, Window>,
    /// Number of domains at which idle ones are looked for next, and when that was last done.
    sweep_at: usize,
    swept: Option<Instant>,
}

impl Table {
    fn new() -> Self {
        Self { windows: HashMap::new(), sweep_at: 1024, swept: None }
    }

    /// The window of `key`, made when there is room for it.
    fn window(&mut self, key: &str, now: Instant) -> Option<&mut Window> {
        if !self.windows.contains_key(key) {
            // Looking through a full table on every request would make the overload worse.
            let due =
                self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= Duration::from_secs(1));
            if self.windows.len() >= self.sweep_at && due {
                self.swept = Some(now);
                self.windows.retain(|_, window| window.sum(now) > 0);
                self.sweep_at = (self.windows.len() * 2).clamp(1024, MOST_KEYS);
            }
            if self.windows.len() >= MOST_KEYS {
                return None;
            }
            self.windows.insert(key.into(), Window::default());
        }
        self.windows.get_mut(key)
    }
}

/// At most so many requests per domain in any 60 s.
#[derive(Debug)]
pub struct RateLimit {
    limit: u64,
    table: Mutex<Table>,
}

impl RateLimit {
    /// A limit of `limit` requests; 0 is no limit.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, table: Mutex::new(Table::new()) }
    }

    /// Takes a slot for `host` at `now`; `false` when there is none, and then nothing is recorded.
    pub fn take(&self, host: &str, now: Instant) -> bool {
        if self.limit == 0 {
            return true;
        }
        let key = key(host);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(window) = table.window(key, now) else { return false };
        let free = window.sum(now) < self.limit;
        if free {
            window.add(now, 1);
        }
        free
    }
}

/// At most so many bytes per domain in any 60 s.
#[derive(Debug)]
pub struct DataBudget {
    limit: u64,
    canonical_keys: bool,
    table: Mutex<Table>,
}

impl DataBudget {
    /// A budget of `limit` bytes; 0 is no limit. With `canonical_keys`, what is recorded counts against the canonical
    /// spelling of the host (the reference counts the host as written, which alternative address notations evade).
    #[must_use]
    pub fn new(limit: u64, canonical_keys: bool) -> Self {
        Self { limit, canonical_keys, table: Mutex::new(Table::new()) }
    }

    /// Whether `host` has budget left at `now`.
    pub fn has_left(&self, host: &str, now: Instant) -> bool {
        if self.limit == 0 {
            return true;
        }
        let key = key(host);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        match table.windows.get_mut(key) {
            Some(window) => window.sum(now) < self.limit,
            // Nothing recorded is nothing spent, unless recording had to be given up.
            None => table.windows.len() < MOST_KEYS,
        }
    }

    /// Counts `bytes` transferred with `host` (without port).
    pub fn record(&self, host: &str, bytes: u64, now: Instant) {
        if self.limit == 0 || bytes == 0 {
            return;
        }
        let host = super::host::lower(host);
        let host = match address::parse_alternative_ipv4(&host) {
            Some(address) if self.canonical_keys => Cow::Owned(address.to_string()),
            _ => host,
        };
        let host = match host.strip_suffix('.') {
            Some(stripped) if self.canonical_keys => stripped,
            _ => &host,
        };
        let key = key(host);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = table.window(key, now) {
            window.add(now, bytes);
        }
    }
}
