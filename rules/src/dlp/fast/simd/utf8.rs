//! Whether a text is UTF-8: the question of every body that is not ASCII, where the standard library goes from character to
//! character.

/// Whether a text is UTF-8.
pub(crate) fn is_utf8(text: &[u8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if super::wide::available() {
        // SAFETY: the kernels are available.
        return unsafe { x86::is_utf8(text) };
    }
    std::str::from_utf8(text).is_ok()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::wide::load_at;

    /// # Safety
    /// The wide kernels must be available.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) unsafe fn is_utf8(text: &[u8]) -> bool {
        // Bytes that must go on with a character which begins in the block before, and of these the second ones behind E0, ED,
        // F0 and F4, of which not every follower may be one.
        let (mut carried, mut seconds) = (0, [0; 4]);
        for at in (0..text.len()).step_by(64) {
            // Behind the end are zeros, with which no character goes on.
            let (bytes, _) = load_at(text, at);
            let high = _mm512_movepi8_mask(bytes);
            if high | carried == 0 {
                continue;
            }
            let from = |byte: u8| _mm512_cmpge_epu8_mask(bytes, _mm512_set1_epi8(byte as i8));
            let is = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8));
            let (begins, long, longest) = (from(0xC2), from(0xE0), from(0xF0));
            let follows = high & !from(0xC0);
            let wanted = carried | begins << 1 | long << 2 | longest << 3;
            let first = [0xE0, 0xED, 0xF0, 0xF4].map(is);
            let [e0, ed, f0, f4] = std::array::from_fn(|i| first[i] << 1 | seconds[i]);
            let (from_90, from_a0) = (from(0x90), from(0xA0));
            // What is longer than need be, a surrogate, or beyond the last character.
            let wrong = e0 & !from_a0 | ed & from_a0 | f0 & !from_90 | f4 & from_90 | from(0xF5);
            let never = high & !follows & !begins;
            if wrong | never | (wanted ^ follows) != 0 {
                return false;
            }
            carried = begins >> 63 | long >> 62 | longest >> 61;
            seconds = first.map(|mask| mask >> 63);
        }
        carried == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::is_utf8;

    #[test]
    fn every_two_and_three_bytes_are_told_as_by_the_standard_library() {
        let edges = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1];
        let edges = [&edges[..], &[0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]].concat();
        for before in [0, 60, 61, 62, 63, 64] {
            let mut text = vec![b'a'; before];
            for a in 0..=255 {
                for b in 0..=255 {
                    text.truncate(before);
                    text.extend([a, b]);
                    assert_eq!(is_utf8(&text), std::str::from_utf8(&text).is_ok(), "{before} {a:x} {b:x}");
                    for &c in &edges {
                        text.truncate(before + 2);
                        text.push(c);
                        let told = std::str::from_utf8(&text).is_ok();
                        assert_eq!(is_utf8(&text), told, "{before} {a:x} {b:x} {c:x}");
                        for d in [b'a', 0x80, 0xBF, 0xC2] {
                            text.truncate(before + 3);
                            text.push(d);
                            let told = std::str::from_utf8(&text).is_ok();
                            assert_eq!(is_utf8(&text), told, "{before} {a:x} {b:x} {c:x} {d:x}");
                        }
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn texts_of_characters_and_parts_of_them_are_told_as_by_the_standard_library(
            parts in proptest::collection::vec(
                prop_oneof![
                    60 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
                    60 => select(vec!["a", "é", "я", "글", "漢", "\u{10FFFF}", "\u{D7FF}", "\u{E000}", "𝒳"])
                        .prop_map(|text| text.as_bytes().to_vec()),
                    1 => any::<u8>().prop_map(|byte| vec![byte]),
                ],
                0..120,
            ),
        ) {
            let text = parts.concat();
            prop_assert_eq!(is_utf8(&text), std::str::from_utf8(&text).is_ok(), "{:x?}", text);
        }
    }
}
