use super::*;

fn texts(strings: &Strings<'_>) -> Vec<String> {
    strings.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

fn extras(strings: &Strings<'_>) -> Vec<(String, &'static str)> {
    strings
        .extras()
        .map(|(text, difference, _)| (String::from_utf8_lossy(text).into_owned(), difference))
        .collect()
}

#[test]
fn extracts_in_the_order_of_the_reference() {
    let cases: &[(&str, &[&str])] = &[
        (r#"{"b":"x","a":["y",1,true,null,false]}"#, &["a", "y", "1", "true", "false", "b", "x"]),
        (r#""x""#, &["x"]),
        ("null", &[]),
        ("42", &["42"]),
        (
            "[1e3,1.5e-9,12345678901234567890,-0,1.0,0.1]",
            &["1000", "0.0000000015", "12345678901234567000", "-0", "1", "0.1"],
        ),
        (r#"{"a":"K","a":"x"}"#, &["a", "x"]),
        (r#"{"a":{"p":"K"},"\u0061":"x","0":1}"#, &["0", "1", "a", "x"]),
        (r#"{"a":"K","n":1e999}"#, &[]),
        (r#"{"a":"\u0041B\ud800"}"#, &["a", "AB\u{fffd}"]),
    ];
    for (body, wanted) in cases {
        let strings = sorted(body.as_bytes(), false).expect("valid");
        assert_eq!(texts(&strings), *wanted, "{body}");
        assert!(extras(&strings).is_empty(), "{body}");
    }
}

#[test]
fn hardened_mode_adds_what_the_reference_leaves_out() {
    let deep = |levels: usize| format!("{}\"K\"{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let cases: &[(String, &[(&str, &str)])] = &[
        (r#"{"a":{"p":"K"},"a":"x"}"#.to_owned(), &[("a", "D-801"), ("p", "D-801"), ("K", "D-801")]),
        (
            r#"{"a":"K","n":1e999}"#.to_owned(),
            &[("a", "D-802"), ("K", "D-802"), ("n", "D-802"), ("1e999", "D-802")],
        ),
        ("[1.50]".to_owned(), &[("1.50", "D-803")]),
        ("[4111111111111111111]".to_owned(), &[("4111111111111111111", "D-803")]),
        (deep(64), &[]),
        (deep(65), &[("K", "D-804")]),
        (deep(66), &[("a", "D-804"), ("K", "D-804")]),
    ];
    for (body, wanted) in cases {
        let wanted: Vec<_> = wanted.iter().map(|&(text, difference)| (text.to_owned(), difference)).collect();
        assert_eq!(extras(&sorted(body.as_bytes(), true).expect("valid")), wanted, "{body}");
    }
}

#[test]
fn goes_the_quick_way_unless_readers_may_differ() {
    let deep = |levels: usize| format!("{}\"K\"{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let many = |last: &str| {
        let members: Vec<String> = (0..40).map(|n| format!("\"k{n}\":{n}")).collect();
        format!("{{{},\"{last}\":0}}", members.join(","))
    };
    let cases = [
        (r#"{"a":1,"b":{"a":1}}"#.to_owned(), true),
        (r#"[{"a":1},{"a":1}]"#.to_owned(), true),
        (r#"{"a":1,"a":1}"#.to_owned(), false),
        (r#"{"a":1,"\u0061":1}"#.to_owned(), false),
        (r#"{"x":{"a":1,"b":2,"a":1}}"#.to_owned(), false),
        (many("k40"), true),
        (many("k0"), false),
        ("[1e308]".to_owned(), true),
        ("[1e309]".to_owned(), false),
        (deep(64), true),
        (deep(65), false),
        (format!("{}1{}", "[".repeat(64), "]".repeat(64)), true),
        (format!("{}1{}", "[".repeat(65), "]".repeat(65)), false),
    ];
    for (body, quick) in cases {
        assert_eq!(walk(body.as_bytes(), true).expect("valid").is_some(), quick, "{body}");
    }
    assert!(walk(br#"{"a":1,"a":1"#, true).is_err(), "irregular and invalid");
}

#[test]
fn a_body_whose_numbers_explode_is_noticed() {
    let numbers: Vec<String> = (100..999).map(|n| format!("{n}e297")).collect();
    let body = format!("[{}]", numbers.join(",").repeat(600).replace("e297100", "e297,100"));
    let strings = sorted(body.as_bytes(), false).expect("valid");
    assert!(strings.overflowed());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]
    #[test]
    fn both_ways_find_the_same_strings(body in json_text()) {
        if let Ok(Some(quick)) = walk(body.as_bytes(), true) {
            let exact = sorted(body.as_bytes(), true).expect("valid either way");
            let (mut quick_texts, mut exact_texts) = (texts(&quick), texts(&exact));
            quick_texts.sort();
            exact_texts.sort();
            proptest::prop_assert_eq!(&quick_texts, &exact_texts, "{}", body);
            proptest::prop_assert_eq!(&*quick.joined(), &*exact.joined(), "{}", body);
            let (mut quick_extras, mut exact_extras) = (extras(&quick), extras(&exact));
            quick_extras.sort();
            exact_extras.sort();
            proptest::prop_assert_eq!(quick_extras, exact_extras, "{}", body);
        }
    }
}

/// JSON texts, most of them valid, with names from a small set.
fn json_text() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?[1-9][0-9]{0,20}(\\.[0-9]{1,4})?(e-?[0-9]{1,3})?",
        "\"([a-c]|\\\\n|\\\\u0041|\\\\ud83d|\u{e9}){0,6}\"",
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let member = ("\"[a-e]{1,2}\"", inner.clone()).prop_map(|(name, value)| format!("{name}: {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

#[test]
fn lines_give_the_strings_of_their_values() {
    let cases = [
        ("{\"a\":\"x\"}\n{\"a\":\"y\",\"b\":[true,1.50,null]}", true),
        ("{\"a\":\"x\"}\r\n\n  [\"\\u0041\\n\",\"\\ud800\",\"\",false,\"true\"]\r\nfalse\n", true),
        ("{\"a\":1}\n{\"b\":\"no end\n\"c\"}\n{\"d\":\"z\"} 1\n\"last\"", true),
        ("{\"a\":1\n}\n{\"a\":{\"a\":12345678901234567890}}", true),
        ("{\"a\":\"x\"}\n{\"a\":1,\"a\":2}\n", false),
        ("[1e999]\n[1]", false),
    ];
    for (body, quick) in cases {
        let mut strings = Strings::new(body.as_bytes());
        assert_eq!(walk_lines(body.as_bytes(), &mut strings), quick, "{body}");
        if !quick {
            continue;
        }
        let all = |strings: &Strings<'_>| -> Vec<String> {
            let extras = extras(strings).into_iter().map(|(text, _)| text);
            texts(strings).into_iter().chain(extras).filter(|text| !text.is_empty()).collect()
        };
        let have = all(&strings);
        for line in body.split('\n').filter_map(|line| sorted(line.as_bytes(), true).ok()) {
            for text in all(&line) {
                assert!(have.contains(&text), "{text} of {body}");
            }
        }
    }
}

#[test]
fn strings_are_joined_in_the_order_of_their_bytes() {
    let mut texts =
        ["b", "a\0", "a", "", "\0", "a\0\0\0\0\0\0\0", "a\0\0\0\0\0\0\0b", "aaaaaaaa", "aaaaaaaaa"];
    let mut strings = Strings::new(b"");
    texts.iter().for_each(|text| strings.push(text.as_bytes()));
    texts.sort_unstable();
    assert_eq!(*strings.joined(), texts.join("\n").into_bytes());
}
