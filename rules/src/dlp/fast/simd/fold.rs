//! What characters become, sixteen at a time.
//!
//! Masks over 64 bytes tell where characters begin and which bytes belong to none. Sixteen of these at a time are decoded, each
//! in a lane of its own; what they become is looked up one by one, and put side by side again. Without AVX-512 the caller's
//! loop over the characters does all the work.

/// What a text began with.
#[derive(Default)]
pub(crate) struct Folded {
    /// Length of the text that was looked at.
    pub(crate) read: usize,
    /// The flags of all of it.
    pub(crate) flags: u32,
    /// Where the last character that was kept begins, line ends left aside: in the text and in the buffer.
    pub(crate) last: Option<(usize, usize)>,
    /// That one is ASCII or U+FFFD.
    pub(crate) solid: bool,
    /// Tabs or line ends follow it.
    pub(crate) lines: bool,
}

/// The parts of an entry, which says what becomes of a character: flags, a code, and up to three bytes. A code up to three is the
/// number of bytes.
pub(crate) mod entry {
    pub(crate) const FLAGS: u32 = 15 << 28;
    pub(crate) const CODE: u32 = 24;
    /// Code: the character itself.
    pub(crate) const KEPT: u32 = 4;
    /// Codes: nothing, and as if it were not there.
    pub(crate) const NOTHING: [u32; 2] = [8, 10];
}

/// Appends what becomes of the characters and stray bytes that a text begins with, as long as that is short; of tabs and line ends
/// themselves if `lines`. Ends early before 32 bytes of ASCII. `page_of` gives the entries of the 256 characters whose codes have
/// such upper bits, of which none is ASCII; where there are none, all stay. `stray` is the entry of a byte that belongs to no
/// character, `gone` that of a control character.
pub(crate) fn fold(
    text: &[u8],
    lines: bool,
    [stray, gone]: [u32; 2],
    page_of: impl Fn(u32) -> Option<&'static [u32; 256]>,
    out: &mut Vec<u8>,
) -> Folded {
    #[cfg(target_arch = "x86_64")]
    if super::wide::available() && std::arch::is_x86_feature_detected!("bmi2") {
        // SAFETY: the kernels and BMI2 are available.
        return unsafe { x86::fold(text, lines, [stray, gone], page_of, out) };
    }
    let _ = (text, lines, stray, gone, page_of, out);
    Folded::default()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::wide::{first, load_at};
    use super::{Folded, entry};

    /// Where characters begin in 64 bytes, and which of them have how many bytes.
    struct Starts {
        all: u64,
        ascii: u64,
        /// Of two, three and four bytes.
        long: [u64; 3],
        /// How many bytes they are of which all is known.
        known: usize,
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn starts(bytes: __m512i, within: u64) -> Starts {
        let from = |byte: u8| _mm512_cmpge_epu8_mask(bytes, _mm512_set1_epi8(byte as i8));
        let is = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8));
        let (three, four) = (from(0xE0), from(0xF0));
        let high = from(0x80);
        let follows = high & !from(0xC0);
        let (second, both) = (follows >> 1, follows >> 1 & follows >> 2);
        let (from_90, from_a0) = (from(0x90) >> 1, from(0xA0) >> 1);
        let two = from(0xC2) & !three & second;
        // Neither longer than need be nor surrogates.
        let three = three & !four & both & !(is(0xE0) & !from_a0) & !(is(0xED) & from_a0);
        let four = four & !from(0xF5) & both & follows >> 3 & !(is(0xF0) & !from_90) & !(is(0xF4) & from_90);
        let rest = (two | three | four) << 1 | (three | four) << 2 | four << 3;
        let all = within & !rest;
        // What the last bytes begin may go on behind them.
        let (all, known) = match within {
            u64::MAX => (all & first(61), 61 + (all >> 61 | 8).trailing_zeros() as usize),
            _ => (all, within.count_ones() as usize),
        };
        Starts { all, ascii: !high, long: [two, three, four], known }
    }

    /// # Safety
    /// The wide kernels and BMI2 must be available.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi2,popcnt")]
    pub(super) unsafe fn fold(
        text: &[u8],
        lines: bool,
        [stray, gone]: [u32; 2],
        page_of: impl Fn(u32) -> Option<&'static [u32; 256]>,
        out: &mut Vec<u8>,
    ) -> Folded {
        let dwords = |value: u32| _mm512_set1_epi32(value as i32);
        let mut numbers = [0u8; 64];
        (0..).zip(&mut numbers).for_each(|(number, place)| *place = number);
        // SAFETY: 64 bytes are read from an array of as many; no alignment needed.
        let numbers = unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) };
        // The first byte of each lane in all of its bytes; and the number of each byte in its lane.
        let spread = _mm512_set4_epi32(0x0C0C_0C0C, 0x0808_0808, 0x0404_0404, 0);
        let order = dwords(0x0302_0100);
        let mut flags = _mm512_setzero_si512();
        let mut folded = Folded::default();
        loop {
            let (bytes, within) = load_at(text, folded.read);
            let high = _mm512_movepi8_mask(bytes);
            if high.trailing_zeros() >= 32 {
                break;
            }
            let starts = starts(bytes, within);
            let printable = _mm512_cmple_epu8_mask(
                _mm512_sub_epi8(bytes, _mm512_set1_epi8(b' ' as i8)),
                _mm512_set1_epi8(0x5e),
            );
            let is = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8));
            let line = if lines { is(b'\t') | is(b'\n') | is(b'\r') } else { 0 };
            // One bit for each character.
            let of = |mask: u64| _pext_u64(mask, starts.all);
            let [ascii, printable, line] = [starts.ascii, printable, line].map(of);
            let long = starts.long.map(of);
            let mut places = [0u8; 64];
            // SAFETY: 64 bytes are written to an array of as many; no alignment needed.
            unsafe {
                let compressed = _mm512_maskz_compress_epi8(starts.all, numbers);
                _mm512_storeu_si512(places.as_mut_ptr().cast(), compressed);
            }
            let count = starts.all.count_ones() as usize;
            // No character becomes more than four bytes.
            out.reserve(4 * 64);
            for from in (0..count).step_by(16) {
                let within = first(count - from) as u16;
                let of = |mask: u64| (mask >> from) as u16;
                let (ascii, line) = (of(ascii), of(line));
                let [two, three, four] = long.map(of);
                // SAFETY: `from` is at most 48, so 16 bytes are read from the 64; no alignment needed.
                let here = unsafe { _mm_loadu_si128(places.as_ptr().add(from).cast()) };
                let here = _mm512_shuffle_epi8(_mm512_cvtepu8_epi32(here), spread);
                let word = _mm512_permutexvar_epi8(_mm512_add_epi8(here, order), bytes);
                let low = |shifted: __m512i, bits: u32| _mm512_and_si512(shifted, dwords((1 << bits) - 1));
                let tail = [
                    low(_mm512_srli_epi32::<8>(word), 6),
                    low(_mm512_srli_epi32::<16>(word), 6),
                    low(_mm512_srli_epi32::<24>(word), 6),
                ];
                let next = |code: __m512i, tail: __m512i| _mm512_or_si512(_mm512_slli_epi32::<6>(code), tail);
                let second = next(low(word, 5), tail[0]);
                let third = next(next(low(word, 4), tail[0]), tail[1]);
                let fourth = next(next(next(low(word, 3), tail[0]), tail[1]), tail[2]);
                let mut code = _mm512_maskz_mov_epi32(two, second);
                code = _mm512_mask_mov_epi32(code, three, third);
                code = _mm512_mask_mov_epi32(code, four, fourth);
                let is_long = two | three | four;
                // The letters of most scripts are of one page; ideographs are of many.
                let (pages, places_in_page) = (_mm512_srli_epi32::<8>(code), low(code, 8));
                let (mut left, mut entries) = (is_long, dwords(entry::KEPT << entry::CODE));
                let number =
                    _mm_cvtsi128_si32(_mm512_castsi512_si128(_mm512_maskz_compress_epi32(is_long, pages)));
                let here = _mm512_mask_cmpeq_epi32_mask(is_long, pages, dwords(number as u32));
                if 4 * here.count_ones() >= 3 * is_long.count_ones() {
                    if let Some(page) = page_of(number as u32) {
                        // SAFETY: what is read has an index below 256, and a page has as many entries.
                        entries = unsafe {
                            _mm512_mask_i32gather_epi32::<4>(
                                entries,
                                here,
                                places_in_page,
                                page.as_ptr().cast(),
                            )
                        };
                    }
                    left &= !here;
                }
                if left != 0 {
                    let mut looked_up = [0u32; 16];
                    let entry_of = |code: u32| match page_of(code >> 8) {
                        Some(page) => page[(code & 0xFF) as usize],
                        None => entry::KEPT << entry::CODE,
                    };
                    // SAFETY: 64 bytes are written to an array of as many, and read from it; no alignment needed.
                    entries = unsafe {
                        let packed = _mm512_maskz_compress_epi32(left, code);
                        _mm512_storeu_si512(looked_up.as_mut_ptr().cast(), packed);
                        for entry in looked_up.iter_mut().take(left.count_ones() as usize) {
                            *entry = entry_of(*entry);
                        }
                        let looked_up = _mm512_loadu_si512(looked_up.as_ptr().cast());
                        _mm512_mask_expand_epi32(entries, left, looked_up)
                    };
                }
                let single = _mm512_or_si512(low(word, 8), dwords(1 << entry::CODE));
                let kept_ascii = ascii & (of(printable) | line);
                let stray_or_same =
                    !(is_long | ascii) | three & _mm512_cmpeq_epi32_mask(code, dwords(0xFFFD));
                entries = _mm512_mask_mov_epi32(entries, kept_ascii, single);
                entries = _mm512_mask_mov_epi32(entries, ascii & !kept_ascii, dwords(gone));
                entries = _mm512_mask_mov_epi32(entries, stray_or_same, dwords(stray));
                let kind = low(_mm512_srli_epi32::<{ entry::CODE }>(entries), 4);
                let kept = _mm512_cmpeq_epi32_mask(kind, dwords(entry::KEPT));
                let short = _mm512_cmplt_epu32_mask(kind, dwords(entry::KEPT));
                let nothing = entry::NOTHING.map(|code| _mm512_cmpeq_epi32_mask(kind, dwords(code)));
                let other = within & !(kept | short | nothing[0] | nothing[1]);
                let lanes = (other.trailing_zeros() as usize).min(count - from).min(16);
                let taken = first(lanes) as u16;
                let mut length = _mm512_maskz_mov_epi32(short, kind);
                for (mask, bytes) in [(two, 2), (three, 3), (four, 4)] {
                    length = _mm512_mask_mov_epi32(length, kept & mask, dwords(bytes));
                }
                let length = _mm512_shuffle_epi8(length, spread);
                let keep = _mm512_cmplt_epu8_mask(order, length) & first(4 * lanes);
                let made = _mm512_mask_mov_epi32(entries, kept, word);
                let filled = out.len();
                // SAFETY: there is room for 64 bytes more than the four of each character before; those counted are
                // initialised.
                unsafe {
                    let to = out.as_mut_ptr().add(filled).cast();
                    _mm512_storeu_si512(to, _mm512_maskz_compress_epi8(keep, made));
                    out.set_len(filled + keep.count_ones() as usize);
                }
                flags = _mm512_or_si512(flags, _mm512_maskz_mov_epi32(taken, entries));
                let (solid, line) = (kept_ascii & !line | stray_or_same, line & taken);
                let counts = taken & (is_long & (kept | short) | solid);
                if counts == 0 {
                    folded.lines |= line != 0;
                } else {
                    let lane = counts.ilog2() as usize;
                    let before = (keep & first(4 * lane)).count_ones() as usize;
                    folded.last = Some((folded.read + usize::from(places[from + lane]), filled + before));
                    folded.solid = solid >> lane & 1 != 0;
                    folded.lines = line >> lane != 0;
                }
                if other != 0 {
                    folded.read += usize::from(places[from + lanes]);
                    folded.flags = _mm512_reduce_or_epi32(flags) as u32 & entry::FLAGS;
                    return folded;
                }
            }
            folded.read += starts.known;
        }
        folded.flags = _mm512_reduce_or_epi32(flags) as u32 & entry::FLAGS;
        folded
    }
}
