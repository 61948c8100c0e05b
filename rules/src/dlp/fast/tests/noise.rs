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
        let percents = bytes.iter().enumerate().fold(0, |all, (at, &b)| all | u64::from(b == b'%') << at);
        let expected = (outline_short(&bytes), percents);
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
