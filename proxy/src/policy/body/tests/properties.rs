//! What holds for every body: no panic, the same answer twice, and the hardened mode never milder than the reference.

use proptest::prelude::*;

use super::*;
use crate::policy::body::packed::Allowance;

const TYPES: &[&str] = &[
    "",
    "application/json",
    "application/vnd.api+json",
    "application/json; charset",
    "application/json; a=1; a=2",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=B",
    "multipart/mixed; boundary=B",
    "text/plain",
    "text/plain; charset=utf-16",
    "text/html",
    "application/x-ndjson",
];

/// Pieces that bodies of all kinds are made of, so that random rows of them come close to being well-formed.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<&[u8]> = vec![
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"\"",
        b"\"a\"",
        b"\"a\":",
        b"1e999",
        b"4111111111111111",
        b"\\u0041",
        b"\\",
        b"null",
        b"&",
        b"=",
        b"%41",
        b"%",
        b";",
        b"+",
        b"--B",
        b"--B--",
        b"\r\n",
        b"\n",
        b" ",
        b"\0",
        b"Content-Disposition: form-data; name=\"f\"; filename=\"x\"",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"\xff\xfe",
        b"\xe2\x82",
        b"&#65;",
        b"AKIAIOSFOD",
        b"NN7EXAMPLE",
        b"AKIAIOSFODNN7EXAMPLE",
        b"QUtJQUlPU0ZPRE5ON0VYQU1QTEU=",
        b"password=hunter22",
    ];
    prop_oneof![4 => prop::sample::select(fixed).prop_map(<[u8]>::to_vec), 1 => prop::collection::vec(any::<u8>(), 0..6)]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let rows = prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat()).boxed();
    let json = rows.clone().prop_map(|text| {
        let mut body = b"{\"k\":".to_vec();
        muselet_rules::json::push_escaped(&String::from_utf8_lossy(&text), &mut body);
        [body, b",\"n\":[1.50,true]}".to_vec()].concat()
    });
    // Every piece a string of its own.
    let strings = prop::collection::vec(piece(), 0..12).prop_map(|pieces| {
        let mut body = b"[0".to_vec();
        for piece in pieces {
            body.push(b',');
            muselet_rules::json::push_escaped(&String::from_utf8_lossy(&piece), &mut body);
        }
        [body, b"]".to_vec()].concat()
    });
    let multipart = rows.clone().prop_map(|text| {
        [b"--B\r\nContent-Disposition: form-data; name=f\r\n\r\n".to_vec(), text, b"\r\n--B--\r\n".to_vec()]
            .concat()
    });
    prop_oneof![rows, json, strings, multipart]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_hardened_mode_finds_whatever_the_reference_finds(
        content_type in prop::sample::select(TYPES.to_vec()),
        body in body(),
    ) {
        let scan = |strictness| policy(&config(strictness)).scan(&body, &typed(content_type), "h");
        let (reference, hardened) = (scan(Strictness::Reference), scan(Strictness::Hardened));
        let shown = format!("{content_type}: {}", body.escape_ascii());
        prop_assert_eq!(scan(Strictness::Reference).finding, reference.finding.clone(), "{}", &shown);
        match (reference.finding, hardened.finding) {
            (Some(reference), Some(hardened)) => {
                prop_assert!(hardened.fail_closed || !reference.fail_closed, "{}", &shown);
            }
            (Some(reference), None) => prop_assert!(false, "lost {}: {}", reference.reason, shown),
            (None, Some(hardened)) => prop_assert!(hardened.difference.is_some(), "unexplained {}: {}", hardened.reason, shown),
            (None, None) => {}
        }
    }

    #[test]
    fn the_verdict_is_that_of_a_scan_of_every_text(
        content_type in prop::sample::select(TYPES.to_vec()),
        body in body(),
    ) {
        for strictness in BOTH {
            let policy = policy(&config(strictness));
            let quick = policy.judge(&body, &typed(content_type), &[]);
            let one_by_one = policy.judge_exactly(&body, &typed(content_type), &mut Allowance::of(body.len()), true);
            prop_assert_eq!(quick, one_by_one, "{}: {}", content_type, body.escape_ascii());
        }
    }
}
