//! Base64 digits that are shown to be noise, against what they decode to.

use std::sync::LazyLock;

use super::super::simd::{MOST_DIGITS, narrow_outline_of_digits, outline_of_digits, outline_short};
use super::*;

/// One to 64 bytes: noise, printable text and characters of several bytes, in turn.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..12),
        "[ -~]{0,14}".prop_map(String::into_bytes),
        "[ -~é\u{130}①ﬁ⑽Ａ＝\u{FDFA}\u{212A}\u{1D400}\u{301}\u{AD}\0]{0,7}".prop_map(String::into_bytes),
        secret_part(),
    ];
    (part.clone(), proptest::collection::vec(part, 0..9)).prop_map(|(first, rest)| {
        let mut bytes = [first, rest.concat()].concat();
        if bytes.is_empty() {
            bytes.push(0);
        }
        bytes.truncate(64);
        bytes
    })
}

/// Some characters of a secret.
fn secret_part() -> impl Strategy<Value = Vec<u8>> {
    let secrets = secrets();
    (0..secrets.len(), 0usize..20, 4usize..20)
        .prop_map(move |(which, from, len)| secrets[which].bytes().skip(from).take(len).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn digits_are_classified_as_what_they_decode_to(bytes in bytes(), url_safe in any::<bool>()) {
        let digits = encode(&bytes, if url_safe { 3 } else { 1 });
        let digits = digits.strip_suffix(b"==").or(digits.strip_suffix(b"=")).unwrap_or(&digits);
        prop_assert!(digits.len() <= MOST_DIGITS);
        let expected = outline_short(&bytes);
        for outline in [outline_of_digits, narrow_outline_of_digits] {
            prop_assert_eq!(outline(digits, &mut Vec::new()), expected);
        }
    }

    #[test]
    fn digits_that_are_noise_decode_to_nothing(bytes in bytes()) {
        static SCANNER: LazyLock<Scanner> = LazyLock::new(scanner);
        let mut stretches = Stretches::new();
        if stretches.are_noise(&SCANNER.kernel, &encode(&bytes, 2)) {
            prop_assert!(stretches.possible(&SCANNER.kernel, &bytes).is_nothing(), "{:?}", bytes);
        }
    }
}

/// Bytes of which none is part of valid UTF-8, nor of a match.
fn meaningless(len: usize) -> Vec<u8> {
    (0..len).map(|at| [0x9c, 0xf8, 0xc0, 0xff, 0x80][at * 7 % 5]).collect()
}

#[test]
fn what_stands_in_noise_is_seen_wherever_it_stands() {
    let s = scanner_of(Strictness::Hardened);
    let mut stretches = Stretches::new();
    let mut secrets: Vec<Vec<u8>> = secrets().into_iter().map(String::into_bytes).collect();
    for written in ["A_TOKEN=abcdef", "A_TOKEN = abcdef", "A_TOKEN\0=\0abcdef", "A_TOKEN\u{ff1d}abcdef"] {
        secrets.push(written.as_bytes().to_vec());
        secrets.push(written.replace(' ', "+").into_bytes());
    }
    // No word of a phrase has U+FFFD in it.
    secrets.push(format!(" {}about ", "abandon ".repeat(11)).into_bytes());
    let matches = |bytes: &[u8]| s.has_hit(&crate::text::norm_dlp(bytes));
    let mut seen = [0; 3];
    for secret in &secrets {
        for before in 0..140 {
            for after in [0, 1, 3, 70] {
                let text = [meaningless(before), secret.clone(), meaningless(after)].concat();
                let possible = stretches.possible(&s.kernel, &text);
                let spaced: Vec<u8> = text.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
                let expected = [
                    matches(&text),
                    matches(&spaced) && spaced != text,
                    seed::detect(&crate::text::lossy(&text), SeedSettings::default()),
                ];
                let have = [possible.rule, possible.encoded, possible.phrase];
                for (i, (have, expected)) in have.into_iter().zip(expected).enumerate() {
                    assert!(have || !expected, "{i} of {:?} at {before}", String::from_utf8_lossy(secret));
                    seen[i] += u32::from(expected);
                }
            }
        }
    }
    assert!(seen.iter().all(|&seen| seen > 200), "{seen:?}");
}

#[test]
fn what_is_encoded_in_noise_is_seen_wherever_it_stands() {
    let kernel = scanner_of(Strictness::Hardened).kernel;
    let mut stretches = Stretches::new();
    let mut nested = |inner: &[u8], before, after| {
        let text = [meaningless(before), inner.to_vec(), meaningless(after)].concat();
        stretches.possible(&kernel, &text).nested
    };
    for before in 0..200 {
        for after in [0, 1, 66] {
            for inner in ["QUJDREVGR0hJSktM", "%41", "%zz%4g%4F", "\u{1d400}\u{e9}\u{212a}\u{ff21}\u{ff22}A"]
            {
                assert!(nested(inner.as_bytes(), before, after), "{inner} at {before}");
            }
            for inner in ["QUJDREVGR0hJSkt", "%4", "%", "%zz%4g%"] {
                assert!(!nested(inner.as_bytes(), before, after), "{inner} at {before}");
            }
        }
    }
}

#[test]
fn most_noise_is_shown_to_be_noise() {
    let kernel = scanner().kernel;
    let mut stretches = Stretches::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let noise = (0..1000).filter(|_| {
        let digits: Vec<u8> = (0..64)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-"[state as usize % 64]
            })
            .collect();
        stretches.are_noise(&kernel, &digits)
    });
    let noise = noise.count();
    assert!(noise > 800, "of 1000: {noise}");
}
