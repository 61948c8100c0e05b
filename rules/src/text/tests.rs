use super::*;

#[test]
fn look_alike_table_is_sorted_and_complete() {
    assert!(confusables::TABLE.windows(2).all(|w| w[0].0 < w[1].0));
    let all = (0..=0x10FFFF).filter_map(char::from_u32).filter(|&c| confusable(c).is_some()).count();
    assert_eq!(all, 151);
}

#[test]
fn nonspacing_marks_are_known() {
    for (c, wanted) in
        [('\u{300}', true), ('\u{34F}', true), ('\u{20DD}', false), ('\u{903}', false), ('a', false)]
    {
        assert_eq!(is_nonspacing_mark(c), wanted, "U+{:04X}", c as u32);
    }
}

#[test]
fn percent_decoding_is_all_or_nothing_and_repeats() {
    let cases: [(&str, &str); 7] = [
        ("sk%25252Dant", "sk-ant"),
        ("a%2Bb", "a b"),
        ("x%ZZ%41", "x%ZZ%41"),
        ("%", "%"),
        ("a+b", "a b"),
        ("%2525", "%"),
        ("plain", "plain"),
    ];
    for (text, wanted) in cases {
        assert_eq!(&*percent_decode_all(text.as_bytes()), wanted.as_bytes(), "{text}");
    }
}

#[test]
fn lenient_percent_decoding_skips_what_is_malformed() {
    for (text, wanted) in [("x%ZZ%41+", "x%ZZA+"), ("%2541", "A"), ("100%", "100%"), ("%%41", "%A")] {
        assert_eq!(&*percent_decode_lenient(text.as_bytes(), 8), wanted.as_bytes(), "{text}");
    }
}

#[test]
fn invalid_bytes_become_one_replacement_each() {
    for (bytes, n) in
        [(&b"\x80"[..], 1), (b"\xE2\x82", 2), (b"\xED\xA0\x80", 3), (b"\xC0\x80", 2), (b"a\xF0\x9F\x98b", 3)]
    {
        assert_eq!(lossy(bytes).chars().filter(|&c| c == '\u{FFFD}').count(), n, "{bytes:x?}");
    }
}
