//! `multipart/form-data`: every part's header values, names, file name and content become strings.
//!
//! [`reader`] splits the body as Go's `mime/multipart` does; this file says what of a part is scanned, and with which limits.
//! The hardened mode also takes what the reference skips: preamble, epilogue, header names, type tokens, transfer encodings
//! and the undecoded form of quoted-printable parts.
//!
//! spec: tls-and-request-bodies §13.7; differences D-804, D-808

mod quoted_printable;
mod reader;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use self::reader::{Part, Reader};
use super::media_type::MediaType;
use super::packed;
use super::strings::Strings;
use crate::policy::difference;

/// Parts at which a body is refused: one fewer passes.
const MAX_PARTS: usize = 100;

/// Bytes of a file name.
const MAX_FILE_NAME: usize = 256;

/// Standard alphabet with padding; stray bits in the last character are ignored, as Go ignores them.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Multipart bodies inside multipart bodies that the hardened mode takes apart.
const MAX_NESTING: usize = 4;

/// Why the body is blocked. `Display` is the reason of the verdict.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MultipartError {
    #[error("multipart/form-data missing boundary")]
    MissingBoundary,
    #[error("multipart parse error: {0}")]
    Parse(String),
    #[error("multipart body exceeds {MAX_PARTS} parts limit")]
    TooManyParts,
    #[error("multipart filename exceeds {MAX_FILE_NAME} bytes")]
    FileName,
    #[error("error reading multipart part: {0}")]
    Part(String),
}

/// Collects the strings of `body`.
pub(super) fn extract<'a>(
    body: &'a [u8],
    boundary: Option<&[u8]>,
    into: &mut Strings<'a>,
    hardened: bool,
) -> Result<(), MultipartError> {
    extract_level(body, boundary, into, hardened, 0)
}

fn extract_level<'a>(
    body: &'a [u8],
    boundary: Option<&[u8]>,
    into: &mut Strings<'a>,
    hardened: bool,
    level: usize,
) -> Result<(), MultipartError> {
    let boundary = boundary.filter(|boundary| !boundary.is_empty()).ok_or(MultipartError::MissingBoundary)?;
    let mut reader = Reader::new(body, boundary);
    let mut read = 0;
    // Contents as they were sent, where one was decoded: most receivers of forms decode none.
    let (mut sent, mut any_decoded) = (Vec::new(), false);
    loop {
        if read == MAX_PARTS {
            return Err(MultipartError::TooManyParts);
        }
        let Some(part) = reader.next_part().map_err(MultipartError::Parse)? else {
            break;
        };
        read += 1;
        any_decoded |= take_part(&part, into, hardened)?;
        sent.extend(part.body);
        if hardened && level < MAX_NESTING {
            take_nested(&part, into, level + 1);
        }
    }
    if hardened {
        if any_decoded {
            into.note_pieces(sent);
        }
        for text in [reader.preamble(), reader.epilogue()] {
            if !text.is_empty() {
                into.push_extra(text, difference::MULTIPART_MARGINS, false);
            }
        }
    }
    Ok(())
}

/// Whether the content was decoded.
fn take_part<'a>(part: &Part<'a>, into: &mut Strings<'a>, hardened: bool) -> Result<bool, MultipartError> {
    let disposition =
        part.first("Content-Disposition").map(MediaType::parse).and_then(Result::ok).unwrap_or_default();
    let form_name = match disposition.name.as_str() {
        "form-data" => disposition.param("name").unwrap_or_default(),
        _ => &[],
    };
    let file_name = base_name(disposition.param("filename").unwrap_or_default());
    if file_name.len() > MAX_FILE_NAME {
        return Err(MultipartError::FileName);
    }
    for header in &part.headers {
        take_header(&header.name, &header.value, into);
        if hardened {
            // The whole line: names, tokens and transfer encodings are free text to whoever reads the body.
            into.push_extra(header.line, difference::MULTIPART_MARGINS, false);
        }
    }
    let raw = part.body.ok_or_else(|| MultipartError::Part("unexpected EOF".to_owned()))?;
    let encoding = part.first("Content-Transfer-Encoding").unwrap_or_default();
    let mut is_decoded = false;
    if encoding.eq_ignore_ascii_case(b"quoted-printable") {
        let decoded =
            quoted_printable::decode(raw).map_err(|error| MultipartError::Part(error.to_string()))?;
        if !decoded.is_empty() {
            into.note_named(form_name, &decoded);
            is_decoded = decoded != raw;
            into.push_piece(decoded);
        }
        if hardened && !raw.is_empty() {
            into.push_extra(raw, difference::QUOTED_PRINTABLE_RAW, false);
        }
    } else {
        if encoding.eq_ignore_ascii_case(b"base64") {
            let compact: Vec<u8> = raw.iter().copied().filter(|byte| !b"\r\n \t".contains(byte)).collect();
            if let Ok(decoded) = BASE64.decode(compact)
                && !decoded.is_empty()
            {
                if hardened && packed::is_packed(&decoded) {
                    into.push_packed(decoded.clone());
                }
                into.note_named(form_name, &decoded);
                into.push_piece(decoded);
                is_decoded = true;
            }
        }
        into.note_named(form_name, raw);
        if hardened && packed::is_packed(raw) {
            into.push_packed(raw);
        }
        match is_decoded {
            true => into.push(raw),
            false if !raw.is_empty() => into.push_piece(raw),
            false => {}
        }
    }
    for name in [form_name, file_name] {
        if !name.is_empty() {
            into.push(name.to_vec());
        }
    }
    Ok(is_decoded)
}

/// A part that is multipart itself: the reference scans it raw, which misses what its parts encode. A nested body that cannot
/// be taken apart is left to that raw scan.
fn take_nested<'a>(part: &Part<'a>, into: &mut Strings<'a>, level: usize) {
    let (Some(body), Some(value)) = (part.body, part.first("Content-Type")) else { return };
    let media = MediaType::lenient(Some(value));
    if media.name.starts_with("multipart/") {
        let mut reading = into.another();
        let _ = extract_level(body, media.param("boundary"), &mut reading, true, level);
        into.absorb(&reading, difference::MULTIPART_SUBTYPES, false);
    }
}

fn take_header(name: &str, value: &[u8], into: &mut Strings<'_>) {
    match name {
        "Content-Transfer-Encoding" => {}
        "Content-Type" | "Content-Disposition" => match MediaType::parse(value) {
            Ok(parsed) => {
                for text in parsed.params.into_values() {
                    into.push(text);
                }
            }
            Err(_) => into.push(value.to_vec()),
        },
        _ => into.push(value.to_vec()),
    }
}

/// The last element of a `/`-separated path; trailing slashes do not make one.
fn base_name(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    if end == 0 {
        return &path[..path.len().min(1)];
    }
    let start = path[..end].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    &path[start..end]
}

#[cfg(test)]
mod tests;
