//! Membership of every byte of a text in eight sets at once.

use super::super::runs::Class;

/// Eight sets of characters.
pub(in super::super) struct Eight {
    /// Bit `i` of an entry says whether the ASCII character is in set `i`.
    pub(super) bits: [u8; 128],
    /// Bit `i` says whether all other bytes are.
    pub(super) wide: u8,
    classes: [Class; 8],
}

impl Eight {
    /// The sets of which `open` has the bit hold `others` and all that is not ASCII besides.
    pub(in super::super) const fn new(sets: [&[u8]; 8], open: u8, others: &[u8]) -> Eight {
        let mut bits = [0; 128];
        let mut i = 0;
        while i < others.len() {
            bits[others[i] as usize] |= open;
            i += 1;
        }
        let mut set = 0;
        while set < 8 {
            let mut i = 0;
            while i < sets[set].len() {
                bits[sets[set][i] as usize] |= 1 << set;
                i += 1;
            }
            set += 1;
        }
        let mut classes = [const { Class::new(b"") }; 8];
        let mut set = 0;
        while set < 8 {
            classes[set] = Class::new(sets[set]).with(if open >> set & 1 == 1 { others } else { b"" });
            set += 1;
        }
        Eight { bits, wide: open, classes }
    }
}

/// As many blocks are looked at before what they hold is handed on.
pub(super) const ROWS: usize = 8;

/// What a block of 64 bytes holds: a word for each set, of which bit `i` is set when byte `i` of the block is in it.
pub(in super::super) type Row = [u64; 8];

/// Takes what the sweep finds.
pub(in super::super) trait Blocks {
    /// Called for a few blocks at a time, and last for what is left, if only for nothing. Beyond the text's end no bit is set.
    /// `wide`: some byte of these blocks is not ASCII.
    fn blocks(&mut self, rows: &[Row], wide: bool);
}

/// Hands `blocks` what each block holds, and back: kept by value, what it gathers stays in registers.
#[inline]
pub(in super::super) fn eight<B: Blocks>(sets: &Eight, text: &[u8], blocks: B) -> B {
    #[cfg(target_arch = "x86_64")]
    if super::wide::available() {
        // SAFETY: the kernels are available.
        return unsafe { super::wide::eight(sets, text, blocks) };
    }
    narrow_eight(sets, text, blocks)
}

/// The same without AVX-512.
pub(in super::super) fn narrow_eight<B: Blocks>(sets: &Eight, text: &[u8], mut blocks: B) -> B {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: AVX2 was just detected.
        return unsafe { x86::eight_avx2(sets, text, blocks) };
    }
    for at in (0..=text.len()).step_by(64) {
        let (row, wide) = sets_of(sets, &text[at..text.len().min(at + 64)]);
        blocks.blocks(&[row], wide);
    }
    blocks
}

/// The scalar twin, for up to 64 bytes.
pub(in super::super) fn sets_of(sets: &Eight, block: &[u8]) -> (Row, bool) {
    let mut row = [0; 8];
    for (i, &b) in block.iter().enumerate() {
        let bits = sets.bits.get(usize::from(b)).unwrap_or(&sets.wide);
        for (set, word) in row.iter_mut().enumerate() {
            *word |= u64::from(bits >> set & 1) << i;
        }
    }
    (row, !block.is_ascii())
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Blocks, Eight};

    /// # Safety
    /// The processor must have AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn eight_avx2<B: Blocks>(sets: &Eight, text: &[u8], mut out: B) -> B {
        let nibble = _mm256_set1_epi8(15);
        let zero = _mm256_setzero_si256();
        let (mut low, mut high) = ([zero; 8], [zero; 8]);
        for (i, class) in sets.classes.iter().enumerate() {
            // SAFETY: 16 bytes are read from 16-byte arrays; no alignment needed.
            unsafe {
                low[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128(class.low.as_ptr().cast()));
                high[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128(class.high.as_ptr().cast()));
            }
        }
        let words = |bytes: &[u8; 64]| {
            // SAFETY: 32 bytes at offset 0 and 32 of a 64-byte array; no alignment needed.
            let (a, b) = unsafe {
                let bytes = bytes.as_ptr();
                (_mm256_loadu_si256(bytes.cast()), _mm256_loadu_si256(bytes.add(32).cast()))
            };
            let join = |a: i32, b: i32| u64::from(b as u32) << 32 | u64::from(a as u32);
            let (a_low, b_low) = (_mm256_and_si256(a, nibble), _mm256_and_si256(b, nibble));
            let a_high = _mm256_and_si256(_mm256_srli_epi16::<4>(a), nibble);
            let b_high = _mm256_and_si256(_mm256_srli_epi16::<4>(b), nibble);
            let wide = join(_mm256_movemask_epi8(a), _mm256_movemask_epi8(b));
            let mut words = [0u64; 8];
            for i in 0..8 {
                let a = _mm256_and_si256(
                    _mm256_shuffle_epi8(low[i], a_low),
                    _mm256_shuffle_epi8(high[i], a_high),
                );
                let b = _mm256_and_si256(
                    _mm256_shuffle_epi8(low[i], b_low),
                    _mm256_shuffle_epi8(high[i], b_high),
                );
                let a = _mm256_movemask_epi8(_mm256_cmpeq_epi8(a, zero));
                let b = _mm256_movemask_epi8(_mm256_cmpeq_epi8(b, zero));
                words[i] = !join(a, b) | if sets.wide >> i & 1 == 1 { wide } else { 0 };
            }
            (words, wide != 0)
        };
        let (blocks, rest) = text.as_chunks::<64>();
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        let within = (1 << rest.len()) - 1;
        for (bytes, within) in blocks.iter().map(|bytes| (bytes, u64::MAX)).chain([(&last, within)]) {
            let (row, wide) = words(bytes);
            out.blocks(&[row.map(|word| word & within)], wide);
        }
        out
    }
}
