//! Values as their reader sees them: what a header, a form field or a parameter holds when it is shown in a page, in a mail or to a
//! model.
//!
//! difference D-823

use muselet_rules::text;

use super::body::mime;

/// Rounds of percent-decoding.
const ROUNDS: usize = 4;

/// The value percent-decoded, as it is and without the highest bit of bytes that are no text with it, and each with tag characters
/// read, then character references, then quoted-printable escapes: every text that comes of it and that no other scan reads.
pub(super) fn shown(value: &[u8]) -> Vec<Vec<u8>> {
    if value.is_ascii() && memchr::memchr3(b'%', b'&', b'=', value).is_none() {
        return Vec::new();
    }
    let decoded = text::percent_decode_lenient(value, ROUNDS);
    let seven_bits: Option<Vec<u8>> =
        (!text::is_utf8(&decoded)).then(|| decoded.iter().map(|byte| byte & 0x7f).collect());
    let mut readings = steps(&decoded);
    if let Some(plain) = seven_bits {
        readings.extend(steps(&plain));
        readings.push(plain);
    }
    readings
}

/// What each step makes of a text, where it makes another.
fn steps(text: &[u8]) -> Vec<Vec<u8>> {
    let mut readings: Vec<Vec<u8>> = Vec::new();
    for step in [text::spelled_in_tags, text::without_references, mime::unquoted] {
        readings.extend(step(readings.last().map_or(text, |last| last)));
    }
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_shown() {
        let cases: &[(&[u8], &[&str])] = &[
            (b"&#65;KIA", &["AKIA"]),
            (b"%26%2365%3BKIA", &["AKIA"]),
            (b"=?utf-8?Q?=41=4B=49=41?=", &["=?utf-8?Q?AKIA?="]),
            (b"&#65;KIA =41=4B=49=41", &["AKIA =41=4B=49=41", "AKIA AKIA"]),
            (b"\xc1\xcb\xc9A", &["AKIA"]),
            (b"%C1%CB%C9A", &["AKIA"]),
            (b"&#65;\xcb\xc9A", &["A\u{fffd}\u{fffd}A", "AKIA", "&#65;KIA"]),
            ("caf\u{e9}".as_bytes(), &[]),
            (b"%41KIA", &[]),
            (b"a=1&b=2; c", &[]),
        ];
        for (value, wanted) in cases {
            let readings = shown(value);
            let readings: Vec<_> = readings.iter().map(|text| String::from_utf8_lossy(text)).collect();
            assert_eq!(readings, *wanted, "{}", value.escape_ascii());
        }
    }
}
