//! What `/stats` tells beyond the metrics: the most blocked domains and the busiest scanners. spec: http-proxy §15.2

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use muselet_rules::order::sort_few;

/// Distinct names that are ever tracked in one list, and bytes of the longest: no host has a longer one.
const NAMES: usize = 100;
const NAME: usize = 256;

/// Counts by name; the first hundred distinct names are kept, later ones are not counted.
#[derive(Default)]
pub(super) struct TopList {
    counts: Mutex<HashMap<String, u64>>,
}

impl TopList {
    pub(super) fn add(&self, name: &str) {
        if name.is_empty() {
            return;
        }
        let name = &name[..name.floor_char_boundary(NAME)];
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(name) {
            *count += 1;
        } else if counts.len() < NAMES {
            counts.insert(name.to_owned(), 1);
        }
    }

    /// Names with their counts, highest first; equal counts by name.
    pub(super) fn sorted(&self) -> Vec<(String, u64)> {
        let mut list: Vec<_> = self
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(name, count)| (name.clone(), *count))
            .collect();
        sort_few(&mut list, |a: &(String, u64), b| (b.1, &a.0) < (a.1, &b.0));
        list
    }
}
