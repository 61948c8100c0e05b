//! Long runs of bytes of a class: where encoded data and keys without a literal can be.

use super::simd;

/// A class of bytes as nibble tables.
pub(super) struct Class {
    low: [u8; 16],
    high: [u8; 16],
}

impl Class {
    /// A class of ASCII bytes: each of the eight upper halves has a bit of its own, so any class can be written.
    pub(super) const fn new(member: &[u8]) -> Class {
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
pub(super) fn each(text: &[u8], class: &Class, min: u32, mut run: impl FnMut(usize, usize) -> bool) -> bool {
    let mask = |block: usize| -> u64 {
        let at = block * 64;
        match text.get(at..) {
            Some(rest) if rest.len() >= 64 => {
                let block: &[u8; 64] = match rest.first_chunk() {
                    Some(block) => block,
                    None => return 0,
                };
                simd::class_mask(&class.low, &class.high, block)
            }
            Some(rest) if !rest.is_empty() => {
                let mut block = [0u8; 64];
                block[..rest.len()].copy_from_slice(rest);
                // NUL is in no class that is used.
                simd::class_mask(&class.low, &class.high, &block)
            }
            _ => 0,
        }
    };
    let blocks = text.len().div_ceil(64);
    let mut current = mask(0);
    let mut block = 0;
    // End of the last run that was reported or is known to be too short.
    let mut done = 0;
    while block < blocks {
        let next = mask(block + 1);
        let mut long = u128::from(next) << 64 | u128::from(current);
        let mut have = 1;
        while have < min {
            let step = have.min(min - have);
            long &= long >> step;
            have += step;
        }
        // Positions of this block where `min` bytes of the class begin.
        let mut starts = long as u64;
        while starts != 0 {
            let bit = starts.trailing_zeros();
            let start = block * 64 + bit as usize;
            if start >= done {
                let mut end = start + min as usize;
                // A few bytes at a time; then by blocks.
                while end < text.len() && !end.is_multiple_of(64) && class.has(text[end]) {
                    end += 1;
                }
                while end.is_multiple_of(64) && end + 64 <= text.len() && mask(end / 64) == u64::MAX {
                    end += 64;
                }
                if end.is_multiple_of(64) {
                    while end < text.len() && class.has(text[end]) {
                        end += 1;
                    }
                }
                if run(start, end) {
                    return true;
                }
                done = end;
            }
            // Drop the start bits that belong to this run.
            let within = done.saturating_sub(block * 64);
            if within >= 64 {
                break;
            }
            starts &= u64::MAX << within;
        }
        // A run that covers whole blocks need not be looked at again.
        let skip_to = done / 64;
        if skip_to > block + 1 {
            block = skip_to;
            current = mask(block);
        } else {
            block += 1;
            current = next;
        }
    }
    false
}
