//! A sliding window of amounts with times.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::WINDOW;

/// Amounts closer together than this are kept as one.
const GRAIN: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
pub(super) struct Window {
    /// Oldest first: when the amount began, when it last grew, how much.
    entries: VecDeque<Entry>,
    sum: u64,
}

#[derive(Debug)]
struct Entry {
    first: Instant,
    last: Instant,
    amount: u64,
}

impl Window {
    /// Sum of what is strictly younger than the window at `now`.
    pub(super) fn sum(&mut self, now: Instant) -> u64 {
        while let Some(oldest) = self.entries.front() {
            if now.saturating_duration_since(oldest.last) < WINDOW {
                break;
            }
            self.sum = self.sum.saturating_sub(oldest.amount);
            self.entries.pop_front();
        }
        self.sum
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn add(&mut self, now: Instant, amount: u64) {
        // A sum that saturates stays above any limit until every entry has left, which is the strict side.
        self.sum = self.sum.saturating_add(amount);
        match self.entries.back_mut() {
            Some(newest) if now.saturating_duration_since(newest.first) < GRAIN => {
                newest.last = newest.last.max(now);
                newest.amount = newest.amount.saturating_add(amount);
            }
            _ => self.entries.push_back(Entry { first: now, last: now, amount }),
        }
    }
}
