//! The vector kernels, chosen at run time. The only module of the crate with `unsafe`.
//!
//! Each kernel has a scalar twin next to its caller and a test that compares the two on random input. On machines
//! without AVX2 (or other architectures) the kernels do nothing and the twins do all the work.
#![allow(unsafe_code)]

use super::runs::Class;
use super::windows::{ENTRIES, Tables};
use crate::scratch::Buffer;

mod bases;
mod digits;
mod eight;
mod escapes;
mod fold;
mod masks;
mod outline;
mod translate;
mod utf8;
#[cfg(target_arch = "x86_64")]
mod wide;

pub(crate) use bases::{base64, hex};
#[cfg(test)]
pub(super) use bases::{base64_groups, hex_pairs};
pub(super) use digits::{Runs, runs};
#[cfg(test)]
pub(super) use digits::{narrow_runs, runs_by_one, signs_by_one};
pub(super) use eight::{Blocks, Eight, Row, eight};
#[cfg(test)]
pub(super) use eight::{narrow_eight, sets_of};
pub(crate) use escapes::{Marks, unescape};
pub(crate) use fold::{entry as folded_entry, fold};
pub(super) use masks::long_runs;
pub(in super::super) use masks::{LANES, words};
pub(super) use outline::{Bytes, MOST_DIGITS, Outlined, outline, outline_of_digits, outline_short};
#[cfg(test)]
pub(super) use outline::{bytes_of, narrow_outline, narrow_outline_of_digits};
pub(crate) use translate::translate;
pub(crate) use utf8::is_utf8;

/// A candidate's owner has seen enough.
pub(super) struct Stopped;

/// Whether [`windows`] does anything here.
pub(super) fn has_windows() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Runs the window search over as many whole vectors as there are and returns the first position not looked at.
#[inline]
pub(super) fn windows(
    tables: &Tables,
    text: &[u8],
    candidate: &mut impl FnMut(usize, u16) -> bool,
) -> Result<usize, Stopped> {
    #[cfg(target_arch = "x86_64")]
    if text.len() >= 8 && wide::available() {
        // SAFETY: the kernels are available.
        return unsafe { wide::windows(tables, text, candidate) };
    }
    narrow_windows(tables, text, candidate)
}

/// The same without AVX-512.
pub(super) fn narrow_windows(
    tables: &Tables,
    text: &[u8],
    candidate: &mut impl FnMut(usize, u16) -> bool,
) -> Result<usize, Stopped> {
    #[cfg(target_arch = "x86_64")]
    if text.len() >= 35 && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: AVX2 was just detected.
        return unsafe { windows_avx2(tables, text, candidate) };
    }
    let _ = (tables, text, candidate);
    Ok(0)
}

/// One word for each 64 bytes of the text; bit `i` is set when byte `i` of the block is in the class given by nibble
/// tables: `low[b & 15] & high[b >> 4] != 0`. Beyond the text's end no bit is set.
pub(crate) fn class_masks(low: &[u8; 16], high: &[u8; 16], text: &[u8], masks: &mut Vec<u64>) {
    #[cfg(target_arch = "x86_64")]
    if wide::available() {
        masks.clear();
        // SAFETY: the kernels are available.
        return unsafe { wide::class_masks(low, high, text, masks) };
    }
    narrow_class_masks(low, high, text, masks);
}

/// The same without AVX-512.
pub(super) fn narrow_class_masks(low: &[u8; 16], high: &[u8; 16], text: &[u8], masks: &mut Vec<u64>) {
    masks.clear();
    let (blocks, rest) = text.as_chunks::<64>();
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: AVX2 was just detected.
        unsafe { class_masks_avx2(low, high, blocks, masks) };
    }
    for block in &blocks[masks.len()..] {
        masks.push(class_mask(low, high, block));
    }
    masks.push(class_mask(low, high, rest));
}

/// The scalar twin, for up to 64 bytes.
pub(super) fn class_mask(low: &[u8; 16], high: &[u8; 16], block: &[u8]) -> u64 {
    block.iter().enumerate().fold(0, |mask, (i, &b)| {
        let hit = low[usize::from(b & 15)] & high[usize::from(b >> 4)] != 0;
        mask | u64::from(hit) << i
    })
}

/// Whether [`printable`] and the like take 64 bytes at once.
pub(crate) fn compresses() -> bool {
    #[cfg(target_arch = "x86_64")]
    return wide::available();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Appends the printable characters of the ASCII and U+FFFD that a text begins with, and tabs and line ends if `lines`;
/// returns how much of the text that was.
pub(crate) fn printable(text: &[u8], lines: bool, out: &mut Vec<u8>) -> usize {
    #[cfg(target_arch = "x86_64")]
    if wide::available() {
        // SAFETY: the kernels are available.
        return unsafe { wide::printable(text, lines, out) };
    }
    printable_by_words(text, lines, out)
}

/// The scalar twin.
pub(crate) fn printable_by_words(text: &[u8], lines: bool, out: &mut Vec<u8>) -> usize {
    out.reserve(text.len());
    let mut at = 0;
    loop {
        let end = at + printable_run(&text[at..], lines);
        out.extend_from_slice(&text[at..end]);
        at = match text.get(end) {
            Some(0..0x80) => end + 1,
            _ if text[end..].starts_with(REPLACEMENT) => {
                out.extend_from_slice(REPLACEMENT);
                end + REPLACEMENT.len()
            }
            _ => return end,
        };
    }
}

/// U+FFFD.
const REPLACEMENT: &[u8] = b"\xEF\xBF\xBD";

/// Length of the printable ASCII that a text begins with; with `lines` also of tabs and line ends.
fn printable_run(text: &[u8], lines: bool) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    // The highest bit of every byte that is not printable.
    let others = |word: u64| (!((word | HIGH) - 0x20 * ONES) | ((word & !HIGH) + ONES) | word) & HIGH;
    let (words, tail) = text.as_chunks::<8>();
    let mut at = 0;
    for &word in words {
        let word = u64::from_le_bytes(word);
        let mut others = others(word);
        if others != 0 && lines {
            for line in *b"\t\n\r" {
                let zero = word ^ (u64::from(line) * ONES);
                others &= ((zero & !HIGH) + !HIGH) | zero;
            }
        }
        if others != 0 {
            return at + (others.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + tail.iter().take_while(|&&b| matches!(b, b' '..=b'~') || lines && b"\t\n\r".contains(&b)).count()
}

/// Appends a text without some ASCII characters.
pub(crate) fn without<const N: usize>(unwanted: [u8; N], text: &[u8], out: &mut Vec<u8>) {
    #[cfg(target_arch = "x86_64")]
    if wide::available() {
        // SAFETY: the kernels are available.
        return unsafe { wide::without(unwanted, text, out) };
    }
    without_by_runs(&unwanted, text, out);
}

/// The scalar twin.
pub(super) fn without_by_runs(unwanted: &[u8], text: &[u8], out: &mut Vec<u8>) {
    let class = Class::new(unwanted);
    let mut masks = Buffer::new();
    narrow_class_masks(&class.low, &class.high, text, &mut masks);
    out.reserve(text.len());
    let mut from = 0;
    for (block, &mask) in masks.iter().enumerate() {
        let mut mask = mask;
        while mask != 0 {
            let at = block * 64 + mask.trailing_zeros() as usize;
            mask &= mask - 1;
            out.extend_from_slice(&text[from..at]);
            from = at + 1;
        }
    }
    out.extend_from_slice(&text[from..]);
}

/// Appends a text without U+FFFD.
pub(crate) fn without_replacements(text: &[u8], out: &mut Vec<u8>) {
    #[cfg(target_arch = "x86_64")]
    if wide::available() {
        // SAFETY: the kernels are available.
        return unsafe { wide::without_replacements(text, out) };
    }
    without_replacements_by_runs(text, out);
}

/// The scalar twin.
pub(super) fn without_replacements_by_runs(text: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    for at in memchr::memchr_iter(REPLACEMENT[0], text).filter(|&at| text[at..].starts_with(REPLACEMENT)) {
        out.extend_from_slice(&text[from..at]);
        from = at + REPLACEMENT.len();
    }
    out.extend_from_slice(&text[from..]);
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{Stopped, Tables};

    #[target_feature(enable = "avx2")]
    fn table(entries: &[u16; 16], shift: u32) -> __m256i {
        let mut bytes = [0u8; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = (entries[i & 15] >> shift) as u8;
        }
        // SAFETY: 32 bytes are read from a 32-byte array; the load needs no alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    /// # Safety
    /// The processor must have AVX2, and `text` must have at least 35 bytes.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn windows_avx2(
        tables: &Tables,
        text: &[u8],
        candidate: &mut impl FnMut(usize, u16) -> bool,
    ) -> Result<usize, Stopped> {
        let nibble = _mm256_set1_epi8(15);
        let zero = _mm256_setzero_si256();
        let (mut low, mut high) = ([[zero; 4]; 2], [[zero; 4]; 2]);
        for half in 0..2 {
            for place in 0..4 {
                low[half][place] = table(&tables.low[place], 8 * half as u32);
                high[half][place] = table(&tables.high[place], 8 * half as u32);
            }
        }
        let mut at = 0;
        while at + 35 <= text.len() {
            let mut first = _mm256_set1_epi8(-1);
            let mut second = first;
            for place in 0..4 {
                // SAFETY: at + place + 32 <= at + 35 <= text.len(); the load needs no alignment.
                let bytes = unsafe { _mm256_loadu_si256(text.as_ptr().add(at + place).cast()) };
                let lo = _mm256_and_si256(bytes, nibble);
                let hi = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble);
                let a = _mm256_and_si256(
                    _mm256_shuffle_epi8(low[0][place], lo),
                    _mm256_shuffle_epi8(high[0][place], hi),
                );
                let b = _mm256_and_si256(
                    _mm256_shuffle_epi8(low[1][place], lo),
                    _mm256_shuffle_epi8(high[1][place], hi),
                );
                first = _mm256_and_si256(first, a);
                second = _mm256_and_si256(second, b);
            }
            let any = _mm256_or_si256(first, second);
            if _mm256_testz_si256(any, any) == 0 {
                let mut hits = !(_mm256_movemask_epi8(_mm256_cmpeq_epi8(any, zero)) as u32);
                let (mut a, mut b) = ([0u8; 32], [0u8; 32]);
                // SAFETY: 32 bytes are written to 32-byte arrays; the stores need no alignment.
                unsafe {
                    _mm256_storeu_si256(a.as_mut_ptr().cast(), first);
                    _mm256_storeu_si256(b.as_mut_ptr().cast(), second);
                }
                while hits != 0 {
                    let i = hits.trailing_zeros() as usize;
                    hits &= hits - 1;
                    let buckets = tables.with_tail(text, at + i, u16::from(a[i]) | u16::from(b[i]) << 8);
                    if buckets != 0 && candidate(at + i, buckets) {
                        return Err(Stopped);
                    }
                }
            }
            at += 32;
        }
        Ok(at)
    }

    /// # Safety
    /// The processor must have AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn class_masks_avx2(
        low: &[u8; 16],
        high: &[u8; 16],
        blocks: &[[u8; 64]],
        masks: &mut Vec<u64>,
    ) {
        // SAFETY: 16 bytes are read from 16-byte arrays; no alignment needed.
        let (low, high) = unsafe {
            (
                _mm256_broadcastsi128_si256(_mm_loadu_si128(low.as_ptr().cast())),
                _mm256_broadcastsi128_si256(_mm_loadu_si128(high.as_ptr().cast())),
            )
        };
        let nibble = _mm256_set1_epi8(15);
        let zero = _mm256_setzero_si256();
        masks.reserve(blocks.len() + 1);
        for block in blocks {
            let mut mask = 0u64;
            for half in 0..2 {
                // SAFETY: 32 bytes at offset 0 or 32 of a 64-byte array; no alignment needed.
                let bytes = unsafe { _mm256_loadu_si256(block.as_ptr().add(32 * half).cast()) };
                let lo = _mm256_and_si256(bytes, nibble);
                let hi = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble);
                let class = _mm256_and_si256(_mm256_shuffle_epi8(low, lo), _mm256_shuffle_epi8(high, hi));
                let outside = _mm256_movemask_epi8(_mm256_cmpeq_epi8(class, zero)) as u32;
                mask |= u64::from(!outside) << (32 * half);
            }
            masks.push(mask);
        }
    }
}

#[cfg(target_arch = "x86_64")]
use avx2::{class_masks_avx2, windows_avx2};
