//! The kernels for processors with AVX-512 and its byte permutations: 64 bytes at a step, ends included.
//!
//! A permutation of two registers looks a 7-bit byte up in a table of 128 entries, so a byte's membership in eight sets is
//! one instruction, where nibble tables take four and admit more. Bytes that are not ASCII are dealt with by masks. The search for
//! windows does with one register of 64 entries: a permutation of two keeps the only port that permutes busy for twice as long.

use std::arch::x86_64::*;
use std::sync::LazyLock;

use super::digits::{DECIMALS, SIGNS};
use super::eight::{ROWS, Row};
use super::{Blocks, Class, ENTRIES, Eight, Runs, Stopped, Tables};

/// Whether the processor has what every kernel here uses.
pub(in super::super) fn available() -> bool {
    static AVAILABLE: LazyLock<bool> = LazyLock::new(|| {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vbmi2")
            && is_x86_feature_detected!("gfni")
            && is_x86_feature_detected!("popcnt")
    });
    *AVAILABLE
}

/// As many low bits.
#[inline]
pub(super) fn first(bits: usize) -> u64 {
    if bits < 64 { (1 << bits) - 1 } else { u64::MAX }
}

/// Up to 64 bytes from the start of a text, followed by zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load(text: &[u8]) -> __m512i {
    // SAFETY: the mask admits bytes of the text only; no alignment needed.
    unsafe { _mm512_maskz_loadu_epi8(first(text.len()), text.as_ptr().cast()) }
}

/// Up to 64 bytes from a position on, and a bit for each of them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn load_at(text: &[u8], at: usize) -> (__m512i, u64) {
    let rest = text.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(block) => (whole(block), u64::MAX),
        None => (load(rest), first(rest.len())),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn whole(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 bytes are read from a 64-byte array; no alignment needed.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// A table of 128 bytes in two registers.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn table(bytes: &[u8; 128]) -> [__m512i; 2] {
    let (halves, _) = bytes.as_chunks::<64>();
    [whole(&halves[0]), whole(&halves[1])]
}

/// # Safety
/// The kernels must be [`available`].
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn class_masks(low: &[u8; 16], high: &[u8; 16], text: &[u8], masks: &mut Vec<u64>) {
    // SAFETY: 16 bytes are read from 16-byte arrays; no alignment needed.
    let (low, high) = unsafe {
        (
            _mm512_broadcast_i32x4(_mm_loadu_si128(low.as_ptr().cast())),
            _mm512_broadcast_i32x4(_mm_loadu_si128(high.as_ptr().cast())),
        )
    };
    let nibble = _mm512_set1_epi8(15);
    let mask = |bytes: __m512i| {
        let below = _mm512_shuffle_epi8(low, _mm512_and_si512(bytes, nibble));
        let above = _mm512_shuffle_epi8(high, _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), nibble));
        _mm512_test_epi8_mask(below, above)
    };
    let (blocks, rest) = text.as_chunks::<64>();
    masks.reserve(blocks.len() + 1);
    for block in blocks {
        masks.push(mask(whole(block)));
    }
    masks.push(mask(load(rest)) & first(rest.len()));
}

/// See [`super::runs`].
///
/// # Safety
/// The kernels must be [`available`].
#[target_feature(enable = "avx512f,avx512bw,popcnt")]
pub(super) unsafe fn runs<T: Runs>(class: &Class, text: &[u8], mut take: T) -> T {
    // SAFETY: 16 bytes are read from 16-byte arrays; no alignment needed.
    let (low, high) = unsafe {
        (
            _mm512_broadcast_i32x4(_mm_loadu_si128(class.low.as_ptr().cast())),
            _mm512_broadcast_i32x4(_mm_loadu_si128(class.high.as_ptr().cast())),
        )
    };
    let (nibble, third) = (_mm512_set1_epi8(15), _mm512_set1_epi8(DECIMALS as i8));
    let sets = |bytes: __m512i| {
        let below = _mm512_shuffle_epi8(low, _mm512_and_si512(bytes, nibble));
        let above = _mm512_shuffle_epi8(high, _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), nibble));
        let sets = _mm512_and_si512(below, above);
        (_mm512_test_epi8_mask(sets, sets), _mm512_test_epi8_mask(sets, third))
    };
    let signs = |bytes: __m512i| {
        let is = |sign: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(sign as i8));
        SIGNS.into_iter().fold(0, |signs, sign| signs | is(sign))
    };
    let (all, rest) = text.as_chunks::<64>();
    let mut before = _mm512_setzero_si512();
    for block in all.iter().map(|block| whole(block)).chain([load(rest)]) {
        // Zeros are no digits.
        let (run, decimals) = sets(block);
        take.block(run, decimals, || [before, block].map(&signs));
        before = block;
    }
    take
}

/// # Safety
/// The kernels must be [`available`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni,popcnt")]
pub(super) unsafe fn eight<B: Blocks>(sets: &Eight, text: &[u8], mut blocks: B) -> B {
    let ([low, up], wide) = (table(&sets.bits), _mm512_set1_epi8(sets.wide as i8));
    // Eight bytes are an 8x8 matrix of bits. Multiplied with the identity it is transposed, if its rows come in reverse.
    let identity = _mm512_set1_epi64(0x8040_2010_0804_0201_u64 as i64);
    let reversed = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0809_0A0B_0C0D_0E0F, 0x0001_0203_0405_0607));
    // Byte `8 * g + k` of the transposed groups is byte `g` of word `k`.
    let mut places = [0u8; 64];
    for (i, place) in places.iter_mut().enumerate() {
        *place = (8 * (i % 8) + i / 8) as u8;
    }
    let places = whole(&places);
    let row = |bytes: __m512i, within: u64| {
        let other = _mm512_movepi8_mask(bytes);
        let bits = _mm512_maskz_permutex2var_epi8(within, low, bytes, up);
        let bits = _mm512_mask_mov_epi8(bits, other, wide);
        let groups = _mm512_gf2p8affine_epi64_epi8::<0>(identity, _mm512_shuffle_epi8(bits, reversed));
        let words = _mm512_permutexvar_epi8(places, groups);
        // SAFETY: both are 64 bytes of plain integers.
        (unsafe { std::mem::transmute::<__m512i, Row>(words) }, other)
    };
    let (all, rest) = text.as_chunks::<64>();
    let mut rows = [[0; 8]; ROWS];
    for some in all.chunks(ROWS) {
        let mut wide = 0;
        for (to, block) in rows.iter_mut().zip(some) {
            let other;
            (*to, other) = row(whole(block), u64::MAX);
            wide |= other;
        }
        blocks.blocks(&rows[..some.len()], wide != 0);
    }
    let (last, wide) = row(load(rest), first(rest.len()));
    blocks.blocks(&[last], wide != 0);
    blocks
}

/// Writes the bytes of `bytes` that `keep` has a bit for, and returns how many those are.
///
/// # Safety
/// There must be room for 64 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
pub(super) unsafe fn write(bytes: __m512i, keep: u64, to: *mut u8) -> usize {
    // SAFETY: the caller's promise; no alignment needed.
    unsafe { _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi8(keep, bytes)) };
    keep.count_ones() as usize
}

/// Appends what `keep` says of each 64 bytes of a text and of what is left, of which it is told where they are, up to the first
/// block of which it says that nothing after it is wanted. Returns where that was.
///
/// # Safety
/// The kernels must be [`available`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
unsafe fn append(
    text: &[u8],
    out: &mut Vec<u8>,
    mut keep: impl FnMut(usize, __m512i, u64) -> (u64, usize),
) -> usize {
    out.reserve(text.len() + 64);
    let mut length = out.len();
    let to = out.as_mut_ptr();
    let mut end = text.len();
    for at in (0..text.len()).step_by(64) {
        let (bytes, within) = load_at(text, at);
        let (kept, until) = keep(at, bytes, within);
        // SAFETY: no block adds more than it has, so there is room for one more; what is counted is initialised.
        length += unsafe { write(bytes, kept, to.add(length)) };
        if until < 64 && at + until < text.len() {
            end = at + until;
            break;
        }
    }
    // SAFETY: as many bytes were initialised, within what was reserved.
    unsafe { out.set_len(length) };
    end
}

/// Appends a text without some of its bytes.
///
/// # Safety
/// The kernels must be [`available`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
pub(super) unsafe fn without<const N: usize>(unwanted: [u8; N], text: &[u8], out: &mut Vec<u8>) {
    let unwanted = unwanted.map(|byte| _mm512_set1_epi8(byte as i8));
    let keep = |_, bytes: __m512i, within: u64| {
        let kept =
            unwanted.iter().fold(within, |kept, &byte| _mm512_mask_cmpneq_epi8_mask(kept, bytes, byte));
        (kept, 64)
    };
    // SAFETY: the kernels are available.
    unsafe { append(text, out, keep) };
}

/// The bytes of U+FFFD among 64 from a position on. `begun` has bits for those of a character that began before it, and then for
/// those of one that goes on after them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn replacements(text: &[u8], at: usize, begun: &mut u64) -> u64 {
    let [first, second, third] = [(0, 0xEF), (1, 0xBF), (2, 0xBD)].map(|(place, byte)| {
        let (bytes, within) = load_at(text, at + place);
        _mm512_mask_cmpeq_epi8_mask(within, bytes, _mm512_set1_epi8(byte as u8 as i8))
    });
    let starts = first & second & third;
    let all = starts | starts << 1 | starts << 2 | *begun;
    *begun = (starts >> 63 | starts >> 62) & 1 | starts >> 63 << 1;
    all
}

/// Appends a text without U+FFFD.
///
/// # Safety
/// The kernels must be [`available`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
pub(super) unsafe fn without_replacements(text: &[u8], out: &mut Vec<u8>) {
    let mut begun = 0;
    let keep = |at: usize, _, within: u64| (within & !replacements(text, at, &mut begun), 64);
    // SAFETY: the kernels are available.
    unsafe { append(text, out, keep) };
}

/// Appends the printable characters of the ASCII and U+FFFD that a text begins with, and tabs and line ends if `lines`;
/// returns how much of the text that was.
///
/// # Safety
/// The kernels must be [`available`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
pub(super) unsafe fn printable(text: &[u8], lines: bool, out: &mut Vec<u8>) -> usize {
    let (space, last) = (_mm512_set1_epi8(b' ' as i8), _mm512_set1_epi8(0x5e));
    let line = [b'\t', b'\n', b'\r'].map(|line| _mm512_set1_epi8(line as i8));
    let lines = if lines { u64::MAX } else { 0 };
    let mut begun = 0;
    let keep = |at: usize, bytes: __m512i, within: u64| {
        let high = _mm512_movepi8_mask(bytes);
        let replaced = if high == 0 { 0 } else { replacements(text, at, &mut begun) };
        let until = (high & !replaced).trailing_zeros() as usize;
        let printable = _mm512_cmple_epu8_mask(_mm512_sub_epi8(bytes, space), last);
        let [tab, lf, cr] = line.map(|line| _mm512_cmpeq_epi8_mask(bytes, line));
        ((printable | (tab | lf | cr) & lines | replaced) & within & first(until), until)
    };
    // SAFETY: the kernels are available.
    unsafe { append(text, out, keep) }
}

/// The tables of a place in registers.
type Place = [[__m512i; 2]; 2];

#[inline]
#[target_feature(enable = "avx512f")]
fn places(tables: &Tables, from: usize) -> [Place; 4] {
    std::array::from_fn(|place| {
        let [a, b] = &tables.bytes[from + place];
        [table(a), table(b)]
    })
}

/// The table of a place by entries, in halves.
#[inline]
#[target_feature(enable = "avx512f")]
fn entries<const HALVES: usize>(place: &[[u8; ENTRIES]; 2]) -> [__m512i; HALVES] {
    std::array::from_fn(|half| whole(&place[half]))
}

/// The entries of bytes.
#[inline]
#[target_feature(enable = "avx512f,gfni")]
fn entries_of(bytes: __m512i) -> __m512i {
    // The last row gives the lowest bit; the upper two are not looked at.
    _mm512_gf2p8affine_epi64_epi8::<0>(bytes, _mm512_set1_epi64(0x0102_0408_1040_0000))
}

/// The buckets, in halves, that allow the bytes at four places.
#[inline]
#[target_feature(enable = "avx512f,avx512vbmi")]
fn allowed<const HALVES: usize>(places: &[Place; 4], bytes: [__m512i; 4]) -> [__m512i; HALVES] {
    std::array::from_fn(|half| {
        let [a, b, c, d] = std::array::from_fn(|place| {
            let [low, up] = places[place][half];
            _mm512_permutex2var_epi8(low, bytes[place], up)
        });
        _mm512_and_si512(_mm512_and_si512(a, b), _mm512_and_si512(c, d))
    })
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn any<const HALVES: usize>(halves: [__m512i; HALVES]) -> u64 {
    let all = halves.into_iter().fold(_mm512_setzero_si512(), |a, b| _mm512_or_si512(a, b));
    _mm512_test_epi8_mask(all, all)
}

/// What four places from one on hold, for 64 positions.
#[inline]
#[target_feature(enable = "avx512f")]
fn four(bytes: &[u8; 71], from: usize) -> [__m512i; 4] {
    std::array::from_fn(|place| {
        let at = from + place;
        debug_assert!(at <= 7);
        // SAFETY: 64 bytes at up to 7 of 71; no alignment needed.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().add(at.min(7)).cast()) }
    })
}

/// # Safety
/// The kernels must be [`available`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
pub(super) unsafe fn windows(
    tables: &Tables,
    text: &[u8],
    candidate: &mut impl FnMut(usize, u16) -> bool,
) -> Result<usize, Stopped> {
    // SAFETY: the caller's promise.
    unsafe {
        if tables.is_half {
            windows_in::<1>(tables, text, candidate)
        } else {
            windows_in::<2>(tables, text, candidate)
        }
    }
}

/// The search in the first or in both halves of the buckets.
///
/// # Safety
/// The kernels must be [`available`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
unsafe fn windows_in<const HALVES: usize>(
    tables: &Tables,
    text: &[u8],
    candidate: &mut impl FnMut(usize, u16) -> bool,
) -> Result<usize, Stopped> {
    let mut buckets = [[0; 64]; 2];
    let mut at = 0;
    loop {
        // SAFETY: the caller's promise.
        let (block, positions, mut hits) = unsafe { next::<HALVES>(tables, text, at, &mut buckets) };
        while hits != 0 {
            let i = (hits.trailing_zeros() % 64) as usize;
            hits &= hits - 1;
            if candidate(block + i, u16::from(buckets[0][i]) | u16::from(buckets[1][i]) << 8) {
                return Err(Stopped);
            }
        }
        at = block + positions;
        if positions == 0 {
            return Ok(at);
        }
    }
}

/// Up to 64 positions from one on that hold the next candidates: where they begin, how many they are, and a bit for each
/// candidate, of which `buckets` gets the buckets. None where there are no more. Called for each such block, because nothing
/// stays in vector registers while a candidate is looked at.
///
/// # Safety
/// The kernels must be [`available`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
unsafe fn next<const HALVES: usize>(
    tables: &Tables,
    text: &[u8],
    mut at: usize,
    buckets: &mut [[u8; 64]; 2],
) -> (usize, usize, u64) {
    let window: [[__m512i; HALVES]; 4] = std::array::from_fn(|place| entries(&tables.entries[place]));
    // Of the costliest windows, which are in the first half, the end of the tail tells most: a dot behind six other characters.
    let last = whole(&tables.entries[7][0]);
    let mut tell = |halves: [__m512i; HALVES]| {
        for (buckets, half) in buckets.iter_mut().zip(halves) {
            // SAFETY: 64 bytes are written to a 64-byte array; no alignment needed.
            unsafe { _mm512_storeu_si512(buckets.as_mut_ptr().cast(), half) };
        }
    };
    while let Some(bytes) = text.get(at..).and_then(|rest| rest.first_chunk::<71>()) {
        let here = four(bytes, 0).map(|bytes| entries_of(bytes));
        let mut halves: [__m512i; HALVES] = std::array::from_fn(|half| {
            let [a, b, c, d] =
                std::array::from_fn(|place| _mm512_permutexvar_epi8(here[place], window[place][half]));
            _mm512_and_si512(_mm512_and_si512(a, b), _mm512_and_si512(c, d))
        });
        let seventh = entries_of(four(bytes, 4)[3]);
        halves[0] = _mm512_and_si512(halves[0], _mm512_permutexvar_epi8(seventh, last));
        if any(halves) != 0 {
            // Loaded each time, or these tables would take the registers of those that every block needs.
            let rare = std::hint::black_box(tables);
            let followed: [__m512i; HALVES] = allowed(&places(rare, 4), four(bytes, 4));
            halves = std::array::from_fn(|half| _mm512_and_si512(halves[half], followed[half]));
            if any(halves) != 0 {
                // In runs of digits and letters most candidates begin within words.
                let (before, _) = load_at(text, at.wrapping_sub(1));
                let wide = _mm512_movepi8_mask(before);
                for (half, allowed) in halves.iter_mut().zip(&rare.before) {
                    let [low, up] = table(allowed);
                    let allowed = _mm512_permutex2var_epi8(low, before, up);
                    *half = _mm512_and_si512(*half, _mm512_mask_set1_epi8(allowed, wide, -1));
                }
                let hits = any(halves);
                if hits != 0 {
                    tell(halves);
                    return (at, 64, hits);
                }
            }
        }
        at += 64;
    }
    // The last place of the last position of a block is three bytes beyond it: positions without it are left to the
    // scalar twin. What lies beyond the text is allowed in tails.
    let window = places(tables, 0);
    while at + 4 <= text.len() {
        let positions = (text.len() - at - 3).min(64);
        let mut halves: [__m512i; HALVES] =
            allowed(&window, std::array::from_fn(|place| load_at(text, at + place).0));
        let mut hits = any(halves) & first(positions);
        if hits != 0 {
            for (place, tables) in places(tables, 4).iter().enumerate() {
                let (bytes, there) = load_at(text, at + 4 + place);
                for (half, &[low, up]) in halves.iter_mut().zip(tables) {
                    let allowed = _mm512_permutex2var_epi8(low, bytes, up);
                    *half = _mm512_and_si512(*half, _mm512_mask_set1_epi8(allowed, !there, -1));
                }
            }
            hits &= any(halves);
            if hits != 0 {
                tell(halves);
                return (at, positions, hits);
            }
        }
        at += positions;
    }
    (at, 0, 0)
}
