//! The notation of the specification's examples (dlp §15): `«x*n»`, `«U+XXXX»`, `«B64:x»` and so on.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use data_encoding::{BASE32, BASE32_NOPAD, HEXLOWER, HEXUPPER};

/// The bytes that a text in the notation stands for.
pub fn expand(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('«') {
        out.extend_from_slice(&rest.as_bytes()[..open]);
        let body = &rest[open + '«'.len_utf8()..];
        let mut depth = 1;
        let close = body
            .char_indices()
            .find(|&(_, c)| {
                depth += i32::from(c == '«') - i32::from(c == '»');
                depth == 0
            })
            .map(|(i, _)| i)
            .unwrap_or_else(|| panic!("unclosed «: {text}"));
        out.extend(element(&body[..close]));
        rest = &body[close + '»'.len_utf8()..];
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

fn element(body: &str) -> Vec<u8> {
    let fixed: Option<&[u8]> = match body {
        "n" => Some(b"\n"),
        "t" => Some(b"\t"),
        "r" => Some(b"\r"),
        "sp" => Some(b" "),
        "pipe" => Some(b"|"),
        "bs" => Some(b"\\"),
        "WIF" => Some(b"5HwoXVkHoRM8sL2KmNRS217n1g8mPPBomrY7yehCuXC1115WWsh"),
        "WIFC" => Some(b"KwntMbt59tTsj8xqpqYqRRWufyjGunvhSyeMo3NTYpFYzZbXJ5Hp"),
        _ => None,
    };
    if let Some(fixed) = fixed {
        return fixed.to_vec();
    }
    match body {
        "SEED12" => return expand("«abandon *11»about"),
        "SEED24" => return expand("«abandon *23»art"),
        _ => {}
    }
    if let Some(code) = body.strip_prefix("U+") {
        let c = char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap();
        return c.to_string().into_bytes();
    }
    if body.len() == 3 && body.starts_with('x') {
        return vec![u8::from_str_radix(&body[1..], 16).unwrap()];
    }
    if let Some((x, n)) = body.rsplit_once('*')
        && let Ok(n) = n.parse()
    {
        return expand(x).repeat(n);
    }
    let (code, x) = body.split_once(':').unwrap_or_else(|| panic!("unknown element {body}"));
    let x = expand(x);
    let pairs = || x.iter().map(|b| format!("{b:02x}"));
    let joined = |by: &str| pairs().collect::<Vec<_>>().join(by).into_bytes();
    let prefixed = |by: &str| pairs().map(|p| format!("{by}{p}")).collect::<String>().into_bytes();
    match code {
        "B64" => STANDARD.encode(x).into_bytes(),
        "B64N" => STANDARD_NO_PAD.encode(x).into_bytes(),
        "B64U" => URL_SAFE.encode(x).into_bytes(),
        "B64UN" => URL_SAFE_NO_PAD.encode(x).into_bytes(),
        "B32" => BASE32.encode(&x).into_bytes(),
        "B32N" => BASE32_NOPAD.encode(&x).into_bytes(),
        "B32L" => BASE32.encode(&x).to_lowercase().into_bytes(),
        "HEX" => HEXLOWER.encode(&x).into_bytes(),
        "HEXU" => HEXUPPER.encode(&x).into_bytes(),
        "HEXC" => joined(":"),
        "HEXS" => joined(" "),
        "HEXD" => joined("-"),
        "HEXK" => joined(","),
        "HEXX" => prefixed("\\x"),
        "HEX0" => prefixed("0x"),
        "HEX0K" => pairs().map(|p| format!("0x{p}")).collect::<Vec<_>>().join(",").into_bytes(),
        "HEX0S" => pairs().map(|p| format!("0x{p}")).collect::<Vec<_>>().join(" ").into_bytes(),
        "PCT" => prefixed("%"),
        "PCT2" => prefixed("%25"),
        "SEP" => {
            let by = String::from_utf8(x).unwrap();
            let words = ["abandon"; 11].into_iter().chain(["about"]);
            words.collect::<Vec<_>>().join(&by).into_bytes()
        }
        other => panic!("unknown code {other}"),
    }
}
