use proptest::prelude::*;

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

/// [`percent_decode_all`] round by round.
fn decoded_by_rounds(text: &[u8]) -> Vec<u8> {
    let mut current = text.to_vec();
    for _ in 0..500 {
        match percent_decode_once(&current) {
            Some(Cow::Owned(next)) if next != current => current = next,
            _ => break,
        }
    }
    current
}

#[test]
fn percent_decoding_stops_after_500_rounds() {
    let text = format!("%{}41", "25".repeat(600));
    assert_eq!(&*percent_decode_all(text.as_bytes()), decoded_by_rounds(text.as_bytes()));
}

proptest! {
    #[test]
    fn percent_decoding_in_place_is_decoding_by_rounds(text in "(%|25|2|5|41|\\+|a|%25|%2B|é){0,24}") {
        let wanted = decoded_by_rounds(text.as_bytes());
        prop_assert_eq!(&*percent_decode_all(text.as_bytes()), &*wanted);
        let mut onto = b"%41".to_vec();
        percent_decode_all_onto(text.as_bytes(), &mut onto);
        prop_assert_eq!(onto, [b"%41", &*wanted].concat());
    }

    #[test]
    fn texts_that_are_apart_are_normalised_alone(pieces in prop::collection::vec(prop::collection::vec(piece(), 0..4), 1..5)) {
        let texts: Vec<Vec<u8>> = pieces.into_iter().map(|pieces| pieces.concat()).collect();
        if are_apart(texts.iter().map(Vec::as_slice)) {
            // Any of them may be left out.
            for chosen in 0u32..1 << texts.len() {
                let chosen = || texts.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1).map(|(_, text)| text);
                let parts: String = chosen().map(|text| norm_dlp_by_steps(text)).collect();
                let joined: Vec<u8> = chosen().flatten().copied().collect();
                prop_assert_eq!(norm_dlp_by_steps(&joined), parts, "{:?}", texts);
            }
        }
    }
}

/// Characters that go with others, and bytes of characters.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let text = "a|=|é|e|\u{301}|\u{338}|\u{308}|ﾊ|ﾞ|\u{200b}|日|ﬁ|\u{1161}|\u{1100}|ﾢ|ￂ|한|하|\u{1}|①|İ|К|е|ё|Ａ|ॠ|क़|\u{93c}|\u{344}|\u{f73}";
    let bytes = prop::sample::select(vec![
        b"\xe3".to_vec(),
        b"\x81".to_vec(),
        b"\x82".to_vec(),
        b"\xcc".to_vec(),
        b"\xff".to_vec(),
        b"\xef\xbc".to_vec(),
        b"\xa1".to_vec(),
    ]);
    prop_oneof![4 => text.prop_map(String::into_bytes), 1 => bytes]
}

#[test]
fn every_character_is_normalised_as_by_the_steps() {
    // Alone, after a letter that some marks compose with and that looks like another, and after one that does not.
    let contexts =
        ["", "\u{430}", "\u{4e00}", "a", "\u{1100}", "\u{ac00}", "\u{9c7}", "\u{430}\u{323}", "\u{430}\n"];
    for c in '\u{80}'..=char::MAX {
        // Most of these are ideographs, syllables, private characters or none.
        let plain = matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{AC80}'..='\u{F8FF}' | '\u{17000}'..='\u{1CFFF}' | '\u{20000}'..);
        for before in if plain { &contexts[..1] } else { &contexts } {
            let text = format!("{before}{c}\u{306}");
            for text in [text.as_str(), &text[..text.len() - 2]] {
                assert_eq!(
                    norm_dlp(text.as_bytes()),
                    norm_dlp_by_steps(text.as_bytes()),
                    "{c:?} in {text:?}"
                );
                assert!(every_way_normalises_alike(text.as_bytes()), "{c:?} in {text:?}");
            }
        }
    }
}

#[test]
fn what_begins_anew_each_time_is_normalised_apart_however_often() {
    let again = |text: &str| {
        let mut rounds = vec![text.to_owned()];
        for _ in 0..5 {
            let mut plain = Vec::new();
            without_unseen(rounds[rounds.len() - 1].as_bytes(), &mut plain);
            rounds.push(norm_dlp(&plain).into_owned());
        }
        rounds.split_off(1)
    };
    let befores = ["a", "\u{3b1}", "\u{3ac}", "\u{438}", "\u{1100}", "\u{ac00}", "\u{301}", "\u{9c7}"];
    for c in ('\u{80}'..='\u{33ff}').chain('\u{a000}'..='\u{abff}').chain('\u{d700}'..='\u{1ffff}') {
        let text = format!("{c}\u{301}\u{3b5}");
        if !begins_anew_each_time(text.as_bytes()) {
            continue;
        }
        let alone = again(&text);
        for before in befores {
            let joined: Vec<String> =
                again(before).into_iter().zip(&alone).map(|(before, text)| before + text).collect();
            assert_eq!(again(&format!("{before}{text}")), joined, "{c:?} after {before:?}");
        }
    }
    let texts =
        ["\u{3ad}", "\u{388}\u{3bd}\u{3b1}", "\u{451}", "\u{439}", "\u{1ebf}", "\u{d55c}", "\u{4f60}"];
    assert!(texts.iter().all(|text| begins_anew_each_time(text.as_bytes())));
    let others = ["\u{301}", "\u{200b}", "\u{fffd}", "\u{344}", "\u{61c}"];
    assert!(others.iter().all(|text| !begins_anew_each_time(text.as_bytes())));
}

/// Characters of every kind, those that depend on others more often than not.
fn any_character() -> impl Strategy<Value = char> {
    let marks: Vec<char> = ('\u{300}'..='\u{1E2AE}')
        .filter(|&c| {
            unicode_normalization::char::canonical_combining_class(c) != 0
                || unicode_normalization::is_nfkc_quick(std::iter::once(c))
                    != unicode_normalization::IsNormalized::Yes
        })
        .filter(|c| !('\u{AC00}'..='\u{D7A3}').contains(c))
        .collect();
    let composing: Vec<char> = ('\u{80}'..='\u{2FFFF}')
        .filter(|&c| {
            let mut parts = 0;
            unicode_normalization::char::decompose_canonical(c, |_| parts += 1);
            parts > 1
        })
        .filter(|c| !('\u{AC00}'..='\u{D7A3}').contains(c))
        .collect();
    let parts: Vec<char> = composing.iter().flat_map(|c| c.nfd()).collect();
    prop_oneof![
        3 => prop::sample::select(marks),
        3 => prop::sample::select(composing),
        3 => prop::sample::select(parts),
        1 => proptest::char::range('\u{1100}', '\u{11FF}'),
        1 => proptest::char::range('\u{AC00}', '\u{D7A3}'),
        1 => proptest::char::range('\u{FF00}', '\u{FFEF}'),
        1 => proptest::char::range('\0', '\u{A0}'),
        1 => proptest::char::range('\u{2000}', '\u{206F}'),
        1 => prop::sample::select(confusables::TABLE.map(|(c, _)| c).to_vec()),
        1 => prop::sample::select("\n\n\t\u{200b}\u{a0}\u{3000}\u{2028}ae1 ".chars().collect::<Vec<_>>()),
        1 => any::<char>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(std::env::var("MUSELET_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2000)))]

    #[test]
    fn characters_in_any_order_are_normalised_as_by_the_steps(
        text in prop::collection::vec(any_character(), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let text: String = text.into_iter().collect();
        let mut bytes = text.clone().into_bytes();
        prop_assert_eq!(norm_dlp(&bytes), norm_dlp_by_steps(&bytes), "{:?}", text);
        prop_assert_eq!(norm_match(&bytes), norm_match_by_steps(&bytes), "{:?}", text);
        prop_assert!(every_way_normalises_alike(&bytes), "{:?}", text);
        // Within a character, perhaps.
        if !bytes.is_empty() {
            bytes.remove(cut.index(bytes.len()));
            prop_assert!(every_way_normalises_alike(&bytes), "{:?}", bytes);
            prop_assert_eq!(norm_dlp(&bytes), norm_dlp_by_steps(&bytes), "{:?}", bytes);
        }
    }

    /// Sixteen at a time, and one by one where those around them allow no more.
    #[test]
    fn long_texts_are_normalised_alike_in_every_way(
        pieces in prop::collection::vec(
            prop_oneof![
                12 => prop::sample::select(SHORT.to_vec()).prop_map(<[u8]>::to_vec),
                6 => prop::char::range('\u{80}', '\u{7ff}').prop_map(|c| c.to_string().into_bytes()),
                3 => prop::char::range('\u{800}', '\u{33ff}').prop_map(|c| c.to_string().into_bytes()),
                2 => any::<u8>().prop_map(|b| vec![b]),
                1 => piece(),
            ],
            0..150,
        ),
        repeated in 1usize..3,
    ) {
        let text = pieces.concat().repeat(repeated);
        prop_assert!(every_way_normalises_alike(&text), "{:?}", text);
    }
}

/// What becomes something short, whatever stands around it.
const SHORT: &[&[u8]] = &[
    "\u{3ac}".as_bytes(),
    "\u{3b2}".as_bytes(),
    "\u{439}".as_bytes(),
    "\u{448}".as_bytes(),
    "\u{1ebf}".as_bytes(),
    "\u{2014}".as_bytes(),
    "\u{2026}".as_bytes(),
    "\u{94d}".as_bytes(),
    "\u{941}".as_bytes(),
    "\u{ad}".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{fffd}".as_bytes(),
    "\u{4f60}".as_bytes(),
    "\u{1f600}".as_bytes(),
    b" ",
    b"a",
    b"Ab.",
    b"\n",
    b"\t",
    b"\0",
    b"\x7f",
    b"\x80",
    b"\xc3",
    b"\xe0\x9f\xbf",
    b"\xed\xa0\x80",
    b"\xed\x9f\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf4\x8f\xbf\xbf",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"a word of ASCII that is longer than half a block",
];

#[test]
fn what_tag_characters_spell_holds_none() {
    let tag =
        |c: u8| char::from_u32(0xE0000 + u32::from(c)).map_or_else(Vec::new, |c| c.to_string().into_bytes());
    let spelled = spelled_in_tags(&b"sk-ant-".iter().chain(b"x").flat_map(|&c| tag(c)).collect::<Vec<_>>());
    assert_eq!(spelled.as_deref(), Some(&b"sk-ant-x"[..]));
    // A tag character of no letter within another one, and so on.
    let mut within = tag(1);
    for _ in 0..500 {
        let eight = within.repeat(8);
        let spelled = spelled_in_tags(&[tag(1).repeat(8), eight].concat()).unwrap_or_default();
        assert_eq!(spelled_in_tags(&spelled), None);
        within = [b"\xf3".as_slice(), &within, b"\xa0\x81\x81"].concat();
    }
}
