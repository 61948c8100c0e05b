//! What the bytes of binary data are to the normalisation.

/// 64 bytes: bit `i` of each word speaks of byte `i`. Beyond the end of the data no bit is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Bytes {
    /// Printable ASCII.
    pub(in super::super) printable: u64,
    /// ASCII that the normalisation removes.
    pub(in super::super) control: u64,
    /// Bytes that can follow the first one of a character.
    pub(in super::super) follower: u64,
    /// Bytes that can begin a character of two, three or four bytes.
    pub(in super::super) lead: [u64; 3],
    /// Equals signs.
    pub(in super::super) equals: u64,
    /// Bytes that begin characters of three or four of which some become ASCII: those of 0xE0 to 0xE3, 0xEA, 0xEF and 0xF0.
    pub(in super::super) compatible: u64,
    /// Percent signs.
    pub(in super::super) percents: u64,
}

/// Takes what an outline says.
pub(in super::super) trait Outlined {
    /// Called for each 64 bytes and then for what is left, if only for nothing.
    fn block(&mut self, block: Bytes);
}

/// Hands `taker` all of the data, and back: kept by value, what it gathers stays in registers.
pub(in super::super) fn outline<T: Outlined>(data: &[u8], mut taker: T) -> T {
    let (blocks, rest) = data.as_chunks::<64>();
    #[cfg(target_arch = "x86_64")]
    if has_wide() {
        // SAFETY: the features were just detected.
        taker = unsafe { x86::outline_avx512(blocks, taker) };
    } else {
        taker = narrow_outline(blocks, taker);
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        taker = narrow_outline(blocks, taker);
    }
    taker.block(outline_short(rest));
    taker
}

/// Whether [`x86::outline_avx512`] can run here.
#[cfg(target_arch = "x86_64")]
fn has_wide() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("avx512bw") && has!("popcnt") && has!("bmi1") && has!("bmi2") && has!("lzcnt")
}

/// The same without AVX-512.
pub(in super::super) fn narrow_outline<T: Outlined>(blocks: &[[u8; 64]], mut taker: T) -> T {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: AVX2 was just detected.
        return unsafe { x86::outline_avx2(blocks, taker) };
    }
    blocks.iter().for_each(|block| taker.block(bytes_of(block)));
    taker
}

/// The same for up to 64 bytes.
#[inline]
pub(in super::super) fn outline_short(data: &[u8]) -> Bytes {
    #[cfg(target_arch = "x86_64")]
    {
        let within = if data.len() >= 64 { u64::MAX } else { (1 << data.len()) - 1 };
        if std::arch::is_x86_feature_detected!("avx512bw") {
            // SAFETY: AVX-512 BW was just detected; only bytes of the data are read.
            return unsafe { x86::bytes_avx512(data.as_ptr(), within) };
        } else if std::arch::is_x86_feature_detected!("avx2") {
            // Of no class.
            let mut block = [0xff; 64];
            block[..data.len()].copy_from_slice(data);
            // SAFETY: AVX2 was just detected.
            return unsafe { x86::bytes_avx2(&block) };
        }
    }
    bytes_of(data)
}

/// So many base64 digits decode to 64 bytes.
pub(in super::super) const MOST_DIGITS: usize = 86;

/// The same for what up to [`MOST_DIGITS`] base64 digits decode to. A single digit at the end is left out.
#[inline]
pub(in super::super) fn outline_of_digits(digits: &[u8], decoded: &mut Vec<u8>) -> Bytes {
    #[cfg(target_arch = "x86_64")]
    if super::wide::available() && digits.len() <= MOST_DIGITS {
        // SAFETY: the kernels are available, and the digits are few enough.
        return unsafe { x86::digits_avx512(digits) };
    }
    narrow_outline_of_digits(digits, decoded)
}

/// The same without AVX-512.
pub(in super::super) fn narrow_outline_of_digits(digits: &[u8], decoded: &mut Vec<u8>) -> Bytes {
    crate::decode::base64_digits_into(digits, decoded);
    outline_short(decoded)
}

/// The scalar twin, for up to 64 bytes.
pub(in super::super) fn bytes_of(block: &[u8]) -> Bytes {
    let mut bytes = Bytes::default();
    for (i, &b) in block.iter().enumerate() {
        bytes.equals |= u64::from(b == b'=') << i;
        bytes.percents |= u64::from(b == b'%') << i;
        bytes.compatible |= u64::from(matches!(b, 0xe0..=0xe3 | 0xea | 0xef | 0xf0)) << i;
        let word = match b {
            0x20..=0x7e => &mut bytes.printable,
            0..=0x7f => &mut bytes.control,
            0x80..=0xbf => &mut bytes.follower,
            0xc2..=0xdf => &mut bytes.lead[0],
            0xe0..=0xef => &mut bytes.lead[1],
            0xf0..=0xf4 => &mut bytes.lead[2],
            _ => continue,
        };
        *word |= 1 << i;
    }
    bytes
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::bases::VALUES;
    use super::super::wide::first;
    use super::{Bytes, Outlined};

    /// # Safety
    /// The processor must have AVX-512 BW, POPCNT, BMI1, BMI2 and LZCNT.
    #[target_feature(enable = "avx512f,avx512bw,popcnt,bmi1,bmi2,lzcnt")]
    pub(super) unsafe fn outline_avx512<T: Outlined>(blocks: &[[u8; 64]], mut taker: T) -> T {
        for block in blocks {
            // SAFETY: 64 bytes of a 64-byte array are read.
            taker.block(unsafe { bytes_avx512(block.as_ptr(), u64::MAX) });
        }
        taker
    }

    /// # Safety
    /// The processor must have AVX-512 BW, and there must be a byte at `data` for each bit that is set.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) unsafe fn bytes_avx512(data: *const u8, within: u64) -> Bytes {
        // SAFETY: only these bytes are read; no alignment needed.
        classes(unsafe { _mm512_maskz_loadu_epi8(within, data.cast()) }, within)
    }

    /// Where the decoded bytes of each group of four digits are, last byte first.
    static ORDER: [u8; 64] = {
        let mut order = [0; 64];
        let mut i = 0;
        while i < 64 {
            order[i] = (i / 3 * 4 + 2 - i % 3) as u8;
            i += 1;
        }
        order
    };

    /// # Safety
    /// The kernels must be available, and the digits at most [`super::MOST_DIGITS`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) unsafe fn digits_avx512(digits: &[u8]) -> Bytes {
        // SAFETY: 64 bytes are read from arrays of 64 and 128 bytes; no alignment needed.
        let (low, up, order) = unsafe {
            (
                _mm512_loadu_si512(VALUES.as_ptr().cast()),
                _mm512_loadu_si512(VALUES.as_ptr().add(64).cast()),
                _mm512_loadu_si512(ORDER.as_ptr().cast()),
            )
        };
        let groups = |digits: &[u8]| {
            let within = first(digits.len());
            // SAFETY: only bytes of the digits are read.
            let chars = unsafe { _mm512_maskz_loadu_epi8(within, digits.as_ptr().cast()) };
            let values = _mm512_maskz_permutex2var_epi8(within, low, chars, up);
            let pairs = _mm512_maddubs_epi16(values, _mm512_set1_epi32(0x0140_0140));
            _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x0001_1000))
        };
        let (head, tail) = digits.split_at(digits.len().min(64));
        let bytes = _mm512_permutex2var_epi8(groups(head), order, groups(tail));
        classes(bytes, first(digits.len() * 6 / 8))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn classes(bytes: __m512i, within: u64) -> Bytes {
        let below = |end: u8| _mm512_mask_cmplt_epu8_mask(within, bytes, _mm512_set1_epi8(end as i8));
        let printable = _mm512_mask_cmplt_epu8_mask(
            within,
            _mm512_sub_epi8(bytes, _mm512_set1_epi8(0x20)),
            _mm512_set1_epi8(0x5f),
        );
        let is = |byte: u8| _mm512_mask_cmpeq_epi8_mask(within, bytes, _mm512_set1_epi8(byte as i8));
        let high = within & _mm512_movepi8_mask(bytes);
        let (c0, c2, e0, f0, f5) = (below(0xc0), below(0xc2), below(0xe0), below(0xf0), below(0xf5));
        Bytes {
            printable,
            control: within & !high & !printable,
            follower: c0 & high,
            lead: [e0 & !c2, f0 & !e0, f5 & !f0],
            equals: is(b'='),
            compatible: below(0xe4) & !e0 | is(0xea) | is(0xef) | is(0xf0),
            percents: is(b'%'),
        }
    }

    /// # Safety
    /// The processor must have AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn outline_avx2<T: Outlined>(blocks: &[[u8; 64]], mut taker: T) -> T {
        for block in blocks {
            // SAFETY: AVX2 is there.
            taker.block(unsafe { bytes_avx2(block) });
        }
        taker
    }

    /// # Safety
    /// The processor must have AVX2.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn bytes_avx2(block: &[u8; 64]) -> Bytes {
        // SAFETY: 32 bytes at offset 0 and 32 of a 64-byte array; no alignment needed.
        let halves = unsafe {
            let block = block.as_ptr();
            [_mm256_loadu_si256(block.cast()), _mm256_loadu_si256(block.add(32).cast())]
        };
        let from = |start: u8| {
            let start = _mm256_set1_epi8(start as i8);
            let [low, high] = halves.map(|half| {
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(half, start), half)) as u32
            });
            u64::from(high) << 32 | u64::from(low)
        };
        let is = |byte: u8| {
            let byte = _mm256_set1_epi8(byte as i8);
            let [low, high] = halves.map(|half| _mm256_movemask_epi8(_mm256_cmpeq_epi8(half, byte)) as u32);
            u64::from(high) << 32 | u64::from(low)
        };
        let (printable, del) = (from(0x20), from(0x7f));
        let [high, c0, c2, e0, f0, f5] = [0x80, 0xc0, 0xc2, 0xe0, 0xf0, 0xf5].map(from);
        Bytes {
            printable: printable & !del,
            control: !printable | del & !high,
            follower: high & !c0,
            lead: [c2 & !e0, e0 & !f0, f0 & !f5],
            equals: is(b'='),
            compatible: e0 & !from(0xe4) | is(0xea) | is(0xef) | is(0xf0),
            percents: is(b'%'),
        }
    }
}
