//! Texts with each byte replaced as a table has it.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Makes `out` the text with each ASCII byte as the table has it, and all others as they are. `false`, and nothing is done,
/// where there is no kernel: comparisons that suit the table are then quicker than looking each byte up.
pub(crate) fn translate(table: &[u8; 128], text: &[u8], out: &mut Vec<u8>) -> bool {
    #[cfg(target_arch = "x86_64")]
    if super::wide::available() {
        out.clear();
        out.resize(text.len(), 0);
        // SAFETY: the kernels are available.
        unsafe { translate_wide(table, text, out) };
        return true;
    }
    let _ = (table, text, out);
    false
}

/// Writes as many bytes as both texts have.
///
/// # Safety
/// The wide kernels must be available.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn translate_wide(table: &[u8; 128], text: &[u8], out: &mut [u8]) {
    // SAFETY: 64 bytes are read from each half of a 128-byte array; no alignment needed.
    let [low, up] = [0, 64].map(|at| unsafe { _mm512_loadu_si512(table.as_ptr().add(at).cast()) });
    let step = |from: &[u8; 64], to: &mut [u8; 64]| {
        // SAFETY: 64 bytes are read from a 64-byte array; no alignment needed.
        let bytes = unsafe { _mm512_loadu_si512(from.as_ptr().cast()) };
        let other = _mm512_movepi8_mask(bytes);
        let mapped = _mm512_mask_mov_epi8(_mm512_permutex2var_epi8(low, bytes, up), other, bytes);
        // SAFETY: 64 bytes are written to a 64-byte array; no alignment needed.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), mapped) };
    };
    let (blocks, rest) = text.as_chunks::<64>();
    let (out, out_rest) = out.as_chunks_mut::<64>();
    for (from, to) in blocks.iter().zip(out) {
        step(from, to);
    }
    let (mut from, mut to) = ([0; 64], [0; 64]);
    from[..rest.len()].copy_from_slice(rest);
    step(&from, &mut to);
    let most = out_rest.len().min(to.len());
    out_rest.copy_from_slice(&to[..most]);
}
