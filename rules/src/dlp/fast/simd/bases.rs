//! Decoders of base64 and hex digits.

use super::super::encoded::RUN;

/// Room that a kernel may write beyond what it has decoded, bytes.
const SLACK: usize = 64;

/// Decodes whole groups of four base64 digits, of either alphabet, from the start of the text until one is not whole, and
/// appends their bytes; returns the number of digits.
pub(crate) fn base64(text: &[u8], out: &mut Vec<u8>) -> usize {
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    {
        out.reserve(text.len() / 4 * 3 + SLACK);
        if super::wide::available() {
            // SAFETY: the features are there, and there is room for the bytes of all digits and the slack.
            done = unsafe { x86::base64_avx512(text, out) };
        } else if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: AVX2 was just detected, and there is room for the bytes of all digits and the slack.
            done = unsafe { x86::base64_avx2(text, out) };
        }
    }
    done + base64_groups(&text[done..], out)
}

/// The scalar twin.
pub(in super::super) fn base64_groups(text: &[u8], out: &mut Vec<u8>) -> usize {
    let mut rest = text;
    while let Some((group, after)) = rest.split_first_chunk::<4>() {
        let value = |b: u8| crate::decode::base64_value(b).map(u32::from);
        let [Some(a), Some(b), Some(c), Some(d)] = group.map(value) else { break };
        out.extend_from_slice(&(a << 18 | b << 12 | c << 6 | d).to_be_bytes()[1..]);
        rest = after;
    }
    text.len() - rest.len()
}

/// Decodes pairs of hex digits of any case from the start of the text until one is not whole, and appends their bytes;
/// returns the number of digits.
pub(crate) fn hex(text: &[u8], out: &mut Vec<u8>) -> usize {
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if text.len() >= 32 && std::arch::is_x86_feature_detected!("avx2") {
        out.reserve(text.len() / 2 + SLACK);
        // SAFETY: AVX2 was just detected, and there is room for the bytes of all digits and the slack.
        done = unsafe { x86::hex_avx2(text, out) };
    }
    done + hex_pairs(&text[done..], out)
}

/// The scalar twin.
pub(in super::super) fn hex_pairs(text: &[u8], out: &mut Vec<u8>) -> usize {
    let mut rest = text;
    while let Some((pair, after)) = rest.split_first_chunk::<2>() {
        let [high, low] = pair.map(crate::decode::hex_value);
        if high | low > 15 {
            break;
        }
        out.push(high << 4 | low);
        rest = after;
    }
    text.len() - rest.len()
}

/// The value of each ASCII character that is a digit, or 0x80.
#[cfg(target_arch = "x86_64")]
pub(super) static VALUES: [u8; 128] = {
    let mut values = [0x80; 128];
    let mut b = 0;
    while b < 128 {
        if let Some(value) = crate::decode::base64_value(b as u8) {
            values[b] = value;
        }
        b += 1;
    }
    values
};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{RUN, VALUES};

    /// Where the decoded bytes of each group of four are, last byte first.
    static ORDER: [u8; 64] = {
        let mut order = [0; 64];
        let mut i = 0;
        while i < 48 {
            order[i] = (i / 3 * 4 + 2 - i % 3) as u8;
            i += 1;
        }
        order
    };

    /// # Safety
    /// The processor must have AVX-512 BW and VBMI, and `out` room for three bytes of every four digits and 64 more.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) unsafe fn base64_avx512(text: &[u8], out: &mut Vec<u8>) -> usize {
        // SAFETY: 64 bytes are read from arrays of 64 and 128 bytes; no alignment needed.
        let (first, second, order) = unsafe {
            (
                _mm512_loadu_si512(VALUES.as_ptr().cast()),
                _mm512_loadu_si512(VALUES.as_ptr().add(64).cast()),
                _mm512_loadu_si512(ORDER.as_ptr().cast()),
            )
        };
        // What 64 characters decode to, and which are no digits.
        let decode = |chars: __m512i| {
            let values = _mm512_permutex2var_epi8(first, chars, second);
            let other = _mm512_movepi8_mask(_mm512_or_si512(values, chars));
            let pairs = _mm512_maddubs_epi16(values, _mm512_set1_epi32(0x0140_0140));
            let groups = _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x0001_1000));
            (_mm512_permutexvar_epi8(order, groups), other)
        };
        let mut at = 0;
        let mut len = out.len();
        // Blocks of nothing else, none of which waits for the one before it.
        for block in text.as_chunks::<64>().0 {
            // SAFETY: 64 bytes of a 64-byte array are read.
            let (bytes, other) = decode(unsafe { _mm512_loadu_si512(block.as_ptr().cast()) });
            if other != 0 {
                break;
            }
            // SAFETY: 64 bytes are written after three of every four digits so far.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().add(len).cast(), bytes) };
            len += 48;
            at += 64;
        }
        while at + 4 <= text.len() {
            let here = (text.len() - at).min(64);
            let within = u64::MAX >> (64 - here);
            // SAFETY: only bytes of the text are read.
            let chars = unsafe { _mm512_maskz_loadu_epi8(within, text.as_ptr().add(at).cast()) };
            let (bytes, other) = decode(chars);
            let digits = ((other | !within).trailing_zeros() & !3) as usize;
            // SAFETY: 64 bytes are written after at most three of every four digits so far.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().add(len).cast(), bytes) };
            len += digits / 4 * 3;
            at += digits;
            if digits < 64 {
                break;
            }
        }
        // SAFETY: so many bytes were written, within the capacity.
        unsafe { out.set_len(len) };
        at
    }

    /// # Safety
    /// The processor must have AVX2, and `out` room for three bytes of every four digits and 64 more.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn base64_avx2(text: &[u8], out: &mut Vec<u8>) -> usize {
        // What is added to a character to make it a value, by its upper half; with exceptions for 2F, 2D and 5F.
        let offsets = _mm256_broadcastsi128_si256(_mm_setr_epi8(
            0, 0, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0,
        ));
        // SAFETY: 16 bytes are read from 16-byte arrays; no alignment needed.
        let (low, high, order) = unsafe {
            (
                _mm256_broadcastsi128_si256(_mm_loadu_si128(RUN.low.as_ptr().cast())),
                _mm256_broadcastsi128_si256(_mm_loadu_si128(RUN.high.as_ptr().cast())),
                _mm256_broadcastsi128_si256(_mm_loadu_si128(ORDER.as_ptr().cast())),
            )
        };
        let nibble = _mm256_set1_epi8(15);
        let zero = _mm256_setzero_si256();
        let mut at = 0;
        let mut len = out.len();
        while at + 32 <= text.len() {
            // SAFETY: at + 32 <= text.len(); no alignment needed.
            let chars = unsafe { _mm256_loadu_si256(text.as_ptr().add(at).cast()) };
            let lower = _mm256_and_si256(chars, nibble);
            let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(chars), nibble);
            let class = _mm256_and_si256(_mm256_shuffle_epi8(low, lower), _mm256_shuffle_epi8(high, upper));
            let other = _mm256_movemask_epi8(_mm256_cmpeq_epi8(class, zero)) as u32;
            let digits = (other.trailing_zeros() & !3) as usize;
            let add = |c: i8, by: i8| {
                _mm256_and_si256(_mm256_cmpeq_epi8(chars, _mm256_set1_epi8(c)), _mm256_set1_epi8(by))
            };
            let exceptions = _mm256_or_si256(_mm256_or_si256(add(0x2F, -3), add(0x2D, -2)), add(0x5F, 33));
            let values =
                _mm256_add_epi8(_mm256_add_epi8(chars, _mm256_shuffle_epi8(offsets, upper)), exceptions);
            let pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x0140_0140));
            let groups = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x0001_1000));
            let bytes = _mm256_shuffle_epi8(groups, order);
            // SAFETY: 16 bytes are written at most 12 bytes after three of every four digits so far.
            unsafe {
                let to = out.as_mut_ptr().add(len);
                _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(bytes));
                _mm_storeu_si128(to.add(12).cast(), _mm256_extracti128_si256::<1>(bytes));
            }
            len += digits / 4 * 3;
            at += digits;
            if digits < 32 {
                break;
            }
        }
        // SAFETY: so many bytes were written, within the capacity.
        unsafe { out.set_len(len) };
        at
    }

    /// # Safety
    /// The processor must have AVX2, and `out` room for a byte of every two digits and 64 more.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn hex_avx2(text: &[u8], out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        let mut len = out.len();
        while at + 32 <= text.len() {
            // SAFETY: at + 32 <= text.len(); no alignment needed.
            let chars = unsafe { _mm256_loadu_si256(text.as_ptr().add(at).cast()) };
            let number = _mm256_sub_epi8(chars, _mm256_set1_epi8(b'0' as i8));
            let letter =
                _mm256_sub_epi8(_mm256_or_si256(chars, _mm256_set1_epi8(0x20)), _mm256_set1_epi8(b'a' as i8));
            let at_most =
                |a: __m256i, most: i8| _mm256_cmpeq_epi8(_mm256_min_epu8(a, _mm256_set1_epi8(most)), a);
            let (is_number, is_letter) = (at_most(number, 9), at_most(letter, 5));
            let other = !(_mm256_movemask_epi8(_mm256_or_si256(is_number, is_letter)) as u32);
            let digits = (other.trailing_zeros() & !1) as usize;
            let letter = _mm256_add_epi8(letter, _mm256_set1_epi8(10));
            let values = _mm256_blendv_epi8(letter, number, is_number);
            let pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi16(0x0110));
            let bytes = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi16(pairs, pairs));
            // SAFETY: 16 bytes are written after one of every two digits so far.
            unsafe { _mm_storeu_si128(out.as_mut_ptr().add(len).cast(), _mm256_castsi256_si128(bytes)) };
            len += digits / 2;
            at += digits;
            if digits < 32 {
                break;
            }
        }
        // SAFETY: so many bytes were written, within the capacity.
        unsafe { out.set_len(len) };
        at
    }
}
