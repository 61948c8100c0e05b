use super::*;

fn strings(text: &[u8]) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut parser = Parser::new(text);
    loop {
        match parser.next() {
            Ok(Some(Event::Key(text) | Event::String(text))) => found.push(text.decode().into_owned()),
            Ok(Some(Event::Number(text))) => found.push(String::from_utf8_lossy(text).into_owned()),
            Ok(Some(_)) => {}
            Ok(None) => return Some(found),
            Err(_) => return None,
        }
    }
}

#[test]
fn accepts_exactly_one_value_of_rfc_8259() {
    let valid: &[&[u8]] = &[
        b"null",
        b"42",
        b"\"x\"",
        b" {} ",
        b"[]",
        b"\t[1 , 2]\r\n",
        b"{\"a\":[{\"b\":null}]}",
        b"-0",
        b"0.5",
        b"1e5",
        b"1E+5",
        b"1e-5",
        b"\"\\u00e9\\ud83d\\ude00\\ud800\"",
        b"\"\xff\xfe\"",
        b"1e999",
        b"[true,false]",
        b"\"\x7f\"",
        b"{\"a\":1,\"a\":2}",
        b"\"\"",
        b"[\"\"]",
    ];
    for text in valid {
        assert!(is_valid(text), "refused {}", text.escape_ascii());
        assert!(Document::parse(text).is_ok(), "no document of {}", text.escape_ascii());
    }
    let invalid: &[&[u8]] = &[
        b"",
        b"   ",
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"1 2",
        b"{\"a\":1}\n{\"b\":2}",
        b"[1,]",
        b"{\"a\":1,}",
        b"{,}",
        b"[,1]",
        b"{\"a\"}",
        b"{\"a\":}",
        b"{a:1}",
        b"{'a':1}",
        b"// c\n1",
        b"NaN",
        b"Infinity",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"-",
        b"1e",
        b"1e+",
        b"--1",
        b"\"",
        b"\"\x01\"",
        b"\"\n\"",
        b"\"\\x\"",
        b"\"\\u12g4\"",
        b"\"\\u12\"",
        b"\"\\\"",
        b"[",
        b"{",
        b"]",
        b"[}",
        b"{]",
        b"tru",
        b"truex",
        b"nul",
        b"{\x00}",
        b"{\"a\":1 \"b\":2}",
        b"[1 2]",
        b"\xff\xfe{\x00}\x00",
        b"{\"a\"::1}",
        b"[1],",
        b"\"a\" \"b\"",
    ];
    for text in invalid {
        assert!(!is_valid(text), "accepted {}", text.escape_ascii());
        assert!(Document::parse(text).is_err(), "a document of {}", text.escape_ascii());
    }
}

#[test]
fn nests_ten_thousand_levels_and_no_more() {
    for (levels, accepted) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
        let text = [vec![b'['; levels], vec![b']'; levels]].concat();
        assert_eq!(is_valid(&text), accepted, "{levels} levels");
        assert_eq!(Document::parse(&text).is_ok(), accepted, "{levels} levels");
    }
}

#[test]
fn decodes_strings_as_go_does() {
    let cases: &[(&[u8], &str)] = &[
        (br#""plain""#, "plain"),
        (br#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (br#""\u0041\u00e9\u20ac""#, "A\u{e9}\u{20ac}"),
        (br#""\ud83d\ude00""#, "\u{1f600}"),
        (br#""\ud800""#, "\u{fffd}"),
        (br#""\ud800x""#, "\u{fffd}x"),
        (br#""\ud800\u0041""#, "\u{fffd}A"),
        (br#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (br#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
        (b"\"a\xffb\xc3\"", "a\u{fffd}b\u{fffd}"),
        (b"\"\xe2\x82x\"", "\u{fffd}\u{fffd}x"),
        ("\"h\u{e9}\"".as_bytes(), "h\u{e9}"),
    ];
    for (text, wanted) in cases {
        let found = strings(text);
        assert_eq!(found.as_deref(), Some(&[(*wanted).to_owned()][..]), "{}", text.escape_ascii());
    }
}

#[test]
fn finds_the_end_of_plain_text_at_every_offset() {
    for stop in [b'"', b'\\', 0x1f, 0x00] {
        for length in [0, 1, 7, 31, 32, 33, 62, 63, 64, 65, 127, 128, 129, 200] {
            for filler in [b' ', b'~', 0x80, 0xff, b'!', b'#', b'[', b']', 0x7f] {
                let mut text = vec![filler; length];
                text.push(stop);
                text.extend_from_slice(&[b'x', b'"', b'\\', 0]);
                assert_eq!(Parser::new(&text).stop(0), length, "{stop:#x} after {length} of {filler:#x}");
                assert_eq!(Parser::new(&text[..length]).stop(0), length);
                let body = [b"\"", &text[..length], b"\""].concat();
                assert!(is_valid(&body) && !is_valid(&body[..=length]), "{length} of {filler:#x}");
            }
        }
    }
}

#[test]
fn escapes_as_little_as_possible() {
    let mut out = Vec::new();
    push_escaped("a\"\\\u{8}\u{c}\n\r\t\u{1}\u{1f}<>&/\u{7f}\u{e9}\u{2028}\u{2029}z", &mut out);
    let wanted = "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f<>&/\u{7f}\u{e9}\\u2028\\u2029z\"";
    assert_eq!(String::from_utf8_lossy(&out), wanted);
}

#[test]
fn a_document_knows_members_and_elements() {
    let text = br#" {"a":[1,{"x":"y"},[]],"b":null,"a":true} "#;
    let document = Document::parse(text).expect("valid");
    let root = document.root();
    assert_eq!((root.kind(), root.len()), (Kind::Object, 6));
    let names: Vec<_> =
        root.members().map(|(name, value)| (name.string().decode().into_owned(), value.kind())).collect();
    assert_eq!(
        names,
        [("a".to_owned(), Kind::Array), ("b".to_owned(), Kind::Null), ("a".to_owned(), Kind::True)]
    );
    let (_, array) = root.members().next().expect("a member");
    let kinds: Vec<_> = array.children().map(|child| child.kind()).collect();
    assert_eq!(kinds, [Kind::Number, Kind::Object, Kind::Array]);
    assert!(array.children().nth(2).expect("three").is_empty());
    assert_eq!(document.nodes().count(), 12);
}

proptest::proptest! {
    #[test]
    fn agrees_with_an_independent_parser(text in "[\\[\\]{}:,\"\\\\0-9eE+\\-.tfnu a-d]{0,24}") {
        // serde_json refuses lone surrogates and numbers out of range; the alphabet cannot spell the former.
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match theirs {
            Ok(_) => proptest::prop_assert!(is_valid(text.as_bytes()), "{text}"),
            Err(error) if error.to_string().starts_with("number out of range") => {}
            Err(_) => proptest::prop_assert!(!is_valid(text.as_bytes()), "{text}"),
        }
    }

    #[test]
    fn unescaping_utf8_text_is_decoding_it(inside in "([a-c\u{e9}]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}|\\\\ud83d\\\\ude00){0,12}") {
        let text = format!("\"{inside}\"");
        let mut parser = Parser::new(text.as_bytes());
        let Ok(Some(Event::String(string))) = parser.next() else { panic!("{text}") };
        let mut unescaped = Vec::new();
        parser.unescape_into(string, &mut unescaped);
        let decoded = string.decode();
        proptest::prop_assert_eq!(decoded.as_bytes(), &unescaped[..], "{}", text);
    }

    #[test]
    fn reads_long_strings_as_an_independent_parser_does(
        parts in proptest::collection::vec(("[ !#-\\[\\]-~\u{e9}\u{4f60}]{0,90}", "\\\\[\"\\\\/bfnrt]|\\\\u00[0-7][0-9a-f]|\\\\ud83d\\\\ude00|\",\"|"), 0..8)
    ) {
        let text = format!("[\"{}\"]", parts.iter().flat_map(|(a, b)| [&**a, b]).collect::<String>());
        let theirs: Vec<String> = serde_json::from_str(&text).expect("valid");
        let mut parser = Parser::new(text.as_bytes());
        let mut ours = Vec::new();
        while let Some(event) = parser.next().expect("valid") {
            if let Event::String(string) = event {
                let mut decoded = Vec::new();
                parser.unescape_into(string, &mut decoded);
                let decoded = String::from_utf8(decoded).expect("UTF-8");
                proptest::prop_assert_eq!(&string.decode(), &decoded);
                ours.push(decoded);
            }
        }
        proptest::prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn escaped_text_reads_back(text in ".*") {
        let mut out = Vec::new();
        push_escaped(&text, &mut out);
        proptest::prop_assert_eq!(strings(&out), Some(vec![text]));
    }
}
