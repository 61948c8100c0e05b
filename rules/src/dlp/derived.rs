//! What it may cost to scan what a text is decoded to.
//!
//! Some decoded texts are scanned like a text of their own, and then decode to further ones: by escapes, references, percent
//! signs, numbers. A short text can be made of which each does so in several ways, and each of those again. So one scan, with all
//! that it leads to, has a number of steps and of bytes; it refuses a text that needs more.

use std::cell::Cell;

/// Decodings of what was decoded. Each undoes all of its kind, so ordinary texts need one or two.
const MAX_STEPS: u8 = 4;
/// Bytes that are scanned for each byte of the text, and of any text.
const RATIO: usize = 12;
const LEAST: usize = 4 << 10;

#[derive(Debug, Clone, Copy)]
struct Budget {
    steps: u8,
    bytes: usize,
}

thread_local! {
    /// Of the scan under way.
    static LEFT: Cell<Option<Budget>> = const { Cell::new(None) };
}

/// A scan of a text, until it is dropped.
pub(super) struct Scan {
    is_first: bool,
}

impl Scan {
    /// Begins the scan of a text of `length` bytes, which may be a decoded one.
    pub(super) fn of(length: usize) -> Self {
        let is_first = LEFT.get().is_none();
        if is_first {
            LEFT.set(Some(Budget {
                steps: MAX_STEPS,
                bytes: length.saturating_mul(RATIO).saturating_add(LEAST),
            }));
        }
        Self { is_first }
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        if self.is_first {
            LEFT.set(None);
        }
    }
}

/// A scan of what was decoded, until it is dropped.
pub(super) struct Step;

impl Step {
    /// Begins the scan of `length` decoded bytes; `None`: that is too much.
    pub(super) fn of(length: usize) -> Option<Self> {
        let left = LEFT.get()?;
        let budget = Budget { steps: left.steps.checked_sub(1)?, bytes: left.bytes.checked_sub(length)? };
        LEFT.set(Some(budget));
        Some(Self)
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(left) = LEFT.get() {
            LEFT.set(Some(Budget { steps: left.steps + 1, ..left }));
        }
    }
}
