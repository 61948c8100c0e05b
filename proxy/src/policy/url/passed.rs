//! URLs that passed every layer up to name resolution.
//!
//! Programs ask for the same few URLs again and again, and those layers look at nothing but the URL and the configuration,
//! which a pipeline keeps for life: the same bytes pass them again. Whole URLs are compared, never hashes alone, and what came
//! with a warning is not kept. Addresses and limits are asked every time.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::Pending;

/// URLs that are kept at most.
const PLACES: usize = 64;
/// Longest of them, bytes.
const LONGEST: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Passed {
    hasher: RandomState,
    /// Each URL has one place, which is that of the last one.
    places: OnceLock<Box<[Mutex<Place>]>>,
}

#[derive(Debug, Default)]
struct Place {
    /// Empty: none.
    url: Box<[u8]>,
    /// Where in it the canonical host stands.
    host: Range<usize>,
    needs_lookup: bool,
}

impl Passed {
    /// What a scan of the URL would come to, if it is one of those; and whether its host has to be resolved.
    pub(super) fn recall<'u>(&self, url: &'u [u8]) -> Option<(Pending<'u>, bool)> {
        let place = self.place(url, self.places.get()?)?;
        let (host, needs_lookup) = (*place.url == *url).then(|| (place.host.clone(), place.needs_lookup))?;
        drop(place);
        let host = Cow::Borrowed(std::str::from_utf8(url.get(host)?).ok()?);
        Some((Pending { host, url_len: url.len(), warn_matches: Vec::new(), is_folded: false }, needs_lookup))
    }

    /// Keeps a URL that passed, when there is nothing to tell of it but a host that stands in it as it is.
    pub(super) fn note(&self, url: &[u8], pending: &Pending<'_>, needs_lookup: bool) {
        let Cow::Borrowed(host) = &pending.host else { return };
        let plain = pending.warn_matches.is_empty() && !pending.is_folded && pending.url_len == url.len();
        let Some(start) = (host.as_ptr() as usize).checked_sub(url.as_ptr() as usize) else { return };
        let host = start..start + host.len();
        if !plain || url.get(host.clone()).is_none_or(|there| there != pending.host.as_bytes()) {
            return;
        }
        let places = self.places.get_or_init(|| (0..PLACES).map(|_| Mutex::default()).collect());
        if let Some(mut place) = self.place(url, places) {
            *place = Place { url: url.into(), host, needs_lookup };
        }
    }

    fn place<'p>(&self, url: &[u8], places: &'p [Mutex<Place>]) -> Option<MutexGuard<'p, Place>> {
        if url.is_empty() || url.len() > LONGEST {
            return None;
        }
        let place = places.get(self.hasher.hash_one(url) as usize % PLACES)?;
        Some(place.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
