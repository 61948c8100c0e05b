//! JPEG without EXIF, XMP, colour profiles and IPTC: whole marker segments are left out, everything else is copied byte
//! for byte. spec: response-scan §8.4

use super::Stripped;

/// Why a JPEG could not be read to its end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JpegError {
    #[error("media: invalid or truncated JPEG")]
    NotJpeg,
    #[error("media: invalid or truncated JPEG: expected 0xFF at offset {0}, got 0x{1:02X}")]
    NoMarker(usize, u8),
    #[error("media: invalid or truncated JPEG: truncated marker at offset {0}")]
    TruncatedMarker(usize),
    #[error("media: invalid or truncated JPEG: truncated segment length at offset {0}")]
    TruncatedLength(usize),
    #[error("media: invalid or truncated JPEG: segment length {0} at offset {1} below minimum 2")]
    ShortLength(usize, usize),
    #[error("media: invalid or truncated JPEG: segment at offset {0} overruns input (len {1})")]
    Overrun(usize, usize),
    #[error("media: invalid or truncated JPEG: truncated scan data: trailing 0xFF without marker byte")]
    TruncatedScan,
    #[error("media: invalid or truncated JPEG: {0} trailing bytes after EOI")]
    Trailing(usize),
    #[error("media: invalid or truncated JPEG: no SOS marker before end of stream")]
    NoScan,
    #[error("media: invalid or truncated JPEG: no EOI marker before end of stream")]
    NoEnd,
}

/// Copies the image without its metadata segments.
pub(super) fn strip(data: &[u8]) -> Result<Stripped, String> {
    walk(data).map_err(|e| e.to_string())
}

fn walk(data: &[u8]) -> Result<Stripped, JpegError> {
    if data.len() < 4 || !data.starts_with(&[0xff, 0xd8]) {
        return Err(JpegError::NotJpeg);
    }
    let mut out = Stripped { body: Vec::with_capacity(data.len()), segments: 0, bytes: 0 };
    out.body.extend_from_slice(&data[..2]);
    let (mut at, mut scan_seen) = (2, false);
    while at < data.len() {
        let start = at;
        if data[at] != 0xff {
            return Err(JpegError::NoMarker(at, data[at]));
        }
        while at < data.len() && data[at] == 0xff {
            at += 1;
        }
        let Some(&marker) = data.get(at) else { return Err(JpegError::TruncatedMarker(start)) };
        at += 1;
        if marker == 0xd9 {
            if at < data.len() {
                return Err(JpegError::Trailing(data.len() - at));
            }
            if !scan_seen {
                return Err(JpegError::NoScan);
            }
            out.body.extend_from_slice(&data[start..at]);
            return Ok(out);
        }
        if matches!(marker, 0xd8 | 0x01 | 0xd0..=0xd7) {
            out.body.extend_from_slice(&data[start..at]);
            continue;
        }
        let Some(&[hi, lo]) = data.get(at..at + 2) else { return Err(JpegError::TruncatedLength(at)) };
        let length = usize::from(hi) << 8 | usize::from(lo);
        if length < 2 {
            return Err(JpegError::ShortLength(length, at));
        }
        let end = at + length;
        if end > data.len() {
            return Err(JpegError::Overrun(start, length));
        }
        if matches!(marker, 0xe1 | 0xe2 | 0xed) {
            out.segments += 1;
            out.bytes += end - start;
        } else {
            out.body.extend_from_slice(&data[start..end]);
        }
        at = end;
        if marker == 0xda {
            scan_seen = true;
            let end = scan_end(data, at)?;
            out.body.extend_from_slice(&data[at..end]);
            at = end;
        }
    }
    Err(if scan_seen { JpegError::NoEnd } else { JpegError::NoScan })
}

/// End of entropy-coded data: the next `FF` that is neither stuffed nor a restart marker.
fn scan_end(data: &[u8], mut at: usize) -> Result<usize, JpegError> {
    while let Some(offset) = memchr::memchr(0xff, &data[at..]) {
        let ff = at + offset;
        match data.get(ff + 1) {
            None => return Err(JpegError::TruncatedScan),
            Some(0x00 | 0xd0..=0xd7) => at = ff + 2,
            Some(_) => return Ok(ff),
        }
    }
    Ok(data.len())
}
