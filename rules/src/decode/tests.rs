use super::*;

#[test]
fn base64_accepts_exactly_the_four_variants() {
    let cases: [(&str, Option<(&str, u8)>); 13] = [
        ("QUJDRA==", Some(("ABCD", 2))),
        ("QUJDRB==", Some(("ABCD", 2))),
        ("QUJDRA", Some(("ABCD", 2))),
        ("QUJD", Some(("ABC", 4))),
        ("QU\r\nJD", Some(("ABC", 4))),
        ("QUJDRA=", None),
        ("QUJD=", None),
        ("QUJDRA==x", None),
        ("QUJDR", None),
        ("QU JD", None),
        ("", None),
        ("=", None),
        ("+_AA", None),
    ];
    for (text, wanted) in cases {
        let got = base64(text.as_bytes()).map(|d| (String::from_utf8(d.bytes).unwrap(), d.variants));
        assert_eq!(got.as_ref().map(|(s, n)| (s.as_str(), *n)), wanted, "{text}");
    }
}

#[test]
fn base64_ignores_line_ends_anywhere() {
    let digits = "QUJDREVGR0hJSktM".repeat(9) + "QQ==";
    let wanted = base64(digits.as_bytes()).unwrap();
    for length in [1, 3, 61, 64, 76, 145, 147] {
        for end in ["\n", "\r\n", "\n\n", "\r"] {
            let lines: Vec<u8> =
                digits.as_bytes().chunks(length).flat_map(|l| [l, end.as_bytes()].concat()).collect();
            assert_eq!(base64(&lines).as_ref(), Some(&wanted), "{length} {end:?}");
            assert_eq!(base64(&[&lines, b"x".as_slice()].concat()), None);
        }
    }
    assert_eq!(base64(b"\r\n"), None);
}

#[test]
fn separated_hex_is_read_alike_with_and_without_a_look_for_prefixes() {
    let pieces = ["4", "b", "F", "41", "42 ", ":", " ", "-", ",", "g", ".", "\t", "c3"];
    let (mut number, mut some) = (1_u64, 0);
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..number % 12 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text += pieces[(number >> 33) as usize % pieces.len()];
        }
        number = number.wrapping_add(11);
        let (mut fast, mut plain) = (vec![7; 5], Vec::new());
        let (is_fast, is_plain) =
            (hex_separated_into(text.as_bytes(), &mut fast), hex_prefixed_into(text.as_bytes(), &mut plain));
        assert_eq!(is_fast, is_plain, "{text:?}");
        if is_plain {
            some += 1;
            assert_eq!(fast, plain, "{text:?}");
        }
    }
    assert!(some > 100, "{some}");
}

#[test]
fn hex_is_plain_or_delimited() {
    let cases: [(&str, Option<&str>); 13] = [
        ("6162", Some("ab")),
        ("0x6162", Some("ab")),
        ("61 62", Some("ab")),
        ("61:62", Some("ab")),
        ("\\x61\\x62", Some("ab")),
        ("0x61, 0x62", Some("ab")),
        ("6 162", Some("ab")),
        ("100x41", Some("\u{10}A")),
        ("616", None),
        ("6g", None),
        ("", None),
        ("6:1", None),
        ("::::", None),
    ];
    for (text, wanted) in cases {
        assert_eq!(hex(text.as_bytes()).as_deref(), wanted.map(str::as_bytes), "{text}");
    }
}

#[test]
fn base32_is_upper_case_padded_and_lenient_after_its_padding() {
    let cases: [(&str, Option<&str>); 8] = [
        ("MFRA====", Some("ab")),
        ("MFRA====0", Some("ab")),
        ("MFRGGZDF", Some("abcde")),
        ("MFRA", None),
        ("mfra====", None),
        ("MFRA===", None),
        ("MF=A====", None),
        ("", None),
    ];
    for (text, wanted) in cases {
        assert_eq!(base32(text.as_bytes()).as_deref(), wanted.map(str::as_bytes), "{text}");
    }
    let long = "ONVS2YLOOQWWCYLBMFQWCYLBMFQQ====";
    assert_eq!(base32(format!("{long}0").as_bytes()), base32(long.as_bytes()));
    assert!(base32(long.as_bytes()).is_some());
}
