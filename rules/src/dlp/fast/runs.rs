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
        let mut low = [0u8; 16];
        let mut high = [0u8; 16];
        let mut h = 0;
        while h < 8 {
            high[h] = 1 << h;
            h += 1;
        }
        let mut i = 0;
        while i < member.len() {
            low[(member[i] & 15) as usize] |= 1 << (member[i] >> 4);
            i += 1;
        }
        Class { low, high }
    }

    #[inline]
    pub(super) fn has(&self, b: u8) -> bool {
        self.low[usize::from(b & 15)] & self.high[usize::from(b >> 4)] != 0
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

/// [`each`] where the class's masks are at hand. Inlined so that the steps are those of one length.
#[inline(always)]
pub(super) fn each_in(masks: &[u64], min: u32, mut run: impl FnMut(usize, usize) -> bool) -> bool {
    let mut block = 0;
    // End of the last run that was reported.
    let mut done = 0;
    // A run that begins in a block has half its length in that one or the next.
    let half = min.div_ceil(2);
    let mut next_has_half = masks.first().is_some_and(|&mask| has(mask, half));
    let mut looked_at = 0;
    while block < masks.len() {
        let next = masks.get(block + 1).copied().unwrap_or(0);
        let has_half = if looked_at == block { next_has_half } else { has(masks[block], half) };
        next_has_half = has(next, half);
        looked_at = block + 1;
        if !has_half && !next_has_half {
            block += 1;
            continue;
        }
        let mut long = u128::from(next) << 64 | u128::from(masks[block]);
        let mut have = 1;
        while have < min {
            let step = have.min(min - have);
            long &= long >> step;
            have += step;
        }
        // Positions of this block where `min` bytes of the class begin.
        let mut starts = long as u64;
        while starts != 0 {
            let start = block * 64 + starts.trailing_zeros() as usize;
            if start >= done {
                done = end_of_run(masks, start + min as usize);
                if run(start, done) {
                    return true;
                }
            }
            // Drop the start bits that belong to this run.
            match done - block * 64 {
                within @ 0..64 => starts &= u64::MAX << within,
                _ => break,
            }
        }
        // A run that covers whole blocks need not be looked at again.
        block = (done / 64).max(block + 1);
    }
    false
}

/// Whether so many neighbouring bits are set.
#[inline]
pub(super) fn has(mut mask: u64, bits: u32) -> bool {
    let mut have = 1;
    while have < bits {
        let step = have.min(bits - have);
        mask &= mask >> step;
        have += step;
    }
    mask != 0
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
