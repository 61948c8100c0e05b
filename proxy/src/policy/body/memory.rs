//! Bodies that were found clean and come again: a client that is told to try later sends the same bytes, and so does one that
//! polls.
//!
//! What a scan says depends on the body, its type and the policy, so equal bodies have equal verdicts until the policy is
//! replaced, and this memory with it. A body is known by its length, some of its bytes and a tag of Poly1305 over all of
//! them, under a key that is made for this memory and never leaves it: that two bodies of 5 MiB have the same tag has a
//! probability of less than 2^-80, which nobody outside can improve. No body is kept.

use std::fmt::{self, Debug};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Shorter bodies are scanned in little more time than it takes to know them, bytes.
const MIN_BODY: usize = 4 << 10;
/// Longest `Content-Type` of a body that is remembered, bytes.
const MAX_TYPE: usize = 128;
/// Bodies that are remembered: 32 KiB of memory.
const SLOTS: usize = 1024;
/// Parts of a body that tell it from others at first sight, and the length of each in bytes.
const SAMPLES: usize = 16;
const SAMPLE: usize = 16;
/// Tags that are made in vain, for other bodies that look the same, until none are made for a while.
const PATIENCE: u8 = 4;
/// How many bodies that while lasts, and how many tags are made behind it: one is remembered, the next may be the same.
const REST: u8 = 32;
const RETRIES: u8 = 2;

type Tag = [u8; 16];

pub(super) struct Memory {
    hasher: RandomState,
    key: LessSafeKey,
    slots: Mutex<Vec<Slot>>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    look: u64,
    /// Of the body that was found clean.
    tag: Option<Tag>,
    patience: u8,
    /// Bodies without a tag since patience ended.
    rested: u8,
}

impl Slot {
    /// Whether a tag is worth its while.
    fn is_tried(&mut self) -> bool {
        if let Some(left) = self.patience.checked_sub(1) {
            self.patience = left;
            return true;
        }
        self.rested += 1;
        if self.rested == REST {
            (self.patience, self.rested) = (RETRIES, 0);
        }
        false
    }
}

/// What is known of a body.
pub(super) enum Known {
    /// It was found clean.
    Clean,
    /// Nothing, but it may be [remembered](Memory::remember).
    Seen(Seen),
    /// Nothing.
    No,
}

/// A body that looks like one that was here before.
pub(super) struct Seen {
    look: u64,
    tag: Tag,
}

impl Memory {
    /// An empty one, or none without a source of random numbers that works.
    pub(super) fn new() -> Option<Self> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &rand::random::<[u8; 32]>()).ok()?;
        Some(Self { hasher: RandomState::new(), key: LessSafeKey::new(key), slots: Mutex::default() })
    }

    /// Looks a body up. The tag is made only of those whose look is known: most bodies come once.
    pub(super) fn look_up(&self, body: &[u8], headers: &HeaderMap) -> Known {
        let Some(media_type) = media_type(headers).filter(|_| body.len() >= MIN_BODY) else {
            return Known::No;
        };
        let look = self.look(body, media_type);
        let known = self.with_slot(look, |slot| {
            if slot.look != look {
                *slot = Slot { look, patience: PATIENCE, ..Slot::default() };
                return None;
            }
            slot.is_tried().then_some(slot.tag)
        });
        let Some((known, tag)) = known.and_then(|known| Some((known, self.tag(body, media_type)?))) else {
            return Known::No;
        };
        if known != Some(tag) {
            return Known::Seen(Seen { look, tag });
        }
        self.with_slot(look, |slot| {
            if slot.look == look {
                slot.patience = PATIENCE;
            }
        });
        Known::Clean
    }

    /// Remembers a body that was found clean.
    pub(super) fn remember(&self, Seen { look, tag }: Seen) {
        self.with_slot(look, |slot| {
            if slot.look == look && slot.tag.replace(tag).is_none() {
                // What was looked up in vain meanwhile was this body, sent several times at once.
                slot.patience = PATIENCE;
            }
        });
    }

    fn with_slot<T>(&self, look: u64, change: impl FnOnce(&mut Slot) -> T) -> T {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.is_empty() {
            slots.resize(SLOTS, Slot::default());
        }
        change(&mut slots[look as usize % SLOTS])
    }

    fn look(&self, body: &[u8], media_type: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        (media_type, body.len()).hash(&mut hasher);
        // Evenly from the first bytes to the last.
        let room = body.len() - SAMPLE;
        for part in 0..=SAMPLES {
            let from = room / SAMPLES * part + room % SAMPLES * part / SAMPLES;
            hasher.write(&body[from..from + SAMPLE]);
        }
        hasher.finish()
    }

    fn tag(&self, body: &[u8], media_type: &[u8]) -> Option<Tag> {
        // Neither what is encrypted nor a tag leaves this memory, so that there may be one nonce for all.
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let mut encrypted = [0; MAX_TYPE];
        let encrypted = &mut encrypted[..media_type.len()];
        encrypted.copy_from_slice(media_type);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(body), encrypted).ok()?;
        tag.as_ref().try_into().ok()
    }
}

impl Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// The type of a body that is remembered: one without codings, and with one type or none.
fn media_type(headers: &HeaderMap) -> Option<&[u8]> {
    if headers.contains_key(CONTENT_ENCODING) {
        return None;
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let first = types.next().map_or(&b""[..], |value| value.as_bytes());
    (types.next().is_none() && first.len() <= MAX_TYPE).then_some(first)
}

#[cfg(test)]
mod tests;
