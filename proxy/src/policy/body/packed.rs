//! Bodies and parts that are compressed without a `Content-Encoding` that says so: archives, logs, gRPC messages, what git pushes.
//!
//! The reference scans such bytes as they are, which finds nothing in them. With `muselet.decompress` the hardened mode scans
//! what they unpack to as well. It stands for text that is put into an archive without a thought, not for intent: who wants to
//! hide can encrypt. So nothing is refused for being compressed, and what is unpacked is bounded by the size of the body.
//!
//! difference D-816

mod archive;

use std::io::Read;

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};

pub(super) use archive::find_in as find_in_archives;

/// Bytes that a body of no length may unpack to.
const LEAST: usize = 8 << 10;

/// Bytes that are unpacked for each byte of a body: about what text shrinks by. More would let a small body cost much.
const RATIO: usize = 5;

/// Streams in streams. There are some that unpack to themselves.
const LEVELS: u8 = 4;

/// Shortest run of text in data that is looked at.
const RUN: usize = 8;

/// What the streams in a body may unpack to, all together, streams in streams included.
#[derive(Debug)]
pub(super) struct Allowance {
    bytes: usize,
    /// Bytes of members of archives that may be read: their headers may all point at the same ones, which unpack to nothing.
    read: usize,
    levels: u8,
}

impl Allowance {
    /// Of a body of `length` bytes.
    pub(super) fn of(length: usize) -> Self {
        let bytes = length.saturating_mul(RATIO).saturating_add(LEAST);
        Self { bytes, read: bytes, levels: LEVELS }
    }

    /// Of what nothing in is unpacked.
    pub(super) fn nothing() -> Self {
        Self { bytes: 0, read: 0, levels: 0 }
    }

    /// What `look` finds in a stream, unless that is in too many others.
    pub(super) fn within<T>(&mut self, look: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.levels = self.levels.checked_sub(1)?;
        let found = look(self);
        self.levels += 1;
        found
    }

    /// What comes out of a decoder before an error, or before the allowance is used up.
    fn read(&mut self, decoder: &mut impl Read) -> Vec<u8> {
        let mut out = Vec::new();
        // An error ends the text; it refuses nothing.
        let _ = decoder.take(self.bytes as u64).read_to_end(&mut out);
        self.bytes -= out.len();
        out
    }
}

/// The compression that the first bytes tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Gzip,
    Zlib,
    Zstd,
}

fn format(data: &[u8]) -> Option<Format> {
    match *data {
        [0x1f, 0x8b, 8, ..] => Some(Format::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Format::Zstd),
        // Deflate with a window of at most 32 KiB, no dictionary, and the two bytes together a multiple of 31. (RFC 1950 §2.2)
        [method @ 0x08..=0x78, flags, ..]
            if method & 0xf == 8
                && flags & 0x20 == 0
                && u16::from_be_bytes([method, flags]).is_multiple_of(31) =>
        {
            Some(Format::Zlib)
        }
        _ => None,
    }
}

/// Whether `data` begins like a compressed stream.
pub(super) fn is_packed(data: &[u8]) -> bool {
    format(data).is_some()
}

/// The compressed messages of a gRPC or Connect body: each has a byte of flags and four of length before it.
pub(super) fn messages(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    std::iter::from_fn(move || {
        loop {
            let (&[flags, a, b, c, d], behind) = rest.split_first_chunk()?;
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?.min(behind.len());
            let (message, next) = behind.split_at(length);
            rest = next;
            if flags & 1 == 1 && is_packed(message) {
                return Some(message);
            }
        }
    })
}

/// What `data` unpacks to, taken from `allowance`. What comes out before an error, or before the allowance is used up, counts too.
pub(super) fn unpack(data: &[u8], allowance: &mut Allowance) -> Option<Vec<u8>> {
    let unpacked = match format(data)? {
        Format::Gzip => allowance.read(&mut MultiGzDecoder::new(data)),
        Format::Zlib => allowance.read(&mut ZlibDecoder::new(data)),
        Format::Zstd => allowance.read(&mut zstd::stream::read::Decoder::with_buffer(data).ok()?),
    };
    (!unpacked.is_empty()).then_some(unpacked)
}

/// `unpacked` as it is if it is text or packed again, else the runs of text in it, kept apart: bytes of a program that happen to stand around
/// stray letters spell nothing.
pub(super) fn text(unpacked: Vec<u8>) -> Vec<u8> {
    let is_whole = std::str::from_utf8(&unpacked).is_ok() && unpacked.iter().copied().all(is_text);
    if is_whole || is_packed(&unpacked) {
        return unpacked;
    }
    runs(&unpacked)
}

/// The runs of text in `data`, kept apart.
pub(super) fn runs(data: &[u8]) -> Vec<u8> {
    let mut runs = Vec::with_capacity(data.len());
    for chunk in data.utf8_chunks() {
        for run in chunk.valid().as_bytes().split(|byte| !is_text(*byte)).filter(|run| run.len() >= RUN) {
            runs.extend_from_slice(run);
            runs.push(b' ');
        }
    }
    runs
}

fn is_text(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f || matches!(byte, b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).expect("into memory");
        encoder.finish().expect("into memory")
    }

    #[test]
    fn tells_streams_by_their_first_bytes() {
        let cases: &[(&[u8], Option<Format>)] = &[
            (b"\x1f\x8b\x08\x00", Some(Format::Gzip)),
            (b"\x1f\x8b\x07\x00", None),
            (b"\x78\x01", Some(Format::Zlib)),
            (b"\x78\x9c", Some(Format::Zlib)),
            (b"\x78\xda", Some(Format::Zlib)),
            (b"\x08\x1d", Some(Format::Zlib)),
            (b"\x78\x9d", None),
            (b"\x78\x20", None),
            (b"x", None),
            (b"\x28\xb5\x2f\xfd\x00", Some(Format::Zstd)),
            (b"PK\x03\x04", None),
            (b"{\"a\":1}", None),
            (b"", None),
        ];
        for (data, wanted) in cases {
            assert_eq!(format(data), *wanted, "{}", data.escape_ascii());
        }
    }

    #[test]
    fn unpacks_within_the_allowance_and_up_to_an_error() {
        let packed = gzip(&[b'a'; 100_000]);
        let allowed = |bytes| Allowance { bytes, read: 0, levels: LEVELS };
        let mut left = allowed(30_000);
        assert_eq!(unpack(&packed, &mut left).map(|text| text.len()), Some(30_000));
        assert_eq!(left.bytes, 0);
        assert_eq!(unpack(&packed, &mut left), None);

        let packed = gzip(b"some text that is not cut");
        let mut left = allowed(1_000);
        let cut = unpack(&packed[..packed.len() - 9], &mut left).expect("what came before the end");
        assert!(b"some text that is not cut".starts_with(&cut));
        assert_eq!(left.bytes, 1_000 - cut.len());
        assert_eq!(unpack(&packed[..5], &mut left), None);
        assert_eq!(unpack(b"x^2 + y", &mut left).map(text), Some(Vec::new()));
    }

    #[test]
    fn finds_compressed_messages_of_grpc() {
        let packed = gzip(b"m");
        let frame = |flags: u8, message: &[u8]| {
            let length = u32::try_from(message.len()).expect("short").to_be_bytes();
            [&[flags], &length[..], message].concat()
        };
        let body = [frame(0, &packed), frame(1, &packed), frame(1, b"no"), frame(3, &packed)].concat();
        assert_eq!(messages(&body).count(), 2);
        assert_eq!(messages(&body[..body.len() - 3]).count(), 2);
        assert_eq!(messages(b"\x01\xff\xff\xff\xff\x1f\x8b\x08").count(), 1);
        assert_eq!(messages(b"\x01\x00\x00").count(), 0);
    }

    #[test]
    fn takes_runs_of_text_out_of_data() {
        let whole = "a line\nand \u{e9} another\t".as_bytes().to_vec();
        assert_eq!(text(whole.clone()), whole);
        let data = b"\0\0short\0long enough\0\xff\xfeanother run\x01";
        assert_eq!(text(data.to_vec()), b"long enough another run ");
    }
}
