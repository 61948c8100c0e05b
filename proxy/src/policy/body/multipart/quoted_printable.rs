//! Quoted-printable as Go's `mime/quotedprintable` reads it: strict about what it cannot decode, since what we cannot decode
//! the receiver might.
//!
//! spec: tls-and-request-bodies §13.7

/// Bytes of one line, its end included.
const MAX_LINE: usize = 4096;

/// What stopped the decoding.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("unexpected EOF")]
    Truncated,
    #[error("quotedprintable: invalid hex byte 0x{0:02x}")]
    Hex(u8),
    #[error("quotedprintable: invalid unescaped byte 0x{0:02x} in body")]
    Byte(u8),
    #[error("quotedprintable: invalid bytes after =: \"{0}\"")]
    AfterEquals(String),
    #[error("bufio: buffer full")]
    LineTooLong,
}

/// Decodes a whole part.
pub(super) fn decode(text: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(text.len());
    for whole in text.split_inclusive(|&byte| byte == b'\n') {
        if whole.len() > MAX_LINE || (whole.len() == MAX_LINE && !whole.ends_with(b"\n")) {
            return Err(Error::LineTooLong);
        }
        let end = whole.iter().rposition(|byte| !b"\n\r \t".contains(byte)).map_or(0, |last| last + 1);
        let (line, stripped) = whole.split_at(end);
        if let Some(soft) = line.strip_suffix(b"=") {
            push_line(soft, &mut out)?;
            // At the very end of the text a soft break needs no line to follow, only something before it.
            let at_end = stripped.is_empty() && !soft.is_empty();
            if !(stripped.starts_with(b"\n") || stripped.starts_with(b"\r\n") || at_end) {
                return Err(Error::AfterEquals(stripped.escape_ascii().to_string()));
            }
        } else {
            push_line(line, &mut out)?;
            if whole.ends_with(b"\r\n") {
                out.extend_from_slice(b"\r\n");
            } else if whole.ends_with(b"\n") {
                out.push(b'\n');
            }
        }
    }
    Ok(out)
}

fn push_line(line: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        match byte {
            b'=' => {
                let digits = line.get(at + 1..at + 3).ok_or(Error::Truncated)?;
                let wrong = digits.iter().find(|digit| !digit.is_ascii_hexdigit());
                if let Some(&wrong) = wrong {
                    return Err(Error::Hex(wrong));
                }
                out.extend(super::super::form::hex_pair(digits));
                at += 2;
            }
            b'\t' | b'\r' | b' '..=b'~' | 0x80.. => out.push(byte),
            _ => return Err(Error::Byte(byte)),
        }
        at += 1;
    }
    Ok(())
}
