//! D-541: how many sessions the names of one address may have.
//!
//! A name is whatever the client writes. Without a bound, another one for each request is another session, budget and level for
//! each request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Names of an address that have a session of their own; the others have one together. More than agents beside each other are, but
/// by far fewer than requests.
const MOST: usize = 32;
/// A name that was not used for so long leaves its place to another one.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// Addresses that are remembered, as in the trackers of cross-request detection; the one that was quiet longest makes room.
const MOST_ADDRESSES: usize = 10_000;

/// The names in use.
#[derive(Debug, Default)]
pub struct Names {
    addresses: Mutex<HashMap<Box<str>, Address>>,
}

#[derive(Debug)]
struct Address {
    last: Instant,
    names: Vec<(Box<str>, Instant)>,
}

impl Names {
    /// Whether `name` has a session of its own at `address`; using it keeps it.
    pub fn has_own_session(&self, address: &str, name: &str, now: Instant) -> bool {
        // Every step leaves the map as it may be, so a panic elsewhere leaves it usable.
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = addresses.get_mut(address) else {
            if addresses.len() >= MOST_ADDRESSES {
                let quiet = addresses.iter().min_by_key(|(_, of)| of.last).map(|(key, _)| key.clone());
                quiet.map(|quiet| addresses.remove(&quiet));
            }
            addresses.insert(address.into(), Address { last: now, names: vec![(name.into(), now)] });
            return true;
        };
        known.last = now;
        if let Some((_, last)) = known.names.iter_mut().find(|(known, _)| **known == *name) {
            *last = now;
            return true;
        }
        known.names.retain(|(_, last)| now.saturating_duration_since(*last) < IDLE);
        let has_room = known.names.len() < MOST;
        if has_room {
            known.names.push((name.into(), now));
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_names_and_an_idle_one_makes_room() {
        let names = Names::default();
        let start = Instant::now();
        for number in 0..MOST {
            assert!(names.has_own_session("10.0.0.5", &format!("n{number}"), start));
        }
        assert!(!names.has_own_session("10.0.0.5", "another", start));
        assert!(names.has_own_session("10.0.0.6", "another", start));
        let later = start + IDLE;
        assert!(names.has_own_session("10.0.0.5", "n0", later));
        assert!(names.has_own_session("10.0.0.5", "another", later));
    }

    #[test]
    fn addresses_without_end_cost_bounded_memory() {
        let names = Names::default();
        let start = Instant::now();
        for number in 0..=MOST_ADDRESSES {
            let now = start + Duration::from_millis(number as u64);
            assert!(names.has_own_session(&number.to_string(), "n", now));
        }
        assert_eq!(names.addresses.lock().unwrap().len(), MOST_ADDRESSES);
    }
}
