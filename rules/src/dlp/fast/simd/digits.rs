//! Where digits of base64 are.

use super::super::encoded::RUN;
use super::Class;

/// The bit that [`Class`] gives the members whose upper half is that of the decimal digits.
pub(super) const DECIMALS: u8 = 1 << 3;

/// Those of neither decimal digits nor letters.
pub(super) const SIGNS: [u8; 4] = *b"+-/_";

/// Takes where runs are.
pub(in super::super) trait Runs {
    /// Called for each 64 bytes of the text and for what is left, if only for nothing: bit `i` of each word says whether byte `i`
    /// is a digit of either base64 alphabet, and whether a decimal one. `signs` tells which are neither decimal nor letters, of the
    /// 64 bytes before (none before the first) and of these.
    fn block(&mut self, run: u64, decimals: u64, signs: impl FnOnce() -> [u64; 2]);
}

/// Hands `take` where the digits of a text are, and back.
pub(in super::super) fn runs<T: Runs>(text: &[u8], take: T) -> T {
    #[cfg(target_arch = "x86_64")]
    if super::wide::available() {
        // SAFETY: the kernels are available.
        return unsafe { super::wide::runs(&RUN, text, take) };
    }
    narrow_runs(text, take)
}

/// The same without AVX-512.
pub(in super::super) fn narrow_runs<T: Runs>(text: &[u8], mut take: T) -> T {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("popcnt") {
        // SAFETY: both were just detected.
        return unsafe { x86::runs_avx2(&RUN, text, take) };
    }
    let mut before: &[u8] = &[];
    for at in (0..=text.len()).step_by(64) {
        let block = &text[at..text.len().min(at + 64)];
        let (run, decimals) = runs_by_one(block);
        take.block(run, decimals, || [before, block].map(signs_by_one));
        before = block;
    }
    take
}

/// The scalar twin, for up to 64 bytes.
pub(in super::super) fn runs_by_one(block: &[u8]) -> (u64, u64) {
    block.iter().enumerate().fold((0, 0), |(run, decimals), (i, &b)| {
        (run | u64::from(RUN.has(b)) << i, decimals | u64::from(b.is_ascii_digit()) << i)
    })
}

/// The same for the digits that are neither decimal nor letters.
pub(in super::super) fn signs_by_one(block: &[u8]) -> u64 {
    block.iter().enumerate().fold(0, |signs, (i, b)| signs | u64::from(SIGNS.contains(b)) << i)
}

#[cfg(test)]
impl Runs for Vec<((u64, u64), [u64; 2])> {
    fn block(&mut self, run: u64, decimals: u64, signs: impl FnOnce() -> [u64; 2]) {
        self.push(((run, decimals), signs()));
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Class, DECIMALS, Runs, SIGNS};

    /// # Safety
    /// The processor must have AVX2 and POPCNT.
    #[target_feature(enable = "avx2,popcnt")]
    pub(super) unsafe fn runs_avx2<T: Runs>(class: &Class, text: &[u8], mut take: T) -> T {
        // SAFETY: 16 bytes are read from 16-byte arrays; no alignment needed.
        let (low, high) = unsafe {
            (
                _mm256_broadcastsi128_si256(_mm_loadu_si128(class.low.as_ptr().cast())),
                _mm256_broadcastsi128_si256(_mm_loadu_si128(class.high.as_ptr().cast())),
            )
        };
        let nibble = _mm256_set1_epi8(15);
        let zero = _mm256_setzero_si256();
        let words = |block: &[u8; 64]| {
            let halves = [0, 32].map(|from| {
                // SAFETY: 32 bytes at offset 0 or 32 of a 64-byte array; no alignment needed.
                let bytes = unsafe { _mm256_loadu_si256(block.as_ptr().add(from).cast()) };
                let lo = _mm256_and_si256(bytes, nibble);
                let hi = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble);
                let sets = _mm256_and_si256(_mm256_shuffle_epi8(low, lo), _mm256_shuffle_epi8(high, hi));
                let outside = _mm256_movemask_epi8(_mm256_cmpeq_epi8(sets, zero));
                // The bit becomes the highest of its byte.
                const SHIFT: i32 = DECIMALS.leading_zeros() as i32;
                (!outside as u32, _mm256_movemask_epi8(_mm256_slli_epi16::<SHIFT>(sets)) as u32)
            });
            let [(run, decimals), (runs, more)] = halves;
            (u64::from(runs) << 32 | u64::from(run), u64::from(more) << 32 | u64::from(decimals))
        };
        let signs = |block: &[u8; 64]| {
            let [low, high] = [0, 32].map(|from| {
                // SAFETY: 32 bytes at offset 0 or 32 of a 64-byte array; no alignment needed.
                let bytes = unsafe { _mm256_loadu_si256(block.as_ptr().add(from).cast()) };
                let all = SIGNS.map(|sign| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(sign as i8)));
                let any = all.into_iter().fold(zero, |a, b| _mm256_or_si256(a, b));
                u64::from(_mm256_movemask_epi8(any) as u32)
            });
            high << 32 | low
        };
        let (blocks, rest) = text.as_chunks::<64>();
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        let mut before = &[0; 64];
        for block in blocks.iter().chain([&last]) {
            // Zeros are no digits.
            let (run, decimals) = words(block);
            take.block(run, decimals, || [before, block].map(signs));
            before = block;
        }
        take
    }
}
