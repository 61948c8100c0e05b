//! Secrets sent in pieces over several requests, and how much randomness a client sends (spec: dlp §11).
//!
//! Both trackers are plain data structures: the caller passes the time (any monotonic one, as a duration) and the
//! scanner. Keys are made by the caller: `AGENT|CLIENTIP`, with `|keys` appended for the stream of query names.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Match, Scanner};
use crate::text::{lossy, shannon_entropy};

/// Keys that one tracker remembers; the one that was quiet longest makes room.
pub const MAX_KEYS: usize = 10_000;

/// What one request sent. Scanned on its own at most once: otherwise a stream of many small pieces that complete something
/// would cost as many scans for every further request.
pub struct Fragment {
    data: Box<[u8]>,
    alone: OnceLock<Vec<Arc<str>>>,
}

impl Fragment {
    fn new(data: &[u8]) -> Fragment {
        Fragment { data: data.into(), alone: OnceLock::new() }
    }

    /// The rules that the fragment meets on its own.
    fn names(&self, scanner: &Scanner, seen: &mut Vec<Match>) -> &[Arc<str>] {
        self.alone.get_or_init(|| {
            let result = scanner.scan_text(&self.data);
            let names = result.matches.iter().chain(&result.informational).map(|m| m.name.clone()).collect();
            seen.extend(result.informational);
            names
        })
    }
}

#[derive(Default)]
struct Stream {
    fragments: VecDeque<(Duration, Arc<Fragment>)>,
    bytes: usize,
    last: Duration,
}

impl Stream {
    fn expire(&mut self, now: Duration, window: Duration) {
        while let Some((at, data)) = self.fragments.front() {
            if now.saturating_sub(*at) <= window {
                break;
            }
            self.bytes -= data.data.len();
            self.fragments.pop_front();
        }
    }
}

/// The fragment buffer: what each stream sent lately, scanned as one text (§11.2).
pub struct Fragments {
    streams: HashMap<String, Stream>,
    max_bytes: usize,
    window: Duration,
}

impl Fragments {
    /// `max_bytes` bounds each stream; fragments older than `window` are ignored.
    pub fn new(max_bytes: usize, window: Duration) -> Fragments {
        Fragments { streams: HashMap::new(), max_bytes: max_bytes.max(1), window }
    }

    /// Bytes held in all streams.
    pub fn bytes(&self) -> usize {
        self.streams.values().map(|s| s.bytes).sum()
    }

    /// Bytes held in one stream.
    pub fn bytes_of(&self, key: &str) -> usize {
        self.streams.get(key).map_or(0, |s| s.bytes)
    }

    /// Drops a stream; `true` if there was one.
    pub fn forget(&mut self, key: &str) -> bool {
        self.streams.remove(key).is_some()
    }

    /// Appends `data` to a stream. Empty data is not appended.
    pub fn append(&mut self, key: &str, data: &[u8], now: Duration) {
        if data.is_empty() {
            return;
        }
        if !self.streams.contains_key(key) && self.streams.len() >= MAX_KEYS {
            evict(&mut self.streams, |s| s.last);
        }
        let stream = self.streams.entry(key.to_owned()).or_default();
        let kept = &data[data.len().saturating_sub(self.max_bytes)..];
        stream.fragments.push_back((now, Arc::new(Fragment::new(kept))));
        stream.bytes += kept.len();
        stream.last = now;
        while stream.bytes > self.max_bytes && stream.fragments.len() > 1 {
            if let Some((_, dropped)) = stream.fragments.pop_front() {
                stream.bytes -= dropped.data.len();
            }
        }
    }

    /// The live fragments of a stream, for [`scan_fragments`] outside of the caller's lock; empty when fewer than two.
    pub fn live(&self, key: &str, now: Duration) -> Vec<Arc<Fragment>> {
        let Some(stream) = self.streams.get(key) else { return Vec::new() };
        let live = stream.fragments.iter().filter(|(at, _)| now.saturating_sub(*at) <= self.window);
        let live: Vec<Arc<Fragment>> = live.map(|(_, fragment)| Arc::clone(fragment)).collect();
        if live.len() < 2 { Vec::new() } else { live }
    }

    /// Drops expired fragments and empty streams; call it now and then.
    pub fn clean_up(&mut self, now: Duration) {
        for stream in self.streams.values_mut() {
            stream.expire(now, self.window);
        }
        self.streams.retain(|_, s| !s.fragments.is_empty());
    }
}

/// Enforcing matches that only the concatenation has: those whose rule no single fragment reports. `seen` gets every
/// informational match of the scans made, because warnings are emitted for them. Streams have to be scanned with the same
/// scanner every time.
pub fn scan_fragments(scanner: &Scanner, fragments: &[Arc<Fragment>], seen: &mut Vec<Match>) -> Vec<Match> {
    if fragments.len() < 2 {
        return Vec::new();
    }
    let whole = scanner.scan_text(&fragments.iter().flat_map(|f| &*f.data).copied().collect::<Vec<u8>>());
    seen.extend(whole.informational.iter().cloned());
    if whole.matches.is_empty() && whole.informational.is_empty() {
        return Vec::new();
    }
    let mut alone: HashSet<Arc<str>> = HashSet::new();
    for fragment in fragments {
        alone.extend(fragment.names(scanner, seen).iter().cloned());
    }
    whole.matches.into_iter().filter(|m| !alone.contains(&m.name)).collect()
}

#[derive(Default)]
struct Budget {
    entries: VecDeque<(Duration, f64)>,
    last: Duration,
}

/// The entropy budget: bits of randomness that each client sent within the window (§11.3).
pub struct Entropy {
    keys: HashMap<String, Budget>,
    budget: f64,
    window: Duration,
}

impl Entropy {
    /// A budget of 0 or less counts as 1 bit, a window of zero as 1 s.
    pub fn new(bits_per_window: f64, window: Duration) -> Entropy {
        let budget = if bits_per_window > 0.0 { bits_per_window } else { 1.0 };
        let window = if window.is_zero() { Duration::from_secs(1) } else { window };
        Entropy { keys: HashMap::new(), budget, window }
    }

    /// The budget in bits.
    pub fn budget(&self) -> f64 {
        self.budget
    }

    /// Adds the bits of a payload to a key. Empty payloads record nothing.
    pub fn record(&mut self, key: &str, payload: &[u8], now: Duration) {
        if payload.is_empty() {
            return;
        }
        if !self.keys.contains_key(key) && self.keys.len() >= MAX_KEYS {
            evict(&mut self.keys, |b| b.last);
        }
        let bits = shannon_entropy(&lossy(payload)) * payload.len() as f64;
        let window = self.window;
        let entry = self.keys.entry(key.to_owned()).or_default();
        entry.entries.retain(|(at, _)| now.saturating_sub(*at) < window);
        entry.entries.push_back((now, bits));
        entry.last = now;
    }

    /// Bits that count for a key now.
    pub fn used(&self, key: &str, now: Duration) -> f64 {
        let Some(budget) = self.keys.get(key) else { return 0.0 };
        budget
            .entries
            .iter()
            .filter(|(at, _)| now.saturating_sub(*at) < self.window)
            .map(|(_, bits)| bits)
            .sum()
    }

    /// Drops what is known about a key; `true` if anything was.
    pub fn forget(&mut self, key: &str) -> bool {
        self.keys.remove(key).is_some()
    }

    /// Whether a key has used up its budget; exactly the budget is used up.
    pub fn exceeded(&self, key: &str, now: Duration) -> bool {
        self.used(key, now) >= self.budget
    }

    /// Drops what is outside of the window; call it now and then.
    pub fn clean_up(&mut self, now: Duration) {
        for budget in self.keys.values_mut() {
            budget.entries.retain(|(at, _)| now.saturating_sub(*at) < self.window);
        }
        self.keys.retain(|_, b| !b.entries.is_empty());
    }
}

fn evict<V>(map: &mut HashMap<String, V>, last: impl Fn(&V) -> Duration) {
    if let Some(key) = map.iter().min_by_key(|(_, v)| last(v)).map(|(k, _)| k.clone()) {
        map.remove(&key);
    }
}
