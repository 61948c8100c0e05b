//! Texts that come near what the scans look for.

use super::*;

/// Texts that hold a secret of some rule or nearly do: the rule files' examples.
pub(super) fn secrets() -> Vec<String> {
    let mut all: Vec<String> = crate::dlp::builtin_examples().iter().map(|e| e.text.clone()).collect();
    all.extend(crate::dlp::core_examples().iter().map(|e| e.text.clone()));
    all.push("zQ7xN2pLw9RtKv4m".into());
    all.push("pX3-vB8_kT5+nR1/wY6=qL0.".into());
    all.push(format!("{}about", "abandon ".repeat(11)));
    all.push(format!("{}about", "abandon\n".repeat(11)));
    all.push("legal winner thank year wave sausage worth useful legal winner thank yellow".into());
    all
}

pub(super) fn encode(text: &[u8], how: u8) -> Vec<u8> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
    let hex = |by: &str| text.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(by).into_bytes();
    match how {
        1 => STANDARD.encode(text).into_bytes(),
        2 => STANDARD_NO_PAD.encode(text).into_bytes(),
        3 => URL_SAFE.encode(text).into_bytes(),
        4 => hex(""),
        5 => hex(":"),
        6 => hex(" ").to_ascii_uppercase(),
        7 => data_encoding::BASE32.encode(text).into_bytes(),
        8 => text.iter().flat_map(|b| format!("%{b:02X}").into_bytes()).collect(),
        9 => text.iter().flat_map(|b| format!("%25{b:02x}").into_bytes()).collect(),
        10 => text.iter().flat_map(|b| [*b, 0xE2, 0x80, 0x8B]).collect(),
        11 => text.chunks(5).flat_map(|c| [c, b"."].concat()).collect(),
        12 => text.chunks(7).flat_map(|c| [c, b"\n"].concat()).collect(),
        13 => text
            .iter()
            .map(|b| if *b == b'a' { "а".into() } else { (*b as char).to_string() })
            .collect::<String>()
            .into(),
        14 => text.chunks(6).flat_map(|c| [c, "\u{301}".as_bytes()].concat()).collect(),
        15 => text.to_ascii_uppercase(),
        16 => text.to_ascii_lowercase(),
        17 => text.chunks(9).flat_map(|c| [c, b"\xff"].concat()).collect(),
        _ => text.to_vec(),
    }
}

pub(super) fn filler() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-zA-Z0-9 ,.:;/?&=\"'_+%-]{0,90}".prop_map(String::into_bytes),
        "[0-9a-f -]{0,80}".prop_map(String::into_bytes),
        "[A-Za-z0-9+/=]{0,130}".prop_map(String::into_bytes),
        "(abandon |zoo |the |wrong\t|able-|legal, ){0,20}".prop_map(String::into_bytes),
        "[а-яα-ωé\u{301}\u{308}\u{212A}\u{130}ﬁ①Ａ\u{AD}\u{3000} a-z]{0,30}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..70),
        Just(Vec::new()),
        (0usize..140).prop_map(|n| vec![b'x'; n]),
    ]
}

pub(super) fn piece() -> impl Strategy<Value = Vec<u8>> {
    let secrets = secrets();
    (0..secrets.len(), 0u8..24, 0u8..24, 0u8..30).prop_map(move |(i, first, second, cut)| {
        let mut text = encode(secrets[i].as_bytes(), first);
        if second > 12 {
            text = encode(&text, second - 12);
        }
        if cut == 1 {
            text.pop();
        }
        text
    })
}

/// Bytes as compressed data has them, with a secret somewhere, often.
pub(super) fn binary() -> impl Strategy<Value = Vec<u8>> {
    let secrets = secrets();
    let noise = || {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..150),
            proptest::collection::vec(any::<u8>(), 0..6),
            "[ -~\t\n]{0,80}".prop_map(String::into_bytes),
            "[а-яα-ωéèüñ\u{301}\u{308}\u{212A}\u{130}ﬁ①⑽Ａ\u{AD}\u{3000}\u{200b} a-z]{0,12}"
                .prop_map(String::into_bytes),
        ]
    };
    (noise(), noise(), noise(), 0..secrets.len() * 2, 0u8..24, assignment()).prop_map(
        move |(a, b, c, which, how, assignment)| {
            let secret = match secrets.get(which) {
                Some(secret) => encode(secret.as_bytes(), how),
                None => assignment,
            };
            [a, b, secret, c].concat()
        },
    )
}

/// What few ASCII characters a match may have: its value may be bytes of no meaning.
pub(super) fn assignment() -> impl Strategy<Value = Vec<u8>> {
    let name = proptest::sample::select(vec![
        "A_TOKEN", "B-SECRET", ";token", "token", "&api_key", "\npasswd", "C_API_KE",
    ]);
    let gap =
        || proptest::sample::select(vec!["", " ", "+", "\0", "\u{200b}", "%20", "\u{a0}", "\u{338}", "é"]);
    let sign =
        proptest::sample::select(vec!["=", "\u{ff1d}", "\u{207c}", "\u{fe66}", "\u{2260}", "%3D", "==", ""]);
    let value = prop_oneof![
        proptest::collection::vec(0x80u8.., 4..10),
        "[а-я]{3,9}".prop_map(String::into_bytes),
        "[a-z+]{3,9}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 3..12),
    ];
    (name, gap(), sign, gap(), value).prop_map(|(name, before, sign, after, value)| {
        [name.as_bytes(), before.as_bytes(), sign.as_bytes(), after.as_bytes(), &value].concat()
    })
}

/// Encoded binary data between things that may or may not be part of it.
pub(super) fn encoded_binary() -> impl Strategy<Value = Vec<u8>> {
    let glue = prop_oneof![
        Just(""),
        Just(" "),
        Just("\""),
        Just("/"),
        Just("+"),
        Just("-"),
        Just("A"),
        Just("="),
        Just("\r\n"),
        Just("%2B"),
        Just("%"),
        Just("data:image/png;base64,"),
        Just("x="),
        Just("."),
        Just("QUJD"),
        Just("&"),
    ];
    (binary(), 1u8..10, 0u8..16, glue.clone(), glue, 0usize..200).prop_map(
        |(bytes, how, again, before, after, at)| {
            let mut text = encode(&bytes, how);
            if (1..8).contains(&again) {
                text = encode(&text, again);
            }
            if again == 8 {
                // Lines.
                text = text.chunks(at.max(1)).flat_map(|line| [line, b"\n"].concat()).collect();
            }
            if again == 9 && at < text.len() {
                text.insert(at, b'+');
            }
            if again == 10 {
                text.make_ascii_lowercase();
            }
            if again == 11 {
                text.retain(|&b| b != b'=');
            }
            [before.as_bytes(), &text, after.as_bytes()].concat()
        },
    )
}
