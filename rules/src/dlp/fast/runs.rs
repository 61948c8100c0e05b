//! Long runs of bytes of a class: where encoded data and keys without a literal can be.

use super::simd;

/// A class of bytes as nibble tables.
pub(crate) struct Class {
    pub(crate) low: [u8; 16],
    pub(crate) high: [u8; 16],
}

impl Class {
    /// A class of ASCII bytes: each of the eight upper halves has a bit of its own, so any class can be written.
    pub(crate) const fn new(member: &[u8]) -> Class {
        let mut high = [0u8; 16];
        let mut h = 0;
        while h < 8 {
            high[h] = 1 << h;
            h += 1;
        }
        Class { low: [0; 16], high }.with(member)
    }

    /// The same with more members.
    pub(super) const fn with(mut self, member: &[u8]) -> Class {
        let mut i = 0;
        while i < member.len() {
            self.low[(member[i] & 15) as usize] |= 1 << (member[i] >> 4);
            i += 1;
        }
        self
    }

    #[inline]
    pub(super) const fn has(&self, b: u8) -> bool {
        self.low[(b & 15) as usize] & self.high[(b >> 4) as usize] != 0
    }
}

/// Calls `run(start, end)` for every maximal run of at least `min` (2 to 64) bytes of the class, in order, until it
/// returns true; returns whether it did.
pub(crate) fn each(
    text: &[u8],
    class: &Class,
    min: u32,
    masks: &mut Vec<u64>,
    run: impl FnMut(usize, usize) -> bool,
) -> bool {
    if text.len() < min as usize {
        return false;
    }
    simd::class_masks(&class.low, &class.high, text, masks);
    each_in(masks, min, run)
}

/// [`each`] where the class's masks are at hand.
pub(super) fn each_in(masks: &[u64], min: u32, mut run: impl FnMut(usize, usize) -> bool) -> bool {
    let mut long = [0; simd::LANES];
    // Whether the last block ends within such a run.
    let mut before = 0;
    for first in (0..masks.len()).step_by(simd::LANES) {
        simd::long_runs(&masks[first..], min, &mut long);
        for (block, &long) in (first..masks.len()).zip(&long) {
            let mut starts = long & !(long << 1 | before);
            before = long >> 63;
            while starts != 0 {
                let start = block * 64 + starts.trailing_zeros() as usize;
                starts &= starts - 1;
                if run(start, end_of_run(masks, start + min as usize)) {
                    return true;
                }
            }
        }
    }
    false
}

/// Whether so many neighbouring bits are set.
#[inline]
pub(super) fn has(mask: u64, bits: u32) -> bool {
    beginnings(mask, bits) != 0
}

/// Where so many neighbouring bits begin.
#[inline]
pub(super) fn beginnings(mut mask: u64, bits: u32) -> u64 {
    let mut have = 1;
    while have < bits {
        let step = have.min(bits - have);
        mask &= mask >> step;
        have += step;
    }
    mask
}

/// The first position of the run that a position of the class belongs to.
pub(super) fn start_of_run(masks: &[u64], at: usize) -> usize {
    let mut block = at / 64;
    let mut outside = match masks.get(block) {
        Some(mask) => !mask & ((1 << (at % 64)) - 1),
        None => return at,
    };
    while outside == 0 {
        if block == 0 {
            return 0;
        }
        block -= 1;
        outside = !masks[block];
    }
    block * 64 + 64 - outside.leading_zeros() as usize
}

/// The first position from `at` on that is not in the class.
pub(crate) fn end_of_run(masks: &[u64], at: usize) -> usize {
    let mut block = at / 64;
    let mut outside = match masks.get(block) {
        Some(mask) => !mask & u64::MAX << (at % 64),
        None => return at,
    };
    while outside == 0 {
        block += 1;
        match masks.get(block) {
            Some(mask) => outside = !mask,
            None => return block * 64,
        }
    }
    block * 64 + outside.trailing_zeros() as usize
}
