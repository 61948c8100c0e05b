//! Where digits of base64 are.

use super::super::encoded::RUN;
use super::Class;

/// The bit that [`Class`] gives the members whose upper half is that of the decimal digits.
pub(super) const DECIMALS: u8 = 1 << 3;
/// The same of those digits that are neither decimal nor letters, but for the underscore.
pub(super) const SIGNS: u8 = 1 << 2;

/// What 64 bytes are: bit `i` of each word is that of byte `i`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Digits {
    /// Digits of either base64 alphabet.
    pub(in super::super) run: u64,
    /// Decimal digits.
    pub(in super::super) decimals: u64,
    /// Those that are neither letters nor decimal digits.
    pub(in super::super) signs: u64,
}

/// Takes where runs are.
pub(in super::super) trait Runs {
    /// Called for each 64 bytes of the text and for what is left, if only for nothing.
    fn block(&mut self, digits: Digits);
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
    for at in (0..=text.len()).step_by(64) {
        take.block(runs_by_one(&text[at..text.len().min(at + 64)]));
    }
    take
}

/// The scalar twin, for up to 64 bytes.
pub(in super::super) fn runs_by_one(block: &[u8]) -> Digits {
    let bits = |of: fn(u8) -> bool| {
        block.iter().enumerate().fold(0, |bits, (i, &byte)| bits | u64::from(of(byte)) << i)
    };
    Digits {
        run: bits(|byte| RUN.has(byte)),
        decimals: bits(|byte| byte.is_ascii_digit()),
        signs: bits(|byte| RUN.has(byte) && !byte.is_ascii_alphanumeric()),
    }
}

#[cfg(test)]
impl Runs for Vec<Digits> {
    fn block(&mut self, digits: Digits) {
        self.push(digits);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Class, DECIMALS, Digits, Runs, SIGNS};

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
        let (zero, underscore) = (_mm256_setzero_si256(), _mm256_set1_epi8(b'_' as i8));
        // The bit of a set as the highest of its byte.
        const TO_DECIMALS: i32 = DECIMALS.leading_zeros() as i32;
        const TO_SIGNS: i32 = SIGNS.leading_zeros() as i32;
        let words = |block: &[u8; 64]| {
            let halves = [0, 32].map(|from| {
                // SAFETY: 32 bytes at offset 0 or 32 of a 64-byte array; no alignment needed.
                let bytes = unsafe { _mm256_loadu_si256(block.as_ptr().add(from).cast()) };
                let lo = _mm256_and_si256(bytes, nibble);
                let hi = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble);
                let sets = _mm256_and_si256(_mm256_shuffle_epi8(low, lo), _mm256_shuffle_epi8(high, hi));
                let outside = _mm256_movemask_epi8(_mm256_cmpeq_epi8(sets, zero));
                let decimals = _mm256_movemask_epi8(_mm256_slli_epi16::<TO_DECIMALS>(sets));
                let signs = _mm256_slli_epi16::<TO_SIGNS>(sets);
                let signs = _mm256_or_si256(signs, _mm256_cmpeq_epi8(bytes, underscore));
                [!outside, decimals, _mm256_movemask_epi8(signs)].map(|bits| u64::from(bits as u32))
            });
            let [run, decimals, signs] = std::array::from_fn(|i| halves[1][i] << 32 | halves[0][i]);
            Digits { run, decimals, signs }
        };
        let (blocks, rest) = text.as_chunks::<64>();
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        for block in blocks.iter().chain([&last]) {
            // Zeros are no digits.
            take.block(words(block));
        }
        take
    }
}
