//! Quoted-printable wherever it stands: in messages within messages, behind a second boundary, in header lines.
//!
//! `multipart` decodes the parts of a well-formed body as their headers say. Here the whole body is decoded, leniently, if it
//! says somewhere that it is quoted-printable, or if three escapes stand in a row, which no other text has.
//!
//! difference D-818

use super::form::hex_pair;

const NAME: &[u8] = b"quoted-printable";

/// The body decoded; `None` if nothing in it is encoded like this.
pub(in crate::policy) fn unquoted(body: &[u8]) -> Option<Vec<u8>> {
    let first = memchr::memchr_iter(b'=', body).find(|&at| escape(&body[at..]).is_some())?;
    let is_row = |at: usize| (0..3).all(|n| body.get(at + 3 * n..).is_some_and(|rest| byte(rest).is_some()));
    let is_named =
        |at: usize| body.get(at..at + NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
    if !memchr::memchr_iter(b'=', &body[first..]).any(|at| is_row(first + at))
        && !memchr::memchr2_iter(b'q', b'Q', body).any(is_named)
    {
        return None;
    }
    let mut out = Vec::with_capacity(body.len());
    let mut copied = 0;
    for at in memchr::memchr_iter(b'=', &body[first..]).map(|at| first + at) {
        if at < copied {
            continue;
        }
        let Some((byte, length)) = escape(&body[at..]) else { continue };
        out.extend_from_slice(&body[copied..at]);
        out.extend(byte);
        copied = at + length;
    }
    out.extend_from_slice(&body[copied..]);
    Some(out)
}

/// What the escape at the beginning of `text` stands for, and its length. A line end that does not count stands for nothing.
fn escape(text: &[u8]) -> Option<(Option<u8>, usize)> {
    if let Some(byte) = byte(text) {
        return Some((Some(byte), 3));
    }
    let behind = text.strip_prefix(b"=")?;
    let blanks = behind.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
    (behind.get(blanks) == Some(&b'\n')).then_some((None, blanks + 2))
}

fn byte(text: &[u8]) -> Option<u8> {
    match text {
        [b'=', digits @ ..] => hex_pair(digits.get(..2)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_that_it_is_quoted_or_looks_so_is_decoded() {
        let cases: &[(&str, Option<&str>)] = &[
            ("Quoted-Printable\r\n\r\n=41K=\r\nIA=", Some("Quoted-Printable\r\n\r\nAKIA=")),
            ("x =41=4b=49A= \nB", Some("x AKIAB")),
            ("=?utf-8?Q?=41=4B=49=41?=", Some("=?utf-8?Q?AKIA?=")),
            ("quoted-printable a=b", None),
            ("id=4111111111111111&n=34&x==", None),
            ("a=41=4", None),
            ("quoted=41", None),
            ("", None),
        ];
        for (body, wanted) in cases {
            let found = unquoted(body.as_bytes());
            assert_eq!(found.as_deref(), wanted.map(str::as_bytes), "{body}");
        }
    }
}
