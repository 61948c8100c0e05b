//! PNG without text and EXIF chunks; every other chunk is copied byte for byte and no checksum is verified.
//! spec: response-scan §8.4

use super::Stripped;
use crate::policy::url::quote;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Why a PNG could not be read to its end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PngError {
    #[error("media: invalid or truncated PNG")]
    NotPng,
    #[error("media: invalid or truncated PNG: chunk header at offset {0} exceeds input length")]
    Header(usize),
    #[error(
        "media: invalid or truncated PNG: chunk {kind} at offset {at} overruns input (len {length}, remaining {left})"
    )]
    Overrun {
        /// In quotes.
        kind: String,
        at: usize,
        length: usize,
        left: usize,
    },
    #[error("media: invalid or truncated PNG: no IEND chunk before end of stream")]
    NoEnd,
    #[error("media: invalid or truncated PNG: {0} trailing bytes after IEND")]
    Trailing(usize),
}

/// Copies the image without its metadata chunks.
pub(super) fn strip(data: &[u8]) -> Result<Stripped, String> {
    walk(data).map_err(|e| e.to_string())
}

fn walk(data: &[u8]) -> Result<Stripped, PngError> {
    if !data.starts_with(SIGNATURE) {
        return Err(PngError::NotPng);
    }
    let mut out = Stripped { body: Vec::with_capacity(data.len()), segments: 0, bytes: 0 };
    out.body.extend_from_slice(SIGNATURE);
    let mut at = SIGNATURE.len();
    while at < data.len() {
        let Some(header) = data.get(at..at + 8) else { return Err(PngError::Header(at)) };
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = &header[4..8];
        // Header, data and checksum.
        let Some(chunk) = data.get(at..).and_then(|rest| rest.get(..length.saturating_add(12))) else {
            return Err(PngError::Overrun { kind: quote(kind), at, length, left: data.len() - at });
        };
        if matches!(kind, b"tEXt" | b"iTXt" | b"zTXt" | b"eXIf") {
            out.segments += 1;
            out.bytes += chunk.len();
        } else {
            out.body.extend_from_slice(chunk);
        }
        at += chunk.len();
        if kind == b"IEND" {
            return if at < data.len() { Err(PngError::Trailing(data.len() - at)) } else { Ok(out) };
        }
    }
    Err(PngError::NoEnd)
}
